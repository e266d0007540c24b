"""Signing, verifying, and dkimpy reading and writing the same."""

import base64
import hashlib
import itertools
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import dkim as dkimpy
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstead.wire.dkim import Unsigned, sign
from mailstead.wire.dkim_canon import BodyHashes
from mailstead.wire.dkim_key import (
    PrivateKey,
    public_record,
)
from mailstead.wire.message import MessageError, parse_headers
from mailstead.wire.tag_list import parse_tag_list
from support.dkim import MAIL, NOW, seed_of, signed

# Without it dkimpy neither makes nor checks Ed25519 signatures.
NACL = find_spec("nacl") is not None
CANONS = list(itertools.product(["simple", "relaxed"], repeat=2))


def dns_of(keys: dict[str, PrivateKey]) -> Callable[..., bytes]:
    def dnsfunc(name: bytes, timeout: int = 5) -> bytes:
        return public_record(keys[name.decode().partition(".")[0]]).encode()

    return dnsfunc


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
