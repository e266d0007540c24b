"""Zones compiled for answering: record sets as ready bytes, and the look-up of RFC 1034 4.3.2.

`ZoneData` is one zone, `ZoneSet` all that are answered for; both are values that
change by being made anew. Names are lower-case wire forms. What a reply looks
like is `mailstead.wire.dns`'s matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from mailstead.wire.domain_name import ROOT, WILDCARD, name_to_wire, parent_of
from mailstead.wire.rdata import TYPES, to_wire

NS, CNAME, SOA, DS, ANY = TYPES["NS"], TYPES["CNAME"], TYPES["SOA"], TYPES["DS"], 255
IN = b"\0\1"
TO_QUESTION = b"\xc0\x0c"
"""An owner name that is the question's: a pointer to where every question begins."""

Entry = tuple[str, str, int, Sequence[str]]
"""A record set as text: owner, type, TTL in seconds, values in presentation form."""


@dataclass(frozen=True, slots=True)
class Rrset:
    """The records of one name and type."""

    type: int
    ttl: int
    rdatas: tuple[bytes, ...]
    tails: tuple[bytes, ...]
    """Each record without its owner name."""
    section: bytes
    """All records, their owner being the question's name."""

    @classmethod
    def of(cls, record_type: int, ttl: int, rdatas: Iterable[bytes]) -> Rrset:
        """A record set; data that repeat count once (RFC 2181 5)."""
        unique = tuple(dict.fromkeys(rdatas))
        head = record_type.to_bytes(2) + IN + ttl.to_bytes(4)
        tails = tuple(head + len(rdata).to_bytes(2) + rdata for rdata in unique)
        section = b"".join(TO_QUESTION + tail for tail in tails)
        return cls(record_type, ttl, unique, tails, section)


class Outcome(Enum):
    """How a look-up in our zones ended."""

    FOUND = "records of the type"
    ALIAS = "a CNAME instead of them"
    NODATA = "the name exists without them"
    NXDOMAIN = "the name does not exist"
    REFERRAL = "the name is in a zone delegated away"
    OUTSIDE = "the name is in no zone of ours"


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up came to."""

    outcome: Outcome
    rrset: Rrset | None = None
    """The records, the CNAME, or the NS records of a delegation."""
    zone: ZoneData | None = None
    cut: bytes = b""
    """Where the delegated zone begins."""


_OUTSIDE = Found(Outcome.OUTSIDE)


class ZoneData:
    """One zone's records by owner, with empty non-terminals (RFC 8020) and delegations."""

    def __init__(self, apex: str, entries: Iterable[Entry]) -> None:
        """Compile record sets, among them the apex's SOA. RdataError for values that are none."""
        self.apex = name_to_wire(apex)
        self.nodes: dict[bytes, dict[int, Rrset]] = {self.apex: {}}
        self.cuts: set[bytes] = set()
        for owner, name, ttl, values in entries:
            self._add(name_to_wire(owner), TYPES[name], ttl, [to_wire(name, one) for one in values])
        soa = self.soa = self.nodes[self.apex][SOA]
        # RFC 2308 3: a negative answer lives as long as the SOA's minimum, or its TTL.
        lifetime = min(soa.ttl, int.from_bytes(soa.rdatas[0][-4:]))
        [self.negative] = Rrset.of(SOA, lifetime, soa.rdatas).tails
        """The SOA record for negative answers, without its owner."""

    @property
    def serial(self) -> int:
        """The SOA record's serial (RFC 1982)."""
        return int.from_bytes(self.soa.rdatas[0][-20:-16])

    def records(self) -> Iterator[bytes]:
        """Every record on the wire, the SOA first and not again at the end (RFC 5936 2.2)."""
        yield self.apex + self.soa.tails[0]
        for owner, node in self.nodes.items():
            for rrset in node.values():
                if rrset is not self.soa:
                    for tail in rrset.tails:
                        yield owner + tail

    def _add(self, owner: bytes, record_type: int, ttl: int, rdatas: list[bytes]) -> None:
        self.nodes.setdefault(owner, {})[record_type] = Rrset.of(record_type, ttl, rdatas)
        if record_type == NS and owner != self.apex and not owner.startswith(WILDCARD):
            self.cuts.add(owner)
        while owner != self.apex:
            owner = parent_of(owner)
            self.nodes.setdefault(owner, {})

    def find(self, name: bytes, record_type: int) -> Found:
        """Look up a name that is the apex or below it."""
        cut = self._cut_above(name)
        if cut is not None and not (cut == name and record_type == DS):
            return Found(Outcome.REFERRAL, self.nodes[cut][NS], self, cut)
        node = self.nodes.get(name)
        if node is None:
            node = self._wildcard(name)
        if node is None:
            return Found(Outcome.NXDOMAIN, zone=self)
        found = node.get(record_type)
        if found is not None:
            return Found(Outcome.FOUND, found, self)
        if CNAME in node and record_type != ANY:
            return Found(Outcome.ALIAS, node[CNAME], self)
        if record_type == ANY and node:
            # RFC 8482 4.1: one of the record sets, so that nobody amplifies with the answer.
            return Found(Outcome.FOUND, node[min(node)], self)
        return Found(Outcome.NODATA, zone=self)

    def _cut_above(self, name: bytes) -> bytes | None:
        """The delegation nearest to the apex on the way to a name."""
        cut = None
        if self.cuts:
            while name != self.apex:
                if name in self.cuts:
                    cut = name
                name = parent_of(name)
        return cut

    def _wildcard(self, name: bytes) -> dict[int, Rrset] | None:
        """The wildcard that covers a name which does not exist (RFC 4592 3.3.1)."""
        encloser = parent_of(name)
        while encloser not in self.nodes:
            encloser = parent_of(encloser)
        return self.nodes.get(WILDCARD + encloser)

    def answers_at(self, name: bytes) -> dict[int, Rrset]:
        """What the zone answers with authority for an owner of its own."""
        cut = self._cut_above(name)
        if cut is None:
            return self.nodes[name]
        return {DS: self.nodes[name][DS]} if cut == name and DS in self.nodes[name] else {}


class ZoneSet:
    """All the zones that are answered for: the longest that encloses a name has it."""

    def __init__(self, zones: Iterable[ZoneData] = ()) -> None:
        self._zones = {zone.apex: zone for zone in zones}
        self.ready: dict[bytes, Rrset] = {}
        """Record sets by owner, type and class as a question carries them."""
        for zone in self._zones.values():
            for owner in zone.nodes:
                if self.zone_of(owner) is zone:
                    for record_type, rrset in zone.answers_at(owner).items():
                        self.ready[owner + record_type.to_bytes(2) + IN] = rrset

    @property
    def serials(self) -> dict[bytes, int]:
        """Every zone's serial, by apex."""
        return {apex: zone.serial for apex, zone in self._zones.items()}

    def at(self, apex: bytes) -> ZoneData | None:
        """The zone that begins at a name."""
        return self._zones.get(apex)

    def zone_of(self, name: bytes) -> ZoneData | None:
        """The zone that a name is in."""
        while True:
            zone = self._zones.get(name)
            if zone is not None or name == ROOT:
                return zone
            name = parent_of(name)

    def find(self, name: bytes, record_type: int) -> Found:
        """Look up a name in the zone that has it."""
        zone = self.zone_of(name)
        if zone is None:
            return _OUTSIDE
        if record_type == DS and name == zone.apex and name != ROOT:
            # RFC 4035 3.1.4.1: a DS record is its parent's.
            parent = self.zone_of(parent_of(name))
            if parent is not None and name in parent.cuts:
                zone = parent
        return zone.find(name, record_type)
