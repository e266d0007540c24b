"""The end: SIGTERM while clients are busy, idle, silent or in a handshake."""

import http.client
import json
import signal
import socket
import threading
import time
import urllib.request
from pathlib import Path

import pytest

from support.running import ROOT_KEY, Start, until

WORDS = ("--root-key", ":".join(ROOT_KEY))


@pytest.mark.slow
def test_sigterm_ends_with_0_within_seconds_whatever_clients_do(
    start: Start, tmp_path: Path
) -> None:
    server = start("--data", str(tmp_path / "data"), *WORDS)
    ports = server.ports
    opened = {
        name: [socket.create_connection(("127.0.0.1", port), 10) for _ in range(3)]
        for name, port in ports.items()
        if isinstance(port, int)
    }
    # A handshake that never goes on, a request that dribbles, half a message.
    opened["api"][0].sendall(b"\x16\x03\x01")
    opened["api"][1].sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab")
    opened["console"][0].sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    opened["submissions"][0].sendall(b"\x16\x03\x01")
    dialogue = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nhalf"
    opened["mx"][0].sendall(dialogue)
    polled: list[object] = []

    def poll() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", ports["api"], timeout=60)
        try:
            connection.request("GET", "/_mailstead/messages?wait=50&count=99")
            polled.append(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            polled.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=poll)
    thread.start()
    until(lambda: opened["console"][0].recv(1))
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 6
    thread.join(10)
    assert len(polled) == 1
    assert opened["mx"][1].recv(4096).startswith(b"220 ")
    assert not [line for line in server.log if "Traceback" in line], server.log
    for connections in opened.values():
        for one in connections:
            one.close()
    assert not (tmp_path / "data" / "server.json").exists()


def test_an_idle_server_ends_at_once(start: Start) -> None:
    server = start("--ephemeral", *WORDS)
    begun = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begun < 2


def test_the_time_until_ready_counts_from_the_process_start(start: Start) -> None:
    from mailstead.app.announce import process_seconds

    begun = time.monotonic()
    first = process_seconds()
    assert first > 0.05
    assert process_seconds() - first <= time.monotonic() - begun + 0.02


def test_the_facts_are_written_before_ready(start: Start, tmp_path: Path) -> None:
    """Who has read the line finds the file, whole, and every port open."""
    server = start("--data", str(tmp_path / "data"), *WORDS)
    facts = json.loads((tmp_path / "data" / "server.json").read_text())
    assert facts["pid"] == server.process.pid
    for port in facts["ports"].values():
        for number in port if isinstance(port, list) else [port]:
            socket.create_connection(("127.0.0.1", number), 5).close()


@pytest.mark.skipif(
    signal.getsignal(signal.SIGHUP) == signal.SIG_IGN, reason="started where a hang-up is ignored"
)
def test_a_hang_up_is_an_end(start: Start) -> None:
    server = start("--ephemeral", *WORDS)
    server.process.send_signal(signal.SIGHUP)
    assert server.process.wait(10) == 0


def test_a_server_on_another_address_delivers_and_answers(start: Start, tmp_path: Path) -> None:
    """Our own MTA and the commands come over loopback; clients by the address as Host."""
    secret = tmp_path / "key"
    secret.write_text(":".join(ROOT_KEY))
    server = start(
        "--ephemeral", "--production", "--bind", "127.0.0.2", "--root-key", f"@{secret}",
        environment={"MAILSTEAD__API__TOKEN": "t" * 32, "MAILSTEAD__CONSOLE__PASSWORD": "p" * 16},
    )  # fmt: skip
    ses = server.boto3("ses", endpoint_url=f"http://127.0.0.2:{server.ports['api']}")
    assert server.command("identity", "verify", "a@here.example").returncode == 0
    ses.send_email(
        Source="a@here.example",
        Destination={"ToAddresses": ["b@there.example"]},
        Message={"Subject": {"Data": "hello"}, "Body": {"Text": {"Data": "x"}}},
    )
    assert server.wait_for("to=b@there.example")
    url = f"http://127.0.0.2:{server.ports['api']}/_mailstead/health"
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert json.loads(answer.read())["status"] == "ok"


def test_a_damaged_root_key_says_what_to_do(start: Start, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    assert start("--data", str(folder)).stop() == 0
    (folder / "root-key.json").write_text("{")
    with pytest.raises(AssertionError, match=r"root-key\.json is damaged: put its copy back"):
        start("--data", str(folder))
