"""SSM operations: Parameter Store."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.api.parameters import (
    Parameter,
    Parameters,
    Put,
    Value,
    arn_of,
    version_of,
)
from mailstead.mail.errors import Invalid, NotFound

Params = dict[str, Any]
PAGE = 10
LARGEST_PAGE = 50


def parameters(call: Call) -> Parameters:
    """What is done with parameters."""
    return call.ports.parameters


def arns(call: Call, p: Params) -> list[str]:
    """The parameters that IAM is asked about."""
    names = p.get("Names") or [p.get("Name") or p.get("ResourceId") or p.get("Path") or "*"]
    return [arn_of(call.scope, str(name)) for name in names]


def shown(parameter: Parameter, value: Value, *, decrypted: bool) -> Params:
    """A parameter with its value; an encrypted one shows its value only when asked to."""
    hidden = value.kind == "SecureString" and not decrypted
    return {
        "Name": parameter.name,
        "Type": value.kind,
        "Value": "AQICAHh" if hidden else value.value.decode(),
        "Version": value.version,
        "LastModifiedDate": value.at / 1000,
        "ARN": parameter.arn,
        "DataType": "text",
    }


def decrypted(call: Call, p: Params, values: Iterable[Value]) -> bool:
    """Whether a call asks for encrypted values; Refused where its caller may not have them."""
    wanted = bool(p.get("WithDecryption"))
    if wanted and any(value.kind == "SecureString" for value in values):
        call.authorise_decryption("alias/aws/ssm")
    return wanted


@operation("ssm", "PutParameter", resources=arns)
async def put_parameter(call: Call, p: Params) -> Params:
    if p.get("Overwrite") and p.get("Tags"):
        raise Invalid(
            "Invalid request: tags and overwrite can't be used together. To create a parameter "
            "with tags, please remove overwrite flag. To update tags for an existing parameter, "
            "please use AddTagsToResource or RemoveTagsFromResource.",
            resource="parameter",
        )
    made = await parameters(call).put(
        call.scope,
        Put(
            p["Name"],
            p["Value"],
            p.get("Type", ""),
            p.get("Description", ""),
            p.get("AllowedPattern", ""),
            bool(p.get("Overwrite")),
            {one["Key"]: one["Value"] for one in p.get("Tags", [])},
            call.principal.arn,
        ),
    )
    return {"Version": made.newest.version, "Tier": "Standard"}


@operation("ssm", "GetParameter", resources=arns)
async def get_parameter(call: Call, p: Params) -> Params:
    parameter, value = await _selected(call, p["Name"])
    return {"Parameter": shown(parameter, value, decrypted=decrypted(call, p, [value]))}


async def _selected(call: Call, name: str) -> tuple[Parameter, Value]:
    """A parameter, and the version that a ``:NUMBER`` at the end asks for."""
    base, colon, version = name.rpartition(":")
    if not colon or name.startswith("arn:"):
        base, version = name, ""
    found = await parameters(call).require(call.scope, base)
    value = version_of(found, version)
    if value is None:
        raise NotFound(
            f"Systems Manager could not find version {version} of {found.name}.",
            resource="version",
            name=name,
        )
    return found, value


@operation("ssm", "GetParameters", resources=arns)
async def get_parameters(call: Call, p: Params) -> Params:
    found: list[Params] = []
    invalid: list[str] = []
    for name in dict.fromkeys(p["Names"]):
        try:
            parameter, value = await _selected(call, name)
        except NotFound:
            invalid.append(name)
            continue
        found.append(shown(parameter, value, decrypted=decrypted(call, p, [value])))
    return {"Parameters": found, "InvalidParameters": invalid}


@operation("ssm", "GetParametersByPath", resources=arns)
async def get_parameters_by_path(call: Call, p: Params) -> Params:
    path = str(p["Path"]).rstrip("/") + "/"
    every = await parameters(call).listed(call.scope, path)
    found = [one for one in every if p.get("Recursive") or "/" not in one.name[len(path) :]]
    rows, token = _page(found, p)
    openly = decrypted(call, p, [one.newest for one in rows])
    return {
        "Parameters": [shown(one, one.newest, decrypted=openly) for one in rows],
        "NextToken": token,
    }


@operation("ssm", "DescribeParameters")
async def describe_parameters(call: Call, p: Params) -> Params:
    found = [
        one
        for one in await parameters(call).listed(call.scope)
        if all(_matches(one, wanted) for wanted in p.get("ParameterFilters", []))
    ]
    rows, token = _page(found, p)
    return {"Parameters": [_described(one) for one in rows], "NextToken": token}


def _matches(parameter: Parameter, wanted: Params) -> bool:
    values: list[str] = wanted.get("Values", [])
    option = wanted.get("Option", "Equals")
    match wanted["Key"]:
        case "Name" if option == "BeginsWith":
            return parameter.name.startswith(tuple(values))
        case "Name" if option == "Contains":
            return any(value in parameter.name for value in values)
        case "Name":
            return parameter.name in values
        case "Type":
            return parameter.newest.kind in values
        case "Path":
            return any(_below(parameter.name, value, option == "Recursive") for value in values)
        case key if str(key).startswith("tag:"):
            tag = parameter.tags.get(str(key).removeprefix("tag:"))
            return tag is not None and (not values or tag in values)
        case key:
            raise Invalid(f"The filter key {key} is not served", resource="filter")


def _below(name: str, path: str, recursive: bool) -> bool:
    start = f"{path.rstrip('/')}/"
    return name.startswith(start) and (recursive or "/" not in name[len(start) :])


def _described(parameter: Parameter) -> Params:
    newest = parameter.newest
    return {
        "Name": parameter.name,
        "ARN": parameter.arn,
        "Type": newest.kind,
        "Description": newest.description or None,
        "AllowedPattern": parameter.pattern or None,
        "KeyId": "alias/aws/ssm" if newest.kind == "SecureString" else None,
        "LastModifiedDate": newest.at / 1000,
        "LastModifiedUser": newest.user or None,
        "Version": newest.version,
        "Tier": "Standard",
        "Policies": [],
        "DataType": "text",
    }


@operation("ssm", "GetParameterHistory", resources=arns)
async def get_parameter_history(call: Call, p: Params) -> Params:
    found = await parameters(call).require(call.scope, p["Name"])
    rows, token = _page(list(found.versions), p)
    openly = decrypted(call, p, rows)
    return {
        "Parameters": [
            {
                **{
                    name: value
                    for name, value in shown(found, one, decrypted=openly).items()
                    if name != "ARN"
                },
                "Description": one.description or None,
                "LastModifiedUser": one.user or None,
                "Tier": "Standard",
                "Policies": [],
            }
            for one in rows
        ],
        "NextToken": token,
    }


@operation("ssm", "DeleteParameter", resources=arns)
async def delete_parameter(call: Call, p: Params) -> None:
    await parameters(call).delete(call.scope, p["Name"])


@operation("ssm", "DeleteParameters", resources=arns)
async def delete_parameters(call: Call, p: Params) -> Params:
    deleted: list[str] = []
    invalid: list[str] = []
    for name in p["Names"]:
        try:
            await parameters(call).delete(call.scope, name)
        except NotFound:
            invalid.append(name)
        else:
            deleted.append(name)
    return {"DeletedParameters": deleted, "InvalidParameters": invalid}


@operation("ssm", "AddTagsToResource", resources=arns)
async def add_tags(call: Call, p: Params) -> None:
    _check_noun(p)
    tags = {one["Key"]: one["Value"] for one in p["Tags"]}
    await parameters(call).tag(call.scope, p["ResourceId"], tags)


@operation("ssm", "RemoveTagsFromResource", resources=arns)
async def remove_tags(call: Call, p: Params) -> None:
    _check_noun(p)
    await parameters(call).untag(call.scope, p["ResourceId"], p["TagKeys"])


@operation("ssm", "ListTagsForResource", resources=arns)
async def list_tags(call: Call, p: Params) -> Params:
    _check_noun(p)
    found = await parameters(call).require(call.scope, p["ResourceId"])
    return {"TagList": [{"Key": key, "Value": value} for key, value in found.tags.items()]}


def _check_noun(p: Params) -> None:
    if p["ResourceType"] != "Parameter":
        raise Invalid(f"Tags of {p['ResourceType']} are not served", resource="resource-type")


def _page(rows: list[Any], p: Params) -> tuple[list[Any], str | None]:
    token = str(p.get("NextToken") or "0")
    if not token.isdecimal():
        raise Invalid("The specified token isn't valid.", resource="token", reason="token")
    start, size = int(token), min(int(p.get("MaxResults") or PAGE), LARGEST_PAGE)
    end = start + size
    return rows[start:end], str(end) if end < len(rows) else None
