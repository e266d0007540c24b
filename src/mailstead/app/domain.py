"""The domain's objects, each given the adapters it asks for."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from mailstead.config import Config
from mailstead.mail.accounts import SendingLimits
from mailstead.mail.authentication import Authentication
from mailstead.mail.credentials import Credentials
from mailstead.mail.delivery import Deliveries
from mailstead.mail.demo import Demo
from mailstead.mail.dns_cookies import DnsCookies
from mailstead.mail.domains import Domains
from mailstead.mail.iam import Iam
from mailstead.mail.iam_roles import Roles
from mailstead.mail.identities import Identities
from mailstead.mail.inbox import Inbox
from mailstead.mail.letters import Letters
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.message_ids import ReturnPaths
from mailstead.mail.model import Scope
from mailstead.mail.outside import Outside
from mailstead.mail.ports import Clock, Wakeups, Workers
from mailstead.mail.publication import Publication
from mailstead.mail.reception import Reception
from mailstead.mail.service import AMAZON, ServiceNames
from mailstead.mail.submission import Outbound
from mailstead.mail.verification import Verification
from mailstead.mail.zones import Zones
from mailstead.roles.clock import SystemRandomness
from mailstead.roles.resolver import CaptureResolver
from mailstead.roles.updates import TcpPrimary
from mailstead.store.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class Adapters:
    """What stands behind the domain's ports."""

    store: SqliteStore
    clock: Clock
    randomness: SystemRandomness
    wakeups: Wakeups
    workers: Workers


@dataclass(frozen=True, slots=True)
class Domain:
    """Everything that decides about mail."""

    adapters: Adapters
    home: Scope
    """The account and region of what is made by commands."""
    names: ServiceNames
    zones: Zones
    identities: Identities
    verification: Verification
    mailboxes: Mailboxes
    domains: Domains
    publication: Publication
    dns_cookies: DnsCookies
    letters: Letters
    outbound: Outbound
    deliveries: Deliveries
    reception: Reception
    outside: Outside
    inbox: Inbox
    iam: Iam
    roles: Roles
    credentials: Credentials
    demo: Demo


def compose(
    config: Config,
    adapters: Adapters,
    home: Scope,
    secret_key: bytes,
    console_url: Callable[[], str],
) -> Domain:
    """Put the domain together."""

    def derived(purpose: str) -> bytes:
        return hmac.digest(secret_key, purpose.encode(), "sha256")

    store, clock = adapters.store, adapters.clock
    randomness, wakeups = adapters.randomness, adapters.wakeups
    hostname = config.server.hostname
    names = ServiceNames(config.service.domain or AMAZON)
    zones = Zones(store, wakeups, randomness, clock)
    resolver = CaptureResolver(zones, names, store)
    automatic = config.identities.verification == "automatic"
    identities = Identities(store, clock, randomness, wakeups, names, automatic)
    verification = Verification(identities, resolver, hostname)
    mailboxes = Mailboxes(store, clock, randomness, adapters.workers, zones, home)
    domains = Domains(zones, identities, mailboxes, resolver, names, home, capture=True)
    publication = Publication(
        domains, lambda server, key: TcpPrimary(server, key, clock), capture=True
    )
    letters = Letters(identities, verification, names.own_sender, console_url)
    limits = SendingLimits(store, clock)
    outbound = Outbound(
        store,
        clock,
        randomness,
        wakeups,
        identities,
        limits,
        names,
        derived("feedback id"),
    )
    return_paths = ReturnPaths(derived("return paths"))
    authentication = Authentication(resolver, clock, hostname)
    deliveries = Deliveries(
        store, clock, randomness, adapters.workers, return_paths, names, hostname
    )
    reception = Reception(
        store,
        clock,
        randomness,
        wakeups,
        mailboxes,
        authentication,
        return_paths,
        hostname,
        capture=True,
    )
    outside = Outside(
        store,
        clock,
        randomness,
        wakeups,
        Authentication(resolver, clock, "outside.test"),
        home,
        "outside.test",
    )
    credentials = Credentials(store, clock)
    iam = Iam(store, clock, randomness, credentials.clear)
    return Domain(
        adapters=adapters,
        home=home,
        names=names,
        zones=zones,
        identities=identities,
        verification=verification,
        mailboxes=mailboxes,
        domains=domains,
        publication=publication,
        dns_cookies=DnsCookies(derived("dns cookies"), clock),
        letters=letters,
        outbound=outbound,
        deliveries=deliveries,
        reception=reception,
        outside=outside,
        inbox=Inbox(store, wakeups, clock),
        iam=iam,
        roles=Roles(iam),
        credentials=credentials,
        demo=Demo(domains, mailboxes, outbound, verification),
    )
