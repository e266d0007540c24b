"""Zones on their way to other name servers: AXFR (RFC 5936), IXFR (RFC 1995), NOTIFY (RFC 1996).

An IXFR is answered with the whole zone, as RFC 1995 4 allows, or with the SOA
record alone where the asker has this version or asks over UDP.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mailstead.wire.dns import Query, records_message
from mailstead.wire.zone_data import IN, SOA, TO_QUESTION, ZoneData

MESSAGE_LIMIT = 32 * 1024
"""Octets of records in one message; a single larger record makes a larger one."""
NOTIFY = 4
"""The operation code (RFC 1996 3.1)."""
_HEADER_SIZE = 12
_HALF = 1 << 31


def is_current(theirs: int, ours: int) -> bool:
    """Whether a serial is no older than another (RFC 1982 3.2)."""
    return (theirs - ours) % (2 * _HALF) < _HALF


def whole_zone(query: Query, zone: ZoneData) -> Iterator[bytes]:
    """The messages that carry a zone: its SOA record first and last."""
    section: list[bytes] = []
    size = 0
    for record in chain(zone.records(), (soa_record(zone),)):
        if size + len(record) > MESSAGE_LIMIT and section:
            yield records_message(query, len(section), b"".join(section))
            section, size = [], 0
        section.append(record)
        size += len(record)
    yield records_message(query, len(section), b"".join(section))


def version_only(query: Query, zone: ZoneData) -> bytes:
    """The reply that tells the zone's version."""
    return records_message(query, 1, soa_record(zone))


def soa_record(zone: ZoneData) -> bytes:
    """The zone's SOA record."""
    return zone.apex + zone.soa.tails[0]


def notify(number: int, zone: ZoneData) -> bytes:
    """The message that tells a secondary of a zone's new version; ``number`` is its id."""
    # RFC 1996 3.7: the SOA record is a hint, which spares the asker a look.
    head = number.to_bytes(2) + bytes((NOTIFY << 3 | 0x04, 0)) + bytes.fromhex("0001000100000000")
    return head + zone.apex + SOA.to_bytes(2) + IN + TO_QUESTION + zone.soa.tails[0]


def is_notify_reply(message: bytes, sent: bytes) -> bool:
    """Whether a message answers what `notify` made, whatever it says."""
    return (
        len(message) >= _HEADER_SIZE
        and message[:2] == sent[:2]
        and message[2] & 0xF8 == 0x80 | NOTIFY << 3
    )
