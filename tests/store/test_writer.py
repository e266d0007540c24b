"""The writer: batches, failures of one, failures of all."""

import asyncio
import errno
import threading
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from mailstead.mail.errors import Conflict, Unavailable
from mailstead.mail.messages import EmailFilter, digest
from mailstead.mail.model import Identity
from mailstead.mail.ports import Create
from mailstead.store import writer
from mailstead.store.connection import has_log
from mailstead.store.sqlite import SqliteStore
from mailstead.store.transaction import Transaction
from mailstead.store.writer import SqliteTransaction, drive
from support.faults import FaultyDisk, io_error
from support.messages import SCOPE, accepted, arrival, identity
from support.stores import sqlite_store
from support.waiting import until

Scene = Callable[[SqliteStore], Coroutine[Any, Any, None]]
LARGE = b"x: y\r\n\r\n" + b"z" * 100_000


def play(folder: Path, scene: Scene) -> None:
    async def whole() -> None:
        async with sqlite_store(folder) as store:
            await scene(store)

    asyncio.run(whole())


@pytest.fixture
def disk() -> Iterator[FaultyDisk]:
    made = FaultyDisk()
    yield made
    made.unregister()


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "bodies").glob("*/*") if path.is_file()]


def test_nothing_is_acknowledged_before_its_commit_returned(tmp_path: Path) -> None:
    """The commit hook runs when all is written and COMMIT has not returned."""
    committing, go_on = threading.Event(), threading.Event()

    def hook() -> bool:
        committing.set()
        go_on.wait(10)
        return False

    async def scene(store: SqliteStore) -> None:
        store._connection.set_commit_hook(hook)
        one = accepted("a@x.test")
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(store.enqueue([one]))
            await asyncio.to_thread(committing.wait, 10)
            for _ in range(20):
                await asyncio.sleep(0)
            assert not waiting.done()
            assert await store.queue(10) == []
            go_on.set()
        assert len(await store.queue(10)) == 1
        store._connection.set_commit_hook(None)

    play(tmp_path, scene)


def test_a_hundred_at_once_take_few_commits(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        before = store.writer.commits
        async with asyncio.TaskGroup() as group:
            for number in range(100):
                group.create_task(store.enqueue([accepted(f"u{number}@x.test")]))
        assert store.writer.commits - before < 20
        assert len(await store.queue(1000)) == 100

    play(tmp_path, scene)


def test_what_fails_alone_takes_nothing_with_it_and_leaves_no_file(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        first = accepted("a@x.test", raw=LARGE)
        await store.enqueue([first])
        results = await asyncio.gather(
            # The same number again, with a body of its own.
            store.enqueue([accepted_again(first)]),
            store.enqueue([accepted("b@x.test")]),
            return_exceptions=True,
        )
        assert isinstance(results[0], apsw.ConstraintError)
        assert results[1] is None
        assert len(files(tmp_path)) == 1
        assert await store.body(digest(LARGE)) == LARGE

    def accepted_again(first: Any) -> Any:
        from dataclasses import replace

        raw = LARGE + b"!"
        return replace(first, raw=raw, message=replace(first.message, body=digest(raw)))

    play(tmp_path, scene)


def test_what_was_to_be_done_afterwards_is_not_done_after_a_failure(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        done: list[str] = []

        async def fails(tx: Transaction) -> None:
            tx.afterwards(lambda: done.append("failed"))
            raise Conflict("no")

        async def works(tx: Transaction) -> str:
            tx.afterwards(lambda: done.append("worked"))
            return "result"

        failing, working = store.writer.call(fails), store.writer.call(works)
        with pytest.raises(Conflict):
            await failing
        assert await working == "result"
        assert done == ["worked"]

    play(tmp_path, scene)


def test_a_cancelled_waiter_harms_nobody(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        async def slow(tx: Transaction) -> None:
            await tx.run("SELECT 1")

        cancelled, other = store.writer.call(slow), store.writer.call(slow)
        cancelled.cancel()
        await other

    play(tmp_path, scene)


def test_an_operation_awaits_nothing_but_its_transaction() -> None:
    async def strays(_tx: Transaction) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="awaited something other"):
        drive(strays, SqliteTransaction(apsw.Connection(":memory:")))


def test_more_than_a_batch_waits_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BATCH", 7)

    async def scene(store: SqliteStore) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(20):
                group.create_task(store.enqueue([accepted(f"u{number}@x.test")]))
        assert len(await store.queue(1000)) == 20
        assert store.writer.commits >= 3

    play(tmp_path, scene)


def test_a_full_disk_refuses_writes_keeps_reads_and_work_resumes(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test")])
        await store.apply(Create(identity()))
        [pages] = store._connection.execute("PRAGMA page_count").fetchall()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        raw = b"s: x\r\n\r\n" + b"y" * 60_000
        for _ in range(2):
            with pytest.raises(Unavailable) as refused:
                await store.enqueue([accepted("b@x.test", raw=raw)])
            assert refused.value.full
        assert [entry.recipient for entry in await store.queue(10)] == ["a@x.test"]
        assert await store.get(Identity, SCOPE, "example.test") == identity()
        # The reserve was given up for what settles and deletes.
        assert not (tmp_path / "reserve").exists()
        store._connection.execute("PRAGMA max_page_count = 1000000").fetchall()
        await store.enqueue([accepted("b@x.test", raw=raw)])
        assert len(await store.queue(10)) == 2
        assert (tmp_path / "reserve").exists()
        assert store.writer.failure is None

    play(tmp_path, scene)


def test_mail_refused_for_want_of_room_does_not_cost_the_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(store: SqliteStore) -> None:
        free = store._space._size + 100_000
        monkeypatch.setattr(store._space, "_free", lambda: free)
        await store.enqueue([accepted("a@x.test", raw=b"x: y\r\n\r\n" + b"z" * 40_000)])
        for write in (
            store.enqueue([accepted("b@x.test", raw=LARGE)]),
            # Each would fit alone.
            store.deliver([arrival(f"{n}", "c@x.test", raw=LARGE[:40_000]) for n in range(3)]),
        ):
            with pytest.raises(Unavailable, match="KiB left") as refused:
                await write
            assert refused.value.full
        assert (tmp_path / "reserve").exists()
        assert len(await store.queue(10)) == 1

    play(tmp_path, scene)


def test_a_full_batch_refuses_all_of_it_and_its_files_go(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        [pages] = store._connection.execute("PRAGMA page_count").fetchall()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages + 2}").fetchall()
        small = b"s: x\r\n\r\n" + b"y" * 60_000
        go_on = threading.Event()

        async def holds(_tx: Transaction) -> None:
            go_on.wait(10)

        holding = store.writer.call(holds)
        both = [
            asyncio.ensure_future(work)
            for work in (
                store.enqueue([accepted("a@x.test", raw=LARGE), accepted("b@x.test", raw=small)]),
                store.deliver([arrival("1", "c@x.test", raw=LARGE + b"1")]),
            )
        ]
        await until(lambda: store.writer._calls.qsize() == 2)
        go_on.set()
        await holding
        results = await asyncio.gather(*both, return_exceptions=True)
        assert all(isinstance(one, Unavailable) and one.full for one in results), results
        assert files(tmp_path) == []
        assert await store.emails(EmailFilter()) == []

    play(tmp_path, scene)


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_an_io_error_ends_writing_and_reads_go_on(
    tmp_path: Path, disk: FaultyDisk, operation: str
) -> None:
    codes = {"write": apsw.SQLITE_IOERR_WRITE, "sync": apsw.SQLITE_IOERR_FSYNC}

    def fault(given: str, name: str) -> None:
        if given == operation and name.endswith("-wal"):
            raise io_error(codes[operation])

    async def scene(store: SqliteStore) -> None:
        one = accepted("a@x.test", raw=LARGE)
        await store.enqueue([one])
        waiting = asyncio.ensure_future(store.failure())
        disk.fault = fault
        with pytest.raises(Unavailable) as refused:
            await store.enqueue([accepted("b@x.test", raw=LARGE + b"1")])
        assert not refused.value.full
        assert "injected" in str(await waiting)
        # The disk works again, and nothing is trusted to it.
        disk.fault = None
        with pytest.raises(Unavailable):
            await store.enqueue([accepted("c@x.test")])
        assert await store.body(one.message.body) == LARGE
        assert len(await store.queue(10)) == 1

    play(tmp_path, scene)
    assert has_log(tmp_path / "mailstead.db")

    async def again(store: SqliteStore) -> None:
        there = {entry.recipient for entry in await store.queue(10)}
        # What failed in the middle may be there, what was refused later is not.
        assert "a@x.test" in there
        assert "c@x.test" not in there

    play(tmp_path, again)
    assert not has_log(tmp_path / "mailstead.db")


def test_what_waited_when_it_failed_is_refused(tmp_path: Path, disk: FaultyDisk) -> None:
    holding, go_on = threading.Event(), threading.Event()

    async def holds(_tx: Transaction) -> None:
        holding.set()
        go_on.wait(10)
        raise io_error(apsw.SQLITE_IOERR_WRITE)

    async def scene(store: SqliteStore) -> None:
        first = store.writer.call(holds)
        await asyncio.to_thread(holding.wait, 10)
        second = asyncio.ensure_future(store.enqueue([accepted("a@x.test")]))
        await asyncio.sleep(0)
        go_on.set()
        for one in (first, second):
            with pytest.raises(Unavailable):
                await one

    play(tmp_path, scene)


def test_a_checkpoint_that_fails_is_noticed(
    tmp_path: Path, disk: FaultyDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 1)

    def fault(given: str, name: str) -> None:
        if given == "sync" and name.endswith(".db"):
            raise io_error(apsw.SQLITE_IOERR_FSYNC)

    async def scene(store: SqliteStore) -> None:
        disk.fault = fault
        one = accepted("a@x.test")
        await store.enqueue([one])
        assert "injected" in str(await store.failure())
        with pytest.raises(Unavailable):
            await store.enqueue([accepted("b@x.test")])

    play(tmp_path, scene)
    disk.fault = None

    async def again(store: SqliteStore) -> None:
        assert [entry.recipient for entry in await store.queue(10)] == ["a@x.test"]

    play(tmp_path, again)


def test_a_full_quota_is_a_full_disk(tmp_path: Path, disk: FaultyDisk) -> None:
    """SQLite reports EDQUOT as an I/O error; the system's number tells."""

    class _Quota:
        def __init__(self, inner: apsw.Connection) -> None:
            self._inner = inner

        system_errno = errno.EDQUOT

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

    def fault(given: str, name: str) -> None:
        if given == "write" and name.endswith("-wal"):
            raise io_error(apsw.SQLITE_IOERR_WRITE)

    async def scene(store: SqliteStore) -> None:
        store.writer._connection = _Quota(store._connection)
        disk.fault = fault
        with pytest.raises(Unavailable) as refused:
            await store.enqueue([accepted("a@x.test")])
        assert refused.value.full
        disk.fault = None
        await store.enqueue([accepted("a@x.test")])
        store.writer._connection = store._connection

    play(tmp_path, scene)


def test_a_long_reader_blocks_nobody_and_checkpoints_catch_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 10)
    monkeypatch.setattr(writer, "ALARM_PAGES", 20)

    async def scene(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test")])
        reader = apsw.Connection(str(store.path))
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM outbound").fetchall() == [(1,)]
        raw = b"x: y\r\n\r\n" + b"z" * 20_000
        for number in range(20):
            await store.enqueue([accepted(f"u{number}@x.test", raw=raw + b"%d" % number)])
        assert reader.execute("SELECT count(*) FROM outbound").fetchall() == [(1,)]
        # Nothing could be moved past the reader: the next attempt waits for more.
        assert store.writer._checkpoint_at > 10
        held = store.writer._wal_pages
        assert "a reader holds it open" in caplog.text
        reader.close()
        for number in range(40):
            await store.enqueue([accepted(f"v{number}@x.test", raw=raw + b"%d" % number)])
        # The log began again at its start.
        assert store.writer._wal_pages < held + 40 * 7

    play(tmp_path, scene)


def test_a_checkpoint_that_finds_the_disk_full_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at a checkpoint loses nothing: the log has it all."""
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 1)

    class _Connection:
        def __init__(self, inner: apsw.Connection, error: type[apsw.Error]) -> None:
            self._inner, self._error = inner, error

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def wal_checkpoint(self, **_: Any) -> tuple[int, int]:
            raise self._error("injected")

    async def scene(store: SqliteStore) -> None:
        for error in (apsw.FullError, apsw.BusyError):
            store.writer._connection = _Connection(store._connection, error)
            store.writer._checkpoint_at = 1
            await store.enqueue([accepted("a@x.test")])
            await until(lambda: store.writer._checkpoint_at > 1)
        assert store.writer.failure is None
        store.writer._connection = store._connection

    play(tmp_path, scene)


def test_a_writer_that_is_locked_out_refuses_and_goes_on(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        store._connection.set_busy_timeout(1)
        other = apsw.Connection(str(store.path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as refused:
            await store.enqueue([accepted("a@x.test")])
        assert not refused.value.full
        other.execute("ROLLBACK")
        other.close()
        await store.enqueue([accepted("a@x.test")])
        assert store.writer.failure is None

    play(tmp_path, scene)


def test_after_the_end_nothing_is_taken(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        store.writer.stop()
        store.writer.stop()
        with pytest.raises(Unavailable, match="ending"):
            await store.enqueue([accepted("a@x.test")])

    play(tmp_path, scene)
