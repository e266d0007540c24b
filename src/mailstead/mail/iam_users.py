"""IAM users, their access keys and groups, and the sessions they open."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from mailstead.mail.errors import Conflict, Invalid, NotFound
from mailstead.mail.iam import (
    GROUPS_A_USER,
    KEYS_A_USER,
    AccessKey,
    Group,
    Iam,
    Session,
    User,
    checked_boundary,
    checked_name,
    new_id,
    quota,
    with_tags,
)
from mailstead.mail.model import Scope, Secret
from mailstead.mail.ports import Change, Create, Remove, Replace

ROOT = ""
"""The user of the root user's keys."""
DAY = 24 * 60 * 60 * 1000
SESSION_SHORTEST = 900
SESSION_LONGEST = 129_600
SESSION_ROOT = 3_600
"""Seconds that a session lives; the root user's are short whatever is asked."""


# Users


async def create_user(
    iam: Iam,
    scope: Scope,
    name: str,
    path: str = "/",
    tags: dict[str, str] | None = None,
    boundary: str = "",
) -> User:
    """A new user without keys and policies; ``boundary`` is its permissions boundary's ARN."""
    checked_name(name, "userName")
    user = User(
        scope,
        name.lower(),
        name,
        new_id("AIDA", iam.randomness),
        path,
        iam.clock.now(),
        tags=with_tags({}, tags or {}),
        boundary=await checked_boundary(iam, scope, boundary),
    )
    try:
        await iam.apply(Create(user))
    except Conflict:
        raise _exists("User", name) from None
    return user


async def update_user(
    iam: Iam, scope: Scope, name: str, new_name: str | None, new_path: str | None
) -> User:
    """Another name or path; keys, policies and groups go along."""
    user = await iam.user(scope, name)
    renamed = checked_name(new_name, "newUserName") if new_name is not None else user.user_name
    new = replace(
        user,
        name=renamed.lower(),
        user_name=renamed,
        path=new_path if new_path is not None else user.path,
    )
    if new.name == user.name:
        await iam.apply(Replace(user, new))
        return new
    keys = await access_keys(iam, scope, user)
    moved = [Replace(key, replace(key, user=new.name)) for key in keys]
    try:
        await iam.apply(Remove(user), Create(new), *moved)
    except Conflict as error:
        raise _exists("User", renamed) if error.reason == "exists" else error from None
    return new


async def delete_user(iam: Iam, scope: Scope, name: str) -> None:
    """Delete a user that has nothing any more; Conflict names what is left."""
    user = await iam.user(scope, name)
    for left, words in (
        (user.keys, "must delete access keys first"),
        (user.inline, "must delete policies first"),
        (user.attached, "must detach all policies first"),
        (user.groups, "must remove users from group first"),
    ):
        if left:
            raise in_use(f"Cannot delete entity, {words}.", name)
    await iam.apply(Remove(user))


async def tag_user(iam: Iam, scope: Scope, name: str, tags: dict[str, str]) -> None:
    """Set some tags."""
    user = await iam.user(scope, name)
    await iam.apply(Replace(user, replace(user, tags=with_tags(user.tags, tags))))


async def untag_user(iam: Iam, scope: Scope, name: str, keys: Iterable[str]) -> None:
    """Take tags away; those that are not there do not matter."""
    user = await iam.user(scope, name)
    gone = set(keys)
    kept = {key: value for key, value in user.tags.items() if key not in gone}
    await iam.apply(Replace(user, replace(user, tags=kept)))


# Access keys


async def access_keys(iam: Iam, scope: Scope, user: User | None) -> list[AccessKey]:
    """A user's keys, the root user's for None, oldest first."""
    if user is None:
        every = await iam.store.select(AccessKey, scope)
        found = [key for key in every if key.user == ROOT]
    else:
        keys = [await iam.store.get(AccessKey, scope, key_id) for key_id in user.keys]
        found = [key for key in keys if key is not None]
    return sorted(found, key=lambda key: key.created_at)


async def create_access_key(
    iam: Iam, scope: Scope, user: User | None, key_id: str | None = None
) -> AccessKey:
    """A new key of a user, or of the root user; two at most. Its id is random where not given."""
    present = await access_keys(iam, scope, user)
    if len(present) >= KEYS_A_USER:
        raise quota("AccessKeysPerUser", KEYS_A_USER)
    secret = Secret(b64encode(iam.randomness.token(30)))
    key_id = key_id or new_id("AKIA", iam.randomness)
    owner = user.name if user is not None else ROOT
    key = AccessKey(scope, key_id, owner, secret, iam.clock.now())
    changes: list[Change] = [Create(key)]
    if user is not None:
        changes.append(Replace(user, replace(user, keys=(*user.keys, key_id))))
    await iam.apply(*changes)
    return key


async def keep_root_key(iam: Iam, account: Scope, key_id: str, secret: str) -> None:
    """Make the root user's key be this one, as the configuration says."""
    scope = account.everywhere()
    present = await iam.store.get(AccessKey, scope, key_id)
    key = AccessKey(scope, key_id, ROOT, Secret(secret.encode()), iam.clock.now())
    if present is None:
        await iam.apply(Create(key))
    elif present.secret != key.secret or present.user != ROOT or not present.active:
        await iam.apply(Replace(present, replace(key, created_at=present.created_at)))


async def access_key(iam: Iam, scope: Scope, user: User | None, key_id: str) -> AccessKey:
    """One key of this user."""
    key = await iam.store.get(AccessKey, scope, key_id)
    owner = user.name if user is not None else ROOT
    if key is None or key.user != owner:
        raise _no_key(key_id)
    return key


async def owner_of(iam: Iam, scope: Scope, key_id: str) -> str | None:
    """The name of the user that one of the account's keys belongs to; None for the root user."""
    key = await iam.store.get(AccessKey, scope, key_id)
    if key is None:
        raise _no_key(key_id)
    user = await iam.store.get(User, scope, key.user) if key.user != ROOT else None
    return user.user_name if user is not None else None


async def account_of(iam: Iam, key_id: str) -> str:
    """The account that a key, temporary ones included, belongs to."""
    found = await iam.store.find(AccessKey, key_id) or await iam.store.find(Session, key_id)
    if found is None:
        raise _no_key(key_id)
    return found.scope.account


def _no_key(key_id: str) -> NotFound:
    return NotFound(
        f"The Access Key with id {key_id} cannot be found.", resource="key", name=key_id
    )


async def update_access_key(
    iam: Iam, scope: Scope, user: User | None, key_id: str, *, active: bool
) -> None:
    """Switch a key on or off."""
    key = await access_key(iam, scope, user, key_id)
    await iam.apply(Replace(key, replace(key, active=active)))


async def delete_access_key(iam: Iam, scope: Scope, user: User | None, key_id: str) -> None:
    """Delete a key."""
    key = await access_key(iam, scope, user, key_id)
    changes: list[Change] = [Remove(key)]
    if user is not None:
        kept = tuple(one for one in user.keys if one != key_id)
        changes.append(Replace(user, replace(user, keys=kept)))
    await iam.apply(*changes)


# Groups


async def create_group(iam: Iam, scope: Scope, name: str, path: str = "/") -> Group:
    """A new group without members and policies."""
    checked_name(name, "groupName", 128)
    group_id = new_id("AGPA", iam.randomness)
    group = Group(scope, name.lower(), name, group_id, path, iam.clock.now())
    try:
        await iam.apply(Create(group))
    except Conflict:
        raise _exists("Group", name) from None
    return group


async def members(iam: Iam, scope: Scope, group: Group) -> list[User]:
    """The users in a group, by name."""
    return [user for user in await iam.store.select(User, scope) if group.name in user.groups]


async def delete_group(iam: Iam, scope: Scope, name: str) -> None:
    """Delete a group that has neither members nor policies any more."""
    group = await iam.group(scope, name)
    for left, words in (
        (await members(iam, scope, group), "must remove users from group first"),
        (group.inline, "must delete policies first"),
        (group.attached, "must detach all policies first"),
    ):
        if left:
            raise in_use(f"Cannot delete entity, {words}.", name)
    await iam.apply(Remove(group))


async def join_group(iam: Iam, scope: Scope, group_name: str, user_name: str) -> None:
    """Put a user into a group; ten groups at most. Again does no harm."""
    group, user = await iam.group(scope, group_name), await iam.user(scope, user_name)
    if group.name in user.groups:
        return
    if len(user.groups) >= GROUPS_A_USER:
        raise quota("GroupsPerUser", GROUPS_A_USER)
    await iam.apply(Replace(user, replace(user, groups=(*user.groups, group.name))))


async def leave_group(iam: Iam, scope: Scope, group_name: str, user_name: str) -> None:
    """Take a user out of a group."""
    group, user = await iam.group(scope, group_name), await iam.user(scope, user_name)
    kept = tuple(name for name in user.groups if name != group.name)
    await iam.apply(Replace(user, replace(user, groups=kept)))


# Sessions


async def open_session(iam: Iam, scope: Scope, user: str, seconds: int) -> Session:
    """Temporary credentials of a user, or of the root user."""
    if not SESSION_SHORTEST <= seconds <= SESSION_LONGEST:
        raise Invalid(
            f"a session lives {SESSION_SHORTEST} to {SESSION_LONGEST} seconds", resource="session"
        )
    lifetime = min(seconds, SESSION_ROOT) if user == ROOT else seconds
    return await start_session(iam, scope, user, lifetime)


async def start_session(iam: Iam, scope: Scope, user: str, seconds: int, **role: Any) -> Session:
    """Keep new temporary credentials; ``role`` are the fields of a role's session."""
    now = iam.clock.real()
    ended = [
        Remove(session)
        for session in await iam.store.select(Session, scope)
        # Those that ended today still get the answer that says so.
        if session.expires_at < now - DAY
    ]
    session = Session(
        scope,
        new_id("ASIA", iam.randomness),
        user,
        Secret(b64encode(iam.randomness.token(30))),
        Secret(b64encode(iam.randomness.token(120))),
        now + seconds * 1000,
        **role,
    )
    await iam.apply(Create(session), *ended)
    return session


def in_use(text: str, name: str) -> Conflict:
    """The refusal to delete what something else still needs."""
    return Conflict(text, resource="entity", name=name, reason="in-use")


def _exists(what: str, name: str) -> Conflict:
    return Conflict(
        f"{what} with name {name} already exists.",
        resource=what.lower(),
        name=name,
        reason="exists",
    )
