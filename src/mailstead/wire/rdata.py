"""Record data between Route 53's value text, the wire form and look-up values.

    to_wire("MX", "10 mx.example.test")       b"\\x00\\x0a\\x02mx\\x07example\\x04test\\x00"
    to_text("MX", that)                       "10 mx.example.test."
    to_record("MX", that)                     (10, "mx.example.test")

Values are one line each, as Route 53 takes them: fields parted by blanks, text
in quotation marks, ``\\ooo`` in octal. Names inside are made lower case and never
compressed (RFC 3597 4 forbids it for types newer than RFC 1035's).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from mailstead.wire.domain_name import DomainNameError, name_to_text, name_to_wire
from mailstead.wire.lookup import Record

STRING_LIMIT = 255
"""Octets of one character-string (RFC 1035 3.3)."""

_QUOTED = re.compile(r'\s*"((?:[^"\\]|\\.)*)"')
_STRING_PIECE = re.compile(r"\\([0-3][0-7]{2})|\\([ -~])|([ -~])")
_NOT_QUOTED = "InvalidCharacterString (Value should be enclosed in quotation marks)"
_TOO_LONG = "CharacterStringTooLong (Value is too long)"
_UNSUPPORTED = "UnsupportedCharacter (Value contains unsupported characters)"
_CAA_TAG = re.compile(r"[A-Za-z0-9]{1,15}")


class RdataError(ValueError):
    """A value that is none of its type; ``text`` says why, in Route 53's words."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class _Unfit(Exception):
    """A field that does not fit; carries Route 53's problem."""


class _Field(NamedTuple):
    to_wire: Callable[[str], bytes]
    to_text: Callable[[bytes, int], tuple[str, int]]
    """The field's text, and where the next one begins."""


@dataclass(frozen=True, slots=True)
class _Form:
    code: int
    fields: tuple[_Field, ...]
    problem: str
    """What is said when the number of fields is another."""
    spaced: str = ""
    """What is said of blanks in the one field that there is."""
    digests: Mapping[int, int] = field(default_factory=dict[int, int])
    """Octets of a last field in hexadecimal, by the number in the octet before it."""


def _ipv4(problem: str) -> _Field:
    def to_wire(text: str) -> bytes:
        try:
            return IPv4Address(text).packed
        except ValueError:
            raise _Unfit(problem) from None

    def to_text(wire: bytes, at: int) -> tuple[str, int]:
        return str(IPv4Address(wire[at : at + 4])), at + 4

    return _Field(to_wire, to_text)


def _ipv6(problem: str) -> _Field:
    def to_wire(text: str) -> bytes:
        try:
            found = IPv6Address(text)
        except ValueError:
            raise _Unfit(problem) from None
        if found.scope_id is not None:
            raise _Unfit(problem)
        return found.packed

    def to_text(wire: bytes, at: int) -> tuple[str, int]:
        return str(IPv6Address(wire[at : at + 16])), at + 16

    return _Field(to_wire, to_text)


def _number(size: int, problem: str) -> _Field:
    def to_wire(text: str) -> bytes:
        if not text.isascii() or not text.isdecimal() or int(text) >= 1 << 8 * size:
            raise _Unfit(problem)
        return int(text).to_bytes(size)

    def to_text(wire: bytes, at: int) -> tuple[str, int]:
        return str(int.from_bytes(wire[at : at + size])), at + size

    return _Field(to_wire, to_text)


def _hexadecimal(problem: str) -> _Field:
    def to_wire(text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise _Unfit(problem) from None

    return _Field(to_wire, _hexadecimal_text)


def _hexadecimal_text(wire: bytes, at: int) -> tuple[str, int]:
    return wire[at:].hex().upper(), len(wire)


def _name_text(wire: bytes, at: int) -> tuple[str, int]:
    end = at
    while wire[end]:
        end += 1 + wire[end]
    return name_to_text(wire[at : end + 1]) + ".", end + 1


def _tag_to_wire(text: str) -> bytes:
    if not _CAA_TAG.fullmatch(text):
        raise _Unfit("CAARRDATAInvalidTag (CAA tag must be 1 to 15 letters and digits)")
    return bytes((len(text),)) + text.encode()


def _tag_text(wire: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + wire[at]
    return wire[at + 1 : end].decode(), end


def _octets(text: str) -> bytes:
    """What a quoted string stands for."""
    out = bytearray()
    at = 0
    while at < len(text):
        piece = _STRING_PIECE.match(text, at)
        if piece is None:
            raise _Unfit(_UNSUPPORTED)
        octal, escaped, plain = piece.groups()
        out += bytes((int(octal, 8),)) if octal else (escaped or plain).encode()
        at = piece.end()
    return bytes(out)


def _quoted(octets: bytes) -> str:
    shown = (
        f"\\{chr(octet)}"
        if octet in b'"\\'
        else chr(octet)
        if 0x20 <= octet < 0x7F
        else f"\\{octet:03o}"
        for octet in octets
    )
    return f'"{"".join(shown)}"'


def _caa_value_to_wire(text: str) -> bytes:
    found = _QUOTED.fullmatch(text)
    if found is None:
        raise _Unfit(_NOT_QUOTED)
    return _octets(found[1])


def _caa_value_text(wire: bytes, at: int) -> tuple[str, int]:
    return _quoted(wire[at:]), len(wire)


_NAME = _Field(name_to_wire, _name_text)
_TAG = _Field(_tag_to_wire, _tag_text)
_CAA_VALUE = _Field(_caa_value_to_wire, _caa_value_text)


def _u8(prefix: str, what: str) -> _Field:
    return _number(1, f"{prefix} ({what} must be a number from 0 to 255)")


def _u16(prefix: str, what: str) -> _Field:
    return _number(2, f"{prefix} ({what} must be a number from 0 to 65535)")


_SOA_NUMBER = _number(4, "SOARRDATAInvalidNumber (SOA numbers must be from 0 to 4294967295)")
_SOA_FIELDS = (_NAME, _NAME, *(_SOA_NUMBER,) * 5)

_FORMS: dict[str, _Form] = {
    "A": _Form(
        1,
        (_ipv4("ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),),
        "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)",
        "ARRDATANotSingleField (Value contains spaces)",
    ),
    "AAAA": _Form(
        28,
        (_ipv6("AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"),),
        "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)",
        "AAAARRDATANotSingleField (Value contains spaces)",
    ),
    "CNAME": _Form(5, (_NAME,), _UNSUPPORTED),
    "NS": _Form(2, (_NAME,), _UNSUPPORTED),
    "PTR": _Form(12, (_NAME,), _UNSUPPORTED),
    "MX": _Form(
        15,
        (_u16("MXRRDATAInvalidPreference", "MX preference"), _NAME),
        "MXRRDATANotTwoFields (MX record doesn't have 2 fields)",
    ),
    "SRV": _Form(
        33,
        (
            _u16("SRVRRDATAInvalidPriority", "SRV priority"),
            _u16("SRVRRDATAInvalidWeight", "SRV weight"),
            _u16("SRVRRDATAInvalidPort", "SRV port"),
            _NAME,
        ),
        "SRVRRDATANotFourFields (SRV record doesn't have 4 fields)",
    ),
    "SOA": _Form(6, _SOA_FIELDS, "SOARRDATANotSevenFields (SOA record doesn't have 7 fields)"),
    "CAA": _Form(
        257,
        (_u8("CAARRDATAInvalidFlags", "CAA flags"), _TAG, _CAA_VALUE),
        "CAARRDATANotThreeFields (CAA record doesn't have 3 fields)",
    ),
    "TLSA": _Form(
        52,
        (
            _u8("TLSARRDATAInvalidUsage", "TLSA certificate usage"),
            _u8("TLSARRDATAInvalidSelector", "TLSA selector"),
            _u8("TLSARRDATAInvalidMatchingType", "TLSA matching type"),
            _hexadecimal("TLSARRDATAInvalidData (TLSA data must be hexadecimal)"),
        ),
        "TLSARRDATANotFourFields (TLSA record doesn't have 4 fields)",
        digests={1: 32, 2: 64},
    ),
    "DS": _Form(
        43,
        (
            _u16("DSRRDATAInvalidKeyTag", "DS key tag"),
            _u8("DSRRDATAInvalidAlgorithm", "DS algorithm"),
            _u8("DSRRDATAInvalidDigestType", "DS digest type"),
            _hexadecimal("DSRRDATAInvalidDigest (DS digest must be hexadecimal)"),
        ),
        "DSRRDATANotFourFields (DS record doesn't have 4 fields)",
        digests={1: 20, 2: 32, 4: 48},
    ),
    "SSHFP": _Form(
        44,
        (
            _u8("SSHFPRRDATAInvalidAlgorithm", "SSHFP algorithm"),
            _u8("SSHFPRRDATAInvalidType", "SSHFP fingerprint type"),
            _hexadecimal("SSHFPRRDATAInvalidFingerprint (SSHFP fingerprint must be hexadecimal)"),
        ),
        "SSHFPRRDATANotThreeFields (SSHFP record doesn't have 3 fields)",
        digests={1: 20, 2: 32},
    ),
}
_STRINGS = {"TXT": 16, "SPF": 99}

TYPES: dict[str, int] = {name: form.code for name, form in _FORMS.items()} | _STRINGS
"""Types that are known here, and their numbers (IANA, DNS Parameters)."""
TYPE_NAMES: dict[int, str] = {code: name for name, code in TYPES.items()}


def to_wire(record_type: str, value: str) -> bytes:
    """A value's wire form. RdataError for what is none, or for a type not in `TYPES`."""
    if record_type not in TYPES:
        raise RdataError(f"records of type {record_type} are not supported")
    try:
        if record_type in _STRINGS:
            return _strings_to_wire(value)
        return _fields_to_wire(_FORMS[record_type], value)
    except _Unfit as unfit:
        raise RdataError(f"FATAL problem: {unfit} encountered with '{value}'") from None
    except DomainNameError as error:
        raise RdataError(error.text) from None


def _fields_to_wire(form: _Form, value: str) -> bytes:
    # The last field takes the rest: quoted text and hexadecimal may hold blanks.
    words = value.split(None, len(form.fields) - 1)
    if len(words) != len(form.fields):
        raise _Unfit(form.problem)
    last = words[-1].rstrip()
    if form.spaced and len(last.split()) > 1:
        raise _Unfit(form.spaced)
    if form.fields[-1] is _NAME and len(last.split()) > 1:
        raise _Unfit(form.problem)
    parts = [one.to_wire(word) for one, word in zip(form.fields, [*words[:-1], last], strict=True)]
    if form.digests and form.digests.get(parts[-2][-1], len(parts[-1])) != len(parts[-1]):
        raise _Unfit("InvalidDigestLength (Digest has the wrong length for its type)")
    return b"".join(parts)


def to_text(record_type: str, wire: bytes) -> str:
    """The presentation form of a wire form that `to_wire` made."""
    if record_type in _STRINGS:
        return " ".join(map(_quoted, _strings(wire)))
    words: list[str] = []
    at = 0
    for one in _FORMS[record_type].fields:
        word, at = one.to_text(wire, at)
        words.append(word)
    return " ".join(words)


def to_record(record_type: str, wire: bytes) -> Record:
    """What a look-up for the type answers; a type without a value of its own, as text."""
    if record_type in _STRINGS:
        return b"".join(_strings(wire))
    text = to_text(record_type, wire)
    if record_type == "MX":
        preference, exchange = text.split()
        return int(preference), exchange[:-1]
    return text[:-1] if _FORMS[record_type].fields == (_NAME,) else text


def quote_text(text: str) -> str:
    """A TXT value for a text of any length, cut into strings of at most 255 octets."""
    octets = text.encode()
    cuts = range(0, max(len(octets), 1), STRING_LIMIT)
    return " ".join(_quoted(octets[cut : cut + STRING_LIMIT]) for cut in cuts)


def _strings_to_wire(value: str) -> bytes:
    value = value.strip()
    out = bytearray()
    at = 0
    while at < len(value):
        found = _QUOTED.match(value, at)
        if found is None:
            raise _Unfit(_NOT_QUOTED)
        octets = _octets(found[1])
        if len(octets) > STRING_LIMIT:
            raise _Unfit(_TOO_LONG)
        out.append(len(octets))
        out += octets
        at = found.end()
    if not out:
        raise _Unfit(_NOT_QUOTED)
    return bytes(out)


def _strings(wire: bytes) -> list[bytes]:
    strings: list[bytes] = []
    at = 0
    while at < len(wire):
        end = at + 1 + wire[at]
        strings.append(wire[at + 1 : end])
        at = end
    return strings
