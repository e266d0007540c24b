"""CloudFormation operations: stacks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from mailstead.api.cloudformation.answers import (
    event_shown,
    page,
    resource_shown,
    stack_shown,
    summary_shown,
)
from mailstead.api.cloudformation.model import Caller, Stack, Wanted, sealed
from mailstead.api.cloudformation.plan import stored_parameters
from mailstead.api.cloudformation.service import BRACKETED, Stacks
from mailstead.api.cloudformation.settling import settle
from mailstead.api.cloudformation.stack_policies import parse_stack_policy
from mailstead.api.cloudformation.summaries import summary_of
from mailstead.api.operation import Call, operation
from mailstead.api.parameters import arn_of
from mailstead.mail.errors import Invalid
from mailstead.wire.template import Template, TemplateError, parse_template

Params = dict[str, Any]
PAGE = 100


def stacks(call: Call) -> Stacks:
    """The operations on stacks."""
    return call.ports.stacks


def caller(call: Call, p: Params) -> Caller:
    """Who asks, with the client's token."""
    token = p.get("ClientRequestToken") or p.get("ClientToken") or ""
    session = call.key_id if call.temporary else ""
    return Caller(call.scope, call.principal.arn, token, session)


def stack_arns(call: Call, p: Params) -> list[str]:
    """The resource that IAM is asked about."""
    name = str(p.get("StackName", "*"))
    if name.startswith("arn:"):
        return [name]
    return [f"arn:aws:cloudformation:{call.scope.region}:{call.scope.account}:stack/{name}/*"]


async def wanted_of(call: Call, p: Params, stack: Stack | None) -> Wanted:
    """Template, parameters, tags, capabilities and role of a request."""
    before = json.loads(bytes(stack.current.parameters)) if stack is not None else {}
    parameters: dict[str, str] = {}
    for one in p.get("Parameters", []):
        key = one["ParameterKey"]
        if one.get("UsePreviousValue"):
            if key in before:
                parameters[key] = before[key]
        elif "ParameterValue" in one:
            parameters[key] = one["ParameterValue"]
    tags = p.get("Tags")
    template = await template_of(call, p, stack)
    _authorise_parameters(call, template, parameters)
    return Wanted(
        template=template,
        parameters=sealed(parameters),
        tags={one["Key"]: one["Value"] for one in tags or []}
        if tags is not None or stack is None
        else stack.current.tags,
        capabilities=tuple(p.get("Capabilities", [])),
        role_arn=await role_of(call, p),
    )


def _authorise_parameters(call: Call, text: str, given: Mapping[str, str]) -> None:
    """Refused for who may not read the parameters of SSM that a template's parameters name."""
    try:
        template = parse_template(text)
    except TemplateError:
        # Refused for its form, where that is looked at.
        return
    for name in stored_parameters(template, given):
        call.authorise("ssm:GetParameters", [arn_of(call.scope, name)])


async def role_of(call: Call, p: Params) -> str:
    """The role that acts, which the caller must be allowed to pass."""
    arn = str(p.get("RoleARN") or "")
    if arn:
        call.authorise(
            "iam:PassRole", [arn], {"iam:PassedToService": "cloudformation.amazonaws.com"}
        )
        await call.ports.roles.require(call.scope.everywhere(), arn, "cloudformation.amazonaws.com")
    return arn


async def template_of(call: Call, p: Params, stack: Stack | None) -> str:
    """The template's text: given, in a bucket of ours, or the one that stands."""
    if p.get("UsePreviousTemplate"):
        return stack.current.template if stack is not None else ""
    if p.get("TemplateBody"):
        return str(p["TemplateBody"])
    if p.get("TemplateURL"):
        return await text_at(call, p["TemplateURL"])
    raise Invalid("Either Template URL or Template Body must be specified.", resource="template")


async def text_at(call: Call, url: str) -> str:
    """The text of an object in a bucket of ours that the caller may read."""
    content = await call.ports.buckets.by_url(call.scope, str(url), call.authorise)
    return content.decode("utf-8", "replace")


async def policy_of(call: Call, p: Params, when: str = "") -> str | None:
    """A stack policy that a request gives; None where it gives none. Invalid where it is none."""
    body, url = p.get(f"StackPolicy{when}Body"), p.get(f"StackPolicy{when}URL")
    if body is not None and url is not None:
        raise Invalid(
            f"You cannot specify both StackPolicy{when}URL and StackPolicy{when}Body",
            resource="stack-policy",
        )
    text = await text_at(call, url) if url is not None else body
    if text is not None:
        parse_stack_policy(text)
    return text


@operation("cloudformation", "CreateStack", resources=stack_arns)
async def create_stack(call: Call, p: Params) -> Params:
    wanted = await wanted_of(call, p, None)
    on_failure = p.get("OnFailure") or ("DO_NOTHING" if p.get("DisableRollback") else "ROLLBACK")
    stack = await stacks(call).create(
        caller(call, p),
        p["StackName"],
        wanted,
        on_failure=on_failure,
        rollback=on_failure != "DO_NOTHING",
        protected=bool(p.get("EnableTerminationProtection")),
        policy=await policy_of(call, p) or "",
    )
    await settle(call, stack.arn)
    return {"StackId": stack.arn, "OperationId": stack.operation}


@operation("cloudformation", "UpdateStack", resources=stack_arns)
async def update_stack(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"], BRACKETED)
    wanted = await wanted_of(call, p, stack)
    changed = await stacks(call).update(
        caller(call, p),
        stack,
        wanted,
        rollback=not p.get("DisableRollback", False),
        next_policy=await policy_of(call, p) or "",
        policy_during=await policy_of(call, p, "DuringUpdate") or "",
    )
    await settle(call, changed.arn)
    return {"StackId": changed.arn, "OperationId": changed.operation}


@operation("cloudformation", "DeleteStack", resources=stack_arns)
async def delete_stack(call: Call, p: Params) -> None:
    stack = await stacks(call).journal.stack(call.scope, p["StackName"])
    if stack is not None:
        role = await role_of(call, p)
        await stacks(call).delete(caller(call, p), stack, p.get("RetainResources", []), role)
        await settle(call, stack.arn)


@operation("cloudformation", "RollbackStack", resources=stack_arns)
async def rollback_stack(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    begun = await stacks(call).roll_back(caller(call, p), stack)
    await settle(call, begun.arn)
    return {"StackId": begun.arn, "OperationId": begun.activity.partition("/")[2]}


@operation("cloudformation", "ContinueUpdateRollback", resources=stack_arns)
async def continue_update_rollback(call: Call, p: Params) -> None:
    stack = await stacks(call).require(call.scope, p["StackName"])
    await stacks(call).roll_back(caller(call, p), stack)
    await settle(call, stack.arn)


@operation("cloudformation", "DescribeStacks", resources=stack_arns)
async def describe_stacks(call: Call, p: Params) -> Params:
    if p.get("StackName"):
        found = [await stacks(call).require(call.scope, p["StackName"])]
    else:
        every = await stacks(call).journal.stacks(call.scope)
        found = sorted((one for one in every if not one.gone), key=lambda one: -one.created_at)
    rows, token = page(found, p, PAGE)
    return {"Stacks": [stack_shown(one, _masked(one)) for one in rows], "NextToken": token}


def _masked(stack: Stack) -> Template | None:
    text = _text_of(stack)
    return parse_template(text) if text else None


def _text_of(stack: Stack) -> str:
    return stack.current.template or (stack.target.template if stack.target else "")


@operation("cloudformation", "ListStacks")
async def list_stacks(call: Call, p: Params) -> Params:
    wanted = set(p.get("StackStatusFilter", []))
    every = await stacks(call).journal.stacks(call.scope)
    found = [one for one in every if not wanted or one.status in wanted]
    rows, token = page(sorted(found, key=lambda one: -one.created_at), p, PAGE)
    return {
        "StackSummaries": [summary_shown(one, _masked(one)) for one in rows],
        "NextToken": token,
    }


@operation("cloudformation", "DescribeStackEvents", resources=stack_arns)
async def describe_stack_events(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"], BRACKETED)
    rows, token = page(await stacks(call).journal.events(stack), p, PAGE)
    return {"StackEvents": [event_shown(stack, one) for one in rows], "NextToken": token}


@operation("cloudformation", "DescribeStackResources", resources=stack_arns)
async def describe_stack_resources(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    records = await stacks(call).journal.resources(stack)
    logical = p.get("LogicalResourceId")
    return {
        "StackResources": [
            resource_shown(stack, one, "Timestamp")
            for one in records.values()
            if logical in (None, one.logical_id)
        ]
    }


@operation("cloudformation", "DescribeStackResource", resources=stack_arns)
async def describe_stack_resource(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"], "Stack '{}' does not exist")
    record = (await stacks(call).journal.resources(stack)).get(p["LogicalResourceId"])
    if record is None:
        raise Invalid(
            f"Resource {p['LogicalResourceId']} does not exist for stack {stack.stack_name}",
            resource="stack",
        )
    return {"StackResourceDetail": resource_shown(stack, record, "LastUpdatedTimestamp")}


@operation("cloudformation", "ListStackResources", resources=stack_arns)
async def list_stack_resources(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    records = list((await stacks(call).journal.resources(stack)).values())
    rows, token = page(records, p, PAGE)
    shown = [resource_shown(stack, one, "LastUpdatedTimestamp") for one in rows]
    for one in shown:
        del one["StackName"], one["StackId"]
    return {"StackResourceSummaries": shown, "NextToken": token}


@operation("cloudformation", "GetTemplate", resources=stack_arns)
async def get_template(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    return {"TemplateBody": _text_of(stack), "StagesAvailable": ["Original", "Processed"]}


@operation("cloudformation", "GetTemplateSummary")
async def get_template_summary(call: Call, p: Params) -> Params:
    if p.get("StackName"):
        stack = await stacks(call).require(call.scope, p["StackName"])
        text = _text_of(stack)
    else:
        text = await template_of(call, p, None)
    return drop(summary_of(text))


@operation("cloudformation", "ValidateTemplate")
async def validate_template(call: Call, p: Params) -> Params:
    summary = summary_of(await template_of(call, p, None))
    for one in cast("list[Params]", summary["Parameters"]):
        one.pop("ParameterType", None)
    names = ("Description", "Parameters", "Capabilities", "DeclaredTransforms")
    return drop({name: summary[name] for name in names})


@operation("cloudformation", "UpdateTerminationProtection", resources=stack_arns)
async def update_termination_protection(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    await stacks(call).change(stack, protected=bool(p["EnableTerminationProtection"]))
    return {"StackId": stack.arn}


@operation("cloudformation", "SetStackPolicy", resources=stack_arns)
async def set_stack_policy(call: Call, p: Params) -> None:
    stack = await stacks(call).require(call.scope, p["StackName"])
    await stacks(call).change(stack, policy=await policy_of(call, p) or "")


@operation("cloudformation", "GetStackPolicy", resources=stack_arns)
async def get_stack_policy(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    return {"StackPolicyBody": stack.policy} if stack.policy else {}


@operation("cloudformation", "ListExports")
async def list_exports(call: Call, p: Params) -> Params:
    found = [
        {"ExportingStackId": one.arn, "Name": output.export, "Value": output.value}
        for one in await stacks(call).journal.stacks(call.scope)
        if not one.gone
        for output in one.outputs
        if output.export
    ]
    rows, token = page(sorted(found, key=lambda one: one["Name"]), p, PAGE)
    return {"Exports": rows, "NextToken": token}


@operation("cloudformation", "ListImports")
async def list_imports(call: Call, p: Params) -> Params:
    names = [
        one.stack_name
        for one in await stacks(call).journal.stacks(call.scope)
        if not one.gone and p["ExportName"] in one.imports
    ]
    if not names:
        raise Invalid(
            f"Export '{p['ExportName']}' is not imported by any stack.", resource="export"
        )
    return {"Imports": sorted(names)}


def drop(values: Params) -> Params:
    """Without the members that are None."""
    return {name: value for name, value in values.items() if value is not None}
