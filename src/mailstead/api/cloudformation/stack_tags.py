"""Stack tags: every resource that can have tags gets them, but for keys that it names itself.

Source: CloudFormation API Reference, CreateStack, ``Tags``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from mailstead.api.cloudformation.resources import Registry, ResourceType
from mailstead.wire.template import Declared, Template

_PROPERTIES = ("Tags", "HostedZoneTags")


def with_stack_tags(template: Template, registry: Registry, tags: Mapping[str, str]) -> Template:
    """The template, the stack's tags among its resources' own."""
    if not tags:
        return template
    resources = {
        name: _tagged(declared, registry.get(declared.type), tags)
        for name, declared in template.resources.items()
    }
    return replace(template, resources=resources)


def _tagged(declared: Declared, kind: ResourceType | None, tags: Mapping[str, str]) -> Declared:
    known = kind.schema.properties if kind is not None else {}
    for name in _PROPERTIES:
        if name in known:
            merged = _merged(declared.properties.get(name), tags)
            return replace(declared, properties={**declared.properties, name: merged})
    return declared


def _merged(own: Any, tags: Mapping[str, str]) -> Any:
    """A resource's own tags, a list or a mapping, and the stack's after them.

    What an intrinsic function gives is not known yet, and stays alone.
    """
    if isinstance(own, dict):
        given = cast("dict[str, Any]", own)
        whole = len(given) == 1 and next(iter(given)).startswith(("Fn::", "Ref"))
        return given if whole else {**tags, **given}
    if own is not None and not isinstance(own, list):
        return own
    parts = cast("list[Any]", own or [])
    named = {cast("dict[str, Any]", one).get("Key") for one in parts if isinstance(one, dict)}
    more = [{"Key": key, "Value": value} for key, value in tags.items() if key not in named]
    return [*parts, *more]
