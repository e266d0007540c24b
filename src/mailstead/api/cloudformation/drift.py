"""CloudFormation operations: drift, what is really there against what the stack says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from mailstead.api.cloudformation.answers import hidden_values, masked, seconds, without_none
from mailstead.api.cloudformation.handlers import stack_arns, stacks
from mailstead.api.cloudformation.model import Stack, StackResource, opened
from mailstead.api.cloudformation.resources import ResourceType, canonical
from mailstead.api.operation import Call, operation
from mailstead.api.parameters import arn_of
from mailstead.mail.errors import Invalid, Refused
from mailstead.mail.model import Scope
from mailstead.mail.ports import Create

Params = dict[str, Any]

_READS: dict[str, tuple[str, Callable[[Scope, str], str]]] = {
    "AWS::IAM::ManagedPolicy": ("iam:GetPolicyVersion", lambda _, arn: arn),
    "AWS::IAM::Role": ("iam:GetRole", lambda at, name: f"arn:aws:iam::{at.account}:role/{name}"),
    "AWS::IAM::User": ("iam:GetUser", lambda at, name: f"arn:aws:iam::{at.account}:user/{name}"),
    "AWS::SES::EmailIdentity": (
        "ses:GetEmailIdentity",
        lambda at, name: f"arn:aws:ses:{at.region}:{at.account}:identity/{name}",
    ),
    "AWS::SSM::Parameter": ("ssm:GetParameters", arn_of),
}
"""What the caller must be allowed, to be shown what a resource is now: (action, its ARN)."""


@dataclass(frozen=True, slots=True)
class Detection:
    """One look at a stack's drift, by its id."""

    KIND: ClassVar[str] = "drift-detection"
    scope: Scope
    name: str
    stack: str
    status: str
    drifted: int
    at: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One property that is not what the stack says."""

    path: str
    expected: Any
    actual: Any

    @property
    def kind(self) -> str:
        """How it differs."""
        if self.actual is None:
            return "REMOVE"
        return "ADD" if self.expected is None else "NOT_EQUAL"


@operation("cloudformation", "DetectStackDrift", resources=stack_arns)
async def detect_stack_drift(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    wanted = set(p.get("LogicalResourceIds", []))
    drifted = 0
    for record in (await stacks(call).journal.resources(stack)).values():
        if wanted and record.logical_id not in wanted:
            continue
        status, _, _ = await looked(call, stack, record)
        drifted += status in ("MODIFIED", "DELETED")
    now = call.ports.clock.now()
    overall = "DRIFTED" if drifted else "IN_SYNC"
    await stacks(call).change(stack, drift=overall, drift_at=now)
    found = Detection(call.scope, call.ports.randomness.uuid(), stack.name, overall, drifted, now)
    await call.ports.store.apply(Create(found))
    return {"StackDriftDetectionId": found.name}


@operation("cloudformation", "DescribeStackDriftDetectionStatus")
async def describe_drift_detection(call: Call, p: Params) -> Params:
    name = p["StackDriftDetectionId"]
    found = await call.ports.store.get(Detection, call.scope, name)
    if found is None:
        raise Invalid(f"DetectionId {name} does not exist", resource="detection", name=name)
    arn = f"arn:aws:cloudformation:{call.scope.region}:{call.scope.account}:stack/{found.stack}"
    return {
        "StackId": arn,
        "StackDriftDetectionId": found.name,
        "StackDriftStatus": found.status,
        "DetectionStatus": "DETECTION_COMPLETE",
        "DriftedStackResourceCount": found.drifted,
        "Timestamp": seconds(found.at),
    }


@operation("cloudformation", "DescribeStackResourceDrifts", resources=stack_arns)
async def describe_resource_drifts(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    wanted = set(p.get("StackResourceDriftStatusFilters", []))
    rows: list[Params] = []
    for record in (await stacks(call).journal.resources(stack)).values():
        if record.drift == "NOT_CHECKED":
            continue
        shown = await _shown(call, stack, record)
        if not wanted or shown["StackResourceDriftStatus"] in wanted:
            rows.append(shown)
    return {"StackResourceDrifts": rows}


@operation("cloudformation", "DetectStackResourceDrift", resources=stack_arns)
async def detect_resource_drift(call: Call, p: Params) -> Params:
    stack = await stacks(call).require(call.scope, p["StackName"])
    record = (await stacks(call).journal.resources(stack)).get(p["LogicalResourceId"])
    if record is None:
        raise Invalid(
            f"Resource {p['LogicalResourceId']} does not exist for stack {stack.stack_name}",
            resource="stack",
        )
    return {"StackResourceDrift": await _shown(call, stack, record)}


async def looked(
    call: Call, stack: Stack, record: StackResource
) -> tuple[str, list[Difference], Mapping[str, Any] | None]:
    """Look at what is there, and keep what was seen: status, differences, actual properties.

    The status is UNKNOWN where the caller may not look.
    """
    kind = stacks(call).registry.get(record.type)
    now = call.ports.clock.now()
    if kind is None:
        return "NOT_CHECKED", [], None
    if record.type in _READS:
        action, arn_by = _READS[record.type]
        arn = opened(record.attributes).get("Arn") or arn_by(stack.scope, record.physical_id)
        try:
            call.authorise(action, [str(arn)])
        except Refused:
            return "UNKNOWN", [], None
    context = await stacks(call).context(stack, record.logical_id)
    actual = await kind.read(context, record.physical_id, opened(record.properties))
    found = differences(kind, opened(record.properties), actual)
    status = "DELETED" if actual is None else "MODIFIED" if found else "IN_SYNC"
    await stacks(call).journal.put_resource(record, replace(record, drift=status, drift_at=now))
    return status, found, actual


def differences(
    kind: ResourceType, expected: Mapping[str, Any], actual: Mapping[str, Any] | None
) -> list[Difference]:
    """Properties that the stack sets and that are different; those it does not set are free."""
    if actual is None:
        return []
    found: list[Difference] = []
    for name, value in expected.items():
        if name in kind.schema.recorded or _hidden(kind, name):
            continue
        _compare(f"/{name}", value, actual.get(name), found)
    return found


def _hidden(kind: ResourceType, name: str) -> bool:
    return any(secret.split(".")[0] == name for secret in kind.schema.secret)


def _compare(path: str, expected: Any, actual: Any, found: list[Difference]) -> None:
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name, value in cast("dict[str, Any]", expected).items():
            _compare(f"{path}/{name}", value, cast("dict[str, Any]", actual).get(name), found)
        return
    if _plain(expected) != _plain(actual):
        found.append(Difference(path, expected, actual))


def _plain(value: Any) -> Any:
    plain = canonical(value)
    if isinstance(plain, list):
        return sorted(cast("list[Any]", plain), key=lambda one: json.dumps(one, sort_keys=True))
    return plain


async def _shown(call: Call, stack: Stack, record: StackResource) -> Params:
    status, found, actual = await looked(call, stack, record)
    hidden = hidden_values(stack)
    expected = masked(opened(record.properties), hidden)
    actual = masked(actual, hidden)
    return without_none(
        {
            "StackId": stack.arn,
            "LogicalResourceId": record.logical_id,
            "PhysicalResourceId": record.physical_id,
            "ResourceType": record.type,
            "ExpectedProperties": _text(call, record, expected),
            "ActualProperties": _text(call, record, actual) if actual is not None else None,
            "PropertyDifferences": [
                {
                    "PropertyPath": one.path,
                    "ExpectedValue": _value(masked(one.expected, hidden)),
                    "ActualValue": _value(masked(one.actual, hidden)),
                    "DifferenceType": one.kind,
                }
                for one in found
            ],
            "StackResourceDriftStatus": status,
            "Timestamp": seconds(call.ports.clock.now()),
        }
    )


def _text(call: Call, record: StackResource, properties: Mapping[str, Any]) -> str:
    kind = stacks(call).registry.get(record.type)
    shown = {
        name: value for name, value in properties.items() if kind is None or not _hidden(kind, name)
    }
    return json.dumps(shown, sort_keys=True)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
