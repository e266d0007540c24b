"""``Content-Encoding: aws-chunked``: S3's bodies in pieces, signed one by one, with trailers.

    SIZE;chunk-signature=HEX CRLF data CRLF ... 0;chunk-signature=HEX CRLF
    x-amz-checksum-crc32:BASE64 CRLF x-amz-trailer-signature:HEX CRLF CRLF

What ``x-amz-content-sha256`` says decides which of it is there. Each signature
covers the one before, so that pieces can be neither changed nor moved nor left
out. Source: "Authenticating Requests: Transferring Payload in Multiple Chunks"
and "... including trailing headers" of the Amazon S3 API Reference.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
KINDS = frozenset({SIGNED, SIGNED_TRAILER, UNSIGNED_TRAILER})
_SIGNATURE = "x-amz-trailer-signature"
_HEAD = 256
"""Octets of a piece's first line."""
_TRAILERS = 16_384
_EMPTY = hashlib.sha256(b"").hexdigest()


class ChunkError(Exception):
    """A body that is not in this form."""


class ChunkSignatureError(ChunkError):
    """A piece, or the trailer, that was not signed so."""


@dataclass(frozen=True, slots=True)
class ChunkSigner:
    """What the pieces are signed with; ``seed`` is the signature of the request itself."""

    key: bytes
    stamp: str
    scope: str
    seed: str

    def of(self, before: str, data: bytes | memoryview) -> str:
        """The signature of a piece."""
        return self._sign("PAYLOAD", before, _EMPTY, hashlib.sha256(data).hexdigest())

    def of_trailer(self, before: str, lines: bytes) -> str:
        """The signature of the trailer, its lines ended by LF."""
        return self._sign("TRAILER", before, hashlib.sha256(lines).hexdigest())

    def _sign(self, what: str, *parts: str) -> str:
        text = "\n".join((f"AWS4-HMAC-SHA256-{what}", self.stamp, self.scope, *parts))
        return hmac.digest(self.key, text.encode(), "sha256").hex()


@dataclass(frozen=True, slots=True)
class Unchunked:
    """A body put together, and the fields of its trailer by lower-case name."""

    body: bytes
    trailers: dict[str, str]


def unchunked(
    body: bytes, kind: str, signer: ChunkSigner, expected: Sequence[str] = ()
) -> Unchunked:
    """The body behind the encoding; ChunkError.

    ``kind`` is one of `KINDS`, ``expected`` the names in ``x-amz-trailer``: others
    are refused.
    """
    view = memoryview(body)
    signed = kind != UNSIGNED_TRAILER
    parts: list[memoryview] = []
    position, before = 0, signer.seed
    while True:
        size, signature, position = _head(body, position)
        data = view[position : position + size]
        if signed:
            before = _same(signature, signer.of(before, data))
        position += size
        if not size:
            break
        if len(data) != size or body[position : position + 2] != b"\r\n":
            raise ChunkError("a piece is shorter than it says")
        parts.append(data)
        position += 2
    trailers = _trailers(body, position, kind, signer, before)
    unknown = set(trailers) - {name.strip().lower() for name in expected}
    if unknown:
        raise ChunkError(f"the trailer has {min(unknown)}, which x-amz-trailer does not announce")
    return Unchunked(b"".join(parts), trailers)


def _head(body: bytes, position: int) -> tuple[int, str, int]:
    """Size and signature of a piece, and where its data begins."""
    end = body.find(b"\r\n", position, position + _HEAD)
    if end < 0:
        raise ChunkError("a piece has no first line")
    size, _, extension = body[position:end].decode("latin-1").partition(";")
    try:
        length = int(size, 16)
    except ValueError:
        length = -1
    if length < 0 or not size.isalnum():
        raise ChunkError("a piece's size is no number")
    return length, extension.strip().removeprefix("chunk-signature="), end + 2


def _same(said: str, computed: str) -> str:
    if not hmac.compare_digest(said.encode("latin-1", "replace"), computed.encode()):
        raise ChunkSignatureError("the signature of a piece does not match")
    return computed


def _trailers(
    body: bytes, position: int, kind: str, signer: ChunkSigner, before: str
) -> dict[str, str]:
    if len(body) - position > _TRAILERS:
        raise ChunkError("the trailer is too long")
    # Some clients end each line of the trailer by LF, and the last by CRLF.
    lines = body[position:].decode("latin-1").replace("\r\n", "\n").split("\n")
    fields = [(name.strip().lower(), value.strip()) for name, _, value in _pairs(lines)]
    if kind == SIGNED and fields:
        raise ChunkError("there is a trailer that is not announced")
    found = dict(fields)
    signature = found.pop(_SIGNATURE, "")
    if kind == SIGNED_TRAILER:
        signed = "".join(f"{name}:{value}\n" for name, value in found.items())
        _same(signature, signer.of_trailer(before, signed.encode("latin-1")))
    return found


def _pairs(lines: list[str]) -> list[tuple[str, str, str]]:
    pairs = [line.partition(":") for line in lines if line]
    if any(not colon for _, colon, _ in pairs):
        raise ChunkError("a line of the trailer is no field")
    return pairs
