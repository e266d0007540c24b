"""CloudFormation operations: what happened, operation by operation; hooks, which there are none of.

An operation is what a call began: a stack's creation, update, deletion or rollback
with all that followed from it, or the making of a change set. Source:
CloudFormation API Reference, DescribeEvents.
"""

from __future__ import annotations

from typing import Any

from mailstead.api.cloudformation.answers import event_shown, page, seconds, without_none
from mailstead.api.cloudformation.change_sets import found, owner_arns
from mailstead.api.cloudformation.handlers import stack_arns, stacks
from mailstead.api.cloudformation.journal import STACK
from mailstead.api.cloudformation.model import ChangeSet, Event, Stack
from mailstead.api.operation import Call, operation
from mailstead.mail.errors import Invalid, NotFound

Params = dict[str, Any]
PAGE = 100
LIMITS = {"ConcurrentResourcesLimit": 2500, "StackLimit": 2000, "StackOutputsLimit": 200}


@operation("cloudformation", "DescribeEvents", resources=stack_arns)
async def describe_events(call: Call, p: Params) -> Params:
    failed = bool((p.get("Filters") or {}).get("FailedEvents"))
    rows, token = page(await _told(call, p, failed=failed), p, PAGE)
    return {"OperationEvents": rows, "NextToken": token}


async def _told(call: Call, p: Params, *, failed: bool) -> list[Params]:
    """The events that a request asks for, newest first."""
    if p.get("ChangeSetName"):
        if not (p.get("StackName") or str(p["ChangeSetName"]).startswith("arn:")):
            raise _nothing_named()
        stack, change_set = await found(call, p)
        # No resource failed, nor a hook: why a change set did is its own status' reason.
        return [] if failed else [_made(stack, change_set)]
    if p.get("StackName"):
        asked = [await stacks(call).require(call.scope, p["StackName"])]
    elif p.get("OperationId"):
        asked = await stacks(call).journal.stacks(call.scope)
    else:
        raise _nothing_named()
    rows: list[Params] = []
    for stack in asked:
        for event in await stacks(call).journal.events(stack):
            of_it = p.get("OperationId") in (None, event.activity.partition("/")[2])
            if of_it and (not failed or _has_failed(event)):
                rows.append(_event(stack, event))
    return rows


def _nothing_named() -> Invalid:
    return Invalid(
        "One of ChangeSetName, OperationId or StackName must be specified", resource="event"
    )


def _has_failed(event: Event) -> bool:
    """Whether an event is a resource's that could not be made, changed or deleted."""
    return event.type != STACK and event.status.endswith("_FAILED")


def _event(stack: Stack, event: Event) -> Params:
    shown = event_shown(stack, event)
    del shown["StackName"]
    return without_none(
        {
            **shown,
            "OperationType": event.activity.partition("/")[0] or None,
            "OperationStatus": _status(event) if event.type == STACK else None,
            "EventType": "PROVISIONING_ERROR" if _has_failed(event) else "STACK_EVENT",
        }
    )


def _status(event: Event) -> str:
    """Where an operation stands after an event of its stack."""
    if event.status.endswith("_IN_PROGRESS"):
        return "IN_PROGRESS"
    undone = "ROLLBACK" in event.status and not event.activity.startswith(("ROLLBACK", "CONTINUE"))
    return "FAILED" if undone or event.status.endswith("_FAILED") else "SUCCEEDED"


def _made(stack: Stack, one: ChangeSet) -> Params:
    """The making of a change set, which ends in the call that asks for it."""
    return without_none(
        {
            "EventId": one.uuid,
            "StackId": stack.arn,
            "OperationId": one.uuid,
            "OperationType": "CREATE_CHANGESET",
            "OperationStatus": "FAILED" if one.status == "FAILED" else "SUCCEEDED",
            "EventType": "STACK_EVENT",
            "LogicalResourceId": stack.stack_name,
            "PhysicalResourceId": stack.arn,
            "ResourceType": STACK,
            "Timestamp": seconds(one.created_at),
            "StartTime": seconds(one.created_at),
            "EndTime": seconds(one.created_at),
            "ResourceStatusReason": one.reason or None,
            "ClientRequestToken": one.token or None,
        }
    )


@operation("cloudformation", "ListHookResults")
async def list_hook_results(call: Call, p: Params) -> Params:
    return without_none(
        {"TargetType": p.get("TargetType"), "TargetId": p.get("TargetId"), "HookResults": []}
    )


@operation("cloudformation", "GetHookResult")
async def get_hook_result(call: Call, p: Params) -> None:
    name = p.get("HookResultId", "")
    raise NotFound(f"Hook result {name} does not exist", resource="hook-result", name=name)


@operation("cloudformation", "DescribeChangeSetHooks", resources=owner_arns)
async def describe_change_set_hooks(call: Call, p: Params) -> Params:
    stack, change_set = await found(call, p)
    return {
        "ChangeSetId": change_set.arn,
        "ChangeSetName": change_set.change_set_name,
        "Hooks": [],
        "Status": "UNAVAILABLE" if change_set.status == "FAILED" else "PLANNED",
        "StackId": stack.arn,
        "StackName": stack.stack_name,
    }


@operation("cloudformation", "DescribeAccountLimits")
async def describe_account_limits(call: Call, p: Params) -> Params:
    return {"AccountLimits": [{"Name": name, "Value": value} for name, value in LIMITS.items()]}
