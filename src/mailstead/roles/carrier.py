"""Carries one destination's mail: message after message, on one connection while it holds."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mailstead.mail.delivery import Deliveries, Hop, Prepared, Route, Router, Unroutable
from mailstead.mail.messages import Attempt, Leased, Settlement, Step
from mailstead.roles.net import OwnPeers
from mailstead.roles.sender import ConnectFailed, Patience, Sender
from mailstead.wire.addresses import AddressError, parse_path
from mailstead.wire.smtp import Reply, SmtpError
from mailstead.wire.smtp_client import Envelope, RecipientOutcome, Stage, Transaction

MESSAGES_A_CONNECTION = 1000
_BEFORE_MAIL = (Stage.CONNECT, Stage.HELO, Stage.TLS)
"""A host that refuses here refuses us, not the message: the next one is asked."""
_NOTHING_SAID = (Stage.CONNECT, Stage.MAIL)
"""Where a connection that was used before turns out to have been closed meanwhile."""


@dataclass(slots=True)
class _Tried:
    """What trying a recipient gave so far."""

    reply: Reply
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    arrival: str = ""


class Carrier:
    """What one task of the MTA sends with."""

    def __init__(
        self,
        deliveries: Deliveries,
        router: Router,
        context: ssl.SSLContext,
        own: OwnPeers,
        patience: Patience,
    ) -> None:
        self._deliveries = deliveries
        self._router = router
        self._context = context
        self._own = own
        self._patience = patience
        self._sender: Sender | None = None

    async def carry(self, leased: Leased, prepared: Prepared, dot_by: float) -> Settlement:
        """Try a recipient; how that ended. ``dot_by``: see `Sender.send`."""
        route = await self._router.route(leased.recipient.address, leased.message.door)
        steps = list(prepared.steps)
        if isinstance(route, Unroutable):
            return await self._deliveries.settle(leased, (), route.reply, steps)
        hosts = [f"{hop.host} [{hop.address}]:{hop.port}" for hop in route.hops]
        steps.append(Step(self._deliveries.clock.now(), "routed", {"hosts": hosts}))
        tried = await self._try(leased, prepared, route, dot_by)
        settlement = await self._deliveries.settle(leased, tried.attempts, tried.reply, steps)
        return replace(settlement, arrival=tried.arrival) if tried.arrival else settlement

    async def end(self) -> None:
        """Take leave of the host."""
        sender, self._sender = self._sender, None
        if sender is not None:
            await sender.quit()

    async def _try(self, leased: Leased, prepared: Prepared, route: Route, dot_by: float) -> _Tried:
        tried = _Tried(Reply.of(451, "No host could be tried", enhanced="4.4.1"))
        try:
            recipient = parse_path(prepared.recipient, utf8=True)
            path = parse_path(prepared.reverse_path, utf8=True) if prepared.reverse_path else None
        except AddressError as error:
            tried.reply = Reply.of(550, f"The address can't be used: {error}", enhanced="5.1.3")
            return tried
        envelope = Envelope(path, (recipient,), prepared.data)
        for hop in route.hops:
            try:
                transaction = await self._hand_over(hop, envelope, dot_by)
            except ConnectFailed as error:
                tried.reply = Reply.of(451, f"{hop.host}: {error}", enhanced="4.4.1")
                tried.attempts.append(self._attempt(leased, hop, None, (), tried.reply))
                continue
            [outcome] = transaction.outcomes
            tls = self._sender.tls if self._sender is not None else None
            tried.reply = outcome.reply
            tried.attempts.append(
                self._attempt(leased, hop, tls, transaction.replies, outcome.reply)
            )
            if route.own and outcome.reply.accepted:
                tried.arrival = outcome.reply.text.rpartition(" ")[2]
            if not transaction.reusable:
                self._drop()
            if _decides(outcome):
                break
        return tried

    async def _hand_over(self, hop: Hop, envelope: Envelope, dot_by: float) -> Transaction:
        """Send by the connection that is open, else by a new one. ConnectFailed."""
        sender = self._sender
        if sender is not None and (
            not sender.usable or sender.hop != hop or sender.sent >= MESSAGES_A_CONNECTION
        ):
            await self.end()
        if self._sender is not None:
            transaction = await _send(self._sender, envelope, dot_by)
            [outcome] = transaction.outcomes
            if outcome.remote or outcome.stage not in _NOTHING_SAID:
                return transaction
            self._drop()
        self._sender = await Sender.connect(
            hop, self._deliveries.hostname, self._context, self._own, self._patience
        )
        return await _send(self._sender, envelope, dot_by)

    def _drop(self) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.abort()

    def _attempt(
        self, leased: Leased, hop: Hop, tls: str | None, replies: Sequence[str], reply: Reply
    ) -> Attempt:
        kinds = {2: "delivered", 5: "bounced"}
        return Attempt(
            at=self._deliveries.clock.now(),
            recipient=leased.recipient.address,
            host=hop.host,
            address=f"{hop.address}:{hop.port}",
            tls=tls,
            replies=tuple(replies),
            outcome=kinds.get(reply.code // 100, "deferred"),
        )


def _decides(outcome: RecipientOutcome) -> bool:
    """Whether no other host is asked: the message was judged, or may have been taken."""
    if outcome.stage is Stage.DOT:
        return True
    return outcome.remote and outcome.stage not in _BEFORE_MAIL


async def _send(sender: Sender, envelope: Envelope, dot_by: float) -> Transaction:
    try:
        return await sender.send(envelope, dot_by)
    except SmtpError as error:
        # RFC 5321 2.3.8: what SMTP can't carry is nobody's fault but the message's.
        reply = Reply.of(550, f"The message can't be sent: {error}", enhanced="5.6.0")
        outcome = RecipientOutcome(envelope.recipients[0], reply, Stage.DATA, remote=True)
        return Transaction((outcome,), (), reusable=True)
