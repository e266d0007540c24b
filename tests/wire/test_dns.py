"""Authoritative replies: the conformance list, and what dnspython reads in them."""

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.dns import Frames, Query, answer, cookie_in, frame, refusal, response
from mailstead.wire.lookup import NODATA, NXDOMAIN, Answer, Question, Status
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


def ask(name: str, record_type: str = "A", *, stream: bool = False, **options: object):
    """The reply that dnspython reads, checked to fit its query."""
    options.setdefault("use_edns", False)
    query = dns.message.make_query(name, record_type, **options)  # type: ignore[arg-type]
    reply = answer(ZONES, query.to_wire(), stream=stream)
    assert isinstance(reply, bytes)
    read = dns.message.from_wire(reply)
    assert query.is_response(read)
    assert read.to_wire(max_size=65535) is not None
    return read


def texts(section: list) -> list[str]:
    return [text for rrset in section for text in rrset.to_text().splitlines()]


def negative(message: dns.message.Message, apex: str = "example.test.", ttl: int = 60) -> bool:
    [soa] = message.authority
    return (soa.name.to_text(), soa.ttl, soa.rdtype) == (apex, ttl, dns.rdatatype.SOA)


def test_records_of_the_type_asked_for() -> None:
    reply = ask("mx.example.test", "A")
    assert texts(reply.answer) == [
        "mx.example.test. 300 IN A 192.0.2.1",
        "mx.example.test. 300 IN A 192.0.2.2",
    ]
    assert reply.flags & dns.flags.AA
    assert reply.flags & dns.flags.RD
    assert not reply.flags & dns.flags.RA
    assert reply.authority == reply.additional == []


@pytest.mark.parametrize(
    ("owner", "record_type", "values"),
    [(o, t, v) for o, t, _, v in ENTRIES if t not in ("NS", "A") and "child" not in o],
)
def test_every_record_set_is_answered(owner: str, record_type: str, values: list[str]) -> None:
    reply = ask(owner, record_type, stream=True)
    [found] = [rrset for rrset in reply.answer if rrset.name.to_text() == f"{owner}."]
    assert sorted(rdata.to_text().upper() for rdata in found) == sorted(map(str.upper, values))


def test_the_letter_case_of_the_question_is_kept() -> None:
    query = dns.message.make_query("eXaMpLe.TeSt", "MX", use_edns=False).to_wire()
    reply = answer(ZONES, query, stream=False)
    assert isinstance(reply, bytes)
    assert reply[12 : len(query)] == query[12:]
    assert dns.message.from_wire(reply).answer[0].name.to_text() == "eXaMpLe.TeSt."


def test_recursion_desired_is_copied() -> None:
    query = dns.message.make_query("example.test", "MX", use_edns=False)
    query.flags = dns.flags.CD | dns.flags.AD
    reply = answer(ZONES, query.to_wire(), stream=False)
    assert isinstance(reply, bytes)
    assert dns.message.from_wire(reply).flags == dns.flags.QR | dns.flags.AA


def test_a_name_without_records_of_the_type() -> None:
    reply = ask("example.test", "CAA")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert negative(reply)


def test_a_type_that_is_unknown_here() -> None:
    assert negative(ask("example.test", "TYPE65280"))


def test_an_empty_non_terminal_exists() -> None:
    reply = ask("b.example.test", "TXT")
    assert reply.rcode() == dns.rcode.NOERROR
    assert negative(reply)


def test_a_name_that_does_not_exist() -> None:
    reply = ask("deep.missing.example.test", "TXT")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert negative(reply)


def test_the_negative_ttl_is_the_smaller_one() -> None:
    assert negative(ask("missing.second.test"), "second.test.", 30)


def test_an_alias_is_followed_to_the_end() -> None:
    assert texts(ask("www.example.test", "AAAA").answer) == [
        "www.example.test. 300 IN CNAME web.example.test.",
        "web.example.test. 300 IN CNAME mx.example.test.",
        "mx.example.test. 300 IN AAAA 2001:db8::1",
    ]


def test_an_alias_is_followed_into_another_zone() -> None:
    reply = ask("cross.example.test", "A")
    assert texts(reply.answer)[-1] == "host.second.test. 300 IN A 192.0.2.3"
    assert negative(ask("cross.example.test", "MX"), "second.test.", 30)


def test_an_alias_asked_for_itself() -> None:
    reply = ask("www.example.test", "CNAME")
    assert texts(reply.answer) == ["www.example.test. 300 IN CNAME web.example.test."]


def test_an_alias_of_a_name_that_does_not_exist() -> None:
    reply = ask("gone.example.test", "A")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert len(reply.answer) == 1
    assert negative(reply)


def test_an_alias_of_a_name_without_the_type() -> None:
    reply = ask("empty.example.test", "A")
    assert reply.rcode() == dns.rcode.NOERROR
    assert negative(reply)


def test_an_alias_that_leads_away() -> None:
    reply = ask("dkim.example.test", "TXT")
    assert (len(reply.answer), reply.authority, reply.rcode()) == (1, [], dns.rcode.NOERROR)


def test_an_alias_to_a_delegated_name() -> None:
    """The asker goes on at the delegation, and what is ours is still said with authority."""
    reply = ask("away.example.test", "TXT")
    assert (len(reply.answer), reply.rcode()) == (1, dns.rcode.NOERROR)
    assert reply.flags & dns.flags.AA
    assert str(reply.authority[0].name) == "child.example.test."
    assert reply.authority[0].rdtype == dns.rdatatype.NS
    assert str(reply.additional[0].name) == "ns.child.example.test."


def test_aliases_in_a_ring_end() -> None:
    assert ask("ring1.example.test", "A").rcode() == dns.rcode.NOERROR


def test_a_wildcard() -> None:
    reply = ask("any.thing.wild.example.test", "TXT")
    assert texts(reply.answer) == ['any.thing.wild.example.test. 300 IN TXT "wild"']
    assert negative(ask("any.wild.example.test", "AAAA"))
    assert texts(ask("*.wild.example.test", "MX").answer) == ["*.wild.example.test. 300 IN MX 0 ."]


def test_a_wildcard_covers_no_name_that_exists() -> None:
    assert negative(ask("there.wild.example.test", "TXT"))
    assert ask("x.there.wild.example.test", "TXT").rcode() == dns.rcode.NXDOMAIN


def test_a_wildcard_alias() -> None:
    assert texts(ask("x.alias.example.test", "AAAA").answer) == [
        "x.alias.example.test. 300 IN CNAME mx.example.test.",
        "mx.example.test. 300 IN AAAA 2001:db8::1",
    ]


@pytest.mark.parametrize("name", ["child.example.test", "x.y.child.example.test"])
@pytest.mark.parametrize("record_type", ["A", "NS", "TXT", "ANY"])
def test_a_delegation_is_a_referral_with_glue(name: str, record_type: str) -> None:
    reply = ask(name, record_type)
    assert not reply.flags & dns.flags.AA
    assert (reply.answer, reply.rcode()) == ([], dns.rcode.NOERROR)
    assert texts(reply.authority) == [
        "child.example.test. 300 IN NS ns.child.example.test.",
        "child.example.test. 300 IN NS ns2.other.test.",
    ]
    assert texts(reply.additional) == [
        "ns.child.example.test. 300 IN A 192.0.2.53",
        "ns.child.example.test. 300 IN AAAA 2001:db8::53",
    ]


def test_a_delegation_from_a_zone_that_is_not_signed_says_nothing_of_signatures() -> None:
    """RFC 4035 3.1.4: nobody could believe the DS record."""
    reply = ask("x.child.example.test", use_edns=0, want_dnssec=True)
    assert [one.rdtype for one in reply.authority] == [dns.rdatatype.NS]


def test_names_below_a_delegation_are_not_ours() -> None:
    assert ask("host.child.example.test", "A").answer == []
    assert ask("bare.example.test", "A").additional == []


def test_the_ds_record_of_a_delegation_is_the_parents() -> None:
    for name in ("child.example.test", "hosted.example.test"):
        reply = ask(name, "DS")
        assert reply.flags & dns.flags.AA
        assert reply.answer[0].rdtype == dns.rdatatype.DS
    assert negative(ask("bare.example.test", "DS"))
    assert negative(ask("second.test", "DS"), "second.test.", 30)


def test_a_delegated_zone_that_is_ours_too_answers_itself() -> None:
    assert texts(ask("in.hosted.example.test").answer) == [
        "in.hosted.example.test. 300 IN A 192.0.2.4"
    ]
    assert negative(ask("hosted.example.test"), "hosted.example.test.")


def test_any_gets_one_record_set() -> None:
    for name in ("example.test", "x.wild.example.test"):
        assert len(ask(name, "ANY").answer) == 1
    assert ask("www.example.test", "ANY").answer[0].rdtype == dns.rdatatype.CNAME
    assert negative(ask("b.example.test", "ANY"))


def test_what_is_in_no_zone_of_ours() -> None:
    packet = dns.message.make_query("example.com", "A", use_edns=0).to_wire()
    query = answer(ZONES, packet, stream=False)
    assert isinstance(query, Query)
    assert query.lookup() == Question("example.com", "A")
    reply = dns.message.from_wire(refusal(query))
    assert (reply.rcode(), reply.edns, len(reply.question)) == (dns.rcode.REFUSED, 0, 1)
    assert not reply.flags & dns.flags.AA
    assert isinstance(answer(ZoneSet(), packet, stream=False), Query)


@pytest.mark.parametrize("record_type", ["AXFR", "IXFR"])
def test_transfers_are_for_others_to_answer(record_type: str) -> None:
    packet = dns.message.make_query("example.test", record_type).to_wire()
    assert isinstance(answer(ZONES, packet, stream=True), Query)


class Echo:
    """Cookies whose second half is the client's address."""

    def answer(self, client: str, sent: bytes) -> bytes:
        return sent[:8] + client.encode()


def with_cookie(data: bytes, *more: dns.edns.Option, **options: object) -> bytes:
    given = [*more, dns.edns.GenericOption(dns.edns.OptionType.COOKIE, data)]
    query = dns.message.make_query("mx.example.test", "A", options=given, **options)  # type: ignore[arg-type] - by name
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


def test_a_question_of_a_type_that_is_not_looked_up() -> None:
    packet = dns.message.make_query("example.com", "TYPE65280").to_wire()
    query = answer(ZONES, packet, stream=False)
    assert isinstance(query, Query)
    assert query.lookup() is None


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


def _foreign(name: str, record_type: str) -> Query:
    packet = dns.message.make_query(name, record_type, use_edns=0).to_wire()
    query = answer(ZONES, packet, stream=False)
    assert isinstance(query, Query)
    return query


@pytest.mark.parametrize(
    ("record_type", "record", "text"),
    [
        ("TXT", b"k=" + b"A" * 300, '"k=' + "A" * 253 + '" "' + "A" * 47 + '"'),
        ("TXT", b"", '""'),
        ("MX", (10, "mx.service.test"), "10 mx.service.test."),
        ("A", "127.0.0.1", "127.0.0.1"),
        ("AAAA", "::1", "::1"),
    ],
)
def test_records_made_on_demand(
    record_type: str, record: str | bytes | tuple[int, str], text: str
) -> None:
    query = _foreign("key.service.test", record_type)
    reply = dns.message.from_wire(response(query, Answer(Status.OK, (record,))))
    assert texts(reply.answer) == [f"key.service.test. 60 IN {record_type} {text}"]
    assert reply.flags & dns.flags.AA


def test_negative_answers_made_on_demand() -> None:
    query = _foreign("key.service.test", "TXT")
    assert dns.message.from_wire(response(query, NXDOMAIN)).rcode() == dns.rcode.NXDOMAIN
    assert dns.message.from_wire(response(query, NODATA)).rcode() == dns.rcode.NOERROR


@given(st.binary(max_size=60), st.booleans())
def test_garbage_gets_a_reply_or_none(data: bytes, stream: bool) -> None:
    for packet in (data, HEAD + ONE + b"\0\1" + data, HEAD + ONE + b"\0\0" + QUESTION + data):
        reply = answer(ZONES, packet, stream=stream)
        if isinstance(reply, bytes):
            assert dns.message.from_wire(reply).id == int.from_bytes(packet[:2])


LABELS = st.sampled_from(
    ["mx", "www", "wild", "child", "b", "a", "ns", "*", "second", "alias", "x"]
)


@given(
    st.lists(LABELS, max_size=4),
    st.sampled_from(["example.test", "second.test", "test"]),
    st.sampled_from(["A", "AAAA", "MX", "TXT", "CNAME", "NS", "SOA", "DS", "ANY", "CAA"]),
    st.sampled_from([-1, 0]),
)
def test_every_reply_can_be_read(labels: list[str], zone: str, record_type: str, edns: int) -> None:
    name = ".".join([*labels, zone])
    query = dns.message.make_query(name, record_type, use_edns=edns)
    reply = answer(ZONES, query.to_wire(), stream=False)
    if isinstance(reply, bytes):
        read = dns.message.from_wire(reply)
        assert query.is_response(read)
        assert read.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
        assert read.answer or read.authority
    else:
        assert zone == "test"


@given(st.lists(st.binary(max_size=30), max_size=5), st.integers(1, 7))
def test_messages_in_a_stream(messages: list[bytes], step: int) -> None:
    data = b"".join(map(frame, messages))
    frames = Frames()
    found = [one for at in range(0, len(data), step) for one in frames.feed(data[at : at + step])]
    assert found == messages


def test_signatures_in_a_zone_without_any() -> None:
    reply = ask("mx.example.test", "RRSIG")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert [one.rdtype for one in reply.authority] == [dns.rdatatype.SOA]
