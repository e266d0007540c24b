"""Stacks, resources, events and change sets as the API shows them. Secrets stay hidden."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

from mailstead.api.cloudformation.model import (
    Change,
    ChangeSet,
    Event,
    Stack,
    StackResource,
    Wanted,
    opened,
)
from mailstead.mail.errors import Invalid
from mailstead.wire.template import Template, parse_template

T = TypeVar("T")
MASK = "****"


def page(rows: Sequence[T], p: Mapping[str, Any], size: int) -> tuple[list[T], str | None]:
    """One page and the token of the next."""
    token = p.get("NextToken")
    if token is not None and not str(token).isdecimal():
        raise Invalid("The NextToken is not valid.", resource="token")
    start = int(token or 0)
    size = int(p.get("MaxResults") or size)
    end = start + size
    return list(rows[start:end]), str(end) if end < len(rows) else None


def seconds(milliseconds: int) -> float | None:
    """A time as the model has it."""
    return milliseconds / 1000 if milliseconds else None


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without members that are None."""
    return {name: value for name, value in values.items() if value is not None}


def parameters_shown(wanted: Wanted, template: Template | None) -> list[dict[str, Any]]:
    """Every parameter with its value; NoEcho masked."""
    given = cast("dict[str, str]", opened(wanted.parameters))
    shown: list[dict[str, Any]] = []
    for name, declared in (template.parameters if template is not None else {}).items():
        value = given.get(name, declared.get("Default", ""))
        hidden = _is_hidden(declared)
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        shown.append({"ParameterKey": name, "ParameterValue": MASK if hidden else text})
    return shown


def _is_hidden(declared: Mapping[str, Any]) -> bool:
    return str(declared.get("NoEcho", "")).lower() == "true"


def hidden_values(stack: Stack) -> tuple[str, ...]:
    """The values of a stack's NoEcho parameters, the longest first."""
    wanted = stack.current
    given = cast("dict[str, str]", opened(wanted.parameters))
    declared = parse_template(wanted.template).parameters if wanted.template else {}
    values = {
        str(given.get(name, one.get("Default", "")))
        for name, one in declared.items()
        if _is_hidden(one)
    }
    return tuple(sorted(values - {""}, key=len, reverse=True))


def masked(value: Any, hidden: Sequence[str]) -> Any:
    """A value with whatever is hidden masked in its texts."""
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
        return {name: masked(one, hidden) for name, one in given.items()}
    if isinstance(value, list):
        return [masked(one, hidden) for one in cast("list[Any]", value)]
    if isinstance(value, str):
        for one in hidden:
            value = value.replace(one, MASK)
    return value


def stack_shown(stack: Stack, template: Template | None) -> dict[str, Any]:
    """DescribeStacks' row."""
    wanted = stack.target or stack.current
    return without_none(
        {
            "StackId": stack.arn,
            "StackName": stack.stack_name,
            "ChangeSetId": stack.change_set or None,
            "Description": (template.description or None) if template else None,
            "Parameters": parameters_shown(wanted, template),
            "CreationTime": seconds(stack.created_at),
            "LastUpdatedTime": seconds(stack.updated_at)
            if stack.status.startswith("UPDATE")
            else None,
            "DeletionTime": seconds(stack.deleted_at),
            "RollbackConfiguration": {},
            "StackStatus": stack.status,
            "StackStatusReason": stack.reason or None,
            "DisableRollback": not stack.rollback,
            "NotificationARNs": [],
            "Capabilities": list(wanted.capabilities) or None,
            "Outputs": [
                without_none(
                    {
                        "OutputKey": one.key,
                        "OutputValue": one.value,
                        "Description": one.description or None,
                        "ExportName": one.export or None,
                    }
                )
                for one in stack.outputs
            ],
            "RoleARN": wanted.role_arn or None,
            "Tags": [{"Key": key, "Value": value} for key, value in wanted.tags.items()],
            "EnableTerminationProtection": stack.protected,
            "DriftInformation": _drift(stack),
        }
    )


def _drift(stack: Stack) -> dict[str, Any]:
    return without_none(
        {"StackDriftStatus": stack.drift, "LastCheckTimestamp": seconds(stack.drift_at)}
    )


def summary_shown(stack: Stack, template: Template | None) -> dict[str, Any]:
    """ListStacks' row."""
    return without_none(
        {
            "StackId": stack.arn,
            "StackName": stack.stack_name,
            "TemplateDescription": (template.description or None) if template else None,
            "CreationTime": seconds(stack.created_at),
            "DeletionTime": seconds(stack.deleted_at),
            "StackStatus": stack.status,
            "StackStatusReason": stack.reason or None,
            "DriftInformation": _drift(stack),
        }
    )


def resource_shown(stack: Stack, record: StackResource, time: str) -> dict[str, Any]:
    """A resource; ``time`` is the member that its time has in this answer."""
    return without_none(
        {
            "StackName": stack.stack_name,
            "StackId": stack.arn,
            "LogicalResourceId": record.logical_id,
            "PhysicalResourceId": record.physical_id or None,
            "ResourceType": record.type,
            time: seconds(record.updated_at),
            "ResourceStatus": record.status,
            "ResourceStatusReason": record.reason or None,
            "DriftInformation": without_none(
                {
                    "StackResourceDriftStatus": record.drift,
                    "LastCheckTimestamp": seconds(record.drift_at),
                }
            ),
        }
    )


def event_shown(stack: Stack, event: Event) -> dict[str, Any]:
    """An event, as both DescribeStackEvents and DescribeEvents tell it."""
    return without_none(
        {
            "StackId": stack.arn,
            "EventId": event.event_id,
            "StackName": stack.stack_name,
            "OperationId": event.activity.partition("/")[2] or None,
            "LogicalResourceId": event.logical_id,
            "PhysicalResourceId": event.physical_id,
            "ResourceType": event.type,
            "Timestamp": seconds(event.at),
            "ResourceStatus": event.status,
            "ResourceStatusReason": event.reason or None,
            "ClientRequestToken": event.token or None,
        }
    )


def change_shown(change: Change) -> dict[str, Any]:
    """A change."""
    shown: dict[str, Any] = {
        "Action": change.action,
        "LogicalResourceId": change.logical_id,
        "ResourceType": change.type,
        "Scope": list(change.scope),
        "Details": [
            {
                "Target": {
                    "Attribute": "Tags" if name == "Tags" else "Properties",
                    "Name": name,
                    "RequiresRecreation": recreation,
                },
                "Evaluation": "Dynamic" if recreation == "Conditionally" else "Static",
                "ChangeSource": "DirectModification",
            }
            for name, recreation in change.details
        ],
    }
    if change.physical_id:
        shown["PhysicalResourceId"] = change.physical_id
    if change.replacement:
        shown["Replacement"] = change.replacement
    return {"Type": "Resource", "ResourceChange": shown}


def change_set_shown(stack: Stack, one: ChangeSet, template: Template | None) -> dict[str, Any]:
    """DescribeChangeSet's answer without its changes."""
    return without_none(
        {
            "ChangeSetName": one.change_set_name,
            "ChangeSetId": one.arn,
            "StackId": stack.arn,
            "StackName": stack.stack_name,
            "Description": one.description or None,
            "Parameters": parameters_shown(one.wanted, template),
            "CreationTime": seconds(one.created_at),
            "ExecutionStatus": one.execution,
            "Status": one.status,
            "StatusReason": one.reason or None,
            "NotificationARNs": [],
            "RollbackConfiguration": {},
            "Capabilities": list(one.wanted.capabilities),
            "Tags": [{"Key": key, "Value": value} for key, value in one.wanted.tags.items()],
            "IncludeNestedStacks": False,
            "ImportExistingResources": one.imports,
        }
    )
