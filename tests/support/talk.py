"""A client that says what it is told to, on a real socket."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Talk:
    """One connection to an SMTP port."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def hear(self) -> str:
        """One reply; empty at the end."""
        lines: list[str] = []
        while True:
            async with asyncio.timeout(10):
                line = await self.reader.readline()
            lines.append(line.decode("utf-8", "backslashreplace").rstrip("\r\n"))
            if line[3:4] != b"-":
                return "\n".join(lines)

    async def say(self, *lines: str | bytes) -> str:
        """Send lines, each with CRLF, in one write; the first reply."""
        self.send(*lines)
        return await self.hear()

    def send(self, *lines: str | bytes) -> None:
        """Send lines, each with CRLF, in one write."""
        octets = [line.encode() if isinstance(line, str) else line for line in lines]
        self.writer.write(b"".join(line + b"\r\n" for line in octets))

    async def rest(self) -> bytes:
        """Everything up to the end."""
        async with asyncio.timeout(10):
            return await self.reader.read()

    async def tls(self, context: ssl.SSLContext) -> None:
        """Shake hands."""
        await self.writer.start_tls(context)

    async def deliver(self, sender: str, *recipients: str, raw: bytes = b"x: y\r\n\r\nz") -> str:
        """One transaction; the last reply."""
        await self.say(f"MAIL FROM:<{sender}>")
        for one in recipients:
            await self.say(f"RCPT TO:<{one}>")
        await self.say("DATA")
        return await self.say(raw, ".")


@asynccontextmanager
async def talk(
    port: int, *, tls: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[Talk]:
    """A connection that is closed at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, **options)
    try:
        yield Talk(reader, writer)
    finally:
        writer.transport.abort()
