"""IAM policies: inline ones, managed ones with their versions, and whom they are attached to."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from mailstead.mail.errors import Conflict, Limit, NotFound, Refused
from mailstead.mail.iam import (
    ATTACHED,
    AWS_POLICIES,
    INLINE_GROUP,
    INLINE_ROLE,
    INLINE_USER,
    POLICY_SIZE,
    VERSIONS,
    Group,
    Iam,
    ManagedPolicy,
    Role,
    User,
    Version,
    checked_boundary,
    checked_name,
    new_id,
    quota,
    size,
    with_tags,
)
from mailstead.mail.iam_users import in_use
from mailstead.mail.model import Scope
from mailstead.mail.policies import parse_policy
from mailstead.mail.ports import Create, Remove, Replace

Holder = User | Group | Role
"""What policies are given to."""


class Side(NamedTuple):
    """What is different between the kinds of holders."""

    noun: str
    member: str
    """The member of the API that names one"""
    inline: int
    """How many characters the policies of its own may have together."""


SIDES: dict[type[Holder], Side] = {
    User: Side("user", "UserName", INLINE_USER),
    Group: Side("group", "GroupName", INLINE_GROUP),
    Role: Side("role", "RoleName", INLINE_ROLE),
}


# Inline


async def put_inline(iam: Iam, holder: Holder, name: str, document: str) -> None:
    """Give a user, group or role a policy of its own, or change it."""
    checked_name(name, "policyName", 128)
    parse_policy(document)
    inline = {**holder.inline, name: document}
    limit = SIDES[type(holder)].inline
    if sum(map(size, inline.values())) > limit:
        raise Limit(
            f"Maximum policy size of {limit} bytes exceeded for {noun(holder)} {written(holder)}",
            resource="policy",
            name=name,
        )
    await iam.apply(Replace(holder, replace(holder, inline=inline)))


def inline(holder: Holder, name: str) -> str:
    """The text of a policy of its own."""
    if name not in holder.inline:
        raise NotFound(
            f"The {noun(holder)} policy with name {name} cannot be found.",
            resource="policy",
            name=name,
        )
    return holder.inline[name]


async def delete_inline(iam: Iam, holder: Holder, name: str) -> None:
    """Take a policy of its own away."""
    inline(holder, name)
    kept = {key: text for key, text in holder.inline.items() if key != name}
    await iam.apply(Replace(holder, replace(holder, inline=kept)))


def noun(holder: Holder) -> str:
    """``user``, ``group`` or ``role``."""
    return SIDES[type(holder)].noun


def written(holder: Holder) -> str:
    """The holder's name as it was given."""
    if isinstance(holder, User):
        return holder.user_name
    return holder.group_name if isinstance(holder, Group) else holder.role_name


# Managed


def _checked(document: str) -> str:
    parse_policy(document)
    if size(document) > POLICY_SIZE:
        raise quota("PolicySize", POLICY_SIZE)
    return document


async def create_policy(
    iam: Iam,
    scope: Scope,
    name: str,
    document: str,
    *,
    path: str = "/",
    description: str = "",
    tags: dict[str, str] | None = None,
) -> ManagedPolicy:
    """A new managed policy, attached to nobody."""
    checked_name(name, "policyName", 128)
    now = iam.clock.now()
    versions = {"v1": Version(_checked(document), now)}
    policy = ManagedPolicy(
        scope,
        name.lower(),
        name,
        new_id("ANPA", iam.randomness),
        path,
        now,
        now,
        versions,
        description=description,
        tags=with_tags({}, tags or {}),
    )
    try:
        await iam.apply(Create(policy))
    except Conflict:
        raise Conflict(
            f"A policy called {name} already exists. Duplicate names are not allowed.",
            resource="policy",
            name=name,
            reason="exists",
        ) from None
    return policy


async def own_policy(iam: Iam, scope: Scope, arn: str) -> ManagedPolicy:
    """A policy that the account may change."""
    policy = await iam.policy(scope, arn)
    if arn in AWS_POLICIES:
        raise Refused(
            f"Policy {arn} is AWS's and cannot be changed: make a policy of your own",
            resource="policy",
            name=arn,
        )
    return policy


async def holders(iam: Iam, scope: Scope, arn: str) -> list[Holder]:
    """Users, then groups, then roles, that a policy is attached to."""
    users = await iam.store.select(User, scope)
    groups = await iam.store.select(Group, scope)
    roles = await iam.store.select(Role, scope)
    return [holder for holder in (*users, *groups, *roles) if arn in holder.attached]


async def bounded(iam: Iam, scope: Scope, arn: str) -> list[Holder]:
    """Users, then roles, whose permissions boundary a policy is."""
    users = await iam.store.select(User, scope)
    roles = await iam.store.select(Role, scope)
    return [holder for holder in (*users, *roles) if holder.boundary == arn]


async def set_boundary(iam: Iam, scope: Scope, holder: User | Role, arn: str) -> None:
    """Make a managed policy the permissions boundary; "" takes it away."""
    boundary = await checked_boundary(iam, scope, arn)
    await iam.apply(Replace(holder, replace(holder, boundary=boundary)))


async def delete_policy(iam: Iam, scope: Scope, arn: str) -> None:
    """Delete a managed policy that is attached to nobody and has its default version only."""
    policy = await own_policy(iam, scope, arn)
    if await holders(iam, scope, policy.arn) or await bounded(iam, scope, policy.arn):
        raise in_use("Cannot delete a policy attached to entities.", arn)
    if len(policy.versions) > 1:
        raise in_use(
            "This policy has more than one version. Before you delete a policy, you must delete "
            "the policy's versions. The default version is deleted with the policy.",
            arn,
        )
    await iam.apply(Remove(policy))


async def create_version(
    iam: Iam, scope: Scope, arn: str, document: str, *, default: bool
) -> tuple[ManagedPolicy, str]:
    """Another text of a policy, and its version's id; five at most."""
    policy = await own_policy(iam, scope, arn)
    if len(policy.versions) >= VERSIONS:
        raise Limit(
            f"A managed policy can have up to {VERSIONS} versions. Before you create a new "
            "version, you must delete an existing version.",
            resource="version",
            name=arn,
        )
    now, version = iam.clock.now(), f"v{policy.newest + 1}"
    new = replace(
        policy,
        versions={**policy.versions, version: Version(_checked(document), now)},
        newest=policy.newest + 1,
        updated_at=now,
        default=version if default else policy.default,
    )
    await iam.apply(Replace(policy, new))
    return new, version


def version(policy: ManagedPolicy, version_id: str) -> Version:
    """One text of a policy."""
    if version_id not in policy.versions:
        raise NotFound(
            f"Policy {policy.arn} version {version_id} does not exist or is not attachable.",
            resource="version",
            name=version_id,
        )
    return policy.versions[version_id]


async def set_default_version(iam: Iam, scope: Scope, arn: str, version_id: str) -> None:
    """Let another text count."""
    policy = await own_policy(iam, scope, arn)
    version(policy, version_id)
    new = replace(policy, default=version_id, updated_at=iam.clock.now())
    await iam.apply(Replace(policy, new))


async def delete_version(iam: Iam, scope: Scope, arn: str, version_id: str) -> None:
    """Delete a text that does not count."""
    policy = await own_policy(iam, scope, arn)
    version(policy, version_id)
    if version_id == policy.default:
        raise in_use("Cannot delete the default version of a policy.", version_id)
    kept = {key: text for key, text in policy.versions.items() if key != version_id}
    await iam.apply(Replace(policy, replace(policy, versions=kept)))


# Attaching


async def attach(iam: Iam, scope: Scope, holder: Holder, arn: str) -> None:
    """Attach a managed policy; ten at most. Again does no harm."""
    try:
        policy = await iam.policy(scope, arn)
    except NotFound:
        raise NotFound(
            f"Policy {arn} does not exist or is not attachable.", resource="policy", name=arn
        ) from None
    if policy.arn in holder.attached:
        return
    if len(holder.attached) >= ATTACHED:
        raise quota(f"PoliciesPer{noun(holder).capitalize()}", ATTACHED)
    await iam.apply(Replace(holder, replace(holder, attached=(*holder.attached, policy.arn))))


async def detach(iam: Iam, holder: Holder, arn: str) -> None:
    """Detach a managed policy."""
    if arn not in holder.attached:
        raise NotFound(f"Policy {arn} was not found.", resource="policy", name=arn)
    kept = tuple(one for one in holder.attached if one != arn)
    await iam.apply(Replace(holder, replace(holder, attached=kept)))
