"""Zones with a bit of everything, and our answers from them as dnspython reads them."""

from typing import Any

import dns.message

from mailstead.wire.dns import answer
from mailstead.wire.zone_data import Entry, ZoneData, ZoneSet

SOA = "ns1.example.test. hostmaster.example.test. 1 7200 900 1209600 60"
LONG = " ".join('"' + "x" * 250 + '"' for _ in range(6))
ENTRIES: list[Entry] = [
    ("example.test", "SOA", 900, [SOA]),
    ("example.test", "NS", 172800, ["ns1.example.test.", "ns2.other.test."]),
    ("example.test", "MX", 300, ["10 mx.example.test."]),
    ("example.test", "TXT", 300, ['"v=spf1 mx -all"', '"other"']),
    ("mx.example.test", "A", 300, ["192.0.2.1", "192.0.2.2", "192.0.2.1"]),
    ("mx.example.test", "AAAA", 300, ["2001:db8::1"]),
    ("www.example.test", "CNAME", 300, ["web.example.test."]),
    ("web.example.test", "CNAME", 300, ["mx.example.test."]),
    ("gone.example.test", "CNAME", 300, ["missing.example.test."]),
    ("empty.example.test", "CNAME", 300, ["a.b.example.test."]),
    ("dkim.example.test", "CNAME", 300, ["key.service.test."]),
    ("away.example.test", "CNAME", 300, ["host.child.example.test."]),
    ("cross.example.test", "CNAME", 300, ["host.second.test."]),
    ("ring1.example.test", "CNAME", 300, ["ring2.example.test."]),
    ("ring2.example.test", "CNAME", 300, ["ring1.example.test."]),
    ("a.b.example.test", "TXT", 300, ['"below an empty non-terminal"']),
    ("*.wild.example.test", "TXT", 300, ['"wild"']),
    ("*.wild.example.test", "MX", 300, ["0 ."]),
    ("there.wild.example.test", "A", 300, ["192.0.2.9"]),
    ("*.alias.example.test", "CNAME", 300, ["mx.example.test."]),
    ("child.example.test", "NS", 300, ["ns.child.example.test.", "ns2.other.test."]),
    ("child.example.test", "DS", 300, ["12345 13 2 " + "AB" * 32]),
    ("ns.child.example.test", "A", 300, ["192.0.2.53"]),
    ("ns.child.example.test", "AAAA", 300, ["2001:db8::53"]),
    ("host.child.example.test", "A", 300, ["192.0.2.99"]),
    ("bare.example.test", "NS", 300, ["ns2.other.test."]),
    ("hosted.example.test", "NS", 300, ["ns1.example.test."]),
    ("hosted.example.test", "DS", 300, ["1 13 1 " + "AB" * 20]),
    ("long.example.test", "TXT", 300, [LONG]),
]
SECOND: list[Entry] = [
    ("second.test", "SOA", 30, [SOA]),
    ("second.test", "NS", 300, ["ns1.example.test."]),
    ("host.second.test", "A", 300, ["192.0.2.3"]),
]
HOSTED: list[Entry] = [
    ("hosted.example.test", "SOA", 900, [SOA]),
    ("in.hosted.example.test", "A", 300, ["192.0.2.4"]),
]
ZONES = ZoneSet(
    [
        ZoneData("example.test", ENTRIES),
        ZoneData("second.test", SECOND),
        ZoneData("hosted.example.test", HOSTED),
    ]
)


def ask(
    name: str, record_type: str = "A", *, stream: bool = False, **options: Any
) -> dns.message.Message:
    """The reply that dnspython reads, checked to fit its query."""
    options.setdefault("use_edns", False)
    query = dns.message.make_query(name, record_type, **options)
    reply = answer(ZONES, query.to_wire(), stream=stream)
    assert isinstance(reply, bytes)
    read = dns.message.from_wire(reply)
    assert query.is_response(read)
    assert read.to_wire(max_size=65535) is not None
    return read
