"""The Store on SQLite: one writer thread, readers that fetch all and end.

Commits are durable (WAL, synchronous FULL) and checkpoints our own. Resources
are cached: this process is the only one that writes them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from mailstead.mail.errors import Invalid, NotFound
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
from mailstead.mail.ports import Change, Randomness, Replace
from mailstead.store import bodies, mailboxes, queue, resources
from mailstead.store.bodies import BodyFiles
from mailstead.store.migration import migrate
from mailstead.store.sealing import Seal
from mailstead.store.transaction import Operation, Transaction
from mailstead.store.writer import SqliteTransaction, Writer, drive
from mailstead.wire.mime import read_message

R = TypeVar("R", bound=Resource)
T = TypeVar("T")

OLDEST_SQLITE = (3, 51, 3)
"""Earlier ones could corrupt a database between two connections (WAL reset)."""
CACHED = 200_000
PAGE = 500


def connect(path: str) -> apsw.Connection:
    """A connection with the settings that durability and speed ask for."""
    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if found < OLDEST_SQLITE:
        raise Invalid(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a database: "
            f"install apsw {'.'.join(map(str, OLDEST_SQLITE))} or newer",
            resource="store",
        )
    connection = apsw.Connection(path)
    connection.set_busy_timeout(5000)
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "wal_autocheckpoint = 0",
        "mmap_size = 0",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        "cache_size = -16384",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    return connection


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
        name = str(self.path)
        connection = connect(name)
        self.schema = migrate(connection)
        self._reader = connect(name)
        self._slow_reader = connect(name)
        self._slow = asyncio.Lock()
        self._files = BodyFiles(folder / "bodies")
        self._cache: dict[tuple[str, ...], Any] = {}
        self.writer = Writer(connection, loop)
        self._connection = connection

    async def start(self) -> None:
        """Put right what an unclean stop left: leases, unseen emails, stray files."""
        await self._write(queue.release)
        await self._write(lambda tx: mailboxes.settle_visibility(tx, self._files))
        known = {
            str(row[0]) for row in self._connection.execute("SELECT place FROM blob").fetchall()
        }
        await asyncio.to_thread(self._files.sweep, known)

    def close(self) -> None:
        """Commit what waits, checkpoint, and let the file go."""
        self.writer.stop()
        self._reader.close()
        self._slow_reader.close()
        self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        self._connection.close()

    def _read(self, operation: Operation[T]) -> T:
        return drive(operation, SqliteTransaction(self._reader))

    async def _read_slowly(self, operation: Operation[T]) -> T:
        async with self._slow:
            return await asyncio.to_thread(drive, operation, SqliteTransaction(self._slow_reader))

    async def _write(self, operation: Operation[T]) -> T:
        return await self.writer.call(operation)

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
        return self._read(lambda tx: resources.select(tx, kind, scope, span, self._seal))

    async def apply(self, *changes: Change) -> None:
        async def operation(tx: Transaction) -> None:
            tx.afterwards(lambda: self._forget(changes))
            await resources.apply(tx, changes, self._seal)

        await self._write(operation)

    def _forget(self, changes: Sequence[Change]) -> None:
        for change in changes:
            one = change.new if isinstance(change, Replace) else change.resource
            self._cache.pop((one.KIND, one.scope.account, one.scope.region, one.name), None)
            self._cache.pop((one.KIND, one.name), None)

    # The queue

    async def enqueue(self, accepted: Sequence[Accepted]) -> None:
        ready = [(one, await self._prepare(one.raw)) for one in accepted]

        async def operation(tx: Transaction) -> None:
            for one, body in ready:
                await queue.enqueue(tx, one, body, self._files)

        await self._write(operation)

    async def _prepare(self, raw: bytes) -> bodies.Body:
        serial = self._randomness.serial()
        if len(raw) <= bodies.INLINE:
            return self._files.prepare(raw, serial)
        return await asyncio.to_thread(self._files.prepare, raw, serial)

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
        ready = [
            (one, await self._prepare(one.notice.raw) if one.notice else None)
            for one in settlements
        ]

        async def operation(tx: Transaction) -> None:
            for one, body in ready:
                if not await queue.settle(tx, one):
                    continue
                if one.arrival:
                    await mailboxes.show(tx, one.arrival, one.leased.message.message_id)
                if one.notice is not None and body is not None:
                    await queue.enqueue(tx, one.notice, body, self._files)

        await self._write(operation)

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
            raise NotFound("the message's body is gone", resource="body", name=digest.hex())
        data, place = found
        raw = data if data is not None else await asyncio.to_thread(self._files.read, place)
        if place and hashlib.sha256(raw).digest() != digest:
            raise NotFound(
                f"the file of a message's body is damaged: {place}",
                resource="body",
                name=digest.hex(),
            )
        return raw

    # Mailboxes

    async def deliver(self, arrivals: Sequence[Arrival]) -> None:
        ready = [
            (
                one,
                await self._prepare(one.raw),
                (self._randomness.serial(), self._new_user()),
            )
            for one in arrivals
        ]

        async def operation(tx: Transaction) -> None:
            for one, body, ids in ready:
                await mailboxes.deliver(tx, one, body, ids, self._files)

        await self._write(operation)

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

    async def users(self, domain: str = "") -> list[MailUser]:
        return self._read(lambda tx: mailboxes.users(tx, domain))

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
