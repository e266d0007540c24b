"""A message as the bytes it is: a header index by byte ranges, and splicing.

A message is never parsed into objects and written back: fields are located
(RFC 5322 section 2.2), and a change is a splice that copies every other byte.
All functions but `normalise_line_ends` expect CRLF line ends.
"""

from __future__ import annotations

import binascii
import re
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

FIELD_LIMIT = 1000
"""Fields a header may have."""
HEADER_LIMIT = 256 * 1024
"""Octets a header may have."""

# Names are octets 33-126 but the colon (RFC 5322 section 3.6.8); blanks before
# the colon are obsolete syntax (section 4.5) that verifiers must still see. The last
# repeat is not possessive: Python before 3.11.5 (Debian 12 has 3.11.2) takes a possessive
# group with a look-ahead wrongly. It never goes back: a line end or the end must follow.
_FIELD = re.compile(
    rb"([!-9;-~]++)[ \t]*+(:)[^\r]*+(?:\r(?!\n(?![ \t]))[^\r]*+)*(?:\r\n|\Z)",
)
_FOLD = re.compile(rb"\r\n(?=[ \t])")
_NAME = re.compile(rb"[!-9;-~]+")
_FORGED_LINE = re.compile(rb"\0|\r(?!\n[ \t])|(?<!\r)\n")
_WORD = re.compile(rb"=\?([^?*\s]{1,40})(?:\*[^?\s]*)?\?([bBqQ])\?([^?\r\n]*)\?=")
_BETWEEN_WORDS = re.compile(rb"(\?=)[ \t\r\n]+(?==\?[^?\s]{1,60}\?[bBqQ]\?)")
_QUOTED = re.compile(rb"=([0-9A-Fa-f]{2})")
_BASE64_NOISE = re.compile(rb"[^A-Za-z0-9+/]+")
# Not character sets: Python's own codecs, some of them slower than linear.
_NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"})
# C0, C1, line and paragraph separators, direction overrides, lone surrogates: what
# hides or forges text on a terminal, in a log, or on a page.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


class MessageError(ValueError):
    """The bytes cannot be taken as a message, or a change would forge a field."""


class Field(NamedTuple):
    """One header field: where it is, not what it says.

    ``name`` is as written, without blanks before the colon. ``raw[start:end]`` is
    the whole field with its final CRLF (absent only where the message ends
    inside it), ``raw[colon + 1:end]`` the folded value.
    """

    name: bytes
    start: int
    colon: int
    end: int


class Headers:
    """An index over the header of ``raw``; names match in any case.

    ``raw[:header_end]`` is the fields joined; ``raw[body_start:]`` the body. The
    two places differ by the empty line, and are the same where it is missing.
    """

    def __init__(self, raw: bytes, fields: tuple[Field, ...], header_end: int) -> None:
        """Made by `parse_headers`."""
        self.raw = raw
        self.fields = fields
        self.header_end = header_end
        self.body_start = header_end + 2 * raw.startswith(b"\r\n", header_end)

    def __iter__(self) -> Iterator[Field]:
        """From top to bottom."""
        return iter(self.fields)

    def __len__(self) -> int:
        """The number of fields."""
        return len(self.fields)

    def __contains__(self, name: str | bytes) -> bool:
        """Whether a field of this name is there."""
        return _key(name) in self.by_name

    @cached_property
    def by_name(self) -> dict[bytes, list[Field]]:
        """The fields of each lower-case name, from top to bottom."""
        index: dict[bytes, list[Field]] = {}
        for field in self.fields:
            index.setdefault(field.name.lower(), []).append(field)
        return index

    @property
    def body(self) -> bytes:
        """What follows the header, copied."""
        return self.raw[self.body_start :]

    def value(self, field: Field) -> bytes:
        """The unfolded value without blanks at its ends (RFC 5322 section 2.2.3)."""
        return _FOLD.sub(b"", self.raw[field.colon + 1 : field.end]).strip(b" \t\r\n")

    def get(self, name: str | bytes) -> bytes | None:
        """The value of the first field of this name, or None."""
        found = self.by_name.get(_key(name))
        return self.value(found[0]) if found else None

    def all(self, name: str | bytes) -> list[bytes]:
        """The values of every field of this name, from top to bottom."""
        return [self.value(field) for field in self.by_name.get(_key(name), ())]

    def text(self, name: str | bytes) -> str | None:
        """The first field's value for people, by `decode_words`, or None."""
        value = self.get(name)
        return None if value is None else decode_words(value)


def parse_headers(raw: bytes) -> Headers:
    """Index the header of a message.

    It ends at an empty line, or at the first line that is neither a field nor a
    continuation. Raises `MessageError` over 1,000 fields or 256 KiB.
    """
    fields: list[Field] = []
    end = 0
    match = _FIELD.match
    while found := match(raw, end):
        start = end
        end = found.end()
        fields.append(Field(found[1], start, found.start(2), end))
        if len(fields) > FIELD_LIMIT:
            raise MessageError(f"more than {FIELD_LIMIT} header fields")
    if end > HEADER_LIMIT:
        raise MessageError(f"a header of more than {HEADER_LIMIT} octets")
    return Headers(raw, tuple(fields), end)


def splice(
    message: bytes | Headers,
    *,
    remove: Collection[str] = (),
    replace: Mapping[str, bytes] | None = None,
    prepend: Iterable[tuple[bytes, bytes]] = (),
    append: Iterable[tuple[bytes, bytes]] = (),
) -> bytes:
    """Change header fields by byte ranges and copy the rest unchanged.

    ``remove`` holds lower-case names, all fields of which go. ``replace`` gives
    a name, written as it shall appear, its one value: in the place of the first
    field of that name, further ones go, and it is appended where there was
    none. ``prepend`` and ``append`` are (name, value) pairs before the first
    and after the last field. Values may be folded. Raises `MessageError` for a
    value that would end its line, or a name that is none.
    """
    headers = message if isinstance(message, Headers) else parse_headers(message)
    raw = headers.raw
    gone = {_key(name) for name in remove}
    new = {_key(name): field_bytes(name.encode(), value) for name, value in (replace or {}).items()}
    waiting = dict(new)
    parts = [field_bytes(name, value) for name, value in prepend]
    for field in headers.fields:
        key = field.name.lower()
        if key in new:
            parts.append(waiting.pop(key, b""))
        elif key not in gone:
            kept = raw[field.start : field.end]
            parts.append(kept if kept.endswith(b"\r\n") else kept + b"\r\n")
    parts.extend(waiting.values())
    parts.extend(field_bytes(name, value) for name, value in append)
    parts.append(raw[headers.header_end :])
    return b"".join(parts)


def field_bytes(name: bytes, value: bytes) -> bytes:
    """One field with its CRLF; the value may be folded.

    Raises `MessageError` for NUL, a CR or LF that does not fold, or a bad name.
    """
    if not _NAME.fullmatch(name):
        raise MessageError(f"not a field name: {name[:40]!r}")
    if _FORGED_LINE.search(value):
        raise MessageError(f"a line end or NUL inside the value of {name.decode('ascii')}")
    return b"%b: %b\r\n" % (name, value)


def normalise_line_ends(raw: bytes) -> bytes:
    """Make each bare CR and each bare LF a CRLF, once, before storing or signing.

    Clean input is returned as it is. Raises `MessageError` for a NUL.
    """
    if b"\0" in raw:
        raise MessageError("a NUL inside the message")
    pairs = raw.count(b"\r\n")
    if pairs == raw.count(b"\n") and pairs == raw.count(b"\r"):
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def longest_line(raw: bytes) -> int:
    """The octets of the longest line, its CRLF not counted."""
    longest = position = 0
    while position < len(raw):
        # A CRLF as far away as a line of the longest length so far may end lets
        # us skip all lines before it.
        end = raw.rfind(b"\r\n", position, position + longest + 2)
        if end < 0:
            end = raw.find(b"\r\n", position)
            end = len(raw) if end < 0 else end
            longest = max(longest, end - position)
        position = end + 2
    return longest


def decode_words(value: bytes) -> str:
    """A field's value for people: encoded words (RFC 2047) decoded, leniently.

    Words inside quotes or next to text are decoded too, neighbours of one
    character set are joined before decoding, raw octets are taken as UTF-8, else
    Latin-1. Controls, direction overrides and line separators become one blank
    or nothing, so the text cannot forge a line.
    """
    parts: list[str] = []
    pieces: list[tuple[str, bytes]] = []
    last = 0
    value = _BETWEEN_WORDS.sub(rb"\1", value)
    for word in _WORD.finditer(value):
        if word.start() > last:
            pieces.append(("", value[last : word.start()]))
        pieces.append((word[1].decode("latin-1").lower(), _word_octets(word)))
        last = word.end()
    pieces.append(("", value[last:]))
    for charset, group in groupby(pieces, key=lambda piece: piece[0]):
        parts.append(_decode(charset, b"".join(octets for _, octets in group)))
    text = "".join(parts).replace("\t", " ").replace("\r\n", " ").replace("\n", " ")
    return _UNPRINTABLE.sub("", text).strip(" ")


def _word_octets(word: re.Match[bytes]) -> bytes:
    """The octets an encoded word stands for, what is damaged left out."""
    content = word[3]
    if word[2] in b"qQ":
        return _QUOTED.sub(
            lambda code: bytes.fromhex(code[1].decode()), content.replace(b"_", b" ")
        )
    digits = _BASE64_NOISE.sub(b"", content)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


def _decode(charset: str, octets: bytes) -> str:
    if charset.replace("-", "_") in _NOT_CHARSETS:
        charset = ""
    if charset:
        try:
            return octets.decode(charset, "replace")
        except (LookupError, ValueError):
            pass
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode("latin-1")


def _key(name: str | bytes) -> bytes:
    return (name if isinstance(name, bytes) else name.encode()).lower()
