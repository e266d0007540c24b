"""The one writer: a thread that commits whatever arrived during the last commit.

Natural batching: one ``BEGIN IMMEDIATE ... COMMIT`` takes every waiting
operation, each inside a savepoint of its own so that one that fails takes
nothing with it. Futures resolve after the commit is on stable storage, in one
wake-up of the event loop per batch.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, cast

import apsw

from mailstead.mail.errors import Unavailable
from mailstead.store.transaction import Operation, Row

BATCH = 500
"""Operations a commit at most, so that the first of them does not wait for ever."""
CHECKPOINT_PAGES = 1_000


class SqliteTransaction:
    """A transaction on one connection; its awaits never suspend."""

    __slots__ = ("_after", "_connection")

    def __init__(
        self, connection: apsw.Connection, after: list[Callable[[], None]] | None = None
    ) -> None:
        self._connection = connection
        self._after = after if after is not None else []

    async def run(self, sql: str, *parameters: Any) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    async def many(self, sql: str, rows: Sequence[Row]) -> None:
        self._connection.executemany(sql, rows)

    def afterwards(self, work: Callable[[], None]) -> None:
        self._after.append(work)


def drive(operation: Operation[Any], transaction: SqliteTransaction) -> Any:
    """Run an operation that never really awaits, to its result."""
    coroutine = cast("Coroutine[None, None, Any]", operation(transaction))
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise RuntimeError("a store operation awaited something other than its transaction")


@dataclass(slots=True)
class _Call:
    operation: Operation[Any]
    future: asyncio.Future[Any]
    after: list[Callable[[], None]]
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the writing connection."""

    def __init__(self, connection: apsw.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._failed: Unavailable | None = None
        self._thread = threading.Thread(target=self._work, name="store-writer")
        self.commits = 0
        """How many commits were made, for the batch size in ``status``."""
        self.operations = 0
        connection.set_wal_hook(self._count_pages)
        self._wal_pages = 0
        self._thread.start()

    def call(self, operation: Operation[Any]) -> asyncio.Future[Any]:
        """The future result of an operation, once committed."""
        future = self._loop.create_future()
        if self._failed is not None:
            future.set_exception(self._failed)
            return future
        self._calls.put(_Call(operation, future, []))
        return future

    def stop(self) -> None:
        """Commit what waits, then end the thread."""
        self._calls.put(None)
        self._thread.join()

    def _count_pages(self, _connection: apsw.Connection, _name: str, pages: int) -> int:
        self._wal_pages = pages
        return 0

    def _work(self) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._gather()
            if not batch:
                continue
            try:
                self._commit(batch)
            except apsw.Error as error:
                self._fail(batch, error)
            self._loop.call_soon_threadsafe(_resolve, batch)
            self._checkpoint()

    def _gather(self) -> tuple[list[_Call], bool]:
        call = self._calls.get()
        batch: list[_Call] = []
        while call is not None:
            batch.append(call)
            if len(batch) == BATCH or self._calls.empty():
                return batch, False
            call = self._calls.get()
        return batch, True

    def _commit(self, batch: list[_Call]) -> None:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        for call in batch:
            execute("SAVEPOINT call")
            try:
                call.result = drive(call.operation, SqliteTransaction(self._connection, call.after))
            except (apsw.FullError, apsw.IOError, apsw.CorruptError):
                raise
            except Exception as error:
                call.error = error
                execute("ROLLBACK TO call")
            execute("RELEASE call")
        execute("COMMIT")
        self.commits += 1
        self.operations += len(batch)

    def _fail(self, batch: list[_Call], error: apsw.Error) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        full = isinstance(error, apsw.FullError)
        unavailable = Unavailable(f"the database could not be written: {error}", full=full)
        # After a failed fsync Linux may have dropped the pages, and a retry would "succeed".
        if isinstance(error, (apsw.IOError, apsw.CorruptError)):
            self._failed = unavailable
        for call in batch:
            call.after.clear()
            call.error = unavailable

    def _checkpoint(self) -> None:
        # SQLite's automatic checkpoint swallows I/O errors; this one raises them.
        if self._wal_pages < CHECKPOINT_PAGES or self._failed is not None:
            return
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return
        except apsw.Error as error:
            self._failed = Unavailable(f"the database could not be checkpointed: {error}")


def _resolve(batch: list[_Call]) -> None:
    for call in batch:
        for work in call.after:
            work()
    for call in batch:
        if call.future.cancelled():
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result(call.result)
