"""The data folder: one server, its key, and why it can't be used."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mailstead.store import disk, folder
from mailstead.store.folder import DataFolder, FolderError


def token(size: int) -> bytes:
    return b"t" * size


def test_a_folder_is_made_and_serves_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "data"
    first = DataFolder.open(path)
    assert first.new
    assert path.stat().st_mode & 0o777 == 0o700
    with pytest.raises(FolderError, match="another mailstead serves"):
        DataFolder.open(path)
    (path / "server.json").write_text(json.dumps({"pid": 77}))
    with pytest.raises(FolderError, match=r"\(process 77\): stop it, or start this one with"):
        DataFolder.open(path)
    first.close()
    DataFolder.open(path).close()


def test_a_killed_server_lets_its_folder_go(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from mailstead.store.folder import DataFolder; "
        "DataFolder.open(Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(FolderError):
            DataFolder.open(tmp_path)
        holder.kill()
    DataFolder.open(tmp_path).close()


def test_the_key_is_made_once_and_missed(tmp_path: Path) -> None:
    data = DataFolder.open(tmp_path)
    assert data.secret_key(token) == b"t" * 32
    path = tmp_path / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert data.secret_key(os.urandom) == b"t" * 32
    path.write_bytes(b"short")
    with pytest.raises(FolderError, match="damaged"):
        data.secret_key(token)
    path.unlink()
    (tmp_path / "mailstead.db").touch()
    data.close()
    with pytest.raises(FolderError, match="bring back your copy"):
        (again := DataFolder.open(tmp_path)).secret_key(token)
    again.close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(FolderError, match=r"can't be written .*: make it writable, or name"):
        DataFolder.open(tmp_path / "file" / "data")


@pytest.mark.parametrize("content", ["", "[]", "{}", "{", '{"pid": 3}'])
def test_who_holds_it_is_said_where_it_can_be_read(tmp_path: Path, content: str) -> None:
    assert folder.holder(tmp_path) == ""
    (tmp_path / "server.json").write_text(content)
    assert folder.holder(tmp_path) == (" (process 3)" if "3" in content else "")


def test_network_file_systems_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "filesystem", lambda _: "nfs4")
    with pytest.raises(FolderError, match=r"network file system \(nfs4\)"):
        DataFolder.open(tmp_path)
    monkeypatch.undo()
    DataFolder.open(tmp_path).close()
