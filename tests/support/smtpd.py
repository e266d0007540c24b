"""An SMTP port that is served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from mailstead.roles.net import Listener
from mailstead.roles.smtpd import (
    SmtpPort,
    SmtpSettings,
)
from mailstead.roles.sockets import bind

MESSAGE = b"From: a@b.example\r\nSubject: Hi\r\n\r\nHello\r\n"


@asynccontextmanager
async def serving(port: SmtpPort, **options: Any) -> AsyncIterator[tuple[int, Listener]]:
    """A port that is served until the end."""
    binding = bind("test", 0, "127.0.0.1")
    async with asyncio.TaskGroup() as group:
        listener = Listener(binding, port.serve, group, **options)
        await listener.start()
        try:
            yield binding.port, listener
        finally:
            listener.stop()
            await listener.drained(0.5)


def settings(contexts: Any, **changes: Any) -> SmtpSettings:
    return replace(SmtpSettings(contexts[0], timeout=5, login_timeout=5), **changes)
