"""The MTA role: leases due recipients, sends them, settles what came of it.

A destination is carried by a few tasks at most, each on one connection that is
used for message after message. While one message is on the wire the next ones
are being signed; settlements ride together into the store's next commit. While
the store takes no writes nothing is leased, and what was sent waits to be
settled: sending on would only make duplicates.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections import Counter
from collections.abc import Sequence

from mailstead.mail.delivery import Deliveries, MissingKey, Prepared, Router
from mailstead.mail.errors import DomainError, Unavailable
from mailstead.mail.messages import Leased, Settlement
from mailstead.mail.ports import Wakeups, Watch
from mailstead.mail.queue import LEASE
from mailstead.roles.carrier import Carrier
from mailstead.roles.net import OwnPeers
from mailstead.roles.sender import Patience
from mailstead.wire.smtp import Reply

log = logging.getLogger("mailstead.mta")

TOTAL = 40
"""Tasks that carry mail at once."""
EACH = 10
"""Of them for one destination."""
BATCH = 20
"""Recipients leased at a time."""
IDLE_SECONDS = 30.0
"""How often the queue is looked at without a hint."""
DOT_SECONDS = LEASE / 1000 - 605.0
"""How long after its lease a message's final dot may go out: a host may answer it 10 minutes
later (RFC 5321 4.5.3.2.6), and the lease must last until then, with 5 seconds to settle."""
BEGIN_SECONDS = DOT_SECONDS / 2
"""How long after its lease a message may still be begun; else it is given back."""
PAUSE_SECONDS = 2.0
"""How often a store that takes no writes is tried again."""
NOT_BEGUN = Reply.of(451, "The host was busy with earlier messages", enhanced="4.4.1")
OUR_FAULT = Reply.of(451, "The message could not be handled here", enhanced="4.3.0")


class Mta:
    """Delivers the queue of one process."""

    def __init__(
        self,
        deliveries: Deliveries,
        router: Router,
        wakeups: Wakeups,
        context: ssl.SSLContext,
        own: OwnPeers,
        *,
        patience: Patience | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        self._deliveries = deliveries
        self._router = router
        self._wakeups = wakeups
        self._context = context
        self._own = own
        self._patience = patience or Patience()
        self._pause_seconds = pause_seconds
        self._now = asyncio.get_running_loop().time
        self._active: Counter[str] = Counter()
        self._settled: list[Settlement] = []
        self._unsettled = asyncio.Event()
        self._stopped = asyncio.Event()
        self._paused = False
        self._kept = False
        """Attempts wait for space to be settled: until then nothing is leased again."""

    async def run(self) -> None:
        """Deliver until `stop`; then end the attempts under way and settle them."""
        watch = self._wakeups.watch("queue")
        async with asyncio.TaskGroup() as settling:
            settler = settling.create_task(self._settle())
            async with asyncio.TaskGroup() as group:
                while not self._stopped.is_set():
                    await self._look(group, watch)
            self._unsettled.set()
            await settler

    def stop(self) -> None:
        """Lease nothing more."""
        self._stopped.set()
        self._wakeups.wake("queue")
        self._unsettled.set()

    async def _look(self, group: asyncio.TaskGroup, watch: Watch) -> None:
        try:
            if self._kept:
                await self._nap()
            elif not await self._start_some(group):
                await self._wait(watch)
        except Unavailable as error:
            await self._pause(error)

    async def _pause(self, error: Unavailable) -> None:
        if not self._paused:
            log.error("delivery waits: %s", error)
        self._paused = True
        await self._nap()

    async def _nap(self) -> None:
        try:
            async with asyncio.timeout(self._pause_seconds):
                await self._stopped.wait()
        except TimeoutError:
            return

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
            not self._stopped.is_set()
            and self._active[destination] < EACH
            and self._active.total() < TOTAL
        )

    async def _lease(self, destination: str) -> list[Leased]:
        now = self._deliveries.clock.now()
        leased = await self._deliveries.store.lease(now, now + LEASE, [destination], BATCH)
        if self._paused:
            self._paused = False
            log.info("delivery goes on")
        return leased

    async def _carry(self, destination: str, leased: list[Leased]) -> None:
        carrier = Carrier(self._deliveries, self._router, self._context, self._own, self._patience)
        try:
            while leased:
                await self._send_batch(leased, carrier)
                leased = [] if self._stopped.is_set() else await self._lease(destination)
        except Unavailable as error:
            log.error("delivery to %s stops: %s", destination, error)
        except Exception:
            log.exception("delivery to %s failed; its leases will run out", destination)
        finally:
            self._active[destination] -= 1
            if not self._active[destination]:
                del self._active[destination]
            self._unsettled.set()
            self._wakeups.wake("queue")
            await carrier.end()

    async def _send_batch(self, leased: Sequence[Leased], carrier: Carrier) -> None:
        leased_at = self._now()
        async with asyncio.TaskGroup() as signing:
            prepared = [signing.create_task(self._prepare(one)) for one in leased]
            for one, ready in zip(leased, prepared, strict=True):
                # The next start makes leased ones due at once.
                if self._stopped.is_set():
                    break
                if self._now() > leased_at + BEGIN_SECONDS:
                    now = self._deliveries.clock.now()
                    self._add(Settlement(one, "deferred", str(NOT_BEGUN), due=now))
                else:
                    dot_by = leased_at + DOT_SECONDS
                    self._add(await self._attempt(one, await ready, carrier, dot_by))

    async def _prepare(self, leased: Leased) -> Prepared | Exception:
        try:
            return await self._deliveries.prepare(leased)
        except Exception as error:
            return error

    async def _attempt(
        self, leased: Leased, prepared: Prepared | Exception, carrier: Carrier, dot_by: float
    ) -> Settlement:
        if isinstance(prepared, Prepared):
            try:
                return await carrier.carry(leased, prepared, dot_by)
            except Exception as error:
                prepared = error
        return await self._deliveries.settle(leased, (), _our_reply(leased, prepared), ())

    def _add(self, settlement: Settlement) -> None:
        self._settled.append(settlement)
        self._unsettled.set()

    async def _settle(self) -> None:
        while self._settled or self._active or not self._stopped.is_set():
            await self._unsettled.wait()
            self._unsettled.clear()
            batch, self._settled = self._settled, []
            if not batch:
                continue
            try:
                await self._deliveries.store.settle(batch)
            except Unavailable as error:
                await self._settle_later(batch, error)
            except Exception:
                log.exception("%d attempts could not be settled together", len(batch))
                await self._settle_singly(batch)
            else:
                self._kept = False
                self._report(batch)

    async def _settle_later(self, batch: list[Settlement], error: Unavailable) -> None:
        """Keep them until there is space; else they would be sent again once their lease ends."""
        if error.full and not self._stopped.is_set():
            self._kept = True
            await self._pause(error)
            self._settled[:0] = batch
            self._unsettled.set()
        else:
            log.error("%d attempts could not be settled: %s", len(batch), error)

    async def _settle_singly(self, batch: Sequence[Settlement]) -> None:
        for one in batch:
            try:
                await self._deliveries.store.settle([one])
            except Exception:
                log.exception(
                    "%s to %s could not be settled; its lease will run out",
                    one.leased.message.message_id,
                    one.leased.recipient.address,
                )
            else:
                self._report([one])

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


def _our_reply(leased: Leased, error: Exception) -> Reply:
    """What a recipient gets that could not be sent because of something here."""
    message_id = leased.message.message_id
    if isinstance(error, (MissingKey, DomainError)):
        return Reply.of(550, str(error), enhanced="5.7.0")
    if isinstance(error, Unavailable):
        log.error("%s is tried later: %s", message_id, error)
    else:
        # Tried again like any other trouble, and returned to its sender in the end.
        log.error("%s could not be handled", message_id, exc_info=error)
    return OUR_FAULT
