"""The service's own names: what SES has under ``amazonses.com``.

In capture mode they are Amazon's, since templates, SDKs and records carry them,
and only this machine sees the answers; an installation that faces the world has
them under a domain of its own, or has none. The records behind them are made
here on demand, never stored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from mailstead.mail.messages import Signer
from mailstead.mail.model import GLOBAL, Scope, Secret, SigningKey
from mailstead.mail.ports import Clock, Create, Randomness, Store
from mailstead.wire.dkim_key import load_private_key, public_record
from mailstead.wire.lookup import NODATA, NXDOMAIN, Answer, Question, Record, Status

AMAZON = "amazonses.com"
OURS = "mailstead.test"
"""The sender of our own mail in capture mode."""
HOME = Scope("", GLOBAL)
"""What belongs to the installation, not to an account."""
SPF = b"v=spf1 ip4:127.0.0.0/8 ip6:::1 -all"
HOSTS = ("feedback-smtp", "email-smtp", "inbound-smtp")
Records = dict[str, tuple[Record, ...]]
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")
FIRST_REGION = "us-east-1"
"""The region whose names carry no region."""


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The key with which every message is signed beside the sender's own."""

    KIND: ClassVar[str] = "service-key"
    scope: Scope
    name: str
    key: SigningKey


@dataclass(frozen=True, slots=True)
class DkimName:
    """Where an Easy DKIM key is published: its name is the token."""

    KIND: ClassVar[str] = "dkim-name"
    scope: Scope
    name: str
    identity: str
    record: str
    """The TXT record's text."""


@dataclass(frozen=True, slots=True)
class ServiceNames:
    """The names under one service domain."""

    domain: str = AMAZON

    @property
    def own_sender(self) -> str:
        """The domain of our own mail: verification links, bounces."""
        return OURS if self.domain == AMAZON else self.domain

    def dkim_target(self, token: str) -> str:
        """Where an Easy DKIM CNAME points."""
        return f"{token}.{self.signing_zone}"

    @property
    def signing_zone(self) -> str:
        """SES's ``SigningHostedZone``."""
        return f"dkim.{self.domain}"

    def feedback_host(self, region: str) -> str:
        """What the MX of a custom MAIL FROM domain names."""
        return f"feedback-smtp.{region}.{self.domain}"

    def mail_from(self, region: str) -> str:
        """The MAIL FROM domain of who has none of its own."""
        return self.domain if region == FIRST_REGION else f"{region}.{self.domain}"

    def message_id_domain(self, region: str) -> str:
        """The right side of the Message-ID field."""
        return f"email.{self.domain}" if region == FIRST_REGION else f"{region}.{self.domain}"

    def holds(self, name: str) -> bool:
        """Whether a DNS name is one of the service's."""
        zones = (self.domain, self.own_sender)
        return any(name == zone or name.endswith(f".{zone}") for zone in zones)

    async def answer(self, question: Question, store: Store) -> Answer:
        """The answer for a name that `holds`."""
        records = await self._records(question.name, store)
        if records is None:
            return NXDOMAIN
        found = records.get(question.type, ())
        return Answer(Status.OK, tuple(found)) if found else NODATA

    async def _records(self, name: str, store: Store) -> Records | None:
        if name.endswith(f".{self.signing_zone}"):
            token = name.removesuffix(f".{self.signing_zone}")
            found = await store.find(DkimName, token)
            return {"TXT": (found.record.encode(),)} if found else None
        selector, dot, owner = name.partition("._domainkey.")
        if dot and owner in (self.domain, self.own_sender):
            service = await store.get(ServiceKey, HOME, "service")
            if service is None or selector not in service.key.selectors:
                return None
            return {"TXT": (service.key.public.encode(),)}
        return self._fixed(name)

    def _fixed(self, name: str) -> Records | None:
        loopback: Records = {"A": ("127.0.0.1",), "AAAA": ("::1",)}
        apexes = (self.domain, self.own_sender)
        if name.startswith("_dmarc.") and name.removeprefix("_dmarc.") in apexes:
            return {"TXT": (b"v=DMARC1; p=none",)}
        prefix = name.removesuffix(f".{self.domain}")
        host, _, region = prefix.partition(".")
        if host in HOSTS and _REGION.fullmatch(region):
            return loopback
        if name in apexes:
            return {**loopback, "MX": ((10, self.feedback_host(FIRST_REGION)),), "TXT": (SPF,)}
        if _REGION.fullmatch(prefix):
            return {**loopback, "MX": ((10, self.feedback_host(prefix)),), "TXT": (SPF,)}
        return None


async def ensure_service_key(store: Store, clock: Clock, randomness: Randomness) -> ServiceKey:
    """The installation's own DKIM key, made at the first start."""
    found = await store.get(ServiceKey, HOME, "service")
    if found is None:
        private = await randomness.rsa_key(2048)
        selector = f"ms{randomness.token(10).hex()}"
        record = public_record(load_private_key(private))
        key = SigningKey((selector,), Secret(private), record, 2048, clock.now())
        found = ServiceKey(HOME, "service", key)
        await store.apply(Create(found))
    return found


async def service_signer(store: Store, domain: str) -> tuple[Signer, ...]:
    """The service's own signature, under one of its domains; empty before its key is made."""
    found = await store.get(ServiceKey, HOME, "service")
    return (Signer(domain, found.key.selectors[0], "service"),) if found is not None else ()
