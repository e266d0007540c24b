"""``AWS::IAM::*``: users, access keys and policies; roles are in ``roles``."""

from __future__ import annotations

import hashlib
import json
from base64 import b32encode
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, ClassVar, cast

from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
    tags_of,
    whole,
)
from mailstead.api.iam import boundary_key
from mailstead.mail import iam_policies, iam_users
from mailstead.mail.errors import Conflict, Invalid, NotFound
from mailstead.mail.iam import AccessKey, Group, ManagedPolicy, User
from mailstead.mail.iam_policies import Holder
from mailstead.mail.model import Scope


def home(at: Context) -> Scope:
    """Where IAM's nouns are kept."""
    return at.scope.everywhere()


def text_of(document: Any) -> str:
    """A policy document's text."""
    return document if isinstance(document, str) else json.dumps(document)


POLICIES: Properties = {"PolicyDocument": ANY, "PolicyName": None}
"""What is in one of ``Policies``."""


def own_policies(given: Properties) -> dict[str, str]:
    """``Policies``: documents by name. Invalid where one lacks either."""
    found: dict[str, str] = {}
    for one in cast("list[Properties]", given.get("Policies") or []):
        for name in POLICIES:
            if name not in one:
                raise Invalid(
                    f"Properties validation failed: #/Policies: required key [{name}] not found",
                    resource="policy",
                )
        found[str(one["PolicyName"])] = text_of(one["PolicyDocument"])
    return found


async def arn_of(at: Context, kind: str, name: str, path: str = "/") -> str:
    """The ARN of a user, group or role, as IAM is asked about it: that of the one that is there."""
    try:
        return (await holder(at, kind, name)).arn
    except NotFound:
        return f"arn:aws:iam::{at.scope.account}:{kind.removesuffix('s').lower()}{path}{name}"


async def holder(at: Context, kind: str, name: str) -> Holder:
    """A user, group or role by name."""
    iam = at.ports.iam
    if kind == "Users":
        return await iam.user(home(at), name)
    if kind == "Groups":
        return await iam.group(home(at), name)
    return await iam.role(home(at), name)


def bound_by(owner: Holder, policy: str = "") -> dict[str, Sequence[str]]:
    """The condition keys of a change of somebody's policies."""
    keys = {} if isinstance(owner, Group) else boundary_key(owner.boundary)
    return {**keys, "iam:PolicyARN": [policy]} if policy else keys


def holders_in(given: Properties) -> list[tuple[str, str]]:
    """(kind, name) of whom a policy is given to."""
    return [
        (kind, str(name)) for kind in ("Users", "Groups", "Roles") for name in given.get(kind) or ()
    ]


class IamUser:
    """A user with groups and policies."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::IAM::User",
        properties={
            "Groups": ANY,
            "LoginProfile": ANY,
            "ManagedPolicyArns": ANY,
            "Path": None,
            "PermissionsBoundary": None,
            "Policies": POLICIES,
            "Tags": ANY,
            "UserName": None,
        },
        create_only=("UserName",),
        attributes=("Arn",),
        name="UserName",
        longest_name=64,
        refused=("LoginProfile",),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        boundary, path = str(given.get("PermissionsBoundary", "")), str(given.get("Path", "/"))
        arn = await arn_of(at, "Users", name, path)
        at.authorise("iam:CreateUser", arn, boundary_key(boundary))
        own_policies(given)
        try:
            await iam_users.create_user(
                at.ports.iam, home(at), name, path, tags_of(given), boundary
            )
        except Conflict:
            if not (at.resuming or at.importing):
                raise
        async with whole(at, lambda: self.delete(at, name, given)):
            return await self._settle(at, name, {}, given)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        at.authorise("iam:UpdateUser", await arn_of(at, "Users", physical_id))
        if old.get("Path", "/") != new.get("Path", "/"):
            path = str(new.get("Path", "/"))
            moved = f"arn:aws:iam::{at.scope.account}:user{path}{physical_id}"
            at.authorise("iam:UpdateUser", moved)
            await iam_users.update_user(at.ports.iam, home(at), physical_id, None, path)
        user = await at.ports.iam.user(home(at), physical_id)
        gone = user.tags.keys() & (tags_of(old).keys() - tags_of(new).keys())
        if gone:
            at.authorise("iam:UntagUser", user.arn)
        if not tags_of(new).items() <= user.tags.items():
            at.authorise("iam:TagUser", user.arn)
        await iam_users.untag_user(at.ports.iam, home(at), physical_id, gone)
        await iam_users.tag_user(at.ports.iam, home(at), physical_id, tags_of(new))
        await settle_boundary(at, ("Users", physical_id), new)
        return await self._settle(at, physical_id, old, new)

    async def _settle(self, at: Context, name: str, old: Properties, new: Properties) -> Made:
        iam, scope = at.ports.iam, home(at)
        await self._leave(at, name, _groups(old) - _groups(new))
        for group in new.get("Groups") or ():
            at.authorise("iam:AddUserToGroup", await arn_of(at, "Groups", str(group)))
            await iam_users.join_group(iam, scope, group, name)
        await settle_policies(at, ("Users", name), old, new)
        user = await iam.user(scope, name)
        return Made(user.user_name, {"Arn": user.arn})

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        iam, scope = at.ports.iam, home(at)
        at.authorise("iam:DeleteUser", await arn_of(at, "Users", physical_id))
        try:
            user = await iam.user(scope, physical_id)
        except NotFound:
            return
        await self._leave(at, user.user_name, _groups(given))
        await settle_policies(at, ("Users", physical_id), given, {})
        await iam_users.delete_user(iam, scope, physical_id)

    async def _leave(self, at: Context, name: str, groups: set[str]) -> None:
        iam, scope = at.ports.iam, home(at)
        for group in sorted(groups):
            if group.lower() in (await iam.user(scope, name)).groups:
                at.authorise("iam:RemoveUserFromGroup", await arn_of(at, "Groups", group))
                await iam_users.leave_group(iam, scope, group, name)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        user = await at.ports.store.get(User, home(at), physical_id.lower())
        if user is None:
            return None
        found = dict(given)
        if "Path" in given:
            found["Path"] = user.path
        if "ManagedPolicyArns" in given:
            found["ManagedPolicyArns"] = list(user.attached)
        if "PermissionsBoundary" in given:
            found["PermissionsBoundary"] = user.boundary or None
        return found


def _groups(given: Properties) -> set[str]:
    return {str(name) for name in given.get("Groups") or ()}


async def settle_boundary(at: Context, whom: tuple[str, str], new: Properties) -> None:
    """Set a user's or role's permissions boundary, or take it away."""
    kind, name = whom
    owner = await holder(at, kind, name)
    assert not isinstance(owner, Group)
    boundary = str(new.get("PermissionsBoundary", ""))
    if owner.boundary != boundary:
        verb = "Put" if boundary else "Delete"
        action = f"iam:{verb}{kind.removesuffix('s')}PermissionsBoundary"
        at.authorise(action, owner.arn, boundary_key(boundary or owner.boundary))
        await iam_policies.set_boundary(at.ports.iam, home(at), owner, boundary)


async def settle_policies(
    at: Context, whom: tuple[str, str], old: Properties, new: Properties
) -> None:
    """Give and take the inline and managed policies that differ."""
    kind, name = whom
    iam = at.ports.iam
    wanted = own_policies(new)
    noun = kind.removesuffix("s")
    for gone in own_policies(old).keys() - wanted.keys():
        owner = await holder(at, kind, name)
        if gone in owner.inline:
            at.authorise(f"iam:Delete{noun}Policy", owner.arn, bound_by(owner))
            await iam_policies.delete_inline(iam, owner, gone)
    for policy, document in wanted.items():
        owner = await holder(at, kind, name)
        at.authorise(f"iam:Put{noun}Policy", owner.arn, bound_by(owner))
        await iam_policies.put_inline(iam, owner, policy, document)
    attached = [str(arn) for arn in new.get("ManagedPolicyArns") or ()]
    for arn in old.get("ManagedPolicyArns") or ():
        if arn not in attached:
            await _detach(at, kind, name, str(arn))
    for arn in attached:
        owner = await holder(at, kind, name)
        at.authorise(f"iam:Attach{noun}Policy", owner.arn, bound_by(owner, arn))
        await iam_policies.attach(iam, home(at), owner, arn)


async def _detach(at: Context, kind: str, name: str, arn: str) -> None:
    owner = await holder(at, kind, name)
    if arn in owner.attached:
        noun = kind.removesuffix("s")
        at.authorise(f"iam:Detach{noun}Policy", owner.arn, bound_by(owner, arn))
        await iam_policies.detach(at.ports.iam, owner, arn)


class Key:
    """An access key; a raised ``Serial`` makes a new one, the old goes in cleanup."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::IAM::AccessKey",
        properties={"Serial": None, "Status": None, "UserName": None},
        required=("UserName",),
        create_only=("Serial", "UserName"),
        attributes=("Id", "SecretAccessKey"),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        user_name = str(given["UserName"])
        at.authorise("iam:CreateAccessKey", await arn_of(at, "Users", user_name))
        user = await at.ports.iam.user(home(at), user_name)
        # The id follows from the name that was kept before: made again, the key is found.
        digest = hashlib.sha256(f"{at.stack_arn}/{name}".encode()).digest()
        key_id = f"AKIA{b32encode(digest).decode()[:16]}"
        key = await at.ports.store.get(AccessKey, home(at), key_id)
        if key is None:
            key = await iam_users.create_access_key(at.ports.iam, home(at), user, key_id)
        if given.get("Status") == "Inactive":
            await self._status(at, user, key.name, active=False)
        return _key_made(key)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        user_name = str(new["UserName"])
        at.authorise("iam:UpdateAccessKey", await arn_of(at, "Users", user_name))
        user = await at.ports.iam.user(home(at), user_name)
        await self._status(at, user, physical_id, active=new.get("Status") != "Inactive")
        key = await iam_users.access_key(at.ports.iam, home(at), user, physical_id)
        return _key_made(key)

    async def _status(self, at: Context, user: User, key_id: str, *, active: bool) -> None:
        await iam_users.update_access_key(at.ports.iam, home(at), user, key_id, active=active)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        user_name = str(given["UserName"])
        at.authorise("iam:DeleteAccessKey", await arn_of(at, "Users", user_name))
        try:
            user = await at.ports.iam.user(home(at), user_name)
            await iam_users.delete_access_key(at.ports.iam, home(at), user, physical_id)
        except NotFound:
            return

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        key = await at.ports.store.get(AccessKey, home(at), physical_id)
        if key is None:
            return None
        shown = {"Status": "Active" if key.active else "Inactive"} if "Status" in given else {}
        return {**given, **shown}


def _key_made(key: AccessKey) -> Made:
    return Made(key.name, {"Id": key.name, "SecretAccessKey": key.secret.decode()})


class InlinePolicy:
    """A policy that users, groups and roles get as their own."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::IAM::Policy",
        properties={
            "Groups": ANY,
            "PolicyDocument": ANY,
            "PolicyName": None,
            "Roles": ANY,
            "Users": ANY,
        },
        required=("PolicyName", "PolicyDocument"),
        attributes=("Id",),
        name="PolicyName",
        longest_name=128,
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return False

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        if not holders_in(given):
            raise Invalid(
                "At least one of [Groups,Roles,Users] must be non-empty.", resource="policy"
            )
        async with whole(at, lambda: self.delete(at, name, given)):
            return await self.update(at, name, {}, given)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        name, document = str(new["PolicyName"]), text_of(new["PolicyDocument"])
        before = str(old.get("PolicyName", name))
        kept = holders_in(new) if before == name else []
        await self._take(at, before, [one for one in holders_in(old) if one not in kept])
        for kind, owner in holders_in(new):
            found = await holder(at, kind, owner)
            noun = kind.removesuffix("s")
            at.authorise(f"iam:Put{noun}Policy", found.arn, bound_by(found))
            await iam_policies.put_inline(at.ports.iam, found, name, document)
        return Made(name, {"Id": name})

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        await self._take(at, str(given["PolicyName"]), holders_in(given))

    async def _take(self, at: Context, name: str, whom: Sequence[tuple[str, str]]) -> None:
        for kind, owner in whom:
            try:
                found = await holder(at, kind, owner)
            except NotFound:
                continue
            noun = kind.removesuffix("s")
            at.authorise(f"iam:Delete{noun}Policy", found.arn, bound_by(found))
            if name in found.inline:
                await iam_policies.delete_inline(at.ports.iam, found, name)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        documents: list[Any] = []
        for kind, owner in holders_in(given):
            try:
                found = await holder(at, kind, owner)
            except NotFound:
                return None
            if physical_id not in found.inline:
                return None
            documents.append(json.loads(found.inline[physical_id]))
        wanted = json.loads(text_of(given["PolicyDocument"]))
        differs = next((one for one in documents if one != wanted), None)
        return given if differs is None else {**given, "PolicyDocument": differs}


class Managed:
    """A managed policy, attached to whom it names."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::IAM::ManagedPolicy",
        properties={
            "Description": None,
            "Groups": ANY,
            "ManagedPolicyName": None,
            "Path": None,
            "PolicyDocument": ANY,
            "Roles": ANY,
            "Users": ANY,
        },
        required=("PolicyDocument",),
        create_only=("Description", "ManagedPolicyName", "Path"),
        attributes=("PolicyArn", "PolicyId"),
        name="ManagedPolicyName",
        longest_name=128,
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        arn = _policy_arn(at, name, given)
        at.authorise("iam:CreatePolicy", arn)
        try:
            policy = await iam_policies.create_policy(
                at.ports.iam,
                home(at),
                name,
                text_of(given["PolicyDocument"]),
                path=str(given.get("Path", "/")),
                description=str(given.get("Description", "")),
            )
        except Conflict:
            if not (at.resuming or at.importing):
                raise
            policy = await at.ports.iam.policy(home(at), arn)
        async with whole(at, lambda: self.delete(at, arn, given)):
            await self._attach(at, policy, [], holders_in(given))
        return _policy_made(policy)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        at.authorise("iam:CreatePolicyVersion", physical_id)
        iam = at.ports.iam
        policy = await iam.policy(home(at), physical_id)
        document = text_of(new["PolicyDocument"])
        if json.loads(policy.document) != json.loads(document):
            others = [name for name in policy.versions if name != policy.default]
            if len(policy.versions) >= iam_policies.VERSIONS:
                at.authorise("iam:DeletePolicyVersion", physical_id)
                await iam_policies.delete_version(iam, home(at), physical_id, others[0])
            policy, _ = await iam_policies.create_version(
                iam, home(at), physical_id, document, default=True
            )
        await self._attach(at, policy, holders_in(old), holders_in(new))
        return _policy_made(policy)

    async def _attach(
        self,
        at: Context,
        policy: ManagedPolicy,
        old: Sequence[tuple[str, str]],
        new: Sequence[tuple[str, str]],
    ) -> None:
        for kind, name in old:
            if (kind, name) not in new:
                with suppress(NotFound):
                    await _detach(at, kind, name, policy.arn)
        for kind, name in new:
            owner = await holder(at, kind, name)
            noun, keys = kind.removesuffix("s"), bound_by(owner, policy.arn)
            at.authorise(f"iam:Attach{noun}Policy", owner.arn, keys)
            await iam_policies.attach(at.ports.iam, home(at), owner, policy.arn)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("iam:DeletePolicy", physical_id)
        iam = at.ports.iam
        try:
            policy = await iam.policy(home(at), physical_id)
        except NotFound:
            return
        for kind, name in holders_in(given):
            with suppress(NotFound):
                await _detach(at, kind, name, policy.arn)
        for version in [one for one in policy.versions if one != policy.default]:
            await iam_policies.delete_version(iam, home(at), physical_id, version)
        await iam_policies.delete_policy(iam, home(at), physical_id)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        arn = physical_id
        if not arn.startswith("arn:"):
            arn = _policy_arn(at, physical_id, given)
        try:
            policy = await at.ports.iam.policy(home(at), arn)
        except NotFound:
            return None
        wanted, stands = json.loads(text_of(given["PolicyDocument"])), json.loads(policy.document)
        return given if wanted == stands else {**given, "PolicyDocument": stands}


def _policy_arn(at: Context, name: str, given: Properties) -> str:
    return f"arn:aws:iam::{at.scope.account}:policy{given.get('Path', '/')}{name}"


def _policy_made(policy: ManagedPolicy) -> Made:
    return Made(policy.arn, {"PolicyArn": policy.arn, "PolicyId": policy.policy_id})
