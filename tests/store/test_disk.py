"""Files that last, and room for them."""

import errno
import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from mailstead.mail.errors import Unavailable
from mailstead.store import disk
from mailstead.store.disk import RESERVE, Space


class Room(NamedTuple):
    """What ``statvfs`` says."""

    f_blocks: int
    f_bavail: int
    f_frsize: int = 1


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """A disk whose size and free octets the test sets."""
    sizes = {"total": 1 << 40, "free": 1 << 39}
    monkeypatch.setattr(os, "statvfs", lambda _: Room(sizes["total"], sizes["free"]))
    return sizes


def test_mail_is_refused_while_there_is_still_room_to_settle(
    tmp_path: Path, room: dict[str, int]
) -> None:
    space = Space(tmp_path)
    assert (tmp_path / "reserve").stat().st_size == RESERVE
    space.check(40 << 20)
    room["free"] = RESERVE + 1_000_000
    space.check(600_000)
    with pytest.raises(Unavailable, match="make room there") as refused:
        space.check(1_000_000)
    assert refused.value.full


def test_the_reserve_is_given_up_and_made_again(tmp_path: Path, room: dict[str, int]) -> None:
    space = Space(tmp_path)
    space.give_up()
    space.give_up()
    assert not (tmp_path / "reserve").exists()
    room["free"] = 2 * RESERVE
    space.check(1)
    assert not (tmp_path / "reserve").exists()
    room["free"] = 4 * RESERVE
    space.check(1)
    assert (tmp_path / "reserve").stat().st_size == RESERVE


def test_a_small_file_system_keeps_a_sixteenth(tmp_path: Path, room: dict[str, int]) -> None:
    room |= {"total": 3 << 20, "free": 2 << 20}
    Space(tmp_path).check(1000)
    assert (tmp_path / "reserve").stat().st_size == (3 << 20) // 16


def test_a_file_system_without_numbers_refuses_nothing(
    tmp_path: Path, room: dict[str, int]
) -> None:
    room |= {"total": 0, "free": 0}
    Space(tmp_path).check(1 << 40)
    assert not (tmp_path / "reserve").exists()


def test_a_reserve_that_does_not_fit_is_no_error(
    tmp_path: Path, room: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    Space(tmp_path).check(1)
    assert not (tmp_path / "reserve").exists()


def test_systems_without_fallocate_write_the_reserve(
    tmp_path: Path, room: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "posix_fallocate")
    Space(tmp_path)
    assert (tmp_path / "reserve").stat().st_size == RESERVE


def test_a_file_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    disk.write_whole(path, b"first")
    assert path.stat().st_mode & 0o777 == 0o600

    def fails(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(disk, "sync", fails)
    with pytest.raises(OSError, match="Input/output"):
        disk.write_whole(path, b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["file"]


def test_macos_syncs_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(disk, "_FULL_SYNC", 51)
    monkeypatch.setattr(disk.fcntl, "fcntl", lambda _handle, command: asked.append(command))
    disk.write_whole(tmp_path / "file", b"x")
    assert asked == [51]


@pytest.mark.parametrize(
    ("number", "full"), [(errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False)]
)
def test_what_an_error_means(number: int, full: bool) -> None:
    found = disk.unavailable(OSError(number, os.strerror(number)), "it failed")
    assert found.full is full
    assert str(found) == f"it failed: {os.strerror(number)}"


def test_the_file_system_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert disk.filesystem(tmp_path / "missing") == ""
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "20 1 0:99 / / rw - ext4 /dev/root rw\n"
        f"36 35 {os.major(device)}:{os.minor(device)} / /x rw,noatime shared:1 - nfs4 h:/e rw\n"
    )
    monkeypatch.setattr(disk, "_MOUNTS", mounts)
    assert disk.filesystem(tmp_path) == "nfs4"
    mounts.write_text("20 1 0:99 / / rw - ext4 /dev/root rw\n")
    assert disk.filesystem(tmp_path) == ""
