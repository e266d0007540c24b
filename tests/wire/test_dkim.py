"""Signing, verifying, and dkimpy reading and writing the same."""

import base64
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    generate_private_key as generate_rsa_key,
)
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstead.wire.dkim import Unsigned, sign
from mailstead.wire.dkim_canon import BodyHashes
from mailstead.wire.dkim_key import (
    DkimKeyError,
    PrivateKey,
    load_private_key,
    parse_key_record,
    public_record,
)
from mailstead.wire.dkim_verify import DkimResult, verify
from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Status
from mailstead.wire.message import MessageError, parse_headers
from mailstead.wire.tag_list import TagListError, parse_tag_list

NOW = 1_700_000_000
MAIL = (
    b"Received: by mx.example; now\r\n"
    b"From: A <a@example.com>\r\n"
    b"To: b@b.example,\r\n  c@c.example\r\n"
    b"Subject:  two   blanks\t\r\n"
    b"Content-ID: <x>\r\n"
    b"Content-Language: en\r\n"
    b"Content-;bh: a name that would end h=\r\n"
    b"Feedback-ID: 1:2:3\r\n"
    b"X-Own: 1\r\n"
    b"\r\n"
    b"Hello  \t world \r\n\r\n .\r\n\r\n\r\n"
)
# Without it dkimpy neither makes nor checks Ed25519 signatures.
NACL = find_spec("nacl") is not None
CANONS = list(itertools.product(["simple", "relaxed"], repeat=2))


@pytest.fixture(scope="module")
def rsa_key() -> RSAPrivateKey:
    return generate_rsa_key(65537, 2048)


@pytest.fixture(scope="module")
def keys(rsa_key: RSAPrivateKey) -> dict[str, PrivateKey]:
    return {"rsa": rsa_key, "ed": Ed25519PrivateKey.from_private_bytes(bytes(range(32)))}


@pytest.fixture(scope="module")
def check(keys: dict[str, PrivateKey], drive: Callable[..., Any]):
    """Verify with both keys published, or with other records."""
    published = {
        f"{selector}._domainkey.example.com": public_record(key).encode()
        for selector, key in keys.items()
    }

    def run(raw: bytes, now: int = NOW, **others: bytes | Answer) -> list[DkimResult]:
        def zone(question: Question) -> Answer:
            assert question.type == "TXT"
            selector = question.name.partition(".")[0]
            found = others.get(selector) or published.get(question.name)
            if isinstance(found, Answer):
                return found
            return Answer(Status.OK, (found,)) if found else NXDOMAIN

        return drive(verify(raw, now), zone)

    return run


def signed(key: PrivateKey, raw: bytes = MAIL, **changes: Any) -> bytes:
    selector = "rsa" if isinstance(key, RSAPrivateKey) else "ed"
    arguments = {"domain": "example.com", "selector": selector, "signed_at": NOW, "key": key}
    return sign(raw, **(arguments | changes)) + raw


def dns_of(keys: dict[str, PrivateKey]) -> Callable[..., bytes]:
    def dnsfunc(name: bytes, timeout: int = 5) -> bytes:
        return public_record(keys[name.decode().partition(".")[0]]).encode()

    return dnsfunc


def seed_of(key: PrivateKey) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return base64.b64encode(key.private_bytes_raw())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())


# --- both ways with dkimpy


@pytest.mark.parametrize(
    "kind",
    ["rsa", pytest.param("ed", marks=pytest.mark.skipif(not NACL, reason="dkimpy needs PyNaCl"))],
)
@pytest.mark.parametrize("canons", CANONS)
@pytest.mark.parametrize(
    "raw",
    [
        MAIL,
        b"From: a@example.com\r\n\r\n",
        b"From: a@example.com\r\n\r\n\r\n\r\n",
        b"From: a@example.com\r\n\r\n \t\r\n",
        b"From: a@example.com\r\n\r\nno last line end",
    ],
)
def test_ours_and_dkimpy(
    keys: dict[str, PrivateKey], check: Any, kind: str, canons: tuple[Any, Any], raw: bytes
):
    ours = signed(keys[kind], raw, header_canon=canons[0], body_canon=canons[1])
    assert dkimpy.verify(ours, dnsfunc=dns_of(keys))
    (mine,) = check(ours)
    assert (mine.result, mine.domain, mine.selector) == ("pass", "example.com", kind)
    theirs = dkimpy.sign(
        raw,
        kind.encode(),
        b"example.com",
        seed_of(keys[kind]),
        canonicalize=(canons[0].encode(), canons[1].encode()),
        signature_algorithm=b"rsa-sha256" if kind == "rsa" else b"ed25519-sha256",
    )
    (result,) = check(theirs + raw, now=2_000_000_000)
    assert result.result == "pass"


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    # dkimpy differs where relaxed blanks end a body without CRLF, which no SMTP carries.
    body=st.text("a \t\n", max_size=30).map(
        lambda text: (text + "\n").encode().replace(b"\n", b"\r\n")
    ),
    canons=st.sampled_from(CANONS),
    subject=st.text("ab \t", max_size=10).map(str.encode),
)
def test_any_body_both_ways(
    keys: dict[str, PrivateKey], check: Any, body: bytes, canons: tuple[Any, Any], subject: bytes
):
    raw = b"From: a@example.com\r\nSubject:" + subject + b"\r\n\r\n" + body
    ours = signed(keys["rsa"], raw, header_canon=canons[0], body_canon=canons[1])
    assert dkimpy.verify(ours, dnsfunc=dns_of(keys))
    assert check(ours)[0].result == "pass"


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_one_flipped_byte_fails(keys: dict[str, PrivateKey], check: Any, data: Any):
    raw = signed(keys["ed"], header_canon="simple")
    covered = [
        raw.index(b"From: A"),
        raw.index(b"Subject:"),
        raw.index(b"Hello"),
        raw.index(b"v=1"),
    ]
    start = data.draw(st.sampled_from(covered))
    at = start + data.draw(st.integers(0, 2))
    bit = 1 << data.draw(st.integers(0, 6))
    flipped = raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :]
    assert all(result.result != "pass" for result in check(flipped))


RFC_8463 = (
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"
    " d=football.example.com; i=@football.example.com;\n"
    " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n"
    " subject : date : message-id : from : subject : date;\n"
    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
    " b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\n"
    "From: Joe SixPack <joe@football.example.com>\n"
    "To: Suzie Q <suzie@shopping.example.net>\n"
    "Subject: Is dinner ready?\n"
    "Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\n"
    "\n"
    "Hi.\n"
    "\n"
    "We lost the game.  Are you hungry yet?\n"
    "\n"
    "Joe.\n"
)


def test_the_example_of_rfc_8463(check: Any):
    """Appendix A.3: an Ed25519 signature from elsewhere."""
    raw = RFC_8463.replace("\n", "\r\n").encode()
    record = b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    (result,) = check(raw, brisbane=record)
    assert (result.result, result.domain) == ("pass", "football.example.com")
    assert check(raw.replace(b"lost", b"won"), brisbane=record)[0].result == "fail"


# --- the signature field


def test_the_field_as_ses_writes_it(keys: dict[str, PrivateKey]):
    field = sign(
        MAIL,
        domain="example.com",
        selector="rsa",
        key=keys["rsa"],
        signed_at=NOW,
        identity="@example.com",
        expires_at=NOW + 60,
    )
    assert field.startswith(
        b"DKIM-Signature: v=1; a=rsa-sha256; q=dns/txt; c=relaxed/simple;\r\n"
        b"\ts=rsa; d=example.com;\r\n"
        b"\ti=@example.com; t=1700000000; x=1700000060;\r\n"
        b"\th=From:From:To:To:Cc:Subject:Subject:Date:Message-ID:Reply-To:\r\n"
    )
    assert field.endswith(b"\r\n")
    assert max(map(len, field.split(b"\r\n"))) <= 78
    tags = parse_tag_list(field.partition(b":")[2])
    names = "".join(tags["h"].split()).lower().split(":")
    assert list(tags) == ["v", "a", "q", "c", "s", "d", "i", "t", "x", "h", "bh", "b"]
    assert names.count("content-id") == 2
    assert names.count("content-language") == 2
    assert names.count("content-type") == 1
    assert names.count("feedback-id") == 1
    assert not {"received", "x-own", "content-;bh"} & set(names)


def test_extra_fields_but_never_trace(keys: dict[str, PrivateKey], check: Any):
    unsigned = Unsigned(MAIL, extra=["X-Own", "Received", "X-Absent"])
    field = sign(unsigned, domain="example.com", selector="ed", key=keys["ed"], signed_at=NOW)
    assert b"X-Own" in field
    assert b"Received" not in field
    assert check(field + MAIL)[0].result == "pass"
    assert check(field + MAIL.replace(b"X-Own: 1", b"X-Own: 2"))[0].result == "fail"


def test_identity_and_service_share_one_reading(keys: dict[str, PrivateKey], check: Any):
    unsigned = Unsigned(MAIL)
    both = b"".join(
        sign(unsigned, domain="example.com", selector=name, key=key, signed_at=NOW)
        for name, key in keys.items()
    )
    # One key rotated while the message was queued: the row's own is still published.
    assert [(r.selector, r.result) for r in check(both + MAIL)] == [("rsa", "pass"), ("ed", "pass")]
    hashes = {parse_tag_list(part)["bh"] for part in both.split(b"DKIM-Signature:")[1:]}
    assert len(hashes) == 1


@pytest.mark.parametrize(
    "changes",
    [{"domain": "a;b"}, {"domain": ""}, {"selector": "x\r\n"}, {"identity": "a;@example.com"}],
)
def test_nothing_breaks_the_field(keys: dict[str, PrivateKey], changes: dict[str, str]):
    with pytest.raises(ValueError, match=r"A-labels|identity"):
        signed(keys["ed"], **changes)


def test_body_hashes_of_nothing():
    bodies = BodyHashes(parse_headers(b"A: 1\r\n\r\n"))
    assert (
        base64.b64encode(bodies.digest("simple")) == b"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
    )
    assert (
        base64.b64encode(bodies.digest("relaxed"))
        == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    )
    assert bodies.digest("simple", "sha1") == hashlib.sha1(b"\r\n").digest()


def test_no_header_end(keys: dict[str, PrivateKey], check: Any):
    assert check(signed(keys["ed"], b"From: a@example.com"))[0].result == "pass"
    assert check(signed(keys["ed"], b"From: a@example.com", header_canon="simple"))[0].verified
    with pytest.raises(MessageError):
        sign(b"A:1\r\n" * 1001, domain="a.example", selector="s", key=keys["ed"], signed_at=0)


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
