"""What must not pass: fields, times, keys and signatures that break a rule."""

import base64
import hashlib
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstead.wire.dkim import sign
from mailstead.wire.dkim_canon import BodyHashes
from mailstead.wire.dkim_key import (
    DkimKeyError,
    PrivateKey,
    load_private_key,
    parse_key_record,
    public_record,
)
from mailstead.wire.dkim_verify import DkimResult, verify
from mailstead.wire.lookup import FAILED, NODATA, Answer, Question, Status
from mailstead.wire.message import parse_headers
from mailstead.wire.tag_list import TagListError, parse_tag_list
from support.dkim import MAIL, NOW, seed_of, signed

# --- what must not pass


def test_a_second_from(keys: dict[str, PrivateKey], check: Any):
    assert check(b"From: other@evil.example\r\n" + signed(keys["rsa"]))[0].result == "fail"


def test_a_second_from_below(keys: dict[str, PrivateKey], check: Any):
    raw = signed(keys["rsa"]).replace(b"X-Own: 1\r\n", b"From: x@evil.example\r\n")
    assert check(raw)[0].result == "fail"


def test_unsigned(check: Any):
    assert check(MAIL) == []


def test_strict_key_and_subdomain(keys: dict[str, PrivateKey], check: Any):
    raw = signed(keys["ed"], identity="@sub.example.com")
    strict = public_record(keys["ed"]).encode() + b"; t=s"
    assert check(raw)[0].result == "pass"
    assert check(raw, ed=strict)[0].result == "permerror"
    assert check(signed(keys["ed"]), ed=strict)[0].result == "pass"


# 512 bits, of nobody: cryptography makes none so short.
SHORT = (
    "MIIBPAIBAAJBANixXDR/DiW4XTyJjdH7QwMRxYxfQ5ewUPYfO9Mk4sLhbQ5tAK63kVVi49OqehzxrK0GCIMLU3oEa9hT"
    "jpwB7YUCAwEAAQJBAK+tOt+kkkeqbIyDyGKQngeDBPGE2jvESh7/u3S21tC+i4Jjd5eW5jSMSLe0eBc6p3zyjyprkagv"
    "2XMtfOy1TxECIQD1NBKxKe0l4AAAiEmogsvGtIPYCyzwCI1uhikKUMJvkwIhAOI76pif9ApOp8M5gbL1vPvPBhJ+j/yM"
    "Er56KYOb2u2HAiAXQrZXOhv2ENbPNh6OrsG3+t3a+8xqhNUt2+o+wUSAowIhAL18yeXEM7deYg2WYRfv07ZllARxlVBG"
    "UnzP/W2KYTiJAiEAwPADbqOP/ynKn/B3gPMZXfdRlywQ9FPmq7rCTuY103I="
)


def public_octets(bits: int) -> bytes:
    """A SubjectPublicKeyInfo of any size: nobody needs the private half."""

    def der(tag: int, content: bytes) -> bytes:
        size = len(content)
        octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
        return (
            bytes([tag])
            + (bytes([0x80 | len(octets)]) + octets if size > 127 else bytes([size]))
            + content
        )

    modulus = der(2, b"\0" + b"\xc5" + b"\x5b" * (bits // 8 - 1))
    inner = der(0x30, modulus + der(2, b"\1\0\1"))
    oid = bytes.fromhex("300d06092a864886f70d0101010500")
    return der(0x30, oid + der(3, b"\0" + inner))


@pytest.mark.parametrize("bits", [768, 8192])
def test_key_sizes(keys: dict[str, PrivateKey], check: Any, bits: int):
    record = b"v=DKIM1; p=" + base64.b64encode(public_octets(bits))
    (result,) = check(signed(keys["rsa"]), rsa=record)
    assert result.result == "permerror"
    assert not result.verified


def test_text_after_l(keys: dict[str, PrivateKey], check: Any, monkeypatch: pytest.MonkeyPatch):
    """A signer that writes ``l=``, since ours never does."""
    size = len(BodyHashes(parse_headers(MAIL)).canonical("simple"))
    fold = b" v=1; a=ed25519-sha256; c=simple; s=ed; d=example.com; l=%d; h=from; bh=%b; b="

    def signed_with(length: int) -> bytes:
        digest = base64.b64encode(BodyHashes(parse_headers(MAIL)).digest("simple"))
        value = fold % (length, digest)
        data = b"From: A <a@example.com>\r\nDKIM-Signature:" + value
        key = keys["ed"]
        assert isinstance(key, Ed25519PrivateKey)
        octets = base64.b64encode(key.sign(hashlib.sha256(data).digest()))
        return b"DKIM-Signature:" + value + octets + b"\r\n" + MAIL

    assert check(signed_with(size))[0].result == "pass"
    (result,) = check(signed_with(size) + b"Buy!\r\n")
    # The empty lines before it are text now, so what l= covers has not changed.
    assert (result.result, result.verified) == ("policy", True)
    assert check(signed_with(size + 1))[0].result == "permerror"
    assert check(signed_with(size - 1))[0].result == "fail"


def test_times(keys: dict[str, PrivateKey], check: Any):
    raw = signed(keys["ed"], expires_at=NOW + 10)
    assert check(raw, now=NOW + 10)[0].result == "pass"
    assert check(raw, now=NOW + 11)[0].result == "fail"
    assert check(raw, now=NOW - 300)[0].result == "pass"
    assert check(raw, now=NOW - 301)[0].result == "permerror"
    assert check(signed(keys["ed"], expires_at=NOW))[0].result == "permerror"


def test_test_key(keys: dict[str, PrivateKey], check: Any):
    record = public_record(keys["ed"]).encode() + b"; t=y"
    raw = signed(keys["ed"])
    good, bad = check(raw, ed=record)[0], check(raw + b"x", ed=record)[0]
    assert (good.result, good.testing) == ("pass", True)
    assert (bad.result, bad.testing) == ("neutral", True)


def key_text(keys: dict[str, PrivateKey]) -> bytes:
    return public_record(keys["ed"]).encode()


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ((b"v=1", b"v=2"), "permerror"),
        ((b"v=1; ", b""), "permerror"),
        ((b"a=ed25519-sha256", b"a=rsa-sha256"), "permerror"),
        ((b"a=ed25519-sha256", b"a=rsa-sha1"), "permerror"),
        ((b"a=ed25519-sha256", b"a=rsa-md5"), "permerror"),
        ((b"q=dns/txt", b"q=finger"), "permerror"),
        ((b"q=dns/txt", b"q=finger:dns/txt"), "fail"),
        ((b"c=relaxed/simple", b"c=nofws/simple"), "permerror"),
        ((b"c=relaxed/simple", b"c=relaxed"), "fail"),
        ((b"s=ed", b"s=e d"), "fail"),
        ((b"s=ed", b"s=-/-"), "permerror"),
        ((b"d=example.com", b"d=example"), "permerror"),
        ((b"d=example.com", b"d=EXAMPLE.com"), "fail"),
        ((b"d=example.com", "d=ex\xe4mple.com".encode()), "permerror"),
        ((b"d=example.com", "d=a..\u2024.com".encode()), "permerror"),
        ((b"d=example.com", b"d=example.com; i=a@other.example"), "permerror"),
        ((b"d=example.com", b"d=example.com; d=example.com"), "permerror"),
        ((b"d=example.com", b"d=example.com; l=x"), "permerror"),
        ((b"d=example.com", b"d=example.com; 9"), "permerror"),
        ((b"t=1700000000", b"t=now"), "permerror"),
        ((b"h=From:From:", b"h="), "permerror"),
        ((b"b=", b"b=!"), "permerror"),
        ((b"bh=", b"bh=!"), "permerror"),
        ((b"DKIM-Signature", b"Dkim-signature "), "pass"),
    ],
)
def test_signature_rules(
    keys: dict[str, PrivateKey], check: Any, change: tuple[bytes, bytes], result: str
):
    raw = signed(keys["ed"])
    assert change[0] in raw
    assert check(raw.replace(*change, 1))[0].result == result


def test_no_from_field(keys: dict[str, PrivateKey], check: Any):
    assert check(signed(keys["ed"], b"To: b@b.example\r\n\r\n"))[0].result == "permerror"


@pytest.mark.parametrize(
    ("change", "result"),
    [
        ((b"v=DKIM1", b"v=DKIM2"), "permerror"),
        ((b"v=DKIM1; k=ed25519", b"k=ed25519; v=DKIM1"), "permerror"),
        ((b"v=DKIM1; ", b""), "pass"),
        ((b"k=ed25519", b"k=rsa"), "permerror"),
        ((b"k=ed25519", b"k=ed448"), "permerror"),
        ((b"k=ed25519", b"k=ed25519; h=sha1"), "permerror"),
        ((b"k=ed25519", b"k=ed25519; h=sha1 : SHA256"), "pass"),
        ((b"k=ed25519", b"k=ed25519; s=tlsrpt"), "permerror"),
        ((b"k=ed25519", b"k=ed25519; s=tlsrpt:email"), "pass"),
        ((b"k=ed25519", b"k=ed25519; n=\xff; x_=1"), "pass"),
        ((b"p=", b"p=; n="), "permerror"),
        ((b"p=", b"n="), "permerror"),
        ((b"p=", b"p=AA"), "permerror"),
        ((b"p=", b"p=A A\r\n"), "permerror"),
        ((b"; k", b" k"), "permerror"),
        ((b"k=ed25519", b"9"), "permerror"),
    ],
)
def test_key_rules(
    keys: dict[str, PrivateKey], check: Any, change: tuple[bytes, bytes], result: str
):
    record = key_text(keys)
    assert change[0] in record
    assert check(signed(keys["ed"]), ed=record.replace(*change))[0].result == result


def test_key_lookups(keys: dict[str, PrivateKey], check: Any):
    raw = signed(keys["ed"])
    record = key_text(keys)
    assert check(raw, ed=FAILED)[0].result == "temperror"
    assert check(raw, ed=NODATA)[0].reason == "no key"
    assert check(raw, ed=Answer(Status.OK, (record, record)))[0].reason == "several keys"
    assert check(raw, ed=Answer(Status.OK, (b"v=spf1 -all", record)))[0].result == "pass"


def test_the_wrong_kind_of_key(keys: dict[str, PrivateKey], check: Any):
    elliptic = generate_private_key(SECP256R1()).public_key()
    der = elliptic.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"p=" + base64.b64encode(der)
    assert check(signed(keys["rsa"]), rsa=record)[0].result == "permerror"


def test_bare_pkcs1_key(rsa_key: RSAPrivateKey, check: Any):
    bare = rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    record = b"p=" + base64.b64encode(bare)
    assert check(signed(rsa_key), rsa=record)[0].result == "pass"


def test_eight_signatures(keys: dict[str, PrivateKey], check: Any):
    field = sign(MAIL, domain="example.com", selector="ed", key=keys["ed"], signed_at=NOW)
    assert [r.result for r in check(field * 9 + MAIL)] == ["pass"] * 8


def test_one_question_for_one_key(keys: dict[str, PrivateKey]):
    field = sign(MAIL, domain="example.com", selector="ed", key=keys["ed"], signed_at=NOW)
    asking = verify(parse_headers(field + field + MAIL), NOW)
    assert next(asking) == (Question("ed._domainkey.example.com", "TXT"),)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    pieces=st.lists(
        st.sampled_from(
            ["v=1;", "a=rsa-sha256;", "d=example.com;", "s=ed;", "h=from;", "bh=AA==;", "b=AA==;",
             "i=@x;", "l=9;", "t=1;", "x=2;", "c=relaxed", ";", "=", "\r\n ", "\xe4", "q=", "h=;"]
        )
        | st.text(max_size=3)
    )
)  # fmt: skip
def test_garbage_is_never_an_exception(check: Any, pieces: list[str]):
    raw = b"DKIM-Signature: " + "".join(pieces).encode("utf-8", "replace") + b"\r\n" + MAIL
    assert all(result.result != "pass" for result in check(raw))


# --- keys


def test_keys_load(keys: dict[str, PrivateKey], rsa_key: RSAPrivateKey):
    pem = seed_of(rsa_key)
    pkcs8 = rsa_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    body = b"\n".join(pem.splitlines()[1:-1])
    for text in (pem, pem.decode(), b"\n " + pem, base64.b64encode(pkcs8), body, body.decode()):
        assert public_record(load_private_key(text)) == public_record(rsa_key)
    seed = load_private_key(seed_of(keys["ed"]))
    assert public_record(seed) == public_record(keys["ed"])
    ed_pem = keys["ed"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert public_record(load_private_key(ed_pem)) == public_record(keys["ed"])
    assert parse_key_record(public_record(rsa_key).encode()).services == {"*"}
    assert public_record(rsa_key.public_key()) == public_record(rsa_key)
    # 2048 bits: two strings of a TXT record.
    assert len(public_record(rsa_key).partition("p=")[2]) == 392


def test_keys_refused(rsa_key: RSAPrivateKey):
    locked = rsa_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    curve = generate_private_key(SECP256R1())
    wrong = curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for text in ("", "%%%", "AAAA", locked, wrong, public, "\xe4", SHORT):
        with pytest.raises(DkimKeyError):
            load_private_key(text)


def test_results_are_values():
    result = DkimResult("pass", "a.example")
    assert replace(result, result="fail").domain == "a.example"


@pytest.mark.parametrize("text", [b"a", b"a=1; a=2", b"=1", b"1=1", b";", b"a=1;;"])
def test_no_tag_list(text: bytes):
    with pytest.raises(TagListError):
        parse_tag_list(text)
