"""Writing header fields and bodies as 7-bit text.

Folding (RFC 5322 section 2.2.3), encoded words (RFC 2047), parameters
(RFC 2231), quoted-printable and base64 (RFC 2045). Everything written here
passes any host unchanged, so no relay converts it and breaks a signature.
Reading is `mailstead.wire.message`'s matter.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from mailstead.wire.message import longest_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOFT_LINE = 76
"""Where lines fold; RFC 2047 section 2 asks 76 of lines with encoded words."""
HARD_LINE = 998

_NAME = re.compile(r"[!-9;-~]+")
_PLAIN = re.compile(r"[ -~\t]*")
_UNIT = re.compile(r"([ \t]*)([^ \t]+)")
_QUOTED_UNIT = re.compile(r'([ \t]*)((?:"(?:[^"\\]++|\\.)*+"|[^ \t])+)')
# What may stand for itself in an encoded word of a phrase (RFC 2047 section 5).
_SAFE = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!*+-/")
# Character sets whose characters encode one by one, so that words can be split between them.
_CHARSETS = re.compile(
    r"us-ascii|utf-8|iso-8859-(?:[1-9]|1[0-1]|1[3-6])|windows-125[0-8]|koi8-[ru]"
    r"|gb2312|gbk|gb18030|big5|euc-jp|euc-kr|shift_jis"
)
_OTHER_NAMES = {"ascii": "US-ASCII", "utf8": "UTF-8", "latin1": "ISO-8859-1"}


class ComposeError(ValueError):
    """What cannot be written as mail. `text` is the words for the client."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


def check_field(name: str, value: str) -> None:
    """Refuse a field that would forge another one. Raises `ComposeError`."""
    if not name:
        raise ComposeError("Empty header names are illegal.")
    if not _NAME.fullmatch(name) or re.search(r"[\r\n\0\ud800-\udfff]", value):
        raise ComposeError(f"Illegal header '{name}'.")


def text_field(name: str, value: str, charset: str = "") -> bytes:
    """An unstructured field such as Subject, with its CRLF.

    ASCII stays as given, encoded words that the caller made among it. Raises
    `ComposeError`.
    """
    check_field(name, value)
    value = value.strip(" \t")
    plain = _PLAIN.fullmatch(value)
    # A word that no fold can bring under the limit is encoded as well.
    if plain and all(len(unit[2]) + len(name) <= HARD_LINE - 2 for unit in _UNIT.finditer(value)):
        return _fold(name, _UNIT.findall(value))
    words = encoded_words(value, charset, limit=SOFT_LINE - 2 - len(name))
    return _fold(name, ((" ", word) for word in words))


def structured_field(name: str, values: Iterable[str]) -> bytes:
    """A field of ASCII values, set apart by commas; folded never inside quotes.

    Raises `ComposeError`.
    """
    value = ", ".join(values)
    check_field(name, value)
    if not _PLAIN.fullmatch(value):
        raise ComposeError(f"Illegal header '{name}'.")
    return _fold(name, _QUOTED_UNIT.findall(value.strip(" \t")))


def _fold(name: str, units: Iterable[tuple[str, str]]) -> bytes:
    lines = [f"{name}:"]
    for blank, word in units:
        line = lines[-1]
        if len(lines) == 1 and line == f"{name}:":
            lines[-1] = f"{line} {word}"
        elif len(line) + len(blank) + len(word) > SOFT_LINE:
            lines.append((blank or " ") + word)
        else:
            lines[-1] = line + blank + word
    if max(len(line) for line in lines) > HARD_LINE:
        raise ComposeError(f"Illegal header '{name}'.")
    return "\r\n".join(lines).encode("ascii") + b"\r\n"


def encoded_words(text: str, charset: str = "", *, limit: int = 75) -> list[str]:
    """Encoded words of at most `limit` octets, split between characters (RFC 2047 section 5)."""
    charset, octets = encode_text(text, charset)
    as_base64 = sum(len(_quoted(octet)) for octet in octets) > (len(octets) + 2) // 3 * 4
    room = min(75, max(limit, 40)) - len(f"=?{charset}?Q??=")
    words: list[str] = []
    for part in _pieces(text, charset, room, as_base64=as_base64):
        if as_base64:
            words.append(f"=?{charset}?B?{base64.b64encode(part).decode('ascii')}?=")
        else:
            coded = "".join(_quoted(octet) for octet in part)
            words.append(f"=?{charset}?Q?{coded}?=")
    return words


def _quoted(octet: int) -> str:
    if octet == 0x20:
        return "_"
    return chr(octet) if octet in _SAFE else f"={octet:02X}"


def _pieces(text: str, charset: str, room: int, *, as_base64: bool) -> Iterator[bytes]:
    limit = room // 4 * 3 if as_base64 else room
    part, used = b"", 0
    for character in text:
        octets = character.encode(charset)
        cost = len(octets) if as_base64 else sum(len(_quoted(octet)) for octet in octets)
        if used + cost > limit:
            yield part
            part, used = b"", 0
        part += octets
        used += cost
    yield part


def encode_text(text: str, charset: str = "") -> tuple[str, bytes]:
    """The text's octets and the character set they are in.

    That is `charset` where we know it and it can say this text, else US-ASCII
    where that suffices, else UTF-8.
    """
    name = _OTHER_NAMES.get(charset.strip().lower(), charset.strip())
    if _CHARSETS.fullmatch(name.lower()):
        try:
            return name, text.encode(name)
        except UnicodeEncodeError:
            return "UTF-8", text.encode("utf-8", "replace")
    return ("US-ASCII" if text.isascii() else "UTF-8"), text.encode("utf-8", "replace")


def parameter(name: str, value: str) -> str:
    """``; name=value`` for a MIME field, in RFC 2231's form where it is not ASCII."""
    if re.fullmatch(r"[!#$%&+.^_`{|}~A-Za-z0-9-]+", value) and len(value) < 200:
        return f"; {name}={value}"
    if _PLAIN.fullmatch(value) and len(value) < 200:
        escaped = re.sub(r'(["\\])', r"\\\1", value)
        return f'; {name}="{escaped}"'
    coded = "".join(
        chr(octet) if octet in _SAFE - set(b"!*+/") else f"%{octet:02X}"
        for octet in value.encode("utf-8", "replace")
    )
    parts = re.findall(r"(?:%..|[^%]){1,16}", coded)
    if len(parts) == 1:
        return f"; {name}*=utf-8''{coded}"
    return "".join(
        f"; {name}*{number}*={part}"
        for number, part in enumerate([f"utf-8''{parts[0]}", *parts[1:]])
    )


def crlf(octets: bytes) -> bytes:
    """Every line end a CRLF."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def is_seven_bit(octets: bytes) -> bool:
    """Whether these CRLF lines need no transfer encoding (RFC 2045 section 2.7)."""
    return octets.isascii() and b"\0" not in octets and longest_line(octets) <= HARD_LINE


def as_base64(octets: bytes) -> bytes:
    """Lines of 76 octets, the last one without its CRLF."""
    return base64.encodebytes(octets).rstrip(b"\n").replace(b"\n", b"\r\n")


def as_quoted_printable(octets: bytes, *, text: bool = True) -> bytes:
    """Quoted-printable of CRLF text; where it is not `text`, line ends are coded too."""
    return crlf(binascii.b2a_qp(octets, istext=text))


def encode_body(octets: bytes) -> tuple[str, bytes]:
    """Transfer encoding and coded form of CRLF text.

    7bit where it can be; else quoted-printable, which people can read, unless
    that is half as long again as base64.
    """
    if is_seven_bit(octets):
        return "7bit", octets
    quoted = as_quoted_printable(octets)
    coded = as_base64(octets)
    if len(quoted) <= 1.5 * len(coded):
        return "quoted-printable", quoted
    return "base64", coded
