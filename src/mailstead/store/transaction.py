"""What every query is written against: one transaction of either engine.

An operation is a coroutine function that takes a `Transaction`. On SQLite it
never really suspends and is driven on the writer thread; on PostgreSQL its
awaits are round trips. SQL is written once: parameters are ``?1``, ``?2``, and
``/*pg ... */`` holds what only PostgreSQL needs, such as row locks.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]


class Transaction(Protocol):
    """Statements that are committed together."""

    async def run(self, sql: str, *parameters: Any) -> list[Row]:
        """Run one statement; its rows, also those of RETURNING."""
        ...

    async def many(self, sql: str, rows: Sequence[Row]) -> None:
        """Run one statement for each row of parameters."""
        ...

    def afterwards(self, work: Callable[[], None]) -> None:
        """Do that once the commit stands: unlink a file, drop a cached value."""
        ...


Operation = Callable[[Transaction], Awaitable[T]]
