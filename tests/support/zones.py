"""Zones over a store whose writes can fail, and changes of their records."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mailstead.mail.model import HostedZone, Scope
from mailstead.mail.ports import Change
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.zones import Zones
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore

SCOPE = Scope("000000000000", "us-east-1")
Scene = Callable[[Zones], Coroutine[Any, Any, None]]


class FailingStore(SqliteStore):
    """A store whose next write can be made to fail, and whose writes can be held back."""

    failure: Exception | None = None
    gate: asyncio.Event | None = None
    """Once set, writes go on."""

    async def apply(self, *changes: Change) -> None:
        if self.gate is not None:
            await self.gate.wait()
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        await super().apply(*changes)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Zones]:
    with ThreadPoolExecutor(1) as pool:
        randomness = SystemRandomness(pool)
        seal = Seal(b"k" * 32, randomness.token)
        store = FailingStore(folder, seal, randomness, asyncio.get_running_loop())
        await store.start()
        zones = Zones(store, LocalWakeups(), randomness, SystemClock())
        try:
            await zones.load()
            yield zones
        finally:
            store.close()


def create(owner: str, kind: str, *values: str, ttl: int = 300) -> RecordChange:
    return RecordChange("CREATE", owner, kind, ttl, values)


def upsert(owner: str, kind: str, *values: str, ttl: int = 300) -> RecordChange:
    return RecordChange("UPSERT", owner, kind, ttl, values)


def names(zones: Zones, zone: HostedZone) -> list[tuple[str, str]]:
    return [(one.owner, one.type) for one in zones.record_sets(zone)]


A = ("192.0.2.1",)
