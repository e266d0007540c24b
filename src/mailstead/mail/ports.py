"""What the domain asks of the outside, as Protocols; adapters live in ``store`` and ``roles``.

A write is a value, or a list of them, applied whole or not at all; the await
ends after the commit is on stable storage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from mailstead.mail.messages import (
    Accepted,
    Arrival,
    Email,
    EmailFilter,
    Leased,
    MailUser,
    QueueEntry,
    Sent,
    Settlement,
    StoreStatus,
    Trace,
)
from mailstead.mail.model import Resource, Scope
from mailstead.wire.lookup import Answer, Question

R = TypeVar("R", bound=Resource)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Create:
    """Keep a new resource; Conflict (reason ``exists``) when its name is taken."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Replace:
    """Exchange a resource; Conflict (reason ``stale``) unless ``old`` still stands."""

    old: Resource
    new: Resource


@dataclass(frozen=True, slots=True)
class Remove:
    """Take a resource away; Conflict (reason ``stale``) unless it still stands so."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Stands:
    """Change nothing; Conflict (reason ``gone``) unless a resource of this name is there."""

    resource: Resource


@dataclass(frozen=True, slots=True)
class Vacant:
    """Change nothing; Conflict (reason ``in-use``) where a resource's name begins so."""

    kind: type[Resource]
    scope: Scope
    prefix: str


Change = Create | Replace | Remove | Stands | Vacant


class Store(Protocol):
    """Everything that outlives the process. Both adapters pass one contract suite.

    Every function raises Unavailable where the disk is full or failing; a write
    that did has kept nothing.
    """

    async def get(self, kind: type[R], scope: Scope, name: str) -> R | None:
        """The resource of that name, or None."""
        ...

    async def find(self, kind: type[R], name: str) -> R | None:
        """The resource of that name in whichever scope: for names unique everywhere."""
        ...

    async def select(
        self,
        kind: type[R],
        scope: Scope | None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 1_000_000,
    ) -> list[R]:
        """Resources in order of name: those that begin with ``prefix`` and follow ``after``."""
        ...

    async def apply(
        self, *changes: Change, keep: Sequence[bytes] = (), release: Sequence[bytes] = ()
    ) -> None:
        """All the changes, or none and a Conflict.

        In the same write the bodies in ``keep`` are kept once more, to be read by
        their hash, and those with the hashes in ``release`` once less.
        """
        ...

    async def enqueue(self, accepted: Sequence[Accepted]) -> None:
        """Keep accepted messages and their recipients."""
        ...

    async def destinations(self, now: int, limit: int) -> list[str]:
        """Destinations with a recipient that is due."""
        ...

    async def next_due(self) -> int | None:
        """When the next recipient falls due; None when nothing waits."""
        ...

    async def lease(
        self, now: int, until: int, destinations: Sequence[str], each: int
    ) -> list[Leased]:
        """Lease up to ``each`` due recipients of each destination until ``until``."""
        ...

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """End attempts; one whose lease was lost changes nothing."""
        ...

    async def release(self) -> None:
        """Make every leased recipient due: nobody else holds leases on an embedded store."""
        ...

    async def queue(self, limit: int) -> list[QueueEntry]:
        """Recipients not settled for good, oldest first."""
        ...

    async def retry(self, now: int, ids: Sequence[int]) -> int:
        """Make waiting recipients due now (all, where no id is given); how many."""
        ...

    async def discard(self, ids: Sequence[int]) -> int:
        """Take waiting recipients out of the queue (all, where no id is given); how many."""
        ...

    async def outbound(self, start: str) -> list[tuple[str, Scope, str, tuple[str, ...]]]:
        """MessageId, scope, reverse path and recipients of the messages whose id begins so."""
        ...

    async def body(self, digest: bytes) -> bytes:
        """A stored body by its hash."""
        ...

    async def deliver(self, arrivals: Sequence[Arrival], onward: Sequence[Accepted] = ()) -> None:
        """Put received messages into their mailboxes: UID and modseq inside one write.

        ``onward`` is enqueued in the same write: what goes elsewhere, and answers.
        """
        ...

    async def add_user(self, user: MailUser) -> None:
        """Make a mailbox owner with the standard folders; Conflict where the address is taken."""
        ...

    async def user(self, address: str) -> MailUser | None:
        """The hosted mailbox owner of an address."""
        ...

    async def users(self, domain: str = "", limit: int = 1_000_000) -> list[MailUser]:
        """Hosted mailbox owners: of one domain, eldest first, or of all by address."""
        ...

    async def replace_password(self, address: str, password_hash: str) -> None:
        """Change a mailbox owner's password."""
        ...

    async def delete_user(self, address: str) -> None:
        """Delete a mailbox owner with all mail; NotFound where there is none."""
        ...

    async def emails(self, wanted: EmailFilter) -> list[Email]:
        """Emails that match, newest first; with ``after``, those that became visible since."""
        ...

    async def email(self, email_id: int) -> Email | None:
        """One email."""
        ...

    async def delete_emails(self, ids: Sequence[int]) -> None:
        """Expunge emails."""
        ...

    async def remove_demo(self) -> int:
        """Take away every message, mailbox and resource marked as demo; how many rows."""
        ...

    async def trace(self, message_id: str) -> Trace | None:
        """A message's journey so far."""
        ...

    async def statistics(self, scope: Scope, since: int) -> list[Sent]:
        """Slots of 15 minutes since then, empty ones left out."""
        ...

    async def counted(self, scope: Scope, since: int) -> list[tuple[int, int]]:
        """(minute's start, recipients) that count in the daily quota since then."""
        ...

    async def status(self) -> StoreStatus:
        """Sizes and versions."""
        ...


class Clock(Protocol):
    """Time. ``now`` may jump (a virtual clock); ``real`` is the world's."""

    def now(self) -> int:
        """Milliseconds since 1970 for retries, expiry, verification, quota, Date, MessageId."""
        ...

    def real(self) -> int:
        """Milliseconds since 1970 for signatures and sessions."""
        ...

    def ticks(self) -> float:
        """Seconds that only rise, for send rates and limits by address."""
        ...


class Randomness(Protocol):
    """Dice, and the numbers made from them."""

    def token(self, size: int) -> bytes:
        """Unpredictable bytes."""
        ...

    def uuid(self) -> str:
        """A random UUID (RFC 9562 version 4)."""
        ...

    def serial(self) -> int:
        """A number that rises, unique in this store."""
        ...

    def fraction(self) -> float:
        """From 0 up to but not 1, for jitter."""
        ...

    async def rsa_key(self, bits: int) -> bytes:
        """A new RSA key: base64 of PKCS#8 DER."""
        ...

    def p256_key(self) -> bytes:
        """A new ECDSA key: PKCS#8 DER."""
        ...


class Resolver(Protocol):
    """DNS look-ups."""

    async def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answers in the questions' order, asked side by side."""
        ...


class Primary(Protocol):
    """The primary name server of a zone elsewhere. Each call may raise UpdateRefused."""

    async def zone_of(self, name: str) -> str:
        """The apex of the zone that has a name."""
        ...

    async def records(self, name: str, record_type: str) -> Sequence[bytes]:
        """The data of what stands under a name and type; names in it are not compressed."""
        ...

    async def update(
        self, zone: str, name: str, record_type: str, gone: Sequence[bytes], ttl: int, new: bytes
    ) -> None:
        """Delete those records of a name and type, and add one (RFC 2136 2.5)."""
        ...


class Workers(Protocol):
    """Threads for signing and hashing."""

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """The result of ``work(*args)``, from a thread."""
        ...


class Watch(Protocol):
    """One waiter's memory of a topic, so that no wake is lost between its looks."""

    async def wait(self, seconds: float) -> bool:
        """Whether the topic was woken within that time, or since the last wait ended."""
        ...


class Wakeups(Protocol):
    """Hints that something changed; between processes one may be lost, so waiters also poll."""

    def wake(self, topic: str) -> None:
        """Wake who watches ``topic``: ``queue``, ``emails``, ``zones``, ``identities``,
        ``stacks``, ``settled``.
        """
        ...

    def watch(self, topic: str) -> Watch:
        """Remember what is woken from now on. Watch first, then look, then wait."""
        ...
