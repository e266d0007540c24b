"""Zones on their way to others, read by dnspython."""

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rdatatype
import dns.rrset
import dns.serial
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.dns import Query, answer, failure
from mailstead.wire.transfer import (
    MESSAGE_LIMIT,
    is_current,
    is_notify_reply,
    notify,
    version_only,
    whole_zone,
)
from mailstead.wire.zone_data import Entry, ZoneData, ZoneSet

SOA = "ns1.example.test. hostmaster.example.test. 7 7200 900 1209600 60"
ENTRIES: list[Entry] = [
    ("example.test", "SOA", 900, [SOA]),
    ("example.test", "NS", 900, ["ns1.example.test."]),
    *((f"h{number}.example.test", "A", 300, ["192.0.2.1", "192.0.2.2"]) for number in range(1000)),
    ("long.example.test", "TXT", 300, ['"' + '" "'.join(["x" * 250] * 200) + '"']),
]
ZONE = ZoneData("example.test", ENTRIES)
ZONES = ZoneSet([ZONE])
NAME = dns.name.from_text("example.test")


def query(kind: str = "AXFR", serial: int | None = None, *, pointer: bool = True) -> Query:
    asked = dns.message.make_query(NAME, kind)
    if serial is not None:
        rdata = dns.rdata.from_text("IN", "SOA", SOA.replace(" 7 ", f" {serial} "))
        asked.authority.append(dns.rrset.from_rdata(NAME, 0, rdata))
    wire = asked.to_wire()
    if serial is not None and not pointer:
        start = 12 + 18
        assert wire[start : start + 2] == b"\xc0\x0c"
        wire = wire[:start] + NAME.to_wire() + wire[start + 2 :]
    found = answer(ZONES, wire, stream=True)
    assert isinstance(found, Query)
    return found


def test_the_whole_zone() -> None:
    messages = list(whole_zone(query(), ZONE))
    assert len(messages) > 2
    read = [dns.message.from_wire(one, one_rr_per_rrset=True) for one in messages]
    records = [record for one in read for record in one.answer]
    assert len(records) == 2 + 1 + 2000 + 1
    assert records[0] == records[-1]
    assert records[0].rdtype == dns.rdatatype.SOA
    assert sum(one.rdtype == dns.rdatatype.SOA for one in records) == 2
    for one, wire in zip(read, messages, strict=True):
        assert one.flags & dns.flags.AA
        assert one.question[0].rdtype == dns.rdatatype.AXFR
        assert len(wire) <= MESSAGE_LIMIT + 100 or len(one.answer) == 1


def test_the_askers_version() -> None:
    assert query("IXFR", 5).serial == 5
    assert query("IXFR", 5, pointer=False).serial == 5
    assert query("IXFR").serial is None
    only = dns.message.from_wire(version_only(query("IXFR", 5), ZONE))
    assert [one.rdtype for one in only.answer] == [dns.rdatatype.SOA]
    assert only.answer[0][0].serial == ZONE.serial == 7


@pytest.mark.parametrize("cut", [1, 3, 12, 25, 40])
def test_a_version_that_is_cut_off(cut: int) -> None:
    asked = dns.message.make_query(NAME, "IXFR")
    asked.authority.append(dns.rrset.from_text(NAME, 0, "IN", "SOA", SOA))
    found = answer(ZONES, asked.to_wire()[:-cut], stream=True)
    assert isinstance(found, bytes)
    assert dns.message.from_wire(found).rcode() == dns.rcode.FORMERR


def test_another_record_than_a_version() -> None:
    asked = dns.message.make_query(NAME, "IXFR")
    asked.authority.append(dns.rrset.from_text(NAME, 0, "IN", "A", "192.0.2.1"))
    found = answer(ZONES, asked.to_wire(), stream=True)
    assert isinstance(found, bytes)
    assert dns.message.from_wire(found).rcode() == dns.rcode.FORMERR


def test_failures() -> None:
    assert dns.message.from_wire(failure(query(), 9)).rcode() == dns.rcode.NOTAUTH


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_serials(theirs: int, ours: int) -> None:
    if (theirs - ours) % 2**32 != 2**31:
        assert is_current(theirs, ours) == (dns.serial.Serial(theirs) >= dns.serial.Serial(ours))


def test_notify() -> None:
    sent = notify(4711, ZONE)
    read = dns.message.from_wire(sent)
    assert (read.id, read.opcode()) == (4711, dns.opcode.NOTIFY)
    assert read.flags & dns.flags.AA
    assert read.question[0].rdtype == dns.rdatatype.SOA
    assert read.answer[0][0].serial == 7
    reply = dns.message.make_response(read)
    assert is_notify_reply(reply.to_wire(), sent)
    assert not is_notify_reply(sent, sent)
    assert not is_notify_reply(reply.to_wire()[:11], sent)
    assert not is_notify_reply(b"\0\0" + reply.to_wire()[2:], sent)
    assert not is_notify_reply(dns.message.make_response(
        dns.message.make_query(NAME, "SOA", id=4711)
    ).to_wire(), sent)  # fmt: skip
