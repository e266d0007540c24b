"""The constraints of a service model, checked and refused in AWS's words.

Lengths, ranges, patterns and enumerations stand on shapes. The texts were seen
from AWS; a list's or map's simple members are judged together, with the text of
all constraints that the member has, as AWS does.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from mailstead.wire.aws_model import Path, Problems, Shape

Check = Callable[[Any, Path, Problems], None]
"""Looks at a decoded value, and adds what is wrong with it."""

Test = Callable[[Any], bool]

SCALARS = frozenset(
    {"string", "blob", "integer", "long", "float", "double", "boolean", "timestamp"}
)
"""The simple types of the models."""

_SEPARATORS = r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_PROPERTIES = {
    r"\p{L}": r"\w",
    r"\p{N}": "",
    r"\p{Z}": _SEPARATORS,
    r"\p{ASCII}": r"[\x00-\x7f]",
}


def _pattern(written: str) -> re.Pattern[str] | None:
    r"""The model's (Java) pattern for Python; None for the few that have no equivalent.

    Java's ``\w`` and ``\d`` are ASCII. In the patterns with Unicode properties
    letters and numbers stand together with the underscore, which is ``\w``.
    """
    translated = written
    for java, python in _PROPERTIES.items():
        translated = translated.replace(java, python)
    flags = re.ASCII if translated == written else re.NOFLAG
    try:
        return re.compile(translated, flags)
    except re.error:
        return None


def tests(shape: Shape) -> list[tuple[Test, str]]:
    """The tests of a simple shape, each with the text for a value that fails it."""
    found: list[tuple[Test, str]] = []
    kind: str = shape["type"]
    if (choices := shape.get("enum")) is not None:
        among = frozenset(choices)
        listed = ", ".join(choices)
        found.append((lambda v: v in among, f"Member must satisfy enum value set: [{listed}]"))
    most, least = shape.get("max"), shape.get("min")
    if kind in {"string", "blob"}:
        found += _lengths(most, least)
    elif kind in {"integer", "long", "float", "double"}:
        if most is not None:
            found.append((lambda v: v <= most, _at_most("value", most)))
        if least is not None:
            found.append((lambda v: v >= least, _at_least("value", least)))
    if kind == "string" and "pattern" in shape:
        matcher = _pattern(shape["pattern"])
        if matcher is not None:
            text = f"Member must satisfy regular expression pattern: {shape['pattern']}"
            found.append((lambda v: matcher.fullmatch(v) is not None, text))
    return found


def _lengths(most: int | None, least: int | None) -> list[tuple[Test, str]]:
    found: list[tuple[Test, str]] = []
    if most is not None:
        found.append((lambda v: len(v) <= most, _at_most("length", most)))
    if least:
        found.append((lambda v: len(v) >= least, _at_least("length", least)))
    return found


def _at_most(what: str, limit: float) -> str:
    return f"Member must have {what} less than or equal to {limit}"


def _at_least(what: str, limit: float) -> str:
    return f"Member must have {what} greater than or equal to {limit}"


def _all_of(found: list[tuple[Test, str]]) -> Check | None:
    """One function for a value's own tests."""
    if not found:
        return None
    if len(found) == 1:
        (test, text), = found  # fmt: skip

        def check_one(value: Any, path: Path, problems: Problems) -> None:
            if not test(value):
                problems.append((path, text))

        return check_one

    def check(value: Any, path: Path, problems: Problems) -> None:
        # A value of the wrong length is not matched against the pattern too:
        # the length is what bounds the matcher's work.
        for test, text in found:
            if not test(value):
                problems.append((path, text))
                return

    return check


def scalar_check(shape: Shape) -> Check | None:
    """The check of a simple shape, None where the model demands nothing."""
    return _all_of(tests(shape))


def list_check(shape: Shape, member: Shape) -> Check | None:
    """The check of a list: its length, and its members where those are simple."""
    own = _all_of(_lengths(shape.get("max"), shape.get("min")))
    inner = tests(member) if member["type"] in SCALARS else []
    if not inner:
        return own
    text = f"Member must satisfy constraint: [{', '.join(text for _, text in inner)}]"

    def check(value: list[Any], path: Path, problems: Problems) -> None:
        if own is not None:
            own(value, path, problems)
        if not all(test(item) for item in value for test, _ in inner):
            problems.append((path, text))

    return check


def map_check(shape: Shape, key: Shape, value: Shape) -> Check | None:
    """The check of a map: its size, its keys, and its values where those are simple."""
    own = _all_of(_lengths(shape.get("max"), shape.get("min")))
    sides = [
        (which, found, f"{words} must satisfy constraint: [{', '.join(t for _, t in found)}]")
        for which, words, found in (
            (0, "Map keys", tests(key)),
            (1, "Map value", tests(value) if value["type"] in SCALARS else []),
        )
        if found
    ]
    if own is None and not sides:
        return None

    def check(content: dict[str, Any], path: Path, problems: Problems) -> None:
        if own is not None:
            own(content, path, problems)
        for which, found, text in sides:
            if not all(test(pair[which]) for pair in content.items() for test, _ in found):
                problems.append((path, text))

    return check
