"""Handlers of AWS operations: how one is marked, what it gets, and the table of them all.

    @operation("sesv2", "GetEmailIdentity", resources=identity_arn)
    async def get(call: Call, p: dict[str, Any]) -> dict[str, Any]: ...

A handler gets its input under the model's member names (blobs as bytes, times
as seconds since 1970) and returns its output likewise, or None for an empty
one. Before it is called its IAM action was allowed: ``prefix:Name`` on ``*``
unless the mark says otherwise. It raises the domain's errors.

Handlers are in no global table: `Operations` is made from the modules that
``app`` passes, and refuses names that the models do not have, or that are
taken twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mailstead.api.errors import DENIED
from mailstead.mail.access import (
    Decision,
    Policy,
    Principal,
    Principals,
    Request,
    Statement,
    decide,
    refusal,
    sending_refusal,
)
from mailstead.mail.errors import Refused
from mailstead.mail.model import Scope
from mailstead.wire.aws_model import Models

if TYPE_CHECKING:
    # The engine's resource types use these ports, and the ports hold the engine's operations.
    from mailstead.api.buckets import Buckets
    from mailstead.api.cloudformation.service import Stacks
    from mailstead.api.parameters import Parameters
    from mailstead.api.secrets import Secrets
    from mailstead.mail.iam import Iam
    from mailstead.mail.iam_roles import Roles
    from mailstead.mail.identities import Identities
    from mailstead.mail.letters import Letters
    from mailstead.mail.ports import Clock, Randomness, Store
    from mailstead.mail.submission import Outbound
    from mailstead.mail.verification import Verification
    from mailstead.mail.zones import Zones


PREFIXES = {"sesv2": "ses"}
"""IAM's name of a service, where it is not the model's."""
_MARK = "aws_operations"


@dataclass(frozen=True, slots=True)
class Ports:
    """What handlers need of the domain and the outside."""

    store: Store
    clock: Clock
    randomness: Randomness
    iam: Iam
    roles: Roles
    identities: Identities
    verification: Verification
    outbound: Outbound
    letters: Letters
    zones: Zones
    stacks: Stacks
    buckets: Buckets
    parameters: Parameters
    secrets: Secrets
    review: str
    """How requests for production access are answered: ``PENDING``, ``GRANTED``, ``DENIED``."""
    patience: float = 0.0
    """Seconds that an answer may wait for the end of what it sets going."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an operation: who, where, and what it may use."""

    scope: Scope
    """The caller's account and the region that the request was signed for."""
    principal: Principal
    request_id: str
    ports: Ports
    api_version: str
    """``1`` or ``2`` for SES, as ``ses:ApiVersion`` has it; "" elsewhere."""
    source_ip: str = ""
    user_agent: str = ""
    secure: bool = False
    """Whether it came over TLS."""
    key_id: str = ""
    temporary: bool = False
    """Whether the key is a session's."""

    def context(self) -> dict[str, str | tuple[str, ...]]:
        """The condition keys that every request has."""
        keys = principal_keys(self.principal, self.scope.region, self.ports.clock.real())
        keys |= {
            "aws:securetransport": "true" if self.secure else "false",
            "aws:sourceip": self.source_ip,
            "aws:useragent": self.user_agent,
            "aws:viaawsservice": "false",
        }
        if self.api_version:
            keys["ses:apiversion"] = self.api_version
        return keys

    def authorise(
        self,
        action: str,
        resources: Sequence[str] = ("*",),
        context: Mapping[str, Sequence[str]] | None = None,
        policies: Sequence[Policy] = (),
        *,
        owner: str | None = None,
        mandatory: bool = False,
    ) -> None:
        """Refused (reason ``access-denied``) unless the caller may, on every resource.

        ``policies`` are the resource's own, ``owner`` its account where that can
        be another's; ``mandatory`` says that they must allow even within the
        account, as a role's trust policy does.
        """
        decision = self._decide(action, resources, context or {}, policies, owner, mandatory)
        if not decision.allowed:
            raise _refused(refusal(self.principal, decision), decision)

    def authorise_decryption(self, key: str) -> None:
        """Refused where a policy denies decrypting with one of AWS's own keys.

        Everybody in the account may use those; only a denial counts, as CDK's role
        for lookups has one. ``key`` is ``alias/aws/ssm`` or the like.
        """
        arn = f"arn:aws:kms:{self.scope.region}:{self.scope.account}:{key}"
        self.authorise("kms:Decrypt", [arn], policies=[_ANYBODY])

    def authorise_sending(
        self,
        action: str,
        resources: Sequence[str],
        context: Mapping[str, Sequence[str]],
        policies: Sequence[Policy] = (),
    ) -> None:
        """`authorise` in SES's words for sending: what `Submission.authorise` takes."""
        decision = self._decide(action, resources, context, policies, None)
        if not decision.allowed:
            raise _refused(sending_refusal(self.principal, decision), decision)

    def _decide(
        self,
        action: str,
        resources: Sequence[str],
        context: Mapping[str, Sequence[str]],
        policies: Sequence[Policy],
        owner: str | None,
        mandatory: bool = False,
    ) -> Decision:
        principal = self.principal
        if principal.is_root and not policies and owner in {None, principal.account}:
            return Decision(True, action, "*")
        keys = self.context()
        for key, value in context.items():
            keys[key.lower()] = value if isinstance(value, str) else tuple(value)
        request = Request(action, tuple(resources), keys)
        return decide(principal, request, policies, owner=owner, mandatory=mandatory)


_ANYBODY = Policy((Statement(True, ("kms:Decrypt",), principals=Principals({"AWS": ("*",)})),))
"""The policy of AWS's own keys."""


def principal_keys(principal: Principal, region: str, now: int) -> dict[str, str | tuple[str, ...]]:
    """The condition keys of whoever asks, where and when (milliseconds), by whatever way."""
    moment = now // 1000
    keys: dict[str, str | tuple[str, ...]] = {
        "aws:currenttime": datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:epochtime": str(moment),
        "aws:principalaccount": principal.account,
        "aws:principalarn": principal.role_arn or principal.arn,
        "aws:principaltype": _principal_type(principal),
        "aws:requestedregion": region,
        "aws:userid": principal.user_id,
    }
    if principal.user_name is not None:
        keys["aws:username"] = principal.user_name
    keys.update((f"aws:principaltag/{name.lower()}", value) for name, value in principal.tags)
    return keys


def _principal_type(principal: Principal) -> str:
    if principal.is_root:
        return "Account"
    return "AssumedRole" if principal.role_arn is not None else "User"


def _refused(text: str, decision: Decision) -> Refused:
    return Refused(text, resource="action", name=decision.action, reason=DENIED)


@dataclass(frozen=True, slots=True)
class Answered:
    """A result with an HTTP status that is not the operation's usual one."""

    result: dict[str, Any]
    status: int


Handler = Callable[[Call, dict[str, Any]], Awaitable[dict[str, Any] | Answered | None]]
ResourcesOf = Callable[[Call, dict[str, Any]], Sequence[str] | Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Bound:
    """A handler, the operation it serves, and how its caller is authorised."""

    service: str
    name: str
    handler: Handler
    action: str
    resources: ResourcesOf | None
    open: bool
    """Whether the gateway asks nothing: the handler does, or everybody may."""


def operation(
    service: str,
    name: str,
    *,
    action: str | None = None,
    resources: ResourcesOf | None = None,
    open_: bool = False,
) -> Callable[[Handler], Handler]:
    """Mark a handler of an operation; one function may have several marks.

    ``action`` where it is not the operation's name; ``resources`` computes the
    ARNs; ``open_`` leaves all authorisation to the handler.
    """
    prefix = PREFIXES.get(service, service)

    def mark(handler: Handler) -> Handler:
        bound = Bound(service, name, handler, action or f"{prefix}:{name}", resources, open_)
        marks: list[Bound] = vars(handler).setdefault(_MARK, [])
        marks.append(bound)
        return handler

    return mark


class Operations:
    """The table of handlers by (service, operation)."""

    def __init__(self, modules: Iterable[ModuleType], models: Models) -> None:
        """ValueError names what is unknown to the models, or marked twice."""
        self._table: dict[tuple[str, str], Bound] = {}
        problems: list[str] = []
        for module in modules:
            for bound in _marked(module):
                key = (bound.service, bound.name)
                service = models.services.get(bound.service)
                if service is None or bound.name not in service.operation_names:
                    problems.append(f"{bound.service} has no operation {bound.name}")
                elif key in self._table:
                    problems.append(f"{bound.service} {bound.name} has two handlers")
                self._table[key] = bound
        if problems:
            raise ValueError("; ".join(problems))

    def get(self, service: str, name: str) -> Bound | None:
        """The handler of an operation, or None where it is not served."""
        return self._table.get((service, name))

    def served(self, service: str) -> frozenset[str]:
        """The operations of a service that have a handler."""
        return frozenset(name for of, name in self._table if of == service)


def _marked(module: ModuleType) -> Iterable[Bound]:
    """The marks of the functions that a module defines; imported ones are another module's.

    Families of handlers that are made from a table stand in a tuple.
    """
    for value in vars(module).values():
        for one in value if isinstance(value, tuple) else (value,):
            if callable(one) and getattr(one, "__module__", None) == module.__name__:
                yield from vars(one).get(_MARK, ())
