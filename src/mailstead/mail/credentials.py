"""Access keys at the door: from a key's id to its secret and to whom it speaks for.

Keys are asked for at every call, so what was found is kept for some seconds.
A change made through this process is seen at once (`Credentials.clear`); one
made by another node of a fleet after `LIFE` at the latest.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hmac import compare_digest

from mailstead.mail.access import Policy, Principal
from mailstead.mail.iam import (
    AWS_POLICIES,
    AccessKey,
    Group,
    ManagedPolicy,
    Role,
    Session,
    User,
)
from mailstead.mail.model import GLOBAL, Scope
from mailstead.mail.policies import parse_policy
from mailstead.mail.ports import Clock, Store
from mailstead.wire.sigv4 import smtp_password

LIFE = 5.0
"""Seconds that a found key is trusted."""
MOST = 10_000
"""Keys that are kept."""

REGIONS = (
    "us-east-1", "us-east-2", "us-west-1", "us-west-2", "af-south-1", "ap-east-1", "ap-east-2",
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
    "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1",
    "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2",
    "eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1",
    "us-gov-east-1", "us-gov-west-1",
)  # fmt: skip
"""Regions whose SMTP passwords are known; the server's own is tried first."""


@dataclass(frozen=True, slots=True)
class Credential:
    """An active access key, with what must come with it."""

    key_id: str
    secret: str
    principal: Principal
    token: str | None = None
    """The session token that a temporary key needs."""
    expires_at: int = 0
    """Milliseconds of the real clock; 0 is never."""

    def __repr__(self) -> str:
        return f"Credential({self.key_id!r}, {self.principal.arn!r})"


class Credentials:
    """Finds access keys, and remembers them for a while."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[str, tuple[float, Credential | None]] = {}

    def clear(self) -> None:
        """Forget everything: some user, key or policy changed."""
        self._known.clear()

    async def find(self, key_id: str) -> Credential | None:
        """The active key with this id, or None."""
        known = self._known.get(key_id)
        now = self._clock.ticks()
        if known is not None and known[0] > now:
            return known[1]
        found = await self._load(key_id)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[key_id] = (now + LIFE, found)
        return found

    async def smtp_login(
        self, key_id: str, password: str, first_region: str
    ) -> tuple[Principal, Scope] | None:
        """Whom an SMTP user name and password stand for, and in which account and region.

        None where the key is unknown or temporary, or no region's password is this
        one. SES's passwords are made of a secret and a region.
        """
        found = await self.find(key_id)
        if found is None or found.token is not None or not _is_password(password):
            return None
        for region in dict.fromkeys((first_region, *REGIONS)):
            if compare_digest(smtp_password(found.secret, region), password):
                return found.principal, Scope(found.principal.account, region)
        return None

    async def principal(self, arn: str, session: str = "") -> Principal | None:
        """Who an ARN of IAM or STS stands for, with the policies of now; None where it is gone.

        ``session`` is the key of a role's session, as several may have one ARN. A role's
        own ARN stands for a session without session policies. For work that goes on
        after the request that asked for it.
        """
        parts = arn.split(":", 5)
        if len(parts) != 6:
            return None
        scope, what = Scope(parts[4], GLOBAL), parts[5]
        kind, _, rest = what.partition("/")
        match parts[2], kind:
            case "iam", "root":
                return await self._user(scope, "")
            case "iam", "user":
                return await self._user(scope, rest.rpartition("/")[2].lower())
            case "iam", "role":
                role = await self._store.get(Role, scope, rest.rpartition("/")[2].lower())
                return await self._role(role, "mailstead") if role is not None else None
            case "sts", "assumed-role":
                return await self._assumed(session, arn)
            case _:
                return None

    async def _assumed(self, key_id: str, arn: str) -> Principal | None:
        """Whom a session speaks for, if it has that ARN."""
        found = await self._store.find(Session, key_id)
        principal = await self._session(found) if found is not None else None
        return principal if principal is not None and principal.arn == arn else None

    async def _load(self, key_id: str) -> Credential | None:
        key = await self._store.find(AccessKey, key_id)
        if key is not None:
            if not key.active:
                return None
            principal = await self._user(key.scope, key.user)
            return principal and Credential(key_id, key.secret.decode(), principal)
        session = await self._store.find(Session, key_id)
        if session is None:
            return None
        principal = await self._session(session)
        return principal and Credential(
            key_id, session.secret.decode(), principal, session.token.decode(), session.expires_at
        )

    async def _session(self, session: Session) -> Principal | None:
        """Whom temporary credentials speak for; None where that user or role is gone."""
        if not session.role_id:
            return await self._user(session.scope, session.user)
        role = await self._store.get(Role, session.scope, session.role)
        if role is None or role.role_id != session.role_id:
            return None
        documents = [*session.policies, *await self._texts(role.scope, session.policy_arns)]
        limits = tuple(_parsed(documents))
        if session.policy_arns and not limits:
            # All were deleted: what they allowed was never the whole role.
            limits = (Policy(()),)
        return await self._role(role, session.session_name, limits, session.tags)

    async def _role(
        self,
        role: Role,
        session_name: str,
        limits: tuple[Policy, ...] = (),
        tags: Mapping[str, str] | None = None,
    ) -> Principal:
        documents = [*role.inline.values(), *await self._texts(role.scope, role.attached)]
        account = role.scope.account
        return Principal(
            account,
            f"arn:aws:sts::{account}:assumed-role/{role.role_name}/{session_name}",
            f"{role.role_id}:{session_name}",
            policies=tuple(_parsed(documents)),
            session=limits,
            boundary=await self._boundary(role.scope, role.boundary),
            role_arn=role.arn,
            tags=tuple({**role.tags, **(tags or {})}.items()),
        )

    async def _user(self, scope: Scope, user_name: str) -> Principal | None:
        """A user with all policies, the root user for ""; None where that user is gone."""
        if not user_name:
            arn = f"arn:aws:iam::{scope.account}:root"
            return Principal(scope.account, arn, scope.account, is_root=True)
        user = await self._store.get(User, scope, user_name)
        if user is None:
            return None
        documents = list(user.inline.values())
        arns = list(user.attached)
        for name in user.groups:
            group = await self._store.get(Group, scope, name)
            if group is not None:
                documents += group.inline.values()
                arns += group.attached
        documents += await self._texts(scope, arns)
        return Principal(
            scope.account,
            user.arn,
            user.user_id,
            user.user_name,
            policies=tuple(_parsed(documents)),
            boundary=await self._boundary(scope, user.boundary),
            tags=tuple(user.tags.items()),
        )

    async def _boundary(self, scope: Scope, arn: str) -> Policy | None:
        """A permissions boundary; one that is gone allows nothing."""
        if not arn:
            return None
        text = await self._document(scope, arn)
        return parse_policy(text) if text else Policy(())

    async def _texts(self, scope: Scope, arns: Iterable[str]) -> list[str]:
        """The documents of managed policies; one that is gone has none."""
        return [text for arn in arns if (text := await self._document(scope, arn))]

    async def _document(self, scope: Scope, arn: str) -> str | None:
        if arn in AWS_POLICIES:
            return AWS_POLICIES[arn].document
        policy = await self._store.get(ManagedPolicy, scope, ManagedPolicy.key(arn))
        return policy.document if policy is not None else None


def _parsed(documents: Iterable[str]) -> Iterable[Policy]:
    return (parse_policy(document) for document in documents)


def _is_password(text: str) -> bool:
    """Whether a text has the form of SES's SMTP passwords, before any is computed."""
    try:
        return len(content := b64decode(text, validate=True)) == 33 and content[0] == 4
    except ValueError:
        return False
