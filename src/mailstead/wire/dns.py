"""Authoritative DNS replies: a query's bytes in, the reply's bytes out (RFC 1034, 1035).

    reply = answer(zones, packet, stream=False)     # bytes to send back
                                                    # None: no query, send nothing
                                                    # Query: for others to answer
    refusal(query), response(query, found)          # for what is not ours

A record set that stands under the very name and type asked for is copied from
ready bytes; wildcards, aliases, delegations and negative answers are put
together when that fails. Of EDNS (RFC 6891) cookies (RFC 7873) are the one option
that is understood.
Names in replies are compressed against the question only.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from mailstead.wire.domain_name import name_to_text
from mailstead.wire.lookup import Answer, Question, Record, Status
from mailstead.wire.rdata import STRING_LIMIT, TYPE_NAMES, TYPES, to_wire
from mailstead.wire.zone_data import DS, IN, TO_QUESTION, Found, Outcome, Rrset, ZoneData, ZoneSet

UDP_LIMIT = 1232
"""Octets of a datagram that no network fragments (DNS Flag Day 2020)."""
PLAIN_LIMIT = 512
"""Octets of a datagram to a client without EDNS (RFC 1035 4.2.1)."""
STREAM_LIMIT = 65535
CHAIN_LIMIT = 10
"""Aliases followed in one reply."""
SERVICE_TTL = 60
"""Seconds that records made on demand may be kept."""

_FORMERR, _NXDOMAIN, _NOTIMP, _REFUSED = 1, 3, 4, 5
_RESPONSE, _AUTHORITATIVE, _TRUNCATED = 0x80, 0x04, 0x02
_HEADER_SIZE = 12
_ONE_QUESTION = b"\0\1\0\0\0\0"
_WITH_VERSION = b"\0\1\0\0\0\1"
"""A question and the version of the zone that the asker has (RFC 1995 3)."""
_OPT_HEAD = b"\0\0\x29"
_NO_EDNS = b""
_EDNS = _OPT_HEAD + UDP_LIMIT.to_bytes(2) + bytes(6)
_EDNS_DO = _OPT_HEAD + UDP_LIMIT.to_bytes(2) + b"\0\0\x80\0\0\0"
_BADVERS = _OPT_HEAD + UDP_LIMIT.to_bytes(2) + b"\1" + bytes(5)
"""Extended code 16: a later EDNS than the version known here, 0 (RFC 6891 6.1.3)."""
_EXTENDED_BADVERS = b"\1"
_COOKIE = 10
"""The option's code (RFC 7873 4)."""
CLIENT_COOKIE = 8
_COOKIE_SIZES = frozenset((CLIENT_COOKIE, *range(16, 41)))
_SOA, _TSIG = b"\0\6", b"\0\xfa"
IXFR, AXFR = 251, 252
_TRANSFERS = frozenset((IXFR, AXFR))
_ADDRESS_TYPES = (TYPES["A"], TYPES["AAAA"])
_META_TYPES = frozenset((*range(128, 255), 41))
"""Not data: OPT, TKEY, TSIG, transfers (RFC 6895 3.1)."""


class Query(NamedTuple):
    """A question, and what its reply has to respect."""

    head: bytes
    """The id and the first octet of the flags, as sent."""
    question: bytes
    """As sent, in the client's letter case."""
    name: bytes
    """Lower case."""
    type: int
    edns: bytes
    """The OPT record that goes into the reply; empty without EDNS."""
    limit: int
    """Octets that the reply may have."""
    secured: bool = False
    """Whether the client wants DNSSEC's records: the DO bit (RFC 3225)."""
    cookie: bytes = b""
    """What came in a cookie option: the client's, with or without the server's."""
    signed: bool = False
    """Whether a TSIG record ends it (RFC 8945): nothing is answered before that is verified."""
    serial: int | None = None
    """Of the version that the asker of an IXFR has."""

    @property
    def transfer(self) -> bool:
        """Whether it asks for a whole zone (RFC 1995, 5936)."""
        return self.type in _TRANSFERS and self.question[-2:] == IN

    def lookup(self) -> Question | None:
        """The question as a value; None for types and classes that are not looked up here."""
        name = TYPE_NAMES.get(self.type)
        if name is None or self.question[-2:] != IN:
            return None
        return Question(name_to_text(self.name), name)


class Cookies(Protocol):
    """Makes the server's half of cookies."""

    def answer(self, client: str, sent: bytes) -> bytes:
        """What goes back to a client's address for what came in the option."""
        ...


class _BadQuery(Exception):
    """A query that gets an error instead of an answer."""

    def __init__(self, rcode: int) -> None:
        self.rcode = rcode


def answer(
    zones: ZoneSet,
    packet: bytes,
    *,
    stream: bool,
    client: str = "",
    cookies: Cookies | None = None,
) -> bytes | Query | None:
    """The reply; None for no query at all.

    The query itself where it is in no zone of ours, is signed, or asks for a whole
    zone: the caller knows more about such. ``stream`` tells that it came over TCP,
    where replies are not cut. ``cookies`` answers the client's, where it sent one.
    """
    if len(packet) < _HEADER_SIZE or packet[2] & 0x80:
        return None
    try:
        query = _parse(packet, stream=stream)
    except _BadQuery as bad:
        return _bare(packet, bad.rcode)
    if query.cookie and cookies is not None:
        query = query._replace(edns=_with_cookie(query.edns, cookies.answer(client, query.cookie)))
    if query.edns[5:6] == _EXTENDED_BADVERS:
        return _message(query, 0, 0, (0, 0, 0), b"")
    if query.signed:
        return query
    found = zones.ready.get(query.name + query.question[-4:])
    if found is not None:
        if found.signatures and query.secured:
            count = len(found.tails) + len(found.signatures)
            return _message(query, _AUTHORITATIVE, 0, (count, 0, 0), found.signed_section)
        return _message(query, _AUTHORITATIVE, 0, (len(found.tails), 0, 0), found.section)
    if query.transfer:
        return query
    if query.type in _META_TYPES or query.question[-2:] != IN:
        return refusal(query)
    first = zones.find(query.name, query.type)
    if first.outcome is Outcome.OUTSIDE:
        return query
    return _Reply(zones, query).complete(first)


def cookie_in(packet: bytes) -> bytes:
    """The cookie that a query carries; empty for none."""
    try:
        return _parse(packet, stream=False).cookie
    except _BadQuery:
        return b""


def refusal(query: Query) -> bytes:
    """The reply to who asks for what is not ours: REFUSED."""
    return failure(query, _REFUSED)


def failure(query: Query, rcode: int) -> bytes:
    """A reply that is an error and nothing else."""
    return _message(query, 0, rcode, (0, 0, 0), b"")


def records_message(query: Query, count: int, section: bytes) -> bytes:
    """A reply of so many records that carry their owners."""
    return _message(query, _AUTHORITATIVE, 0, (count, 0, 0), section)


def response(query: Query, found: Answer) -> bytes:
    """A reply with records that were made on demand; negative ones carry no SOA."""
    rcode = _NXDOMAIN if found.status is Status.NXDOMAIN else 0
    rdatas = [_rdata(TYPE_NAMES[query.type], record) for record in found.records]
    rrset = Rrset.of(query.type, SERVICE_TTL, rdatas)
    return _message(query, _AUTHORITATIVE, rcode, (len(rrset.tails), 0, 0), rrset.section)


def truncated(reply: bytes) -> bytes:
    """A reply without records that sends its asker to TCP (RFC 2181 9)."""
    end = _HEADER_SIZE
    questions = reply[4:6]
    if questions != b"\0\0":
        end = _name_end(reply, end) + 4
    return (
        reply[:2] + bytes((reply[2] | _TRUNCATED, reply[3])) + questions + bytes(6) + reply[12:end]
    )


def frame(message: bytes) -> bytes:
    """A message as it goes over TCP (RFC 1035 4.2.2)."""
    return len(message).to_bytes(2) + message


class Frames:
    """Takes messages out of a TCP stream."""

    def __init__(self) -> None:
        self._kept = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are complete with these octets."""
        data = self._kept + data
        messages: list[bytes] = []
        at = 0
        while len(data) - at >= 2:
            end = at + 2 + int.from_bytes(data[at : at + 2])
            if end > len(data):
                break
            messages.append(data[at + 2 : end])
            at = end
        self._kept = data[at:]
        return messages


def _parse(packet: bytes, *, stream: bool) -> Query:
    if packet[2] & 0x78:
        raise _BadQuery(_NOTIMP)
    if packet[4:10] not in (_ONE_QUESTION, _WITH_VERSION):
        raise _BadQuery(_FORMERR)
    end = _name_end(packet, _HEADER_SIZE) + 4
    if end > len(packet) or end - _HEADER_SIZE > 259:
        raise _BadQuery(_FORMERR)
    question = packet[_HEADER_SIZE:end]
    asked, serial = _NOTHING, None
    if packet[9]:
        end, serial = _version(packet, end)
    if packet[10:12] != b"\0\0" or end != len(packet):
        asked = _additional(packet, end)
    return Query(
        packet[:3],
        question,
        question[:-4].lower(),
        question[-4] << 8 | question[-3],
        asked.edns,
        STREAM_LIMIT if stream else asked.limit,
        asked.secured,
        asked.cookie,
        asked.signed,
        serial,
    )


def _version(packet: bytes, at: int) -> tuple[int, int]:
    """Where the SOA record ends that goes with a question for IXFR, and its serial."""
    # Its owner is the question's name: written out, or a pointer to it.
    at = at + 2 if packet[at : at + 2] == TO_QUESTION else _name_end(packet, at)
    head = packet[at : at + 10]
    end = at + 10 + int.from_bytes(head[8:10])
    if head[:2] != _SOA or end - at < 32 or end > len(packet):
        raise _BadQuery(_FORMERR)
    return end, int.from_bytes(packet[end - 20 : end - 16])


def _name_end(packet: bytes, at: int) -> int:
    """Where the uncompressed name ends that begins there."""
    try:
        while size := packet[at]:
            if size > 63:
                raise _BadQuery(_FORMERR)
            at += size + 1
    except IndexError:
        raise _BadQuery(_FORMERR) from None
    return at + 1


class _Asked(NamedTuple):
    """What the additional section asks for, as `Query` has it."""

    edns: bytes
    limit: int
    secured: bool = False
    cookie: bytes = b""
    signed: bool = False


_NOTHING = _Asked(_NO_EDNS, PLAIN_LIMIT)


def _additional(packet: bytes, at: int) -> _Asked:
    found = None
    options = b""
    signed = False
    for _ in range(int.from_bytes(packet[10:12])):
        fixed = _name_end(packet, at)
        head = packet[fixed : fixed + 10]
        data = fixed + 10 + int.from_bytes(head[8:10])
        if len(head) < 10 or data > len(packet) or signed:
            # RFC 8945 5.1: the TSIG record is the last one.
            raise _BadQuery(_FORMERR)
        signed = head[:2] == _TSIG
        if head[:2] == b"\0\x29":
            # RFC 6891 6.1.1: one OPT record, owned by the root.
            if found is not None or fixed != at + 1:
                raise _BadQuery(_FORMERR)
            found, options = head, packet[fixed + 10 : data]
        at = data
    if at != len(packet):
        raise _BadQuery(_FORMERR)
    if found is None:
        return _Asked(_NO_EDNS, PLAIN_LIMIT, signed=signed)
    limit = min(max(int.from_bytes(found[2:4]), PLAIN_LIMIT), UDP_LIMIT)
    if found[5]:
        return _Asked(_BADVERS, limit, signed=signed)
    secured = found[6] & 0x80 != 0
    edns = _EDNS_DO if secured else _EDNS
    return _Asked(edns, limit, secured, _cookie(options) if options else b"", signed)


def _cookie(options: bytes) -> bytes:
    """The data of the cookie among a client's options; empty without one."""
    at, found = 0, b""
    while at < len(options):
        code, data = int.from_bytes(options[at : at + 2]), at + 4
        at = data + int.from_bytes(options[at + 2 : data])
        if data > len(options) or at > len(options):
            raise _BadQuery(_FORMERR)
        if code == _COOKIE and not found:
            found = options[data:at]
            if len(found) not in _COOKIE_SIZES:
                # RFC 7873 5.2.2.
                raise _BadQuery(_FORMERR)
    return found


def _with_cookie(edns: bytes, cookie: bytes) -> bytes:
    """An OPT record without options, with a cookie."""
    option = _COOKIE.to_bytes(2) + len(cookie).to_bytes(2) + cookie
    return edns[:-2] + len(option).to_bytes(2) + option


def _bare(packet: bytes, rcode: int) -> bytes:
    """A reply that repeats no question."""
    return packet[:2] + bytes((_RESPONSE | packet[2] & 0x79, rcode)) + bytes(8)


def _message(
    query: Query, flags: int, rcode: int, counts: tuple[int, int, int], sections: bytes
) -> bytes:
    head, question, edns = query.head, query.question, query.edns
    bits = _RESPONSE | flags | head[2] & 1
    if _HEADER_SIZE + len(question) + len(sections) + len(edns) > query.limit:
        bits, counts, sections = bits | _TRUNCATED, (0, 0, 0), b""
    answers, authority, additional = counts
    if edns:
        additional += 1
    numbers = (
        bits << 72 | rcode << 64 | 1 << 48 | answers << 32 | authority << 16 | additional
    ).to_bytes(10)
    return head[:2] + numbers + question + sections + edns


class _Reply:
    """A reply that is put together section by section."""

    def __init__(self, zones: ZoneSet, query: Query) -> None:
        self._zones = zones
        self._query = query
        self._secured = query.secured
        self._answers: list[bytes] = []
        self._authority: list[bytes] = []
        self._proofs: dict[bytes, Rrset] = {}
        """NSEC records by owner: what proves that names or types do not exist."""
        self._additional: list[bytes] = []
        self._flags = _AUTHORITATIVE
        self._rcode = 0

    def complete(self, found: Found) -> bytes:
        query = self._query
        name, owner = query.name, TO_QUESTION
        at = _HEADER_SIZE + len(query.question)
        for _ in range(CHAIN_LIMIT):
            if found.outcome is not Outcome.ALIAS or found.rrset is None:
                break
            records = self._records(owner, found.rrset)
            self._answers += records
            if found.wildcard:
                self._deny(found.zone, name)
            # The next owner is the first record's data: ten octets of fixed fields before it.
            target = at + len(owner) + 10
            at += sum(map(len, records))
            owner = (0xC000 | target).to_bytes(2)
            name = found.rrset.rdatas[0]
            found = self._zones.find(name, query.type)
        self._conclude(found, name, owner)
        for holder, rrset in self._proofs.items():
            self._authority += self._records(holder, rrset)
        return _message(
            query,
            self._flags,
            self._rcode,
            (len(self._answers), len(self._authority), len(self._additional)),
            b"".join((*self._answers, *self._authority, *self._additional)),
        )

    def _records(self, owner: bytes, rrset: Rrset) -> list[bytes]:
        tails = (*rrset.tails, *rrset.signatures) if self._secured else rrset.tails
        return [owner + tail for tail in tails]

    def _deny(self, zone: ZoneData | None, name: bytes) -> None:
        """Prove what is said about a name (RFC 4035 3.1.3)."""
        if self._secured and zone is not None and zone.signing is not None:
            owner, rrset = zone.denial(name)
            self._proofs[owner] = rrset

    def _conclude(self, found: Found, name: bytes, owner: bytes) -> None:
        zone, rrset = found.zone, found.rrset
        if zone is None or found.outcome is Outcome.ALIAS:
            # An alias leads out of our zones, or round in circles: the asker goes on from there.
            return
        if found.outcome is Outcome.REFERRAL:
            assert rrset is not None
            self._refer(zone, rrset, name, found.cut)
            return
        if rrset is not None:
            self._answers += self._records(owner, rrset)
            if found.wildcard:
                self._deny(zone, name)
            return
        if found.outcome is Outcome.NXDOMAIN:
            # RFC 6604 3: the code speaks of the last name in a chain.
            self._rcode = _NXDOMAIN
        self._authority += self._records(self._suffix(name, zone.apex), zone.negative)
        self._deny(zone, name)
        if found.wildcard:
            self._deny(zone, found.wildcard)

    def _refer(self, zone: ZoneData, servers: Rrset, name: bytes, cut: bytes) -> None:
        if not self._answers:
            # RFC 1035 4.1.1: the bit is about the name asked for, and an alias there is ours.
            self._flags = 0
        owner = self._suffix(name, cut)
        self._authority += self._records(owner, servers)
        node = zone.nodes[cut]
        if self._secured and zone.signing is not None and DS in node:
            self._authority += self._records(owner, node[DS])
        else:
            self._deny(zone, cut)
        for host in servers.rdatas:
            glue = zone.nodes.get(host, {})
            self._additional += [
                host + tail for kind in _ADDRESS_TYPES if kind in glue for tail in glue[kind].tails
            ]

    def _suffix(self, name: bytes, end: bytes) -> bytes:
        """An enclosing name of ``name``: a pointer into the question where it is the one asked."""
        if name != self._query.name:
            return end
        return (0xC000 | _HEADER_SIZE + len(name) - len(end)).to_bytes(2)


def _rdata(record_type: str, record: Record) -> bytes:
    if isinstance(record, bytes):
        cuts = range(0, max(len(record), 1), STRING_LIMIT)
        strings = [record[cut : cut + STRING_LIMIT] for cut in cuts]
        return b"".join(bytes((len(one),)) + one for one in strings)
    text = record if isinstance(record, str) else f"{record[0]} {record[1]}."
    return to_wire(record_type, text)
