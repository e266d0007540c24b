"""What DKIM and ARC hash: canonical bodies and header fields (RFC 6376 section 3.4).

Blanks are SP and TAB only. ``simple`` keeps bytes, ``relaxed`` forgives changed
blanks, and the case and folding of fields.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mailstead.wire.message import Field, Headers

Canon = Literal["simple", "relaxed"]

_RUN = re.compile(rb"[ \t]{2,}|\t")
# Only a tag named b: after the colon or a semicolon, unlike bh= and text in z=.
_SIGNATURE_VALUE = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")


class BodyHashes:
    """The hashes of one body, each computed once for any number of signatures."""

    def __init__(self, headers: Headers) -> None:
        """Over the body that follows this header."""
        self._headers = headers
        self._bodies: dict[Canon, memoryview] = {}
        self._hashes: dict[tuple[Canon, str, int | None], bytes] = {}

    def canonical(self, canon: Canon) -> memoryview:
        """The canonical body."""
        if canon not in self._bodies:
            self._bodies[canon] = canonical_body(self._headers, canon)
        return self._bodies[canon]

    def digest(self, canon: Canon, algorithm: str = "sha256", length: int | None = None) -> bytes:
        """The hash of the canonical body, or of its first ``length`` octets."""
        key = (canon, algorithm, length)
        if key not in self._hashes:
            made = hashlib.new(algorithm, self.canonical(canon)[:length], usedforsecurity=False)
            self._hashes[key] = made.digest()
        return self._hashes[key]


def canonical_body(headers: Headers, canon: Canon) -> memoryview:
    """The body without its empty last lines, ended by one CRLF; copied only if changed.

    An empty body is one CRLF when simple, nothing when relaxed (RFC 6376
    sections 3.4.3 and 3.4.4).
    """
    body, start = headers.raw, headers.body_start
    if canon == "relaxed":
        body, start = _relaxed_lines(headers.body), 0
    end = len(body)
    while body.endswith(b"\r\n", start, end):
        end -= 2
    if end == start and canon == "relaxed":
        return memoryview(b"")
    if body.startswith(b"\r\n", end):
        return memoryview(body)[start : end + 2]
    return memoryview(body[start:] + b"\r\n")


def _relaxed_lines(body: bytes) -> bytes:
    if not body.endswith(b"\r\n"):
        body += b"\r\n"
    if b"\t" in body or b"  " in body:
        body = _RUN.sub(b" ", body)
    return body.replace(b" \r\n", b"\r\n")


def canonical_field(raw: bytes, field: Field, canon: Canon) -> bytes:
    """One header field as it is hashed, its CRLF included."""
    if canon == "simple":
        whole = raw[field.start : field.end]
        return whole if whole.endswith(b"\r\n") else whole + b"\r\n"
    return relaxed_field(field.name, raw[field.colon + 1 : field.end])


def relaxed_field(name: bytes, value: bytes) -> bytes:
    """The relaxed form: lower-case name, unfolded value, one blank for each run."""
    unfolded = _RUN.sub(b" ", value.replace(b"\r\n", b""))
    return b"%b:%b\r\n" % (name.lower(), unfolded.strip(b" "))


def signature_field(raw: bytes, field: Field, canon: Canon) -> bytes:
    """A signature's own field as it is hashed: ``b=`` emptied, without the last CRLF."""
    before = raw[field.start : field.colon + 1]
    value = _SIGNATURE_VALUE.sub(rb"\1", raw[field.colon + 1 : field.end], count=1)
    if canon == "relaxed":
        return relaxed_field(field.name, value).removesuffix(b"\r\n")
    return (before + value).removesuffix(b"\r\n")


def select(headers: Headers, names: Iterable[bytes]) -> list[Field]:
    """The fields that ``h=`` means: repeated names from the bottom of the header up.

    A name with no field left adds nothing (RFC 6376 section 5.4.2). Names are
    lower-case.
    """
    left: dict[bytes, list[Field]] = {}
    chosen: list[Field] = []
    for name in names:
        if name not in left:
            left[name] = list(headers.by_name.get(name, ()))
        if left[name]:
            chosen.append(left[name].pop())
    return chosen


def header_data(headers: Headers, names: Iterable[bytes], canon: Canon) -> bytes:
    """The selected fields in their canonical form, joined."""
    fields = select(headers, names)
    return b"".join([canonical_field(headers.raw, field, canon) for field in fields])
