"""IAM operations on roles; their policies are `mailstead.api.iam_policies`'."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailstead.api.iam import (
    Params,
    arn_of,
    boundary_key,
    boundary_out,
    document_out,
    home,
    page,
    tags_in,
    tags_out,
)
from mailstead.api.operation import Call, operation
from mailstead.mail.iam import Role
from mailstead.mail.iam_roles import HOUR


async def role_arn(call: Call, p: Params) -> Sequence[str]:
    """The role that a call is about."""
    return await arn_of(call, Role, p["RoleName"], p.get("Path", "/"))


def roles_arn(call: Call, p: Params) -> Sequence[str]:
    """All roles under a path."""
    return (f"arn:aws:iam::{call.scope.account}:role{p.get('PathPrefix', '/')}",)


def _role_out(role: Role, *, whole: bool = True) -> dict[str, Any]:
    return {
        "Path": role.path,
        "RoleName": role.role_name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": role.created_at // 1000,
        "AssumeRolePolicyDocument": document_out(role.trust),
        "Description": role.description or None,
        "MaxSessionDuration": role.longest_session,
        "PermissionsBoundary": boundary_out(role.boundary) if whole else None,
        "Tags": tags_out(role.tags) if whole and role.tags else None,
    }


@operation("iam", "CreateRole", open_=True)
async def create_role(call: Call, p: Params) -> Params:
    boundary = p.get("PermissionsBoundary", "")
    call.authorise("iam:CreateRole", await role_arn(call, p), boundary_key(boundary))
    role = await call.ports.roles.create(
        home(call),
        p["RoleName"],
        p["AssumeRolePolicyDocument"],
        path=p.get("Path", "/"),
        description=p.get("Description", ""),
        longest_session=p.get("MaxSessionDuration", HOUR),
        tags=tags_in(p),
        boundary=boundary,
    )
    return {"Role": _role_out(role)}


@operation("iam", "GetRole", resources=role_arn)
async def get_role(call: Call, p: Params) -> Params:
    role = await call.ports.iam.role(home(call), p["RoleName"])
    # There is no record of when a role was last used: AWS sends an empty one for "never".
    return {"Role": {**_role_out(role), "RoleLastUsed": {}}}


@operation("iam", "ListRoles", resources=roles_arn)
async def list_roles(call: Call, p: Params) -> Params:
    prefix = p.get("PathPrefix", "/")
    found = await call.ports.store.select(Role, home(call))
    rows = [(one.name, _role_out(one, whole=False)) for one in found if one.path.startswith(prefix)]
    return page(rows, p, "Roles")


@operation("iam", "UpdateRole", resources=role_arn)
async def update_role(call: Call, p: Params) -> Params:
    await call.ports.roles.update(
        home(call),
        p["RoleName"],
        description=p.get("Description"),
        longest_session=p.get("MaxSessionDuration"),
    )
    return {}


@operation("iam", "UpdateRoleDescription", resources=role_arn)
async def update_role_description(call: Call, p: Params) -> Params:
    role = await call.ports.roles.update(
        home(call), p["RoleName"], description=p.get("Description")
    )
    return {"Role": _role_out(role)}


@operation("iam", "UpdateAssumeRolePolicy", resources=role_arn)
async def update_assume_role_policy(call: Call, p: Params) -> None:
    await call.ports.roles.set_trust(home(call), p["RoleName"], p["PolicyDocument"])


@operation("iam", "DeleteRole", resources=role_arn)
async def delete_role(call: Call, p: Params) -> None:
    await call.ports.roles.delete(home(call), p["RoleName"])


@operation("iam", "TagRole", resources=role_arn)
async def tag_role(call: Call, p: Params) -> None:
    await call.ports.roles.tag(home(call), p["RoleName"], tags_in(p))


@operation("iam", "UntagRole", resources=role_arn)
async def untag_role(call: Call, p: Params) -> None:
    await call.ports.roles.untag(home(call), p["RoleName"], p["TagKeys"])


@operation("iam", "ListRoleTags", resources=role_arn)
async def list_role_tags(call: Call, p: Params) -> Params:
    role = await call.ports.iam.role(home(call), p["RoleName"])
    rows = [(tag["Key"], tag) for tag in tags_out(dict(sorted(role.tags.items())))]
    return page(rows, p, "Tags")


@operation("iam", "ListInstanceProfilesForRole", resources=role_arn)
async def list_instance_profiles_for_role(call: Call, p: Params) -> Params:
    # There are no machines here; Terraform asks before it deletes a role.
    await call.ports.iam.role(home(call), p["RoleName"])
    return {"InstanceProfiles": [], "IsTruncated": False}
