"""Reading and writing stacks: every change of a resource with its event, in one write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mailstead.api.cloudformation.model import (
    ChangeSet,
    Event,
    Stack,
    StackResource,
    TakenName,
)
from mailstead.mail.model import Scope
from mailstead.mail.ports import Change, Clock, Create, Randomness, Remove, Replace, Store

STACK = "AWS::CloudFormation::Stack"
_LAST = 10**15


class Journal:
    """The stacks of this process's store."""

    def __init__(self, store: Store, clock: Clock, randomness: Randomness) -> None:
        self.store = store
        self.clock = clock
        self._randomness = randomness
        self._stamps: dict[str, int] = {}

    async def stack(self, scope: Scope, name: str) -> Stack | None:
        """A stack by name (the living one) or by ARN (also a deleted one)."""
        if name.startswith("arn:"):
            key = name.partition(":stack/")[2]
            known = await self.store.get(Stack, scope, key)
            # Whoever asks was authorised for just this ARN.
            return known if known is not None and known.arn == name else None
        found = await self.store.select(Stack, scope, prefix=f"{name}/")
        return next((one for one in found if not one.gone), None)

    async def stacks(self, scope: Scope | None) -> list[Stack]:
        """Every stack, deleted ones too."""
        return await self.store.select(Stack, scope)

    async def resources(self, stack: Stack) -> dict[str, StackResource]:
        """A stack's resources by logical id."""
        found = await self.store.select(StackResource, stack.scope, prefix=f"{stack.name}/")
        return {one.logical_id: one for one in found}

    async def events(self, stack: Stack) -> list[Event]:
        """A stack's history, newest first."""
        found = await self.store.select(Event, stack.scope, prefix=f"{stack.name}/")
        return found[::-1]

    async def owner(self, kind: str, physical_id: str, other_than: Stack) -> Stack | None:
        """The account's stack that has this resource, besides the one that asks."""
        for record in await self.store.select(StackResource, None):
            stack = record.name.rpartition("/")[0]
            ours = record.scope.account == other_than.scope.account and stack != other_than.name
            if ours and (record.type, record.physical_id) == (kind, physical_id):
                return await self.store.get(Stack, record.scope, stack)
        return None

    async def change_sets(self, stack: Stack) -> list[ChangeSet]:
        """A stack's change sets."""
        return await self.store.select(ChangeSet, stack.scope, prefix=f"{stack.name}/")

    async def put_stack(self, old: Stack | None, new: Stack, *events: Event) -> Stack:
        """Keep a stack; with its status comes its event.

        Conflict where a new one's name is taken, or another process changed it.
        """
        new = replace(new, updated_at=self.clock.now())
        changes: list[Change] = [Create(new) if old is None else Replace(old, new)]
        name = TakenName(new.scope, new.stack_name, new.name)
        if old is None:
            changes.append(Create(name))
        elif new.gone and await self.store.get(TakenName, new.scope, name.name) == name:
            changes.append(Remove(name))
        await self.store.apply(*changes, *(Create(event) for event in events))
        return new

    async def put_resource(
        self, old: StackResource | None, new: StackResource, *events: Event
    ) -> StackResource:
        """Keep a resource with what is told of it."""
        new = replace(new, updated_at=self.clock.now())
        change: Change = Create(new) if old is None else Replace(old, new)
        await self.store.apply(change, *(Create(event) for event in events))
        return new

    async def drop_resource(self, old: StackResource, *events: Event) -> None:
        """Forget a resource."""
        await self.store.apply(Remove(old), *(Create(event) for event in events))

    async def drop_change_sets(self, sets: Sequence[ChangeSet]) -> None:
        """Delete change sets."""
        if sets:
            await self.store.apply(*(Remove(one) for one in sets))

    async def tell(self, stack: Stack, status: str, reason: str = "") -> Event:
        """The stack's own event."""
        return await self.event(stack, (stack.stack_name, stack.arn, STACK), status, reason)

    async def event(
        self, stack: Stack, about: tuple[str, str, str], status: str, reason: str = ""
    ) -> Event:
        """An event about (logical id, physical id, type), later than every one before it."""
        at = await self._stamp(stack)
        logical_id, physical_id, kind = about
        return Event(
            stack.scope,
            f"{stack.name}/{at:015d}",
            event_id=f"{logical_id}-{status}-{self._randomness.uuid()}",
            logical_id=logical_id,
            physical_id=physical_id,
            type=kind,
            status=status,
            at=at,
            reason=reason,
            token=stack.token,
            activity=stack.activity,
        )

    def next_place(self, stack: Stack) -> int:
        """A number that rises: the order of completion."""
        return self._randomness.serial()

    async def _stamp(self, stack: Stack) -> int:
        # The CDK CLI sorts on milliseconds: each event has one of its own.
        last = self._stamps.get(stack.name)
        if last is None:
            events = await self.events(stack)
            last = events[0].at if events else 0
        at = max(self.clock.now(), last + 1)
        at = max(at, self._stamps.get(stack.name, 0) + 1)
        self._stamps[stack.name] = at
        return at


def about(record: StackResource) -> tuple[str, str, str]:
    """What an event about a resource names."""
    return record.logical_id, record.physical_id, record.type
