"""CloudFormation operations: change sets."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from mailstead.api.cloudformation.answers import change_set_shown, change_shown, page, seconds
from mailstead.api.cloudformation.handlers import caller, stack_arns, stacks, wanted_of
from mailstead.api.cloudformation.model import ChangeSet, Stack
from mailstead.api.cloudformation.service import missing_change_set
from mailstead.api.cloudformation.settling import settle
from mailstead.api.operation import Call, operation
from mailstead.mail.errors import Invalid, NotFound
from mailstead.wire.template import TemplateError, parse_template

Params = dict[str, Any]


@operation("cloudformation", "CreateChangeSet", resources=stack_arns)
async def create_change_set(call: Call, p: Params) -> Params:
    kind = str(p.get("ChangeSetType") or "UPDATE")
    if kind not in ("CREATE", "UPDATE"):
        raise Invalid(f"ChangeSetType {kind} is not served by mailstead", resource="change-set")
    stack = await stacks(call).journal.stack(call.scope, p["StackName"])
    wanted = await wanted_of(call, p, stack)
    given = ChangeSet(
        scope=call.scope,
        name="",
        change_set_name=p["ChangeSetName"],
        uuid=call.ports.randomness.uuid(),
        kind=kind,
        status="CREATE_PENDING",
        execution="UNAVAILABLE",
        created_at=call.ports.clock.now(),
        wanted=wanted,
        description=str(p.get("Description", "")),
        token=str(p.get("ClientToken", "")),
        imports=bool(p.get("ImportExistingResources")),
        on_failure=str(p.get("OnStackFailure", "")),
    )
    name = stack.stack_name if stack is not None else p["StackName"]
    owner, made = await stacks(call).create_change_set(caller(call, p), name, given)
    return {"Id": made.arn, "StackId": owner.arn}


async def found(call: Call, p: Params) -> tuple[Stack, ChangeSet]:
    """The change set that a request names: by ARN, or by name within a stack."""
    name = str(p["ChangeSetName"])
    if p.get("StackName"):
        owner = await stacks(call).journal.stack(call.scope, p["StackName"])
        owners = [owner] if owner is not None else []
    else:
        owners = [one for one in await stacks(call).journal.stacks(call.scope) if not one.gone]
    for one in owners:
        for change_set in await stacks(call).journal.change_sets(one):
            if name in (change_set.arn, change_set.change_set_name):
                return one, change_set
    raise missing_change_set(name)


async def owner_arns(call: Call, p: Params) -> list[str]:
    """The stack that IAM is asked about, where a change set may be named by its ARN alone."""
    if not p.get("StackName"):
        with suppress(NotFound):
            return [(await found(call, p))[0].arn]
    return stack_arns(call, p)


@operation("cloudformation", "DescribeChangeSet", resources=owner_arns)
async def describe_change_set(call: Call, p: Params) -> Params:
    stack, change_set = await found(call, p)
    try:
        template = parse_template(change_set.wanted.template)
    except TemplateError:
        template = None
    rows, token = page(change_set.changes, p, 100)
    return {
        **change_set_shown(stack, change_set, template),
        "Changes": [change_shown(one) for one in rows],
        "NextToken": token,
    }


@operation("cloudformation", "ExecuteChangeSet", resources=owner_arns)
async def execute_change_set(call: Call, p: Params) -> None:
    stack, change_set = await found(call, p)
    if p.get("DisableRollback"):
        change_set = replace(change_set, on_failure="DO_NOTHING")
    await stacks(call).execute(caller(call, p), stack, change_set)
    await settle(call, stack.arn)


@operation("cloudformation", "DeleteChangeSet", resources=owner_arns)
async def delete_change_set(call: Call, p: Params) -> None:
    # A client deletes before it creates: a missing one is no error, nor a missing stack.
    if p.get("StackName"):
        owner = await stacks(call).journal.stack(call.scope, p["StackName"])
        if owner is None:
            return
        for one in await stacks(call).journal.change_sets(owner):
            if p["ChangeSetName"] in (one.arn, one.change_set_name):
                await stacks(call).journal.drop_change_sets([one])
        return
    _, change_set = await found(call, p)
    await stacks(call).journal.drop_change_sets([change_set])


@operation("cloudformation", "ListChangeSets", resources=stack_arns)
async def list_change_sets(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    rows, token = page(await stacks(call).journal.change_sets(stack), p, 100)
    return {
        "Summaries": [
            {
                "StackId": stack.arn,
                "StackName": stack.stack_name,
                "ChangeSetId": one.arn,
                "ChangeSetName": one.change_set_name,
                "ExecutionStatus": one.execution,
                "Status": one.status,
                "StatusReason": one.reason,
                "CreationTime": seconds(one.created_at),
                "Description": one.description,
                "ImportExistingResources": one.imports,
            }
            for one in rows
        ],
        "NextToken": token,
    }
