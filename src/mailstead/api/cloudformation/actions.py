"""One resource's way: made, changed, replaced, undone, taken away, each step told and kept.

Intent is kept before an action and its result after it, so that a restart
between the two does the action again under the same name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mailstead.api.cloudformation.dynamic import Resolve
from mailstead.api.cloudformation.intrinsics import Attributes
from mailstead.api.cloudformation.journal import Journal, about
from mailstead.api.cloudformation.model import Before, Stack, StackResource, opened, sealed
from mailstead.api.cloudformation.plan import INERT, Plan
from mailstead.api.cloudformation.resources import (
    Context,
    Made,
    Registry,
    ResourceType,
    changed,
    check_values,
)
from mailstead.api.overtaken import patiently
from mailstead.mail.errors import DomainError
from mailstead.wire.template import Declared, TemplateError

log = logging.getLogger("mailstead.cloudformation")

RETAINING = ("Retain", "RetainExceptOnCreate")


@dataclass(frozen=True, slots=True)
class Actions:
    """Acts on resources."""

    journal: Journal
    registry: Registry
    context: Callable[[Stack, str], Awaitable[Context]]
    """Where and as whom a stack's actions are done."""
    resolve: Resolve
    """Fills dynamic references in, at the last moment."""
    random_name: Callable[[], str]

    async def bring(
        self,
        stack: Stack,
        plan: Plan,
        name: str,
        record: StackResource | None,
        known: Mapping[str, Attributes],
    ) -> None:
        """Bring a resource to what its template says."""
        declared = plan.template.resources[name]
        try:
            wanted = plan.with_resources(known).evaluate(declared.properties)
        except TemplateError as error:
            await self._fail(stack, self._fresh(stack, plan, declared, record, {}), str(error))
            return
        fresh = self._fresh(stack, plan, declared, record, wanted)
        if record is not None and record.operation == stack.operation:
            await self._again(stack, declared, record)
        elif record is None:
            await self._create(stack, None, fresh)
        elif self._unchanged(record, declared, wanted):
            await self.journal.put_resource(
                record, replace(fresh, attributes=record.attributes, place=self._place(stack))
            )
        elif self._replaces(record, declared, wanted):
            await self._replace(stack, record, fresh)
        else:
            await self._update(stack, record, fresh)

    def _fresh(
        self,
        stack: Stack,
        plan: Plan,
        declared: Declared,
        record: StackResource | None,
        wanted: Any,
    ) -> StackResource:
        return StackResource(
            scope=stack.scope,
            name=f"{stack.name}/{declared.logical_id}",
            logical_id=declared.logical_id,
            type=declared.type,
            status=record.status if record is not None else "",
            operation=stack.operation,
            updated_at=0,
            physical_id=record.physical_id if record is not None else "",
            properties=sealed(wanted),
            before=_before(record) if record is not None else None,
            needs=tuple(sorted(plan.needs[declared.logical_id])),
            deletion_policy=declared.deletion_policy,
            update_replace_policy=declared.update_replace_policy,
        )

    async def _again(self, stack: Stack, declared: Declared, record: StackResource) -> None:
        """What was begun before a restart, once more."""
        if record.status == "CREATE_IN_PROGRESS" or record.replaced:
            await self._make(stack, record, resuming=True)
        else:
            await self._change(stack, record)

    def _unchanged(self, record: StackResource, declared: Declared, wanted: Any) -> bool:
        kind = self.registry.get(declared.type)
        if record.type != declared.type:
            return False
        return kind is None or not changed(kind.schema, opened(record.properties), wanted)

    def _replaces(self, record: StackResource, declared: Declared, wanted: Any) -> bool:
        kind = self.registry.get(declared.type)
        if record.type != declared.type or kind is None:
            return True
        return kind.replaces(opened(record.properties), wanted)

    # Making

    async def _create(self, stack: Stack, old: StackResource | None, fresh: StackResource) -> None:
        told = await self.journal.event(
            stack, (fresh.logical_id, "", fresh.type), "CREATE_IN_PROGRESS"
        )
        name = self._name(stack, fresh)
        adopted = await self._stands(stack, fresh, name)
        begun = replace(fresh, status="CREATE_IN_PROGRESS", physical_id=name, adopted=adopted)
        record = await self.journal.put_resource(old, begun, told)
        await self._make(stack, record, resuming=False)

    async def _stands(self, stack: Stack, fresh: StackResource, name: str) -> bool:
        """Whether a resource of an explicit name is there, and the stack may adopt it."""
        kind = self.registry.get(fresh.type)
        given = opened(fresh.properties)
        wanted = stack.target is not None and stack.target.imports
        if not wanted or kind is None or kind.schema.name not in given:
            return False
        return await kind.read(await self.context(stack, fresh.logical_id), name, given) is not None

    async def _replace(self, stack: Stack, old: StackResource, fresh: StackResource) -> None:
        told = await self.journal.event(
            stack,
            about(old),
            "UPDATE_IN_PROGRESS",
            "Requested update requires the creation of a new physical resource; "
            "hence creating one.",
        )
        begun = replace(fresh, status="UPDATE_IN_PROGRESS", physical_id=self._name(stack, fresh))
        record = await self.journal.put_resource(old, begun, told)
        await self._make(stack, record, resuming=False)

    async def _make(self, stack: Stack, record: StackResource, *, resuming: bool) -> None:
        verb = "UPDATE" if record.before is not None else "CREATE"

        async def act() -> Made:
            kind = self.registry.get(record.type)
            if record.type == INERT or kind is None:
                return Made(record.physical_id)
            context = await self.context(stack, record.logical_id)
            given = await self.resolve(stack.scope, opened(record.properties))
            check_values(kind.schema, given)
            at = replace(context, resuming=resuming, importing=record.adopted)
            return await kind.create(at, record.physical_id, given)

        await self._act(stack, record, verb, act, initiated=True)

    async def _update(self, stack: Stack, old: StackResource, fresh: StackResource) -> None:
        told = await self.journal.event(stack, about(old), "UPDATE_IN_PROGRESS")
        begun = replace(fresh, status="UPDATE_IN_PROGRESS", attributes=old.attributes)
        record = await self.journal.put_resource(old, begun, told)
        await self._change(stack, record)

    async def _change(self, stack: Stack, record: StackResource) -> None:
        async def act() -> Made:
            kind = self._kind(record)
            assert record.before is not None
            context = await self.context(stack, record.logical_id)
            given = await self.resolve(stack.scope, opened(record.properties))
            check_values(kind.schema, given)
            old = opened(record.before.properties)
            return await kind.update(context, record.physical_id, old, given)

        await self._act(stack, record, "UPDATE", act)

    async def _act(
        self,
        stack: Stack,
        record: StackResource,
        verb: str,
        act: Callable[[], Awaitable[Made]],
        *,
        initiated: bool = False,
    ) -> None:
        try:
            made = await patiently(act)
        except (DomainError, TemplateError) as error:
            text = str(getattr(error, "text", None) or error)
            await self._fail(stack, record, text, verb)
            return
        except Exception:
            log.exception("%s of %s failed", verb, record.name)
            await self._fail(stack, record, "Internal Failure", verb)
            return
        done = replace(
            record,
            status=f"{verb}_COMPLETE",
            physical_id=made.physical_id,
            attributes=sealed(dict(made.attributes)),
            place=self._place(stack),
        )
        events = [await self.journal.event(stack, about(done), f"{verb}_COMPLETE")]
        if initiated and verb == "CREATE":
            first = await self.journal.event(
                stack, about(done), "CREATE_IN_PROGRESS", "Resource creation Initiated"
            )
            events = [first, await self.journal.event(stack, about(done), "CREATE_COMPLETE")]
        await self.journal.put_resource(record, done, *events)

    async def _fail(
        self, stack: Stack, record: StackResource, reason: str, verb: str = "CREATE"
    ) -> None:
        known = await self.journal.store.get(StackResource, record.scope, record.name)
        told = await self.journal.event(stack, about(record), f"{verb}_FAILED", reason)
        failed = replace(
            record,
            status=f"{verb}_FAILED",
            reason=reason,
            operation=stack.operation,
            place=self._place(stack),
        )
        await self.journal.put_resource(known, failed, told)

    # Undoing

    async def undo(self, stack: Stack, record: StackResource) -> str:
        """Put a resource back to what it was; the reason where that fails."""
        if record.before is None:
            retained = record.deletion_policy == "Retain" and record.status == "CREATE_COMPLETE"
            keep = retained or record.adopted
            return await self._undo_create(stack, record, keep=keep)
        before = record.before
        restored = replace(
            record,
            status="UPDATE_COMPLETE",
            operation="",
            physical_id=before.physical_id,
            type=before.type,
            properties=before.properties,
            attributes=before.attributes,
            before=None,
            reason="",
        )
        untouched = record.properties == before.properties and not record.replaced
        try:
            if record.replaced:
                if record.physical_id:
                    await self._delete(stack, record)
            elif not untouched:
                await self._set_back(stack, record, before)
        except (DomainError, TemplateError) as error:
            return str(getattr(error, "text", None) or error)
        events = (
            []
            if untouched
            else [await self.journal.event(stack, about(restored), "UPDATE_COMPLETE")]
        )
        await self.journal.put_resource(record, restored, *events)
        return ""

    async def _undo_create(self, stack: Stack, record: StackResource, *, keep: bool) -> str:
        if keep:
            told = await self.journal.event(stack, about(record), "DELETE_SKIPPED")
            await self.journal.drop_resource(record, told)
            return ""
        begun = await self.journal.event(stack, about(record), "DELETE_IN_PROGRESS")
        record = await self.journal.put_resource(
            record, replace(record, status="DELETE_IN_PROGRESS"), begun
        )
        try:
            # Of a failed creation nothing stands, unless a restart came in between.
            if not record.reason:
                await self._delete(stack, record)
        except DomainError as error:
            return error.text or "a resource could not be deleted"
        told = await self.journal.event(stack, about(record), "DELETE_COMPLETE")
        await self.journal.drop_resource(record, told)
        return ""

    async def _set_back(self, stack: Stack, record: StackResource, before: Before) -> None:
        kind = self._kind(record)
        context = await self.context(stack, record.logical_id)
        old, new = opened(record.properties), opened(before.properties)
        given = await self.resolve(stack.scope, new)
        await patiently(lambda: kind.update(context, record.physical_id, old, given))

    # Taking away

    async def remove(self, stack: Stack, record: StackResource) -> bool:
        """Delete a resource that is not wanted any more; whether it is gone."""
        if record.deletion_policy in RETAINING or record.logical_id in stack.retained:
            told = await self.journal.event(stack, about(record), "DELETE_SKIPPED")
            await self.journal.drop_resource(record, told)
            return True
        begun = await self.journal.event(stack, about(record), "DELETE_IN_PROGRESS")
        record = await self.journal.put_resource(
            record, replace(record, status="DELETE_IN_PROGRESS"), begun
        )
        try:
            await self._delete(stack, record)
        except DomainError as error:
            text = error.text or "it could not be deleted"
            told = await self.journal.event(stack, about(record), "DELETE_FAILED", text)
            failed = replace(record, status="DELETE_FAILED", reason=text)
            await self.journal.put_resource(record, failed, told)
            return False
        told = await self.journal.event(stack, about(record), "DELETE_COMPLETE")
        await self.journal.drop_resource(record, told)
        return True

    async def delete_replaced(self, stack: Stack, record: StackResource) -> None:
        """Delete the old one of a replaced resource."""
        before = record.before
        assert before is not None
        old = replace(
            record,
            physical_id=before.physical_id,
            type=before.type,
            properties=before.properties,
            attributes=before.attributes,
        )
        if record.update_replace_policy == "Retain":
            events = [await self.journal.event(stack, about(old), "DELETE_SKIPPED")]
        else:
            begun = await self.journal.event(stack, about(old), "DELETE_IN_PROGRESS")
            try:
                await self._delete(stack, old)
                end = await self.journal.event(stack, about(old), "DELETE_COMPLETE")
            except DomainError as error:
                end = await self.journal.event(stack, about(old), "DELETE_FAILED", error.text or "")
            events = [begun, end]
        await self.journal.put_resource(record, replace(record, before=None), *events)

    async def _delete(self, stack: Stack, record: StackResource) -> None:
        kind = self.registry.get(record.type)
        if kind is None or not record.physical_id:
            return
        context = await self.context(stack, record.logical_id)
        given = opened(record.properties)
        await patiently(lambda: kind.delete(context, record.physical_id, given))

    def _kind(self, record: StackResource) -> ResourceType:
        kind = self.registry.get(record.type)
        if kind is None:
            raise TemplateError(f"Unrecognized resource types: [{record.type}]")
        return kind

    def _name(self, stack: Stack, record: StackResource) -> str:
        """The name it has, or gets: intent is kept under it before anything is made."""
        kind = self.registry.get(record.type)
        if kind is None:
            return f"{stack.stack_name}-{record.logical_id}"
        schema = kind.schema
        given = opened(record.properties).get(schema.name) if schema.name else None
        if given is not None:
            return str(given)
        tail = f"-{self.random_name()}"
        start = f"{stack.stack_name}-{record.logical_id}"[: schema.longest_name - len(tail)]
        return (start + tail).lower() if schema.lower_case else start + tail

    def _place(self, stack: Stack) -> int:
        return self.journal.next_place(stack)


def _before(record: StackResource) -> Before:
    return Before(record.physical_id, record.type, record.properties, record.attributes)
