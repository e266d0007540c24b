"""Bodies of messages and objects: small ones in their row, large ones in files beside the database.

A file is named by hash and generation, written with fsync and rename before
any row refers to it; so a sweep can never take what a new reference adopts.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mailstead.mail.errors import NotFound
from mailstead.mail.messages import digest
from mailstead.store import disk
from mailstead.store.transaction import Transaction

log = logging.getLogger("mailstead.store")

INLINE = 64 * 1024
"""Bytes up to which a body lies in its row."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body ready for its row."""

    hash: bytes
    size: int
    place: str
    """The file's name; empty when inline."""
    data: bytes | None


class BodyFiles:
    """The folder of large bodies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def prepare(self, raw: bytes, serial: int) -> Body:
        """Write a large body to its file; a small one needs none. Blocks on fsync.

        Unavailable where it can't be written; then nothing is left of it.
        """
        name = digest(raw)
        if len(raw) <= INLINE:
            return Body(name, len(raw), "", raw)
        place = f"{name.hex()}.{serial:x}"
        target = self._path(place)
        try:
            self._make(target.parent)
            disk.write_whole(target, raw)
        except OSError as error:
            raise disk.unavailable(error, "a body could not be written") from error
        return Body(name, len(raw), place, None)

    def read(self, place: str) -> bytes:
        """A body from its file. NotFound when it is gone or not what was written."""
        try:
            raw = self._path(place).read_bytes()
        except FileNotFoundError:
            raw = b""
        except OSError as error:
            raise disk.unavailable(error, "a body could not be read") from error
        if digest(raw).hex() != place.partition(".")[0]:
            raise NotFound(
                f"the file of a body is gone or damaged: {place}",
                resource="body",
                name=place,
            )
        return raw

    def unlink(self, place: str) -> None:
        """Delete a file that no row refers to any more; else the next start's sweep does."""
        try:
            self._path(place).unlink(missing_ok=True)
        except OSError as error:
            log.warning("the file %s could not be deleted: %s", place, error.strerror)

    def discard(self, bodies: Iterable[Body]) -> None:
        """Delete the files of bodies whose rows were refused."""
        for body in bodies:
            if body.place:
                self.unlink(body.place)

    def sweep(self, known: set[str]) -> int:
        """Delete files that no row knows: an upload whose commit never came. How many."""
        if not self._folder.is_dir():
            return 0
        strays = [
            path for path in self._folder.glob("*/*") if path.is_file() and path.name not in known
        ]
        for path in strays:
            path.unlink(missing_ok=True)
        return len(strays)

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        for one in (self._folder, folder):
            one.mkdir(mode=0o700, exist_ok=True)
            disk.sync_folder(one.parent)

    def _path(self, place: str) -> Path:
        return self._folder / place[:2] / place


async def keep(tx: Transaction, body: Body, files: BodyFiles) -> None:
    """Refer to a body once more."""
    [(place,)] = await tx.run(
        "INSERT INTO blob (hash, size, place, data, refs) VALUES (?1, ?2, ?3, ?4, 1) "
        "ON CONFLICT (hash) DO UPDATE SET refs = blob.refs + 1 RETURNING place",
        body.hash,
        body.size,
        body.place,
        body.data,
    )
    if body.place and place != body.place:
        tx.afterwards(lambda: files.unlink(body.place))


async def release(tx: Transaction, name: bytes, files: BodyFiles) -> None:
    """Refer to a body once less; the last reference takes it away."""
    rows = await tx.run(
        "UPDATE blob SET refs = refs - 1 WHERE hash = ?1 RETURNING refs, place", name
    )
    for refs, place in rows:
        if refs > 0:
            continue
        await tx.run("DELETE FROM blob WHERE hash = ?1", name)
        if place:
            tx.afterwards(lambda place=place: files.unlink(place))


async def load(tx: Transaction, name: bytes) -> tuple[bytes | None, str] | None:
    """The inline bytes, or the file's name."""
    rows = await tx.run("SELECT data, place FROM blob WHERE hash = ?1", name)
    return (rows[0][0], rows[0][1]) if rows else None


async def places(tx: Transaction) -> set[str]:
    """The names of all files that rows refer to."""
    rows = await tx.run("SELECT place FROM blob WHERE place <> ''")
    return {row[0] for row in rows}
