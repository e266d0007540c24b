"""IAM roles: made, changed, and assumed for a while.

Who may assume a role is said by its trust policy, which the door asks with
`trust_of`; trust in an account (``:root``) leaves the choice to that account's
own policies and grants nothing by itself. Source: the IAM User Guide, "IAM
roles"; the AWS STS API Reference, AssumeRole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailstead.mail.access import Policy
from mailstead.mail.errors import Conflict, Invalid, Limit
from mailstead.mail.iam import (
    TRUST_SIZE,
    Iam,
    Role,
    Session,
    checked_boundary,
    checked_name,
    new_id,
    quota,
    size,
    with_tags,
)
from mailstead.mail.iam_users import in_use, start_session
from mailstead.mail.model import GLOBAL, Scope
from mailstead.mail.policies import PolicyKind, parse_policy
from mailstead.mail.ports import Create, Remove, Replace

HOUR = 3600
SESSION_POLICIES = 10
SESSION_POLICY_SIZE = 2048
"""Characters of a session's inline policy."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What AssumeRole asks for besides the role."""

    session_name: str
    seconds: int = HOUR
    chained: bool = False
    """Whether a role's session asks: it gets an hour at most."""
    policy: str = ""
    policy_arns: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Roles:
    """What is done with roles."""

    iam: Iam

    async def find(self, scope: Scope, name: str) -> Role | None:
        """The role of that name, or None."""
        return await self.iam.store.get(Role, scope.everywhere(), name.lower())

    async def by_arn(self, arn: str) -> Role | None:
        """The role with this ARN, in whichever account; None where there is none."""
        parts = arn.split(":", 5)
        if len(parts) != 6 or parts[2] != "iam" or not parts[5].startswith("role/"):
            return None
        name = parts[5].rpartition("/")[2]
        found = await self.find(Scope(parts[4], GLOBAL), name)
        return found if found is not None and found.arn == arn else None

    async def require(self, scope: Scope, arn: str, service: str = "") -> Role:
        """The account's role with this ARN, which ``service`` may assume where one is named.

        Invalid for a role that is not there, another account's, or one that does
        not trust the service: whoever passes it learns no more than that.
        """
        found = await self.by_arn(arn)
        if (
            found is None
            or found.scope.account != scope.account
            or (service and not trusts_service(found, service))
        ):
            raise Invalid(
                f"Role {arn} is invalid or cannot be assumed",
                resource="role",
                name=arn,
                reason="role",
            )
        return found

    async def create(
        self,
        scope: Scope,
        name: str,
        trust: str,
        *,
        path: str = "/",
        description: str = "",
        longest_session: int = HOUR,
        tags: Mapping[str, str] | None = None,
        boundary: str = "",
    ) -> Role:
        """A new role without policies; ``boundary`` is its permissions boundary's ARN."""
        checked_name(name, "roleName")
        role = Role(
            scope.everywhere(),
            name.lower(),
            name,
            new_id("AROA", self.iam.randomness),
            path,
            self.iam.clock.now(),
            _checked_trust(trust),
            description,
            longest_session,
            tags=with_tags({}, tags or {}),
            boundary=await checked_boundary(self.iam, scope.everywhere(), boundary),
        )
        try:
            await self.iam.apply(Create(role))
        except Conflict:
            raise Conflict(
                f"Role with name {name} already exists.",
                resource="role",
                name=name,
                reason="exists",
            ) from None
        return role

    async def update(
        self,
        scope: Scope,
        name: str,
        *,
        description: str | None = None,
        longest_session: int | None = None,
    ) -> Role:
        """Another description or longest session; what is None stays."""
        role = await self.iam.role(scope.everywhere(), name)
        new = replace(
            role,
            description=role.description if description is None else description,
            longest_session=longest_session or role.longest_session,
        )
        await self.iam.apply(Replace(role, new))
        return new

    async def set_trust(self, scope: Scope, name: str, document: str) -> None:
        """Another trust policy."""
        role = await self.iam.role(scope.everywhere(), name)
        await self.iam.apply(Replace(role, replace(role, trust=_checked_trust(document))))

    async def delete(self, scope: Scope, name: str) -> None:
        """Delete a role that has no policies any more; its sessions end with it."""
        role = await self.iam.role(scope.everywhere(), name)
        if role.inline:
            raise in_use("Cannot delete entity, must delete policies first.", name)
        if role.attached:
            raise in_use("Cannot delete entity, must detach all policies first.", name)
        await self.iam.apply(Remove(role))

    async def tag(self, scope: Scope, name: str, tags: Mapping[str, str]) -> None:
        """Set some tags."""
        role = await self.iam.role(scope.everywhere(), name)
        await self.iam.apply(Replace(role, replace(role, tags=with_tags(role.tags, tags))))

    async def untag(self, scope: Scope, name: str, keys: Iterable[str]) -> None:
        """Take tags away; those that are not there do not matter."""
        role = await self.iam.role(scope.everywhere(), name)
        gone = set(keys)
        kept = {key: value for key, value in role.tags.items() if key not in gone}
        await self.iam.apply(Replace(role, replace(role, tags=kept)))

    async def assume(self, role: Role, asked: Asked) -> Session:
        """Temporary credentials of a role, for who was found to be trusted."""
        if asked.chained and asked.seconds > HOUR:
            raise Invalid(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed "
                "by role chaining",
                resource="session",
            )
        if asked.seconds > role.longest_session:
            raise Invalid(
                "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
                resource="session",
            )
        await self._check_policies(role, asked)
        return await start_session(
            self.iam,
            role.scope,
            "",
            asked.seconds,
            role=role.name,
            role_id=role.role_id,
            session_name=asked.session_name,
            policies=(asked.policy,) if asked.policy else (),
            policy_arns=asked.policy_arns,
            tags=with_tags({}, asked.tags),
        )

    async def _check_policies(self, role: Role, asked: Asked) -> None:
        if asked.policy:
            parse_policy(asked.policy)
        for arn in asked.policy_arns:
            await self.iam.policy(role.scope, arn)
        if len(asked.policy) > SESSION_POLICY_SIZE or len(asked.policy_arns) > SESSION_POLICIES:
            raise Limit(
                f"A session takes {SESSION_POLICY_SIZE} characters of policy and "
                f"{SESSION_POLICIES} managed policies at most: name managed policies, or shorten "
                "the document",
                resource="policy",
            )


def packed(asked: Asked) -> int | None:
    """How much of the room for session policies and tags is used, in percent; None without any."""
    if not (asked.policy or asked.policy_arns or asked.tags):
        return None
    texts = (asked.policy, *asked.policy_arns, *asked.tags, *asked.tags.values())
    return -(-sum(map(len, texts)) * 100 // (4 * SESSION_POLICY_SIZE))


def trust_of(role: Role) -> Policy:
    """A role's trust policy, to be asked with `mailstead.mail.access.decide`."""
    return parse_policy(role.trust, PolicyKind.TRUST)


def trusts_service(role: Role, service: str) -> bool:
    """Whether a service (``cloudformation.amazonaws.com``) may assume the role."""
    context = {"aws:sourceaccount": role.scope.account}
    verdicts = {
        statement.allow
        for statement in trust_of(role).statements
        if statement.principals is not None
        and _names(statement.principals.names, service) is not statement.principals.negated
        and statement.covers("sts:AssumeRole", role.arn, context)
    }
    return verdicts == {True}


def _names(names: Mapping[str, Sequence[str]], service: str) -> bool:
    return service in names.get("Service", ()) or "*" in names.get("AWS", ())


def _checked_trust(document: str) -> str:
    parse_policy(document, PolicyKind.TRUST)
    if size(document) > TRUST_SIZE:
        raise quota("ACLSizePerRole", TRUST_SIZE)
    return document
