"""What listens and runs in this process, started one by one and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mailstead.app.domain import Domain
from mailstead.mail.response_rates import ResponseRates
from mailstead.roles.crowd import Crowd
from mailstead.roles.dns import DnsServer
from mailstead.roles.httpd import HttpListener
from mailstead.roles.net import Listener
from mailstead.roles.smtpd import CROWDED, SmtpPort
from mailstead.roles.sockets import Binding

DRAIN_SECONDS = 2.0
"""How long what runs may take to end."""


class Running:
    """Listeners and background tasks of one task group."""

    def __init__(self, domain: Domain, group: asyncio.TaskGroup, crowd: Crowd) -> None:
        """``crowd`` counts the clients of all SMTP ports."""
        self._domain = domain
        self._group = group
        self._crowd = crowd
        self._listeners: list[HttpListener | Listener | DnsServer] = []
        self._tasks: list[asyncio.Task[None]] = []

    def http(self, binding: Binding | None, app: Callable[[], Any], context: Any) -> None:
        """Serve an application on a port."""
        if binding is None:
            return
        listener = HttpListener(binding, app(), context)
        listener.start(self._group)
        self._listeners.append(listener)

    async def smtp(self, binding: Binding | None, port: SmtpPort, context: Any = None) -> None:
        """Serve SMTP on a port."""
        if binding is None:
            return
        listener = Listener(binding, port.serve, self._group, crowd=self._crowd, refusal=CROWDED)
        await listener.start(context)
        self._listeners.append(listener)

    async def dns(self, udp: Binding | None, tcp: Binding | None, rates: ResponseRates) -> None:
        """Serve DNS on a port."""
        if udp is None or tcp is None:
            return
        adapters = self._domain.adapters
        domain = self._domain
        server = DnsServer(
            domain.zones, domain.names, adapters.store, adapters.wakeups, rates=rates
        )
        await server.start(udp, tcp, self._group)
        self._listeners.append(server)

    def background(self, work: Any) -> asyncio.Task[None]:
        """Run something until the end."""
        task: asyncio.Task[None] = self._group.create_task(work)
        self._tasks.append(task)
        return task

    async def stop(self) -> None:
        """Accept no more, let what runs end, then end the rest."""
        for listener in self._listeners:
            listener.stop()
        async with asyncio.TaskGroup() as group:
            for listener in self._listeners:
                group.create_task(listener.drained(DRAIN_SECONDS))
        for task in self._tasks:
            task.cancel()
