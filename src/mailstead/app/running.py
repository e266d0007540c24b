"""What listens and runs in this process, started one by one and stopped together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from mailstead.app.domain import Domain
from mailstead.app.doors import trusted_networks
from mailstead.config import Config
from mailstead.mail.response_rates import ResponseRates
from mailstead.roles.crowd import Crowd
from mailstead.roles.dns import CONNECTIONS, CONNECTIONS_EACH, DnsServer
from mailstead.roles.httpd import HttpListener
from mailstead.roles.net import Listener
from mailstead.roles.secondaries import Secondaries
from mailstead.roles.smtpd import CROWDED, SmtpPort
from mailstead.roles.sockets import Binding
from mailstead.roles.transfers import Transfers
from mailstead.wire.name_server import parse_address
from mailstead.wire.tsig_key import parse_key

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

    async def dns(self, udp: Binding | None, tcp: Binding | None, config: Config) -> None:
        """Serve DNS on a port, and keep the secondaries told."""
        if udp is None or tcp is None:
            return
        domain, adapters = self._domain, self._domain.adapters
        servers = [parse_address(text) for text in config.dns.secondaries]
        keys = [parse_key(text) for text in config.dns.transfer_keys]
        server = DnsServer(
            domain.zones,
            domain.names,
            adapters.store,
            adapters.wakeups,
            rates=ResponseRates(config.dns.responses_per_second, trusted_networks(config)),
            crowd=self._crowd.apart(total=CONNECTIONS, each=CONNECTIONS_EACH),
            cookies=domain.dns_cookies,
            transfers=Transfers(domain.zones, adapters.clock, servers, keys),
        )
        await server.start(udp, tcp, self._group)
        self._listeners.append(server)
        if servers:
            secondaries = Secondaries(
                domain.zones,
                adapters.wakeups,
                adapters.clock,
                adapters.randomness,
                servers,
                keys[0] if keys else None,
            )
            self.background(secondaries.run())

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
