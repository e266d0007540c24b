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
from typing import Any

from mailstead.roles.net import BACKLOG, Binding

log = logging.getLogger("mailstead.http")

HANDSHAKE = 0x16
FIRST_BYTE_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 75


class HttpListener:
    """Serves one ASGI application on the sockets of one port."""

    def __init__(self, binding: Binding, app: Any, context: ssl.SSLContext | None) -> None:
        # 40 ms that only a process with an HTTP port pays.
        from uvicorn.config import Config
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
        from uvicorn.server import ServerState

        self._binding = binding
        self._context = context
        self._config = Config(
            app,
            interface="asgi3",
            http=HttpToolsProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
        )
        self._config.load()
        self._state = ServerState()
        self._protocol = HttpToolsProtocol
        self._loop = asyncio.get_running_loop()
        self._group: asyncio.TaskGroup | None = None

    def start(self, group: asyncio.TaskGroup) -> None:
        """Accept from now on."""
        self._group = group
        for one in self._binding.sockets:
            one.listen(BACKLOG)
            self._loop.add_reader(one.fileno(), self._accept, one)

    def stop(self) -> None:
        """Accept no more; open connections end with their running request."""
        for one in self._binding.sockets:
            self._loop.remove_reader(one.fileno())
            one.close()
        for connection in list(self._state.connections):
            connection.shutdown()

    async def drained(self) -> None:
        """Wait for the running requests."""
        while self._state.tasks:
            await asyncio.wait(list(self._state.tasks))

    def _accept(self, listening: socket.socket) -> None:
        for _ in range(64):
            try:
                accepted, _ = listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError:
                log.exception("no connection can be accepted on port %d", self._binding.port)
                return
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sniff(accepted)

    def _sniff(self, accepted: socket.socket) -> None:
        if self._context is None:
            self._serve(accepted, None)
            return
        late = self._loop.call_later(FIRST_BYTE_SECONDS, self._give_up, accepted)
        self._loop.add_reader(accepted.fileno(), self._peek, accepted, late)

    def _give_up(self, accepted: socket.socket) -> None:
        self._loop.remove_reader(accepted.fileno())
        accepted.close()

    def _peek(self, accepted: socket.socket, late: asyncio.TimerHandle) -> None:
        try:
            first = accepted.recv(1, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            first = b""
        late.cancel()
        self._loop.remove_reader(accepted.fileno())
        if not first:
            accepted.close()
            return
        self._serve(accepted, self._context if first[0] == HANDSHAKE else None)

    def _serve(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        assert self._group is not None
        self._group.create_task(self._connect(accepted, context))

    async def _connect(self, accepted: socket.socket, context: ssl.SSLContext | None) -> None:
        try:
            await self._loop.connect_accepted_socket(self._new_protocol, accepted, ssl=context)
        except (OSError, ssl.SSLError):
            accepted.close()

    def _new_protocol(self) -> asyncio.Protocol:
        return self._protocol(
            config=self._config, server_state=self._state, app_state={}, _loop=self._loop
        )
