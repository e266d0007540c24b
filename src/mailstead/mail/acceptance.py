"""Accepted messages: the rows that one message and its recipients become.

The only place that makes recipients for the queue. SES's rules were applied by
`mailstead.mail.submission`; our own mail, and what is passed on for others, is
made ready for the queue by `passed_on`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mailstead.mail.message_ids import new_message_id
from mailstead.mail.messages import (
    Accepted,
    Door,
    OutboundMessage,
    Recipient,
    Signer,
    Step,
    digest,
)
from mailstead.mail.model import Scope
from mailstead.mail.ports import Randomness
from mailstead.mail.queue import LIFE
from mailstead.wire.addresses import domain_key
from mailstead.wire.message import MessageError, parse_headers


def recipient_rows(
    randomness: Randomness, addresses: Sequence[str], due: int
) -> tuple[Recipient, ...]:
    """Recipients as the queue keeps them, numbered in their order."""
    rows: list[Recipient] = []
    for number, address in enumerate(addresses):
        local, _, domain = address.rpartition("@")
        key = domain_key(domain)
        rows.append(Recipient(randomness.serial(), f"{local}@{key}", number, key, due))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class PassedOn:
    """A message that goes out as it is: ours, or somebody's through our MX."""

    scope: Scope
    door: Door
    reverse_path: str
    """The envelope sender, and where a bounce goes; empty for neither."""
    recipients: tuple[str, ...]
    raw: bytes
    message_id: str = ""
    """Made where it is empty."""
    signers: tuple[Signer, ...] = ()
    detail: tuple[tuple[str, Any], ...] = ()
    """What the trace says of where it came from."""
    demo: bool = False


def passed_on(randomness: Randomness, now: int, given: PassedOn) -> Accepted:
    """Its rows."""
    message_id = given.message_id or new_message_id(given.scope.region, now, randomness.uuid())
    try:
        headers = parse_headers(given.raw)
        header_from, subject = headers.text("from") or "", headers.text("subject") or ""
    except MessageError:
        header_from = subject = ""
    message = OutboundMessage(
        id=randomness.serial(),
        scope=given.scope,
        message_id=message_id,
        door=given.door,
        reverse_path=given.reverse_path,
        mail_from=given.reverse_path,
        header_from=header_from,
        subject=subject,
        body=digest(given.raw),
        size=len(given.raw),
        signers=given.signers,
        accepted_at=now,
        expires_at=now + LIFE,
        demo=given.demo,
    )
    detail = {
        "door": given.door.value,
        "from": given.reverse_path,
        "recipients": list(given.recipients),
        "size": len(given.raw),
        **dict(given.detail),
    }
    return Accepted(
        message,
        recipient_rows(randomness, given.recipients, now),
        given.raw,
        (Step(now, "accepted", detail),),
    )
