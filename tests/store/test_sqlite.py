"""The store on SQLite: starts after crashes, caches, failing reads."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import pytest

from mailstead.mail.errors import Unavailable
from mailstead.mail.messages import EmailFilter, MailUser
from mailstead.mail.model import Identity
from mailstead.mail.ports import Create, Replace
from mailstead.store import sqlite
from mailstead.store.connection import close_untouched, has_log
from mailstead.store.sqlite import SqliteStore
from support.messages import OTHER, SCOPE, accepted, arrival, identity
from support.stores import sqlite_store


def play(folder: Path, *scenes: Callable[[SqliteStore], Coroutine[Any, Any, None]]) -> None:
    """Each scene on a store of its own over the same folder."""
    for scene in scenes:

        async def whole(scene: Any = scene) -> None:
            async with sqlite_store(folder) as store:
                await scene(store)

        asyncio.run(whole())


def test_a_start_makes_leases_due_and_hidden_mail_seen(tmp_path: Path) -> None:
    async def before(store: SqliteStore) -> None:
        await store.add_user(MailUser(SCOPE, "you@example.test", "hosted", "h", 1))
        hosted = replace(arrival("1", "you@example.test"), kind="hosted", visible=False)
        await store.deliver([hosted, replace(arrival("2", "a@out.test"), visible=False)])
        await store.enqueue([accepted("a@out.test")])
        await store.lease(1_000_000, 9_000_000, ["out.test"], 1)
        assert await store.emails(EmailFilter()) == []

    async def after(store: SqliteStore) -> None:
        # The captured one comes again with its recipient, the other one may not.
        assert [one.mailbox for one in await store.emails(EmailFilter())] == ["you@example.test"]
        assert await store.next_due() == 0
        [leased] = await store.lease(5, 10, ["out.test"], 1)
        assert leased.attempts == 2

    play(tmp_path, before, after)


def test_the_cache_follows_changes_and_forgets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CACHED", 3)

    async def scene(store: SqliteStore) -> None:
        assert await store.get(Identity, SCOPE, "example.test") is None
        assert await store.find(Identity, "example.test") is None
        await store.apply(Create(identity()))
        assert await store.find(Identity, "example.test") == identity()
        changed = replace(identity(), token="new")
        await store.apply(Replace(identity(), changed))
        assert await store.get(Identity, SCOPE, "example.test") == changed
        for number in range(9):
            assert await store.get(Identity, OTHER, f"x{number}") is None
        assert len(store._cache) <= 3
        assert await store.get(Identity, SCOPE, "example.test") == changed

    play(tmp_path, scene)


def test_reads_that_fail_are_unavailable_and_damage_ends_writing(tmp_path: Path) -> None:
    class Broken:
        def __init__(self, error: apsw.Error) -> None:
            self.error = error

        def execute(self, *_: Any) -> Any:
            raise self.error

    async def scene(store: SqliteStore) -> None:
        reader = store._reader
        for error, ends in ((apsw.IOError("x"), False), (apsw.CorruptError("y"), True)):
            store._reader = Broken(error)
            with pytest.raises(Unavailable, match="could not be read"):
                await store.next_due()
            assert (store.writer.failure is not None) is ends
        store._reader = reader
        assert await store.next_due() is None
        with pytest.raises(Unavailable, match="failing: y"):
            await store.set_setting("a", "b")

    play(tmp_path, scene)


def test_our_own_mistakes_are_not_called_failures(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        with pytest.raises(apsw.SQLError):
            store._read(lambda tx: tx.run("SELECT nonsense"))

    play(tmp_path, scene)


def test_a_reader_elsewhere_does_not_hinder_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test")])
        reader = apsw.Connection(str(store.path))
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM outbound").fetchall()
        await store.enqueue([accepted("b@x.test")])
        store._connection.set_busy_timeout(1)
        store.close()
        assert has_log(store.path)
        close_untouched(reader)
        monkeypatch.setattr(store, "close", lambda: None)

    async def after(store: SqliteStore) -> None:
        assert len(await store.queue(10)) == 2

    play(tmp_path, scene, after)


def test_a_checkpoint_that_fails_at_the_end_keeps_the_log(tmp_path: Path) -> None:
    class Failing:
        def __init__(self, inner: apsw.Connection) -> None:
            self.inner = inner

        def wal_checkpoint(self, **_: Any) -> None:
            raise apsw.IOError("x")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    async def scene(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test")])
        store._connection = Failing(store._connection)

    async def after(store: SqliteStore) -> None:
        assert len(await store.queue(10)) == 1

    play(tmp_path, scene)
    assert has_log(tmp_path / "mailstead.db")
    play(tmp_path, after)


def test_pages_of_a_long_list_fit_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PAGE", 4)

    async def scene(store: SqliteStore) -> None:
        await store.deliver([arrival(f"{n}", f"u{n % 3}@x.test") for n in range(30)])
        everything = await store.emails(EmailFilter())
        assert [one.id for one in everything] == list(range(30, 0, -1))
        later = await store.emails(EmailFilter(after=3, limit=10))
        assert [one.id for one in later] == list(range(13, 3, -1))
        some = await store.emails(EmailFilter(to="u1@", limit=7))
        assert [one.mailbox for one in some] == ["u1@x.test"] * 7

    play(tmp_path, scene)
