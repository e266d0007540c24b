"""Condition blocks of IAM policies: operators, set operators, missing keys, variables.

Source: the IAM User Guide, "IAM JSON policy elements: Condition operators" and
"Multivalued context keys". Keys are compared without case. A context maps a
lower-case key to one text or to several; a key that is not there is missing,
which a positive operator never matches and a negated one always does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address, ip_network

from mailstead.wire.aws_scalars import read_time

Context = Mapping[str, str | tuple[str, ...]]
"""Condition keys of a request, lower-case, with their values."""

Compare = Callable[[str, str], bool]
"""(the request's value, the policy's value, variables filled in)."""

_VARIABLE = re.compile(r"\$\{([^}]{1,200})\}")
_LITERALS = {"*": "\ue000", "?": "\ue001", "$": "$"}
"""What ``${*}`` stands for: a character that is no wildcard, given back after compiling."""


@lru_cache(maxsize=8192)
def glob(pattern: str, *, fold: bool = False) -> re.Pattern[str]:
    """A pattern with ``*`` and ``?`` as an expression for ``fullmatch``.

    What stands between two stars is taken where it is first found, for good, so
    that no pattern takes more than a pass over the text.
    """
    first, *middle = ("".join(map(_escaped, part)) for part in re.split(r"\*+", pattern))
    if middle:
        last = middle.pop()
        first += "".join(f"(?>.*?{part})" for part in middle) + f".*{last}"
    return re.compile(first, re.DOTALL | (re.IGNORECASE if fold else re.NOFLAG))


def _escaped(character: str) -> str:
    if character == "?":
        return "."
    for literal, stand_in in _LITERALS.items():
        if character == stand_in:
            return re.escape(literal)
    return re.escape(character)


def filled(text: str, context: Context) -> str | None:
    """A policy's text with its ``${variables}``; None where one has no single value.

    A default may follow in quotes: ``${aws:username, 'nobody'}``.
    """
    if "${" not in text:
        return text
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name, comma, default = found[1].partition(",")
        if name in _LITERALS:
            return _LITERALS[name]
        held = context.get(name.strip().lower())
        if isinstance(held, str):
            # A value's own stars are no wildcards.
            return held.replace("*", _LITERALS["*"]).replace("?", _LITERALS["?"])
        if comma:
            return default.strip().strip("'")
        missing = True
        return ""

    written = _VARIABLE.sub(value, text)
    return None if missing else written


def plain(text: str) -> str:
    """A filled text for operators without wildcards."""
    return text.replace(_LITERALS["*"], "*").replace(_LITERALS["?"], "?")


def _like(value: str, wanted: str) -> bool:
    return glob(wanted).fullmatch(value) is not None


def _arn(value: str, wanted: str) -> bool:
    """Part by part: a star does not reach over a colon, but in the last part."""
    parts, patterns = value.split(":", 5), wanted.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(_like, parts, patterns))


def _number(compare: Callable[[float, float], bool]) -> Compare:
    def run(value: str, wanted: str) -> bool:
        try:
            return compare(float(value), float(plain(wanted)))
        except ValueError:
            return False

    return run


def _date(compare: Callable[[float, float], bool]) -> Compare:
    def run(value: str, wanted: str) -> bool:
        try:
            return compare(read_time(value), read_time(plain(wanted)))
        except (ValueError, OverflowError):
            return False

    return run


def _address(value: str, wanted: str) -> bool:
    try:
        return ip_address(value) in ip_network(plain(wanted), strict=False)
    except ValueError:
        return False


def _equal(value: str, wanted: str) -> bool:
    return value == plain(wanted)


def _equal_folded(value: str, wanted: str) -> bool:
    return value.casefold() == plain(wanted).casefold()


_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "Equals": lambda a, b: a == b,
    "LessThan": lambda a, b: a < b,
    "LessThanEquals": lambda a, b: a <= b,
    "GreaterThan": lambda a, b: a > b,
    "GreaterThanEquals": lambda a, b: a >= b,
}

OPERATORS: dict[str, tuple[Compare, bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_folded, False),
    "StringNotEqualsIgnoreCase": (_equal_folded, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    "Bool": (_equal_folded, False),
    "BinaryEquals": (_equal, False),
    "IpAddress": (_address, False),
    "NotIpAddress": (_address, True),
    **{f"Numeric{name}": (_number(test), False) for name, test in _COMPARISONS.items()},
    **{f"Date{name}": (_date(test), False) for name, test in _COMPARISONS.items()},
    "NumericNotEquals": (_number(_COMPARISONS["Equals"]), True),
    "DateNotEquals": (_date(_COMPARISONS["Equals"]), True),
}
"""Each operator's comparison, and whether it is negated."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one key with its values, of which one must match (negated: none)."""

    operator: str
    """Without prefix and suffix."""
    key: str
    values: tuple[str, ...]
    if_exists: bool = False
    every: bool | None = None
    """True for ``ForAllValues``, False for ``ForAnyValue``, None without a prefix."""

    def holds(self, context: Context) -> bool:
        """Whether the request satisfies the condition."""
        held = context.get(self.key)
        if self.operator == "Null":
            return any(value.lower() == str(held is None).lower() for value in self.values)
        compare, negated = OPERATORS[self.operator]
        values = (held,) if isinstance(held, str) else held
        if not values:
            return self._missing(negated)
        wanted = [text for text in (filled(v, context) for v in self.values) if text is not None]

        def one(value: str) -> bool:
            return any(compare(value, text) for text in wanted) != negated

        # Without a prefix a negated operator refuses if any of the values matches.
        every = negated if self.every is None else self.every
        return all(map(one, values)) if every else any(map(one, values))

    def _missing(self, negated: bool) -> bool:
        if self.every is not None:
            return self.every or self.if_exists
        return negated or self.if_exists


def operator_parts(written: str) -> tuple[str, bool, bool | None] | None:
    """(operator, IfExists, set prefix) of ``ForAllValues:StringLikeIfExists``; None if unknown."""
    every: bool | None = None
    prefix, colon, name = written.partition(":")
    if colon:
        every = {"ForAllValues": True, "ForAnyValue": False}.get(prefix)
        if every is None:
            return None
    else:
        name = prefix
    operator = name.removesuffix("IfExists")
    if operator == "Null":
        # It asks whether the key exists, and takes neither prefix nor suffix.
        return (operator, False, None) if written == "Null" else None
    return (operator, name != operator, every) if operator in OPERATORS else None
