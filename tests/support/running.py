"""A real server in a process of its own, for real clients."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FREE_PORTS = {
    f"MAILSTEAD__PORTS__{name}": "0" for name in ("API", "CONSOLE", "MX", "SUBMISSIONS", "DNS")
} | {"MAILSTEAD__PORTS__SUBMISSION": "0,0"}
ROOT_KEY = ("AKIATESTTESTTESTTEST", "test-secret")


def clean_environment() -> dict[str, str]:
    """The environment without what would lead a client or server astray."""
    unwanted = ("AWS_", "MAILSTEAD_", "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy")
    return {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}


@dataclass
class Mailstead:
    """A running server."""

    process: subprocess.Popen[bytes]
    facts: dict[str, Any]
    log: list[str] = field(default_factory=list)

    @property
    def ports(self) -> dict[str, Any]:
        return self.facts["ports"]

    @property
    def folder(self) -> Path:
        return Path(self.facts["data"])

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    def environment(self) -> dict[str, str]:
        """What ``mailstead env`` sets for clients."""
        return clean_environment() | {
            "AWS_ENDPOINT_URL": self.api,
            "AWS_ACCESS_KEY_ID": self.facts["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": self.facts["secret_access_key"],
            "AWS_REGION": self.facts["region"],
            "AWS_DEFAULT_REGION": self.facts["region"],
        }

    def boto3(self, service: str, **changes: Any) -> Any:
        """A boto3 client with the root key, unless other credentials are given."""
        import boto3
        from botocore.config import Config

        given = {
            "endpoint_url": self.api,
            "region_name": self.facts["region"],
            "aws_access_key_id": self.facts["access_key_id"],
            "aws_secret_access_key": self.facts["secret_access_key"],
            "config": Config(retries={"total_max_attempts": 1}),
        }
        return boto3.client(service, **(given | changes))

    def call(self, path: str, method: str = "GET", **headers: str) -> Any:
        """A call of the local API, its JSON decoded."""
        request = urllib.request.Request(
            f"{self.api}/_mailstead/{path}", method=method, headers=headers
        )
        with urllib.request.urlopen(request, timeout=70) as response:
            content = response.read()
        return json.loads(content) if content else None

    def wait_for(self, query: str, count: int = 1) -> list[dict[str, Any]]:
        """Messages that match, waited for."""
        found = self.call(f"messages?{query}&wait=20&count={count}")["messages"]
        assert len(found) >= count, f"{query}: {found}\n" + "\n".join(self.log[-20:])
        return found

    def raw(self, message: dict[str, Any]) -> bytes:
        """A message's bytes as they arrived."""
        url = f"{self.api}/_mailstead/messages/{message['id']}/raw"
        with urllib.request.urlopen(url, timeout=20) as response:
            return response.read()

    def command(self, *words: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``mailstead WORDS --data FOLDER``."""
        line = [sys.executable, "-m", "mailstead", *words, "--data", str(self.folder)]
        return subprocess.run(
            line,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=clean_environment(),
            **options,
        )

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


Start = Callable[..., Mailstead]


def start_server(
    *words: str, environment: dict[str, str] | None = None, under: Sequence[str] = ()
) -> Mailstead:
    """Start a server on free ports; returns when it is ready.

    ``under`` is a command that becomes the server, in a mount namespace of its own.
    """
    process = subprocess.Popen(
        [*under, sys.executable, "-m", "mailstead", "serve", "--json", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment() | FREE_PORTS | (environment or {}),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    log: list[str] = []
    thread = threading.Thread(target=_collect, args=(process.stderr, log), daemon=True)
    thread.start()
    line = process.stdout.readline()
    if not line.startswith(b"ready"):
        process.wait(20)
        thread.join(5)
        process.stdout.close()
        process.stderr.close()
        raise AssertionError("no ready line:\n" + "\n".join(log))
    started = until(lambda: _started(log))
    folder = Path(f"/proc/{process.pid}/root{started['data']}" if under else started["data"])
    facts = json.loads((folder / "server.json").read_text())
    facts["data"] = str(folder)
    return Mailstead(process, facts, log)


def _started(log: list[str]) -> dict[str, Any] | None:
    for entry in list(log):
        facts = json.loads(entry) if entry.startswith("{") else {}
        if facts.get("event") == "starting":
            return facts
    return None


def _collect(stream: Any, log: list[str]) -> None:
    log.extend(line.decode().rstrip() for line in stream)


def end(server: Mailstead) -> None:
    if server.process.poll() is None:
        server.stop()
    for stream in (server.process.stdout, server.process.stderr):
        if stream is not None:
            stream.close()


def place_launcher(folder: Path) -> None:
    """Make ``./mailstead`` the command there, as in a checkout."""
    launcher = folder / "mailstead"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m mailstead "$@"\n')
    launcher.chmod(0o755)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def until(condition: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What a condition gives, once it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come true in time")
