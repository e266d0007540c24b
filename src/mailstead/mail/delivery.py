"""Delivery: what leaves, by which route, and what a reply means (RFC 5321 4.2, 4.5.4).

The network is a role's matter. Here a leased recipient becomes signed bytes and
an envelope, and the replies become a settlement: delivered, tried again later,
or bounced with a message to where bounces go.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from mailstead.mail.acceptance import PassedOn, passed_on
from mailstead.mail.errors import NotFound
from mailstead.mail.message_ids import ReturnPaths, new_message_id
from mailstead.mail.messages import (
    Accepted,
    Attempt,
    Door,
    Leased,
    OutboundMessage,
    Settlement,
    Signer,
    Step,
)
from mailstead.mail.model import Identity, Secret
from mailstead.mail.ports import Clock, Randomness, Store, Workers
from mailstead.mail.queue import expired_text, next_attempt
from mailstead.mail.service import HOME, ServiceKey, ServiceNames, service_signer
from mailstead.wire.dkim import Unsigned, sign
from mailstead.wire.dkim_key import PrivateKey, load_private_key
from mailstead.wire.message import MessageError, parse_headers
from mailstead.wire.reports import Delivery as ReportedDelivery
from mailstead.wire.reports import compose_report
from mailstead.wire.smtp import Reply


@dataclass(frozen=True, slots=True)
class Hop:
    """One host to try."""

    host: str
    """The name that is greeted and shown."""
    address: str
    port: int
    tls: str
    """``opportunistic``, or ``none``."""


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for a destination goes: hosts in the order to try."""

    hops: tuple[Hop, ...]
    own: bool = False
    """The receiver is ours: the id in its last reply names the email."""


@dataclass(frozen=True, slots=True)
class Unroutable:
    """No host can be tried."""

    reply: Reply
    """What the trace and the bounce say."""


class Router(Protocol):
    """Finds the hosts for a destination; one for each delivery mode."""

    async def route(self, recipient: str, door: Door) -> Route | Unroutable:
        """The route for an address of a message that came in by that door."""
        ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one transaction sends."""

    reverse_path: str
    """Empty for the null reverse path."""
    recipient: str
    data: bytes
    steps: tuple[Step, ...]


class MissingKey(Exception):
    """The key that should sign is gone."""


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What delivery needs of the outside."""

    store: Store
    clock: Clock
    randomness: Randomness
    workers: Workers
    return_paths: ReturnPaths
    names: ServiceNames | None
    hostname: str
    """Who reports bounces, and where they come from without service names."""

    async def prepare(self, leased: Leased) -> Prepared:
        """Sign a message and make its reverse path. MissingKey when a key is gone."""
        message = leased.message
        raw = await self.store.body(message.body)
        keys = [(signer, await self._key(message, signer)) for signer in message.signers]
        fields = b""
        if keys:
            signed_at = message.accepted_at // 1000
            fields = await self.workers.run(signatures, raw, keys, signed_at)
        steps = tuple(
            Step(self.clock.now(), "signed", {"domain": one.domain, "selector": one.selector})
            for one in message.signers
        )
        return Prepared(self.reverse_path(leased), leased.recipient.address, fields + raw, steps)

    def reverse_path(self, leased: Leased) -> str:
        """The reverse path of one recipient's transaction."""
        message, recipient = leased.message, leased.recipient
        if "@" in message.mail_from or not message.mail_from:
            return message.mail_from
        local = self.return_paths.local_part(
            message.message_id, recipient.address, recipient.number
        )
        return f"{local}@{message.mail_from}"

    async def _key(self, message: OutboundMessage, signer: Signer) -> Secret:
        kind, _, name = signer.key.partition(":")
        if kind == "service":
            service = await self.store.get(ServiceKey, HOME, "service")
            key = service.key if service is not None else None
        else:
            identity = await self.store.get(Identity, message.scope, name)
            key = identity.dkim.key if identity is not None else None
        if key is None or signer.selector not in key.selectors:
            raise MissingKey(
                f"the DKIM key {signer.selector} of {signer.domain} is gone: "
                "send the message again, it is signed with the key of today then"
            )
        return key.private

    async def settle(
        self, leased: Leased, attempts: Sequence[Attempt], reply: Reply, steps: Sequence[Step]
    ) -> Settlement:
        """What a final reply means for a recipient."""
        now = self.clock.now()
        text = reply_text(reply)
        if reply.code // 100 == 2:
            return Settlement(
                leased, "delivered", text, attempts=tuple(attempts), steps=tuple(steps)
            )
        if reply.code // 100 == 5:
            return await self._bounced(leased, attempts, reply, text, steps)
        if now >= leased.message.expires_at:
            expired = expired_text(leased.message.accepted_at, leased.message.expires_at, text)
            return await self._bounced(
                leased, attempts, Reply.of(550, expired[10:], enhanced="4.4.7"), expired, steps
            )
        due = min(
            next_attempt(now, leased.attempts, self.randomness.fraction()),
            leased.message.expires_at,
        )
        return Settlement(
            leased,
            "deferred",
            text,
            due=due,
            attempts=tuple(attempts),
            steps=(*steps, Step(now, "deferred", {"until": due, "reply": text})),
        )

    async def _bounced(
        self,
        leased: Leased,
        attempts: Sequence[Attempt],
        reply: Reply,
        text: str,
        steps: Sequence[Step],
    ) -> Settlement:
        now = self.clock.now()
        notice = await self._notice(leased, attempts, reply, text)
        step = Step(
            now,
            "bounced",
            {
                "reply": text,
                "notice_to": leased.message.reverse_path or None,
                "notice": notice.message.message_id if notice else None,
            },
        )
        return Settlement(
            leased,
            "bounced",
            text,
            attempts=tuple(attempts),
            steps=(*steps, step),
            notice=notice,
        )

    async def _notice(
        self, leased: Leased, attempts: Sequence[Attempt], reply: Reply, text: str
    ) -> Accepted | None:
        """The bounce message (RFC 3464) to where the submitter wants bounces."""
        message = leased.message
        # RFC 5321 4.5.5: no notification about a message with a null reverse path.
        if not message.reverse_path:
            return None
        now = self.clock.now()
        region = message.scope.region
        domain = self.names.mail_from(region) if self.names is not None else self.hostname
        message_id = new_message_id(region, now, self.randomness.uuid())
        raw = compose_report(
            sender=f"MAILER-DAEMON@{domain}",
            to=message.reverse_path,
            message_id=f"<{message_id}@{domain}>",
            date=now // 1000,
            reporting_mta=self.hostname,
            boundary=self.randomness.token(16).hex(),
            arrival_date=message.accepted_at // 1000,
            deliveries=[
                ReportedDelivery(
                    recipient=leased.recipient.address,
                    action="failed",
                    status=reply.status or "5.0.0",
                    diagnostic=text,
                    remote_mta=attempts[-1].host if attempts else "",
                )
            ],
            original_headers=await self._original(message),
        )
        signers = await service_signer(self.store, self.names.domain) if self.names else ()
        notice = PassedOn(
            message.scope,
            Door.SYSTEM,
            "",
            (message.reverse_path,),
            raw,
            message_id=message_id,
            signers=signers,
            detail=(("about", message.message_id),),
            demo=message.demo,
        )
        return passed_on(self.randomness, now, notice)

    async def _original(self, message: OutboundMessage) -> bytes:
        """The header of the message that could not be delivered, as it was accepted."""
        try:
            headers = parse_headers(await self.store.body(message.body))
        except (NotFound, MessageError):
            return f"Subject: {message.subject}\r\n".encode("utf-8", "replace")
        return headers.raw[: headers.header_end]


def signatures(raw: bytes, keys: Sequence[tuple[Signer, Secret]], signed_at: int) -> bytes:
    """Every signature's field, the first signer's on top. Runs in a worker thread."""
    unsigned = Unsigned(raw)
    fields = [
        sign(
            unsigned,
            domain=signer.domain,
            selector=signer.selector,
            key=_loaded(bytes(secret)),
            signed_at=signed_at,
        )
        for signer, secret in keys
    ]
    return b"".join(fields)


@lru_cache(maxsize=1024)
def _loaded(private: bytes) -> PrivateKey:
    return load_private_key(private)


def reply_text(reply: Reply) -> str:
    """A reply on one line, for the queue and for bounces."""
    return " ".join(str(reply).replace("\r", "").split("\n"))
