"""Bodies in files: written before their row, gone with their last reference."""

import asyncio
import errno
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail.errors import NotFound, Unavailable
from mailstead.mail.messages import EmailFilter, MailUser, Settlement, digest
from mailstead.store import disk
from mailstead.store.bodies import INLINE, BodyFiles
from mailstead.store.sqlite import SqliteStore
from support.messages import SCOPE, accepted, arrival
from support.stores import sqlite_store

LARGE = b"x: y\r\n\r\n" + b"z" * INLINE


def play(folder: Path, scene: Callable[[SqliteStore], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with sqlite_store(folder) as store:
            await scene(store)

    asyncio.run(whole())


def files(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / "bodies").glob("*/*") if path.is_file())


def test_small_ones_need_no_file(tmp_path: Path) -> None:
    bodies = BodyFiles(tmp_path / "bodies")
    body = bodies.prepare(b"x" * INLINE, 7)
    assert (body.place, body.data, body.size) == ("", b"x" * INLINE, INLINE)
    assert bodies.sweep(set()) == 0


def test_a_crash_between_file_and_commit_leaves_nothing(tmp_path: Path) -> None:
    """The file is there, the row never came; also a draft that was cut off."""

    async def first(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test", raw=LARGE)])

    play(tmp_path, first)
    [kept] = files(tmp_path)
    bodies = BodyFiles(tmp_path / "bodies")
    bodies.prepare(LARGE + b"1", 1)
    # The same body again, as a second upload.
    bodies.prepare(LARGE, 2)
    (kept.parent / "cut.draft").write_bytes(b"half")
    assert len(files(tmp_path)) == 4

    async def second(store: SqliteStore) -> None:
        assert files(tmp_path) == [kept]
        assert await store.body(digest(LARGE)) == LARGE

    play(tmp_path, second)


@pytest.mark.parametrize("step", ["open", "rename", "sync", "sync_folder"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_body_that_cannot_be_written_is_refused_and_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    async def scene(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test", raw=LARGE)])
        if step == "open":
            monkeypatch.setattr(disk.os, "open", fails)
        elif step == "rename":
            monkeypatch.setattr(Path, "rename", fails)
        else:
            monkeypatch.setattr(disk, step, fails)
        for write in (
            store.enqueue([accepted("b@x.test", raw=LARGE + b"1")]),
            # The first of them was written already.
            store.deliver([arrival("1", "c@x.test"), arrival("2", "d@x.test", raw=LARGE + b"2")]),
        ):
            with pytest.raises(Unavailable) as refused:
                await write
            assert refused.value.full is (number == errno.ENOSPC)
        monkeypatch.undo()
        assert len(await store.queue(10)) == 1
        assert await store.emails(EmailFilter()) == []
        if step != "sync_folder":
            assert len(files(tmp_path)) == 1

    play(tmp_path, scene)
    play(tmp_path, _nothing)
    # What a failed sync of the folder left is swept by the next start.
    assert len(files(tmp_path)) == 1


async def _nothing(_store: SqliteStore) -> None:
    pass


def test_the_folders_names_are_synced_when_they_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    sync_folder = disk.sync_folder

    def noted(folder: Path) -> None:
        synced.append(folder)
        sync_folder(folder)

    monkeypatch.setattr(disk, "sync_folder", noted)
    bodies = BodyFiles(tmp_path / "bodies")
    [name] = [bodies.prepare(LARGE, 1).place]
    assert synced == [tmp_path, tmp_path / "bodies", tmp_path / "bodies" / name[:2]]
    assert (tmp_path / "bodies").stat().st_mode & 0o777 == 0o700


def test_a_file_that_is_gone_or_changed_is_found_out(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test", raw=LARGE)])
        [path] = files(tmp_path)
        path.write_bytes(LARGE[:-1] + b"!")
        with pytest.raises(NotFound, match="gone or damaged"):
            await store.body(digest(LARGE))
        path.unlink()
        with pytest.raises(NotFound, match="gone or damaged"):
            await store.body(digest(LARGE))
        path.mkdir()
        with pytest.raises(Unavailable):
            await store.body(digest(LARGE))

    play(tmp_path, scene)


def test_a_file_that_cannot_be_deleted_is_left_to_the_sweep(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bodies = BodyFiles(tmp_path / "bodies")
    body = bodies.prepare(LARGE, 1)
    path = tmp_path / "bodies" / body.place[:2] / body.place
    path.unlink()
    (path / "x").mkdir(parents=True)
    bodies.discard([body, bodies.prepare(b"small", 2)])
    assert "could not be deleted" in caplog.text


def test_one_body_serves_all_its_messages_and_goes_with_the_last(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        await store.deliver([arrival("1", "a@x.test", raw=LARGE)])
        await store.deliver(
            [arrival("2", "b@x.test", raw=LARGE), arrival("3", "c@x.test", raw=LARGE)]
        )
        assert len(files(tmp_path)) == 1
        for email in (await store.emails(EmailFilter()))[:2]:
            await store.delete_emails([email.id])
        assert len(files(tmp_path)) == 1
        assert await store.body(digest(LARGE)) == LARGE
        [last] = await store.emails(EmailFilter())
        await store.delete_emails([last.id, last.id + 1])
        assert files(tmp_path) == []
        # The same bytes again, after they were gone.
        await store.deliver([arrival("4", "a@x.test", raw=LARGE)])
        assert await store.body(digest(LARGE)) == LARGE

    play(tmp_path, scene)


def test_a_notice_whose_lease_was_lost_leaves_no_file(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        await store.enqueue([accepted("a@x.test")])
        [old] = await store.lease(1_000_000, 1_000_001, ["x.test"], 1)
        await store.lease(1_000_002, 1_000_009, ["x.test"], 1)
        for raw in (LARGE, b"small"):
            notice = replace(accepted("s@x.test", raw=raw), counted=0)
            await store.settle([Settlement(old, "bounced", "550 no", notice=notice)])
        assert files(tmp_path) == []
        assert [entry.recipient for entry in await store.queue(10)] == ["a@x.test"]

    play(tmp_path, scene)


def test_a_mailbox_takes_its_files_along(tmp_path: Path) -> None:
    async def scene(store: SqliteStore) -> None:
        await store.add_user(MailUser(SCOPE, "you@example.test", "hosted", "h", 1))
        one = replace(arrival("1", "you@example.test", raw=LARGE), kind="hosted")
        await store.deliver([one])
        with pytest.raises(NotFound):
            await store.deliver([one, replace(arrival("2", "no@example.test"), kind="hosted")])
        assert len(files(tmp_path)) == 1
        await store.delete_user("you@example.test")
        assert files(tmp_path) == []

    play(tmp_path, scene)
