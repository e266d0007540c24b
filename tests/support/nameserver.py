"""A DNS server and what stands behind it, for tests on loopback sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dns.message
import dns.query

from mailstead.mail.model import Scope
from mailstead.mail.ports import Create
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.service import DkimName, ServiceNames
from mailstead.mail.zones import Zones
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness
from mailstead.roles.dns import DnsServer
from mailstead.roles.sockets import bind_both
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore

HOST = "127.0.0.1"
SCOPE = Scope("000000000000", "us-east-1")
KEY = "v=DKIM1; k=rsa; p=" + "A" * 392
RECORDS = [
    RecordChange("CREATE", owner, kind, 300, (value,))
    for owner, kind, value in (
        ("mx.example.test", "A", "127.0.0.1"),
        ("token._domainkey.example.test", "CNAME", "token.dkim.amazonses.com"),
        ("away.example.test", "CNAME", "www.example.com"),
        ("long.example.test", "TXT", " ".join(f'"{letter * 250}"' for letter in "abcdef")),
    )
]


@dataclass(frozen=True)
class Stage:
    """A server and what stands behind it."""

    zones: Zones
    store: SqliteStore
    wakeups: LocalWakeups
    server: DnsServer
    port: int

    async def ask(self, name: str, kind: str, *, stream: bool = False, host: str = HOST) -> Any:
        """The reply of dnspython's client."""
        query = dns.message.make_query(name, kind, use_edns=0)
        send = dns.query.tcp if stream else dns.query.udp
        return await asyncio.to_thread(send, query, host, timeout=5, port=self.port)


@asynccontextmanager
async def staged(folder: Path, **options: Any) -> AsyncIterator[Stage]:
    with ThreadPoolExecutor(1) as pool:
        randomness = SystemRandomness(pool)
        wakeups = LocalWakeups()
        seal = Seal(b"k" * 32, randomness.token)
        store = SqliteStore(folder, seal, randomness, asyncio.get_running_loop())
        await store.start()
        try:
            zones = Zones(store, wakeups, randomness, SystemClock())
            await zones.create(SCOPE, "example.test", "1", records=RECORDS)
            await store.apply(Create(DkimName(SCOPE, "token", "example.test", KEY)))
            names = options.pop("names", ServiceNames())
            if "transfers" in options:
                options["transfers"] = options["transfers"](zones)
            server = DnsServer(zones, names, store, wakeups, **options)
            udp, tcp = bind_both("dns", 0, HOST)
            async with asyncio.TaskGroup() as group:
                await server.start(udp, tcp, group)
                try:
                    yield Stage(zones, store, wakeups, server, udp.port)
                finally:
                    server.stop()
        finally:
            store.close()


Play = Callable[..., None]
"""Plays a coroutine function on a stage whose server is made with what is given besides."""
