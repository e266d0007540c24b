"""Opening a database: settings, damage, versions."""

import asyncio
from pathlib import Path

import apsw
import pytest

from mailstead.mail.errors import Invalid, Unavailable
from mailstead.store import connection, migration
from mailstead.store.connection import (
    DamagedDatabase,
    close_untouched,
    connect,
    has_log,
    open_database,
)
from mailstead.store.migration import NewerSchema
from support.faults import FaultyDisk, io_error
from support.messages import accepted
from support.stores import sqlite_store


def filled(folder: Path) -> Path:
    """A database with some pages of mail, closed well."""

    async def scene() -> None:
        async with sqlite_store(folder) as store:
            for number in range(30):
                raw = b"x: y\r\n\r\n" + b"%d" % number * 2000
                await store.enqueue([accepted(f"u{number}@x.test", raw=raw)])

    asyncio.run(scene())
    return folder / "mailstead.db"


def left_open(path: Path) -> None:
    """Leave a log behind, as a killed server does."""
    one = connect(path)
    one.execute("INSERT OR REPLACE INTO setting VALUES ('left', 'open')")
    close_untouched(one)
    assert has_log(path)


def damage(path: Path, pages: range) -> None:
    """Overwrite the beginnings of some pages."""
    content = bytearray(path.read_bytes())
    for page in pages:
        content[page * 4096 : page * 4096 + 512] = b"\xa5" * 512
    path.write_bytes(bytes(content))


def test_the_settings_that_durability_asks_for(tmp_path: Path) -> None:
    one = connect(tmp_path / "db")
    found = {
        name: one.execute(f"PRAGMA {name}").fetchall()[0][0]
        for name in ("journal_mode", "synchronous", "wal_autocheckpoint", "mmap_size")
    }
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "wal_autocheckpoint": 0,
        "mmap_size": 0,
    }
    one.close()


def test_an_old_sqlite_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OLDEST_SQLITE", (9, 0, 0))
    with pytest.raises(Invalid, match=r"can corrupt a database: install apsw 9\.0\.0"):
        connect(tmp_path / "db")


def test_a_place_without_a_log_is_refused() -> None:
    with pytest.raises(Invalid, match="write-ahead log"):
        connect(Path(":memory:"))


def test_only_we_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "mailstead.db"
    one, _ = open_database(path)
    one.execute("INSERT INTO setting VALUES ('a', 'b')")
    for name in ("mailstead.db", "mailstead.db-wal", "mailstead.db-shm"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    one.close()
    assert not has_log(path)


@pytest.mark.parametrize("pages", [range(8), range(1, 8), range(20, 60), range(60, 300)])
def test_after_an_unclean_stop_damage_is_found_and_nothing_changed(
    tmp_path: Path, pages: range
) -> None:
    path = filled(tmp_path)
    left_open(path)
    damage(path, pages)
    before = {name: (tmp_path / name).read_bytes() for name in ("mailstead.db", "mailstead.db-wal")}
    for _ in range(2):
        with pytest.raises(DamagedDatabase, match=r"is damaged \(.*bring back a backup"):
            open_database(path)
    assert before == {name: (tmp_path / name).read_bytes() for name in before}


def test_after_a_clean_stop_nothing_is_read_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(tmp_path)
    monkeypatch.setattr(connection, "_check", lambda *_: pytest.fail("it was checked"))
    open_database(path)[0].close()


def test_an_unclean_stop_without_damage_goes_on(tmp_path: Path) -> None:
    path = filled(tmp_path)
    left_open(path)

    async def scene() -> None:
        async with sqlite_store(tmp_path) as store:
            assert await store.setting("left") == "open"
            assert len(await store.queue(100)) == 30

    asyncio.run(scene())


@pytest.mark.parametrize("content", [b"no database " * 1000, b"SQLite format 3\0" + b"\xff" * 9000])
def test_another_file_is_no_database(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "mailstead.db"
    path.write_bytes(content)
    with pytest.raises(DamagedDatabase):
        open_database(path)
    assert path.read_bytes() == content


def test_damage_that_stops_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stumbling(apsw.Connection):
        def execute(self, sql: str, *more: object) -> apsw.Cursor:
            if "quick_check" in sql:
                raise apsw.CorruptError("database disk image is malformed")
            return super().execute(sql, *more)

    path = filled(tmp_path)
    left_open(path)
    monkeypatch.setattr(apsw, "Connection", Stumbling)
    with pytest.raises(DamagedDatabase, match="malformed"):
        open_database(path)


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = filled(tmp_path)
    one = connect(path)
    one.execute("PRAGMA user_version = 999")
    one.close()
    before = path.read_bytes()
    with pytest.raises(NewerSchema, match=r"schema is number 999, this version knows up to \d+"):
        open_database(path)
    assert path.read_bytes() == before


def test_a_migration_happens_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = filled(tmp_path)
    known = migration.scripts()
    number = known[-1][0] + 1
    good = "CREATE TABLE extra (id INT64 NOT NULL, data BYTES) /*sqlite STRICT */;"
    for broken in ("CREATE TABLE setting (x TEXT);", "SELECT nothing FROM nowhere;", "nonsense"):
        monkeypatch.setattr(
            migration, "scripts", lambda broken=broken: [*known, (number, f"{good}\n{broken}")]
        )
        with pytest.raises(apsw.Error):
            open_database(path)
        one = apsw.Connection(str(path))
        assert one.execute("PRAGMA user_version").fetchall() == [(number - 1,)]
        assert one.execute("SELECT name FROM sqlite_schema WHERE name = 'extra'").fetchall() == []
        one.close()
    monkeypatch.setattr(migration, "scripts", lambda: [*known, (number, good)])
    one, schema = open_database(path)
    assert schema == number
    assert one.execute("SELECT count(*) FROM outbound").fetchall() == [(30,)]
    one.close()
    assert open_database(path)[1] == number


def test_the_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _ in migration.scripts()] == list(
        range(1, len(migration.scripts()) + 1)
    )


def test_a_disk_that_fails_while_opening_says_so(tmp_path: Path) -> None:
    disk = FaultyDisk()

    def fault(operation: str, _name: str) -> None:
        if operation == "write":
            raise io_error(apsw.SQLITE_IOERR_WRITE)

    async def scene() -> None:
        async with sqlite_store(tmp_path):
            pytest.fail("it was opened")

    try:
        disk.fault = fault
        with pytest.raises(Unavailable, match=r"mailstead\.db: .*injected"):
            asyncio.run(scene())
    finally:
        disk.unregister()


def test_a_folder_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "mailstead.db").mkdir()

    async def scene() -> None:
        async with sqlite_store(tmp_path):
            pass

    with pytest.raises((Unavailable, OSError)):
        asyncio.run(scene())
