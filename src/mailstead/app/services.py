"""The services beside mail: stacks, parameters, buckets, and the ports that all handlers get."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from mailstead.api.bootstrap import Bootstrap
from mailstead.api.buckets import Buckets
from mailstead.api.cloudformation.assembly import Surroundings, assemble
from mailstead.api.cloudformation.engine import Engine
from mailstead.api.cloudformation.resources import (
    Context,
    Registry,
    dnssec,
    iam,
    recorded,
    roles,
    route53,
    s3,
    secrets,
    ses,
    ssm,
)
from mailstead.api.operation import Ports
from mailstead.api.parameters import Parameters
from mailstead.api.secrets import Secret, Secrets
from mailstead.app.domain import Domain
from mailstead.config import Config

RESOURCE_TYPES = (ses, route53, dnssec, iam, roles, ssm, secrets, s3, recorded)
"""The modules whose classes are resource types of CloudFormation."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the API's door and the deployer need."""

    ports: Ports
    engine: Engine
    bootstrap: Bootstrap

    async def moving(self) -> Sequence[str]:
        """The ARNs of stacks under way."""
        return [stack.arn for stack in await self.engine.journal.stacks(None) if stack.moving]

    async def run(self, arn: str) -> None:
        """Bring a stack to where it stands still."""
        for stack in await self.engine.journal.stacks(None):
            if stack.arn == arn and stack.moving:
                await self.engine.run(stack)


def registry() -> Registry:
    """The resource types."""
    return Registry(RESOURCE_TYPES)


def compose(
    config: Config, domain: Domain, hosts: Iterable[str], patience: float = 0.0
) -> Services:
    """Put the services together; ``hosts`` are the names that clients reach us by.

    ``patience`` is how long, in seconds, an answer may wait for a stack's end.
    """
    adapters = domain.adapters
    parameters = Parameters(adapters.store, adapters.clock)
    hidden = Secrets(adapters.store, adapters.clock, adapters.randomness)

    def plain(*, secure: bool) -> Callable[[Context, str], Awaitable[str]]:
        return lambda at, reference: parameters.resolved(
            at.scope, reference, at.authorise, secure=secure
        )

    async def secret(at: Context, reference: str) -> str:
        def may(found: Secret) -> None:
            at.authorise("secretsmanager:GetSecretValue", found.arn, None, found.policies)

        return await hidden.resolved(at.scope, reference, may)

    def ports() -> Ports:
        return made

    stacks, engine = assemble(
        registry(),
        Surroundings(
            adapters.store,
            adapters.clock,
            adapters.randomness,
            adapters.wakeups,
            ports,
            domain.credentials.principal,
            parameters.values,
            {
                "ssm": plain(secure=False),
                "ssm-secure": plain(secure=True),
                "secretsmanager": secret,
            },
        ),
    )
    made = Ports(
        store=adapters.store,
        clock=adapters.clock,
        randomness=adapters.randomness,
        iam=domain.iam,
        roles=domain.roles,
        identities=domain.identities,
        verification=domain.verification,
        outbound=domain.outbound,
        letters=domain.letters,
        zones=domain.zones,
        stacks=stacks,
        buckets=Buckets(adapters.store, adapters.clock, adapters.workers, hosts),
        parameters=parameters,
        secrets=hidden,
        review=config.account.review.upper(),
        patience=patience,
    )
    return Services(made, engine, Bootstrap(domain.iam))
