"""Killed at any moment, the server loses nothing that it acknowledged."""

import smtplib
import threading
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

import pytest

from support.running import Mailstead, Start, until

ROUNDS = 20


def keep_sending(server: Mailstead, stop: threading.Event, prefix: str, done: list[str]) -> None:
    """Submit until told to stop; ``done`` gets every subject that was answered by 250."""
    number = 0
    with (
        suppress(OSError, smtplib.SMTPException),
        smtplib.SMTP("127.0.0.1", server.ports["mx"], timeout=10) as client,
    ):
        while not stop.is_set():
            message = EmailMessage()
            message["From"], message["To"] = "a@b.example", f"u{number % 3}@c{number}.example"
            message["Subject"] = f"{prefix}-{number}"
            message.set_content("x")
            client.send_message(message)
            done.append(message["Subject"])
            number += 1


@pytest.mark.slow
def test_kill_9_loses_no_acknowledged_message(start: Start, tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    acknowledged: list[str] = []
    for round_ in range(ROUNDS):
        server = start("--data", folder, "--root-key", "AKIAX:y")
        stop = threading.Event()
        accounts: list[list[str]] = [[], []]
        threads = [
            threading.Thread(
                target=keep_sending, args=(server, stop, f"r{round_}t{n}", accounts[n])
            )
            for n in range(2)
        ]
        for thread in threads:
            thread.start()
        # Another moment of the work each round.
        until(lambda: sum(map(len, accounts)) > 3 + 2 * round_)  # noqa: B023 - ends within its round
        server.process.kill()
        server.process.wait(10)
        stop.set()
        for thread in threads:
            thread.join(20)
        acknowledged += [subject for account in accounts for subject in account]
    assert len(acknowledged) > 100
    last = start("--data", folder, "--root-key", "AKIAX:y")
    until(lambda: not _queued(last), 30)
    shown = last.call("messages?limit=10000")["messages"]
    delivered = {message["subject"] for message in shown}
    lost = [subject for subject in acknowledged if subject not in delivered]
    assert not lost


def _queued(server: Mailstead) -> bool:
    return "nothing waits" not in server.command("queue", "list").stderr
