"""A message's parts by byte ranges: what people read, and what is attached.

Reads RFC 2045-2047, 2183 and 2231 leniently: any bytes give a tree, and what
goes beyond a bound is kept as one opaque part. Nothing is ever written back.
"""

from __future__ import annotations

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import unquote_to_bytes

from mailstead.wire.message import Headers, MessageError, decode_words, parse_headers

PARTS = 1_000
"""Parts a message may have; the rest stays inside the last."""
DEPTH = 50
"""How deep parts may lie in parts."""

_PARAMETER = re.compile(rb';[\s]*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^;\s]*))', re.DOTALL)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_URL = re.compile(r"https?://[^\s<>\"'\x00-\x1f]+[^\s<>\"'\x00-\x1f.,;:!?)\]}]")


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a message's tree."""

    raw: bytes
    """The part alone, its header in front."""
    headers: Headers
    kind: str
    """Lower-case ``type/subtype``."""
    parameters: dict[str, str]
    disposition: str
    """``attachment``, ``inline`` or empty."""
    filename: str
    children: tuple[Part, ...] = ()

    @property
    def content(self) -> bytes:
        """The decoded body (RFC 2045 6)."""
        body = self.headers.body
        encoding = (self.headers.get("content-transfer-encoding") or b"").lower()
        if encoding == b"base64":
            return _base64(body)
        if encoding == b"quoted-printable":
            return quopri.decodestring(body)
        return body

    @property
    def text(self) -> str:
        """The decoded body as text, by its charset, leniently, with LF line ends."""
        charset = self.parameters.get("charset", "utf-8")
        content = self.content
        try:
            text = content.decode(charset, "replace")
        except (LookupError, ValueError):
            text = content.decode("utf-8", "replace")
        return text.replace("\r\n", "\n")

    def walk(self) -> Iterator[Part]:
        """This part and all below, in the order of their bytes."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def is_attachment(self) -> bool:
        """Whether people would save it rather than read it."""
        if self.children or self.kind.startswith("multipart/"):
            return False
        return (
            self.disposition == "attachment"
            or bool(self.filename)
            or (self.kind not in ("text/plain", "text/html"))
        )


def parse_mime(raw: bytes) -> Part:
    """The tree of a message."""
    return _Reader().read(raw, 0, "text/plain")


class _Reader:
    """Counts the parts of one message, so that a bomb ends early."""

    def __init__(self) -> None:
        self._left = PARTS

    def read(self, raw: bytes, depth: int, default: str) -> Part:
        self._left -= 1
        try:
            headers = parse_headers(raw)
        except MessageError:
            headers = Headers(raw, (), 0)
        kind, parameters = _typed(headers.get("content-type"), default)
        disposition, extra = _typed(headers.get("content-disposition"), "")
        filename = extra.get("filename") or parameters.get("name", "")
        children: tuple[Part, ...] = ()
        if depth < DEPTH and kind.startswith("multipart/") and parameters.get("boundary"):
            inner = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            children = tuple(
                self.read(piece, depth + 1, inner)
                for piece in self._pieces(headers.body, parameters["boundary"])
            )
        elif depth < DEPTH and kind == "message/rfc822" and self._left > 0:
            children = (self.read(headers.body, depth + 1, "text/plain"),)
        return Part(raw, headers, kind, parameters, disposition, filename, children)

    def _pieces(self, body: bytes, boundary: str) -> Iterator[bytes]:
        # The CRLF before a boundary belongs to the boundary (RFC 2046 5.1.1).
        mark = re.escape(boundary.encode("latin-1", "replace"))
        line = re.compile(rb"(?:\A|\r?\n)--" + mark + rb"(--)?[ \t]*(?:\r?\n|\Z)")
        start = -1
        position = 0
        while found := line.search(body, position):
            if start >= 0:
                yield body[start : found.start()]
            if found[1] or self._left <= 0:
                return
            start = found.end()
            # The line end may be the one that precedes the next boundary.
            position = max(start - 2, found.start() + 1)
        if start >= 0:
            yield body[start:]


def _typed(value: bytes | None, default: str) -> tuple[str, dict[str, str]]:
    if value is None:
        return default, {}
    kind = value.partition(b";")[0].strip().lower().decode("latin-1")
    if default and "/" not in kind:
        kind = default
    return kind, _parameters(value)


def _parameters(value: bytes) -> dict[str, str]:
    """Parameters by lower-case name, RFC 2231 continuations joined and decoded."""
    plain: dict[str, str] = {}
    segments: dict[str, list[tuple[int, bool, bytes]]] = {}
    for name, quoted, token in _PARAMETER.findall(value):
        content = _ESCAPED.sub(rb"\1", quoted) if quoted else token
        key = name.decode("latin-1").lower()
        base, star, rest = key.partition("*")
        if not star:
            plain.setdefault(key, decode_words(content))
            continue
        number = rest.rstrip("*")
        if len(segments.setdefault(base, [])) < 100:
            order = int(number) if number.isdecimal() and len(number) < 4 else 0
            segments[base].append((order, key.endswith("*"), content))
    for base, pieces in segments.items():
        plain[base] = _extended(sorted(pieces))
    return plain


def _extended(pieces: list[tuple[int, bool, bytes]]) -> str:
    charset = b"utf-8"
    joined = b""
    for place, (_, encoded, segment) in enumerate(pieces):
        content = segment
        if encoded and place == 0 and segment.count(b"'") >= 2:
            charset, _, content = segment.split(b"'", 2)
        joined += unquote_to_bytes(content) if encoded else content
    try:
        text = joined.decode(charset.decode("latin-1") or "utf-8", "replace")
    except (LookupError, ValueError):
        text = joined.decode("utf-8", "replace")
    return decode_words(text.encode("utf-8", "replace"))


def _base64(body: bytes) -> bytes:
    digits = re.sub(rb"[^A-Za-z0-9+/]+", b"", body)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


@dataclass(frozen=True, slots=True)
class Readable:
    """What a person sees of a message."""

    text: str
    html: str
    links: tuple[tuple[str, str], ...]
    """(URL, text) in the order they stand."""
    attachments: tuple[Part, ...]


def read_message(raw: bytes) -> Readable:
    """The text, the HTML, the links and the attachments."""
    said: dict[str, list[str]] = {"text/plain": [], "text/html": []}
    attachments: list[Part] = []
    for part in parse_mime(raw).walk():
        if part.is_attachment:
            attachments.append(part)
        elif part.kind in said:
            said[part.kind].append(part.text)
    text, html = said.values()
    links = [link for page in html for link in _html_links(page)]
    seen = {url for url, _ in links}
    links += [(url, url) for page in text for url in _URL.findall(page) if url not in seen]
    return Readable("\n".join(text), "\n".join(html), tuple(links), tuple(attachments))


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, str]] = []
        self._open: str | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._close()
            self._open = dict(attrs).get("href")

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._close()

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._text.append(data)

    def close(self) -> None:
        super().close()
        self._close()

    def _close(self) -> None:
        if self._open:
            self.found.append((self._open, " ".join("".join(self._text).split())))
        self._open = None
        self._text = []


def _html_links(page: str) -> list[tuple[str, str]]:
    reader = _Links()
    reader.feed(page)
    reader.close()
    return reader.found
