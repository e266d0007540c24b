"""Work that others overtook is done again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from mailstead.mail.errors import Conflict

T = TypeVar("T")
TRIES = 20
"""How often something is done that others overtake."""


async def patiently(act: Callable[[], Awaitable[T]], tries: int = TRIES) -> T:
    """Do something, and again where somebody else changed the same in between.

    For what reads, decides and writes once: Conflict (reason ``stale``) at the last try.
    """
    for _ in range(tries - 1):
        try:
            return await act()
        except Conflict as error:
            if error.reason != "stale":
                raise
    return await act()
