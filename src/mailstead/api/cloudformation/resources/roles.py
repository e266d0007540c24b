"""``AWS::IAM::Role``."""

from __future__ import annotations

import json
from typing import ClassVar

from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
    number,
    tags_of,
    whole,
)
from mailstead.api.cloudformation.resources.iam import (
    POLICIES,
    arn_of,
    home,
    own_policies,
    settle_boundary,
    settle_policies,
    text_of,
)
from mailstead.api.iam import boundary_key
from mailstead.mail.errors import Conflict, NotFound
from mailstead.mail.iam import Role
from mailstead.mail.iam_roles import HOUR


class IamRole:
    """A role with its trust and policies."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::IAM::Role",
        properties={
            "AssumeRolePolicyDocument": ANY,
            "Description": None,
            "ManagedPolicyArns": ANY,
            "MaxSessionDuration": None,
            "Path": None,
            "PermissionsBoundary": None,
            "Policies": POLICIES,
            "RoleName": None,
            "Tags": ANY,
        },
        required=("AssumeRolePolicyDocument",),
        create_only=("Path", "RoleName"),
        attributes=("Arn", "RoleId"),
        name="RoleName",
        longest_name=64,
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        boundary = str(given.get("PermissionsBoundary", ""))
        arn = await arn_of(at, "Roles", name, str(given.get("Path", "/")))
        at.authorise("iam:CreateRole", arn, boundary_key(boundary))
        own_policies(given)
        try:
            await at.ports.roles.create(
                home(at),
                name,
                text_of(given["AssumeRolePolicyDocument"]),
                path=str(given.get("Path", "/")),
                description=str(given.get("Description", "")),
                longest_session=number("MaxSessionDuration", given.get("MaxSessionDuration", HOUR)),
                tags=tags_of(given),
                boundary=boundary,
            )
        except Conflict:
            if not (at.resuming or at.importing):
                raise
        async with whole(at, lambda: self.delete(at, name, given)):
            await settle_policies(at, ("Roles", name), {}, given)
        return await self._made(at, name)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        roles = at.ports.roles
        role = await at.ports.iam.role(home(at), physical_id)
        trust = text_of(new["AssumeRolePolicyDocument"])
        gone = role.tags.keys() & (tags_of(old).keys() - tags_of(new).keys())
        for action, needed in (
            ("UpdateRole", True),
            ("UpdateAssumeRolePolicy", json.loads(role.trust) != json.loads(trust)),
            ("UntagRole", bool(gone)),
            ("TagRole", not tags_of(new).items() <= role.tags.items()),
        ):
            if needed:
                at.authorise(f"iam:{action}", role.arn)
        await roles.update(
            home(at),
            physical_id,
            description=str(new.get("Description", "")),
            longest_session=number("MaxSessionDuration", new.get("MaxSessionDuration", HOUR)),
        )
        await roles.set_trust(home(at), physical_id, trust)
        await roles.untag(home(at), physical_id, gone)
        await roles.tag(home(at), physical_id, tags_of(new))
        await settle_boundary(at, ("Roles", physical_id), new)
        await settle_policies(at, ("Roles", physical_id), old, new)
        return await self._made(at, physical_id)

    async def _made(self, at: Context, name: str) -> Made:
        role = await at.ports.iam.role(home(at), name)
        return Made(role.role_name, {"Arn": role.arn, "RoleId": role.role_id})

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("iam:DeleteRole", await arn_of(at, "Roles", physical_id))
        try:
            await at.ports.iam.role(home(at), physical_id)
        except NotFound:
            return
        await settle_policies(at, ("Roles", physical_id), given, {})
        await at.ports.roles.delete(home(at), physical_id)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        role = await at.ports.store.get(Role, home(at), physical_id.lower())
        if role is None:
            return None
        found = dict(given)
        if json.loads(role.trust) != json.loads(text_of(given["AssumeRolePolicyDocument"])):
            found["AssumeRolePolicyDocument"] = json.loads(role.trust)
        if "ManagedPolicyArns" in given:
            found["ManagedPolicyArns"] = list(role.attached)
        if "Description" in given:
            found["Description"] = role.description
        if "PermissionsBoundary" in given:
            found["PermissionsBoundary"] = role.boundary or None
        return found
