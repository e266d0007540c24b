"""What a received message becomes in a mailbox: its raw bytes, and fields in front.

Shared by everybody who receives: our MX, and the outside. The bytes stay as
they came, but for verdicts forged in our name, which are removed.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate

from mailstead.mail.authentication import Client, Verdicts
from mailstead.mail.messages import Arrival, HeaderSpan, Step
from mailstead.mail.model import Scope
from mailstead.wire import authres
from mailstead.wire.message import parse_headers


@dataclass(frozen=True, slots=True)
class Received:
    """A message that was taken, and from whom."""

    name: str
    """The id given to it, in the reply."""
    at: int
    client: Client
    raw: bytes
    verdicts: Verdicts
    own: bool
    """The client is our own MTA: the message becomes visible when it settles."""


@dataclass(frozen=True, slots=True)
class Landing:
    """Whose mailbox it goes to."""

    address: str
    """The envelope recipient."""
    user: str
    kind: str
    """``hosted`` or ``capture``."""
    scope: Scope
    demo: bool = False


def arrive(received: Received, landing: Landing, hostname: str) -> Arrival:
    """What one mailbox gets."""
    client, now = received.client, received.at
    raw = authres.remove_own(received.raw, hostname)
    headers = parse_headers(raw)
    prefix = b"".join(
        (
            f"Return-Path: <{client.reverse_path}>\r\n".encode(),
            f"Delivered-To: {landing.user}\r\n".encode(),
            received.verdicts.field(hostname, client),
            received_field(hostname, client, received.name, now),
        )
    )
    step = Step(
        now,
        "received",
        {
            "client": client.address,
            "helo": client.helo,
            "tls": client.tls,
            "mailbox": landing.user,
            "authentication": received.verdicts.summary,
        },
    )
    return Arrival(
        id=received.name,
        address=landing.address,
        user=landing.user,
        kind=landing.kind,
        scope=landing.scope,
        reverse_path=client.reverse_path,
        header_from=headers.text("from") or client.reverse_path,
        subject=headers.text("subject") or "",
        raw=raw,
        prefix=prefix,
        received_at=now,
        message_id=headers.text("message-id") or "",
        authentication=received.verdicts.summary,
        header_index=tuple(
            HeaderSpan(field.name.decode("latin-1"), field.start, field.end)
            for field in headers.fields
        ),
        visible=not received.own,
        steps=(step,),
        demo=landing.demo,
    )


def received_field(hostname: str, client: Client, name: str, now: int) -> bytes:
    """Our Received field (RFC 5321 4.4)."""
    how = "ESMTPS" if client.tls else "ESMTP"
    literal = f"IPv6:{client.address}" if ":" in client.address else client.address
    helo = "".join(char for char in client.helo if char.isascii() and char.isprintable())
    date = formatdate(now // 1000).replace("-0000", "+0000")
    return (
        f"Received: from {helo} ([{literal}])\r\n"
        f"\tby {hostname} with {how} id {name};\r\n"
        f"\t{date}\r\n"
    ).encode()
