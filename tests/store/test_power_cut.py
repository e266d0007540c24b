"""A power cut at any moment: what was acknowledged is there afterwards.

Killing the process cannot tell a synced write from one that is only in the
system's cache; a disk that forgets can. With less than full synchronisation the
same cuts must lose something, else this test is blind.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from mailstead.mail.messages import Accepted
from mailstead.store import connection, writer
from mailstead.store.connection import DamagedDatabase
from support.messages import accepted
from support.powercut import Action, Recorder, after_a_cut
from support.stores import sqlite_store

MESSAGES = 60


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    made = Recorder()
    yield made
    made.unregister()


def work(folder: Path, recorder: Recorder) -> list[tuple[int, Accepted]]:
    """Enqueue one after another; each message with how much had happened when it was kept."""
    done: list[tuple[int, Accepted]] = []

    async def scene() -> None:
        async with sqlite_store(folder) as store:
            for number in range(MESSAGES):
                one = accepted(f"u{number}@x.test", raw=b"x: %d\r\n\r\n" % number + b"y" * 3000)
                await store.enqueue([one])
                done.append((len(recorder.actions), one))

    asyncio.run(scene())
    return done


def lost(
    folder: Path, actions: list[Action], done: list[tuple[int, Accepted]], coins: Random
) -> int:
    """How many acknowledged messages one cut loses."""
    cut = coins.randrange(done[0][0], done[-1][0] + 1)
    folder.mkdir()
    for name, content in after_a_cut(actions[:cut], coins).items():
        if not name.endswith("-shm"):
            (folder / name).write_bytes(content)
    acknowledged = [one for at, one in done if at <= cut]
    missing = 0

    async def scene() -> None:
        nonlocal missing
        async with sqlite_store(folder) as store:
            there = {entry.message_id for entry in await store.queue(10_000)}
            for one in acknowledged:
                missing += one.message.message_id not in there
                if one.message.message_id in there:
                    assert await store.body(one.message.body) == one.raw

    asyncio.run(scene())
    return missing


def cuts(tmp_path: Path, recorder: Recorder, count: int) -> int:
    done = work(tmp_path / "live", recorder)
    actions = list(recorder.actions)
    coins = Random(20261125)
    total = 0
    for number in range(count):
        total += lost(tmp_path / f"cut{number}", actions, done, coins)
    return total


@pytest.fixture(autouse=True)
def _live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder to work in, and checkpoints often enough to be cut."""
    (tmp_path / "live").mkdir()
    monkeypatch.setattr(writer, "CHECKPOINT_PAGES", 30)


@pytest.mark.slow
def test_a_power_cut_loses_nothing_acknowledged(tmp_path: Path, recorder: Recorder) -> None:
    assert cuts(tmp_path, recorder, 15) == 0


@pytest.mark.slow
def test_with_less_synchronisation_it_loses_something(
    tmp_path: Path, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PRAGMAS", ("synchronous = NORMAL", *connection.PRAGMAS[1:]))
    try:
        assert cuts(tmp_path, recorder, 10) > 0
    except DamagedDatabase:
        pytest.fail("NORMAL loses commits, and damages nothing")


@pytest.mark.long
@pytest.mark.slow
def test_150_power_cuts_lose_nothing_acknowledged(tmp_path: Path, recorder: Recorder) -> None:
    assert cuts(tmp_path, recorder, 150) == 0
