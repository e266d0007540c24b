"""What a change set would do, resource by resource, without doing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mailstead.api.cloudformation.engine import attributes_of
from mailstead.api.cloudformation.graph import order
from mailstead.api.cloudformation.intrinsics import Attributes, Unresolved
from mailstead.api.cloudformation.model import Change, StackResource, opened
from mailstead.api.cloudformation.plan import Plan
from mailstead.api.cloudformation.resources import Registry, changed


@dataclass(frozen=True, slots=True)
class _Look:
    """The stack as it is, and what is known of where it goes."""

    plan: Plan
    registry: Registry
    records: Mapping[str, StackResource]


def changes(
    plan: Plan, registry: Registry, records: Mapping[str, StackResource]
) -> tuple[Change, ...]:
    """The changes in an order that respects what needs what; unchanged resources left out."""
    look = _Look(plan, registry, records)
    found: list[Change] = []
    # What stays as it is keeps what Ref and GetAtt give of it.
    known = {name: attributes_of(record) for name, record in records.items()}
    for name in order(plan.needs):
        change = _change(look, name, known)
        if change is not None:
            found.append(change)
            if change.action == "Add" or change.replacement == "True":
                known.pop(name, None)
    found += [
        Change("Remove", name, record.type, record.physical_id)
        for name, record in sorted(records.items())
        if name not in plan.alive
    ]
    return tuple(found)


def _change(look: _Look, name: str, known: Mapping[str, Attributes]) -> Change | None:
    declared = look.plan.template.resources[name]
    record = look.records.get(name)
    if record is None:
        return Change("Add", name, declared.type)
    kind = look.registry.get(declared.type)
    if kind is None:
        return None
    old = opened(record.properties)
    new, waits = evaluated(look.plan, declared.properties, known)
    names = [one for one in changed(kind.schema, old, new) if one not in waits]
    if not names and not waits:
        return None
    replacing = bool(names) and kind.replaces(old, {**old, **{n: new.get(n) for n in names}})
    replacement = "True" if replacing else "Conditional" if waits else "False"
    details = tuple(
        (one, "Always" if one in kind.schema.create_only else "Never") for one in names
    ) + tuple((one, "Conditionally") for one in sorted(waits))
    scope = ("Tags",) if names == ["Tags"] and not waits else ("Properties",)
    return Change("Modify", name, declared.type, record.physical_id, replacement, scope, details)


def evaluated(
    plan: Plan, properties: Mapping[str, Any], known: Mapping[str, Attributes]
) -> tuple[dict[str, Any], frozenset[str]]:
    """Properties as far as they can be known, and the names of those that can't yet."""
    evaluator = plan.with_resources(known)
    found: dict[str, Any] = {}
    waits: set[str] = set()
    for name, value in properties.items():
        try:
            one = evaluator.evaluate({name: value})
        except Unresolved:
            waits.add(name)
            continue
        found |= one
    return found, frozenset(waits)
