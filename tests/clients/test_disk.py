"""A disk that is full, and one that fails, under a real server."""

import shutil
import smtplib
import subprocess
import urllib.error
from contextlib import suppress
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support.running import ROOT_KEY, Mailstead, Start, until

SIZE = 100_000
WORDS = ("--root-key", ":".join(ROOT_KEY), "--production", "--verified", "example.test")


@pytest.fixture
def small(start: Start, tmp_path: Path) -> Mailstead:
    """A server whose data folder is a file system of 24 MiB."""
    if shutil.which("unshare") is None or subprocess.call(["unshare", "-rm", "true"]):
        pytest.skip("no mount namespaces here")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = f'mount -t tmpfs -o size=24m tmpfs "{folder}" && exec "$0" "$@"'
    if subprocess.call(["unshare", "-rm", "sh", "-c", mount, "true"]):
        pytest.skip("no tmpfs in a namespace here")
    return start(
        "--data", str(folder / "data"), *WORDS, under=["unshare", "-rm", "sh", "-c", mount]
    )


def catch(server: Mailstead, number: int, to: str = "full@c.example") -> tuple[int, bytes]:
    """Send by the catcher port; the reply to the dot."""
    with smtplib.SMTP("127.0.0.1", server.ports["mx"], timeout=20) as client:
        client.ehlo("x")
        client.mail("a@b.example")
        client.rcpt(to)
        body = f"Subject: n{number}\r\n\r\n".encode() + (b"%07d\r\n" % number) * (SIZE // 9)
        return client.data(body)


def until_refused(server: Mailstead) -> tuple[int, tuple[int, bytes]]:
    """How many were taken, and the refusal."""
    for number in range(2000):
        reply = catch(server, number)
        if reply[0] != 250:
            return number, reply
    raise AssertionError("it was never full")


def delete_all(server: Mailstead) -> int:
    """The status of a purge."""
    try:
        server.call("messages", "DELETE")
    except urllib.error.HTTPError as error:
        return error.code
    return 204


@pytest.mark.slow
def test_a_full_disk_refuses_mail_serves_reads_and_recovers(small: Mailstead) -> None:
    (small.folder / "filler").write_bytes(bytes(8 << 20))
    taken, reply = until_refused(small)
    assert taken > 20
    assert reply == (452, b"4.3.1 Not enough space here now, try again later")
    raw = b"From: a@example.test\r\nTo: b@c.example\r\n\r\n" + b"xyz\r\n" * SIZE
    for service, call in (
        ("ses", lambda ses: ses.send_raw_email(RawMessage={"Data": raw})),
        ("sesv2", lambda ses: ses.send_email(Content={"Raw": {"Data": raw}})),
    ):
        with pytest.raises(ClientError) as refused:
            call(small.boto3(service))
        response = refused.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 503, response
        assert response["Error"]["Code"].startswith("ServiceUnavailable")
    # What is there can be read.
    shown = small.call("messages?limit=1")["messages"]
    assert shown
    assert len(small.raw(shown[0])) > SIZE
    assert small.command("queue", "list").returncode == 0
    # What people delete goes, and with new room everything goes on.
    assert delete_all(small) == 204
    assert small.call("messages")["messages"] == []
    (small.folder / "filler").unlink()
    number = taken + 1
    until(lambda: catch(small, number)[0] == 250)
    small.wait_for(f"subject=n{number}")
    assert small.stop() == 0
    assert not [line for line in small.log if "Traceback" in line]


@pytest.mark.slow
def test_a_disk_that_others_fill_leaves_the_reserve_for_deleting(small: Mailstead) -> None:
    for number in range(20):
        assert catch(small, number)[0] == 250
    small.wait_for("limit=100", count=20)
    filler = small.folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(65536))
    with suppress(OSError), filler.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1))
    assert catch(small, 99)[0] == 452
    # Small things may still fit into the log; a purge of everything does, by the reserve.
    until(lambda: delete_all(small) == 204)
    until(lambda: not small.call("messages")["messages"])
    assert catch(small, 100)[0] == 452
    filler.unlink()
    until(lambda: catch(small, 101)[0] == 250)
    small.wait_for("subject=n101")
    until((small.folder / "reserve").exists)
    assert small.stop() == 0


@pytest.mark.slow
def test_a_failing_disk_ends_the_server_with_a_word(start: Start, tmp_path: Path) -> None:
    """Every sync of the database fails from some moment on: nothing is written any more."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("no strace here")
    folder = tmp_path / "data"
    server = start("--data", str(folder), *WORDS)
    assert catch(server, 1)[0] == 250
    server.wait_for("subject=n1")
    log = folder / "mailstead.db-wal"
    with subprocess.Popen(
        [
            *(strace, "-f", "-qq", "-p", str(server.process.pid), "-P", str(log)),
            *("-e", "trace=fdatasync,fsync", "-e", "inject=fdatasync,fsync:error=EIO"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as tracer:
        try:
            reply = until(lambda: _other_than_250(server), 30)
            assert reply is None or reply[0] == 451
            assert server.process.wait(20) == 1
        finally:
            tracer.terminate()
    said = "\n".join(server.log)
    assert "Traceback" not in said
    assert "disk I/O error" in said
    assert "look after its disk" in said
    assert not (folder / "server.json").exists()
    again = start("--data", str(folder), *WORDS)
    assert [one["subject"] for one in again.wait_for("subject=n1")] == ["n1"]
    assert again.stop() == 0


def _other_than_250(server: Mailstead) -> tuple[int, bytes] | str | None:
    try:
        reply = catch(server, 2)
    except (OSError, smtplib.SMTPException):
        return (451, b"gone")
    return reply if reply[0] != 250 else None


def test_a_damaged_database_is_refused_with_a_word(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    server = start("--data", str(folder), *WORDS)
    for number in range(5):
        assert catch(server, number)[0] == 250
    assert server.stop() == 0
    database = folder / "mailstead.db"
    content = bytearray(database.read_bytes())
    for page in range(10, 40):
        content[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    database.write_bytes(bytes(content))
    # What a server that was killed leaves.
    (folder / "mailstead.db-wal").write_bytes(b"left")
    with pytest.raises(AssertionError) as refused:
        start("--data", str(folder), *WORDS)
    said = str(refused.value)
    assert "is damaged" in said
    assert "bring back a backup" in said
    assert "Traceback" not in said
    assert database.read_bytes() == bytes(content)
