"""The order in which resources are made: what each one needs, and cycles found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter

from mailstead.api.cloudformation.intrinsics import references
from mailstead.wire.template import Template, TemplateError


def needs(template: Template, alive: Collection[str]) -> dict[str, frozenset[str]]:
    """What each resource that is alive needs first. TemplateError for a cycle or a bad name."""
    edges: dict[str, frozenset[str]] = {}
    for name in alive:
        declared = template.resources[name]
        for other in declared.depends_on:
            if other not in template.resources:
                raise TemplateError(
                    "Template format error: Unresolved resource dependencies "
                    f"[{other}] in the Resources block of the template"
                )
        wanted = {*references(template, declared.properties), *declared.depends_on}
        edges[name] = frozenset(wanted & set(alive))
    order(edges)
    return edges


def order(edges: Mapping[str, Collection[str]]) -> list[str]:
    """One order that respects the edges. TemplateError names the members of a cycle."""
    try:
        # Sorted: what is free to come in any order comes in the same one every time.
        known = {name: sorted(edges[name]) for name in sorted(edges)}
        return list(TopologicalSorter(known).static_order())
    except CycleError as error:
        members = sorted(set(error.args[1]))
        raise TemplateError(
            f"Circular dependency between resources: [{', '.join(members)}]"
        ) from None
