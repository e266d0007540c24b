"""Received mail for people and tests to look at: lists, one message, its journey.

What the local API answers and the web pages show, as plain values with the
names of the local API.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from mailstead.mail.errors import NotFound
from mailstead.mail.messages import Email, EmailFilter, Trace
from mailstead.mail.ports import Clock, Store, Wakeups
from mailstead.wire.message import decode_words, parse_headers
from mailstead.wire.mime import Readable, read_message

POLL_SECONDS = 1.0
LONGEST_WAIT = 60.0
MOST = 10_000
LATEST = 1e15
"""Milliseconds since 1970 that no clock will show."""


def iso(milliseconds: int) -> str:
    """A time as ISO 8601 in UTC, with milliseconds."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds(text: str) -> int:
    """ISO 8601, or a number of seconds since 1970; ValueError for neither."""
    try:
        number = float(text) * 1000
    except ValueError:
        at = datetime.fromisoformat(text)
        number = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000
    if not abs(number) < LATEST:
        raise ValueError(f"{text} is no time")
    return int(number)


def summary(email: Email) -> dict[str, Any]:
    """One row of a list."""
    return {
        "id": email.id,
        "mailbox": email.mailbox,
        "from": email.header_from,
        "to": list(email.recipients),
        "subject": email.subject,
        "received_at": iso(email.received_at),
        "size": email.size,
        "message_id": email.message_id,
        "authentication": email.authentication,
    }


def detail(email: Email, raw: bytes) -> dict[str, Any]:
    """One message with all that a person sees of it."""
    said: Readable = read_message(raw)
    headers = parse_headers(email.prefix + raw)
    return {
        **summary(email),
        "headers": [
            {"name": field.name.decode("latin-1"), "value": decode_words(headers.value(field))}
            for field in headers.fields
        ],
        "text": said.text,
        "html": said.html,
        "links": [{"url": url, "text": text} for url, text in said.links],
        "attachments": [
            {
                "filename": part.filename,
                "content_type": part.kind,
                "size": len(part.content),
                "content_id": (part.headers.text("content-id") or "").strip("<>"),
            }
            for part in said.attachments
        ],
    }


def journey(trace: Trace) -> dict[str, Any]:
    """A trace with the local API's names."""
    return {
        "message_id": trace.message_id,
        "steps": [{"at": iso(one.at), "step": one.step, **one.detail} for one in trace.steps],
        "attempts": [
            {
                "at": iso(one.at),
                "recipient": one.recipient,
                "host": one.host,
                "address": one.address,
                "tls": one.tls,
                "replies": list(one.replies),
                "outcome": one.outcome,
            }
            for one in trace.attempts
        ],
    }


@dataclass(frozen=True, slots=True)
class Inbox:
    """Reads received mail."""

    store: Store
    wakeups: Wakeups
    clock: Clock

    async def find(
        self, wanted: EmailFilter, *, count: int = 1, seconds: float = 0.0
    ) -> list[Email]:
        """Emails that match; waits up to so many seconds until there are ``count``."""
        until = self.clock.ticks() + min(max(seconds, 0.0), LONGEST_WAIT)
        wanted = replace(wanted, limit=min(max(wanted.limit, 1), MOST))
        watch = self.wakeups.watch("emails")
        while True:
            found = await self.store.emails(wanted)
            left = until - self.clock.ticks()
            if left <= 0 or len(found) >= min(count, wanted.limit):
                return found
            await watch.wait(min(left, POLL_SECONDS))

    async def read(self, email_id: int) -> tuple[Email, bytes]:
        """One email and its bytes as they arrived."""
        email = await self.store.email(email_id)
        if email is None:
            raise NotFound(
                f"there is no message {email_id}", resource="message", name=str(email_id)
            )
        return email, await self.store.body(email.body)

    async def trace(self, message_id: str) -> Trace:
        """A message's journey."""
        trace = await self.store.trace(message_id)
        if trace is None:
            raise NotFound(
                f"there is no trace of {message_id}: it takes a MessageId, as a send returns it",
                resource="trace",
                name=message_id,
            )
        return trace
