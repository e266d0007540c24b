"""The one writer: a thread that commits whatever arrived during the last commit.

Natural batching: one ``BEGIN IMMEDIATE ... COMMIT`` takes every waiting
operation, each inside a savepoint of its own so that one that fails takes
nothing with it. Futures resolve after the commit is on stable storage, in one
wake-up of the event loop per batch.

A full disk refuses a batch and the next one is tried again. After an I/O error
or damage nothing is written any more: what Linux does with pages that could not
be synced is not known, and a repeated sync may "succeed" without them.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, cast

import apsw

from mailstead.mail.errors import Unavailable
from mailstead.store import disk
from mailstead.store.transaction import Operation, Row

log = logging.getLogger("mailstead.store")

BATCH = 500
"""Operations a commit at most, so that the first of them does not wait for ever."""
CHECKPOINT_PAGES = 1_000
ALARM_PAGES = 65_536
"""256 MiB: a log that grows so far has a reader that does not end."""
_WHOLE = (apsw.FullError, apsw.IOError, apsw.CorruptError, apsw.NoMemError)
"""Errors of the database, not of one operation."""


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

    def __init__(
        self, connection: apsw.Connection, loop: asyncio.AbstractEventLoop, space: disk.Space
    ) -> None:
        self._connection = connection
        self._loop = loop
        self._space = space
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._closed: Unavailable | None = None
        self.failure: Unavailable | None = None
        """Why nothing is written any more."""
        self.failed = asyncio.Event()
        """Set once there is a failure."""
        self._thread = threading.Thread(target=self._work, name="store-writer")
        self.commits = 0
        """How many commits were made, for the batch size in ``status``."""
        self.operations = 0
        connection.set_wal_hook(self._count_pages)
        self._wal_pages = 0
        self._checkpoint_at = CHECKPOINT_PAGES
        self._thread.start()

    def call(self, operation: Operation[Any]) -> asyncio.Future[Any]:
        """The future result of an operation, once committed. Unavailable when it can't be."""
        future = self._loop.create_future()
        refusal = self.failure or self._closed
        if refusal is not None:
            future.set_exception(refusal)
        else:
            self._calls.put(_Call(operation, future, []))
        return future

    def stop(self) -> None:
        """Commit what waits, then end the thread."""
        if self._closed is None:
            self._closed = Unavailable("the server is ending")
            self._calls.put(None)
            self._thread.join()

    def fail(self, error: apsw.Error) -> None:
        """Write nothing any more."""
        if self.failure is None:
            self.failure = Unavailable(f"the database is failing: {error}")
            log.error("nothing is written any more, the database is failing: %s", error)
            self._loop.call_soon_threadsafe(self.failed.set)

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
            except Exception as error:
                self._refuse(batch, error)
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
        if self.failure is not None:
            # What waited when it failed.
            raise apsw.IOError(str(self.failure))
        self._connection.execute("BEGIN IMMEDIATE")
        for call in batch:
            self._perform(call)
        self._connection.execute("COMMIT")
        self.commits += 1
        self.operations += len(batch)

    def _perform(self, call: _Call) -> None:
        execute = self._connection.execute
        execute("SAVEPOINT call")
        try:
            call.result = drive(call.operation, SqliteTransaction(self._connection, call.after))
        except _WHOLE:
            raise
        except Exception as error:
            call.error = error
            call.after.clear()
            execute("ROLLBACK TO call")
        execute("RELEASE call")

    def _refuse(self, batch: list[_Call], error: Exception) -> None:
        full = _is_full(error, self._connection)
        if full:
            self._space.give_up()
        elif isinstance(error, (apsw.IOError, apsw.CorruptError)):
            self.fail(error)
        # SQLite has rolled back by itself after most of these.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        refusal = Unavailable(f"the database could not be written: {error}", full=full)
        for call in batch:
            call.after.clear()
            call.error = refusal

    def _checkpoint(self) -> None:
        # SQLite's automatic checkpoint swallows I/O errors; this one raises them.
        if self._wal_pages < self._checkpoint_at or self.failure is not None:
            return
        try:
            there, done = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            there, done = self._wal_pages, 0
            if _is_full(error, self._connection):
                self._space.give_up()
            elif not isinstance(error, apsw.BusyError):
                self.fail(error)
        if there > ALARM_PAGES and done < there:
            log.warning("the database's log has %d pages: a reader holds it open", there)
        # Under a long reader another look pays only once there is more to do.
        self._checkpoint_at = CHECKPOINT_PAGES + (there if done < there else 0)


def _is_full(error: Exception, connection: apsw.Connection) -> bool:
    """Whether space is missing: SQLite calls a full quota, or a full disk below its index, I/O."""
    if isinstance(error, apsw.FullError):
        return True
    return isinstance(error, apsw.IOError) and connection.system_errno in disk.FULL


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
