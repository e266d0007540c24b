"""HTTP listeners: uvicorn's parser and flow control under our own accept loop.

The AWS API's port speaks HTTP and HTTPS. The first byte tells them apart: a TLS
record of a handshake begins with 22 (RFC 8446 5.1), no method does. It is only
peeked at, so that either protocol finds its stream whole.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from mailstead.roles.sockets import Binding, listen

log = logging.getLogger("mailstead.http")

HANDSHAKE = 0x16
FIRST_BYTE_SECONDS = 10.0
HEAD_SECONDS = 30.0
"""How long a request's head may take."""
HANDSHAKE_SECONDS = 30.0
KEEP_ALIVE_SECONDS = 75
BREATHER_SECONDS = 1.0
"""How long nothing is accepted after the system refused to."""
ACCEPTED_AT_ONCE = 64


class HttpListener:
    """Serves one ASGI application on the sockets of one port."""

    def __init__(
        self,
        binding: Binding,
        app: Any,
        context: ssl.SSLContext | None,
        *,
        first_byte_seconds: float = FIRST_BYTE_SECONDS,
        head_seconds: float = HEAD_SECONDS,
    ) -> None:
        from uvicorn.config import Config
        from uvicorn.server import ServerState

        from mailstead.roles.http_protocol import HttpProtocol

        self._binding = binding
        self._app = app
        self._context = context
        self._first_byte_seconds = first_byte_seconds
        config = Config(
            self._call,
            interface="asgi3",
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            # No proxy stands in front: what claims to be one's headers is a client's own.
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        config.load()
        self._state = ServerState()
        self._loop = asyncio.get_running_loop()
        self._new_protocol: Callable[[], asyncio.Protocol] = partial(
            HttpProtocol,
            head_seconds=head_seconds,
            config=config,
            server_state=self._state,
            app_state={},
            _loop=self._loop,
        )
        self._group: asyncio.TaskGroup | None = None
        self._silent: dict[socket.socket, asyncio.TimerHandle] = {}
        """Accepted, and not heard yet."""
        self._connecting: set[asyncio.Task[None]] = set()
        self._stopping = False

    def start(self, group: asyncio.TaskGroup) -> None:
        """Accept from now on. PortError."""
        self._group = group
        listen(self._binding)
        for one in self._binding.sockets:
            self._loop.add_reader(one.fileno(), self._accept, one)

    def stop(self) -> None:
        """Accept no more; open connections end with their running request."""
        if self._stopping:
            return
        self._stopping = True
        for one in self._binding.sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        for accepted in list(self._silent):
            self._give_up(accepted)
        for task in self._connecting:
            task.cancel()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def drained(self, seconds: float) -> None:
        """Wait for the running requests; cut those that take longer."""
        running = set(self._state.tasks)
        if running:
            _, running = await asyncio.wait(running, timeout=seconds)
        for connection in list(self._state.connections):
            connection.transport.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    async def _call(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            # Cut at the end, its connection is closed: nobody is left to answer.
            if not self._stopping:
                raise

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                log.error("port %d: no connection can be accepted: %s", self._binding.port, error)
                self._loop.remove_reader(listening.fileno())
                self._loop.call_later(BREATHER_SECONDS, self._accept_again, listening)
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sniff(accepted)

    def _accept_again(self, listening: socket.socket) -> None:
        if not self._stopping:
            self._loop.add_reader(listening.fileno(), self._accept, listening)

    def _sniff(self, accepted: socket.socket) -> None:
        if self._context is None:
            self._serve(accepted, None)
            return
        self._silent[accepted] = self._loop.call_later(
            self._first_byte_seconds, self._give_up, accepted
        )
        self._loop.add_reader(accepted.fileno(), self._peek, accepted)

    def _give_up(self, accepted: socket.socket) -> None:
        self._heard(accepted)
        accepted.close()

    def _heard(self, accepted: socket.socket) -> None:
        self._loop.remove_reader(accepted.fileno())
        self._silent.pop(accepted).cancel()

    def _peek(self, accepted: socket.socket) -> None:
        try:
            first = accepted.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        if not first:
            self._give_up(accepted)
            return
        self._heard(accepted)
        self._serve(accepted, self._context if first[0] == HANDSHAKE else None)

    def _serve(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        assert self._group is not None
        work: Coroutine[None, None, None] = self._connect(accepted, context)
        try:
            task = self._group.create_task(work)
        except RuntimeError:
            # The group is ending: a connection accepted in that moment is not served.
            work.close()
            accepted.close()
            return
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        seconds = HANDSHAKE_SECONDS if context is not None else None
        try:
            await self._loop.connect_accepted_socket(
                self._new_protocol, accepted, ssl=context, ssl_handshake_timeout=seconds
            )
        except (OSError, ssl.SSLError):
            # No handshake: a peer that went, or speaks something else.
            accepted.close()
        except Exception:
            log.exception("a connection on port %d could not be served", self._binding.port)
            accepted.close()
        except asyncio.CancelledError:
            accepted.close()
            raise
