"""Domains of people here, by command: hosted, listed, checked, taken away.

A domain is its zone with the records that mail needs, and its identity for
sending; both can also be made by AWS calls, one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailstead.mail import dkim
from mailstead.mail.domain_records import TTL, Wanted, seen, wanted
from mailstead.mail.errors import Conflict, NotFound
from mailstead.mail.identities import Identities, domain_name, is_verified
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.model import Dkim, HostedZone, Identity, Scope
from mailstead.mail.ports import Resolver
from mailstead.mail.service import ServiceNames
from mailstead.mail.zone_keys import ZoneKeys
from mailstead.mail.zone_signing import NewKey, delegation
from mailstead.mail.zones import Zones
from mailstead.wire.domain_name import canonical_name
from mailstead.wire.lookup import Answer, Question

NOT_ASKED = (
    "nothing was asked: in capture mode no question leaves this machine, and {domain} is not "
    "hosted here. This is what would be checked"
)


KEY_NAME = "mailstead"
"""The key-signing key that a command makes."""
DS_TTL = 3600
ALIAS, NO_ADDRESS = "an alias", "no address"
"""What a mail exchanger's name may be wrong by."""
_FIX_NOTES = {ALIAS: " ; in place of its CNAME record", NO_ADDRESS: ""}
HERE_ONLY = (
    "in capture mode these records lead to this machine only: they are to be seen, not to be "
    "entered at a provider"
)


@dataclass(frozen=True, slots=True)
class Domains:
    """What the commands on domains need of the outside."""

    zones: Zones
    identities: Identities
    mailboxes: Mailboxes
    resolver: Resolver
    names: ServiceNames | None
    home: Scope
    """The account and region that own what is made by commands."""
    capture: bool
    """Whether nothing leaves this machine."""

    async def add(self, name: str, *, dnssec: bool = False, demo: bool = False) -> dict[str, Any]:
        """Host a domain: its zone with all records, and its identity, adopted where it exists.

        The answer's ``records`` are what to enter at an outside provider. With
        ``dnssec`` the zone is signed, and ``ds`` is what the parent zone needs.
        Conflict where the zone exists.
        """
        domain = domain_name(name)
        if self._zone(domain) is not None:
            raise Conflict(
                f"the domain {domain} is hosted here already: `mailstead domain check {domain}` "
                "shows what it lacks",
                resource="domain",
                name=domain,
                reason="exists",
            )
        identity = await self._identity(domain, demo=demo)
        records = self._wanted(domain, identity.dkim)
        # The identity is there before the zone, whose change makes its proofs be looked for.
        zone = await self.zones.create(
            self.home,
            domain,
            f"domain add {self.identities.randomness.uuid()}",
            records=[record.create() for record in records],
            demo=demo,
        )
        answer = {
            "name": domain,
            "zone": zone.name,
            "identity": identity.name,
            "records": [record.shown() for record in records],
            "note": HERE_ONLY if self.capture else "",
        }
        return {**answer, "ds": await self._signed(zone)} if dnssec else answer

    async def _signed(self, zone: HostedZone) -> dict[str, Any]:
        """Have a zone signed; the record that its parent zone needs."""
        parts = self.identities
        keys = ZoneKeys(self.zones, parts.randomness, parts.clock)
        # The API asks for the name of a KMS key, which is recorded only.
        kms = f"arn:aws:kms:{self.home.region}:{self.home.account}:key/{KEY_NAME}"
        zone = await keys.create(zone, NewKey(KEY_NAME, KEY_NAME, kms, active=True))
        await keys.enable(zone)
        value = delegation(zone, zone.signing.keys[0])
        return {"name": zone.domain, "ttl": DS_TTL, "type": "DS", "value": value}

    async def needed(self, name: str) -> list[Wanted]:
        """The records that a domain needs, wherever its zone is; makes the identity if missing."""
        domain = domain_name(name)
        identity = await self._identity(domain, demo=False)
        return self._wanted(domain, identity.dkim)

    async def listed(self) -> list[dict[str, Any]]:
        """The zones that commands or the home account's calls made."""
        found: list[dict[str, Any]] = []
        for zone in self.zones.listed(self.home):
            identity = await self.identities.store.get(Identity, self.home, zone.domain)
            users = await self.mailboxes.store.users(zone.domain)
            found.append(
                {
                    "name": zone.domain,
                    "records": self.zones.count(zone.name),
                    "mailboxes": len(users),
                    "verified": identity is not None and is_verified(identity),
                }
            )
        return found

    async def check(self, name: str) -> dict[str, Any]:
        """Compare DNS with what should be there; ``ok`` tells whether all is.

        In capture mode DNS is not asked for a domain that is not hosted here, and
        nothing is ok.
        """
        domain = domain_name(name)
        identity = await self.identities.store.get(Identity, self.home, domain)
        records = self._wanted(domain, identity.dkim if identity else Dkim())
        asked = not self.capture or self.zones.zone_of(domain) is not None
        answers: list[Answer] = []
        if asked:
            answers = await self.resolver.ask([record.question for record in records])
        checks = [
            _check(record, answers[number] if asked else None)
            for number, record in enumerate(records)
        ]
        addressed = {record.owner for record in records if record.type in ("A", "AAAA")}
        checks += self._lost_exchangers(domain, addressed)
        if identity is None or identity.dkim.key is None:
            checks.append(_no_key(domain))
        return {
            "name": domain,
            "ok": all(check["ok"] for check in checks),
            "checks": checks,
            "note": "" if asked else f"{NOT_ASKED.format(domain=domain)}; {HERE_ONLY}",
        }

    async def delete(self, name: str) -> dict[str, Any]:
        """Take a domain's zone away with all records; its identity and mailboxes stay."""
        domain = domain_name(name)
        zone = self._zone(domain)
        if zone is None:
            raise NotFound(
                f"the domain {domain} is not hosted here: `mailstead domain list` shows what is",
                resource="domain",
                name=domain,
            )
        await self.zones.delete(zone, everything=True)
        return {"deleted": domain}

    def _lost_exchangers(self, domain: str, addressed: set[str]) -> list[dict[str, Any]]:
        """Mail exchangers of a zone here without an address, which Route 53 lets pass.

        Only names within zones here are judged. The addresses of those in ``addressed``
        have checks of their own, which follow an alias and so can't see one.
        """
        zone = self._zone(domain)
        if zone is None:
            return []
        found: dict[str, dict[str, Any]] = {}
        for record_set in self.zones.record_sets(zone):
            values = record_set.values if record_set.type == "MX" else ()
            for host in (canonical_name(value.split()[1]) for value in values):
                lacking = self._lacking(host) if host else ""
                if lacking and not (lacking == NO_ADDRESS and host in addressed):
                    found.setdefault(host, _lost_exchanger(record_set.owner, host, lacking))
        return list(found.values())

    def _lacking(self, host: str) -> str:
        """What is wrong with a mail exchanger's name; "" for nothing that can be seen here."""
        answers = [self.zones.answer(Question(host, kind)) for kind in ("CNAME", "A", "AAAA")]
        alias, *addresses = answers
        if isinstance(alias, Answer) and alias.records:
            # RFC 2181 10.3.
            return ALIAS
        if any(not isinstance(one, Answer) or one.records for one in addresses):
            return ""
        return NO_ADDRESS

    def _zone(self, domain: str) -> HostedZone | None:
        zones = (zone for zone in self.zones.listed(self.home) if zone.domain == domain)
        return next(zones, None)

    async def _identity(self, domain: str, *, demo: bool) -> Identity:
        parts = self.identities
        if demo and await parts.get(self.home, domain) is None:
            made = Identity(self.home, domain, created_at=parts.clock.now(), demo=True)
            return await parts.create(made)
        return await dkim.tokens(parts, self.home, domain)

    def _wanted(self, domain: str, of: Dkim) -> list[Wanted]:
        return wanted(domain, of, self.names, capture=self.capture)


def _check(record: Wanted, answer: Answer | None) -> dict[str, Any]:
    return {
        "record": f"{record.owner} {record.type}",
        "expected": record.value,
        "seen": "not asked" if answer is None else seen(answer),
        "ok": answer is not None and record.good(answer),
        "fix": record.line,
        "text": record.text,
    }


def _lost_exchanger(owner: str, host: str, lacking: str) -> dict[str, Any]:
    return {
        "record": f"{owner} MX names {host}",
        "expected": "a name with an address of its own (A or AAAA)",
        "seen": lacking,
        "ok": False,
        "fix": f"{host}. {TTL} IN A ADDRESS{_FIX_NOTES[lacking]}",
    }


def _no_key(domain: str) -> dict[str, Any]:
    return {
        "record": f"the DKIM records of {domain}",
        "expected": "an identity with a DKIM key",
        "seen": "none",
        "ok": False,
        "fix": f"aws sesv2 create-email-identity --email-identity {domain}",
    }
