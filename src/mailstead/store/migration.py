"""Numbered SQL files, each applied in one transaction, in place."""

from __future__ import annotations

import re
from importlib import resources

import apsw

SQLITE_WORDS = (
    (re.compile(r"\bINT64\b"), "INTEGER"),
    (re.compile(r"\bBYTES\b"), "BLOB"),
    (re.compile(r"/\*sqlite (.*?)\*/"), r"\1"),
)


class NewerSchema(Exception):
    """The database was written by a later version."""

    def __init__(self, found: int, known: int) -> None:
        super().__init__(
            f"its schema is number {found}, this version knows up to {known}: "
            "install the mailstead that wrote it, or a newer one. Nothing was changed"
        )


def scripts() -> list[tuple[int, str]]:
    """(number, text) of every migration, in order."""
    folder = resources.files("mailstead.store") / "migrations"
    files = sorted(
        (file for file in folder.iterdir() if file.name.endswith(".sql")),
        key=lambda file: file.name,
    )
    return [(int(file.name.split("_")[0]), file.read_text("utf-8")) for file in files]


def for_sqlite(text: str) -> str:
    """The words of the shared dialect as SQLite writes them."""
    for pattern, replacement in SQLITE_WORDS:
        text = pattern.sub(replacement, text)
    return text


def migrate(connection: apsw.Connection) -> int:
    """Bring the schema up to date; its number. NewerSchema leaves everything as it is."""
    at = int(str(connection.execute("PRAGMA user_version").fetchall()[0][0]))
    steps = scripts()
    if at > steps[-1][0]:
        raise NewerSchema(at, steps[-1][0])
    for number, text in steps:
        if number <= at:
            continue
        with connection:
            connection.execute(for_sqlite(text)).fetchall()
            connection.execute(f"PRAGMA user_version = {number}")
    return steps[-1][0]
