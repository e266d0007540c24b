"""Presigned requests of version 2 against botocore's own signer."""

from __future__ import annotations

import time
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire import sigv2
from mailstead.wire.aws_model import Request
from mailstead.wire.sigv4 import Failure, SignatureError

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "secret"


def signed(
    url: str,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    *,
    token: str | None = None,
    auth_path: str | None = None,
    sent: bool = True,
) -> Request:
    """A request that botocore presigned; ``sent`` says whether the fields are in its head too."""
    request = AWSRequest(method, url, headers=headers or {}, auth_path=auth_path)
    HmacV1QueryAuth(Credentials(KEY, SECRET, token), 600).add_auth(request)
    parts = urlsplit(request.url)
    found = {name.lower(): value for name, value in (headers or {}).items()} if sent else {}
    return Request(method, parts.path, parts.query, {"host": parts.netloc, **found}, b"")


def check(request: Request, secret: str = SECRET, bucket: str | None = None) -> None:
    presented = sigv2.present(request)
    assert presented is not None
    sigv2.check_time(presented, int(time.time()))
    sigv2.verify(presented, request, bucket, secret)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/bucket/key",
        "http://localhost/bucket/k%20y%C3%A4",
        "http://localhost/bucket/key?response-content-type=text%2Fplain&versionId=null&x=y",
        "http://localhost/bucket?acl",
        "http://localhost/bucket?list-type=2&prefix=a",
    ],
)
@pytest.mark.parametrize("token", [None, "T/o=k+n"])
def test_what_botocore_signs_is_accepted(url: str, token: str | None) -> None:
    request = signed(url, token=token)
    check(request)
    presented = sigv2.present(request)
    assert presented is not None
    assert (presented.key_id, presented.token, presented.service) == (KEY, token, "s3")


@pytest.mark.parametrize("sent", [True, False])
def test_fields_are_signed_wherever_they_stand(sent: bool) -> None:
    headers = {"Content-Type": "text/plain", "x-amz-meta-a": "b  c", "Content-MD5": "1B2M2Y8As=="}
    request = signed("http://localhost/b/k", "PUT", headers, sent=sent)
    check(request)
    other = replace(request, headers={**request.headers, "content-type": "a/b"})
    with pytest.raises(SignatureError):
        check(other)


def test_a_bucket_in_the_hosts_name_is_signed_as_the_path() -> None:
    request = signed("http://bucket.localhost/key", auth_path="/bucket/key")
    check(request, bucket="bucket")
    with pytest.raises(SignatureError):
        check(request)


@pytest.mark.parametrize(
    "change",
    [{"path": "/b/other"}, {"method": "PUT"}, {"query_more": "&acl"}, {"query_more": "&x-amz-a=b"}],
)
def test_what_was_altered_is_refused(change: dict[str, str]) -> None:
    request = signed("http://localhost/b/k")
    more = change.pop("query_more", "")
    with pytest.raises(SignatureError) as caught:
        check(replace(request, query=request.query + more, **change))
    assert caught.value.failure is Failure.MISMATCH
    with pytest.raises(SignatureError):
        check(request, secret="other")


def test_it_ends() -> None:
    presented = sigv2.present(signed("http://localhost/b/k"))
    assert presented is not None
    sigv2.check_time(presented, presented.expires)
    with pytest.raises(SignatureError) as caught:
        sigv2.check_time(presented, presented.expires + 1)
    assert (caught.value.failure, caught.value.text) == (Failure.LATE, "Request has expired")


@pytest.mark.parametrize("expires", ["", "x", "-1", "%C2%B2", "1" * 12])
def test_an_end_that_is_no_time(expires: str) -> None:
    query = f"AWSAccessKeyId=a&Signature=b&Expires={expires}"
    with pytest.raises(SignatureError) as caught:
        sigv2.present(Request("GET", "/b/k", query, {}, b""))
    assert caught.value.failure is Failure.INCOMPLETE


def test_other_requests() -> None:
    for query in ("", "a=b", "AWSAccessKeyId=a", "Signature=b"):
        assert sigv2.present(Request("GET", "/b/k", query, {}, b"")) is None


@given(st.text(max_size=40), st.text(max_size=40))
def test_garbage(path: str, query: str) -> None:
    request = Request("GET", path, f"AWSAccessKeyId=a&Signature=b&Expires=9&{query}", {}, b"")
    try:
        presented = sigv2.present(request)
        assert presented is not None
        sigv2.verify(presented, request, None, SECRET)
    except SignatureError:
        pass
