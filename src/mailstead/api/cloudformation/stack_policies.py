"""Stack policies: which updates of which resources an update of the stack may do.

Where a stack has one, all is denied that no statement allows, and what one denies
stays denied. Creations are no updates, and a stack's deletion is not asked about.
Source: CloudFormation User Guide, "Prevent updates to stack resources".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from mailstead.mail.access_conditions import glob
from mailstead.mail.errors import Invalid

MODIFY, REPLACE, DELETE = "Update:Modify", "Update:Replace", "Update:Delete"
_ACTIONS = frozenset({MODIFY, REPLACE, DELETE, "Update:*"})
_MEMBERS = frozenset(
    {
        "Action", "Condition", "Effect", "NotAction", "NotPrincipal", "NotResource", "Principal",
        "Resource", "Sid",
    }
)  # fmt: skip
_PREFIX = "LogicalResourceId/"
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda pattern, found: pattern == found,
    "StringLike": lambda pattern, found: glob(pattern).fullmatch(found) is not None,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One statement."""

    allow: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    other_actions: bool = False
    other_resources: bool = False
    types: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(test, values) that the resource's type must pass."""

    def covers(self, action: str, logical_id: str, kind: str) -> bool:
        """Whether the statement is about this update of this resource."""
        if any(one in (action, "Update:*") for one in self.actions) is self.other_actions:
            return False
        name = f"{_PREFIX}{logical_id}"
        named = any(glob(one).fullmatch(name) is not None for one in self.resources)
        if named is self.other_resources:
            return False
        return all(any(_TESTS[test](one, kind) for one in values) for test, values in self.types)


@lru_cache(maxsize=256)
def parse_stack_policy(document: str) -> tuple[Rule, ...]:
    """The statements of a document; none for an empty one. Invalid in CloudFormation's words."""
    try:
        parsed = json.loads(document)
    except (ValueError, RecursionError):
        raise _invalid() from None
    if not isinstance(parsed, dict):
        raise _invalid()
    whole = cast("dict[str, Any]", parsed)
    if not whole:
        return ()
    found: Any = whole.get("Statement")
    statements: list[Any] = found if isinstance(found, list) else [found]
    if not statements or not whole.keys() <= {"Id", "Statement", "Version"}:
        raise _invalid()
    return tuple(_rule(one) for one in statements)


def _rule(given: Any) -> Rule:
    if not isinstance(given, dict) or not given.keys() <= _MEMBERS:
        raise _invalid()
    one = cast("dict[str, Any]", given)
    actions = _either(one, "Action")
    resources = _either(one, "Resource")
    if one.get("Effect") not in ("Allow", "Deny") or one.get("Principal") not in ("*", ["*"]):
        raise _invalid()
    if not _ACTIONS.issuperset(actions):
        raise _invalid()
    if not all(name == "*" or name.startswith(_PREFIX) for name in resources):
        raise _invalid()
    return Rule(
        one["Effect"] == "Allow",
        actions,
        resources,
        "NotAction" in one,
        "NotResource" in one,
        _types(one.get("Condition", {})),
    )


def _either(one: dict[str, Any], name: str) -> tuple[str, ...]:
    if (name in one) is (f"Not{name}" in one):
        raise _invalid()
    return _texts(one.get(name, one.get(f"Not{name}")))


def _types(condition: Any) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not isinstance(condition, dict):
        raise _invalid()
    found: list[tuple[str, tuple[str, ...]]] = []
    for test, keys in cast("dict[str, Any]", condition).items():
        if test not in _TESTS or not isinstance(keys, dict) or set(keys) != {"ResourceType"}:
            raise _invalid()
        found.append((test, _texts(keys["ResourceType"])))
    return tuple(found)


def _texts(value: Any) -> tuple[str, ...]:
    items: list[Any] = value if isinstance(value, list) else [value]
    if not items or not all(isinstance(one, str) for one in items):
        raise _invalid()
    return tuple(items)


def denial(document: str, action: str, logical_id: str, kind: str) -> str:
    """Why a stack policy does not allow an update of a resource; "" where it does.

    Invalid for a document that is none.
    """
    rules = parse_stack_policy(document) if document else ()
    if not rules:
        return ""
    covering = [
        (place, rule) for place, rule in enumerate(rules) if rule.covers(action, logical_id, kind)
    ]
    denying = [(place, rule) for place, rule in covering if not rule.allow]
    if denying:
        return "Action denied by stack policy: " + " ".join(
            f"Statement [#{place}] does not allow [{', '.join(rule.actions)}] for resource "
            f"[{', '.join(rule.resources)}];"
            for place, rule in denying
        )
    return "" if covering else "Action not allowed by stack policy"


def _invalid() -> Invalid:
    return Invalid("Error validating stack policy: Invalid stack policy", resource="stack-policy")
