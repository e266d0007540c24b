"""Signed messages: dnspython signs and checks what we check and sign."""

import dns.message
import dns.name
import dns.rcode
import dns.rrset
import dns.tsig
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.tsig import (
    BADKEY,
    BADSIG,
    BADTIME,
    BADTRUNC,
    FORMERR,
    NOTAUTH,
    Rejected,
    TsigError,
    Verified,
    check,
    sign,
    verify,
)
from mailstead.wire.tsig_key import ALGORITHMS, TsigKey

NOW = 1_800_000_000
KEY = TsigKey(b"\x08transfer\0", "hmac-sha256", b"s" * 32)
OTHER = TsigKey(b"\x08transfer\0", "hmac-sha256", b"t" * 32)
KEYS = {KEY.name: KEY}
PLAIN = dns.message.make_query("example.test", "SOA", id=77).to_wire()


def theirs(key: TsigKey) -> dns.tsig.Key:
    return dns.tsig.Key(dns.name.from_wire(key.name, 0)[0], key.secret, key.algorithm)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_query_and_its_reply(algorithm: str) -> None:
    key = TsigKey(KEY.name, algorithm, KEY.secret)
    sent, mac = sign(PLAIN, key, NOW)
    found = verify(sent, {key.name: key}, NOW + 299)
    assert isinstance(found, Verified)
    assert found.plain == PLAIN
    reply = found.signer().sign(found.plain, NOW)
    assert len(reply) - len(found.plain) == found.signer().size
    assert check(reply, key, mac, NOW) == found.plain


def test_dnspython_checks_what_we_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    sent, _ = sign(PLAIN, KEY, NOW)
    monkeypatch.setattr("time.time", lambda: NOW)
    read = dns.message.from_wire(sent, keyring={dns.name.from_text("transfer"): theirs(KEY)})
    assert read.had_tsig


def test_we_check_what_dnspython_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: NOW)
    query = dns.message.from_wire(PLAIN)
    query.use_tsig(theirs(KEY))
    found = verify(query.to_wire(), KEYS, NOW)
    assert isinstance(found, Verified)
    assert found.plain == PLAIN


def test_each_message_of_a_reply_is_signed_with_the_one_before() -> None:
    sent, mac = sign(PLAIN, KEY, NOW)
    found = verify(sent, KEYS, NOW)
    assert isinstance(found, Verified)
    signer = found.signer()
    first, second = signer.sign(PLAIN, NOW), signer.sign(PLAIN, NOW)
    assert check(first, KEY, mac, NOW) == PLAIN
    with pytest.raises(TsigError):
        check(second, KEY, mac, NOW)


@pytest.mark.parametrize(
    ("key", "now", "rcode", "error"),
    [
        (TsigKey(b"\5other\0", "hmac-sha256", KEY.secret), NOW, NOTAUTH, BADKEY),
        (TsigKey(KEY.name, "hmac-sha512", KEY.secret), NOW, NOTAUTH, BADKEY),
        (OTHER, NOW, NOTAUTH, BADSIG),
        (KEY, NOW + 301, NOTAUTH, BADTIME),
        (KEY, NOW - 301, NOTAUTH, BADTIME),
    ],
)
def test_what_is_rejected(key: TsigKey, now: int, rcode: int, error: int) -> None:
    sent, mac = sign(PLAIN, key, NOW)
    found = verify(sent, KEYS, now)
    assert isinstance(found, Rejected)
    assert (found.rcode, found.error) == (rcode, error)
    reply = dns.message.make_response(dns.message.from_wire(PLAIN))
    reply.set_rcode(dns.rcode.Rcode(rcode))
    said = found.finish(reply.to_wire(), now)
    with pytest.raises(TsigError, match="it says BAD"):
        check(said, key, mac, NOW)


def shortened(sent: bytes, octets: int) -> bytes:
    """A signed query whose MAC of 32 octets lacks its end (RFC 8945 5.2.2.1)."""
    size_at = len(PLAIN) + len(KEY.name) + 8
    # After the MAC: the query's id, an error, and the size of other data.
    mac_at = len(sent) - 6 - 32
    cut = sent[: mac_at - 2] + octets.to_bytes(2) + sent[mac_at : mac_at + octets] + sent[-6:]
    size = int.from_bytes(sent[size_at : size_at + 2]) - 32 + octets
    return cut[:size_at] + size.to_bytes(2) + cut[size_at + 2 :]


def test_a_shortened_signature() -> None:
    sent, _ = sign(PLAIN, KEY, NOW)
    assert isinstance(verify(shortened(sent, 32), KEYS, NOW), Verified)
    found = verify(shortened(sent, 16), KEYS, NOW)
    assert isinstance(found, Rejected)
    assert (found.rcode, found.error) == (NOTAUTH, BADTRUNC)
    found = verify(shortened(sent, 8), KEYS, NOW)
    assert isinstance(found, Rejected)
    assert found.rcode == FORMERR
    assert found.finish(PLAIN, NOW) == PLAIN


def test_a_reply_with_records_and_compressed_names() -> None:
    query = dns.message.from_wire(PLAIN)
    reply = dns.message.make_response(query)
    soa = "ns1.example.test. hostmaster.example.test. 1 7200 900 1209600 60"
    reply.answer.append(dns.rrset.from_text("example.test.", 60, "IN", "SOA", soa))
    sent, mac = sign(PLAIN, KEY, NOW)
    found = verify(sent, KEYS, NOW)
    assert isinstance(found, Verified)
    assert check(found.signer().sign(reply.to_wire(), NOW), KEY, mac, NOW) == reply.to_wire()


def test_replies_that_are_not_believed() -> None:
    sent, mac = sign(PLAIN, KEY, NOW)
    found = verify(sent, KEYS, NOW)
    assert isinstance(found, Verified)
    reply = found.signer().sign(PLAIN, NOW)
    with pytest.raises(TsigError, match="wrong signature"):
        check(reply, OTHER, mac, NOW)
    with pytest.raises(TsigError, match="wrong signature"):
        check(reply, TsigKey(b"\1x\0", "hmac-sha256", KEY.secret), mac, NOW)
    with pytest.raises(TsigError, match="wrong signature"):
        check(reply, KEY, b"another query", NOW)
    with pytest.raises(TsigError, match="another time"):
        check(reply, KEY, mac, NOW + 1000)
    with pytest.raises(TsigError, match="no signature"):
        check(PLAIN, KEY, mac, NOW)
    with pytest.raises(TsigError):
        check(b"\0" * 5, KEY, mac, NOW)
    with pytest.raises(TsigError, match="cut off"):
        check(PLAIN[:10] + b"\0\1" + PLAIN[12:20], KEY, mac, NOW)


@given(st.binary(max_size=80), st.integers(0, 200))
def test_garbage(data: bytes, cut: int) -> None:
    sent, mac = sign(PLAIN, KEY, NOW)
    for wire in (data, PLAIN[:10] + b"\0\1" + PLAIN[12:] + data, sent[:cut] + data, sent[:cut]):
        found = verify(wire, KEYS, NOW)
        assert isinstance(found, Rejected) or wire == sent
        if wire != sent:
            with pytest.raises(TsigError):
                check(wire, KEY, mac, NOW)
