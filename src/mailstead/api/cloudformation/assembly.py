"""Puts the engine together: registry, journal, actions, and as whom stacks act."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from mailstead.api.cloudformation.actions import Actions
from mailstead.api.cloudformation.dynamic import Dynamic, Find
from mailstead.api.cloudformation.engine import Engine
from mailstead.api.cloudformation.journal import Journal
from mailstead.api.cloudformation.model import Stack
from mailstead.api.cloudformation.resources import Context, Registry
from mailstead.api.cloudformation.service import Stacks
from mailstead.api.errors import DENIED
from mailstead.api.operation import Ports, principal_keys
from mailstead.mail.access import Policy, Principal, Request, decide, refusal
from mailstead.mail.errors import Refused
from mailstead.mail.model import Scope
from mailstead.mail.ports import Clock, Randomness, Store, Wakeups


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the engine needs of the process."""

    store: Store
    clock: Clock
    randomness: Randomness
    wakeups: Wakeups
    ports: Callable[[], Ports]
    """What the resource types use; made after the engine, which is in it."""
    principal: Callable[[str, str], Awaitable[Principal | None]]
    """Who an ARN of a user or role is, with the policies of now; for a session also its key."""
    parameters: Callable[[Scope], Awaitable[Mapping[str, str]]]
    dynamic: Mapping[str, Find]


_SERVICE = "cloudformation.amazonaws.com"
_OWN_KEYS = {"aws:securetransport": "true", "aws:viaawsservice": "false"}
"""Condition keys where a stack's role acts."""
_FORWARDED_KEYS = {
    "aws:calledvia": (_SERVICE,),
    "aws:calledviafirst": _SERVICE,
    "aws:calledvialast": _SERVICE,
    "aws:securetransport": "true",
    "aws:viaawsservice": "true",
}
"""Where CloudFormation acts with what its caller may."""


def assemble(registry: Registry, given: Surroundings) -> tuple[Stacks, Engine]:
    """The operations on stacks, and the engine that runs them."""
    journal = Journal(given.store, given.clock, given.randomness)

    async def context(stack: Stack, logical_id: str) -> Context:
        acting = stack.target or stack.current
        arn = acting.role_arn or stack.caller
        principal = await given.principal(arn, "" if acting.role_arn else stack.session)

        def authorise(
            action: str,
            resource: str,
            keys: Mapping[str, Sequence[str]] | None = None,
            policies: Sequence[Policy] = (),
            /,
        ) -> None:
            if principal is None:
                raise Refused(f"{arn} does not exist any more", resource="role", reason=DENIED)
            context = principal_keys(principal, stack.scope.region, given.clock.real())
            context |= _OWN_KEYS if acting.role_arn else _FORWARDED_KEYS
            context |= {name.lower(): tuple(values) for name, values in (keys or {}).items()}
            decision = decide(principal, Request(action, (resource,), context), policies)
            if not decision.allowed:
                raise Refused(refusal(principal, decision), resource="action", reason=DENIED)

        return Context(stack.scope, given.ports(), authorise, stack.arn, logical_id)

    stacks = Stacks(
        journal,
        registry,
        given.randomness,
        given.wakeups,
        given.parameters,
        context,
    )
    actions = Actions(
        journal,
        registry,
        context,
        Dynamic(dict(given.dynamic)),
        lambda: b32encode(given.randomness.token(8)).decode().rstrip("=")[:12],
    )
    return stacks, Engine(journal, actions, stacks.target_plan, stacks.check_outputs)
