"""What a start says: the first screen, the ``ready`` line, ``server.json``, the log."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import time
from pathlib import Path
from shlex import quote
from typing import Any

_HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


SECRETS = ("token", "secret_access_key", "smtp_password")
"""Facts that stand in ``server.json`` and are not said."""


class _Lines(logging.Formatter):
    """One line an event, with what came from outside escaped."""

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        line = f"{self.formatTime(record)} {record.levelname.lower():7} {record.name} "
        line += _escaped(text)
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line += "".join(f"\n{_escaped(one)}" for one in trace.split("\n"))
        return line


class _JsonLines(_Lines):
    def format(self, record: logging.LogRecord) -> str:
        fields = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def _escaped(text: str) -> str:
    return _HOSTILE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def process_seconds() -> float:
    """How long this process has been there, its interpreter's start included."""
    try:
        # proc(5): the 22nd field, in clock ticks since the machine started.
        after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        begun = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - begun
    except (OSError, AttributeError):
        return time.process_time()


def log_to_stderr(*, as_json: bool) -> None:
    """Send the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines() if as_json else _Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # A line for every request, or for everything that is no HTTP, would drown what matters.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    logging.getLogger("asyncio").setLevel(logging.WARNING)


class Announcer:
    """Says what was started: for people on standard output, else JSON on standard error."""

    def __init__(self, *, as_json: bool, usual_folder: bool) -> None:
        """``usual_folder``: commands find the server without ``--data``."""
        self._as_json = as_json
        self._usual_folder = usual_folder

    def screen(self, facts: dict[str, Any]) -> None:
        """What people need to know before they begin."""
        if self._as_json:
            shown = {name: value for name, value in facts.items() if name not in SECRETS}
            sys.stderr.write(json.dumps({"event": "starting", **shown}) + "\n")
            sys.stderr.flush()
            return
        ports = facts["ports"]
        submission = " and ".join(str(port) for port in ports.get("submission", ()))
        fresh = " (new)" if facts["new"] else ""
        lines = [
            f"mailstead {facts['version']}   data {facts['data']}{fresh}   "
            "delivery capture: nothing leaves this machine"
        ]
        if "api" in ports:
            lines.append(
                f"  AWS API   http://127.0.0.1:{ports['api']}   "
                f"account {facts['account']}, {facts['region']}, {facts['access']}"
            )
        if "console" in ports:
            lines.append(f"  Pages     {facts['console_url']}")
        smtp = [f"{ports['mx']} in"] if "mx" in ports else []
        if submission:
            smtp.append(f"{submission} STARTTLS, {ports['submissions']} TLS")
        if smtp:
            lines.append(f"  SMTP      {', '.join(smtp)}   user {facts['access_key_id']}")
        if "dns" in ports:
            lines.append(f"  DNS       {ports['dns']}")
        where = "" if self._usual_folder else f" --data {quote(facts['data'])}"
        lines += [
            f"  CA        {facts['ca']}",
            f'  Use it    eval "$(mailstead env{where})"',
        ]
        print("\n".join(lines), flush=True)  # noqa: T201 - the command's own result

    def ready(self, seconds: float) -> None:
        """The one line that scripts wait for: every listener accepts."""
        print(f"ready in {seconds:.1f} s", flush=True)  # noqa: T201 - the contract's line

    def demo(self, address: str, password: str) -> None:
        """The demo's mailbox, whose password is shown once."""
        if self._as_json:
            event = {"event": "demo", "mailbox": address, "password": password}
            sys.stderr.write(json.dumps(event) + "\n")
        else:
            print(f"  Mailbox   {address}   password {password}", flush=True)  # noqa: T201 - shown once

    def welcome(self, message_id: str, milliseconds: int) -> None:
        """What became of the first message."""
        if self._as_json:
            event = {"event": "welcome", "message_id": message_id, "milliseconds": milliseconds}
            sys.stderr.write(json.dumps(event) + "\n")
        else:
            print(  # noqa: T201 - the first screen's last line
                f"  Welcome   accepted, signed, delivered 250, in the inbox after {milliseconds} ms"
                f"   mailstead trace {message_id}",
                flush=True,
            )
