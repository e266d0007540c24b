"""Queries as packets: their forms, EDNS, cookies, sizes, and what is none."""

from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.dns import Frames, Query, answer, cookie_in, frame
from mailstead.wire.zone_data import Entry, ZoneData, ZoneSet
from support.answers import SOA, ZONES, ask


class Echo:
    """Cookies whose second half is the client's address."""

    def answer(self, client: str, sent: bytes) -> bytes:
        return sent[:8] + client.encode()


def with_cookie(data: bytes, *more: dns.edns.Option, **options: Any) -> bytes:
    given = [*more, dns.edns.GenericOption(dns.edns.OptionType.COOKIE, data)]
    query = dns.message.make_query("mx.example.test", "A", options=given, **options)
    return query.to_wire()


@pytest.mark.parametrize("data", [b"8 octets", b"8 octets" * 2, b"8 octets" * 5])
def test_a_cookie_comes_back(data: bytes) -> None:
    other = dns.edns.GenericOption(3, b"")
    packet = with_cookie(data, other, want_dnssec=True)
    assert cookie_in(packet) == data
    reply = answer(ZONES, packet, stream=False, client="192.0.2.1", cookies=Echo())
    assert isinstance(reply, bytes)
    read = dns.message.from_wire(reply)
    assert [(one.otype, one.to_wire()) for one in read.options] == [(10, b"8 octets192.0.2.1")]
    assert read.ednsflags & dns.flags.DO
    assert read.answer
    without = answer(ZONES, packet, stream=False)
    assert isinstance(without, bytes)
    assert dns.message.from_wire(without).options == ()


@pytest.mark.parametrize("data", [b"", b"7 octet", b"9 octets.", b"x" * 15, b"x" * 41])
def test_a_cookie_of_another_size(data: bytes) -> None:
    packet = with_cookie(data)
    assert cookie_in(packet) == b""
    reply = answer(ZONES, packet, stream=False, cookies=Echo())
    assert isinstance(reply, bytes)
    assert dns.message.from_wire(reply).rcode() == dns.rcode.FORMERR


def test_options_that_are_cut_off() -> None:
    packet = with_cookie(b"8 octets")
    for size in (2, 4 + 7):
        cut = packet[: -12 + size]
        cut = cut[: -size - 2] + size.to_bytes(2) + cut[-size:]
        reply = answer(ZONES, cut, stream=False, cookies=Echo())
        assert isinstance(reply, bytes)
        assert dns.message.from_wire(reply).rcode() == dns.rcode.FORMERR


def test_two_cookies() -> None:
    packet = with_cookie(b"8 octets", dns.edns.GenericOption(10, b"first..."))
    assert cookie_in(packet) == b"first..."


def test_a_signed_query_is_not_answered_before_it_is_verified() -> None:
    query = dns.message.make_query("mx.example.test", "A")
    query.use_tsig({dns.name.from_text("key."): b"x" * 32}, algorithm="hmac-sha256")
    packet = query.to_wire()
    found = answer(ZONES, packet, stream=False)
    assert isinstance(found, Query)
    assert found.signed
    # RFC 8945 5.1: nothing follows the signature.
    two = packet[:11] + bytes((packet[11] + 1,)) + packet[12:] + packet[33:]
    later = answer(ZONES, two, stream=False)
    assert isinstance(later, bytes)
    assert dns.message.from_wire(later).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize("record_type", ["OPT", "MAILA"])
def test_what_is_no_question_for_data(record_type: str) -> None:
    assert ask("example.test", record_type, stream=True).rcode() == dns.rcode.REFUSED


def test_another_class() -> None:
    assert ask("mx.example.test", "A", rdclass="CH").rcode() == dns.rcode.REFUSED
    assert ask("version.bind", "TXT", rdclass="CH").rcode() == dns.rcode.REFUSED
    assert ask("example.test", "AXFR", rdclass="CH", stream=True).rcode() == dns.rcode.REFUSED


def test_edns() -> None:
    reply = ask("mx.example.test", "A", use_edns=0, payload=4096)
    assert (reply.edns, reply.payload, reply.ednsflags) == (0, 1232, 0)
    assert len(reply.answer) == 1
    assert ask("mx.example.test", "A", want_dnssec=True).ednsflags == dns.flags.DO
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
    assert ask("mx.example.test", "A", use_edns=0, options=[cookie]).options == ()


def test_a_later_version_of_edns() -> None:
    reply = ask("mx.example.test", "A", use_edns=1)
    assert reply.rcode() == dns.rcode.BADVERS
    assert (reply.edns, reply.answer) == (0, [])


@pytest.mark.parametrize(
    ("options", "stream", "cut"),
    [
        ({}, False, True),
        ({"use_edns": 0, "payload": 4096}, False, True),
        ({}, True, False),
        ({"use_edns": 0, "payload": 512}, True, False),
    ],
)
def test_what_does_not_fit_is_cut_and_asked_over_tcp(
    options: dict[str, object], stream: bool, cut: bool
) -> None:
    reply = ask("long.example.test", "TXT", stream=stream, **options)
    assert bool(reply.flags & dns.flags.TC) == cut
    assert bool(reply.answer) != cut
    assert reply.edns == options.get("use_edns", -1)


def test_a_datagram_may_be_as_large_as_the_client_says() -> None:
    entries: list[Entry] = [
        ("t.test", "SOA", 60, [SOA]),
        ("t.test", "TXT", 60, ['"' + "x" * 255 + '" "' + "y" * 255 + '"']),
    ]
    zones = ZoneSet([ZoneData("t.test", entries)])
    for payload, cut in ((512, True), (700, False), (0, True)):
        query = dns.message.make_query("t.test", "TXT", use_edns=0, payload=payload)
        reply = answer(zones, query.to_wire(), stream=False)
        assert isinstance(reply, bytes)
        assert bool(dns.message.from_wire(reply).flags & dns.flags.TC) == cut


HEAD = b"\xab\xcd\x01\0"
ONE = b"\0\1\0\0\0\0"
QUESTION = b"\x07example\x04test\0\0\x0f\0\1"
OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"


@pytest.mark.parametrize(
    "packet",
    [
        HEAD + bytes(8),
        HEAD + b"\0\2\0\0\0\0\0\0" + QUESTION + QUESTION,
        HEAD + b"\0\1\0\1\0\0\0\0" + QUESTION + OPT,
        HEAD + ONE + b"\0\0",
        HEAD + ONE + b"\0\0" + QUESTION[:-1],
        HEAD + ONE + b"\0\0" + QUESTION + b"x",
        HEAD + ONE + b"\0\0\xc0\x0c\0\1\0\1",
        HEAD + ONE + b"\0\0" + b"\x3f" * 1000,
        HEAD + ONE + b"\0\0" + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
        HEAD + ONE + b"\0\1" + QUESTION,
        HEAD + ONE + b"\0\1" + QUESTION + OPT[:-1],
        HEAD + ONE + b"\0\1" + QUESTION + OPT[:-1] + b"\1",
        HEAD + ONE + b"\0\1" + QUESTION + b"\1a" + OPT,
        HEAD + ONE + b"\0\2" + QUESTION + OPT + OPT,
        HEAD + ONE + b"\0\1" + QUESTION + OPT + b"x",
    ],
)
def test_what_is_malformed(packet: bytes) -> None:
    reply = answer(ZONES, packet, stream=False)
    assert reply == b"\xab\xcd\x81\x01" + bytes(8)


def test_other_records_beside_the_question_are_passed_over() -> None:
    record = b"\1a\0\0\1\0\1" + bytes(4) + b"\0\4abcd"
    for rest in (record, record + OPT, OPT + record):
        count = bytes((0, 1 + (len(rest) > len(record))))
        reply = answer(ZONES, HEAD + ONE + count + QUESTION + rest, stream=False)
        assert isinstance(reply, bytes)
        assert len(dns.message.from_wire(reply).answer) == 1


@pytest.mark.parametrize("opcode", [dns.opcode.NOTIFY, dns.opcode.UPDATE, dns.opcode.STATUS])
def test_other_operations(opcode: dns.opcode.Opcode) -> None:
    query = dns.message.make_query("example.test", "SOA")
    query.set_opcode(opcode)
    reply = answer(ZONES, query.to_wire(), stream=False)
    assert isinstance(reply, bytes)
    read = dns.message.from_wire(reply)
    assert (read.rcode(), read.opcode(), read.id) == (dns.rcode.NOTIMP, opcode, query.id)


def test_what_is_no_query_gets_no_reply() -> None:
    query = dns.message.make_query("example.test", "SOA")
    assert answer(ZONES, query.to_wire()[:11], stream=False) is None
    assert answer(ZONES, dns.message.make_response(query).to_wire(), stream=False) is None


@given(st.binary(max_size=60), st.booleans())
def test_garbage_gets_a_reply_or_none(data: bytes, stream: bool) -> None:
    for packet in (data, HEAD + ONE + b"\0\1" + data, HEAD + ONE + b"\0\0" + QUESTION + data):
        reply = answer(ZONES, packet, stream=stream)
        if isinstance(reply, bytes):
            assert dns.message.from_wire(reply).id == int.from_bytes(packet[:2])


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 7))
def test_messages_in_a_stream(messages: list[bytes], step: int) -> None:
    data = b"".join(map(frame, messages))
    frames = Frames()
    found = [one for at in range(0, len(data), step) for one in frames.feed(data[at : at + step])]
    assert found == messages
