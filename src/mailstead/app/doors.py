"""The doors: HTTP applications and SMTP ports, wired to the domain."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from mailstead import __version__
from mailstead.api import (
    iam,
    iam_absent,
    iam_boundaries,
    iam_policies,
    iam_roles,
    route53,
    route53_answers,
    route53_dnssec,
    route53_sets,
    s3,
    s3_multipart,
    s3_objects,
    s3_settings,
    secretsmanager,
    ssm,
    sts,
)
from mailstead.api.admin import Admin
from mailstead.api.cloudformation import change_sets, drift, history
from mailstead.api.cloudformation import handlers as stacks
from mailstead.api.gateway import Gateway
from mailstead.api.local import PREFIX, Health, LocalApi
from mailstead.api.operation import Operations
from mailstead.api.s3_requests import S3Requests
from mailstead.api.ses import account, identities, identities_v1, identity_policies, sending
from mailstead.app.domain import Domain
from mailstead.app.services import Services
from mailstead.config import Config
from mailstead.mail.access import Policy, Principal, Request, decide, sending_refusal
from mailstead.mail.access_conditions import Context
from mailstead.mail.errors import Refused
from mailstead.mail.model import Scope
from mailstead.roles.smtpd import SmtpSettings
from mailstead.roles.submissiond import SubmissionDoor, Submitter
from mailstead.wire.aws import Wire
from mailstead.wire.aws_model import load_models
from mailstead.wire.sasl import Credentials as Login

App = Callable[[Mapping[str, Any], Any, Any], Awaitable[None]]

HANDLERS = (
    sending,
    identities,
    identities_v1,
    identity_policies,
    account,
    iam,
    iam_absent,
    iam_boundaries,
    iam_policies,
    iam_roles,
    sts,
    route53,
    route53_answers,
    route53_dnssec,
    route53_sets,
    s3,
    s3_multipart,
    s3_objects,
    s3_settings,
    ssm,
    secretsmanager,
    stacks,
    change_sets,
    drift,
    history,
)
"""The modules whose marked functions serve AWS operations."""


@dataclass(frozen=True, slots=True)
class LocalAccess:
    """Who may call the local API and the pages."""

    token: str
    hosts: frozenset[str]
    console_link: Callable[[], str]


def operations() -> tuple[Wire, Operations]:
    """The models, and the table of what is served of them."""
    content = (resources.files("mailstead.wire") / "models.json.gz").read_bytes()
    models = load_models(content)
    return Wire(models), Operations(HANDLERS, models)


def api_app(
    config: Config,
    domain: Domain,
    services: Services,
    roles: Sequence[str],
    access: LocalAccess,
) -> App:
    """What answers on the API's port: the local API under its prefix, AWS everywhere else."""
    wire, table = operations()
    own_requests = S3Requests(services.ports.buckets.addresses, domain.adapters.workers)
    gateway = Gateway(
        wire,
        table,
        services.ports,
        domain.credentials.find,
        verify={"s3": own_requests.verified},
        arrive=services.bootstrap.arrive,
    )
    local = local_api(config, domain, roles, access)

    async def app(scope: Mapping[str, Any], receive: Any, send: Any) -> None:
        door = local if scope["path"].startswith(PREFIX) else gateway
        await door(scope, receive, send)

    return app


def local_api(
    config: Config, domain: Domain, roles: Sequence[str], access: LocalAccess
) -> LocalApi:
    """The local API with the commands' side."""
    about = {"version": __version__, "roles": list(roles), "delivery": config.delivery.mode}
    admin = Admin(
        domain.mailboxes,
        domain.domains,
        domain.publication,
        domain.identities,
        domain.verification,
        domain.inbox,
        domain.demo,
        access.console_link,
        about,
    )
    health = Health(__version__, tuple(roles), config.delivery.mode)
    return LocalApi(health, domain.inbox, admin, access.token, access.hosts)


def submission_door(config: Config, domain: Domain) -> SubmissionDoor:
    """SES's SMTP interface."""

    async def login(given: Login) -> Submitter | None:
        found = await domain.credentials.smtp_login(
            given.username, given.password, domain.home.region
        )
        return submitter(*found) if found is not None else None

    def root() -> Submitter:
        arn = f"arn:aws:iam::{domain.home.account}:root"
        return submitter(
            Principal(domain.home.account, arn, domain.home.account, is_root=True), domain.home
        )

    networks = trusted_networks(config)
    return SubmissionDoor(domain.outbound, domain.adapters.randomness, login, root, networks)


def trusted_networks(config: Config) -> tuple[IPv4Network | IPv6Network, ...]:
    """From where clients need no log-in, and no rate holds them."""
    return tuple(ip_network(text) for text in config.smtp.trusted_networks)


def submitter(principal: Principal, scope: Scope) -> Submitter:
    """A logged-in client, whose policies are asked at every message."""

    def authorise(
        action: str,
        resources: Sequence[str],
        context: Context,
        policies: Sequence[Policy] = (),
    ) -> None:
        keys = {name.lower(): value for name, value in context.items()}
        decision = decide(principal, Request(action, tuple(resources), keys), policies)
        if not decision.allowed:
            raise Refused(sending_refusal(principal, decision), resource="action", name=action)

    return Submitter(scope, authorise)


def smtp_settings(config: Config, context: Any) -> SmtpSettings:
    """What all SMTP ports share."""
    return SmtpSettings(context, float(config.smtp.timeout), float(config.smtp.login_timeout))
