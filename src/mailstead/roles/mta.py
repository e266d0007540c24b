"""The MTA role: leases due recipients, sends them, settles what came of it.

A destination is carried by a few tasks at most, each on one connection that is
used for message after message. While one message is on the wire the next ones
are being signed; settlements ride together into the store's next commit.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from mailstead.mail.delivery import (
    Deliveries,
    Hop,
    MissingKey,
    Prepared,
    Route,
    Router,
    Unroutable,
)
from mailstead.mail.errors import DomainError, Unavailable
from mailstead.mail.messages import Attempt, Leased, Settlement, Step
from mailstead.mail.ports import Wakeups, Watch
from mailstead.mail.queue import LEASE
from mailstead.roles.net import OwnPeers
from mailstead.roles.sender import ConnectFailed, Sender
from mailstead.wire.addresses import Address, parse_path
from mailstead.wire.smtp import Reply, SmtpError
from mailstead.wire.smtp_client import Envelope, RecipientOutcome, Stage, Transaction

log = logging.getLogger("mailstead.mta")

TOTAL = 40
"""Tasks that carry mail at once."""
EACH = 10
"""Of them for one destination."""
BATCH = 20
"""Recipients leased at a time."""
IDLE_SECONDS = 30.0
"""How often the queue is looked at without a hint."""
MESSAGES_A_CONNECTION = 1000


@dataclass(slots=True)
class _Tried:
    """What trying a recipient gave so far."""

    reply: Reply
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    arrival: str = ""


class Mta:
    """Delivers the queue of one process."""

    def __init__(
        self,
        deliveries: Deliveries,
        router: Router,
        wakeups: Wakeups,
        context: ssl.SSLContext,
        own: OwnPeers,
    ) -> None:
        self._own = own
        self._deliveries = deliveries
        self._router = router
        self._wakeups = wakeups
        self._context = context
        self._active: Counter[str] = Counter()
        self._settled: list[Settlement] = []
        self._unsettled = asyncio.Event()
        self._stopping = False

    async def run(self) -> None:
        """Deliver until `stop`; then end the attempts under way and settle them."""
        try:
            watch = self._wakeups.watch("queue")
            async with asyncio.TaskGroup() as settling:
                settler = settling.create_task(self._settle())
                async with asyncio.TaskGroup() as group:
                    while not self._stopping:
                        if not await self._start_some(group):
                            await self._wait(watch)
                self._unsettled.set()
                await settler
        finally:
            self._stopping = True

    def stop(self) -> None:
        """Lease nothing more."""
        self._stopping = True
        self._wakeups.wake("queue")
        self._unsettled.set()

    async def _wait(self, watch: Watch) -> None:
        due = await self._deliveries.store.next_due()
        now = self._deliveries.clock.now()
        seconds = IDLE_SECONDS if due is None else min(IDLE_SECONDS, (due - now) / 1000)
        # Due, and still nobody could be started: a task that ends wakes us.
        await watch.wait(seconds if seconds > 0 else 1.0)

    async def _start_some(self, group: asyncio.TaskGroup) -> bool:
        started = False
        now = self._deliveries.clock.now()
        for destination in await self._deliveries.store.destinations(now, 4 * TOTAL):
            while self._has_place(destination):
                leased = await self._lease(destination)
                if not leased:
                    break
                self._active[destination] += 1
                group.create_task(self._carry(destination, leased))
                started = True
                if len(leased) < BATCH:
                    break
        return started

    def _has_place(self, destination: str) -> bool:
        return (
            not self._stopping and self._active[destination] < EACH and self._active.total() < TOTAL
        )

    async def _lease(self, destination: str) -> list[Leased]:
        now = self._deliveries.clock.now()
        try:
            return await self._deliveries.store.lease(now, now + LEASE, [destination], BATCH)
        except Unavailable as error:
            log.error("nothing can be delivered now: %s", error)
            await self._wakeups.watch("queue").wait(1.0)
            return []

    async def _carry(self, destination: str, leased: list[Leased]) -> None:
        sender: Sender | None = None
        try:
            while leased:
                sender = await self._send_batch(leased, sender)
                leased = [] if self._stopping else await self._lease(destination)
        except Exception:
            log.exception("delivery to %s failed; its leases will run out", destination)
        finally:
            self._active[destination] -= 1
            if not self._active[destination]:
                del self._active[destination]
            self._wakeups.wake("queue")
            if sender is not None:
                await sender.quit()

    async def _send_batch(self, leased: Sequence[Leased], sender: Sender | None) -> Sender | None:
        async with asyncio.TaskGroup() as signing:
            prepared = [signing.create_task(self._prepare(one)) for one in leased]
            for one, ready in zip(leased, prepared, strict=True):
                sender = await self._send(one, await ready, sender)
        return sender

    async def _prepare(self, leased: Leased) -> Prepared | MissingKey | DomainError:
        try:
            return await self._deliveries.prepare(leased)
        except (MissingKey, DomainError) as error:
            return error

    async def _send(
        self, leased: Leased, prepared: Prepared | Exception, sender: Sender | None
    ) -> Sender | None:
        if isinstance(prepared, Exception):
            reply = Reply.of(550, str(prepared), enhanced="5.7.0")
            self._add(await self._deliveries.settle(leased, (), reply, ()))
            return sender
        route = await self._router.route(leased.recipient.address, leased.message.door)
        steps = list(prepared.steps)
        if isinstance(route, Unroutable):
            self._add(await self._deliveries.settle(leased, (), route.reply, steps))
            return sender
        hosts = [f"{hop.host} [{hop.address}]:{hop.port}" for hop in route.hops]
        steps.append(Step(self._deliveries.clock.now(), "routed", {"hosts": hosts}))
        tried, sender = await self._try(leased, prepared, route, sender)
        settlement = await self._deliveries.settle(leased, tried.attempts, tried.reply, steps)
        self._add(settlement, tried.arrival)
        return sender

    async def _try(
        self, leased: Leased, prepared: Prepared, route: Route, sender: Sender | None
    ) -> tuple[_Tried, Sender | None]:
        tried = _Tried(Reply.of(451, "No host could be tried", enhanced="4.4.1"))
        for hop in route.hops:
            if sender is not None and (
                not sender.usable or sender.hop != hop or sender.sent >= MESSAGES_A_CONNECTION
            ):
                await sender.quit()
                sender = None
            if sender is None:
                try:
                    sender = await Sender.connect(
                        hop, self._deliveries.hostname, self._context, self._own
                    )
                except ConnectFailed as error:
                    tried.reply = Reply.of(451, f"{hop.host}: {error}", enhanced="4.4.1")
                    tried.attempts.append(self._attempt(leased, hop, None, (), tried.reply))
                    continue
            transaction = await self._hand_over(prepared, sender)
            [outcome] = transaction.outcomes
            tried.reply = outcome.reply
            tried.attempts.append(
                self._attempt(leased, hop, sender.tls, transaction.replies, outcome.reply)
            )
            if route.own and outcome.reply.accepted:
                tried.arrival = outcome.reply.text.rpartition(" ")[2]
            if not transaction.reusable:
                sender.abort()
                sender = None
            # Another host is only asked when this one could not be talked to.
            if outcome.remote:
                break
        return tried, sender

    async def _hand_over(self, prepared: Prepared, sender: Sender) -> Transaction:
        recipient = parse_path(prepared.recipient, utf8=True)
        path = parse_path(prepared.reverse_path, utf8=True) if prepared.reverse_path else None
        try:
            return await sender.send(Envelope(path, (recipient,), prepared.data))
        except SmtpError as error:
            return _unsendable(recipient, error)

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

    def _add(self, settlement: Settlement, arrival: str = "") -> None:
        self._settled.append(replace(settlement, arrival=arrival) if arrival else settlement)
        self._unsettled.set()

    async def _settle(self) -> None:
        while not (self._stopping and not self._active and not self._settled):
            await self._unsettled.wait()
            self._unsettled.clear()
            batch, self._settled = self._settled, []
            if not batch:
                continue
            try:
                await self._deliveries.store.settle(batch)
            except Unavailable as error:
                # The leases run out, and the recipients are tried again: at least once.
                log.error("attempts could not be settled: %s", error)
                continue
            self._report(batch)

    def _report(self, batch: Sequence[Settlement]) -> None:
        for one in batch:
            log.info(
                "%s %s %s: %s",
                one.leased.message.message_id,
                one.outcome,
                one.leased.recipient.address,
                one.reply,
            )
        if any(one.arrival for one in batch):
            self._wakeups.wake("emails")
        if any(one.notice or one.outcome == "deferred" for one in batch):
            self._wakeups.wake("queue")


def _unsendable(recipient: Address, error: SmtpError) -> Transaction:
    """The outcome of a message that SMTP can't carry."""
    reply = Reply.of(550, f"The message can't be sent: {error}", enhanced="5.6.0")
    outcome = RecipientOutcome(recipient, reply, Stage.DATA, remote=True)
    return Transaction((outcome,), (), reusable=True)
