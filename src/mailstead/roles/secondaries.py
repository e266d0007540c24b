"""Tells other name servers that a zone has changed (NOTIFY, RFC 1996), until they answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from mailstead.mail.ports import Clock, Randomness, Wakeups
from mailstead.mail.zones import Zones
from mailstead.wire.domain_name import name_to_text
from mailstead.wire.name_server import NameServer
from mailstead.wire.transfer import is_notify_reply, notify
from mailstead.wire.tsig_key import TsigKey

log = logging.getLogger("mailstead.dns")

GATHER_SECONDS = 0.1
"""How long after a change a further one is waited for: one message tells of all."""
GATHERED = 50
"""Changes after which it is told at last."""
PAUSES = (2.0, 4.0, 8.0, 16.0, 32.0)
"""Seconds after which who did not answer is told again (RFC 1996 3.6)."""
POLL_SECONDS = 60.0
AT_ONCE = 50
"""Messages that wait for one server's answers at one time."""


class Secondaries:
    """Keeps the secondaries told, from the start on."""

    def __init__(
        self,
        zones: Zones,
        wakeups: Wakeups,
        clock: Clock,
        randomness: Randomness,
        servers: Sequence[NameServer],
        key: TsigKey | None = None,
        *,
        gather_seconds: float = GATHER_SECONDS,
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        """``key`` signs what is sent and the answers; None: nothing is signed."""
        self._zones = zones
        self._wakeups = wakeups
        self._clock = clock
        self._randomness = randomness
        self._servers = tuple(servers)
        self._key = key
        self._gather_seconds = gather_seconds
        self._pauses = tuple(pauses)
        self._turns = {server: asyncio.Semaphore(AT_ONCE) for server in self._servers}
        """Of each server its own: one that is silent delays no other."""
        self._told: dict[bytes, int] = {}
        """The serials that the secondaries were told of."""
        self._telling: dict[tuple[bytes, NameServer], asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Tell until cancelled."""
        watch = self._wakeups.watch("zones")
        async with asyncio.TaskGroup() as group:
            while True:
                self._begin(group)
                changed = await watch.wait(POLL_SECONDS)
                for _ in range(GATHERED if changed else 0):
                    if not await watch.wait(self._gather_seconds):
                        break

    def _begin(self, group: asyncio.TaskGroup) -> None:
        serials = self._zones.compiled.serials
        for apex, serial in serials.items():
            if self._told.get(apex) == serial:
                continue
            for server in self._servers:
                place = (apex, server)
                before = self._telling.get(place)
                if before is not None:
                    before.cancel()
                task = self._telling[place] = group.create_task(self._tell(apex, server))
                task.add_done_callback(lambda done, place=place: self._forget(place, done))
        self._told = serials

    def _forget(self, place: tuple[bytes, NameServer], done: asyncio.Task[None]) -> None:
        if self._telling.get(place) is done:
            del self._telling[place]

    async def _tell(self, apex: bytes, server: NameServer) -> None:
        domain = name_to_text(apex)
        for pause in self._pauses:
            zone = self._zones.compiled.at(apex)
            if zone is None:
                return
            message = notify(int.from_bytes(self._randomness.token(2)), zone)
            try:
                problem = await self._ask(server, message, pause)
            except TimeoutError:
                continue
            except Exception:
                log.exception("NOTIFY of %s to %s failed", domain, server.text)
                return
            if problem:
                log.warning("the secondary %s and %s: %s", server.text, domain, problem)
            return
        log.warning(
            "the secondary %s does not answer NOTIFY of %s: it will look by itself when the "
            "refresh time of the zone's SOA record is over",
            server.text,
            domain,
        )

    async def _ask(self, server: NameServer, message: bytes, seconds: float) -> str:
        """What the answer complains of; "" for nothing. TimeoutError without an answer."""
        sent, mac = message, b""
        if self._key is not None:
            # Imported where secondaries with keys are: it takes a twentieth of a second.
            from mailstead.wire.tsig import sign

            sent, mac = sign(message, self._key, self._clock.real() // 1000)
        loop = asyncio.get_running_loop()
        exchange = _Exchange(message, loop.create_future())
        async with self._turns[server], asyncio.timeout(seconds):
            transport = None
            try:
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: exchange, remote_addr=(server.host, server.port)
                )
                transport.sendto(sent)
            except OSError as error:
                # No way there now; perhaps later.
                log.info("NOTIFY to %s: %s", server.text, error)
            try:
                return self._complaint(await exchange.reply, mac)
            finally:
                if transport is not None:
                    transport.close()

    def _complaint(self, reply: bytes, mac: bytes) -> str:
        if self._key is not None:
            from mailstead.wire.tsig import TsigError, check

            try:
                reply = check(reply, self._key, mac, self._clock.real() // 1000)
            except TsigError as error:
                return str(error)
        rcode = reply[3] & 15
        return _RCODES.get(rcode, f"code {rcode}") if rcode else ""


_RCODES = {
    1: "FORMERR",
    2: "SERVFAIL",
    4: "it is a secondary of nobody (NOTIMP)",
    5: "it is not told that this server is the zone's primary (REFUSED)",
    9: "it does not have the zone (NOTAUTH)",
}


class _Exchange(asyncio.DatagramProtocol):
    """One message to one server, and its answer."""

    def __init__(self, message: bytes, reply: asyncio.Future[bytes]) -> None:
        self._message = message
        self.reply = reply

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        if is_notify_reply(data, self._message) and not self.reply.done():
            self.reply.set_result(data)
