"""The resource types: one class each, by service. What they have in common is here.

A type calls the domain function that the API's handler calls. Every action is
asked of IAM first, as the stack's role or its caller. Properties that a type does
not honour are refused by name; what is recorded only says so in its `Schema`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, ClassVar, Protocol, cast

from mailstead.api.operation import Ports
from mailstead.mail.access import Policy
from mailstead.mail.errors import DomainError, Invalid
from mailstead.mail.model import Scope

Properties = dict[str, Any]
ANY: Mapping[str, Any] = {}
"""Whatever is below a property."""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a type takes and gives."""

    type: str
    properties: Mapping[str, Any]
    """Names, and below each the names in it; None for plain values, `ANY` for whatever."""
    required: tuple[str, ...] = ()
    create_only: tuple[str, ...] = ()
    """Properties whose change replaces the resource."""
    attributes: tuple[str, ...] = ()
    name: str = ""
    """The property that names it; where it is not given, one is made."""
    longest_name: int = 255
    lower_case: bool = False
    recorded: tuple[str, ...] = ()
    """Properties that are kept and shown, and change nothing."""
    refused: tuple[str, ...] = ()
    """Properties that CloudFormation has and mailstead does not serve."""
    secret: tuple[str, ...] = ()
    """Properties that no answer shows."""
    atomic: bool = False
    """Whether a change that fails has changed nothing, so that there is nothing to undo."""


@dataclass(frozen=True, slots=True)
class Made:
    """What an action on a resource gave."""

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Authorise(Protocol):
    """Asks IAM."""

    def __call__(
        self,
        action: str,
        resource: str,
        keys: Mapping[str, Sequence[str]] | None = None,
        policies: Sequence[Policy] = (),
        /,
    ) -> None:
        """Refused unless it may be done to the resource, under those condition keys.

        ``policies`` are the resource's own.
        """
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """Where and as whom an action is done."""

    scope: Scope
    ports: Ports
    authorise: Authorise
    """Refused unless the stack's role, or its caller, may."""
    stack_arn: str
    logical_id: str
    resuming: bool = False
    """The action may have been done already, wholly or in part: before a restart, or by a change
    that is undone."""
    undoing: str = ""
    """How the change ended that this one undoes: ``COMPLETE`` or ``FAILED``; "" for no undoing."""
    importing: bool = False
    """What exists under its explicit name is adopted."""


class ResourceType(Protocol):
    """One type."""

    schema: ClassVar[Schema]

    def replaces(self, old: Properties, new: Properties) -> bool:
        """Whether the change needs a new resource in the old one's place."""
        ...

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        """Make it under that name. Where ``at.resuming``, what is there already is taken."""
        ...

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        """Change it in place."""
        ...

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        """Take it away; one that is gone already is no error."""
        ...

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        """What is really there, in the template's words; None where it is gone."""
        ...


def changed(schema: Schema, old: Properties, new: Properties) -> list[str]:
    """The names of top-level properties that differ, as their types mean them."""
    names = sorted({*old, *new})
    return [name for name in names if canonical(old.get(name)) != canonical(new.get(name))]


def canonical(value: Any) -> Any:
    """A value by which "1800" is 1800 and "true" is true."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, list):
        return [canonical(one) for one in value]
    if isinstance(value, dict):
        return {name: canonical(one) for name, one in value.items()}
    return value


def create_only_changed(schema: Schema, old: Properties, new: Properties) -> bool:
    """The usual `replaces`: a create-only property differs."""
    return any(name in schema.create_only for name in changed(schema, old, new))


_TAGS = frozenset({"HostedZoneTags", "Tags"})
_LISTS = frozenset(
    {
        "Groups",
        "ManagedPolicyArns",
        "Policies",
        "RecordSets",
        "ResourceRecords",
        "Roles",
        "Users",
    }
)


def check_values(schema: Schema, given: Properties) -> None:
    """Invalid names the first property whose value has another form than its type's."""
    for name, value in given.items():
        below = schema.properties.get(name)
        wanted = _wanted_form(name, below, value)
        if wanted:
            found = type(value).__name__
            raise Invalid(
                f"Properties validation failed: #/{name}: expected type: {wanted}, found: {found}",
                resource="property",
                name=name,
            )


def _wanted_form(name: str, below: Mapping[str, Any] | None, value: Any) -> str:
    """The form that a value should have, where it has another."""
    parts = cast("list[Any]", value) if isinstance(value, list) else [value]
    if name in _TAGS:
        return "" if _are_tags(value) else "JSONArray"
    if name in _LISTS and not isinstance(value, list):
        return "JSONArray"
    if below is None:
        return "String" if isinstance(value, (list, dict)) else ""
    if below and not all(isinstance(one, dict) for one in parts):
        return "JSONObject"
    return ""


def _are_tags(value: Any) -> bool:
    if isinstance(value, dict):
        return True
    return isinstance(value, list) and all(
        isinstance(one, dict) and {"Key", "Value"} <= set(cast("dict[str, Any]", one))
        for one in cast("list[Any]", value)
    )


class Unfinished(Invalid):
    """A creation that failed on its way; what it had made could not be taken away again."""


@asynccontextmanager
async def whole(at: Context, undo: Callable[[], Awaitable[None]]) -> AsyncGenerator[None]:
    """The rest of a creation in several steps: where it fails, ``undo`` takes back what was made.

    What was adopted stays. Unfinished where it can't be taken back.
    """
    try:
        yield
    except DomainError as error:
        if at.importing:
            raise
        try:
            await undo()
        except DomainError:
            raise Unfinished(error.text, resource=error.resource, reason=error.reason) from error
        raise


def number(name: str, value: Any) -> int:
    """A number, which may come as a text. Invalid names the property where it is none."""
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Invalid(
            f"Properties validation failed: #/{name}: expected type: Integer, found: {text}",
            resource="property",
            name=name,
        )
    return int(text)


def truth(value: Any, default: bool = False) -> bool:
    """A boolean property, which may come as a text."""
    if value is None:
        return default
    return value is True or str(value).lower() == "true"


def tags_of(given: Properties) -> dict[str, str]:
    """``Tags`` as a mapping, from a list of Key and Value, or from a mapping."""
    tags = given.get("Tags") or []
    if isinstance(tags, dict):
        return {str(key): str(value) for key, value in tags.items()}
    return {str(one["Key"]): str(one["Value"]) for one in tags}


class Registry:
    """The types by name."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        self._types: dict[str, ResourceType] = {}
        for module in modules:
            for one in vars(module).values():
                schema = getattr(one, "schema", None)
                if isinstance(one, type) and isinstance(schema, Schema):
                    if schema.type in self._types:
                        raise ValueError(f"{schema.type} has two classes")
                    self._types[schema.type] = one()

    def get(self, name: str) -> ResourceType | None:
        """The type, or None where it is not served."""
        return self._types.get(name)

    def schemas(self) -> list[Schema]:
        """Every type's, by name."""
        return [self._types[name].schema for name in sorted(self._types)]
