"""What the benchmarks share: a server of their own, its CPU time, the machine's figures."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

ROOT_KEY = ("AKIABENCHBENCHBENCH0", "bench-secret")
_COMMAND = (
    sys.executable,
    "-m",
    "mailstead",
    "serve",
    "--production",
    "--verified",
    "example.test",
)
TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def server(*words: str, **environment: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """A running server on free ports: its process id and facts."""
    ports = {f"MAILSTEAD__PORTS__{name}": "0" for name in ("API", "CONSOLE", "MX", "DNS")}
    ports |= {"MAILSTEAD__PORTS__SUBMISSION": "0", "MAILSTEAD__PORTS__SUBMISSIONS": "0"}
    with TemporaryDirectory(prefix="mailstead-bench-") as folder:
        key = Path(folder) / "key"
        key.write_text(":".join(ROOT_KEY))
        log = (Path(folder) / "log").open("w")
        process = subprocess.Popen(
            [*_COMMAND, "--data", f"{folder}/data", "--root-key", f"@{key}", *words],
            stdout=subprocess.PIPE,
            stderr=log,
            env=os.environ | ports | environment,
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith(b"ready"):
                    break
            else:
                raise SystemExit(f"the server did not start:\n{(Path(folder) / 'log').read_text()}")
            yield process.pid, json.loads((Path(folder) / "data" / "server.json").read_text())
        finally:
            process.terminate()
            process.wait(30)
            log.close()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process, threads that ended included, and its children."""
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    by_ticks = sum(int(words[place]) for place in (11, 12)) / TICKS
    children = sum(int(words[place]) for place in (13, 14)) / TICKS
    # Nanoseconds of the live threads are finer than ticks.
    live = sum(
        int((task / "schedstat").read_text().split()[0]) / 1e9
        for task in Path(f"/proc/{pid}/task").iterdir()
    )
    return max(by_ticks, live) + children


def rsa_microseconds() -> float:
    """CPU time of one RSA-2048 signature here, now."""
    key = rsa.generate_private_key(65537, 2048)
    begun = time.process_time()
    for _ in range(500):
        key.sign(b"x" * 200, padding.PKCS1v15(), SHA256())
    return (time.process_time() - begun) / 500 * 1e6


def fsyncs_a_second(folder: str = ".") -> float:
    """fdatasync calls a second on this disk, 4 KiB appended each time."""
    path = Path(folder) / ".fsync-probe"
    handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        begun = time.perf_counter()
        for _ in range(300):
            os.write(handle, b"x" * 4096)
            os.fdatasync(handle)
        return 300 / (time.perf_counter() - begun)
    finally:
        os.close(handle)
        path.unlink()


def machine() -> str:
    """One line that says where figures were measured."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} x {model}, Python {platform.python_version()}, load {load:.1f}, "
        f"RSA-2048 {rsa_microseconds():.0f} us, fdatasync {fsyncs_a_second():.0f}/s"
    )


def median(values: list[float]) -> float:
    """The middle one."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2]
