"""Simple values of a service model as text and as JSON: numbers, times, blobs.

Inside, a timestamp is seconds since 1970 UTC (``float``) and a blob is
``bytes``. Which of the three time formats is sent depends on the protocol and
on the shape; all three are understood wherever text is read.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from mailstead.wire.aws_constraints import Check, scalar_check
from mailstead.wire.aws_model import Kind, Path, Problems, Shape, WireError

FromText = Callable[[str, Path, Problems], Any]
"""Decodes text; raises WireError, or adds to the problems."""

FromJson = Callable[[Any, Path, Problems], Any]
"""Decodes a parsed JSON value, likewise."""

NULL = "Member must not be null"

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_RFC822 = re.compile(
    r"(?:[A-Za-z]{3,9}, )?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d)(?:\.\d+)? "
    r"(?:GMT|UTC|UT|Z|([+-])(\d\d)(\d\d))",
    re.ASCII,
)
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{1,9})?", re.ASCII)
_FLOAT = re.compile(r"[+-]?(?:\d{1,40}(?:\.\d{0,40})?|\.\d{1,40})(?:[eE][+-]?\d{1,3})?", re.ASCII)
_LIMITS = {"integer": 2**31, "long": 2**63}
_ARTICLES = {
    "string": "a String",
    "boolean": "a Boolean",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "timestamp": "a Timestamp",
    "blob": "a Blob",
}
_TRUE = frozenset({"true", "yes", "y", "t", "1"})
_FALSE = frozenset({"false", "no", "n", "f", "0"})


def malformed(text: str) -> WireError:
    """The error of bytes or types that a shape cannot hold."""
    return WireError(Kind.MALFORMED, text)


# Times


def read_time(text: str) -> float:
    """Seconds since 1970 from any of the three formats; anything else is a ValueError."""
    if _NUMBER.fullmatch(text):
        return float(text)
    if found := _RFC822.fullmatch(text):
        day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
        if month not in _MONTHS:
            raise ValueError(text)
        offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        zone = timezone(-offset if sign == "-" else offset)
        number = _MONTHS.index(month) + 1
        return datetime(
            int(year), number, int(day), int(hour), int(minute), int(second), tzinfo=zone
        ).timestamp()
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def iso8601(seconds: float) -> str:
    """``2010-07-27T22:26:28Z``, with milliseconds where there are some."""
    moment = datetime.fromtimestamp(round(seconds * 1000) / 1000, UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{moment.microsecond // 1000:03d}Z" if moment.microsecond else f"{text}Z"


def rfc822(seconds: float) -> str:
    """``Tue, 27 Jul 2010 22:26:28 GMT``, the form of HTTP headers."""
    at = datetime.fromtimestamp(int(seconds), UTC)
    day, month = _DAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02d} {month} {at.year:04d} {at:%H:%M:%S} GMT"


def epoch(seconds: float) -> float:
    """Seconds for JSON: whole where they are whole, else with milliseconds."""
    whole = int(seconds)
    return whole if whole == seconds else round(seconds, 3)


_TIME_FORMATS: dict[str, Callable[[float], str]] = {
    "iso8601": iso8601,
    "rfc822": rfc822,
    "unixTimestamp": lambda seconds: str(epoch(seconds)),
}


# Text: forms, XML, paths, queries, headers


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered in {"true", "1"}:
        return True
    if lowered in {"false", "0"}:
        return False
    raise ValueError(text)


def _whole(limit: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if len(text) > 20:
            raise ValueError(text)
        number = int(text)
        if not -limit <= number < limit:
            raise ValueError(text)
        return number

    return convert


def _real(text: str) -> float:
    if text in {"NaN", "Infinity", "-Infinity"} or _FLOAT.fullmatch(text):
        return float(text)
    raise ValueError(text)


def unbase64(text: str) -> bytes:
    """The bytes of strict base64 (RFC 4648 4); anything else is a ValueError."""
    return binascii.a2b_base64(text, strict_mode=True)


def base64(content: bytes) -> str:
    """Base64 without line ends."""
    return binascii.b2a_base64(content, newline=False).decode()


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "boolean": _boolean,
    "integer": _whole(_LIMITS["integer"]),
    "long": _whole(_LIMITS["long"]),
    "float": _real,
    "double": _real,
    "timestamp": read_time,
    "blob": unbase64,
}


def from_text(shape: Shape, *, checked: bool = True) -> FromText:
    """The decoder of a simple shape that is sent as text.

    ``checked`` False for members of lists and maps: those check theirs together.
    """
    check = scalar_check(shape) if checked else None
    if shape["type"] == "string":
        return _plain if check is None else _checked_text(check)
    convert = _CONVERSIONS[shape["type"]]
    what = _ARTICLES[shape["type"]]

    def decode(text: str, path: Path, problems: Problems) -> Any:
        try:
            value = convert(text)
        except (ValueError, OverflowError):
            raise malformed(f"STRING_VALUE can not be converted to {what}") from None
        if check is not None:
            check(value, path, problems)
        return value

    return decode


def _plain(text: str, path: Path, problems: Problems) -> str:
    return text


def _checked_text(check: Check) -> FromText:
    def decode(text: str, path: Path, problems: Problems) -> str:
        check(text, path, problems)
        return text

    return decode


def to_text(shape: Shape, time_format: str) -> Callable[[Any], str]:
    """The encoder of a simple shape as text; ``time_format`` where the shape names none."""
    kind: str = shape["type"]
    if kind == "timestamp":
        return _TIME_FORMATS[shape.get("timestampFormat", time_format)]
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind == "blob":
        return base64
    return str


# JSON


def converted(value: Any, kind: str) -> WireError:
    """The error for a JSON value that is no such simple value, in AWS's words."""
    if isinstance(value, (list, dict)):
        return unexpected(value)
    if isinstance(value, bool):
        found = "TRUE_VALUE" if value else "FALSE_VALUE"
    else:
        found = "STRING_VALUE" if isinstance(value, str) else "NUMBER_VALUE"
    return malformed(f"{found} can not be converted to {_ARTICLES[kind]}")


def unexpected(value: Any) -> WireError:
    """The error for a list, or for a structure, where the shape has none."""
    if isinstance(value, list):
        return malformed("Start of list found where not expected")
    return malformed("Start of structure or map found where not expected.")


def _json_string(value: Any) -> str:
    if type(value) is str:
        return value
    raise converted(value, "string")


def _json_boolean(value: Any) -> bool:
    if type(value) is bool:
        return value
    # SES takes a word for a boolean; one that does not say no says yes.
    if type(value) is str:
        return value.lower() not in _FALSE
    raise converted(value, "boolean")


def _json_whole(kind: str) -> Callable[[Any], int]:
    limit = _LIMITS[kind]

    def convert(value: Any) -> int:
        if type(value) is int or (type(value) is float and value.is_integer()):
            number = int(value)
            if -limit <= number < limit:
                return number
        raise converted(value, kind)

    return convert


def _json_real(kind: str) -> Callable[[Any], float]:
    def convert(value: Any) -> float:
        if type(value) is float:
            return value
        if type(value) is int and abs(value) < 2**1000:
            return float(value)
        if type(value) is str and value in {"NaN", "Infinity", "-Infinity"}:
            return float(value)
        raise converted(value, kind)

    return convert


def _json_time(value: Any) -> float:
    if type(value) is int or type(value) is float:
        if abs(value) < 10**15:
            return float(value)
    elif type(value) is str:
        try:
            return read_time(value)
        except (ValueError, OverflowError):
            pass
    raise converted(value, "timestamp")


def _json_blob(value: Any) -> bytes:
    if type(value) is str:
        try:
            return unbase64(value)
        except ValueError:
            pass
    raise converted(value, "blob")


_JSON: dict[str, Callable[[Any], Any]] = {
    "string": _json_string,
    "boolean": _json_boolean,
    "integer": _json_whole("integer"),
    "long": _json_whole("long"),
    "float": _json_real("float"),
    "double": _json_real("double"),
    "timestamp": _json_time,
    "blob": _json_blob,
}


def from_json(shape: Shape, *, checked: bool = True) -> FromJson:
    """The decoder of a simple shape in a JSON body; ``checked`` as in `from_text`."""
    convert = _JSON[shape["type"]]
    check = scalar_check(shape) if checked else None
    if check is None:
        return lambda value, path, problems: convert(value)

    def decode(value: Any, path: Path, problems: Problems) -> Any:
        known = convert(value)
        check(known, path, problems)
        return known

    return decode


def json_encoder(shape: Shape) -> Callable[[Any], Any] | None:
    """The encoder of a simple shape in a JSON body; None where the value goes as it is."""
    if shape["type"] == "blob":
        return base64
    if shape["type"] == "timestamp":
        format_ = shape.get("timestampFormat", "unixTimestamp")
        return epoch if format_ == "unixTimestamp" else _TIME_FORMATS[format_]
    return None
