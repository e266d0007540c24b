"""Opening the database: settings that durability asks for, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from mailstead.mail.errors import Invalid
from mailstead.store.migration import migrate

OLDEST_SQLITE = (3, 51, 3)
"""Earlier ones could corrupt a database between two connections (WAL reset)."""
PRAGMAS = (
    "synchronous = FULL",
    # Only macOS has them, where fsync alone is not enough.
    "fullfsync = ON",
    "checkpoint_fullfsync = ON",
    # Our own checkpoints: the automatic one swallows I/O errors.
    "wal_autocheckpoint = 0",
    "journal_size_limit = 67108864",
    # An I/O error on a mapped page is SIGBUS.
    "mmap_size = 0",
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "cache_size = -16384",
)


class DamagedDatabase(Exception):
    """The database can't be read as it should; the text says what to do."""


def connect(path: Path) -> apsw.Connection:
    """A connection with our settings. Invalid where SQLite is too old or has no WAL."""
    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if found < OLDEST_SQLITE:
        raise Invalid(
            f"SQLite {apsw.sqlite_lib_version()} can corrupt a database: "
            f"install apsw {'.'.join(map(str, OLDEST_SQLITE))} or newer",
            resource="store",
        )
    connection = apsw.Connection(str(path))
    try:
        _set(connection, path)
    except BaseException:
        # Left as it was found, its log included.
        close_untouched(connection)
        raise
    return connection


def _set(connection: apsw.Connection, path: Path) -> None:
    connection.set_busy_timeout(5000)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != [("wal",)]:
        raise Invalid(
            f"{path} can't have a write-ahead log: take a --data DIR on a local disk",
            resource="store",
        )
    for pragma in PRAGMAS:
        connection.execute(f"PRAGMA {pragma}").fetchall()


def open_database(path: Path) -> tuple[apsw.Connection, int]:
    """The writer's connection and the schema's number, checked and up to date.

    After an unclean stop the whole database is read once (0.3 s a GB).
    DamagedDatabase, `mailstead.store.migration.NewerSchema`, Invalid, apsw.Error.
    """
    unclean = has_log(path)
    # Made here, since SQLite would make it for everybody to read.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    try:
        connection = connect(path)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise _damaged(path, str(error)) from None
    try:
        if unclean:
            _check(connection, path)
        return connection, migrate(connection)
    except BaseException:
        close_untouched(connection)
        raise


def has_log(path: Path) -> bool:
    """Whether a write-ahead log lies beside the database: its last user did not end well."""
    log = path.with_name(f"{path.name}-wal")
    return log.exists() and log.stat().st_size > 0


def close_untouched(*connections: apsw.Connection) -> None:
    """Close without the checkpoint that closing else makes."""
    for connection in connections:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    for connection in connections:
        connection.close()


def _check(connection: apsw.Connection, path: Path) -> None:
    try:
        found = connection.execute("PRAGMA quick_check(1)").fetchall()
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise _damaged(path, str(error)) from None
    if found != [("ok",)]:
        raise _damaged(path, str(found[0][0]))


def _damaged(path: Path, words: str) -> DamagedDatabase:
    return DamagedDatabase(
        f"the database {path} is damaged ({words.splitlines()[-1]}), and nothing was changed: "
        "bring back a backup of the folder, or start anew with another --data DIR"
    )
