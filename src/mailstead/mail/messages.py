"""Messages on their way: what is accepted, leased, attempted, settled, delivered, received.

An *outbound message* is one accepted submission; it has one *recipient* row per
envelope recipient, which is what the queue leases and settles, one SMTP
transaction each. An *email* is a message that arrived in a mailbox here, a
hosted one or a capture mailbox of the outside. Times are milliseconds since
1970 of the Clock port.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from mailstead.mail.model import Scope


def digest(raw: bytes) -> bytes:
    """The hash by which the Store finds a body: SHA-256 of its bytes."""
    return hashlib.sha256(raw).digest()


class Door(StrEnum):
    """Through which door a message came in."""

    API = "api"
    SMTP = "smtp"
    MX = "mx"
    """A loopback client of the MX port in capture mode, as with a mail catcher."""
    SYSTEM = "system"
    """The product's own mail: verification links, bounces, the welcome."""


class Step(NamedTuple):
    """One line of a message's journey."""

    at: int
    step: str
    """A constant word: ``accepted``, ``signed``, ``routed``, ``captured`` ..."""
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to hand a message to a host, with what the host said."""

    at: int
    recipient: str
    host: str
    address: str
    tls: str | None
    """The TLS version, such as ``TLSv1.3``; None in clear."""
    replies: tuple[str, ...]
    """Every reply in order; multi-line ones joined by LF."""
    outcome: str
    """``delivered``, ``deferred`` or ``bounced``."""


@dataclass(frozen=True, slots=True)
class Signer:
    """Which key signs: by name, since the key is looked up when the message leaves."""

    domain: str
    selector: str
    key: str
    """``identity:NAME`` for an identity's key, ``service`` for the service's own."""


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """An accepted submission."""

    id: int
    """Ours, rising with time."""
    scope: Scope
    message_id: str
    """SES's MessageId: in the API's answer and in ``250 Ok ID``."""
    door: Door
    reverse_path: str
    """Where a mailed bounce goes; empty for mail that must not cause one."""
    mail_from: str
    """``DOMAIN`` for reverse paths of SES's shape (one a recipient), else the full address
    to use as it is; empty for the null reverse path."""
    header_from: str
    subject: str
    body: bytes
    """The hash of the stored bytes."""
    size: int
    signers: tuple[Signer, ...]
    accepted_at: int
    expires_at: int
    configuration_set: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """One recipient of an outbound message, as the queue keeps it."""

    id: int
    address: str
    number: int
    """Its place in the message, from 0: the last digits of its reverse path."""
    destination: str
    """The domain, as lower-case A-label: what shares a connection."""
    due: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """What one submission writes, all or nothing."""

    message: OutboundMessage
    recipients: tuple[Recipient, ...]
    raw: bytes
    steps: tuple[Step, ...] = ()
    counted: int = 0
    """Recipients that count in quota and statistics."""


@dataclass(frozen=True, slots=True)
class Leased:
    """A recipient that this process may attempt until the lease ends."""

    message: OutboundMessage
    recipient: Recipient
    lease: int
    """The token: settling with an older one changes nothing."""
    attempts: int
    """This one included."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """How an attempt ended."""

    leased: Leased
    outcome: str
    """``delivered``, ``deferred`` or ``bounced``."""
    reply: str
    due: int = 0
    """When to try again, where deferred."""
    attempts: tuple[Attempt, ...] = ()
    steps: tuple[Step, ...] = ()
    arrival: str = ""
    """Where the receiver was ours: the id in its reply, which makes the email visible."""
    notice: Accepted | None = None
    """A bounce message to enqueue in the same write."""


@dataclass(frozen=True, slots=True)
class QueueEntry:
    """A recipient that waits, for people to look at."""

    id: int
    message_id: str
    recipient: str
    reverse_path: str
    accepted_at: int
    due: int
    attempts: int
    last_reply: str


@dataclass(frozen=True, slots=True)
class MailUser:
    """The owner of mailboxes: a person's address here, or a capture mailbox."""

    scope: Scope
    address: str
    kind: str
    """``hosted`` or ``capture``."""
    password_hash: str = ""
    created_at: int = 0
    used_bytes: int = 0
    used_count: int = 0
    demo: bool = False


class HeaderSpan(NamedTuple):
    """One header field's place in the raw bytes: name and byte range."""

    name: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one received message writes into one mailbox."""

    id: str
    """In the reply, and the trace's id where the message was not sent from here."""
    address: str
    """The envelope recipient."""
    user: str
    """The mailbox owner's address: differs from ``address`` by case or label."""
    kind: str
    """``hosted`` or ``capture``: a capture mailbox is made by its first message."""
    scope: Scope
    reverse_path: str
    header_from: str
    subject: str
    raw: bytes
    """The bytes as received."""
    prefix: bytes
    """The trace fields put in front on reading: Return-Path, Delivered-To, verdicts."""
    received_at: int
    message_id: str
    """The header field Message-ID, for threads."""
    authentication: dict[str, str]
    """``spf``, ``dkim``, ``dmarc``."""
    header_index: tuple[HeaderSpan, ...]
    folder: str = "INBOX"
    visible: bool = True
    """False until the sender, who is ours too, has settled."""
    steps: tuple[Step, ...] = ()
    demo: bool = False


@dataclass(frozen=True, slots=True)
class Email:
    """A message in a mailbox, as the local API shows it."""

    id: int
    """Rises in the order of visibility."""
    mailbox: str
    kind: str
    header_from: str
    recipients: tuple[str, ...]
    subject: str
    received_at: int
    size: int
    message_id: str
    """SES's id of the message that brought it, else the id given on arrival."""
    authentication: dict[str, str]
    body: bytes
    """The hash of the received bytes."""
    prefix: bytes


@dataclass(frozen=True, slots=True)
class EmailFilter:
    """Which emails; texts are case-insensitive substrings."""

    to: str = ""
    header_from: str = ""
    subject: str = ""
    text: str = ""
    mailbox: str = ""
    message_id: str = ""
    since: int = 0
    after: int = 0
    limit: int = 100
    capture_only: bool = False


@dataclass(frozen=True, slots=True)
class Trace:
    """A message's journey."""

    message_id: str
    steps: tuple[Step, ...]
    attempts: tuple[Attempt, ...]


@dataclass(frozen=True, slots=True)
class Sent:
    """A statistics slot of 15 minutes."""

    at: int
    attempts: int = 0
    bounces: int = 0
    complaints: int = 0
    rejects: int = 0


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """Sizes and versions, for ``mailstead status``."""

    schema: int
    engine: str
    database_bytes: int
    queued: int
    emails: int
    details: dict[str, Any] = field(default_factory=dict[str, Any])
