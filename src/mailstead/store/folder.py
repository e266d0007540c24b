"""The data folder: who holds it, its key, and where things lie in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from mailstead.store import disk

KEY_BYTES = 32
NETWORK = {
    *("afs", "beegfs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "gfs2", "lustre"),
    *("ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"),
}
"""File systems whose locks or shared memory SQLite can't rely on."""


class FolderError(Exception):
    """The folder can't be used; the text says why and what to do."""


class DataFolder:
    """An opened data folder: no second server opens it until this one closes."""

    def __init__(self, path: Path, lock: int, *, new: bool) -> None:
        self.path = path
        self.new = new
        """Whether this start made it."""
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> DataFolder:
        """Make the folder where it is missing, and lock it."""
        try:
            existed = path.exists()
            new = not (path / "mailstead.db").exists()
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not existed:
                disk.sync_folder(path.parent)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderError(
                f"the data folder {path} can't be written ({error.strerror}): "
                "make it writable, or name another with --data DIR"
            ) from None
        try:
            _refuse_network(path)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FolderError:
            os.close(lock)
            raise
        except OSError:
            os.close(lock)
            raise FolderError(
                f"another mailstead serves the data folder {path}{holder(path)}: "
                "stop it, or start this one with --data DIR (and --port-shift 100)"
            ) from None
        return cls(path, lock, new=new)

    def secret_key(self, token: Callable[[int], bytes]) -> bytes:
        """The key under which secrets lie in the database; made once, readable by us only."""
        path = self.path / "secret.key"
        if path.exists():
            key = path.read_bytes()
            if len(key) != KEY_BYTES:
                raise FolderError(
                    f"{path} is damaged: it should hold {KEY_BYTES} bytes; bring back your copy"
                )
            return key
        if not self.new:
            raise FolderError(
                f"{path} is missing, and the secrets in the database can't be read without it: "
                "bring back your copy, or start anew with another --data DIR"
            )
        key = token(KEY_BYTES)
        self.write_private("secret.key", key)
        return key

    def write_private(self, name: str, content: bytes) -> Path:
        """Write a file that only we may read, whole or not at all."""
        path = self.path / name
        disk.write_whole(path, content)
        return path

    def close(self) -> None:
        """Let another server have it."""
        os.close(self._lock)


def _refuse_network(path: Path) -> None:
    kind = disk.filesystem(path)
    if kind in NETWORK:
        raise FolderError(
            f"the data folder {path} lies on a network file system ({kind}), where a database "
            "can be corrupted: name one on a local disk with --data DIR"
        )


def holder(path: Path) -> str:
    """`` (process N)`` of the server that wrote ``server.json``, where that can be read."""
    import json

    try:
        return f" (process {json.loads((path / 'server.json').read_text())['pid']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""
