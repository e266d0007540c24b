"""``AWS::SSM::Parameter``."""

from __future__ import annotations

from typing import ClassVar

from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
    tags_of,
)
from mailstead.api.parameters import Parameter, Put
from mailstead.mail.errors import Conflict, Invalid

KINDS = ("String", "StringList")


class SsmParameter:
    """A parameter; a SecureString can't be made by a template, as CloudFormation has it."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::SSM::Parameter",
        properties={
            "AllowedPattern": None,
            "DataType": None,
            "Description": None,
            "Name": None,
            "Policies": None,
            "Tags": ANY,
            "Tier": None,
            "Type": None,
            "Value": None,
        },
        required=("Type", "Value"),
        create_only=("Name",),
        attributes=("Type", "Value"),
        name="Name",
        recorded=("Tier",),
        refused=("DataType", "Policies"),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        at.authorise("ssm:PutParameter", Parameter(at.scope, name, ()).arn)
        _check_kind(at, given)
        try:
            made = await at.ports.parameters.put(at.scope, _asked(name, given))
        except Conflict:
            if not (at.resuming or at.importing):
                raise
            return await self.update(at, name, {}, given)
        return _made(made)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        at.authorise("ssm:PutParameter", Parameter(at.scope, physical_id, ()).arn)
        parameters = at.ports.parameters
        made = await parameters.require(at.scope, physical_id)
        _check_kind(at, new)
        newest = made.newest
        stands = (newest.value.decode(), newest.kind, newest.description, made.pattern)
        wanted = (
            str(new["Value"]),
            new["Type"],
            # What PutParameter is not given stays.
            new.get("Description", newest.description),
            new.get("AllowedPattern", made.pattern),
        )
        if stands != wanted:
            made = await parameters.put(at.scope, _asked(physical_id, new, overwrite=True))
        await parameters.untag(at.scope, physical_id, set(tags_of(old)) - set(tags_of(new)))
        await parameters.tag(at.scope, physical_id, tags_of(new))
        return _made(made)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("ssm:DeleteParameter", Parameter(at.scope, physical_id, ()).arn)
        if await at.ports.parameters.get(at.scope, physical_id) is not None:
            await at.ports.parameters.delete(at.scope, physical_id)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        found = await at.ports.parameters.get(at.scope, physical_id)
        if found is None:
            return None
        actual = dict(given) | {"Type": found.newest.kind, "Value": found.newest.value.decode()}
        if "Description" in given:
            actual["Description"] = found.newest.description
        return actual


def _check_kind(at: Context, given: Properties) -> None:
    if given["Type"] not in KINDS:
        raise Invalid(
            f"Properties validation failed for resource {at.logical_id} with message: "
            f"#/Type: {given['Type']} is not a valid enum value",
            resource="parameter",
        )


def _asked(name: str, given: Properties, *, overwrite: bool = False) -> Put:
    return Put(
        name,
        str(given["Value"]),
        str(given["Type"]),
        str(given.get("Description", "")),
        str(given.get("AllowedPattern", "")),
        overwrite,
        {} if overwrite else tags_of(given),
    )


def _made(parameter: Parameter) -> Made:
    newest = parameter.newest
    return Made(parameter.name, {"Type": newest.kind, "Value": newest.value.decode()})
