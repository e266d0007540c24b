"""What is kept of S3: buckets, objects, and uploads in parts.

Names of buckets are unique among all accounts and regions, so nothing here is kept
under its owner's scope.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from mailstead.mail.access import Policy
from mailstead.mail.model import GLOBAL, Scope
from mailstead.mail.policies import PolicyKind, parse_policy

EVERYWHERE = Scope("", GLOBAL)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and all that was said about it."""

    KIND: ClassVar[str] = "bucket"
    scope: Scope
    name: str
    account: str
    region: str
    created_at: int
    settings: dict[str, str] = field(default_factory=dict[str, str])
    """JSON by the setting's name; the policy is a setting, too."""

    @property
    def owner(self) -> Scope:
        """Whose it is, and where."""
        return Scope(self.account, self.region)

    @property
    def arn(self) -> str:
        """The bucket's ARN."""
        return f"arn:aws:s3:::{self.name}"

    @property
    def policies(self) -> tuple[Policy, ...]:
        """The bucket's policy, parsed; none where it has none."""
        text = self.settings.get("policy")
        return (parse_policy(text, PolicyKind.RESOURCE),) if text else ()


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object without its body."""

    KIND: ClassVar[str] = "object"
    scope: Scope
    name: str
    """``BUCKET/KEY``."""
    digest: bytes
    """By which the store has the body."""
    size: int
    etag: str
    modified_at: int
    system: dict[str, str] = field(default_factory=dict[str, str])
    """Header fields and settings under their members' names, such as ``ContentType``."""
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    checksums: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def key(self) -> str:
        """The object's key."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class NewObject:
    """What is put under a key."""

    body: bytes
    system: dict[str, str] = field(default_factory=dict[str, str])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    checksums: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    etag: str = ""
    """Where it is not the MD5 of the body."""


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a bucket's keys."""

    entries: list[StoredObject | str]
    """In order: objects, and the common prefixes of what a delimiter puts together."""
    position: str
    """Where the next page begins; empty where this one is the last."""


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload in parts that is under way."""

    KIND: ClassVar[str] = "upload"
    scope: Scope
    name: str
    """``BUCKET/ID``."""
    key: str
    started_at: int
    system: dict[str, str] = field(default_factory=dict[str, str])
    metadata: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def bucket(self) -> str:
        """The name of the bucket that it goes to."""
        return self.name.partition("/")[0]

    @property
    def upload_id(self) -> str:
        """The upload's id."""
        return self.name.partition("/")[2]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an upload."""

    KIND: ClassVar[str] = "upload-part"
    scope: Scope
    name: str
    """``BUCKET/ID/NUMBER``, the number in five digits."""
    digest: bytes
    size: int
    etag: str
    modified_at: int
    checksums: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def number(self) -> int:
        """The part's number."""
        return int(self.name.rpartition("/")[2])
