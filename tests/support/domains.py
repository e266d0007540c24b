"""Domains of a fresh store, in capture mode."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from mailstead.mail.domains import Domains
from mailstead.mail.identities import Identities
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.model import Scope
from mailstead.mail.service import ServiceNames
from mailstead.mail.zones import Zones
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness, ThreadWorkers
from mailstead.roles.resolver import CaptureResolver
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore

HOME = Scope("000000000000", "us-east-1")


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Domains]:
    with ThreadPoolExecutor(2) as pool:
        randomness, clock, wakeups = SystemRandomness(pool), SystemClock(), LocalWakeups()
        seal = Seal(b"k" * 32, randomness.token)
        store = SqliteStore(folder, seal, randomness, asyncio.get_running_loop())
        await store.start()
        try:
            names = ServiceNames()
            zones = Zones(store, wakeups, randomness, clock)
            identities = Identities(store, clock, randomness, wakeups, names)
            mailboxes = Mailboxes(store, clock, randomness, ThreadWorkers(pool), zones, HOME)
            resolver = CaptureResolver(zones, names, store)
            yield Domains(zones, identities, mailboxes, resolver, names, HOME, capture=True)
        finally:
            store.close()
