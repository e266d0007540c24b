"""Who may do what: IAM policies evaluated against a request, and the words of a refusal.

Pure functions on values. A policy document is parsed once (`mailstead.mail.policies`);
an explicit deny wins over everything, then something must allow. Identity-based
policies and the policy of the resource both count in the resource's own account;
from another account both must allow. A permissions boundary and the policies of a
session only take away from what the identity's own allow; what a resource's policy
grants to a user by name is beyond them. Source: the IAM User Guide, "Policy
evaluation logic".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from mailstead.mail.access_conditions import Condition, Context, filled, glob


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom a resource's policy speaks of, by kind: ``AWS``, ``Service``, ``Federated``."""

    names: dict[str, tuple[str, ...]]
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule of a policy."""

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...] = ("*",)
    not_actions: bool = False
    not_resources: bool = False
    principals: Principals | None = None
    conditions: tuple[Condition, ...] = ()
    sid: str = ""

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Whether the rule is about this action on this resource under these conditions."""
        if any(_matches_action(p, action) for p in self.actions) == self.not_actions:
            return False
        if self._matches_resource(resource, context) == self.not_resources:
            return False
        return all(condition.holds(context) for condition in self.conditions)

    def _matches_resource(self, resource: str, context: Context) -> bool:
        for pattern in self.resources:
            if pattern == "*":
                return True
            text = filled(pattern, context)
            if text is not None and glob(text).fullmatch(resource):
                return True
        return False


def _matches_action(pattern: str, action: str) -> bool:
    return pattern == "*" or glob(pattern, fold=True).fullmatch(action) is not None


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document."""

    statements: tuple[Statement, ...]


class Source(Enum):
    """Which kind of policy decided."""

    IDENTITY = "an identity-based policy"
    SESSION = "a session policy"
    BOUNDARY = "a permissions boundary"
    RESOURCE = "a resource-based policy"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    account: str
    arn: str
    user_id: str = ""
    user_name: str | None = None
    is_root: bool = False
    policies: tuple[Policy, ...] = ()
    """Identity-based: the user's own, its groups', or the assumed role's."""
    session: tuple[Policy, ...] = ()
    """Policies given with the session: they can only take away."""
    boundary: Policy | None = None
    """The user's or role's permissions boundary: it can only take away."""
    role_arn: str | None = None
    """The role behind a session, which resource policies may name in its place."""
    tags: tuple[tuple[str, str], ...] = ()
    """The user's or role's and the session's, for ``aws:PrincipalTag/KEY``."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked: an action, on every one of the resources."""

    action: str
    resources: tuple[str, ...] = ("*",)
    context: Context = field(default_factory=dict[str, str | tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and for a no which resource it was about and why."""

    allowed: bool
    action: str
    resource: str
    explicit: bool = False
    """Whether a policy denies it; else none allows it."""
    source: Source = Source.IDENTITY


def decide(
    principal: Principal,
    request: Request,
    resource_policies: Sequence[Policy] = (),
    *,
    owner: str | None = None,
    mandatory: bool = False,
) -> Decision:
    """Whether the principal may; the first resource that is refused decides.

    ``owner`` is the resource's account, where it can be another's. ``mandatory``
    says that the resource's policy must allow even within its account, as a
    role's trust policy does.
    """
    foreign = owner is not None and owner != principal.account
    for resource in request.resources:
        decision = _one(principal, request, resource, resource_policies, foreign or mandatory)
        if not decision.allowed:
            return decision
        if foreign and not decision_by_identity(principal, request, resource):
            return Decision(False, request.action, resource)
    return Decision(True, request.action, request.resources[0] if request.resources else "*")


def decision_by_identity(principal: Principal, request: Request, resource: str) -> bool:
    """Whether the principal's own side allows."""
    if principal.is_root:
        return True
    return _any(principal.policies, True, request, resource) and (
        _limit(principal, request, resource) is None
    )


def _limit(principal: Principal, request: Request, resource: str) -> Source | None:
    """What keeps a principal from what its own policies, or its role's, allow it."""
    boundary = principal.boundary
    if boundary is not None and not _any((boundary,), True, request, resource):
        return Source.BOUNDARY
    if principal.session and not _any(principal.session, True, request, resource):
        return Source.SESSION
    return None


def _denied(principal: Principal, request: Request, resource: str) -> Source | None:
    """Which of a principal's own policies denies."""
    if principal.is_root:
        return None
    boundary = () if principal.boundary is None else (principal.boundary,)
    for policies, source in (
        (principal.policies, Source.IDENTITY),
        (boundary, Source.BOUNDARY),
        (principal.session, Source.SESSION),
    ):
        if _any(policies, False, request, resource):
            return source
    return None


def _one(
    principal: Principal,
    request: Request,
    resource: str,
    resource_policies: Sequence[Policy],
    must: bool,
) -> Decision:
    action, context = request.action, request.context
    denied: Source | None = None
    granted = _Grant.NONE
    for policy in resource_policies:
        for statement in policy.statements:
            match = _principal_match(statement.principals, principal)
            if match is _Grant.NONE or not statement.covers(action, resource, context):
                continue
            if not statement.allow:
                denied = Source.RESOURCE
            elif match.value > granted.value:
                granted = match
    denied = _denied(principal, request, resource) or denied
    if denied is not None:
        return Decision(False, action, resource, explicit=True, source=denied)
    own = decision_by_identity(principal, request, resource)
    if must and granted is _Grant.NONE:
        return Decision(False, action, resource, source=Source.RESOURCE)
    limit = _limit(principal, request, resource)
    if own or granted is _Grant.DIRECT or (granted is _Grant.ROLE and limit is None):
        return Decision(True, action, resource)
    allowed = _any(principal.policies, True, request, resource)
    source = limit if limit is not None and allowed else Source.IDENTITY
    return Decision(False, action, resource, source=source)


def _any(policies: Sequence[Policy], allow: bool, request: Request, resource: str) -> bool:
    for policy in policies:
        for statement in policy.statements:
            if statement.allow is allow and statement.covers(
                request.action, resource, request.context
            ):
                return True
    return False


class _Grant(Enum):
    """How a resource's policy names the asker."""

    NONE = 0
    ACCOUNT = 1
    """Through the account, which leaves the choice to the account's own policies."""
    ROLE = 2
    """Through the role, within what its boundary and the session's own policies allow."""
    DIRECT = 3


def _principal_match(named: Principals | None, principal: Principal) -> _Grant:
    if named is None:
        return _Grant.NONE
    best = _Grant.NONE
    for name in named.names.get("AWS", ()):
        grant = _name_match(name, principal)
        if grant.value > best.value:
            best = grant
    if named.negated:
        return _Grant.DIRECT if best is _Grant.NONE else _Grant.NONE
    return best


def _name_match(name: str, principal: Principal) -> _Grant:
    if name in {"*", principal.arn}:
        return _Grant.DIRECT
    if name == principal.role_arn:
        return _Grant.ROLE
    if name in {principal.account, f"arn:aws:iam::{principal.account}:root"}:
        return _Grant.DIRECT if principal.is_root else _Grant.ACCOUNT
    return _Grant.NONE


def refusal(principal: Principal, decision: Decision) -> str:
    """The words of a refusal, for everything but sending."""
    text = (
        f"User: {principal.arn} is not authorized to perform: {decision.action} "
        f"on resource: {decision.resource}"
    )
    if decision.explicit:
        return f"{text} with an explicit deny in {decision.source.value}"
    reason = decision.source.value.partition(" ")[2]
    return f"{text} because no {reason} allows the {decision.action} action"


def sending_refusal(principal: Principal, decision: Decision) -> str:
    """The words of a refusal to send: SES puts what it names between backtick and apostrophe."""
    return (
        f"User `{principal.arn}' is not authorized to perform `{decision.action}' "
        f"on resource `{decision.resource}'"
    )
