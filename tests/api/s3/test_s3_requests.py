"""S3's requests as clients send them: both styles, presigned in both versions, bodies in pieces."""

from __future__ import annotations

import base64
import hashlib
import re
import time
import zlib
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from mailstead.wire.aws_chunked import (
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    ChunkSigner,
)
from mailstead.wire.sigv4 import signing_key
from support.refusal import refused

KEY, SECRET = "AKIAROOTROOTROOTROOT", "root-secret"
BODY = b"0123456789" * 10
CRC32 = base64.b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode()


pytestmark = pytest.mark.usefixtures("bucket")


class Unhashed(S3SigV4Auth):
    """botocore's signer with a payload hash of the test's own."""

    def __init__(self, payload: str) -> None:
        super().__init__(Credentials(KEY, SECRET), "s3", "us-east-1")
        self._said = payload

    def payload(self, request: Any) -> str:
        return self._said


def signed(
    method: str, url: str, payload: str, headers: dict[str, str] | None = None
) -> dict[str, str]:
    """The headers of a request whose body is signed in this way."""
    request = AWSRequest(method, url, headers=headers or {}, data=b"")
    request.headers["X-Amz-Content-SHA256"] = payload
    Unhashed(payload).add_auth(request)
    return {"Host": urlsplit(url).netloc, **dict(request.headers.items())}


def put(
    s3door: Any,
    content: bytes,
    payload: str,
    headers: dict[str, str] | None = None,
    url: str = "http://localhost:4566/bucket/k",
) -> tuple[int, str]:
    status, _, body = s3door.call("PUT", url, signed("PUT", url, payload, headers), content)
    found = re.search(b"<Code>(.*?)</Code>", body)
    return status, found[1].decode() if found else ""


def stored(client: Any, key: str = "k") -> Any:
    return client.get_object(Bucket="bucket", Key=key, ChecksumMode="ENABLED")


# Bodies


def test_a_body_that_is_not_signed(s3door: Any, client: Any) -> None:
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD") == (200, "")
    assert stored(client)["Body"].read() == BODY


def test_a_body_with_the_hash_of_another(s3door: Any, client: Any) -> None:
    other = hashlib.sha256(b"other").hexdigest()
    assert put(s3door, BODY, other) == (403, "SignatureDoesNotMatch")


def in_pieces(headers: dict[str, str], kind: str, size: int, trailer: str = "") -> bytes:
    """A body as it is sent with these headers: signed where the kind says so."""
    authorization = headers["Authorization"]
    stamp = headers["X-Amz-Date"]
    scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
    key = signing_key(SECRET, stamp[:8], "us-east-1", "s3")
    before = authorization.rpartition("Signature=")[2]
    signer = ChunkSigner(key, stamp, scope, before)
    out = b""
    for data in [*(BODY[at : at + size] for at in range(0, len(BODY), size)), b""]:
        extension = ""
        if kind != UNSIGNED_TRAILER:
            before = signer.of(before, data)
            extension = f";chunk-signature={before}"
        out += f"{len(data):x}{extension}\r\n".encode() + data + (b"\r\n" if data else b"")
    if trailer:
        out += f"{trailer}\r\n".encode()
        if kind == SIGNED_TRAILER:
            signature = signer.of_trailer(before, f"{trailer}\n".encode())
            out += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return out + b"\r\n"


def put_in_pieces(
    s3door: Any, kind: str, *, trailer: str = "", change: Any = None, **more: str
) -> tuple[int, str]:
    url = "http://localhost:4566/bucket/k"
    said = {
        "Content-Encoding": "aws-chunked",
        "X-Amz-Decoded-Content-Length": str(len(BODY)),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    if trailer:
        said["X-Amz-Trailer"] = trailer.partition(":")[0]
    headers = signed("PUT", url, kind, said)
    content = in_pieces(headers, kind, 33, trailer)
    if change is not None:
        content = change(content)
    status, _, body = s3door.call("PUT", url, headers, content)
    found = re.search(b"<Code>(.*?)</Code>", body)
    return status, found[1].decode() if found else ""


@pytest.mark.parametrize("kind", [SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER])
def test_bodies_in_pieces(s3door: Any, client: Any, kind: str) -> None:
    trailer = "" if kind == SIGNED else f"x-amz-checksum-crc32:{CRC32}"
    assert put_in_pieces(s3door, kind, trailer=trailer) == (200, "")
    found = stored(client)
    assert found["Body"].read() == BODY
    assert "ContentEncoding" not in found
    assert found.get("ChecksumCRC32") == (CRC32 if trailer else None)


def test_another_coding_stays(s3door: Any, client: Any) -> None:
    more = {"Content_Encoding": "aws-chunked,gzip"}
    assert put_in_pieces(s3door, UNSIGNED_TRAILER, **more) == (200, "")
    assert client.head_object(Bucket="bucket", Key="k")["ContentEncoding"] == "gzip"


def test_pieces_that_are_refused(s3door: Any, client: Any) -> None:
    wrong = f"x-amz-checksum-crc32:{'A' * 6}=="
    assert put_in_pieces(s3door, UNSIGNED_TRAILER, trailer=wrong) == (400, "BadDigest")
    assert put_in_pieces(s3door, SIGNED_TRAILER, trailer=wrong) == (400, "BadDigest")
    for kind in (SIGNED, SIGNED_TRAILER):
        altered = put_in_pieces(s3door, kind, change=lambda body: body.replace(b"0123", b"9123"))
        assert altered == (403, "SignatureDoesNotMatch")
    half = put_in_pieces(s3door, UNSIGNED_TRAILER, change=lambda body: body[:40])
    assert half == (400, "InvalidRequest")
    short = put_in_pieces(s3door, UNSIGNED_TRAILER, X_Amz_Decoded_Content_Length="99")
    assert short == (400, "IncompleteBody")
    url = "http://localhost:4566/bucket/k"
    unknown = "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"
    assert put(s3door, b"", unknown, url=url) == (400, "InvalidRequest")
    assert refused(client.head_object, Bucket="bucket", Key="k")[1] == 404


@pytest.mark.parametrize("name", ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"])
def test_checksums(s3door: Any, client: Any, name: str) -> None:
    from mailstead.wire.checksums import ALGORITHMS

    right = base64.b64encode(ALGORITHMS[name](BODY)).decode()
    header = f"x-amz-checksum-{name}"
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD", {header: right}) == (200, "")
    assert stored(client)[f"Checksum{name.upper()}"] == right
    wrong = base64.b64encode(ALGORITHMS[name](b"other")).decode()
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD", {header: wrong}) == (400, "BadDigest")


def test_content_md5(s3door: Any, client: Any) -> None:
    right = base64.b64encode(hashlib.md5(BODY).digest()).decode()
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD", {"Content-MD5": right}) == (200, "")
    assert put(s3door, BODY + b"x", "UNSIGNED-PAYLOAD", {"Content-MD5": right}) == (
        400,
        "BadDigest",
    )


def test_a_large_body_with_a_checksum(s3door: Any, client: Any) -> None:
    body = BODY * 5000
    digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
    header = {"x-amz-checksum-sha256": digest}
    assert put(s3door, body, "UNSIGNED-PAYLOAD", header) == (200, "")
    assert stored(client)["Body"].read() == body


def test_a_body_that_is_too_large(s3door: Any, client: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("mailstead.api.s3_requests.LARGEST", 50)
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD") == (400, "EntityTooLarge")
    monkeypatch.setattr("mailstead.api.buckets.LARGEST", 50)
    monkeypatch.setattr("mailstead.api.s3_requests.LARGEST", 1000)
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD") == (400, "EntityTooLarge")


# Addresses


@pytest.mark.parametrize(
    "host",
    ["bucket.localhost:4566", "bucket.s3.test", "bucket.s3.us-east-1.amazonaws.com",
     "bucket.example.org"],
)  # fmt: skip
def test_a_bucket_in_the_hosts_name(s3door: Any, client: Any, host: str) -> None:
    url = f"http://{host}/dir/k%20y"
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD", url=url) == (200, "")
    assert stored(client, "dir/k y")["Body"].read() == BODY
    root = f"http://{host}/"
    listing = f"{root}?list-type=2&prefix=dir%2F"
    headers = signed("GET", listing, hashlib.sha256(b"").hexdigest())
    status, _, body = s3door.call("GET", listing, headers)
    assert (status, b"<Key>dir/k y</Key>" in body) == (200, True)
    assert body.startswith(b'<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns=')


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:4566", "[::1]:4566", "s3.test", "other.x"]
)
def test_a_bucket_in_the_path(s3door: Any, client: Any, host: str) -> None:
    url = f"http://{host}/bucket/k"
    assert put(s3door, BODY, "UNSIGNED-PAYLOAD", url=url) == (200, "")


def test_botocore_in_both_styles(s3door: Any) -> None:
    for style in ("path", "virtual"):
        made = s3door.client("s3", s3={"addressing_style": style})
        name = f"bucket-{style}"
        made.create_bucket(Bucket=name)
        made.put_object(Bucket=name, Key="a//b/ü+ /", Body=BODY)
        assert made.get_object(Bucket=name, Key="a//b/ü+ /")["Body"].read() == BODY
        assert made.list_objects_v2(Bucket=name)["Contents"][0]["Key"] == "a//b/ü+ /"
        made.delete_object(Bucket=name, Key="a//b/ü+ /")
        made.delete_bucket(Bucket=name)


@pytest.mark.parametrize(
    "key", ["/x", "x/", "a/../b", "a/./b", "%41", "a?b=c#d", "+", " ", "\u20ac"]
)
def test_odd_keys(client: Any, key: str) -> None:
    client.put_object(Bucket="bucket", Key=key, Body=BODY)
    assert client.get_object(Bucket="bucket", Key=key)["Body"].read() == BODY
    assert client.list_objects_v2(Bucket="bucket")["Contents"][0]["Key"] == key


# Signed in advance


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
@pytest.mark.parametrize("style", ["path", "virtual"])
def test_presigned(s3door: Any, client: Any, region: str, style: str) -> None:
    """boto3 still signs by version 2 in the first region, by version 4 elsewhere."""
    made = s3door.client("s3", region=region, s3={"addressing_style": style})
    where = {"Bucket": "bucket", "Key": "k y"}
    url = made.generate_presigned_url("put_object", Params={**where, "Metadata": {"a": "b"}})
    assert ("AWSAccessKeyId=" in url) is (region == "us-east-1")
    host = {"Host": urlsplit(url).netloc}
    sent = {**host, "x-amz-meta-a": "b"}
    assert s3door.call("PUT", url, sent, BODY)[0] == 200
    url = made.generate_presigned_url(
        "get_object", Params={**where, "ResponseContentType": "text/x"}
    )
    status, headers, body = s3door.call("GET", url, host)
    assert (status, body) == (200, BODY)
    assert (headers["content-type"], headers["x-amz-meta-a"]) == ("text/x", "b")
    altered = url.replace("k%20y", "k")
    status, _, body = s3door.call("GET", altered, host)
    assert (status, b"<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)


def test_fields_that_were_moved_to_the_query(s3door: Any, client: Any) -> None:
    where = {"Bucket": "bucket", "Key": "k", "Metadata": {"a": "b"}, "ContentType": "a/b"}
    url = client.generate_presigned_url("put_object", Params=where)
    assert "x-amz-meta-a=b" in url
    host = {"Host": urlsplit(url).netloc}
    assert s3door.call("PUT", url, host, BODY)[0] == 200
    assert client.head_object(Bucket="bucket", Key="k")["Metadata"] == {"a": "b"}


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_presigned_and_over(s3door: Any, client: Any, region: str) -> None:
    made = s3door.client("s3", region=region)
    where = {"Bucket": "bucket", "Key": "k"}
    url = made.generate_presigned_url("get_object", Params=where, ExpiresIn=60)
    s3door.clock.off = 120
    status, _, body = s3door.call("GET", url, {"Host": urlsplit(url).netloc})
    assert status == 403
    assert b"<Code>AccessDenied</Code><Message>Request has expired</Message>" in body


def test_version_2_is_for_s3_alone(s3door: Any) -> None:
    query = f"AWSAccessKeyId={KEY}&Signature=x&Expires={int(time.time()) + 60}"
    status, _, body = s3door.call(
        "GET", f"http://localhost/bucket/k?{query}", {"Host": "localhost"}
    )
    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)


# Refusals, in S3's own words


def code(answer: tuple[int, Any, bytes]) -> tuple[int, str]:
    found = re.search(b"<Error><Code>(.*?)</Code>", answer[2])
    assert found is not None
    return answer[0], found[1].decode()


def test_who_is_refused(s3door: Any, client: Any) -> None:
    url = "http://localhost:4566/bucket/k"
    assert code(s3door.call("GET", url, {"Host": "localhost:4566"})) == (403, "AccessDenied")
    empty = hashlib.sha256(b"").hexdigest()
    headers = signed("GET", url, empty)
    garbled = {**headers, "Authorization": "AWS4-HMAC-SHA256 x"}
    assert code(s3door.call("GET", url, garbled)) == (400, "AuthorizationHeaderMalformed")
    unknown = headers["Authorization"].replace(KEY, "AKIAUNKNOWNUNKNOWNUN")
    assert code(s3door.call("GET", url, {**headers, "Authorization": unknown})) == (
        403,
        "InvalidAccessKeyId",
    )
    wrong = re.sub("Signature=.*", "Signature=00", headers["Authorization"])
    assert code(s3door.call("GET", url, {**headers, "Authorization": wrong})) == (
        403,
        "SignatureDoesNotMatch",
    )
    s3door.clock.off = 1000
    assert code(s3door.call("GET", url, headers)) == (403, "RequestTimeTooSkewed")


def test_errors_are_bare_and_their_heads_have_no_body(s3door: Any, client: Any) -> None:
    url = "http://localhost:4566/bucket/none"
    empty = hashlib.sha256(b"").hexdigest()
    status, headers, body = s3door.call("GET", url, signed("GET", url, empty))
    assert (status, headers["content-type"]) == (404, "text/xml")
    request_id = headers["x-amz-request-id"]
    assert body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>NoSuchKey</Code>'
        "<Message>The specified key does not exist.</Message>"
        f"<RequestId>{request_id}</RequestId></Error>"
    )
    status, headers, body = s3door.call("HEAD", url, signed("HEAD", url, empty))
    assert (status, body) == (404, b"")
    client.put_object(Bucket="bucket", Key="k", Body=BODY)
    url = "http://localhost:4566/bucket/k"
    status, headers, body = s3door.call("HEAD", url, signed("HEAD", url, empty))
    assert (status, headers["content-length"], body) == (200, "100", b"")
    tag = quote(f'"{hashlib.md5(BODY).hexdigest()}"', safe='"')
    same = signed("GET", url, empty, {"If-None-Match": tag})
    status, headers, body = s3door.call("GET", url, same)
    assert (status, body, "content-length" in headers) == (304, b"", False)


def test_dates_of_answers(client: Any) -> None:
    client.put_object(Bucket="bucket", Key="k", Body=BODY)
    modified = client.head_object(Bucket="bucket", Key="k")["LastModified"]
    assert abs((datetime.now(UTC) - modified).total_seconds()) < 10
