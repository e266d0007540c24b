"""What is kept of stacks: the stack, its resources, events and change sets.

A stack's name in the store is ``NAME/UUID``, so that a deleted stack stays
readable by its ARN while its name is free again.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, ClassVar

from mailstead.mail.model import Scope, Secret

NOTHING = Secret(b"")


def sealed(value: object) -> Secret:
    """A value that the store keeps sealed: it may hold passwords and keys."""
    return Secret(json.dumps(value, sort_keys=True, ensure_ascii=False).encode())


def opened(secret: Secret) -> Any:
    """The value again."""
    return json.loads(bytes(secret)) if secret else {}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A template with all that decides what it means."""

    template: str
    parameters: Secret
    """The values given, by name."""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    capabilities: tuple[str, ...] = ()
    role_arn: str = ""
    imports: bool = False
    """Whether what exists under an explicit name is adopted (``ImportExistingResources``)."""


@dataclass(frozen=True, slots=True)
class Output:
    """One output of a stack."""

    key: str
    value: str
    description: str = ""
    export: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and for what."""

    scope: Scope
    arn: str
    token: str = ""
    session: str = ""
    """The key of a session; "" for a user."""


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack, alive or deleted."""

    KIND: ClassVar[str] = "stack"
    scope: Scope
    name: str
    stack_name: str
    status: str
    created_at: int
    current: Wanted
    """What stands."""
    target: Wanted | None = None
    """What the operation under way goes to; None for a deletion."""
    operation: str = ""
    """The operation under way or last done: resources say under which they were changed."""
    token: str = ""
    """The client's ClientRequestToken."""
    reason: str = ""
    updated_at: int = 0
    deleted_at: int = 0
    outputs: tuple[Output, ...] = ()
    imports: tuple[str, ...] = ()
    """Exports of other stacks that it uses."""
    change_set: str = ""
    """The change set last executed."""
    caller: str = ""
    """Who asked: the ARN whose policies count where there is no role."""
    session: str = ""
    """The key of the session that asked; "" for a user."""
    protected: bool = False
    policy: str = ""
    """The stack policy: which updates of which resources are allowed."""
    next_policy: str = ""
    """What it is once the update under way has come through."""
    policy_during: str = ""
    """What stands in its place for the update under way."""
    activity: str = ""
    """Type and id of the operation as DescribeEvents tells it: ``UPDATE_STACK/UUID``."""
    rollback: bool = True
    """Whether a failure is undone."""
    on_failure: str = "ROLLBACK"
    retained: tuple[str, ...] = ()
    """Logical ids that a deletion leaves alone."""
    drift: str = "NOT_CHECKED"
    drift_at: int = 0

    @property
    def arn(self) -> str:
        """The stack's id."""
        return f"arn:aws:cloudformation:{self.scope.region}:{self.scope.account}:stack/{self.name}"

    @property
    def moving(self) -> bool:
        """Whether an operation is under way."""
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def gone(self) -> bool:
        """Whether it was deleted."""
        return self.status == "DELETE_COMPLETE"


@dataclass(frozen=True, slots=True)
class TakenName:
    """That a stack has a name, until it is deleted."""

    KIND: ClassVar[str] = "stack-name"
    scope: Scope
    name: str
    stack: str
    """The stack's name in the store."""


@dataclass(frozen=True, slots=True)
class Before:
    """What a resource was before the operation under way."""

    physical_id: str
    type: str
    properties: Secret
    attributes: Secret


@dataclass(frozen=True, slots=True)
class StackResource:
    """One resource of a stack."""

    KIND: ClassVar[str] = "stack-resource"
    scope: Scope
    name: str
    """``NAME/UUID/LOGICAL``."""
    logical_id: str
    type: str
    status: str
    operation: str
    updated_at: int
    physical_id: str = ""
    properties: Secret = NOTHING
    """As evaluated and applied."""
    attributes: Secret = NOTHING
    reason: str = ""
    before: Before | None = None
    """For rollback and cleanup; None for a new one."""
    place: int = 0
    """Rises with completion: a rollback goes backwards."""
    needs: tuple[str, ...] = ()
    deletion_policy: str = "Delete"
    update_replace_policy: str = "Delete"
    drift: str = "NOT_CHECKED"
    drift_at: int = 0
    adopted: bool = False
    """It was there before the stack was: a rollback leaves it."""
    taken: bool = False
    """Somebody else's stood there under its name when it was begun: it is not to be made, nor to
    be taken for ours when it is made again after a restart."""
    left: bool = False
    """Whether something stands of it though it could not be made whole, nor taken back."""
    replaced: bool = False
    """Whether an old one, `before`, stands beside it until cleanup."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a stack's history."""

    KIND: ClassVar[str] = "stack-event"
    scope: Scope
    name: str
    """``NAME/UUID/NUMBER``: rises, zero-padded."""
    event_id: str
    logical_id: str
    physical_id: str
    type: str
    status: str
    at: int
    reason: str = ""
    token: str = ""
    activity: str = ""
    """The operation that it belongs to, as `Stack.activity` has it."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a change set does to one resource."""

    action: str
    logical_id: str
    type: str
    physical_id: str = ""
    replacement: str = ""
    scope: tuple[str, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    """(property, ``Never``, ``Always`` or ``Conditionally``)."""


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change set: what would be done."""

    KIND: ClassVar[str] = "change-set"
    scope: Scope
    name: str
    """``NAME/UUID/CHANGE-SET-NAME``."""
    change_set_name: str
    uuid: str
    kind: str
    """``CREATE`` or ``UPDATE``."""
    status: str
    execution: str
    created_at: int
    wanted: Wanted
    changes: tuple[Change, ...] = ()
    reason: str = ""
    description: str = ""
    token: str = ""
    imports: bool = False
    """``ImportExistingResources``: what exists under its explicit name is adopted."""
    on_failure: str = ""

    @property
    def arn(self) -> str:
        """The change set's id."""
        return (
            f"arn:aws:cloudformation:{self.scope.region}:{self.scope.account}:changeSet/"
            f"{self.change_set_name}/{self.uuid}"
        )
