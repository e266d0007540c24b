"""Listeners, and the protocol that carries a sans-IO session over a socket.

A `Connection` feeds what arrives to a reader task and back-pressures the peer
while that task decides. TLS replaces the transport under it (RFC 3207); the
bytes that came in clear before stay with the session, which drops them.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine
from typing import cast

from mailstead.roles.crowd import Crowd
from mailstead.roles.sockets import BACKLOG, Binding, listen

log = logging.getLogger("mailstead.net")

PAUSE_ABOVE = 256 * 1024
"""Unread octets at which reading from the peer stops."""
HANDSHAKE_SECONDS = 30.0
CLOSE_SECONDS = 30.0
"""How long a peer may take for what was written before the end; it is cut then."""


class PeerGone(Exception):
    """The peer closed, was silent for too long (``silent``), or we are leaving (``leaving``)."""

    def __init__(self, *, silent: bool = False, leaving: bool = False) -> None:
        super().__init__("silent" if silent else "closed")
        self.silent = silent
        self.leaving = leaving


class OwnPeers:
    """Addresses of our own MTA's connections, so that a receiver here knows them."""

    def __init__(self) -> None:
        self._ports: set[tuple[str, int]] = set()

    def add(self, local: tuple[str, int]) -> None:
        """Our MTA connected from there."""
        self._ports.add(local)

    def discard(self, local: tuple[str, int]) -> None:
        """That connection ended."""
        self._ports.discard(local)

    def __contains__(self, peer: tuple[str, int]) -> bool:
        return peer in self._ports


class Connection(asyncio.Protocol):
    """One TCP connection, plain or TLS, read by one task."""

    def __init__(
        self, made: Callable[[Connection], None] | None = None, own: OwnPeers | None = None
    ) -> None:
        self._made = made
        self._own = own
        self._local: tuple[str, int] = ("", 0)
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._closed = False
        self._leaving = False
        self._paused = False
        self._waiter: asyncio.Future[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._cut: asyncio.TimerHandle | None = None
        self.peer: tuple[str, int] = ("", 0)
        self.tls_version: str | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are asyncio's by form only.
        transport = cast("asyncio.Transport", transport)
        first = self._transport is None
        self._transport = transport
        name = transport.get_extra_info("peername")
        self.peer = (name[0], name[1]) if name else ("", 0)
        self._note_tls(transport)
        if first and self._own is not None:
            local = transport.get_extra_info("sockname")
            self._local = (local[0], local[1])
            self._own.add(self._local)
        if first and self._made is not None:
            self._made(self)

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._size += len(data)
        if self._size > PAUSE_ABOVE and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if self._cut is not None:
            self._cut.cancel()
        if self._own is not None:
            self._own.discard(self._local)
        self._wake()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        drained, self._drained = self._drained, None
        if drained is not None and not drained.done():
            drained.set_result(None)

    # Called by the task that reads.

    async def read(self, timeout: float) -> bytes:
        """What arrived. PeerGone at the end, or after that many seconds of silence."""
        if not self._chunks:
            if self._closed or self._leaving:
                raise PeerGone(leaving=not self._closed)
            self._waiter = self._loop.create_future()
            try:
                async with asyncio.timeout(timeout):
                    await self._waiter
            except TimeoutError:
                raise PeerGone(silent=True) from None
            finally:
                self._waiter = None
            if not self._chunks:
                raise PeerGone(leaving=self._leaving and not self._closed)
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return data

    def write(self, data: bytes) -> None:
        """Send; `drain` waits for a slow peer."""
        if data and self._transport is not None and not self._closed:
            self._transport.write(data)

    async def drain(self, timeout: float) -> None:
        """Wait until the peer has taken what was written. PeerGone when it does not."""
        if self._drained is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._drained
        except TimeoutError:
            # What it did not take would else be kept for ever.
            self.abort()
            raise PeerGone from None

    async def start_tls(
        self, context: ssl.SSLContext, *, server_side: bool, host: str | None = None
    ) -> None:
        """Handshake. Whatever arrived in clear and was not read yet is dropped."""
        assert self._transport is not None
        self._chunks.clear()
        self._size = 0
        self._paused = False
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                context,
                server_side=server_side,
                server_hostname=host,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
            )
        except (OSError, ssl.SSLError, TimeoutError, ConnectionError):
            self.abort()
            raise PeerGone from None
        if transport is None:
            raise PeerGone
        self._transport = transport
        self._note_tls(transport)

    async def part(self, seconds: float) -> None:
        """End our side, and let the peer end its own: what it still says is dropped.

        Closed with octets unread, the system resets the connection, and a reset
        takes the last reply away from the peer.
        """
        if self._transport is None or self._closed or not self._transport.can_write_eof():
            return
        self._transport.write_eof()
        end = self._loop.time() + seconds
        try:
            while True:
                await self.read(max(0.0, end - self._loop.time()))
        except PeerGone:
            return

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Close once everything is written, or after that many seconds."""
        if self._transport is None or self._closed or self._cut is not None:
            return
        self._cut = self._loop.call_later(seconds, self.abort)
        self._transport.close()

    def leave(self) -> None:
        """Read no more once what arrived is answered: the server is ending."""
        self._leaving = True
        self._wake()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def closed(self) -> bool:
        """Whether the peer is gone."""
        return self._closed

    def _note_tls(self, transport: asyncio.Transport) -> None:
        tls = transport.get_extra_info("ssl_object")
        self.tls_version = tls.version() if tls is not None else None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


Handler = Callable[[Connection], Coroutine[None, None, None]]


class Listener:
    """Accepts connections of one port; each is carried by a task of the group."""

    def __init__(
        self,
        binding: Binding,
        handler: Handler,
        group: asyncio.TaskGroup,
        *,
        crowd: Crowd | None = None,
        refusal: bytes = b"",
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        """``refusal`` is what one too many for the crowd is told.

        ``close_seconds`` is how long a peer has for what was written before the end.
        """
        self._binding = binding
        self._handler = handler
        self._group = group
        self._crowd = crowd
        self._refusal = refusal
        self._close_seconds = close_seconds
        self._servers: list[asyncio.Server] = []
        self._open: dict[Connection, asyncio.Task[None]] = {}
        self._stopping = False

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        """Accept from now on; with a context, TLS comes first. PortError."""
        listen(self._binding)
        loop = asyncio.get_running_loop()
        for one in self._binding.sockets:
            server = await loop.create_server(
                lambda: Connection(self._carry_on),
                sock=one,
                ssl=context,
                backlog=BACKLOG,
                ssl_handshake_timeout=HANDSHAKE_SECONDS if context is not None else None,
            )
            self._servers.append(server)

    def stop(self) -> None:
        """Accept no more; open connections end when what they said is answered."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for connection in self._open:
            connection.leave()

    async def drained(self, seconds: float) -> None:
        """Wait until the last connection has ended; cut those that take longer."""
        if self._open:
            await asyncio.wait(list(self._open.values()), timeout=seconds)
        for connection, task in self._open.items():
            connection.abort()
            task.cancel()

    def _carry_on(self, connection: Connection) -> None:
        address = connection.peer[0]
        if self._stopping or not address:
            connection.abort()
        elif self._crowd is not None and not self._crowd.enter(address):
            connection.write(self._refusal)
            connection.close(self._close_seconds)
        else:
            self._spawn(connection)

    def _spawn(self, connection: Connection) -> None:
        work = self._carry(connection)
        try:
            self._open[connection] = self._group.create_task(work)
        except RuntimeError:
            # The group is ending: a connection accepted in that moment is not served.
            work.close()
            connection.abort()

    async def _carry(self, connection: Connection) -> None:
        try:
            await self._handler(connection)
        except PeerGone:
            pass
        except Exception:
            log.exception("a connection on port %d failed", self._binding.port)
        finally:
            del self._open[connection]
            if self._crowd is not None:
                self._crowd.leave(connection.peer[0])
            connection.close(self._close_seconds)
