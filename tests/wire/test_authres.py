"""Authentication-Results: ours as written, forged ones removed, foreign ones kept."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.authres import (
    MethodResult,
    authentication_results,
    authserv_ids,
    dkim_results,
    dmarc_result,
    iprev_result,
    remove_own,
    spf_result,
)
from mailstead.wire.dkim_verify import DkimResult
from mailstead.wire.dmarc import DmarcResult
from mailstead.wire.message import parse_headers
from mailstead.wire.spf import SpfResult

ID = "mx.example.com"


def test_the_whole_field():
    signatures = [
        DkimResult("pass", "a.example", "s1", "@a.example", "rsa-sha256", "dzdVyOfAKCdLXdJOc9="),
        DkimResult(
            "neutral", "b.example", "s2", "u@x.b.example", "ed25519-sha256", "aa/+bbbbbbb",
            reason="body hash did not verify", testing=True,
        ),
    ]  # fmt: skip
    spf = SpfResult("fail", "a.example", "u@a.example", "-all", "Go away")
    dmarc = DmarcResult("fail", "a.example", policy="reject")
    field = authentication_results(
        ID,
        [
            iprev_result("pass", "2001:db8::1"),
            spf_result(spf),
            *dkim_results(signatures),
            dmarc_result(dmarc),
        ],
    )
    assert field == (
        b"Authentication-Results: mx.example.com;\r\n"
        b'\tiprev=pass policy.iprev="2001:db8::1";\r\n'
        b"\tspf=fail smtp.mailfrom=u@a.example;\r\n"
        b"\tdkim=pass header.d=a.example header.s=s1 header.a=rsa-sha256\r\n"
        b"\t header.b=dzdVyOfA;\r\n"
        b'\tdkim=neutral reason="test key: body hash did not verify" header.d=b.example\r\n'
        b"\t header.i=u@x.b.example header.s=s2 header.a=ed25519-sha256\r\n"
        b'\t header.b="aa/+bbbb";\r\n'
        b"\tdmarc=fail header.from=a.example policy.dmarc=reject\r\n"
    )
    assert remove_own(field + b"From: a@a.example\r\n\r\n", ID) == b"From: a@a.example\r\n\r\n"


def test_nothing_to_say():
    assert authentication_results(ID, []) == b"Authentication-Results: mx.example.com; none\r\n"
    assert dkim_results([]) == [MethodResult("dkim", "none")]


def test_null_sender_shows_helo():
    found = SpfResult("permerror", "h.example", "postmaster@h.example", problem='a "bad" \\ record')
    field = authentication_results(ID, [spf_result(found, null_sender=True)])
    assert b'spf=permerror reason="a \\"bad\\" \\\\ record" smtp.helo=h.example' in field


@given(st.text(), st.text())
def test_hostile_values_stay_one_field(value: str, reason: str):
    result = MethodResult("spf", "fail", (("smtp.mailfrom", value),), reason)
    headers = parse_headers(authentication_results(ID, [result]) + b"\r\nbody")
    assert len(headers) == 1
    assert headers.body == b"body"
    assert authserv_ids(headers.raw[headers.fields[0].colon + 1 :]) == {ID}


def test_long_values_are_cut():
    field = authentication_results(ID, [MethodResult("spf", "fail", (("smtp.helo", "x" * 2000),))])
    assert max(map(len, field.split(b"\r\n"))) < 998


@pytest.mark.parametrize(
    "value",
    [
        b"mx.example.com; spf=pass",
        b"MX.Example.COM; spf=pass",
        b"(a comment) Mx.Example.Com (and \\) (nested)) 1; spf=pass",
        b'"mx.example.com"; spf=pass',
        b'"mx.exam\\ple.com" 1; spf=pass',
        b"mx.example.com",
        b"mx.example.com.; spf=pass",
        b"\r\n mx.example.com\r\n 1 ; none",
        b"mx.example.com/1; spf=pass",
        b"mx.(x)example.com; spf=pass",
        b"mx. example.com; spf=pass",
        b'"mx.example.com',
        b"mx.example.com (never closed",
        b"mx.example.com(\\",
    ],
)
def test_forged_fields_go(value: bytes):
    raw = b"A: 1\r\nAuthentication-results : " + value + b"\r\nB: 2\r\n\r\nbody"
    assert remove_own(raw, ID) == b"A: 1\r\nB: 2\r\n\r\nbody"
    assert remove_own(parse_headers(raw), ID.upper()) == b"A: 1\r\nB: 2\r\n\r\nbody"


@pytest.mark.parametrize(
    "value",
    [
        b"mx.other.example; spf=pass",
        b"mx.example.com.evil.example; spf=pass",
        b"(mx.example.com) mx.other.example; spf=pass",
        b"other.example; x=mx.example.com",
        b"; spf=pass",
        b"",
        "\u2024\u2024; none".encode(),
    ],
)
def test_foreign_fields_stay(value: bytes):
    raw = (
        b"Authentication-Results: "
        + value
        + b"\r\nX-Authentication-Results: mx.example.com\r\n\r\n"
    )
    assert remove_own(raw, ID) is raw


def test_all_of_ours_go_and_the_order_stays():
    def field(name: bytes) -> bytes:
        return b"Authentication-Results: " + name + b"; none\r\n"

    ours, theirs = field(ID.encode()), field(b"mx.other.example")
    raw = ours + theirs + b"A: 1\r\n" + ours + theirs + b"\r\n" + ours
    assert remove_own(raw, ID) == theirs + b"A: 1\r\n" + theirs + b"\r\n" + ours


@given(st.text('mx.ecom;()"\\ \r\n/', max_size=40).map(str.encode))
def test_any_value_is_read(value: bytes):
    assert all(isinstance(name, str) for name in authserv_ids(value))
    raw = b"Authentication-Results: " + re.sub(rb"[\r\n]+", b"", value) + b"\r\n\r\n"
    assert remove_own(raw, ID) in (raw, b"\r\n")
