"""Files that survive a power cut, and room on the disk."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from mailstead.mail.errors import Unavailable

RESERVE = 8 * 1024 * 1024
"""Octets kept back for settling and deleting when nothing else fits any more."""
FULL = (errno.ENOSPC, errno.EDQUOT)
_MOUNTS = Path("/proc/self/mountinfo")
_FULL_SYNC = getattr(fcntl, "F_FULLFSYNC", None)


def sync(handle: int) -> None:
    """Bring a file's bytes onto stable storage."""
    if _FULL_SYNC is not None:
        # macOS: fsync alone leaves them in the drive's cache.
        fcntl.fcntl(handle, _FULL_SYNC)
    else:
        os.fsync(handle)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder last: a file renamed or made there is found after a crash."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file that only we may read: whole and lasting, or not at all. OSError."""
    draft = path.with_name(f"{path.name}.draft")
    try:
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            sync(file.fileno())
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def unavailable(error: OSError, doing: str) -> Unavailable:
    """An OSError as the domain knows it: space is missing, or something else is wrong."""
    return Unavailable(f"{doing}: {error.strerror}", full=error.errno in FULL)


def filesystem(path: Path) -> str:
    """The kind of file system that a path lies on, such as ``ext4``; empty where unknown."""
    try:
        device = path.stat().st_dev
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for words in (line.split() for line in lines):
        if words[2] == wanted:
            return words[words.index("-") + 1]
    return ""


class Space:
    """Room in the data folder: what is left for new mail, and a reserve for the rest.

    New mail is refused before the disk is full, so that what was taken can still
    be settled and deleted. When somebody else fills the disk, the reserve is
    given up for that, and made again once there is room.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = folder / "reserve"
        total = os.statvfs(folder)
        # A small file system keeps a sixteenth.
        self._size = min(RESERVE, total.f_blocks * total.f_frsize // 16)
        self._spent = True
        self._keep()

    def check(self, size: int) -> None:
        """Whether a message of that size may come. Unavailable (``full``) when it may not."""
        free = self._free()
        if free is None:
            return
        if free < self._size + size + size // 2:
            raise Unavailable(
                f"the disk of {self._folder} has only {free // 1024} KiB left: make room there; "
                "everything that was accepted is kept",
                full=True,
            )
        if self._spent:
            self._keep()

    def give_up(self) -> None:
        """The disk is full: let settling and deleting have the reserve."""
        self._spent = True
        self._file.unlink(missing_ok=True)

    def _free(self) -> int | None:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize if found.f_blocks else None

    def _keep(self) -> None:
        free = self._free()
        if free is None or free < 3 * self._size:
            return
        try:
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                _allocate(handle, self._size)
            finally:
                os.close(handle)
        except OSError:
            self._file.unlink(missing_ok=True)
            return
        self._spent = False


def _allocate(handle: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)
    else:
        os.write(handle, bytes(size))
