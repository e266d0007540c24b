"""Signed zones, with dnspython as the validator."""

import base64
from functools import cache

import dns.dnssec
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.zone
import dns.zonefile
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.dns import answer
from mailstead.wire.dnssec import Signing, ZoneKey, ds, nsec, zone_key
from mailstead.wire.domain_name import name_to_wire
from mailstead.wire.rdata import to_text
from mailstead.wire.zone_data import Entry, ZoneData, ZoneSet

NOW = 1_800_000_000
SOA = "ns1.example.test. hostmaster.example.test. 1 7200 900 1209600 60"
APEX = dns.name.from_text("example.test")
ENTRIES: list[Entry] = [
    ("example.test", "SOA", 900, [SOA]),
    ("example.test", "NS", 172800, ["ns1.example.test.", "ns2.other.test."]),
    ("example.test", "MX", 300, ["10 mx.example.test.", "5 mx.example.test."]),
    ("example.test", "TXT", 300, ['"v=spf1 mx -all"', '"other"']),
    ("example.test", "CAA", 300, ['0 issue "ca.example"']),
    ("caa.example.test", "CAA", 300, ['0 issue "ca.example"']),
    ("mx.example.test", "A", 300, ["192.0.2.1", "192.0.2.2"]),
    ("www.example.test", "CNAME", 300, ["web.example.test."]),
    ("web.example.test", "CNAME", 300, ["mx.example.test."]),
    ("gone.example.test", "CNAME", 300, ["missing.example.test."]),
    ("out.example.test", "CNAME", 300, ["key.service.test."]),
    ("toaway.example.test", "CNAME", 300, ["host.child.example.test."]),
    ("a.b.example.test", "TXT", 300, ['"below an empty non-terminal"']),
    ("*.wild.example.test", "TXT", 300, ['"wild"']),
    ("there.wild.example.test", "A", 300, ["192.0.2.9"]),
    ("*.alias.example.test", "CNAME", 300, ["mx.example.test."]),
    ("child.example.test", "NS", 300, ["ns.child.example.test."]),
    ("child.example.test", "DS", 300, ["12345 13 2 " + "AB" * 32]),
    ("ns.child.example.test", "A", 300, ["192.0.2.53"]),
    ("bare.example.test", "NS", 300, ["ns2.other.test."]),
]


@cache
def key(number: int, *, entry_point: bool = False) -> ZoneKey:
    """A key that is the same in every run."""
    private = derive_private_key(number, SECP256R1())
    pkcs8 = private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return zone_key(pkcs8, entry_point=entry_point)


SIGNING = Signing(key(5), (key(7, entry_point=True),), NOW - 3600, NOW + 86400)
ZONE = ZoneData("example.test", ENTRIES, SIGNING)
ZONES = ZoneSet([ZONE])


def rrset_of(owner: str, kind: str, *rdatas: bytes) -> dns.rrset.RRset:
    texts = [dns.rdata.from_wire("IN", kind, one, 0, len(one)).to_text() for one in rdatas]
    return dns.rrset.from_text_list(owner, 300, "IN", kind, texts)


KEYS = {APEX: rrset_of("example.test.", "DNSKEY", *(one.rdata for one in SIGNING.keys))}


def ask(name: str, kind: str, *, dnssec: bool = True) -> dns.message.Message:
    query = dns.message.make_query(name, kind, want_dnssec=dnssec)
    reply = answer(ZONES, query.to_wire(), stream=True)
    assert isinstance(reply, bytes)
    return dns.message.from_wire(reply)


def proofs(section: list[dns.rrset.RRset]) -> list[tuple[str, str]]:
    """Check every signature of a section; who owns what NSEC record, and where it leads."""
    found: list[tuple[str, str]] = []
    for rrset in section:
        if rrset.rdtype == dns.rdatatype.RRSIG:
            continue
        signature = next(
            (
                one
                for one in section
                if (one.name, one.rdtype, one.covers)
                == (rrset.name, dns.rdatatype.RRSIG, rrset.rdtype)
            ),
            None,
        )
        if rrset.rdtype == dns.rdatatype.NS and rrset.name != APEX:
            # RFC 4035 2.2: what is delegated away is not signed.
            assert signature is None
            continue
        assert signature is not None, f"{rrset} is not signed"
        assert signature.ttl == rrset.ttl
        dns.dnssec.validate(rrset, signature, KEYS, now=NOW)
        if rrset.rdtype == dns.rdatatype.NSEC:
            found.append((str(rrset.name.relativize(APEX)), str(rrset[0].next.relativize(APEX))))
    return found


def types_at(reply: dns.message.Message, owner: str) -> set[str]:
    """The types that the NSEC record of a name shows."""
    name = dns.name.from_text(owner, APEX)
    [found] = [
        one for one in reply.authority if (one.name, one.rdtype) == (name, dns.rdatatype.NSEC)
    ]
    return set(found[0].to_text().split()[1:])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("example.test", "SOA"),
        ("example.test", "NS"),
        ("example.test", "MX"),
        ("EXAMPLE.test", "TXT"),
        ("example.test", "CAA"),
        ("example.test", "DNSKEY"),
        ("example.test", "NSEC"),
        ("mx.example.test", "A"),
        ("child.example.test", "DS"),
        ("child.example.test", "NSEC"),
        ("www.example.test", "NSEC"),
        ("*.wild.example.test", "TXT"),
        ("mx.example.test", "ANY"),
    ],
)
def test_what_is_there(name: str, kind: str) -> None:
    reply = ask(name, kind)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.answer
    proofs(reply.answer)
    assert not reply.authority
    plain = ask(name, kind, dnssec=False)
    assert [one.rdtype for one in plain.answer] == [reply.answer[0].rdtype]


@pytest.mark.parametrize(
    ("name", "covered"),
    [("mx.example.test", "A"), ("www.example.test", "CNAME"), ("x.wild.example.test", "TXT")],
)
@pytest.mark.parametrize("dnssec", [False, True])
def test_signatures_asked_for_themselves(name: str, covered: str, *, dnssec: bool) -> None:
    """NSEC records show the type, so that "none" would be no answer; not all (RFC 8482 7)."""
    reply = ask(name, "RRSIG", dnssec=dnssec)
    [found] = reply.answer
    assert (str(found.name), found.rdtype) == (f"{name}.", dns.rdatatype.RRSIG)
    assert dns.rdatatype.to_text(found[0].type_covered) == covered
    assert len(found) == 1


def test_signatures_of_nothing() -> None:
    assert ask("b.example.test", "RRSIG").rcode() == dns.rcode.NOERROR
    assert not ask("b.example.test", "RRSIG").answer
    assert ask("child.example.test", "RRSIG").authority[0].rdtype == dns.rdatatype.NS
    assert ask("none.example.test", "RRSIG").rcode() == dns.rcode.NXDOMAIN


def test_all_that_a_name_has_is_shown_by_data_before_denials() -> None:
    for name, kind in (("caa.example.test", "CAA"), ("mx.example.test", "A")):
        assert dns.rdatatype.to_text(ask(name, "ANY").answer[0].rdtype) == kind


def test_an_alias_chain() -> None:
    reply = ask("www.example.test", "A")
    assert [str(one.name.relativize(APEX)) for one in reply.answer[::2]] == ["www", "web", "mx"]
    proofs(reply.answer)


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("mx.example.test", "AAAA", {"mx"}),
        ("example.test", "A", {"@"}),
        # RFC 4035 3.1.3.1: an empty non-terminal has no NSEC record of its own.
        ("b.example.test", "A", {"*.alias", "a.b", "@"}),
        ("child.example.test", "TYPE65280", set()),
        ("bare.example.test", "DS", {"bare"}),
        # The wildcard has no such type, and the name itself is not there.
        ("x.wild.example.test", "A", {"*.wild"}),
    ],
)
def test_no_such_type(name: str, kind: str, expected: set[str]) -> None:
    reply = ask(name, kind)
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    owners = {owner for owner, _ in proofs(reply.authority)}
    if expected:
        assert owners & expected
    plain = ask(name, kind, dnssec=False)
    assert len(plain.authority) <= 1


def covers(proof: tuple[str, str], name: str) -> bool:
    """Whether an NSEC record spans the place of a name."""
    owner, following, asked = (dns.name.from_text(one, APEX) for one in (*proof, name))
    return owner < asked and (asked < following or following == APEX)


@pytest.mark.parametrize(
    ("name", "wildcard"),
    [
        ("nothing.example.test", "*"),
        ("0.example.test", "*"),
        ("zzz.example.test", "*"),
        ("x.y.mx.example.test", "*.mx"),
        ("c.b.example.test", "*.b"),
        ("gone.example.test", "*"),
    ],
)
def test_no_such_name(name: str, wildcard: str) -> None:
    reply = ask(name, "A")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    proofs(reply.answer)
    found = proofs(reply.authority)
    last = "missing" if name.startswith("gone") else name.removesuffix(".example.test")
    assert any(covers(one, last) for one in found)
    assert any(covers(one, wildcard) for one in found)


@pytest.mark.parametrize(
    ("name", "kind", "labels"),
    [("x.wild.example.test", "TXT", 3), ("x.y.alias.example.test", "A", 3)],
)
def test_what_comes_from_a_wildcard(name: str, kind: str, labels: int) -> None:
    reply = ask(name, kind)
    proofs(reply.answer)
    assert reply.answer[1][0].labels == labels
    relative = name.removesuffix(".example.test")
    assert any(covers(one, relative) for one in proofs(reply.authority))


@pytest.mark.parametrize(
    ("name", "shown"),
    [("host.child.example.test", dns.rdatatype.DS), ("bare.example.test", dns.rdatatype.NSEC)],
)
def test_delegations(name: str, shown: dns.rdatatype.RdataType) -> None:
    reply = ask(name, "A")
    assert not reply.flags & dns.flags.AA
    proofs(reply.authority)
    kinds = [one.rdtype for one in reply.authority]
    assert kinds == [dns.rdatatype.NS, shown, dns.rdatatype.RRSIG]
    if shown == dns.rdatatype.NSEC:
        assert types_at(reply, "bare") == {"NS", "RRSIG", "NSEC"}
    for glue in reply.additional:
        assert glue.rdtype != dns.rdatatype.RRSIG


def test_an_alias_to_a_delegated_name() -> None:
    reply = ask("toaway.example.test", "A")
    assert reply.flags & dns.flags.AA
    proofs(reply.answer)
    proofs(reply.authority)
    assert [one.rdtype for one in reply.authority][:2] == [dns.rdatatype.NS, dns.rdatatype.DS]
    assert [str(one.name) for one in reply.additional] == ["ns.child.example.test."]


def test_the_whole_zone() -> None:
    """The chain is closed, and every record set that the zone vouches for is signed."""
    zone = dns.zone.Zone(APEX, relativize=False)
    with zone.writer() as writer:
        for record in ZONE.records():
            name, used = dns.name.from_wire(record, 0)
            kind, data = int.from_bytes(record[used : used + 2]), used + 10
            rdata = dns.rdata.from_wire("IN", kind, record, data, len(record) - data)
            ttl = int.from_bytes(record[used + 4 : used + 8])
            writer.add(name, dns.rdataset.from_rdata(ttl, rdata))
    following = {
        name: found[0].next
        for name, node in zone.nodes.items()
        if (found := node.get_rdataset(dns.rdataclass.IN, dns.rdatatype.NSEC))
    }
    place, seen = APEX, []
    while place not in seen:
        seen.append(place)
        place = following[place]
    assert (place, sorted(seen)) == (APEX, seen)
    assert len(seen) == len(following)
    assert dns.name.from_text("ns.child", APEX) not in following
    assert dns.name.from_text("b", APEX) not in following


def test_what_did_not_change_keeps_its_signature() -> None:
    more = [*ENTRIES, ("new.example.test", "A", 300, ["192.0.2.77"])]
    later = ZoneData("example.test", more, SIGNING, ZONE)
    mx = name_to_wire("mx.example.test")
    assert later.nodes[mx][1] is ZONE.nodes[mx][1]
    neighbour = name_to_wire("mx.example.test")
    assert later.nodes[neighbour][47].tails != ZONE.nodes[neighbour][47].tails
    other = Signing(SIGNING.zone_key, SIGNING.entry_keys, NOW, NOW + 86400)
    again = ZoneData("example.test", more, other, later)
    assert again.nodes[mx][1].signatures != later.nodes[mx][1].signatures
    assert ZoneData("example.test", ENTRIES, None, ZONE).nodes[mx][1].signatures == ()
    from_plain = ZoneData("example.test", ENTRIES, SIGNING, ZoneData("example.test", ENTRIES))
    assert from_plain.nodes[mx][1].signatures


def test_zones_by_their_apex() -> None:
    apex = name_to_wire("example.test")
    assert ZONES.serials == {apex: 1}
    assert ZONES.at(apex) is ZONE
    assert ZONES.at(name_to_wire("mx.example.test")) is None


def test_the_parents_record() -> None:
    entry = SIGNING.entry_keys[0]
    [dnskey] = [one for one in KEYS[APEX] if one.flags == entry.flags]
    assert dns.dnssec.key_id(dnskey) == entry.tag
    expected = dns.dnssec.make_ds(APEX, dnskey, "SHA256")
    found = to_text("DS", ds(name_to_wire("example.test"), entry))
    assert found.lower() == expected.to_text()
    assert base64.b64encode(entry.public) == base64.b64encode(dnskey.key)


@given(st.sets(st.integers(1, 65535), max_size=40))
def test_type_maps(types: set[int]) -> None:
    wire = nsec(b"\1a\0", types)
    read = dns.rdata.from_wire("IN", "NSEC", wire, 0, len(wire))
    shown = read.to_text().split()[1:]
    assert [dns.rdatatype.from_text(one) for one in shown] == sorted(types)
    assert read.to_wire() == wire


LABELS = st.sampled_from(["a", "b", "mx", "wild", "x", "child", "bare", "alias", "www", "0"])


@given(
    st.lists(LABELS, max_size=4),
    st.sampled_from(["A", "MX", "TXT", "CNAME", "NS", "DS", "NSEC", "DNSKEY", "ANY", "SOA"]),
)
def test_any_question(labels: list[str], kind: str) -> None:
    """Whatever is asked, all that comes is signed, and what is not there is proven."""
    reply = ask(".".join([*labels, "example.test"]), kind)
    proofs(reply.answer)
    found = proofs(reply.authority)
    if reply.rcode() == dns.rcode.NXDOMAIN:
        assert any(covers(one, ".".join(labels)) for one in found)
    elif not reply.answer and reply.flags & dns.flags.AA:
        assert found
