"""CloudFormation templates, JSON or YAML, as plain values.

YAML is read by a loader of our own: without aliases, anchors, merge keys, dates
and octal numbers, since templates come from strangers and mean what they say.
Short forms (``!Ref``, ``!GetAtt``, ``!Sub`` ...) become the long ones. Source:
CloudFormation User Guide, "Template anatomy".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

LARGEST = 1_000_000
"""Octets of a template; CloudFormation's own limit for one in a bucket."""
DEEPEST = 100
SECTIONS = frozenset(
    {
        "AWSTemplateFormatVersion",
        "Conditions",
        "Description",
        "Hooks",
        "Mappings",
        "Metadata",
        "Outputs",
        "Parameters",
        "Resources",
        "Rules",
        "Transform",
    }
)
_ATTRIBUTES = frozenset(
    {
        "Condition",
        "CreationPolicy",
        "DeletionPolicy",
        "DependsOn",
        "Metadata",
        "Properties",
        "Type",
        "UpdatePolicy",
        "UpdateReplacePolicy",
    }
)


class TemplateError(ValueError):
    """A template that can't be used; the text is CloudFormation's or says where it is wrong."""


@dataclass(frozen=True, slots=True)
class Declared:
    """One entry of ``Resources``."""

    logical_id: str
    type: str
    properties: dict[str, Any] = field(default_factory=dict[str, Any])
    condition: str = ""
    depends_on: tuple[str, ...] = ()
    deletion_policy: str = "Delete"
    update_replace_policy: str = "Delete"


@dataclass(frozen=True, slots=True)
class Template:
    """A template, taken apart."""

    resources: dict[str, Declared]
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    mappings: dict[str, Any] = field(default_factory=dict[str, Any])
    conditions: dict[str, Any] = field(default_factory=dict[str, Any])
    rules: dict[str, Any] = field(default_factory=dict[str, Any])
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])
    description: str = ""
    metadata: Any = None
    transforms: tuple[str, ...] = ()


def parse_template(text: str) -> Template:
    """Take a template apart. TemplateError says what is wrong."""
    return _template(parse_body(text))


def parse_body(text: str) -> dict[str, Any]:
    """The values of a template's text."""
    if len(text.encode()) > LARGEST:
        raise TemplateError(f"Template may not exceed {LARGEST} bytes in size.")
    body = _json(text) if text.lstrip()[:1] in ("{", "[") else _yaml(text)
    if not isinstance(body, dict):
        raise TemplateError("Template format error: unsupported structure.")
    return cast("dict[str, Any]", body)


def _json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError:
        raise TemplateError("Template format error: JSON nested too deeply.") from None
    except json.JSONDecodeError as error:
        # YAML's flow style begins like JSON.
        try:
            return _yaml(text)
        except TemplateError:
            raise TemplateError(
                f"Template format error: JSON not well-formed. (line {error.lineno}, "
                f"column {error.colno})"
            ) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise TemplateError(f'Template error: duplicated key "{key}"')
        found[key] = value
    return found


class _Loader(yaml.SafeLoader):
    """YAML as templates use it."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise TemplateError(f"Template error: YAML aliases are not allowed{_where(mark)}")
        event = self.peek_event()
        if getattr(event, "anchor", None):
            raise TemplateError(
                f"Template error: YAML anchors are not allowed{_where(event.start_mark)}"
            )
        self.depth += 1
        if self.depth > DEEPEST:
            raise TemplateError("Template format error: YAML nested too deeply.")
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _where(mark: Any) -> str:
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark is not None else ""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str):
            key = str(key_node.value)
        if key == "<<":
            raise TemplateError(
                f"Template error: YAML merge keys are not allowed{_where(key_node.start_mark)}"
            )
        if key in found:
            raise TemplateError(
                f'Template error: duplicated key "{key}"{_where(key_node.start_mark)}'
            )
        found[key] = loader.construct_object(value_node, deep=True)
    return found


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value = _CONSTRUCT[type(node)](loader, node)
    if suffix in ("Ref", "Condition"):
        return {suffix: value}
    if suffix == "GetAtt" and isinstance(value, str):
        logical, _, attribute = value.partition(".")
        value = [logical, attribute]
    return {f"Fn::{suffix}": value}


_CONSTRUCT: dict[Any, Callable[[Any, Any], Any]] = {
    yaml.ScalarNode: lambda loader, node: loader.construct_scalar(node),
    yaml.SequenceNode: lambda loader, node: [
        loader.construct_object(one, deep=True) for one in node.value
    ],
    yaml.MappingNode: _mapping,
}

_Loader.add_constructor("tag:yaml.org,2002:map", _mapping)
_Loader.add_multi_constructor("!", _short_form)
# Only what JSON has too: no dates, no octal or sexagesimal numbers, no yes and no.
_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    ("float", r"[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?", "-+0123456789."),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
):
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first)
    )


def _yaml(text: str) -> object:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader, made stricter
    except yaml.MarkedYAMLError as error:
        problem = error.problem or "not well-formed"
        raise TemplateError(
            f"Template format error: YAML not well-formed.{_where(error.problem_mark)} {problem}"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, TemplateError):
            raise
        raise TemplateError("Template format error: YAML not well-formed.") from None


def _template(body: dict[str, Any]) -> Template:
    unknown = sorted(set(body) - SECTIONS)
    if unknown:
        raise TemplateError(f"Invalid template property or properties [{', '.join(unknown)}]")
    resources = _section(body, "Resources")
    if not resources:
        raise TemplateError("Template format error: At least one Resources member must be defined.")
    transform = body.get("Transform")
    return Template(
        resources={name: _declared(name, value) for name, value in resources.items()},
        parameters=_section(body, "Parameters"),
        mappings=_section(body, "Mappings"),
        conditions=_section(body, "Conditions"),
        rules=_section(body, "Rules"),
        outputs=_section(body, "Outputs"),
        description=str(body.get("Description", "")),
        metadata=body.get("Metadata"),
        transforms=_texts(transform),
    )


def _section(body: dict[str, Any], name: str) -> dict[str, Any]:
    found = body.get(name, {})
    if not isinstance(found, dict):
        raise TemplateError(f"Template format error: {name} must be an object.")
    section = cast("dict[str, Any]", found)
    for key, value in section.items():
        if name != "Conditions" and not isinstance(value, dict):
            raise TemplateError(
                f"Template format error: Every {name} member must be an object: {key}"
            )
        if name == "Resources" and not (key.isalnum() and key.isascii()):
            raise TemplateError(f"Template format error: Resource name {key} is non alphanumeric.")
    return section


def _declared(name: str, value: dict[str, Any]) -> Declared:
    unknown = sorted(set(value) - _ATTRIBUTES)
    if unknown:
        raise TemplateError(f"Invalid template resource property '{unknown[0]}'")
    kind = value.get("Type")
    if not isinstance(kind, str):
        raise TemplateError(
            "Template format error: [/Resources/"
            f"{name}] Every Resources object must contain a Type member."
        )
    properties = value.get("Properties", {})
    if not isinstance(properties, dict):
        raise TemplateError(f"Template format error: Properties of {name} must be an object.")
    return Declared(
        logical_id=name,
        type=kind,
        properties=cast("dict[str, Any]", properties),
        condition=str(value.get("Condition", "")),
        depends_on=_texts(value.get("DependsOn")),
        deletion_policy=str(value.get("DeletionPolicy", "Delete")),
        update_replace_policy=str(value.get("UpdateReplacePolicy", "Delete")),
    )


def _texts(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list):
        return tuple(str(item) for item in cast("list[object]", value))
    raise TemplateError("Template format error: a name or a list of names is expected.")
