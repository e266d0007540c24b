"""Waiting in an event loop for what other tasks and threads bring about."""

import asyncio
from collections.abc import Callable
from typing import Any


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What a condition gives, once it is true; the loop goes round in between."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not (found := condition()):
        assert loop.time() < end, "it did not come true in time"
        await asyncio.sleep(0.001)
    return found
