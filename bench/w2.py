"""W2: SES v2 SendEmail over HTTP, durable, signature verified, the queue held.

    python bench/w2.py [SECONDS [ROUNDS]]

Needs wrk (Debian: wrk). One pre-signed request of 4,000 characters of text and
one recipient, 32 connections, keep-alive. The server has no delivery role, so
that the figure is the door alone. wrk repeats one request, so that caches
always hit; the second figure has 1,000 senders under one domain in turn.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from harness import ROOT_KEY, cpu_seconds, machine, median, server

PATH = "/v2/email/outbound-emails"


def signed(port: int, sender: str) -> tuple[dict[str, str], str]:
    """Headers and body of one request."""
    body = json.dumps(
        {
            "FromEmailAddress": sender,
            "Destination": {"ToAddresses": ["sink@elsewhere.example"]},
            "Content": {
                "Simple": {
                    "Subject": {"Data": "W2"},
                    "Body": {"Text": {"Data": "words and words " * 250}},
                }
            },
        }
    )
    headers = {"Content-Type": "application/json"}
    request = AWSRequest("POST", f"http://127.0.0.1:{port}{PATH}", data=body, headers=headers)
    SigV4Auth(Credentials(*ROOT_KEY), "ses", "us-east-1").add_auth(request)
    return dict(request.headers.items()), body


def script(folder: str, port: int, senders: int) -> Path:
    """A wrk script that sends the requests in turn."""
    requests = [signed(port, f"u{number}@example.test") for number in range(senders)]
    lines = ["local requests = {}"]
    for headers, body in requests:
        fields = ", ".join(f"[{json.dumps(k)}] = {json.dumps(v)}" for k, v in headers.items())
        call = f"wrk.format('POST', '{PATH}', {{{fields}}}, {json.dumps(body)})"
        lines.append(f"requests[#requests + 1] = function() return {call} end")
    lines += [
        "local n = 0",
        "local made = {}",
        "init = function() for i, f in ipairs(requests) do made[i] = f() end end",
        "request = function() n = n % #made + 1; return made[n] end",
        "local bad = 0",
        "done = function(s) print('errors', s.errors.status + s.errors.read) end",
    ]
    path = Path(folder) / f"w2-{senders}.lua"
    path.write_text("\n".join(lines))
    return path


def run(port: int, pid: int, seconds: int, lua: Path) -> tuple[float, float]:
    """Requests a second, and CPU milliseconds a request."""
    cpu = cpu_seconds(pid)
    done = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", "-s", str(lua), f"http://127.0.0.1:{port}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used = cpu_seconds(pid) - cpu
    found = re.search(r"(\d+) requests in", done)
    errors = re.search(r"errors\s+(\d+)", done)
    if found is None or errors is None or int(errors[1]):
        raise SystemExit(f"requests failed:\n{done}")
    count = int(found[1])
    return count / seconds, used / count * 1000


def production(facts: dict[str, Any]) -> None:
    """No quota, and a rate that nobody reaches."""
    words = ["account", "production", "--daily-quota", "-1", "--max-rate", "1000000"]
    command = [sys.executable, "-m", "mailstead", *words, "--data", facts["data"]]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    """Print the figures."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is missing: apt-get install wrk")
    print(machine())
    with TemporaryDirectory() as folder, server("--roles", "api") as (pid, facts):
        production(facts)
        port = facts["ports"]["api"]
        for senders in (1, 1000):
            lua = script(folder, port, senders)
            run(port, pid, 1, lua)
            figures = [run(port, pid, seconds, lua) for _ in range(rounds)]
            for rate, cost in figures:
                print(f"{senders} senders: {rate:.0f} requests/s, {cost:.3f} CPU ms/request")
            rates, costs = zip(*figures, strict=True)
            print(
                f"median with {senders} senders: {median(list(rates)):.0f} requests/s, "
                f"{median(list(costs)):.3f} CPU ms/request"
            )


if __name__ == "__main__":
    main()
