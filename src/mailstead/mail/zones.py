"""Hosted zones: made, changed, listed, and asked for answers.

All zones and their record sets are held in memory, where answers and listings
come from. A change is checked against what earlier changes will have made, kept
by the Store, and answered for once it is on stable storage.
"""

from __future__ import annotations

from base64 import b32encode
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.model import HostedZone, RecordSet, Scope, ZoneSigning
from mailstead.mail.ports import Change, Clock, Create, Randomness, Remove, Replace, Store, Wakeups
from mailstead.mail.record_changes import Planned, RecordChange, as_changes, plan
from mailstead.mail.zone_signing import period, signing
from mailstead.wire.dnssec import Signing
from mailstead.wire.domain_name import (
    DomainNameError,
    canonical_name,
    name_to_text,
    name_to_wire,
)
from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Status
from mailstead.wire.rdata import TYPES, to_record
from mailstead.wire.zone_data import Entry, Outcome, ZoneData, ZoneSet

NAME_SERVERS = tuple(f"ns-{number}.mailstead.test" for number in (1, 2, 3, 4))
"""As many as Route 53 gives a zone."""
ZONE_LIMIT = 500
"""Zones of an account."""
CHAIN_LIMIT = 10
"""Aliases followed for one question."""
SERIALS = 1 << 32
"""How many serials there are (RFC 1982 2)."""
SOA_TTL = 900
NS_TTL = 172_800


@dataclass(slots=True)
class _Held:
    """A zone in memory."""

    zone: HostedZone
    records: dict[str, RecordSet]
    """What is kept for good."""
    coming: HostedZone
    planned: dict[str, RecordSet]
    """The same as the two before, and what is on its way to the Store."""
    order: list[str] = field(default_factory=list[str])
    """Names of ``records`` in Route 53's order; empty until asked for."""
    stale: bool = True
    """Whether ``compiled`` is of other records."""
    compiled: ZoneData | None = None
    signed_for: tuple[ZoneSigning, int] | None = None
    """What ``signing`` was made of: the zone's keys, and the period."""
    signing: Signing | None = None

    def ready(self, now: int) -> ZoneData:
        """The zone for answering, made anew where its records, keys or signatures are others."""
        zone = self.zone
        due = (zone.signing, period(now) if zone.signing.enabled else 0)
        if self.signed_for != due:
            self.signed_for, self.signing = due, signing(*due)
            self.stale = True
        if self.compiled is None or self.stale:
            rise = zone.revision + due[1]
            entries = [_entry(one, rise) for one in self.records.values()]
            self.compiled = ZoneData(zone.domain, entries, self.signing, self.compiled)
            self.stale = False
        return self.compiled

    def plan(self, changes: Sequence[RecordChange]) -> tuple[HostedZone, Planned, list[Change]]:
        """What a batch makes of the zone, planned for from now on, and what the Store has to do."""
        planned = plan(self.coming, self.planned, changes)
        store_changes = as_changes(self.planned, planned)
        if store_changes:
            new = replace(self.coming, revision=self.coming.revision + 1)
            # First: who was overtaken by another process learns it before anything changes.
            store_changes.insert(0, Replace(self.coming, new))
            self.coming = new
        for key, record_set in planned.items():
            if record_set is None:
                del self.planned[key]
            else:
                self.planned[key] = record_set
        return self.coming, planned, store_changes

    def keep(self, zone: HostedZone, planned: Planned) -> None:
        """Take in what the Store has kept. What is planned may be further already."""
        self.zone = zone
        for key, record_set in planned.items():
            if record_set is None:
                self.records.pop(key, None)
            else:
                self.records[key] = record_set
        self.order = []
        self.stale = True


class Zones:
    """The hosted zones."""

    def __init__(
        self,
        store: Store,
        wakeups: Wakeups,
        randomness: Randomness,
        clock: Clock,
        name_servers: Sequence[str] = NAME_SERVERS,
    ) -> None:
        """``name_servers`` are the names that new zones are told to be delegated to."""
        self._store = store
        self._wakeups = wakeups
        self._randomness = randomness
        self._clock = clock
        self._name_servers = tuple(name_servers)
        self._held: dict[str, _Held] = {}
        self._coming: dict[str, HostedZone] = {}
        """Zones on their way to the Store."""
        self._domains: dict[str, HostedZone] = {}
        self._left: dict[str, int] = {}
        """The last serials that were answered of deleted zones, by domain."""
        self._compiled: ZoneSet | None = None
        self._period = 0
        """In which period that was made."""

    async def load(self) -> None:
        """Take everything from the Store anew."""
        zones = await self._store.select(HostedZone, None)
        records: defaultdict[str, dict[str, RecordSet]] = defaultdict(dict)
        for one in await self._store.select(RecordSet, None):
            records[one.zone][one.name] = one
        self._held = {
            zone.name: _Held(zone, records[zone.name], zone, dict(records[zone.name]))
            for zone in zones
        }
        self._changed()

    # Answers

    def zone_of(self, name: str) -> HostedZone | None:
        """The zone that answers for a name: the longest public one that encloses it."""
        try:
            name = canonical_name(name)
        except DomainNameError:
            return None
        while name:
            zone = self._domains.get(name)
            if zone is not None:
                return zone
            name = name.partition(".")[2]
        return None

    def answer(self, question: Question) -> Answer | Question | None:
        """The answer to a question about a name that is hosted here.

        None where it is not, or is delegated away. A Question where an alias leads
        out of our zones: the answer is what that one's is.
        """
        record_type = TYPES.get(question.type, 0)
        try:
            name = name_to_wire(question.name)
        except DomainNameError:
            return None
        zones = self.compiled
        asked = name
        for _ in range(CHAIN_LIMIT + 1):
            found = zones.find(name, record_type)
            if found.outcome in (Outcome.OUTSIDE, Outcome.REFERRAL):
                return None if name == asked else Question(name_to_text(name), question.type)
            if found.rrset is None:
                return NXDOMAIN if found.outcome is Outcome.NXDOMAIN else NODATA
            if found.outcome is Outcome.FOUND:
                values = (to_record(question.type, rdata) for rdata in found.rrset.rdatas)
                return Answer(Status.OK, tuple(values))
            name = found.rrset.rdatas[0]
        return FAILED

    @property
    def compiled(self) -> ZoneSet:
        """All public zones, ready for answering. A change makes another one."""
        if self._compiled is None:
            now = self._clock.real()
            self._period = period(now)
            self._compiled = ZoneSet(
                [self._held[zone.name].ready(now) for zone in self._domains.values()]
            )
        return self._compiled

    def renew(self) -> None:
        """Have signatures made anew where they are due: to be called at least once a day."""
        signed = any(held.zone.signing.enabled for held in self._held.values())
        if signed and self._period != period(self._clock.real()):
            self._announce()

    def _changed(self) -> None:
        self._compiled = None
        # Of zones with one name, the oldest answers.
        self._domains = {
            held.zone.domain: held.zone
            for held in sorted(self._held.values(), key=_age, reverse=True)
            if not held.zone.private
        }

    def delegation_keys(self, zone: HostedZone) -> set[int]:
        """The tags of a zone's keys that its parent zone points to, where that is hosted here."""
        found = self.compiled.find(name_to_wire(zone.domain), TYPES["DS"])
        if found.outcome is not Outcome.FOUND or found.rrset is None:
            return set()
        return {int.from_bytes(rdata[:2]) for rdata in found.rrset.rdatas}

    # Listings

    def zone(self, scope: Scope, zone_id: str) -> HostedZone:
        """A zone by its id; NotFound in Route 53's words."""
        held = self._held.get(zone_id)
        if held is None or held.zone.scope.account != scope.account:
            raise NotFound(
                f"No hosted zone found with ID: {zone_id}", resource="hosted-zone", name=zone_id
            )
        return held.zone

    def listed(self, scope: Scope) -> list[HostedZone]:
        """An account's zones, oldest first."""
        held = (one for one in self._held.values() if one.zone.scope.account == scope.account)
        return [one.zone for one in sorted(held, key=_age)]

    def by_name(self, scope: Scope, start: str = "", zone_id: str = "") -> list[HostedZone]:
        """An account's zones from a name (and an id) on, by reversed labels and id.

        Invalid (resource ``domain``) for what is no name.
        """
        zones = sorted(self.listed(scope), key=_place)
        if not start:
            return zones
        return zones[bisect_left(zones, (_reversed(_canonical(start)), zone_id), key=_place) :]

    def count(self, zone_id: str) -> int:
        """How many record sets a zone has."""
        return len(self._held[zone_id].records)

    def record_sets(
        self, zone: HostedZone, start: str = "", record_type: str = "", limit: int | None = None
    ) -> list[RecordSet]:
        """A zone's record sets from a name and type on, by reversed labels and type.

        Invalid for what is no name.
        """
        held = self._held[zone.name]
        if not held.order:
            held.order = sorted(held.records)
        first = 0
        if start:
            try:
                owner = canonical_name(start)
            except DomainNameError as error:
                raise Invalid(error.text, resource="name", name=start) from None
            key = RecordSet.key(zone.name, owner, record_type)
            first = bisect_left(held.order, key)
        last = None if limit is None else first + limit
        return [held.records[key] for key in held.order[first:last]]

    # Changes

    async def create(
        self,
        scope: Scope,
        domain: str,
        caller_reference: str,
        *,
        comment: str = "",
        records: Sequence[RecordChange] = (),
        tags: Mapping[str, str] | None = None,
        delegation_set: str = "",
        demo: bool = False,
    ) -> HostedZone:
        """Make a zone of SOA and NS records, and of ``records`` where they are given.

        Invalid (resource ``domain``), Conflict for a caller reference that was used,
        Limit beyond 500 zones of an account.
        """
        name = _canonical(domain)
        others = [*self.listed(scope), *self._coming.values()]
        others = [one for one in others if one.scope.account == scope.account]
        if any(one.caller_reference == caller_reference for one in others):
            raise Conflict(
                "A hosted zone has already been created with the specified caller reference.",
                resource="hosted-zone",
                name=caller_reference,
                reason="exists",
            )
        if len(others) >= ZONE_LIMIT:
            raise Limit(
                f"An account has at most {ZONE_LIMIT} hosted zones.", resource="hosted-zone"
            )
        zone = HostedZone(
            scope.everywhere(),
            self._new_id(),
            name,
            caller_reference,
            self._clock.now(),
            comment=comment,
            name_servers=self._name_servers,
            delegation_set=delegation_set,
            demo=demo,
            tags=dict(tags or {}),
            revision=self._first_revision(name),
        )
        planned = plan(zone, {}, [*self._first_records(zone), *records])
        self._coming[zone.name] = zone
        try:
            await self._store.apply(Create(zone), *as_changes({}, planned))
        finally:
            del self._coming[zone.name]
        kept = {key: one for key, one in planned.items() if one is not None}
        self._held[zone.name] = _Held(zone, kept, zone, dict(kept))
        self._announce()
        return zone

    async def change(self, zone: HostedZone, changes: Sequence[RecordChange]) -> None:
        """Apply a batch, whole or not at all.

        Invalid (resource ``record-set`` or ``change``) says all that is wrong with it;
        Conflict (reason ``stale``) when another process changed the zone: try again.
        """
        held = self._held.get(zone.name)
        if held is None:
            raise _gone(zone)
        new, planned, store_changes = held.plan(changes)
        await self._apply(held, store_changes)
        held.keep(new, planned)
        self._announce()

    async def replace(self, old: HostedZone, new: HostedZone) -> HostedZone:
        """Change a zone's comment or tags.

        Conflict (reason ``stale``) where it is not as it was: try again.
        """
        held = self._held.get(old.name)
        if held is None:
            raise _gone(old)
        if held.coming != old:
            raise Conflict(
                f"The hosted zone {old.name} is being changed.",
                resource="hosted-zone",
                name=old.name,
                reason="stale",
            )
        held.coming = new
        await self._apply(held, [Replace(old, new)])
        held.keep(new, {})
        self._announce()
        return new

    async def sign(self, zone: HostedZone, changed: ZoneSigning) -> HostedZone:
        """Change with what a zone is signed. Errors as of `replace`."""
        rise = 1
        if zone.signing.enabled and not changed.enabled:
            # Where it is signed the periods count too, and a serial never falls (RFC 1982).
            rise += period(self._clock.real())
        return await self.replace(
            zone, replace(zone, signing=changed, revision=zone.revision + rise)
        )

    async def delete(self, zone: HostedZone, *, everything: bool = False) -> None:
        """Delete a zone that holds only its SOA and NS records, or with ``everything`` in it.

        Conflict (reason ``in-use``) where it holds more.
        """
        held = self._held.get(zone.name)
        if held is None:
            raise _gone(zone)
        required = {RecordSet.key(zone.name, zone.domain, kind) for kind in ("SOA", "NS")}
        if not everything and (held.coming.signing.keys or held.planned.keys() - required):
            raise Conflict(
                "The specified hosted zone contains non-required resource record sets  and so "
                "cannot be deleted.",
                resource="hosted-zone",
                name=zone.name,
                reason="in-use",
            )
        records = [Remove(one) for one in held.planned.values()]
        if held.compiled is not None:
            self._left[zone.domain] = held.compiled.serial
        # Gone at once, so that no change comes between.
        del self._held[zone.name]
        self._changed()
        await self._apply(held, [Remove(held.coming), *records])
        self._announce()

    async def _apply(self, held: _Held, changes: Sequence[Change]) -> None:
        if not changes:
            return
        try:
            await self._store.apply(*changes)
        except BaseException:
            await self._recover(held)
            raise

    async def _recover(self, held: _Held) -> None:
        """After a failed write: what the Store has counts, whoever wrote it."""
        zone = await self._store.get(HostedZone, held.zone.scope, held.zone.name)
        if zone is None:
            self._held.pop(held.zone.name, None)
        else:
            found = await self._store.select(RecordSet, zone.scope, prefix=f"{zone.name} ")
            held.zone = zone
            held.records = {one.name: one for one in found}
            held.coming = zone
            held.planned = dict(held.records)
            held.order = []
            held.stale = True
            self._held[zone.name] = held
        self._changed()

    def _announce(self) -> None:
        self._changed()
        self._wakeups.wake("zones")

    def _first_records(self, zone: HostedZone) -> list[RecordChange]:
        servers = tuple(f"{server}." for server in zone.name_servers)
        soa = f"{servers[0]} hostmaster.{zone.domain}. 1 7200 900 1209600 86400"
        return [
            RecordChange("CREATE", zone.domain, "SOA", SOA_TTL, (soa,)),
            RecordChange("CREATE", zone.domain, "NS", NS_TTL, servers),
        ]

    def _first_revision(self, domain: str) -> int:
        """Where a zone's serials begin: above those of one that had its name before.

        A secondary that still has that one would else take the new one for an old (RFC 1982).
        """
        return max(self._clock.real() // 1000, self._left.get(domain, 0))

    def _new_id(self) -> str:
        """``Z`` and 20 letters and digits."""
        return f"Z{b32encode(self._randomness.token(13)).decode()[:20]}"


def _entry(record_set: RecordSet, rise: int) -> Entry:
    """A record set for answering. The SOA's serial rises with the zone (RFC 1982)."""
    values = record_set.values
    if record_set.type == "SOA":
        fields = values[0].split()
        fields[2] = str((int(fields[2]) + rise) % SERIALS)
        values = (" ".join(fields),)
    return record_set.owner, record_set.type, record_set.ttl, values


def changed_tags(zone: HostedZone, added: Mapping[str, str], removed: Sequence[str]) -> HostedZone:
    """A zone with other tags."""
    kept = {key: value for key, value in zone.tags.items() if key not in removed}
    return replace(zone, tags={**kept, **added})


def _gone(zone: HostedZone) -> NotFound:
    return NotFound(
        f"No hosted zone found with ID: {zone.name}", resource="hosted-zone", name=zone.name
    )


def _age(held: _Held) -> tuple[int, str]:
    return held.zone.created_at, held.zone.name


def _reversed(domain: str) -> str:
    return f"{'.'.join(reversed(domain.split('.')))}."


def _place(zone: HostedZone) -> tuple[str, str]:
    return _reversed(zone.domain), zone.name


def _canonical(domain: str) -> str:
    try:
        name = canonical_name(domain)
    except DomainNameError as error:
        raise Invalid(error.text, resource="domain", name=domain) from None
    if not name or name.startswith("\\052."):
        raise Invalid(f"{domain} is not a valid domain name.", resource="domain", name=domain)
    return name
