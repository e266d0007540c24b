"""IAM operations on policies: inline and managed, of users, groups and roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mailstead.api.iam import (
    Params,
    arn_of,
    boundary_key,
    document_out,
    group_arn,
    holder,
    home,
    page,
    tags_in,
    tags_out,
    user_arn,
)
from mailstead.api.iam_roles import role_arn
from mailstead.api.operation import Call, operation
from mailstead.mail import iam_policies
from mailstead.mail.iam import AWS_POLICIES, Group, ManagedPolicy, Role, User
from mailstead.mail.iam_policies import SIDES, Holder


def policy_arn(call: Call, p: Params) -> Sequence[str]:
    """The managed policy that a call is about."""
    return (p["PolicyArn"],)


def new_policy_arn(call: Call, p: Params) -> Sequence[str]:
    """The managed policy that a call makes."""
    return (f"arn:aws:iam::{call.scope.account}:policy{p.get('Path', '/')}{p['PolicyName']}",)


async def _changed(
    call: Call, p: Params, verb: str, keys: Mapping[str, Sequence[str]] | None = None
) -> Holder:
    """The user, group or role whose policies the caller may change, by what bounds them."""
    kind, member = next(pair for pair in _HOLDERS.items() if pair[1] in p)
    name = p[member]
    found = await call.ports.store.get(kind, home(call), name.lower())
    bound = "" if found is None or isinstance(found, Group) else found.boundary
    whom = await arn_of(call, kind, name, "/")
    call.authorise(
        f"iam:{verb}{kind.__name__}Policy", whom, {**boundary_key(bound), **(keys or {})}
    )
    return await holder(call, p)


_HOLDERS: dict[type[Holder], str] = {Group: "GroupName", Role: "RoleName", User: "UserName"}


# Inline


@operation("iam", "PutUserPolicy", open_=True)
@operation("iam", "PutGroupPolicy", open_=True)
@operation("iam", "PutRolePolicy", open_=True)
async def put_policy(call: Call, p: Params) -> None:
    owner = await _changed(call, p, "Put")
    await iam_policies.put_inline(call.ports.iam, owner, p["PolicyName"], p["PolicyDocument"])


@operation("iam", "GetUserPolicy", resources=user_arn)
@operation("iam", "GetGroupPolicy", resources=group_arn)
@operation("iam", "GetRolePolicy", resources=role_arn)
async def get_policy_text(call: Call, p: Params) -> Params:
    owner = await holder(call, p)
    document = iam_policies.inline(owner, p["PolicyName"])
    return {
        SIDES[type(owner)].member: iam_policies.written(owner),
        "PolicyName": p["PolicyName"],
        "PolicyDocument": document_out(document),
    }


@operation("iam", "ListUserPolicies", resources=user_arn)
@operation("iam", "ListGroupPolicies", resources=group_arn)
@operation("iam", "ListRolePolicies", resources=role_arn)
async def list_policy_names(call: Call, p: Params) -> Params:
    owner = await holder(call, p)
    return page([(name, name) for name in sorted(owner.inline)], p, "PolicyNames")


@operation("iam", "DeleteUserPolicy", open_=True)
@operation("iam", "DeleteGroupPolicy", open_=True)
@operation("iam", "DeleteRolePolicy", open_=True)
async def delete_policy_text(call: Call, p: Params) -> None:
    owner = await _changed(call, p, "Delete")
    await iam_policies.delete_inline(call.ports.iam, owner, p["PolicyName"])


# Attached


@operation("iam", "AttachUserPolicy", open_=True)
@operation("iam", "AttachGroupPolicy", open_=True)
@operation("iam", "AttachRolePolicy", open_=True)
async def attach_policy(call: Call, p: Params) -> None:
    owner = await _changed(call, p, "Attach", {"iam:PolicyARN": [p["PolicyArn"]]})
    await iam_policies.attach(call.ports.iam, home(call), owner, p["PolicyArn"])


@operation("iam", "DetachUserPolicy", open_=True)
@operation("iam", "DetachGroupPolicy", open_=True)
@operation("iam", "DetachRolePolicy", open_=True)
async def detach_policy(call: Call, p: Params) -> None:
    owner = await _changed(call, p, "Detach", {"iam:PolicyARN": [p["PolicyArn"]]})
    await iam_policies.detach(call.ports.iam, owner, p["PolicyArn"])


@operation("iam", "ListAttachedUserPolicies", resources=user_arn)
@operation("iam", "ListAttachedGroupPolicies", resources=group_arn)
@operation("iam", "ListAttachedRolePolicies", resources=role_arn)
async def list_attached_policies(call: Call, p: Params) -> Params:
    owner = await holder(call, p)
    rows: list[tuple[str, Any]] = []
    for arn in sorted(owner.attached):
        policy = await call.ports.iam.policy(home(call), arn)
        if policy.path.startswith(p.get("PathPrefix", "/")):
            rows.append((arn, {"PolicyName": policy.policy_name, "PolicyArn": arn}))
    return page(rows, p, "AttachedPolicies")


# Managed


async def _policy_out(call: Call, policy: ManagedPolicy) -> dict[str, Any]:
    attached = await iam_policies.holders(call.ports.iam, home(call), policy.arn)
    bounded = await iam_policies.bounded(call.ports.iam, home(call), policy.arn)
    return {
        "PolicyName": policy.policy_name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": policy.default,
        "AttachmentCount": len(attached),
        "PermissionsBoundaryUsageCount": len(bounded),
        "IsAttachable": True,
        "Description": policy.description or None,
        "CreateDate": policy.created_at // 1000,
        "UpdateDate": policy.updated_at // 1000,
        "Tags": tags_out(policy.tags) if policy.tags else None,
    }


def _version_out(policy: ManagedPolicy, version_id: str, *, text: bool) -> dict[str, Any]:
    version = iam_policies.version(policy, version_id)
    return {
        "Document": document_out(version.document) if text else None,
        "VersionId": version_id,
        "IsDefaultVersion": version_id == policy.default,
        "CreateDate": version.created_at // 1000,
    }


@operation("iam", "CreatePolicy", resources=new_policy_arn)
async def create_policy(call: Call, p: Params) -> Params:
    policy = await iam_policies.create_policy(
        call.ports.iam,
        home(call),
        p["PolicyName"],
        p["PolicyDocument"],
        path=p.get("Path", "/"),
        description=p.get("Description", ""),
        tags=tags_in(p),
    )
    return {"Policy": await _policy_out(call, policy)}


@operation("iam", "GetPolicy", resources=policy_arn)
async def get_policy(call: Call, p: Params) -> Params:
    policy = await call.ports.iam.policy(home(call), p["PolicyArn"])
    return {"Policy": await _policy_out(call, policy)}


@operation("iam", "ListPolicies")
async def list_policies(call: Call, p: Params) -> Params:
    scope, prefix = p.get("Scope", "All"), p.get("PathPrefix", "/")
    found: list[ManagedPolicy] = []
    if scope in {"All", "AWS"}:
        found += AWS_POLICIES.values()
    if scope in {"All", "Local"}:
        found += await call.ports.store.select(ManagedPolicy, home(call))
    rows: list[tuple[str, Any]] = []
    for policy in sorted(found, key=lambda one: one.arn):
        shown = await _policy_out(call, policy)
        if policy.path.startswith(prefix) and (
            shown["AttachmentCount"] or not p.get("OnlyAttached")
        ):
            rows.append((policy.arn, {**shown, "Description": None, "Tags": None}))
    return page(rows, p, "Policies")


@operation("iam", "DeletePolicy", resources=policy_arn)
async def delete_policy(call: Call, p: Params) -> None:
    await iam_policies.delete_policy(call.ports.iam, home(call), p["PolicyArn"])


@operation("iam", "CreatePolicyVersion", resources=policy_arn)
async def create_policy_version(call: Call, p: Params) -> Params:
    policy, version_id = await iam_policies.create_version(
        call.ports.iam,
        home(call),
        p["PolicyArn"],
        p["PolicyDocument"],
        default=p.get("SetAsDefault", False),
    )
    return {"PolicyVersion": _version_out(policy, version_id, text=False)}


@operation("iam", "GetPolicyVersion", resources=policy_arn)
async def get_policy_version(call: Call, p: Params) -> Params:
    policy = await call.ports.iam.policy(home(call), p["PolicyArn"])
    return {"PolicyVersion": _version_out(policy, p["VersionId"], text=True)}


@operation("iam", "ListPolicyVersions", resources=policy_arn)
async def list_policy_versions(call: Call, p: Params) -> Params:
    policy = await call.ports.iam.policy(home(call), p["PolicyArn"])
    rows = [(key, _version_out(policy, key, text=False)) for key in policy.versions]
    return page(rows, p, "Versions")


@operation("iam", "SetDefaultPolicyVersion", resources=policy_arn)
async def set_default_policy_version(call: Call, p: Params) -> None:
    await iam_policies.set_default_version(
        call.ports.iam, home(call), p["PolicyArn"], p["VersionId"]
    )


@operation("iam", "DeletePolicyVersion", resources=policy_arn)
async def delete_policy_version(call: Call, p: Params) -> None:
    await iam_policies.delete_version(call.ports.iam, home(call), p["PolicyArn"], p["VersionId"])


@operation("iam", "ListEntitiesForPolicy", resources=policy_arn)
async def list_entities_for_policy(call: Call, p: Params) -> Params:
    policy = await call.ports.iam.policy(home(call), p["PolicyArn"])
    use, found = p.get("PolicyUsageFilter"), list[Holder]()
    if use in {None, "PermissionsPolicy"}:
        found += await iam_policies.holders(call.ports.iam, home(call), policy.arn)
    if use in {None, "PermissionsBoundary"}:
        bounded = await iam_policies.bounded(call.ports.iam, home(call), policy.arn)
        found += [one for one in bounded if one not in found]
    wanted = p.get("EntityFilter")
    return {
        "PolicyUsers": [
            {"UserName": one.user_name, "UserId": one.user_id}
            for one in found
            if isinstance(one, User) and wanted in {None, "User"}
        ],
        "PolicyGroups": [
            {"GroupName": one.group_name, "GroupId": one.group_id}
            for one in found
            if isinstance(one, Group) and wanted in {None, "Group"}
        ],
        "PolicyRoles": [
            {"RoleName": one.role_name, "RoleId": one.role_id}
            for one in found
            if isinstance(one, Role) and wanted in {None, "Role"}
        ],
        "IsTruncated": False,
    }
