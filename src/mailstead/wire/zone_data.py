"""Zones compiled for answering: record sets as ready bytes, and the look-up of RFC 1034 4.3.2.

`ZoneData` is one zone, `ZoneSet` all that are answered for; both are values that
change by being made anew. Names are lower-case wire forms. A zone that is signed
holds its signatures and its chain of NSEC records ready as well (RFC 4035 2).
What a reply looks like is `mailstead.wire.dns`'s matter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from mailstead.wire.dnssec import (
    DNSKEY,
    NSEC,
    RRSIG,
    Signing,
    canonical_place,
    nsec,
    rrsig,
)
from mailstead.wire.domain_name import ROOT, WILDCARD, name_to_wire, parent_of
from mailstead.wire.rdata import TYPES, to_wire

NS, CNAME, SOA, DS, ANY = TYPES["NS"], TYPES["CNAME"], TYPES["SOA"], TYPES["DS"], 255
IN = b"\0\1"
TO_QUESTION = b"\xc0\x0c"
"""An owner name that is the question's: a pointer to where every question begins."""
DNSKEY_TTL = 3600
_OF_ALL = frozenset((ANY, RRSIG))

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
    signatures: tuple[bytes, ...] = ()
    """Each signature's record without its owner name; empty in a zone that is not signed."""
    signed_section: bytes = b""
    """``section`` and the signatures."""

    @classmethod
    def of(cls, record_type: int, ttl: int, rdatas: Iterable[bytes]) -> Rrset:
        """A record set; data that repeat count once (RFC 2181 5)."""
        unique = tuple(dict.fromkeys(rdatas))
        head = record_type.to_bytes(2) + IN + ttl.to_bytes(4)
        tails = tuple(head + len(rdata).to_bytes(2) + rdata for rdata in unique)
        section = b"".join(TO_QUESTION + tail for tail in tails)
        return cls(record_type, ttl, unique, tails, section)

    def signed(self, signatures: Iterable[bytes]) -> Rrset:
        """The same with the data of its signatures; they live as long as it (RFC 4034 3)."""
        tails = Rrset.of(RRSIG, self.ttl, signatures).tails
        section = self.section + b"".join(TO_QUESTION + tail for tail in tails)
        return replace(self, signatures=tails, signed_section=section)

    def shown_signatures(self) -> Rrset | None:
        """The signatures as a record set of their own, which nothing signs (RFC 4035 2.2)."""
        if not self.signatures:
            return None
        section = b"".join(TO_QUESTION + tail for tail in self.signatures)
        return Rrset(RRSIG, self.ttl, (), self.signatures, section)

    def shorter(self, ttl: int) -> Rrset:
        """The same, signatures too, to be kept for so many seconds."""
        seconds = ttl.to_bytes(4)
        tails, signatures = (
            tuple(tail[:4] + seconds + tail[8:] for tail in found)
            for found in (self.tails, self.signatures)
        )
        return replace(self, ttl=ttl, tails=tails, signatures=signatures)


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
    wildcard: bytes = b""
    """The wildcard that the answer comes from, or that would have to be there for one."""


_OUTSIDE = Found(Outcome.OUTSIDE)


class ZoneData:
    """One zone's records by owner, with empty non-terminals (RFC 8020) and delegations."""

    def __init__(
        self,
        apex: str,
        entries: Iterable[Entry],
        signing: Signing | None = None,
        before: ZoneData | None = None,
    ) -> None:
        """Compile record sets, among them the apex's SOA. RdataError for values that are none.

        With ``signing`` it is signed; what ``before`` holds signed alike is taken from there.
        """
        self.apex = name_to_wire(apex)
        self.nodes: dict[bytes, dict[int, Rrset]] = {self.apex: {}}
        self.cuts: set[bytes] = set()
        self.signing = signing
        self._owners: list[bytes] = []
        """The owners of NSEC records in canonical order, and by what they are sorted."""
        self._places: list[list[bytes]] = []
        for owner, name, ttl, values in entries:
            self._add(name_to_wire(owner), TYPES[name], ttl, [to_wire(name, one) for one in values])
        soa = self.nodes[self.apex][SOA]
        # RFC 2308 3: a negative answer lives as long as the SOA's minimum, or its TTL.
        self._lifetime = min(soa.ttl, int.from_bytes(soa.rdatas[0][-4:]))
        if signing is not None:
            self._sign(signing, before)
        self.soa = self.nodes[self.apex][SOA]
        self.negative = self.soa.shorter(self._lifetime)
        """The SOA record set for negative answers."""

    @property
    def serial(self) -> int:
        """The SOA record's serial (RFC 1982)."""
        return int.from_bytes(self.soa.rdatas[0][-20:-16])

    def records(self) -> Iterator[bytes]:
        """Every record on the wire, the SOA first and not again at the end (RFC 5936 2.2)."""
        yield self.apex + self.soa.tails[0]
        for owner, node in self.nodes.items():
            for rrset in node.values():
                tails = rrset.tails if rrset is not self.soa else ()
                for tail in (*tails, *rrset.signatures):
                    yield owner + tail

    def _add(self, owner: bytes, record_type: int, ttl: int, rdatas: list[bytes]) -> None:
        self.nodes.setdefault(owner, {})[record_type] = Rrset.of(record_type, ttl, rdatas)
        if record_type == NS and owner != self.apex and not owner.startswith(WILDCARD):
            self.cuts.add(owner)
        while owner != self.apex:
            owner = parent_of(owner)
            self.nodes.setdefault(owner, {})

    def _sign(self, signing: Signing, before: ZoneData | None) -> None:
        self._add(self.apex, DNSKEY, DNSKEY_TTL, [key.rdata for key in signing.keys])
        owners = [owner for owner, node in self.nodes.items() if self._is_secured(owner, node)]
        owners.sort(key=canonical_place)
        for owner, following in zip(owners, [*owners[1:], owners[0]], strict=True):
            node = self.nodes[owner]
            # RFC 4034 4.1.2: at a delegation the parent has NS, DS and what secures them.
            shown = node.keys() if owner not in self.cuts else node.keys() & {NS, DS}
            chained = nsec(following, {*shown, NSEC, RRSIG})
            node[NSEC] = Rrset.of(NSEC, self._lifetime, [chained])
        same = before.nodes if before is not None and before.signing is signing else {}
        for owner in owners:
            node, known = self.nodes[owner], same.get(owner, {})
            for record_type, rrset in self.answers_at(owner).items():
                old = known.get(record_type)
                if old is None or old.tails != rrset.tails or not old.signatures:
                    old = self._signed(signing, owner, rrset)
                node[record_type] = old
        self._owners = owners
        self._places = [canonical_place(owner) for owner in owners]

    def _is_secured(self, owner: bytes, node: dict[int, Rrset]) -> bool:
        """Whether the zone vouches for an owner: no empty non-terminal, nothing delegated away."""
        return bool(node) and self._cut_above(owner) in (None, owner)

    def _signed(self, signing: Signing, owner: bytes, rrset: Rrset) -> Rrset:
        keys = signing.entry_keys if rrset.type == DNSKEY else (signing.zone_key,)
        return rrset.signed(
            rrsig(key, signing, self.apex, owner, rrset.type, rrset.ttl, rrset.rdatas)
            for key in keys
        )

    def denial(self, name: bytes) -> tuple[bytes, Rrset]:
        """The NSEC record, with its owner, of a name or of the gap that it falls into."""
        owner = self._owners[bisect_right(self._places, canonical_place(name)) - 1]
        return owner, self.nodes[owner][NSEC]

    def find(self, name: bytes, record_type: int) -> Found:
        """Look up a name that is the apex or below it."""
        cut = self._cut_above(name)
        if cut is not None and not (cut == name and record_type == DS):
            return Found(Outcome.REFERRAL, self.nodes[cut][NS], self, cut)
        node = self.nodes.get(name)
        wildcard = b""
        if node is None:
            wildcard = self._wildcard(name)
            node = self.nodes.get(wildcard)
        if node is None:
            return Found(Outcome.NXDOMAIN, zone=self, wildcard=wildcard)
        found = node.get(record_type) if record_type not in _OF_ALL else _one_of(node, record_type)
        if found is not None:
            return Found(Outcome.FOUND, found, self, wildcard=wildcard)
        if CNAME in node:
            return Found(Outcome.ALIAS, node[CNAME], self, wildcard=wildcard)
        return Found(Outcome.NODATA, zone=self, wildcard=wildcard)

    def _cut_above(self, name: bytes) -> bytes | None:
        """The delegation nearest to the apex on the way to a name."""
        cut = None
        if self.cuts:
            while name != self.apex:
                if name in self.cuts:
                    cut = name
                name = parent_of(name)
        return cut

    def _wildcard(self, name: bytes) -> bytes:
        """The wildcard that would cover a name which does not exist (RFC 4592 3.3.1)."""
        encloser = parent_of(name)
        while encloser not in self.nodes:
            encloser = parent_of(encloser)
        return WILDCARD + encloser

    def answers_at(self, name: bytes) -> dict[int, Rrset]:
        """What the zone answers with authority for an owner of its own."""
        cut = self._cut_above(name)
        node = self.nodes[name]
        if cut is None:
            return node
        return {kind: node[kind] for kind in (DS, NSEC) if kind in node} if cut == name else {}


def _one_of(node: dict[int, Rrset], record_type: int) -> Rrset | None:
    """What answers a question for all that a name has, or for all its signatures.

    RFC 8482 4.1: one of the record sets, so that nobody amplifies with the answer.
    """
    if not node:
        return None
    chosen = node[min(node, key=lambda kind: (kind == NSEC, kind))]
    return chosen if record_type == ANY else chosen.shown_signatures()


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
