"""The authoritative DNS server, over UDP and TCP.

In capture mode loopback clients also get the service's own names, which the
records of hosted zones point to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from mailstead.mail.dns_cookies import DnsCookies
from mailstead.mail.ports import Store, Wakeups
from mailstead.mail.reception import is_loopback
from mailstead.mail.response_rates import ResponseRates, Verdict
from mailstead.mail.service import ServiceNames
from mailstead.mail.zones import Zones
from mailstead.roles.crowd import Crowd
from mailstead.roles.net import Connection, Listener
from mailstead.roles.sockets import Binding
from mailstead.roles.transfers import Transfers
from mailstead.wire.dns import (
    Frames,
    Query,
    answer,
    cookie_in,
    frame,
    refusal,
    response,
    truncated,
)

log = logging.getLogger("mailstead.dns")

IDLE_SECONDS = 10.0
"""A TCP connection without a whole query for so long is closed (RFC 7766 6.2.3)."""
CONNECTIONS = 500
"""TCP connections at one time; further ones are closed at once."""
CONNECTIONS_EACH = 20
"""Of one address or IPv6 /64; three times as many of an IPv4 /24 (RFC 7766 6.2.2)."""
POLL_SECONDS = 60.0

Address = tuple[Any, ...]
"""A client, as the event loop has it: host and port, and what IPv6 adds."""


class DnsServer:
    """Answers for the hosted zones on one UDP and one TCP port."""

    def __init__(
        self,
        zones: Zones,
        names: ServiceNames | None,
        store: Store,
        wakeups: Wakeups,
        *,
        rates: ResponseRates | None = None,
        transfers: Transfers | None = None,
        crowd: Crowd | None = None,
        cookies: DnsCookies | None = None,
        idle_seconds: float = IDLE_SECONDS,
        connections: int = CONNECTIONS,
    ) -> None:
        """``names`` None: the service's names are not answered here.

        ``rates`` limits what is sent over UDP; None: nothing does. ``transfers``
        answers other name servers; None: their questions are refused. ``crowd``
        counts TCP clients by network; who has one of our ``cookies`` is held by no rate.
        """
        self._zones = zones
        self._names = names
        self._store = store
        self._wakeups = wakeups
        self._rates = rates if rates is not None else ResponseRates(0)
        self._transfers = transfers
        self._crowd = crowd
        self._cookies = cookies
        self._idle_seconds = idle_seconds
        self._connections = connections
        self._transports: list[asyncio.DatagramTransport] = []
        self._listener: Listener | None = None
        self._task: asyncio.Task[None] | None = None
        self._open = 0
        self._loop_time: Callable[[], float] = asyncio.get_running_loop().time

    async def start(self, udp: Binding, tcp: Binding, group: asyncio.TaskGroup) -> None:
        """Answer from now on."""
        loop = asyncio.get_running_loop()
        for one in udp.sockets:
            transport, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(self, group.create_task), sock=one
            )
            self._transports.append(transport)
        self._listener = Listener(tcp, self.serve, group, crowd=self._crowd)
        await self._listener.start()
        self._task = group.create_task(self._compile())

    def stop(self) -> None:
        """Answer no more."""
        for transport in self._transports:
            transport.close()
        if self._listener is not None:
            self._listener.stop()
        if self._task is not None:
            self._task.cancel()

    async def drained(self, seconds: float) -> None:
        """Wait for the TCP clients' last answers."""
        if self._listener is not None:
            await self._listener.drained(seconds)

    async def _compile(self) -> None:
        """Make the zones ready after a change, not at the next query, and signatures in time."""
        watch = self._wakeups.watch("zones")
        while True:
            self._zones.renew()
            _ = self._zones.compiled
            await watch.wait(POLL_SECONDS)

    def reply(self, packet: bytes, client: str, *, stream: bool) -> bytes | Query | None:
        """What to send back; a Query for those that `replies` answers."""
        zones, cookies = self._zones.compiled, self._cookies
        found = answer(zones, packet, stream=stream, client=client, cookies=cookies)
        if not isinstance(found, Query):
            return found
        if found.signed or found.transfer:
            return found if self._transfers is not None else refusal(found)
        question = found.lookup()
        names = self._names
        if names is None or question is None or not is_loopback(client):
            return refusal(found)
        return found if names.holds(question.name) else refusal(found)

    def within_rate(self, reply: bytes, client: str, packet: bytes) -> bytes | None:
        """What of a reply to a packet may be sent over UDP at its network's rate; None: nothing."""
        verdict = self._rates.verdict(client, reply, self._loop_time())
        if verdict is Verdict.SEND or self._is_proven(client, packet):
            return reply
        return truncated(reply) if verdict is Verdict.TRUNCATE else None

    def _is_proven(self, client: str, packet: bytes) -> bool:
        """Whether a packet comes from where it says it does."""
        return self._cookies is not None and self._cookies.is_ours(client, cookie_in(packet))

    async def replies(
        self, packet: bytes, query: Query, client: str, *, stream: bool
    ) -> AsyncIterator[bytes]:
        """The messages that answer what `reply` gave a Query for."""
        if self._transfers is None or not (query.signed or query.transfer):
            yield await self._service_reply(query)
            return

        async def plainly(plain: bytes) -> bytes | None:
            found = self.reply(plain, client, stream=stream)
            return await self._service_reply(found) if isinstance(found, Query) else found

        messages = self._transfers.replies(packet, query, client, plainly, stream=stream)
        async for message in messages:
            yield message

    async def _service_reply(self, query: Query) -> bytes:
        """The reply to a question about one of the service's names."""
        question = query.lookup()
        assert self._names is not None
        assert question is not None
        return response(query, await self._names.answer(question, self._store))

    async def serve(self, connection: Connection) -> None:
        """Answer one TCP client, query after query (RFC 7766)."""
        self._open += 1
        try:
            if self._open <= self._connections:
                await self._serve(connection)
        finally:
            self._open -= 1

    async def _serve(self, connection: Connection) -> None:
        frames = Frames()
        client = connection.peer[0]
        end = self._loop_time() + self._idle_seconds
        while True:
            # A query that comes octet by octet has no more time than silence.
            packets = frames.feed(await connection.read(max(0.0, end - self._loop_time())))
            for packet in packets:
                found = self.reply(packet, client, stream=True)
                if found is None:
                    # What is no query has no answer, and its sender no business here.
                    return
                if isinstance(found, Query):
                    async for message in self.replies(packet, found, client, stream=True):
                        await self._send(connection, message)
                else:
                    await self._send(connection, found)
            if packets:
                end = self._loop_time() + self._idle_seconds

    async def _send(self, connection: Connection, message: bytes) -> None:
        """Send one message; who does not take what was sent before is waited for first."""
        connection.write(frame(message))
        await connection.drain(self._idle_seconds)


class _Datagrams(asyncio.DatagramProtocol):
    """Queries and replies of one UDP socket."""

    def __init__(
        self,
        server: DnsServer,
        spawn: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
    ) -> None:
        self._server = server
        self._spawn = spawn
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Address) -> None:
        try:
            found = self._server.reply(data, addr[0], stream=False)
        except Exception:
            log.exception("a DNS query failed")
            return
        if isinstance(found, Query):
            self._spawn(self._later(data, found, addr))
        elif found is not None:
            self._send(found, addr, data)

    async def _later(self, packet: bytes, query: Query, addr: Address) -> None:
        try:
            async for reply in self._server.replies(packet, query, addr[0], stream=False):
                self._send(reply, addr, packet)
        except Exception:
            log.exception("a DNS query failed")

    def _send(self, reply: bytes, addr: Address, packet: bytes) -> None:
        sent = self._server.within_rate(reply, addr[0], packet)
        if sent is not None and self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(sent, addr)
