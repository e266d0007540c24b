"""A disk that forgets: SQLite's writes recorded, and files as a power cut would leave them.

Each file is kept as of its last sync. Of every later write each 512-byte sector
stays or goes by a coin, and so do truncations. What was deleted stays away, or a
dead journal would come back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import apsw

SECTOR = 512


class Action(NamedTuple):
    """One thing done to a file."""

    name: str
    kind: str
    """``write``, ``truncate``, ``sync`` or ``delete``."""
    at: int = 0
    data: bytes = b""


class Recorder(apsw.VFS):
    """The system's files, with a journal of what was done to them."""

    def __init__(self) -> None:
        self.actions: list[Action] = []
        super().__init__("recorder", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802 - SQLite's name
        return _RecordedFile(self.actions, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802 - SQLite's name
        super().xDelete(filename, syncdir)
        self.actions.append(Action(Path(filename).name, "delete", int(syncdir)))


class _RecordedFile(apsw.VFSFile):
    def __init__(self, actions: list[Action], name: Any, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        text = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(text).name if text else ""
        self._actions = actions

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        super().xWrite(data, offset)
        self._note("write", offset, bytes(data))

    def xTruncate(self, newsize: int) -> None:  # noqa: N802 - SQLite's name
        super().xTruncate(newsize)
        self._note("truncate", newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        super().xSync(flags)
        self._note("sync")

    def _note(self, kind: str, at: int = 0, data: bytes = b"") -> None:
        if self._name:
            self._actions.append(Action(self._name, kind, at, data))


@dataclass
class _Kept:
    """A file on the forgetful disk."""

    durable: bytearray = field(default_factory=bytearray)
    loose: list[Action] = field(default_factory=list[Action])


def after_a_cut(actions: list[Action], coins: Random) -> dict[str, bytes]:
    """The files that a power cut after these actions leaves."""
    files: dict[str, _Kept] = {}
    for action in actions:
        if action.kind == "delete":
            files.pop(action.name, None)
            continue
        kept = files.setdefault(action.name, _Kept())
        if action.kind == "sync":
            for one in kept.loose:
                _apply(kept.durable, one, None)
            kept.loose.clear()
        else:
            kept.loose.append(action)
    for kept in files.values():
        for one in kept.loose:
            _apply(kept.durable, one, coins)
    return {name: bytes(kept.durable) for name, kept in files.items()}


def _apply(content: bytearray, action: Action, coins: Random | None) -> None:
    if action.kind == "truncate":
        if coins is None or coins.random() < 0.5:
            del content[action.at :]
        return
    end = action.at + len(action.data)
    for start in range(action.at - action.at % SECTOR, end, SECTOR):
        if coins is not None and coins.random() < 0.5:
            continue
        first, last = max(start, action.at), min(start + SECTOR, end)
        if len(content) < last:
            content.extend(bytes(last - len(content)))
        content[first:last] = action.data[first - action.at : last - action.at]
