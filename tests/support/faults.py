"""A disk that fails when it is told to, under SQLite."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apsw

Fault = Callable[[str, str], None]
"""Called with the operation (``write``, ``sync``) and the file's name; raises to fail it."""


class FaultyDisk(apsw.VFS):
    """The system's files, with a fault in front of every write and sync."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's name
        return _FaultyFile(self, name, flags)


class _FaultyFile(apsw.VFSFile):
    def __init__(self, disk: FaultyDisk, name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self._name = str(name.filename() if isinstance(name, apsw.URIFilename) else name)
        self._disk = disk

    def _check(self, operation: str) -> None:
        if self._disk.fault is not None:
            self._disk.fault(operation, self._name)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._check("write")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._check("sync")
        super().xSync(flags)


def io_error(extended: int) -> apsw.IOError:
    """An I/O error as SQLite sees it."""
    error = apsw.IOError("injected")
    error.extendedresult = extended
    return error
