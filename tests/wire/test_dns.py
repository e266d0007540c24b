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

from mailstead.wire.dns import Query, answer, refusal, response
from mailstead.wire.lookup import NODATA, NXDOMAIN, Answer, Question, Status
from mailstead.wire.zone_data import ZoneSet
from support.answers import ENTRIES, ZONES, ask


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


def test_a_question_of_a_type_that_is_not_looked_up() -> None:
    packet = dns.message.make_query("example.com", "TYPE65280").to_wire()
    query = answer(ZONES, packet, stream=False)
    assert isinstance(query, Query)
    assert query.lookup() is None


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


def test_signatures_in_a_zone_without_any() -> None:
    reply = ask("mx.example.test", "RRSIG")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert [one.rdtype for one in reply.authority] == [dns.rdatatype.SOA]
