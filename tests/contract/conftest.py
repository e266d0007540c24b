"""The stores that the contract suite runs on; the suite itself names no engine."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail.ports import Store
from support.stores import sqlite_store

Body = Callable[[Store], Coroutine[Any, Any, None]]


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
