"""The stores that the contract suite runs on; the suite itself names no engine."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail.ports import Store
from mailstead.roles.clock import SystemRandomness
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore

Body = Callable[[Store], Coroutine[Any, Any, None]]


@asynccontextmanager
async def sqlite_store(folder: Path) -> AsyncIterator[SqliteStore]:
    """A store that is closed at the end."""
    with ThreadPoolExecutor(1) as pool:
        randomness = SystemRandomness(pool)
        seal = Seal(b"k" * 32, randomness.token)
        store = SqliteStore(folder, seal, randomness, asyncio.get_running_loop())
        await store.start()
        try:
            yield store
        finally:
            store.close()


@pytest.fixture(params=["sqlite"])
def with_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Body], None]:
    """Run a coroutine function on a fresh store of each kind."""
    assert request.param == "sqlite"

    def run(body: Body) -> None:
        async def scene() -> None:
            async with sqlite_store(tmp_path) as store:
                await body(store)

        asyncio.run(scene())

    return run
