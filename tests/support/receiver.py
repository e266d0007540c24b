"""A receiving SMTP host that does at each stage what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

DROP, STALL = "drop", "stall"
OPENINGS = {"EHLO": "helo", "HELO": "helo", "MAIL": "mail", "RCPT": "rcpt", "DATA": "data"}


class _GoneError(Exception):
    """The host closed."""


@dataclass
class Receiver:
    """What it does: for each stage a list, of which each time one is taken."""

    faults: dict[str, list[str | bytes]] = field(default_factory=dict[str, list[str | bytes]])
    """``drop``, ``stall``, or the octets to answer with; at ``connect``, ``helo``, ``mail``,
    ``rcpt``, ``data``, ``content`` (after the first octets of it), ``dot`` and ``after``."""
    pipelining: bool = True
    port: int = 0
    mails: list[bytes] = field(default_factory=list[bytes])
    connections: int = 0
    stalled: asyncio.Event = field(default_factory=asyncio.Event)

    async def _act(self, stage: str, writer: Any, answer: bytes) -> None:
        waiting = self.faults.get(stage)
        fault = waiting.pop(0) if waiting else answer
        if fault == STALL:
            self.stalled.set()
            await asyncio.Event().wait()
        if fault == DROP:
            raise _GoneError
        writer.write(fault)
        await writer.drain()
        if isinstance(fault, bytes) and fault.startswith(b"421"):
            raise _GoneError

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        try:
            await self._act("connect", writer, b"220 host ready\r\n")
            while line := await reader.readline():
                await self._answer(line.decode("utf-8", "replace"), reader, writer)
        except (_GoneError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, line: str, reader: asyncio.StreamReader, writer: Any) -> None:
        verb = line[:4].upper()
        stage = OPENINGS.get(verb)
        if verb == "QUIT":
            writer.write(b"221 bye\r\n")
            raise _GoneError
        if stage == "data":
            await self._act("data", writer, b"354 go on\r\n")
            await self._content(reader, writer)
        elif stage == "helo":
            words = b"250-host\r\n250-PIPELINING\r\n" if self.pipelining else b"250-host\r\n"
            await self._act(stage, writer, words + b"250-8BITMIME\r\n250 SMTPUTF8\r\n")
        else:
            await self._act(stage or "other", writer, b"250 ok\r\n")
            if verb == "STAR" and self.faults.get("other"):
                await self._act("other", writer, b"")

    async def _content(self, reader: asyncio.StreamReader, writer: Any) -> None:
        content = await reader.readline()
        if self.faults.get("content"):
            await self._act("content", writer, b"")
        if content != b".\r\n":
            # Lines of a large message, found in one go.
            content += await reader.readuntil(b"\r\n.\r\n")
        self.mails.append(content)
        await self._act("dot", writer, b"250 2.0.0 Ok id-%d\r\n" % len(self.mails))
        if self.faults.get("after"):
            await self._act("after", writer, b"")


@asynccontextmanager
async def receiving(receiver: Receiver) -> AsyncIterator[Receiver]:
    """The receiver on a free port."""
    tasks: set[asyncio.Task[None]] = set()

    async def carried(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await receiver.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            tasks.discard(task)

    server = await asyncio.start_server(carried, "127.0.0.1", 0, limit=1 << 26)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
