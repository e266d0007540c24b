"""The Store on SQLite: one writer thread, readers that fetch all and end.

Commits are durable (WAL, synchronous FULL) and checkpoints our own. Resources
are cached: this process is the only one that writes them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from mailstead.mail.errors import NotFound, Unavailable
from mailstead.mail.messages import (
    Accepted,
    Arrival,
    Email,
    EmailFilter,
    Leased,
    MailUser,
    QueueEntry,
    Sent,
    Settlement,
    StoreStatus,
    Trace,
)
from mailstead.mail.model import Resource, Scope
from mailstead.mail.ports import Change, Randomness, Replace, Stands, Vacant
from mailstead.store import bodies, mailboxes, queue, resources
from mailstead.store.bodies import Body, BodyFiles
from mailstead.store.connection import close_untouched, connect, open_database
from mailstead.store.disk import Space
from mailstead.store.sealing import Seal
from mailstead.store.transaction import Operation, Transaction
from mailstead.store.writer import SqliteTransaction, Writer, drive
from mailstead.wire.mime import read_message

R = TypeVar("R", bound=Resource)
T = TypeVar("T")

log = logging.getLogger("mailstead.store")

CACHED = 200_000
PAGE = 500
_UNREADABLE = (
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.CantOpenError,
    apsw.BusyError,
    apsw.FullError,
    apsw.NoMemError,
)


class SqliteStore:
    """The Store port on one SQLite file and a folder of large bodies."""

    def __init__(
        self,
        folder: Path,
        seal: Seal,
        randomness: Randomness,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._seal = seal
        self._randomness = randomness
        self.path = folder / "mailstead.db"
        try:
            self._connection, self.schema = open_database(self.path)
            self._reader = connect(self.path)
            self._slow_reader = connect(self.path)
        except apsw.Error as error:
            full = isinstance(error, apsw.FullError)
            raise Unavailable(f"the database {self.path}: {error}", full=full) from error
        self._slow = asyncio.Lock()
        self._space = Space(folder)
        self._files = BodyFiles(folder / "bodies")
        self._cache: dict[tuple[str, ...], Any] = {}
        self.writer = Writer(self._connection, loop, self._space)

    async def start(self) -> None:
        """Put right what an unclean stop left: leases, unseen emails, stray files."""
        await self._write(queue.release)
        await self._write(lambda tx: mailboxes.settle_visibility(tx, self._files))
        rows = await self._read_slowly(
            lambda tx: tx.run("SELECT place FROM blob WHERE place <> ''")
        )
        await asyncio.to_thread(self._files.sweep, {str(row[0]) for row in rows})

    def close(self) -> None:
        """Commit what waits, checkpoint, and let the file go."""
        self.writer.stop()
        if self.writer.failure is None:
            try:
                self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            except apsw.BusyError:
                log.warning("somebody else reads the database: its log stays")
            except apsw.Error as error:
                self.writer.fail(error)
        connections = (self._slow_reader, self._reader, self._connection)
        if self.writer.failure is not None:
            # The log stays as it is, which makes the next start check the database.
            close_untouched(*connections)
            return
        for connection in connections:
            connection.close()

    async def failure(self) -> Unavailable:
        """Waits until the database fails, which is for ever on most days: why."""
        await self.writer.failed.wait()
        assert self.writer.failure is not None
        return self.writer.failure

    def _read(self, operation: Operation[T]) -> T:
        return self._drive(operation, self._reader)

    async def _read_slowly(self, operation: Operation[T]) -> T:
        async with self._slow:
            return await asyncio.to_thread(self._drive, operation, self._slow_reader)

    def _drive(self, operation: Operation[T], connection: apsw.Connection) -> T:
        try:
            return drive(operation, SqliteTransaction(connection))
        except _UNREADABLE as error:
            if isinstance(error, (apsw.CorruptError, apsw.NotADBError)):
                self.writer.fail(error)
            raise Unavailable(f"the database could not be read: {error}") from error

    async def _write(self, operation: Operation[T]) -> T:
        return await self.writer.call(operation)

    async def _write_bodies(self, made: Sequence[Body], operation: Operation[T]) -> T:
        """A write with bodies whose files exist already: without it they go again."""
        try:
            return await self._write(operation)
        except Unavailable as error:
            # A commit that failed in the middle may stand after all: the next start looks.
            if error.full:
                self._files.discard(made)
            raise
        except Exception:
            self._files.discard(made)
            raise

    async def _prepare(self, raws: Sequence[bytes], *, new: bool = True) -> list[Body]:
        """Bodies ready for their rows; those of new mail only while there is room."""
        if new:
            self._space.check(sum(map(len, raws)))
        made: list[Body] = []
        try:
            for raw in raws:
                serial = self._randomness.serial()
                if len(raw) <= bodies.INLINE:
                    made.append(self._files.prepare(raw, serial))
                else:
                    made.append(await asyncio.to_thread(self._files.prepare, raw, serial))
        except Unavailable as error:
            self._files.discard(made)
            if error.full:
                self._space.give_up()
            raise
        return made

    # Resources

    async def get(self, kind: type[R], scope: Scope, name: str) -> R | None:
        key = (kind.KIND, scope.account, scope.region, name)
        return self._cached(key, lambda tx: resources.get(tx, kind, scope, name, self._seal))

    async def find(self, kind: type[R], name: str) -> R | None:
        key = (kind.KIND, name)
        return self._cached(key, lambda tx: resources.find(tx, kind, name, self._seal))

    def _cached(self, key: tuple[str, ...], operation: Operation[Any]) -> Any:
        try:
            return self._cache[key]
        except KeyError:
            pass
        if len(self._cache) >= CACHED:
            self._cache.clear()
        found = self._cache[key] = self._read(operation)
        return found

    async def select(
        self,
        kind: type[R],
        scope: Scope | None,
        *,
        prefix: str = "",
        after: str = "",
        limit: int = 1_000_000,
    ) -> list[R]:
        span = (prefix, after, limit)

        def operation(tx: Transaction) -> Awaitable[list[R]]:
            return resources.select(tx, kind, scope, span, self._seal)

        if limit <= PAGE:
            return self._read(operation)
        # Ten thousand of them take a third of a second to decode.
        return await self._read_slowly(operation)

    async def apply(
        self, *changes: Change, keep: Sequence[bytes] = (), release: Sequence[bytes] = ()
    ) -> None:
        made = await self._prepare(keep)

        async def operation(tx: Transaction) -> None:
            tx.afterwards(lambda: self._forget(changes))
            await resources.apply(tx, changes, self._seal)
            for one in made:
                await bodies.keep(tx, one, self._files)
            for name in release:
                await bodies.release(tx, name, self._files)

        await self._write_bodies(made, operation)

    def _forget(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, (Stands, Vacant)):
                continue
            one = change.new if isinstance(change, Replace) else change.resource
            self._cache.pop((one.KIND, one.scope.account, one.scope.region, one.name), None)
            self._cache.pop((one.KIND, one.name), None)

    # The queue

    async def enqueue(self, accepted: Sequence[Accepted]) -> None:
        made = await self._prepare([one.raw for one in accepted])

        async def operation(tx: Transaction) -> None:
            for one, body in zip(accepted, made, strict=True):
                await queue.enqueue(tx, one, body, self._files)

        await self._write_bodies(made, operation)

    async def destinations(self, now: int, limit: int) -> list[str]:
        return self._read(lambda tx: queue.destinations(tx, now, limit))

    async def next_due(self) -> int | None:
        return self._read(queue.next_due)

    async def lease(
        self, now: int, until: int, destinations: Sequence[str], each: int
    ) -> list[Leased]:
        token = self._randomness.serial()
        return await self._write(
            lambda tx: queue.lease(tx, (now, until), token, destinations, each)
        )

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        made = await self._prepare(
            [one.notice.raw for one in settlements if one.notice is not None], new=False
        )

        async def operation(tx: Transaction) -> None:
            waiting = iter(made)
            for one in settlements:
                body = next(waiting) if one.notice is not None else None
                if not await queue.settle(tx, one):
                    if body is not None and body.place:
                        tx.afterwards(lambda place=body.place: self._files.unlink(place))
                    continue
                if one.arrival:
                    await mailboxes.show(tx, one.arrival, one.leased.message.message_id)
                if one.notice is not None and body is not None:
                    await queue.enqueue(tx, one.notice, body, self._files)

        await self._write_bodies(made, operation)

    async def release(self) -> None:
        await self._write(queue.release)

    async def queue(self, limit: int) -> list[QueueEntry]:
        return self._read(lambda tx: queue.waiting(tx, limit))

    async def retry(self, now: int, ids: Sequence[int]) -> int:
        return await self._write(lambda tx: queue.retry(tx, now, ids))

    async def discard(self, ids: Sequence[int]) -> int:
        return await self._write(lambda tx: queue.discard(tx, ids))

    async def outbound(self, start: str) -> list[tuple[str, Scope, str, tuple[str, ...]]]:
        return self._read(lambda tx: queue.outbound(tx, start))

    async def body(self, digest: bytes) -> bytes:
        found = self._read(lambda tx: bodies.load(tx, digest))
        if found is None:
            raise NotFound("the body is gone", resource="body", name=digest.hex())
        data, place = found
        return data if data is not None else await asyncio.to_thread(self._files.read, place)

    # Mailboxes

    async def deliver(self, arrivals: Sequence[Arrival], onward: Sequence[Accepted] = ()) -> None:
        made = await self._prepare([one.raw for one in (*arrivals, *onward)])
        ids = [(self._randomness.serial(), self._new_user()) for _ in arrivals]

        async def operation(tx: Transaction) -> None:
            waiting = iter(made)
            for one, pair in zip(arrivals, ids, strict=True):
                await mailboxes.deliver(tx, one, next(waiting), pair, self._files)
            for one in onward:
                await queue.enqueue(tx, one, next(waiting), self._files)

        await self._write_bodies(made, operation)

    def _new_user(self) -> int:
        # A user's folders take the numbers that follow its own.
        first = self._randomness.serial()
        for _ in mailboxes.FOLDERS:
            self._randomness.serial()
        return first

    async def add_user(self, user: MailUser) -> None:
        first = self._new_user()
        await self._write(lambda tx: mailboxes.add_user(tx, user, first))

    async def user(self, address: str) -> MailUser | None:
        return self._read(lambda tx: mailboxes.user(tx, address))

    async def users(self, domain: str = "", limit: int = 1_000_000) -> list[MailUser]:
        return self._read(lambda tx: mailboxes.users(tx, domain, limit))

    async def replace_password(self, address: str, password_hash: str) -> None:
        await self._write(lambda tx: mailboxes.replace_password(tx, address, password_hash))

    async def delete_user(self, address: str) -> None:
        await self._write(lambda tx: mailboxes.delete_user(tx, address, "hosted", self._files))

    async def emails(self, wanted: EmailFilter) -> list[Email]:
        matches = _matcher(wanted)
        start = wanted.after or 1 << 62
        found: list[Email] = []
        while len(found) < wanted.limit:
            page = (start, PAGE)
            rows = await self._read_slowly(lambda tx, page=page: mailboxes.emails(tx, wanted, page))
            for email in rows:
                start = email.id
                if matches(email) and await self._says(email, wanted.text):
                    found.append(email)
            if len(rows) < PAGE:
                break
        found = found[: wanted.limit]
        return found[::-1] if wanted.after else found

    async def _says(self, email: Email, text: str) -> bool:
        if not text:
            return True
        said = await asyncio.to_thread(read_message, await self.body(email.body))
        return text.casefold() in f"{said.text}\n{said.html}".casefold()

    async def email(self, email_id: int) -> Email | None:
        return self._read(lambda tx: mailboxes.email(tx, email_id))

    async def delete_emails(self, ids: Sequence[int]) -> None:
        await self._write(lambda tx: mailboxes.delete_emails(tx, ids, self._files))

    async def remove_demo(self) -> int:
        return await self._write(lambda tx: mailboxes.remove_demo(tx, self._files))

    # What people look at

    async def trace(self, message_id: str) -> Trace | None:
        return self._read(lambda tx: queue.trace(tx, message_id))

    async def statistics(self, scope: Scope, since: int) -> list[Sent]:
        return self._read(lambda tx: queue.statistics(tx, scope, since))

    async def counted(self, scope: Scope, since: int) -> list[tuple[int, int]]:
        return self._read(lambda tx: queue.counted(tx, scope, since))

    async def setting(self, name: str) -> str | None:
        """A setting of the data folder itself, such as the mode it was made in."""
        rows = self._read(lambda tx: tx.run("SELECT value FROM setting WHERE name = ?1", name))
        return rows[0][0] if rows else None

    async def set_setting(self, name: str, value: str) -> None:
        """Keep a setting of the data folder."""
        await self._write(
            lambda tx: tx.run(
                "INSERT INTO setting (name, value) VALUES (?1, ?2) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                name,
                value,
            )
        )

    async def status(self) -> StoreStatus:
        [(queued, emails)] = self._read(
            lambda tx: tx.run(
                "SELECT (SELECT count(*) FROM recipient WHERE due IS NOT NULL), "
                "(SELECT count(*) FROM email)"
            )
        )
        return StoreStatus(
            schema=self.schema,
            engine=f"SQLite {apsw.sqlite_lib_version()}",
            database_bytes=self.path.stat().st_size,
            queued=queued,
            emails=emails,
            details={"commits": self.writer.commits, "operations": self.writer.operations},
        )


_READ: tuple[tuple[str, Callable[[Email], str]], ...] = (
    ("to", lambda email: " ".join(email.recipients)),
    ("header_from", lambda email: email.header_from),
    ("subject", lambda email: email.subject),
)


def _matcher(wanted: EmailFilter) -> Callable[[Email], bool]:
    needles = [
        (getattr(wanted, name).casefold(), read) for name, read in _READ if getattr(wanted, name)
    ]
    return lambda email: all(needle in read(email).casefold() for needle, read in needles)
