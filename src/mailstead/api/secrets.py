"""Secrets of Secrets Manager: values under names, with versions and their stages.

Values are sealed like every secret. A deleted one is kept for its recovery window.
Source: AWS Secrets Manager API Reference.
"""

from __future__ import annotations

import json
import re
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

from mailstead.mail.access import Policy
from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.model import Scope
from mailstead.mail.model import Secret as Sealed
from mailstead.mail.policies import PolicyKind, parse_policy
from mailstead.mail.ports import Clock, Create, Randomness, Remove, Replace, Store
from mailstead.wire.template import TemplateError

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
SIZE = 65_536
DAY = 24 * 3600 * 1000
WINDOW = 30
"""Days in which a deleted secret can be restored."""
VERSIONS = 100
TAGS = 50
MOST_DRAWS = 100
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")
_ARN = re.compile(r"arn:aws:secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.+)")
DELETED = "You can't perform this operation on the secret because it was marked for deletion."


@dataclass(frozen=True, slots=True)
class Version:
    """One value of a secret."""

    version_id: str
    value: Sealed
    binary: bool
    at: int
    stages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret with its versions, the newest last."""

    KIND: ClassVar[str] = "secret"
    scope: Scope
    name: str
    suffix: str
    """What its ARN ends with, so that a later secret of the name has another ARN."""
    created_at: int
    changed_at: int
    description: str = ""
    key_id: str = ""
    versions: tuple[Version, ...] = ()
    tags: dict[str, str] = field(default_factory=dict[str, str])
    deleted_at: int = 0
    """When it was marked for deletion; 0 where it was not."""
    gone_at: int = 0
    policy: str = ""
    """Who may besides the account's own: a document, or none."""

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The secret's policy, parsed; none where it has none."""
        return (parse_policy(self.policy, PolicyKind.RESOURCE),) if self.policy else ()

    @property
    def arn(self) -> str:
        """The secret's ARN."""
        at = self.scope
        return f"arn:aws:secretsmanager:{at.region}:{at.account}:secret:{self.name}-{self.suffix}"


@dataclass(frozen=True, slots=True)
class Given:
    """A value that is put."""

    content: bytes
    binary: bool = False


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What GetRandomPassword and GenerateSecretString ask for."""

    length: int = 32
    excluded: str = ""
    no_numbers: bool = False
    no_punctuation: bool = False
    no_upper: bool = False
    no_lower: bool = False
    space: bool = False
    every_kind: bool = True


@dataclass(frozen=True, slots=True)
class Secrets:
    """What is done with secrets."""

    store: Store
    clock: Clock
    randomness: Randomness

    async def find(self, scope: Scope, named: str) -> Secret | None:
        """The secret of a name or an ARN, complete or without its suffix; None for none."""
        for name, suffix in _names(named):
            found = await self.store.get(Secret, scope, name)
            if found is None or (suffix and suffix != found.suffix):
                continue
            if found.gone_at and found.gone_at <= self.clock.now():
                await self.store.apply(Remove(found))
                continue
            return found
        return None

    async def require(self, scope: Scope, named: str, *, deleted: bool = False) -> Secret:
        """The secret; one that is marked for deletion only where ``deleted``."""
        found = await self.find(scope, named)
        if found is None:
            raise NotFound(
                "Secrets Manager can't find the specified secret.", resource="secret", name=named
            )
        if found.deleted_at and not deleted:
            raise Invalid(DELETED, resource="secret", name=named, reason="deleted")
        return found

    async def create(
        self,
        scope: Scope,
        name: str,
        value: Given | None,
        *,
        token: str = "",
        description: str = "",
        key_id: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Secret:
        """Make a secret, with a value or without."""
        if not _NAME.fullmatch(name):
            raise Invalid(
                "Invalid name. Must be a valid name containing alphanumeric characters, or any "
                "of the following: -/_+=.@!",
                resource="secret",
                name=name,
            )
        standing = await self.find(scope, name)
        if standing is not None:
            if standing.deleted_at:
                raise Invalid(
                    "You can't create this secret because a secret with this name is already "
                    "scheduled for deletion.",
                    resource="secret",
                    name=name,
                    reason="deleted",
                )
            if token and any(one.version_id == token for one in standing.versions):
                return standing
            raise Conflict(
                f"The operation failed because the secret {name} already exists.",
                resource="secret",
                name=name,
                reason="exists",
            )
        now = self.clock.now()
        suffix = self.drawn(PasswordRules(6, no_punctuation=True, every_kind=False))
        made = Secret(scope, name, suffix, now, now, description, key_id, tags=dict(tags or {}))
        if value is not None:
            made = self._with(made, value, token, (CURRENT,))
        await self.store.apply(Create(made))
        return made

    async def put(
        self, secret: Secret, value: Given, token: str = "", stages: Iterable[str] = (CURRENT,)
    ) -> tuple[Secret, Version]:
        """Keep another value, under some stages."""
        known = next((one for one in secret.versions if one.version_id == token), None)
        if known is not None:
            if bytes(known.value) != value.content:
                raise Conflict(
                    "You can't modify an existing version. You can only create a new version.",
                    resource="secret",
                    name=secret.name,
                )
            return secret, known
        new = self._with(secret, value, token, tuple(stages))
        await self.store.apply(Replace(secret, new))
        return new, new.versions[-1]

    async def move(self, secret: Secret, stage: str, source: str, target: str) -> Secret:
        """Take a stage from a version and put it on another; empty for neither."""
        at = version_of(secret, stage=stage)
        if (at.version_id if at is not None else "") != source or (
            target and version_of(secret, target) is None
        ):
            raise Invalid(
                f"The parameter RemoveFromVersionId can't be {source or 'empty'}: staging label "
                f"{stage} is attached to {at.version_id if at is not None else 'no version'}.",
                resource="secret",
                name=secret.name,
            )
        versions = (
            restaged(secret.versions, (stage,))
            if target
            else tuple(
                replace(one, stages=tuple(each for each in one.stages if each != stage))
                for one in secret.versions
            )
        )
        moved = tuple(
            replace(one, stages=(*one.stages, stage)) if one.version_id == target else one
            for one in versions
        )
        return await self.change(secret, versions=moved)

    async def change(self, secret: Secret, **values: Any) -> Secret:
        """Replace fields."""
        new = replace(secret, changed_at=self.clock.now(), **values)
        await self.store.apply(Replace(secret, new))
        return new

    async def tag(self, secret: Secret, tags: Mapping[str, str]) -> None:
        """Set some tags."""
        merged = {**secret.tags, **tags}
        if len(merged) > TAGS:
            raise Limit(f"A secret has at most {TAGS} tags", resource="tag", name=secret.name)
        await self.change(secret, tags=merged)

    async def delete(self, secret: Secret, window: int | None, *, now: bool) -> int:
        """Mark it for deletion, or delete it at once. When it is gone, in milliseconds."""
        if now and window is not None:
            raise Invalid(
                "You can't use ForceDeleteWithoutRecovery in conjunction with "
                "RecoveryWindowInDays.",
                resource="secret",
                name=secret.name,
            )
        days = WINDOW if window is None else window
        if not 7 <= days <= WINDOW:
            raise Invalid(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
                resource="secret",
                name=secret.name,
            )
        if now:
            await self.store.apply(Remove(secret))
            return self.clock.now()
        gone = self.clock.now() + days * DAY
        await self.change(secret, deleted_at=self.clock.now(), gone_at=gone)
        return gone

    async def listed(self, scope: Scope) -> list[Secret]:
        """Secrets in order of name, deleted ones too."""
        now = self.clock.now()
        every = await self.store.select(Secret, scope)
        return [one for one in every if not one.gone_at or one.gone_at > now]

    async def resolved(self, scope: Scope, reference: str, may: Callable[[Secret], None]) -> str:
        """What ``{{resolve:secretsmanager:ID:SecretString:KEY:STAGE:VERSION}}`` stands for.

        TemplateError for nothing. ``may`` raises Refused.
        """
        named, rest = _split(reference)
        kind, key, stage, version_id = (*rest, "", "", "", "")[:4]
        if kind not in {"", "SecretString"}:
            raise TemplateError(f"{kind} is no part of a secret: use SecretString")
        found = await self.find(scope, named)
        version = None
        if found is not None:
            may(found)
        if found is not None and not found.deleted_at:
            version = version_of(found, version_id, stage)
        if version is None or version.binary:
            raise TemplateError("Secrets Manager can't find the specified secret.")
        text = version.value.decode()
        return _member(text, key) if key else text

    def drawn(self, rules: PasswordRules) -> str:
        """A password by rules."""
        kinds = [
            "".join(one for one in kind if one not in rules.excluded)
            for kind, unwanted in (
                (string.ascii_lowercase, rules.no_lower),
                (string.ascii_uppercase, rules.no_upper),
                (string.digits, rules.no_numbers),
                (string.punctuation, rules.no_punctuation),
                (" ", not rules.space),
            )
            if not unwanted
        ]
        letters = "".join(kinds)
        if not letters or (rules.every_kind and (rules.length < len(kinds) or not all(kinds))):
            raise Invalid(
                "The password can't be made: too much is excluded, or it is too short for every "
                "kind of character.",
                resource="password",
            )
        for _ in range(MOST_DRAWS):
            text = "".join(letters[self._below(len(letters))] for _ in range(rules.length))
            if not rules.every_kind or all(set(kind) & set(text) for kind in kinds):
                return text
        # Short ones with every kind are rare: draw one of each, then the rest.
        text = [kind[self._below(len(kind))] for kind in kinds]
        text += [letters[self._below(len(letters))] for _ in range(rules.length - len(kinds))]
        return "".join(text)

    def _below(self, limit: int) -> int:
        return int.from_bytes(self.randomness.token(8)) % limit

    def _with(self, secret: Secret, value: Given, token: str, stages: tuple[str, ...]) -> Secret:
        """The secret with one more version; a stage is at one version only."""
        if len(value.content) > SIZE:
            raise Invalid(
                f"Secret value can be at most {SIZE} bytes.", resource="secret", name=secret.name
            )
        stages = stages if secret.versions else tuple(dict.fromkeys((*stages, CURRENT)))
        version_id = token or self.randomness.uuid()
        new = Version(version_id, Sealed(value.content), value.binary, self.clock.now(), stages)
        versions = (*restaged(secret.versions, stages), new)[-VERSIONS:]
        return replace(secret, versions=versions, changed_at=self.clock.now())


def restaged(versions: tuple[Version, ...], taken: Iterable[str]) -> tuple[Version, ...]:
    """Versions without stages that another takes; who loses AWSCURRENT becomes AWSPREVIOUS."""
    lost = set(taken)
    moves = CURRENT in lost and any(CURRENT in one.stages for one in versions)
    if moves:
        lost.add(PREVIOUS)
    result: list[Version] = []
    for one in versions:
        kept = tuple(stage for stage in one.stages if stage not in lost)
        if moves and CURRENT in one.stages:
            kept = (*kept, PREVIOUS)
        result.append(replace(one, stages=kept))
    return tuple(result)


def version_of(secret: Secret, version_id: str = "", stage: str = "") -> Version | None:
    """The version of an id and a stage, else of the stage AWSCURRENT."""
    wanted = stage or ("" if version_id else CURRENT)
    for one in secret.versions:
        if (not version_id or one.version_id == version_id) and (
            not wanted or wanted in one.stages
        ):
            return one
    return None


def _names(named: str) -> Iterable[tuple[str, str]]:
    """Names and suffixes that a name or an ARN can mean, the likeliest first."""
    found = _ARN.fullmatch(named)
    if found is None:
        yield named, ""
        return
    name, dash, suffix = found[3].rpartition("-")
    if dash and len(suffix) == 6:
        yield name, suffix
    yield found[3], ""


def _split(reference: str) -> tuple[str, list[str]]:
    if reference.startswith("arn:"):
        parts = reference.split(":")
        return ":".join(parts[:7]), parts[7:]
    named, *rest = reference.split(":")
    return named, rest


def _member(text: str, key: str) -> str:
    try:
        members = json.loads(text)
    except ValueError:
        members = None
    if not isinstance(members, dict) or key not in members:
        raise TemplateError(f"Could not find a value associated with JSONKey {key} in SecretString")
    value = cast("dict[str, Any]", members)[key]
    return value if isinstance(value, str) else json.dumps(value)
