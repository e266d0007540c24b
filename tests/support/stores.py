"""Real stores in a test's folder."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from mailstead.roles.clock import SystemRandomness
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore


@asynccontextmanager
async def sqlite_store(folder: Path) -> AsyncIterator[SqliteStore]:
    """A store that is closed at the end."""
    with ThreadPoolExecutor(1) as pool:
        randomness = SystemRandomness(pool)
        seal = Seal(b"k" * 32, randomness.token)
        store = SqliteStore(folder, seal, randomness, asyncio.get_running_loop())
        try:
            await store.start()
            yield store
        finally:
            store.close()
