"""uvicorn's HTTP/1.1 protocol with bounds on a request's head: its size, and its time.

Imported only by a process that has an HTTP port: uvicorn takes 40 ms.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_LIMIT = 64 * 1024
"""Octets of request line and header fields, beyond what came with the last read."""


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection."""

    def __init__(self, *args: Any, head_seconds: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head_seconds = head_seconds
        self._late: asyncio.TimerHandle | None = None
        self._head = 0
        self._reads_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._reads_head:
            self._head += len(data)
            if self._head > HEAD_LIMIT and not self.transport.is_closing():
                self._refuse()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head = 0
        self._reads_head = True
        self._await_head()

    def on_headers_complete(self) -> None:
        self._reads_head = False
        self._forget_timer()
        super().on_headers_complete()

    def _await_head(self) -> None:
        # A client that dribbles its request holds a connection for so long, not for ever.
        self._forget_timer()
        self._late = self.loop.call_later(self._head_seconds, self._give_up)

    def _forget_timer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()

    def _refuse(self) -> None:
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
            b"content-length: 0\r\nconnection: close\r\n\r\n"
        )
        self.transport.close()
