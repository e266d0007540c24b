"""S3's requests before they are an operation: addresses, signatures of both versions, bodies.

A bucket in the host's name moves into the path once the signature over the path as
it was sent was found right; a body in pieces is put together, and every checksum
that a client sent is compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

from mailstead.api.buckets import LARGEST, QUICK
from mailstead.api.s3_addresses import Addresses
from mailstead.api.signatures import Presented
from mailstead.mail.errors import Invalid, Limit
from mailstead.mail.ports import Workers
from mailstead.wire import checksums, sigv2, sigv4
from mailstead.wire.aws_chunked import (
    KINDS,
    ChunkError,
    ChunkSignatureError,
    ChunkSigner,
    unchunked,
)
from mailstead.wire.aws_model import Request
from mailstead.wire.sigv4 import MISMATCH_TEXT, Failure, SignatureError

_CONTENT = "x-amz-content-sha256"
_ENCODING = "aws-chunked"
_NOT_MOVED = ("x-amz-checksum-", "x-amz-sdk-", "x-amz-security-token", "x-amz-trailer")
"""Fields of presigned requests that say nothing of the body that is sent in the end."""


class S3Requests:
    """Reads the requests of S3's clients."""

    def __init__(self, addresses: Addresses, workers: Workers) -> None:
        self._addresses = addresses
        self._workers = workers

    async def verified(self, presented: Presented, request: Request, secret: str) -> Request:
        """The request in path style with its whole body.

        SignatureError, and DomainError for a body that is not what was said of it.
        """
        bucket = await self._addresses.bucket_in(request.headers.get("host", ""))
        if isinstance(presented, sigv2.PresentedV2):
            sigv2.verify(presented, request, bucket, secret)
            said, key = "", b""
        else:
            key = sigv4.verify(presented, request, secret)
            said = request.headers.get(_CONTENT, "")
            if said.startswith("STREAMING-"):
                assert isinstance(presented, sigv4.Presented)
                signer = ChunkSigner(key, presented.stamp, presented.scope, presented.signature)
                request = _put_together(request, said, signer)
        await self._check(request)
        path = f"/{bucket}{request.path}" if bucket is not None else request.path
        headers = _with_moved(request)
        return Request(request.method, path, request.query, headers, request.body)

    async def _check(self, request: Request) -> None:
        headers, body = request.headers, request.body
        if request.method == "POST" and "uploadId=" in request.query:
            # There the fields are about the object whose parts are listed.
            headers = {}
        if len(body) > LARGEST:
            raise Limit(
                f"Your proposed upload exceeds the maximum allowed size of {LARGEST} bytes",
                resource="object",
            )
        if len(body) <= QUICK:
            wrong = checksums.wrong(headers, body)
        else:
            wrong = await self._workers.run(checksums.wrong, headers, body)
        if wrong is not None:
            raise Invalid(
                f"The {wrong} you specified did not match what we received",
                resource="object",
                reason="digest",
            )


def _put_together(request: Request, said: str, signer: ChunkSigner) -> Request:
    """The request without the encoding of its body, the trailer among its fields."""
    headers = dict(request.headers)
    if said not in KINDS:
        raise _invalid(f"The value of {_CONTENT} header is not supported: {said}")
    expected = headers.get("x-amz-trailer", "").split(",")
    try:
        found = unchunked(request.body, said, signer, expected)
    except ChunkSignatureError:
        raise SignatureError(Failure.MISMATCH, MISMATCH_TEXT) from None
    except ChunkError as error:
        raise _invalid(f"The request body is not {_ENCODING}: {error}") from None
    length = headers.pop("x-amz-decoded-content-length", None)
    if length is not None and length != str(len(found.body)):
        raise Invalid(
            "You did not provide the number of bytes specified by the "
            "x-amz-decoded-content-length HTTP header.",
            resource="object",
            reason="incomplete",
        )
    headers |= found.trailers
    codings = [one.strip() for one in headers.pop("content-encoding", "").split(",")]
    if kept := ",".join(one for one in codings if one not in {"", _ENCODING}):
        headers["content-encoding"] = kept
    return Request(request.method, request.path, request.query, headers, found.body)


def _with_moved(request: Request) -> Mapping[str, str]:
    """The fields, those that signing in advance has moved to the query string among them."""
    if "x-amz-" not in request.query:
        return request.headers
    moved = {
        name: value
        for name, value in parse_qsl(request.query)
        if name.startswith("x-amz-") and not name.startswith(_NOT_MOVED)
    }
    return {**moved, **request.headers}


def _invalid(text: str) -> Invalid:
    return Invalid(text, resource="object", reason="request")
