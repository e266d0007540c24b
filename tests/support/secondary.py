"""Real name servers as secondaries on loopback: NSD, Knot DNS and BIND."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

KEY_NAME = "transfer"
KEY_SECRET = "bWFpbHN0ZWFkIHRlc3RzIG9ubHksIDMyIG9jdGV0cyE="


def free_port() -> int:
    """A port that is free for UDP and TCP now."""
    for _ in range(50):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as stream,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
        ):
            stream.bind(("127.0.0.1", 0))
            port = stream.getsockname()[1]
            try:
                datagrams.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port is free")


@dataclass(frozen=True)
class Kind:
    """A name server program."""

    command: str
    package: str
    words: Callable[[Path], list[str]]
    configuration: Callable[[Path, str, int, int], str]
    """(folder, zone, own port, primary's port)"""


def _nsd(folder: Path, zone: str, port: int, primary: int) -> str:
    return f"""
server:
    ip-address: 127.0.0.1@{port}
    username: ""
    zonesdir: "{folder}"
    zonelistfile: "{folder}/zone.list"
    pidfile: "{folder}/pid"
    database: ""
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
    logfile: "{folder}/log"
    hide-version: yes
remote-control:
    control-enable: no
key:
    name: "{KEY_NAME}"
    algorithm: hmac-sha256
    secret: "{KEY_SECRET}"
zone:
    name: "{zone}"
    zonefile: "{folder}/zone"
    allow-notify: 127.0.0.1 {KEY_NAME}
    request-xfr: 127.0.0.1@{primary} {KEY_NAME}
"""


def _knot(folder: Path, zone: str, port: int, primary: int) -> str:
    return f"""
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
database:
    storage: "{folder}"
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {KEY_SECRET}
remote:
  - id: primary
    address: 127.0.0.1@{primary}
    key: {KEY_NAME}
acl:
  - id: notify
    address: 127.0.0.1
    key: {KEY_NAME}
    action: notify
log:
  - target: "{folder}/log"
    any: info
zone:
  - domain: {zone}
    storage: "{folder}"
    file: zone
    master: primary
    acl: notify
"""


def _bind(folder: Path, zone: str, port: int, primary: int) -> str:
    return f"""
options {{
    directory "{folder}";
    pid-file "{folder}/pid";
    session-keyfile "{folder}/session";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    notify no;
    dnssec-validation no;
    allow-query {{ any; }};
}};
controls {{ }};
key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{KEY_SECRET}"; }};
zone "{zone}" {{
    type secondary;
    file "{folder}/zone";
    masterfile-format text;
    primaries {{ 127.0.0.1 port {primary} key "{KEY_NAME}"; }};
    allow-notify {{ key "{KEY_NAME}"; }};
}};
"""


KINDS = {
    "nsd": Kind("nsd", "nsd", lambda f: ["-d", "-c", f"{f}/conf"], _nsd),
    "knot": Kind("knotd", "knot", lambda f: ["-c", f"{f}/conf"], _knot),
    "bind": Kind("named", "bind9", lambda f: ["-f", "-c", f"{f}/conf"], _bind),
}


def program(kind: Kind) -> str | None:
    """Where it is installed."""
    return shutil.which(kind.command, path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")


@contextmanager
def secondary(kind: Kind, folder: Path, zone: str, port: int, primary: int) -> Iterator[None]:
    """A running secondary of a zone; its output is in ``folder/output``."""
    with running(kind, folder, kind.configuration(folder, zone, port, primary)):
        yield


@contextmanager
def running(kind: Kind, folder: Path, configuration: str) -> Iterator[None]:
    """A name server with a configuration; its output is in ``folder/output``."""
    found = program(kind)
    assert found is not None
    (folder / "conf").write_text(configuration)
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            [found, *kind.words(folder)], stdout=output, stderr=output, cwd=folder
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
