"""IAM operations on users, access keys and groups; policies are `mailstead.api.iam_policies`'.

Where a call names no user, it is about the caller's own; the root user has keys
and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from mailstead.api.operation import Call, operation
from mailstead.mail import iam_users
from mailstead.mail.errors import Invalid
from mailstead.mail.iam import AccessKey, Group, User
from mailstead.mail.iam_policies import Holder
from mailstead.mail.model import Scope

Params = dict[str, Any]
PAGE = 100


# What calls have in common


def home(call: Call) -> Scope:
    """The account's scope: IAM is in no region."""
    return call.scope.everywhere()


async def user_arn(call: Call, p: Params) -> Sequence[str]:
    """The user that a call is about."""
    name = p.get("UserName")
    if name is None:
        return (call.principal.arn,)
    return await arn_of(call, User, name, p.get("Path", "/"))


async def group_arn(call: Call, p: Params) -> Sequence[str]:
    """The group that a call is about."""
    return await arn_of(call, Group, p["GroupName"], p.get("Path", "/"))


async def arn_of(call: Call, kind: type[Holder], name: str, path: str) -> Sequence[str]:
    """The ARN of a user, group or role, with the path and in the case that it has.

    What is not there has those of the request.
    """
    found = await call.ports.store.get(kind, home(call), name.lower())
    if found is not None:
        return (found.arn,)
    return (f"arn:aws:iam::{call.scope.account}:{kind.__name__.lower()}{path}{name}",)


def users_arn(call: Call, p: Params) -> Sequence[str]:
    """All users under a path."""
    return (f"arn:aws:iam::{call.scope.account}:user{p.get('PathPrefix', '/')}",)


def groups_arn(call: Call, p: Params) -> Sequence[str]:
    """All groups under a path."""
    return (f"arn:aws:iam::{call.scope.account}:group{p.get('PathPrefix', '/')}",)


async def named_user(call: Call, p: Params) -> User | None:
    """The user that a call names, else the caller's own; None for the root user."""
    name = p.get("UserName", call.principal.user_name)
    if name is None and not call.principal.is_root:
        raise Invalid(
            "Must specify userName when calling with non-User credentials",
            resource="user",
            reason="name",
        )
    return None if name is None else await call.ports.iam.user(home(call), name)


async def holder(call: Call, p: Params) -> Holder:
    """The group, role or user that a call names."""
    if "GroupName" in p:
        return await call.ports.iam.group(home(call), p["GroupName"])
    if "RoleName" in p:
        return await call.ports.iam.role(home(call), p["RoleName"])
    return await call.ports.iam.user(home(call), p["UserName"])


def page(items: Sequence[tuple[str, Any]], p: Params, member: str) -> dict[str, Any]:
    """A page of (name, item) pairs that are in order of name; the marker is the last name."""
    marker, limit = p.get("Marker", ""), p.get("MaxItems", PAGE)
    rest = [pair for pair in items if pair[0] > marker]
    shown = rest[:limit]
    more = len(rest) > limit
    return {
        member: [item for _, item in shown],
        "IsTruncated": more,
        "Marker": shown[-1][0] if more else None,
    }


def tags_out(tags: dict[str, str]) -> list[dict[str, str]]:
    """Tags as IAM writes them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tags_in(p: Params) -> dict[str, str]:
    """Tags as IAM reads them."""
    return {tag["Key"]: tag["Value"] for tag in p.get("Tags", ())}


def document_out(document: str) -> str:
    """A policy's text as IAM sends it: percent-encoded (RFC 3986)."""
    return quote(document, safe="-_.~")


def boundary_out(arn: str) -> dict[str, str] | None:
    """A permissions boundary as IAM writes it."""
    if not arn:
        return None
    return {
        "PermissionsBoundaryType": "PermissionsBoundaryPolicy",
        "PermissionsBoundaryArn": arn,
    }


def boundary_key(arn: str) -> dict[str, Sequence[str]]:
    """The condition key by which who may make users and roles is bound to bounded ones."""
    return {"iam:PermissionsBoundary": [arn]} if arn else {}


def _user_out(user: User, *, tags: bool = True) -> dict[str, Any]:
    return {
        "Path": user.path,
        "UserName": user.user_name,
        "UserId": user.user_id,
        "Arn": user.arn,
        "CreateDate": user.created_at // 1000,
        "PermissionsBoundary": boundary_out(user.boundary) if tags else None,
        "Tags": tags_out(user.tags) if tags and user.tags else None,
    }


def _group_out(group: Group) -> dict[str, Any]:
    return {
        "Path": group.path,
        "GroupName": group.group_name,
        "GroupId": group.group_id,
        "Arn": group.arn,
        "CreateDate": group.created_at // 1000,
    }


# Users


@operation("iam", "CreateUser", open_=True)
async def create_user(call: Call, p: Params) -> Params:
    boundary = p.get("PermissionsBoundary", "")
    call.authorise("iam:CreateUser", await user_arn(call, p), boundary_key(boundary))
    user = await iam_users.create_user(
        call.ports.iam, home(call), p["UserName"], p.get("Path", "/"), tags_in(p), boundary
    )
    return {"User": _user_out(user)}


@operation("iam", "GetUser", resources=user_arn)
async def get_user(call: Call, p: Params) -> Params:
    user = await named_user(call, p)
    if user is not None:
        return {"User": _user_out(user)}
    # The root user is the account: no name, the account's number for an id.
    return {
        "User": {
            "Path": "/",
            "UserName": "root",
            "UserId": call.scope.account,
            "Arn": call.principal.arn,
            "CreateDate": 0,
        }
    }


@operation("iam", "ListUsers", resources=users_arn)
async def list_users(call: Call, p: Params) -> Params:
    prefix = p.get("PathPrefix", "/")
    found = await call.ports.store.select(User, home(call))
    rows = [(u.name, _user_out(u, tags=False)) for u in found if u.path.startswith(prefix)]
    return page(rows, p, "Users")


@operation("iam", "UpdateUser", resources=user_arn)
async def update_user(call: Call, p: Params) -> None:
    if "NewUserName" in p or "NewPath" in p:
        # The IAM API Reference: one must be allowed to change both what it was and what it will be.
        user = await call.ports.iam.user(home(call), p["UserName"])
        path, name = p.get("NewPath", user.path), p.get("NewUserName", user.user_name)
        call.authorise("iam:UpdateUser", (f"arn:aws:iam::{call.scope.account}:user{path}{name}",))
    await iam_users.update_user(
        call.ports.iam, home(call), p["UserName"], p.get("NewUserName"), p.get("NewPath")
    )


@operation("iam", "DeleteUser", resources=user_arn)
async def delete_user(call: Call, p: Params) -> None:
    await iam_users.delete_user(call.ports.iam, home(call), p["UserName"])


@operation("iam", "TagUser", resources=user_arn)
async def tag_user(call: Call, p: Params) -> None:
    await iam_users.tag_user(call.ports.iam, home(call), p["UserName"], tags_in(p))


@operation("iam", "UntagUser", resources=user_arn)
async def untag_user(call: Call, p: Params) -> None:
    await iam_users.untag_user(call.ports.iam, home(call), p["UserName"], p["TagKeys"])


@operation("iam", "ListUserTags", resources=user_arn)
async def list_user_tags(call: Call, p: Params) -> Params:
    user = await call.ports.iam.user(home(call), p["UserName"])
    rows = [(tag["Key"], tag) for tag in tags_out(dict(sorted(user.tags.items())))]
    return page(rows, p, "Tags")


# Access keys


def _key_out(key: AccessKey, user: User | None) -> dict[str, Any]:
    return {
        "UserName": user.user_name if user is not None else "root",
        "AccessKeyId": key.name,
        "Status": "Active" if key.active else "Inactive",
        "CreateDate": key.created_at // 1000,
    }


@operation("iam", "CreateAccessKey", resources=user_arn)
async def create_access_key(call: Call, p: Params) -> Params:
    user = await named_user(call, p)
    key = await iam_users.create_access_key(call.ports.iam, home(call), user)
    return {"AccessKey": {**_key_out(key, user), "SecretAccessKey": key.secret.decode()}}


@operation("iam", "ListAccessKeys", resources=user_arn)
async def list_access_keys(call: Call, p: Params) -> Params:
    user = await named_user(call, p)
    keys = await iam_users.access_keys(call.ports.iam, home(call), user)
    return {"AccessKeyMetadata": [_key_out(key, user) for key in keys], "IsTruncated": False}


@operation("iam", "UpdateAccessKey", resources=user_arn)
async def update_access_key(call: Call, p: Params) -> None:
    user = await named_user(call, p)
    active = p["Status"] == "Active"
    await iam_users.update_access_key(
        call.ports.iam, home(call), user, p["AccessKeyId"], active=active
    )


@operation("iam", "DeleteAccessKey", resources=user_arn)
async def delete_access_key(call: Call, p: Params) -> None:
    user = await named_user(call, p)
    await iam_users.delete_access_key(call.ports.iam, home(call), user, p["AccessKeyId"])


@operation("iam", "GetAccessKeyLastUsed")
async def get_access_key_last_used(call: Call, p: Params) -> Params:
    key_id = p["AccessKeyId"]
    user_name = await iam_users.owner_of(call.ports.iam, home(call), key_id)
    use = call.ports.iam.uses.last(key_id)
    last = {"ServiceName": "N/A", "Region": "N/A"}
    if use is not None:
        at = {"LastUsedDate": use.at // 1000}
        last = {**at, "ServiceName": use.service, "Region": use.region}
    return {"UserName": user_name, "AccessKeyLastUsed": last}


# Groups


@operation("iam", "CreateGroup", resources=group_arn)
async def create_group(call: Call, p: Params) -> Params:
    path = p.get("Path", "/")
    group = await iam_users.create_group(call.ports.iam, home(call), p["GroupName"], path)
    return {"Group": _group_out(group)}


@operation("iam", "GetGroup", resources=group_arn)
async def get_group(call: Call, p: Params) -> Params:
    group = await call.ports.iam.group(home(call), p["GroupName"])
    found = await iam_users.members(call.ports.iam, home(call), group)
    rows = [(user.name, _user_out(user, tags=False)) for user in found]
    return {"Group": _group_out(group), **page(rows, p, "Users")}


@operation("iam", "ListGroups", resources=groups_arn)
async def list_groups(call: Call, p: Params) -> Params:
    prefix = p.get("PathPrefix", "/")
    found = await call.ports.store.select(Group, home(call))
    return page([(g.name, _group_out(g)) for g in found if g.path.startswith(prefix)], p, "Groups")


@operation("iam", "DeleteGroup", resources=group_arn)
async def delete_group(call: Call, p: Params) -> None:
    await iam_users.delete_group(call.ports.iam, home(call), p["GroupName"])


@operation("iam", "AddUserToGroup", resources=group_arn)
async def add_user_to_group(call: Call, p: Params) -> None:
    await iam_users.join_group(call.ports.iam, home(call), p["GroupName"], p["UserName"])


@operation("iam", "RemoveUserFromGroup", resources=group_arn)
async def remove_user_from_group(call: Call, p: Params) -> None:
    await iam_users.leave_group(call.ports.iam, home(call), p["GroupName"], p["UserName"])


@operation("iam", "ListGroupsForUser", resources=user_arn)
async def list_groups_for_user(call: Call, p: Params) -> Params:
    user = await call.ports.iam.user(home(call), p["UserName"])
    found = [await call.ports.store.get(Group, home(call), name) for name in sorted(user.groups)]
    rows = [(group.name, _group_out(group)) for group in found if group is not None]
    return page(rows, p, "Groups")
