"""SSM parameters: named values with versions, for CDK's bootstrap and for templates.

A SecureString is sealed like every secret; a String is sealed too, which costs
nothing. Source: AWS Systems Manager API Reference, Parameter Store.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.model import Scope, Secret
from mailstead.mail.ports import Clock, Create, Remove, Replace, Store
from mailstead.wire.patterns import matches_whole
from mailstead.wire.template import TemplateError

KINDS = ("String", "StringList", "SecureString")
SIZE = 4096
VERSIONS = 100
TAGS = 50
_NAME = re.compile(r"[a-zA-Z0-9_.\-/]{1,1011}")
DEPTH = 15


@dataclass(frozen=True, slots=True)
class Value:
    """One version of a parameter."""

    version: int
    value: Secret
    kind: str
    at: int
    description: str = ""
    user: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter with its versions, the newest last."""

    KIND: ClassVar[str] = "ssm-parameter"
    scope: Scope
    name: str
    versions: tuple[Value, ...]
    pattern: str = ""
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def newest(self) -> Value:
        """What counts."""
        return self.versions[-1]

    @property
    def arn(self) -> str:
        """The parameter's ARN: a name that begins with a slash is not given a second one."""
        start = f"arn:aws:ssm:{self.scope.region}:{self.scope.account}:parameter"
        return f"{start}{self.name}" if self.name.startswith("/") else f"{start}/{self.name}"


@dataclass(frozen=True, slots=True)
class Put:
    """What PutParameter asks for."""

    name: str
    value: str
    kind: str = ""
    """Empty: as it was."""
    description: str = ""
    pattern: str = ""
    overwrite: bool = False
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    user: str = ""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What is done with parameters."""

    store: Store
    clock: Clock

    async def get(self, scope: Scope, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return await self.store.get(Parameter, scope, plain(scope, name))

    async def require(self, scope: Scope, name: str) -> Parameter:
        """The parameter of that name."""
        found = await self.get(scope, name)
        if found is None:
            raise NotFound(None, resource="parameter", name=name)
        return found

    async def put(self, scope: Scope, asked: Put) -> Parameter:
        """Keep a parameter, or another version of it."""
        _check(asked)
        old = await self.get(scope, asked.name)
        if old is not None and not asked.overwrite:
            raise _exists(asked.name)
        kind = asked.kind or (old.newest.kind if old is not None else "")
        if kind not in KINDS:
            raise Invalid(
                "A parameter type is required when you create a parameter.",
                resource="parameter",
                name=asked.name,
                reason="type",
            )
        if asked.pattern and not _fits(asked.pattern, asked.value):
            raise Invalid(
                f"Parameter value, cannot be validated against allowedPattern: {asked.pattern}",
                resource="parameter",
                name=asked.name,
                reason="pattern",
            )
        number = old.newest.version + 1 if old is not None else 1
        value = Value(
            number,
            Secret(asked.value.encode()),
            kind,
            self.clock.now(),
            asked.description or (old.newest.description if old is not None else ""),
            asked.user,
        )
        if old is None:
            made = Parameter(scope, asked.name, (value,), asked.pattern, dict(asked.tags))
            try:
                await self.store.apply(Create(made))
            except Conflict:
                raise _exists(asked.name) from None
            return made
        versions = (*old.versions, value)[-VERSIONS:]
        new = replace(old, versions=versions, pattern=asked.pattern or old.pattern)
        await self.store.apply(Replace(old, new))
        return new

    async def delete(self, scope: Scope, name: str) -> None:
        """Delete a parameter with all its versions."""
        await self.store.apply(Remove(await self.require(scope, name)))

    async def listed(self, scope: Scope, prefix: str = "") -> list[Parameter]:
        """Parameters in order of name."""
        return await self.store.select(Parameter, scope, prefix=prefix)

    async def tag(self, scope: Scope, name: str, tags: Mapping[str, str]) -> None:
        """Set some tags."""
        old = await self.require(scope, name)
        merged = {**old.tags, **tags}
        if len(merged) > TAGS:
            raise Limit(f"A parameter has at most {TAGS} tags", resource="tag", name=name)
        await self.store.apply(Replace(old, replace(old, tags=merged)))

    async def untag(self, scope: Scope, name: str, keys: Iterable[str]) -> None:
        """Take tags away."""
        old = await self.require(scope, name)
        gone = set(keys)
        kept = {key: value for key, value in old.tags.items() if key not in gone}
        await self.store.apply(Replace(old, replace(old, tags=kept)))

    async def values(self, scope: Scope) -> dict[str, str]:
        """Plain values by name, for parameters of a template that are typed so."""
        return {
            one.name: one.newest.value.decode()
            for one in await self.listed(scope)
            if one.newest.kind != "SecureString"
        }

    async def resolved(
        self, scope: Scope, reference: str, may: Callable[[str, str], None], *, secure: bool
    ) -> str:
        """What ``{{resolve:ssm:NAME:VERSION}}`` stands for. TemplateError for nothing.

        ``may`` is told the action and ARN, and raises Refused.
        """
        name, colon, version = reference.rpartition(":")
        if not (colon and version.isdecimal()):
            name, version = reference, ""
        may("ssm:GetParameters", arn_of(scope, name))
        found = await self.get(scope, name)
        value = version_of(found, version) if found is not None else None
        if value is None:
            raise TemplateError(f"Parameter {reference} cannot be found in the parameter store.")
        if (value.kind == "SecureString") != secure:
            words = "ssm-secure" if not secure else "ssm"
            raise TemplateError(f"Parameter {name} is of another kind: use {words}")
        return value.value.decode()


def arn_of(scope: Scope, name: str) -> str:
    """The ARN of a parameter that may not be there, by its name with or without version."""
    start = f"arn:aws:ssm:{scope.region}:{scope.account}:parameter/"
    return start + plain(scope, name).partition(":")[0].lstrip("/")


def plain(scope: Scope, name: str) -> str:
    """A parameter's name, where its ARN was given; another account's ARN is no name here."""
    start = f"arn:aws:ssm:{scope.region}:{scope.account}:parameter"
    if not name.startswith(start):
        return name
    rest = name.removeprefix(start)
    return rest if rest.count("/") > 1 else rest.removeprefix("/")


def version_of(parameter: Parameter, version: str) -> Value | None:
    """The version of a number; the newest for none."""
    if not version:
        return parameter.newest
    return next((one for one in parameter.versions if str(one.version) == version), None)


def _exists(name: str) -> Conflict:
    return Conflict(
        "The parameter already exists. To overwrite this value, set the overwrite option in the "
        "request to true.",
        resource="parameter",
        name=name,
        reason="exists",
    )


def _fits(pattern: str, value: str) -> bool:
    try:
        return matches_whole(pattern, value)
    except ValueError:
        raise Invalid(
            f"The request does not meet the regular expression requirement: {pattern}",
            resource="pattern",
            name=pattern,
        ) from None


def _check(asked: Put) -> None:
    name = asked.name
    if not _NAME.fullmatch(name) or name.strip("/").lower().startswith(("aws", "ssm")):
        raise Invalid(
            'Parameter name: can\'t be prefixed with "ssm" (case-insensitive). If formed as a '
            "path, it can consist of sub-paths divided by slash symbol; each sub-path can be "
            "formed as a mix of letters, numbers and the following 3 symbols .-_",
            resource="parameter",
            name=name,
        )
    if name.count("/") > DEPTH:
        raise Limit(
            f"A hierarchy can have a maximum of {DEPTH} levels.", resource="parameter", name=name
        )
    if len(asked.value.encode()) > SIZE:
        raise Invalid(
            f"Standard tier parameters support a maximum parameter value of {SIZE} characters.",
            resource="parameter",
            name=name,
        )
