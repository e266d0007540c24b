"""Operations on stacks and change sets, as the API asks for them.

Everything that can be refused is refused before anything is kept; what is
accepted is kept and told, and the engine is woken.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mailstead.api.cloudformation.actions import owned
from mailstead.api.cloudformation.changes import changes, evaluated
from mailstead.api.cloudformation.journal import Journal
from mailstead.api.cloudformation.model import (
    Caller,
    Change,
    ChangeSet,
    Output,
    Stack,
    StackResource,
    Wanted,
    opened,
    sealed,
)
from mailstead.api.cloudformation.plan import Plan, capabilities_needed, make_plan
from mailstead.api.cloudformation.resources import Context, Registry
from mailstead.mail.errors import Conflict, DomainError, Invalid, Limit, NotFound, Refused
from mailstead.mail.model import Scope
from mailstead.mail.ports import Create, Randomness, Replace, Wakeups
from mailstead.wire.template import TemplateError

NO_UPDATES = "No updates are to be performed."
NO_CHANGES = (
    "The submitted information didn't contain changes. "
    "Submit different information to create a change set."
)
WITH_ID = "Stack with id {} does not exist"
BRACKETED = "Stack [{}] does not exist"
"""DescribeStackEvents' words and those of changes: CDK before 2.168 compares whole texts."""
STABLE = frozenset(
    {
        "CREATE_COMPLETE",
        "UPDATE_COMPLETE",
        "UPDATE_ROLLBACK_COMPLETE",
        "IMPORT_COMPLETE",
    }
)
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{0,127}")
_SECOND = 1000
"""In milliseconds."""


@dataclass(frozen=True, slots=True)
class Stacks:
    """What the API does with stacks."""

    journal: Journal
    registry: Registry
    randomness: Randomness
    wakeups: Wakeups
    ssm: Callable[[Scope], Awaitable[Mapping[str, str]]]
    """The account's SSM parameters, for parameters of a template that are typed so."""
    context: Callable[[Stack, str], Awaitable[Context]]
    """Where and as whom a stack's actions on a resource are done."""

    async def require(self, scope: Scope, name: str, words: str = WITH_ID) -> Stack:
        """The stack; Invalid in CloudFormation's words for none."""
        stack = await self.journal.stack(scope, name)
        if stack is None:
            raise missing(name, words)
        return stack

    # Change sets

    async def create_change_set(
        self, caller: Caller, stack_name: str, change_set: ChangeSet
    ) -> tuple[Stack, ChangeSet]:
        """Keep a change set, with its changes worked out, or FAILED with the reason."""
        scope = caller.scope
        stack = await self.journal.stack(scope, stack_name)
        kind = change_set.kind
        if kind == "CREATE" and stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise Conflict(
                f"Stack [{stack.stack_name}] already exists and cannot be created again with the "
                f"changeSet [{change_set.change_set_name}].",
                resource="stack",
                name=stack_name,
                reason="exists",
            )
        if kind == "UPDATE" and (stack is None or stack.status == "REVIEW_IN_PROGRESS"):
            raise missing(stack_name, BRACKETED)
        if kind == "UPDATE" and stack is not None:
            _require_stable(stack)
        if stack is None:
            try:
                stack = await self._review(caller, stack_name, change_set)
            except Conflict:
                # Another call began the stack in between.
                return await self.create_change_set(caller, stack_name, change_set)
        for other in await self.journal.change_sets(stack):
            if other.change_set_name == change_set.change_set_name:
                if caller.token and other.token == caller.token:
                    return stack, other
                if _spent(other, change_set):
                    await self.journal.drop_change_sets([other])
                    continue
                raise Conflict(
                    f"ChangeSet {change_set.change_set_name} already exists for stack {stack.arn}",
                    resource="change-set",
                    name=change_set.change_set_name,
                    reason="exists",
                )
        made = await self._worked_out(stack, change_set)
        await self.journal.store.apply(Create(made))
        return stack, made

    async def _review(self, caller: Caller, stack_name: str, change_set: ChangeSet) -> Stack:
        _check_name(stack_name)
        stack = self._new(caller, stack_name, "REVIEW_IN_PROGRESS", Wanted("", sealed({})))
        stack = replace(stack, activity=f"CREATE_CHANGESET/{change_set.uuid}")
        told = await self.journal.tell(stack, "REVIEW_IN_PROGRESS", "User Initiated")
        return await self.journal.put_stack(None, stack, told)

    def _new(self, caller: Caller, stack_name: str, status: str, wanted: Wanted) -> Stack:
        return Stack(
            scope=caller.scope,
            name=f"{stack_name}/{self.randomness.uuid()}",
            stack_name=stack_name,
            status=status,
            created_at=self.journal.clock.now(),
            current=wanted,
            token=caller.token,
            caller=caller.arn,
            session=caller.session,
        )

    async def _worked_out(self, stack: Stack, change_set: ChangeSet) -> ChangeSet:
        change_set = replace(
            change_set,
            name=f"{stack.name}/{change_set.change_set_name}",
            wanted=_inherited(stack, change_set.wanted),
        )
        records = await self.journal.resources(stack)
        try:
            plan = await self.plan_of(stack, change_set.wanted)
            _check_types_kept(plan, records)
            _check_capabilities(plan, change_set.wanted)
            found = changes(plan, self.registry, records)
            if change_set.imports:
                found = tuple([await self._imported(stack, plan, one) for one in found])
        except TemplateError as error:
            return replace(change_set, status="FAILED", execution="UNAVAILABLE", reason=str(error))
        same = (
            not found
            and change_set.kind == "UPDATE"
            and change_set.wanted.tags == stack.current.tags
            and not await self._outputs_differ(stack, plan)
        )
        if same:
            return replace(change_set, status="FAILED", execution="UNAVAILABLE", reason=NO_CHANGES)
        return replace(change_set, status="CREATE_COMPLETE", execution="AVAILABLE", changes=found)

    async def _imported(self, stack: Stack, plan: Plan, change: Change) -> Change:
        """A change as it is where what exists under an explicit name is adopted."""
        kind = self.registry.get(change.type)
        if change.action != "Add" or kind is None:
            return change
        properties = plan.template.resources[change.logical_id].properties
        given, waits = evaluated(plan, properties, {})
        name = given.get(kind.schema.name)
        if waits or not isinstance(name, str):
            return change
        at = await self.context(stack, change.logical_id)
        if await kind.read(at, name, given) is None:
            return change
        owner = await self.journal.owner(change.type, name, stack)
        if owner is not None:
            raise TemplateError(str(owned(name, owner).text))
        return replace(change, action="Import", physical_id=name)

    async def _outputs_differ(self, stack: Stack, plan: Plan) -> bool:
        wanted = {
            key: str(output.get("Description", "")) for key, output in plan.template.outputs.items()
        }
        return wanted != {output.key: output.description for output in stack.outputs}

    async def execute(self, caller: Caller, stack: Stack, change_set: ChangeSet) -> Stack:
        """Begin what a change set says."""
        if change_set.execution != "AVAILABLE":
            raise Invalid(
                f"ChangeSet [{change_set.arn}] cannot be executed in its current status of "
                f"[{change_set.status}]",
                resource="change-set",
                name=change_set.change_set_name,
                reason="status",
            )
        if change_set.kind == "UPDATE":
            _require_stable(stack)
        others = await self.journal.change_sets(stack)
        await self.journal.drop_change_sets(others)
        status = f"{change_set.kind}_IN_PROGRESS"
        return await self._begin(
            stack,
            status,
            caller,
            target=replace(change_set.wanted, imports=change_set.imports),
            change_set=change_set.arn,
            on_failure=change_set.on_failure or "ROLLBACK",
            rollback=change_set.on_failure != "DO_NOTHING",
        )

    # Stacks

    async def create(self, caller: Caller, stack_name: str, wanted: Wanted, **more: Any) -> Stack:
        """CreateStack."""
        _check_name(stack_name)
        stack = await self.journal.stack(caller.scope, stack_name)
        if stack is not None:
            if caller.token and stack.token == caller.token:
                return stack
            raise _exists(stack_name)
        new = replace(self._new(caller, stack_name, "", wanted), **more)
        await self._refused(new, wanted)
        operation = self.randomness.uuid()
        new = replace(
            new,
            status="CREATE_IN_PROGRESS",
            target=wanted,
            operation=operation,
            activity=f"CREATE_STACK/{operation}",
        )
        told = await self.journal.tell(new, new.status, "User Initiated")
        try:
            kept = await self.journal.put_stack(None, new, told)
        except Conflict:
            raise _exists(stack_name) from None
        self.wakeups.wake("stacks")
        return kept

    async def update(self, caller: Caller, stack: Stack, wanted: Wanted, **more: Any) -> Stack:
        """UpdateStack; Invalid with exactly `NO_UPDATES` where nothing would change."""
        _require_stable(stack)
        wanted = _inherited(stack, wanted)
        plan = await self._refused(stack, wanted)
        records = await self.journal.resources(stack)
        unchanged = not changes(plan, self.registry, records)
        if (
            unchanged
            and wanted.tags == stack.current.tags
            and not await self._outputs_differ(stack, plan)
        ):
            raise Invalid(NO_UPDATES, resource="stack", name=stack.stack_name, reason="no-change")
        return await self._begin(stack, "UPDATE_IN_PROGRESS", caller, target=wanted, **more)

    async def delete(
        self, caller: Caller, stack: Stack, retained: Sequence[str], role_arn: str
    ) -> None:
        """DeleteStack."""
        if stack.gone:
            return
        if stack.protected:
            raise Refused(
                f"Stack [{stack.stack_name}] cannot be deleted while TerminationProtection is "
                "enabled",
                resource="stack",
                name=stack.stack_name,
                reason="protected",
            )
        if stack.moving and stack.status != "DELETE_IN_PROGRESS":
            raise _busy(stack, "cannot be deleted while in status")
        await self.check_exports_free(stack, ())
        current = replace(stack.current, role_arn=role_arn or stack.current.role_arn)
        await self._begin(
            stack,
            "DELETE_IN_PROGRESS",
            caller,
            target=None,
            current=current,
            retained=tuple(retained),
        )

    async def roll_back(self, caller: Caller, stack: Stack) -> Stack:
        """RollbackStack and ContinueUpdateRollback."""
        goes = {
            "CREATE_FAILED": "ROLLBACK_IN_PROGRESS",
            "UPDATE_FAILED": "UPDATE_ROLLBACK_IN_PROGRESS",
            "UPDATE_ROLLBACK_FAILED": "UPDATE_ROLLBACK_IN_PROGRESS",
            "ROLLBACK_FAILED": "ROLLBACK_IN_PROGRESS",
        }.get(stack.status)
        if goes is None:
            raise _busy(stack, "is in a state that can't be rolled back:")
        activity = "CONTINUE_ROLLBACK" if stack.status.endswith("ROLLBACK_FAILED") else "ROLLBACK"
        new = replace(
            stack,
            status=goes,
            reason="",
            token=caller.token,
            caller=caller.arn,
            session=caller.session,
            activity=f"{activity}/{self.randomness.uuid()}",
        )
        return await self._put(stack, new)

    async def _begin(self, stack: Stack, status: str, caller: Caller, **more: Any) -> Stack:
        operation = self.randomness.uuid()
        given: dict[str, Any] = {"policy_during": "", "next_policy": "", **more}
        new = replace(
            stack,
            status=status,
            reason="",
            operation=operation,
            activity=f"{status.partition('_')[0]}_STACK/{operation}",
            token=caller.token,
            caller=caller.arn,
            session=caller.session,
            **given,
        )
        return await self._put(stack, new)

    async def _put(self, stack: Stack, new: Stack) -> Stack:
        """Begin an operation; Invalid where another one began in between."""
        told = await self.journal.tell(new, new.status, "User Initiated")
        try:
            kept = await self.journal.put_stack(stack, new, told)
        except Conflict:
            found = await self.journal.stack(stack.scope, stack.arn)
            raise _busy(found or stack, "is in") from None
        self.wakeups.wake("stacks")
        return kept

    async def _refused(self, stack: Stack, wanted: Wanted) -> Plan:
        try:
            plan = await self.plan_of(stack, wanted)
            _check_types_kept(plan, await self.journal.resources(stack))
        except TemplateError as error:
            raise Invalid(str(error), resource="template", reason="template") from None
        _check_capabilities(plan, wanted)
        return plan

    # Plans, exports

    async def plan_of(self, stack: Stack, wanted: Wanted) -> Plan:
        """What a template means for a stack. TemplateError."""
        exports = {
            output.export: output.value
            for other in await self.journal.stacks(stack.scope)
            if not other.gone
            for output in other.outputs
            if output.export
        }
        return make_plan(
            wanted.template,
            opened(wanted.parameters),
            (stack.scope, stack.stack_name, stack.arn),
            self.registry,
            (exports, await self.ssm(stack.scope)),
            wanted.tags,
        )

    async def target_plan(self, stack: Stack) -> Plan:
        """The plan of where a stack goes."""
        assert stack.target is not None
        return await self.plan_of(stack, stack.target)

    async def check_outputs(self, stack: Stack, outputs: tuple[Output, ...]) -> None:
        """TemplateError where an export is another's, or one in use would go."""
        names = [output.export for output in outputs if output.export]
        for other in await self.journal.stacks(stack.scope):
            if other.gone or other.name == stack.name:
                continue
            taken = {output.export for output in other.outputs} & set(names)
            if taken:
                raise TemplateError(
                    f"Export with name {min(taken)} is already exported by stack "
                    f"{other.stack_name}. Rule is that export names must be unique per region."
                )
        try:
            await self.check_exports_free(stack, names)
        except DomainError as error:
            raise TemplateError(error.text or "") from None

    async def check_exports_free(self, stack: Stack, kept: Sequence[str]) -> None:
        """Refused where an export that goes is imported by a stack, which is named."""
        goes = {output.export for output in stack.outputs if output.export} - set(kept)
        users = [
            (export, other.stack_name)
            for other in await self.journal.stacks(stack.scope)
            if not other.gone and other.name != stack.name
            for export in other.imports
            if export in goes
        ]
        if users:
            export = users[0][0]
            names = ", ".join(sorted({name for used, name in users if used == export}))
            raise Refused(
                f"Export {export} cannot be deleted as it is in use by {names}",
                resource="export",
                name=export,
                reason="in-use",
            )

    async def change(self, stack: Stack, **values: Any) -> Stack:
        """Change something of a stack that is no operation."""
        new = replace(stack, **values)
        if new != stack:
            await self.journal.store.apply(Replace(stack, new))
        return new


def missing(name: str, words: str = WITH_ID) -> Invalid:
    """CloudFormation's words for a stack that is not there."""
    return Invalid(words.format(name), resource="stack", name=name, reason="missing")


def _exists(name: str) -> Conflict:
    return Conflict(f"Stack [{name}] already exists", resource="stack", name=name, reason="exists")


def missing_change_set(name: str) -> NotFound:
    """CloudFormation's words for a change set that is not there."""
    return NotFound(f"ChangeSet [{name}] does not exist", resource="change-set", name=name)


def _spent(other: ChangeSet, new: ChangeSet) -> bool:
    """Whether a set gives its name free: it failed within the second of the new one.

    ``aws cloudformation deploy`` names its sets by the second, and leaves one without
    changes lying. CloudFormation's own pace keeps two of a name apart, ours does not.
    """
    return other.status == "FAILED" and new.created_at - other.created_at < _SECOND


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise Invalid(
            "1 validation error detected: Value at 'stackName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*",
            resource="stack",
            name=name,
        )


def _require_stable(stack: Stack) -> None:
    if stack.status not in STABLE:
        raise _busy(stack, "is in")


def _busy(stack: Stack, words: str) -> Invalid:
    return Invalid(
        f"Stack:{stack.arn} {words} {stack.status} state and can not be updated.",
        resource="stack",
        name=stack.stack_name,
        reason="state",
    )


def _inherited(stack: Stack, wanted: Wanted) -> Wanted:
    """A template that was not given is the one that stands."""
    return replace(
        wanted,
        template=wanted.template or stack.current.template,
        role_arn=wanted.role_arn or stack.current.role_arn,
    )


def _check_types_kept(plan: Plan, records: Mapping[str, StackResource]) -> None:
    declared = plan.template.resources
    other = sorted(
        name for name in plan.alive if name in records and records[name].type != declared[name].type
    )
    if other:
        raise TemplateError(
            "Update of resource type is not permitted. The new template modifies resource type of "
            f"the following resources: [{', '.join(other)}]"
        )


def _check_capabilities(plan: Plan, wanted: Wanted) -> None:
    needed = capabilities_needed(plan.template)
    given = set(wanted.capabilities)
    if "CAPABILITY_NAMED_IAM" in given:
        given.add("CAPABILITY_IAM")
    if set(needed) - given:
        raise Limit(
            f"Requires capabilities : [{', '.join(needed)}]",
            resource="capabilities",
            reason="capabilities",
        )
