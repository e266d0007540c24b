"""Signatures against botocore's own signers, the order and texts of refusals, SMTP passwords."""

from __future__ import annotations

import calendar
import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire import sigv4
from mailstead.wire.aws_model import Request
from mailstead.wire.sigv4 import Failure, SignatureError

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY = "AKIAIOSFODNN7EXAMPLE"
SIGNERS = {
    ("header", "ses"): SigV4Auth,
    ("header", "s3"): S3SigV4Auth,
    ("query", "ses"): SigV4QueryAuth,
    ("query", "s3"): S3SigV4QueryAuth,
}


def signed(
    form: str = "header",
    service: str = "ses",
    *,
    method: str = "POST",
    url: str = "http://localhost:4566/v2/email/outbound-emails",
    body: bytes = b'{"a": 1}',
    token: str | None = None,
    region: str = "us-east-1",
    headers: dict[str, str] | None = None,
) -> tuple[Request, int]:
    """A request that botocore signed now, and the time."""
    request = AWSRequest(method, url, headers=headers or {}, data=body)
    SIGNERS[form, service](Credentials(KEY, SECRET, token), service, region).add_auth(request)
    parts = urlsplit(request.url)
    found = {name.lower(): value for name, value in request.headers.items()}
    found["host"] = parts.netloc
    sent = Request(method, parts.path, parts.query, found, body)
    presented = sigv4.present(sent)
    assert presented is not None
    return sent, calendar.timegm(time.strptime(presented.stamp, "%Y%m%dT%H%M%SZ"))


def all_steps(request: Request, now: int, service: str | None, secret: str) -> sigv4.Presented:
    """What the gateway does, in its order."""
    presented = sigv4.present(request)
    assert presented is not None
    sigv4.check_scope(presented, now, service)
    sigv4.verify(presented, request, secret)
    return presented


def checked(request: Request, now: int, secret: str = SECRET) -> sigv4.Presented:
    """All the steps, of a request that passes them."""
    return all_steps(request, now, None, secret)


def refusal(request: Request, now: int = 0, service: str | None = "ses") -> SignatureError:
    """The error of a request that is refused."""
    with pytest.raises(SignatureError) as caught:
        all_steps(request, now, service, SECRET)
    return caught.value


URLS = [
    "http://localhost:4566/",
    "http://localhost:4566",
    "http://localhost/v2/email/identities/a%40b.c",
    "http://localhost/v2/email/identities/a%2Bb%40b.c/policies/x",
    "http://localhost/v2/email/insights/x/",
    "http://localhost/v2//email/./x/../account",
    "http://localhost/v2/email/x/..",
    "http://localhost/v2/email/tags?TagKeys=a%20b&TagKeys=A&ResourceArn=arn%3Aaws&Empty=",
    "http://localhost/key%20with/sp%C3%A4ces~x?list-type=2&prefix=a%2Fb",
]


@pytest.mark.parametrize("form", ["header", "query"])
@pytest.mark.parametrize("service", ["ses", "s3"])
@pytest.mark.parametrize("url", URLS)
def test_what_botocore_signs_is_accepted(form: str, service: str, url: str) -> None:
    method, body = ("GET", b"") if form == "query" else ("POST", b"x=1")
    request, now = signed(form, service, url=url, method=method, body=body, token="T/o=k")
    presented = checked(request, now)
    assert (presented.key_id, presented.token) == (KEY, "T/o=k")
    assert presented.region == "us-east-1"


def test_headers_are_trimmed_and_sorted() -> None:
    request, now = signed(headers={"X-Amz-Target": "  a   b  ", "Content-Type": "a/b"})
    assert "x-amz-target" in checked(request, now).signed_headers


@pytest.mark.parametrize(
    "change",
    [
        {"body": b"other"},
        {"path": "/v2/email/account"},
        {"query": "a=b"},
        {"method": "PUT"},
    ],
)
def test_an_altered_request_is_refused(change: dict[str, object]) -> None:
    request, now = signed()
    error = refusal(replace(request, **change), now)
    assert (error.failure, error.text) == (Failure.MISMATCH, sigv4.MISMATCH_TEXT)


def test_a_wrong_secret_a_signed_header_gone_and_an_altered_presigned_query() -> None:
    request, now = signed()
    with pytest.raises(SignatureError, match="does not match the signature you provided"):
        checked(request, now, "other")
    gone = {name: value for name, value in request.headers.items() if name != "x-amz-date"}
    dated = {**gone, "date": "x"}
    assert refusal(replace(request, headers=dated)).failure is Failure.INCOMPLETE
    stamp = request.headers["x-amz-date"]
    assert refusal(replace(request, headers={**gone, "date": stamp}), now).text == (
        sigv4.MISMATCH_TEXT
    )
    request, now = signed("query", method="GET", body=b"")
    assert refusal(replace(request, query=request.query + "&a=b"), now).failure is Failure.MISMATCH


def test_the_two_texts_of_time() -> None:
    request, now = signed(url="http://localhost/")
    stamp = request.headers["x-amz-date"]

    def at(second: int) -> str:
        return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))

    late = now + 16 * 60
    assert refusal(request, late).text == (
        f"Signature expired: {stamp} is now earlier than {at(now + 60)} ({at(late)} - 15 min.)"
    )
    early = now - 16 * 60
    assert refusal(request, early).text == (
        f"Signature not yet current: {stamp} is still later than {at(now - 60)} "
        f"({at(early)} + 15 min.)"
    )
    checked(request, now + 14 * 60)
    checked(request, now - 14 * 60)


def test_a_presigned_request_lives_as_long_as_it_says() -> None:
    request, now = signed("query", method="GET", body=b"")
    checked(request, now + 3600)
    assert refusal(request, now + 3601).text.startswith("Signature expired: ")
    assert refusal(request, now - 1000).text.startswith("Signature not yet current: ")


def header(authorization: str, **more: str) -> Request:
    return Request("GET", "/", "", {"authorization": authorization, "host": "h", **more}, b"")


AWS4 = "AWS4-HMAC-SHA256"
C, S, H, D = (
    f"Authorization header requires {part}"
    for part in (
        "'Credential' parameter.",
        "'Signature' parameter.",
        "'SignedHeaders' parameter.",
        "existence of either a 'X-Amz-Date' or a 'Date' header.",
    )
)


@pytest.mark.parametrize(
    ("authorization", "text"),
    [
        (f"{AWS4} Foo=Bar, Baz=Burp", f"{C} {S} {H} {D} Authorization={AWS4}"),
        (f"{AWS4} Credential=K", f"{S} {H} {D} Authorization={AWS4}"),
        (f"{AWS4} Credential=K, Signature=A", f"{H} {D} Authorization={AWS4}"),
        (f"{AWS4} Credential=K, Signature=A, SignedHeaders=b", f"{D} Authorization={AWS4}"),
        ("Bearer x", f"{C} {S} {H} {D} Authorization=Bearer"),
        ("AWS5-HMAC-SHA256 a=b", "Unsupported AWS 'algorithm': 'AWS5-HMAC-SHA256'."),
        (
            f"{AWS4} FooBar, BazBurp",
            "'FooBar' not a valid key=value pair (missing equal-sign) in Authorization header: "
            f"'{AWS4} FooBar, BazBurp'",
        ),
    ],
)
def test_headers_that_lack_a_part(authorization: str, text: str) -> None:
    error = refusal(header(authorization))
    assert (error.failure, error.text) == (Failure.INCOMPLETE, text)


def full(credential: str, headers: str = "host", stamp: str = "20150830T122100Z") -> Request:
    parts = f"Credential={credential}, Signature=AB, SignedHeaders={headers}"
    return header(f"{AWS4} {parts}", **{"x-amz-date": stamp})


NOW = calendar.timegm((2015, 8, 30, 12, 36, 0))


@pytest.mark.parametrize(
    ("request_", "failure", "text"),
    [
        (
            full("AKIDEXAMPLE"),
            Failure.INCOMPLETE,
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/term, got 'AKIDEXAMPLE'",
        ),
        (
            full("K/20150830/us-east-1/ses/aws4_request", "bar"),
            Failure.MISMATCH,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            full("K/20150830/us-east-1/ses/aws4_request", stamp="2015/08/30T12/36/00Z"),
            Failure.INCOMPLETE,
            "Date must be in ISO-8601 'basic format'. Got '2015/08/30T12/36/00Z'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            full("K/foobar/x/wrong/aws5_request"),
            Failure.MISMATCH,
            "Credential should be scoped to a valid region, not 'x'. "
            "Credential should be scoped to correct service: 'ses'. "
            "Credential should be scoped with a valid terminator: 'aws4_request', "
            "not 'aws5_request'. "
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            "HTTP: 'foobar' != '20150830', from '20150830T122100Z'. ",
        ),
        (
            full("K/20150830/us-east-1/ses/aws4_request", stamp="20150830T122059Z"),
            Failure.SKEWED,
            "Signature expired: 20150830T122059Z is now earlier than 20150830T122100Z "
            "(20150830T123600Z - 15 min.)",
        ),
        (
            full("K/20150830/us-east-1/ses/aws4_request", stamp="Sun, 30 Aug 2015 12:21:00 GMT"),
            Failure.MISMATCH,
            sigv4.MISMATCH_TEXT,
        ),
    ],
)
def test_the_order_of_refusals(request_: Request, failure: Failure, text: str) -> None:
    error = refusal(request_, NOW)
    assert (error.failure, error.text) == (failure, text)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("X-Amz-Credential=", "a=", "must include 'X-Amz-Credential'"),
        ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1", "Unsupported AWS 'algorithm'"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=-1", "X-Amz-Expires"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=604801", "X-Amz-Expires"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=%C2%B2", "X-Amz-Expires"),
        ("X-Amz-Date=20", "X-Amz-Date=nn", "ISO-8601"),
    ],
)
def test_presigned_queries_that_lack_a_part(old: str, new: str, text: str) -> None:
    request, now = signed("query", method="GET", body=b"")
    assert old in request.query
    error = refusal(replace(request, query=request.query.replace(old, new)), now)
    assert (error.failure, text in error.text) == (Failure.INCOMPLETE, True)


def test_a_presigned_day_that_does_not_exist() -> None:
    query = (
        f"X-Amz-Algorithm={AWS4}&X-Amz-Credential=K/20150230/us-east-1/ses/aws4_request"
        "&X-Amz-Date=20150230T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=a&X-Amz-Expires=9"
    )
    assert "ISO-8601" in refusal(Request("GET", "/", query, {"host": "h"}, b""), NOW).text


def test_anonymous_requests() -> None:
    assert sigv4.present(Request("GET", "/", "", {}, b"")) is None
    assert sigv4.present(Request("GET", "/", "X-Amz-Foo=1", {}, b"")) is None


def test_s3_takes_the_word_of_the_header_for_unsigned_bodies_only() -> None:
    for said in ("UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"):
        request, now = signed("header", "s3", headers={"X-Amz-Content-SHA256": said})
        presented = sigv4.present(request)
        assert presented is not None
        kept = replace(request, headers={**request.headers, "x-amz-content-sha256": said})
        assert sigv4.payload_hash(presented, kept) == said
    request, now = signed("header", "s3")
    assert refusal(replace(request, body=b"other"), now, None).text == sigv4.MISMATCH_TEXT
    unsigned, now = signed("header", "ses")
    headers = {**unsigned.headers, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    checked(replace(unsigned, headers=headers), now)
    assert refusal(replace(unsigned, headers=headers, body=b""), now).text == sigv4.MISMATCH_TEXT
    plain = {k: v for k, v in unsigned.headers.items() if k != "x-amz-content-sha256"}
    presented = sigv4.present(unsigned)
    assert presented is not None
    assert sigv4.payload_hash(
        replace(presented, service="s3"), replace(unsigned, headers=plain)
    ) == (sigv4.payload_hash(presented, unsigned))


def test_smtp_passwords() -> None:
    assert sigv4.smtp_password(SECRET, "us-east-1") == (
        "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"
    )
    assert sigv4.smtp_password(SECRET, "us-west-2") == (
        "BF2PynzbSCAjX08zhZZnP/kW+T9P5zs/1Er0pi5vTEmd"
    )


@given(st.text(), st.text(), st.text(), st.binary(max_size=50))
def test_garbage_is_refused_or_anonymous(
    authorization: str, path: str, query: str, body: bytes
) -> None:
    for start in ("", f"{AWS4} "):
        headers = {"authorization": start + authorization, "x-amz-date": "20150830T123600Z"}
        refusal(Request("GET", path, query, headers, body), NOW, None)
    sigv4.canonical_path(path, "ses")
    sigv4.canonical_path(path, "s3")
    sigv4.canonical_query(query)
