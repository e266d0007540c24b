"""One resource's way: made, changed, replaced, undone, taken away, each step told and kept.

Intent is kept before an action and its result after it, so that a restart
between the two does the action again under the same name.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

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
    Unfinished,
    changed,
    check_values,
)
from mailstead.api.cloudformation.stack_policies import DELETE, MODIFY, REPLACE, denial
from mailstead.api.overtaken import patiently
from mailstead.mail.errors import Conflict, DomainError
from mailstead.mail.model import Secret
from mailstead.wire.template import Declared, TemplateError

log = logging.getLogger("mailstead.cloudformation")

T = TypeVar("T")
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
            fresh = self._fresh(stack, plan, declared, record, {})
            await self._refuse(stack, record, fresh, str(error))
            return
        fresh = self._fresh(stack, plan, declared, record, wanted)
        if record is not None and record.operation == stack.operation:
            await self._again(stack, record)
        elif record is None:
            await self._create(stack, fresh)
        elif self._unchanged(record, wanted):
            await self.journal.put_resource(
                record, replace(fresh, attributes=record.attributes, place=self._place(stack))
            )
        elif self._kind(record).replaces(opened(record.properties), wanted):
            await self._replace(stack, record, fresh)
        else:
            await self._update(stack, record, fresh)

    async def check_removals(self, stack: Stack, plan: Plan) -> list[str]:
        """Fail the resources that the template does not want and the stack policy keeps."""
        denied: list[str] = []
        for name, record in (await self.journal.resources(stack)).items():
            if name in plan.alive or record.operation == stack.operation:
                continue
            reason = _denied(stack, DELETE, record)
            if reason:
                await self._refuse(stack, record, replace(record, before=_before(record)), reason)
                denied.append(name)
        return denied

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

    async def _again(self, stack: Stack, record: StackResource) -> None:
        """What was begun before a restart, once more."""
        if record.status == "CREATE_IN_PROGRESS" or record.replaced:
            await self._make(stack, record, resuming=not record.taken)
        else:
            await self._change(stack, record, resuming=True)

    def _unchanged(self, record: StackResource, wanted: Any) -> bool:
        kind = self.registry.get(record.type)
        return kind is None or not changed(kind.schema, opened(record.properties), wanted)

    # Making

    async def _create(self, stack: Stack, fresh: StackResource) -> None:
        told = await self.journal.event(
            stack, (fresh.logical_id, "", fresh.type), "CREATE_IN_PROGRESS"
        )
        begun = await self._begun(stack, replace(fresh, status="CREATE_IN_PROGRESS"))
        record = await self.journal.put_resource(None, begun, told)
        await self._make(stack, record, resuming=False)

    async def _begun(self, stack: Stack, fresh: StackResource) -> StackResource:
        """A resource that is about to be made, under its name, with what stands there."""
        name = self._name(stack, fresh)
        stands = await self._stands(stack, fresh, name)
        explicit = self._explicit_name(fresh) is not None
        adopts = stands and explicit and stack.target is not None and stack.target.imports
        return replace(fresh, physical_id=name, adopted=adopts, taken=stands and not adopts)

    async def _stands(self, stack: Stack, fresh: StackResource, name: str) -> bool:
        """Whether a resource of that name is there before it is made."""
        kind = self.registry.get(fresh.type)
        if kind is None:
            return False
        given = opened(fresh.properties)
        try:
            check_values(kind.schema, given)
            context = await self.context(stack, fresh.logical_id)
            return await kind.read(context, name, given) is not None
        except Exception:
            # Properties that can't be read are refused when it is made, with their words.
            log.debug("%s can't be looked for", fresh.name, exc_info=True)
            return False

    async def _replace(self, stack: Stack, old: StackResource, fresh: StackResource) -> None:
        reason = _denied(stack, REPLACE, old)
        name = self._explicit_name(fresh)
        if not reason and name is not None and name == self._explicit_name(old):
            reason = (
                "CloudFormation cannot update a stack when a custom-named resource requires "
                f"replacing. Rename {name} and update the stack again."
            )
        if reason:
            await self._refuse(stack, old, fresh, reason)
            return
        told = await self.journal.event(
            stack,
            about(old),
            "UPDATE_IN_PROGRESS",
            "Requested update requires the creation of a new physical resource; "
            "hence creating one.",
        )
        begun = await self._begun(stack, replace(fresh, status="UPDATE_IN_PROGRESS", replaced=True))
        record = await self.journal.put_resource(old, begun, told)
        await self._make(stack, record, resuming=False)

    async def _make(self, stack: Stack, record: StackResource, *, resuming: bool) -> None:
        verb = "UPDATE" if record.before is not None else "CREATE"

        async def act() -> Made:
            kind = self.registry.get(record.type)
            if record.type == INERT or kind is None:
                return Made(record.physical_id)
            await self._check_owner(stack, record)
            context = await self.context(stack, record.logical_id)
            given = await self.resolve(context, opened(record.properties))
            check_values(kind.schema, given)
            at = replace(context, resuming=resuming, importing=record.adopted)
            return await kind.create(at, record.physical_id, given)

        await self._act(stack, record, verb, act, initiated=True)

    async def _check_owner(self, stack: Stack, record: StackResource) -> None:
        """Conflict where another stack has what stands there."""
        if not (record.taken or record.adopted):
            return
        owner = await self.journal.owner(record.type, record.physical_id, stack)
        if owner is not None:
            raise owned(record.physical_id, owner)

    async def _update(self, stack: Stack, old: StackResource, fresh: StackResource) -> None:
        reason = _denied(stack, MODIFY, old)
        if reason:
            await self._refuse(stack, old, fresh, reason)
            return
        told = await self.journal.event(stack, about(old), "UPDATE_IN_PROGRESS")
        begun = replace(fresh, status="UPDATE_IN_PROGRESS", attributes=old.attributes)
        record = await self.journal.put_resource(old, begun, told)
        await self._change(stack, record, resuming=False)

    async def _change(self, stack: Stack, record: StackResource, *, resuming: bool) -> None:
        async def act() -> Made:
            kind = self._kind(record)
            assert record.before is not None
            context = await self.context(stack, record.logical_id)
            given = await self.resolve(context, opened(record.properties))
            check_values(kind.schema, given)
            old = await self._resolved_if_possible(context, record.before.properties)
            at = replace(context, resuming=resuming)
            return await kind.update(at, record.physical_id, old, given)

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
        made, failure = await _tried(f"{verb} of {record.name}", act)
        if made is None:
            left = replace(record, left=failure.left)
            await self._fail(stack, left, failure.text, verb)
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

    async def _refuse(
        self, stack: Stack, record: StackResource | None, fresh: StackResource, reason: str
    ) -> None:
        """Fail before anything is done: what stands stays as it is."""
        if record is None:
            await self._fail(stack, fresh, reason, "CREATE")
            return
        same = replace(fresh, properties=record.properties, attributes=record.attributes)
        await self._fail(stack, same, reason, "UPDATE")

    async def _fail(self, stack: Stack, record: StackResource, reason: str, verb: str) -> None:
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
            replaced=False,
            reason="",
        )
        untouched = record.properties == before.properties and not record.replaced
        problem = await self._taken_back(stack, record, before) if not untouched else ""
        if problem:
            return problem
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
        # Of a failed creation nothing stands.
        nothing = record.reason and not record.left
        problem = "" if nothing else await self._delete(stack, record)
        if problem:
            return problem
        told = await self.journal.event(stack, about(record), "DELETE_COMPLETE")
        await self.journal.drop_resource(record, told)
        return ""

    async def _taken_back(self, stack: Stack, record: StackResource, before: Before) -> str:
        """Undo a change or a replacement; the reason where that fails."""
        failed = record.status == "UPDATE_FAILED"
        if record.replaced:
            # What could not be made is not there; under its name there may be another's.
            nothing = failed and not record.left
            return "" if nothing else await self._delete(stack, record)
        if failed and self._kind(record).schema.atomic:
            return ""
        _, failure = await _tried(
            f"undoing {record.name}", lambda: self._set_back(stack, record, before)
        )
        return failure.text

    async def _set_back(self, stack: Stack, record: StackResource, before: Before) -> Made:
        kind = self._kind(record)
        context = await self.context(stack, record.logical_id)
        old = await self._resolved_if_possible(context, record.properties)
        given = await self.resolve(context, opened(before.properties))
        undoing = record.status.removeprefix("UPDATE_")
        at = replace(context, resuming=True, undoing=undoing)
        return await kind.update(at, record.physical_id, old, given)

    async def _resolved_if_possible(self, at: Context, properties: Secret) -> Any:
        """Properties that go, with dynamic references as they are now: so what stays is the same.

        What a reference named may be gone by now, which is no reason to keep it.
        """
        old = opened(properties)
        try:
            return await self.resolve(at, old)
        except (DomainError, TemplateError):
            return old

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
        text = await self._delete(stack, record)
        if text:
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
            problem = await self._delete(stack, old)
            status = "DELETE_FAILED" if problem else "DELETE_COMPLETE"
            events = [begun, await self.journal.event(stack, about(old), status, problem)]
        done = replace(record, before=None, replaced=False)
        await self.journal.put_resource(record, done, *events)

    async def _delete(self, stack: Stack, record: StackResource) -> str:
        """Delete what a record stands for; the reason where that fails."""
        kind = self.registry.get(record.type)
        if kind is None or not record.physical_id:
            return ""
        given = opened(record.properties)

        async def act() -> None:
            context = await self.context(stack, record.logical_id)
            await kind.delete(context, record.physical_id, given)

        _, failure = await _tried(f"deletion of {record.name}", act)
        return failure.text

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
        given = self._explicit_name(record)
        if given is not None:
            return given
        tail = f"-{self.random_name()}"
        start = f"{stack.stack_name}-{record.logical_id}"[: schema.longest_name - len(tail)]
        return (start + tail).lower() if schema.lower_case else start + tail

    def _explicit_name(self, record: StackResource) -> str | None:
        """The name that the template gives it."""
        kind = self.registry.get(record.type)
        given = opened(record.properties).get(kind.schema.name) if kind is not None else None
        return str(given) if given is not None else None

    def _place(self, stack: Stack) -> int:
        return self.journal.next_place(stack)


def owned(name: str, owner: Stack) -> Conflict:
    """CloudFormation's words for what another stack has."""
    return Conflict(
        f"{name} already exists in stack {owner.arn}",
        resource="resource",
        name=name,
        reason="owned",
    )


def _denied(stack: Stack, action: str, record: StackResource) -> str:
    policy = stack.policy_during or stack.policy
    return denial(policy, action, record.logical_id, record.type)


class _Failure(NamedTuple):
    """Why work failed; no text where it did not."""

    text: str = ""
    left: bool = False
    """Whether something of it stands."""


async def _tried(what: str, act: Callable[[], Awaitable[T]]) -> tuple[T | None, _Failure]:
    """What work gives, or why it failed."""
    try:
        return await patiently(act), _Failure()
    except (DomainError, TemplateError) as error:
        text = str(getattr(error, "text", None) or error)
        return None, _Failure(text, isinstance(error, Unfinished))
    except Exception:
        log.exception("%s failed", what)
        return None, _Failure("Internal Failure")


def _before(record: StackResource) -> Before:
    return Before(record.physical_id, record.type, record.properties, record.attributes)
