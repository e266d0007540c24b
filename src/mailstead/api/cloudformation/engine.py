"""The engine: brings a stack from where it is to where it should be, or back.

Where an operation stands is in the store: the stack's status says which part is
running, each resource says under which operation it was last changed. So `run`
can be called again after a restart: what is done is passed over, what was begun
is done again (every action may be repeated), and the rest follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mailstead.api.cloudformation.actions import Actions
from mailstead.api.cloudformation.intrinsics import Attributes
from mailstead.api.cloudformation.journal import Journal
from mailstead.api.cloudformation.model import Output, Stack, StackResource, opened
from mailstead.api.cloudformation.plan import Plan
from mailstead.wire.template import TemplateError

log = logging.getLogger("mailstead.cloudformation")

CLEANUP = "_COMPLETE_CLEANUP_IN_PROGRESS"


@dataclass(frozen=True, slots=True)
class Engine:
    """Runs operations on stacks."""

    journal: Journal
    actions: Actions
    plan: Callable[[Stack], Awaitable[Plan]]
    """The plan of where a stack goes."""
    check_outputs: Callable[[Stack, tuple[Output, ...]], Awaitable[None]]
    """Refuses exports that are taken, or taken away while in use: TemplateError."""

    async def run(self, stack: Stack) -> Stack:
        """Go on until the stack stands still."""
        while stack.moving:
            phase = _PHASES[stack.status]
            stack = await phase(self, stack)
        return stack

    async def _move(self, stack: Stack, status: str, reason: str = "", **changes: Any) -> Stack:
        event = await self.journal.tell(stack, status, reason)
        new = replace(stack, status=status, reason=reason, **changes)
        return await self.journal.put_stack(stack, new, event)

    # Forward

    async def forward(self, stack: Stack) -> Stack:
        """Create and update what the template wants."""
        try:
            plan = await self.plan(stack)
            failed = await self.actions.check_removals(stack, plan)
            failed = failed or await self._waves(stack, plan)
            if failed:
                return await self._failed(
                    stack,
                    f"The following resource(s) failed to {_verb(stack)}: "
                    f"[{', '.join(sorted(failed))}]. ",
                )
            records = await self.journal.resources(stack)
            outputs = self._outputs(plan, records)
            await self.check_outputs(stack, outputs)
        except TemplateError as error:
            return await self._failed(stack, str(error))
        assert stack.target is not None
        creating = stack.status == "CREATE_IN_PROGRESS"
        return await self._move(
            stack,
            "CREATE_COMPLETE" if creating else f"UPDATE{CLEANUP}",
            target=None,
            current=stack.target,
            policy=stack.next_policy or stack.policy,
            outputs=outputs,
            imports=_imports(plan),
        )

    async def _waves(self, stack: Stack, plan: Plan) -> list[str]:
        """Bring every resource there, those that need nothing open side by side."""
        while True:
            records = await self.journal.resources(stack)
            done = {name for name in plan.alive if _is_done(records.get(name), stack)}
            failed = [
                name
                for name, record in records.items()
                if record.operation == stack.operation and record.status.endswith("_FAILED")
            ]
            if failed or done == set(plan.alive):
                return failed
            ready = [name for name in plan.alive - done if plan.needs[name] <= done]
            known = {name: attributes_of(records[name]) for name in done}
            async with asyncio.TaskGroup() as group:
                for name in sorted(ready):
                    group.create_task(
                        self.actions.bring(stack, plan, name, records.get(name), known)
                    )

    async def _failed(self, stack: Stack, reason: str) -> Stack:
        if not stack.rollback:
            return await self._move(stack, f"{_kind(stack)}_FAILED", reason)
        if stack.status == "CREATE_IN_PROGRESS":
            if stack.on_failure == "DELETE":
                return await self._move(stack, "DELETE_IN_PROGRESS", reason)
            return await self._move(
                stack, "ROLLBACK_IN_PROGRESS", f"{reason}Rollback requested by user."
            )
        return await self._move(stack, "UPDATE_ROLLBACK_IN_PROGRESS", reason)

    # Back

    async def back(self, stack: Stack) -> Stack:
        """Undo what the operation did, the last first."""
        records = await self.journal.resources(stack)
        touched = [one for one in records.values() if one.operation == stack.operation]
        for record in sorted(touched, key=lambda one: one.place, reverse=True):
            problem = await self.actions.undo(stack, record)
            if problem:
                kind = "UPDATE_ROLLBACK" if "UPDATE" in stack.status else "ROLLBACK"
                return await self._move(stack, f"{kind}_FAILED", problem)
        if stack.status == "ROLLBACK_IN_PROGRESS":
            # What was asked for stays to be shown: GetTemplate, GetTemplateSummary.
            asked = stack.target or stack.current
            return await self._move(stack, "ROLLBACK_COMPLETE", target=None, current=asked)
        return await self._move(stack, f"UPDATE_ROLLBACK{CLEANUP}")

    async def end_back(self, stack: Stack) -> Stack:
        """Nothing of the old was deleted yet, so nothing is left to do."""
        return await self._move(stack, "UPDATE_ROLLBACK_COMPLETE", target=None)

    # Cleanup and deletion

    async def clean_up(self, stack: Stack) -> Stack:
        """Delete what the new template does not want, and what was replaced."""
        records = await self.journal.resources(stack)
        for record in sorted(records.values(), key=lambda one: one.place, reverse=True):
            if record.operation == stack.operation and record.replaced:
                await self.actions.delete_replaced(stack, record)
        unwanted = {
            name: record for name, record in records.items() if record.operation != stack.operation
        }
        await self._delete(stack, unwanted)
        return await self._move(stack, "UPDATE_COMPLETE")

    async def delete(self, stack: Stack) -> Stack:
        """Delete every resource, then the stack."""
        records = await self.journal.resources(stack)
        kept = await self._delete(stack, records)
        if kept:
            names = ", ".join(sorted(kept))
            return await self._move(
                stack, "DELETE_FAILED", f"The following resource(s) failed to delete: [{names}]. "
            )
        await self.journal.drop_change_sets(await self.journal.change_sets(stack))
        return await self._move(
            stack,
            "DELETE_COMPLETE",
            target=None,
            deleted_at=self.journal.clock.now(),
            outputs=(),
            imports=(),
        )

    async def _delete(self, stack: Stack, records: Mapping[str, StackResource]) -> list[str]:
        """Delete, those that nothing left needs first; the names that could not be."""
        left = dict(records)
        failed: list[str] = []
        while left:
            needed = {need for one in left.values() for need in one.needs if one.logical_id != need}
            ready = [name for name in left if name not in needed] or list(left)
            async with asyncio.TaskGroup() as group:
                tasks = {
                    name: group.create_task(self.actions.remove(stack, left[name]))
                    for name in sorted(ready)
                }
            failed += [name for name, task in tasks.items() if not task.result()]
            for name in ready:
                del left[name]
            if failed and stack.status == "DELETE_IN_PROGRESS":
                # What a failed one needs must stay.
                break
        return failed

    def _outputs(self, plan: Plan, records: Mapping[str, StackResource]) -> tuple[Output, ...]:
        known = {name: attributes_of(record) for name, record in records.items()}
        evaluator = plan.with_resources(known)
        found: list[Output] = []
        for key, declared in plan.template.outputs.items():
            condition = declared.get("Condition")
            if condition and not evaluator.condition(condition):
                continue
            export = declared.get("Export") or {}
            found.append(
                Output(
                    key,
                    str(evaluator.evaluate(declared["Value"])),
                    str(declared.get("Description", "")),
                    str(evaluator.evaluate(export.get("Name", ""))),
                )
            )
        return tuple(found)


def attributes_of(record: StackResource) -> Attributes:
    """What Ref and GetAtt give of a resource."""
    values = opened(record.attributes)
    return Attributes(str(values.get("Ref", record.physical_id)), values)


def _is_done(record: StackResource | None, stack: Stack) -> bool:
    return (
        record is not None
        and record.operation == stack.operation
        and record.status.endswith("_COMPLETE")
    )


def _imports(plan: Plan) -> tuple[str, ...]:
    """The exports that a template uses."""
    found: set[str] = set()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            for name, argument in value.items():
                if name == "Fn::ImportValue":
                    found.add(str(plan.evaluator.evaluate(argument)))
                look(argument)
        elif isinstance(value, list):
            for one in value:
                look(one)

    for name in plan.alive:
        look(plan.template.resources[name].properties)
    return tuple(sorted(found))


def _kind(stack: Stack) -> str:
    return "CREATE" if stack.status.startswith("CREATE") else "UPDATE"


def _verb(stack: Stack) -> str:
    return _kind(stack).lower()


_PHASES: dict[str, Callable[[Engine, Stack], Awaitable[Stack]]] = {
    "CREATE_IN_PROGRESS": Engine.forward,
    "UPDATE_IN_PROGRESS": Engine.forward,
    "ROLLBACK_IN_PROGRESS": Engine.back,
    "UPDATE_ROLLBACK_IN_PROGRESS": Engine.back,
    f"UPDATE{CLEANUP}": Engine.clean_up,
    f"UPDATE_ROLLBACK{CLEANUP}": Engine.end_back,
    "DELETE_IN_PROGRESS": Engine.delete,
}
