"""CDK: wall time of ``cdk deploy`` of two identities and their records, its own part and ours.

    python bench/cdk.py [ROUNDS]

Needs Node.js and npm, which fetches what the app's lock file names. The command
talks to a proxy on loopback that passes every byte on and notes when each request
went to the server and when its answer was there. Ours is the time in which the
command had a request with us or a stack was under way (by the stack's own events):
moments that are both count once. The rest is the command's own: Node.js, the
compiler of the app, synthesis, and its pauses between two looks at the stack.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3

from harness import ROOT_KEY, cpu_seconds, machine, median, server

APP = Path(__file__).parents[1] / "tests" / "clients" / "cdk"
ACCOUNT = "937168356724"
DOMAIN = "demosfelipetrindade.top"
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")


@dataclass
class Proxy:
    """Where the command thinks the server is."""

    upstream: int
    """The server's port."""
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    """What was asked, when it went to the server and when the answer was there, Unix seconds."""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Pass a request on, and its answer back."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        begun = time.time()
        connection = http.client.HTTPConnection("127.0.0.1", self.upstream, timeout=60)
        connection.putrequest(handler.command, handler.path, True, True)
        for name, value in handler.headers.items():
            if name.lower() not in {"connection", "expect"}:
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        self.spans.append((_asked(handler, body), begun, time.time()))
        connection.close()
        handler.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP:
                handler.send_header(name, value)
        length = answer.getheader("Content-Length") if handler.command == "HEAD" else None
        handler.send_header("Content-Length", length or str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)


def _asked(handler: BaseHTTPRequestHandler, body: bytes) -> str:
    found = _ACTION.search(body)
    target = handler.headers.get("X-Amz-Target", "").rpartition(".")[2]
    path = handler.path.partition("?")[0]
    return found[1].decode() if found else target or f"{handler.command} {path[:24]}"


@contextmanager
def proxied(upstream: int) -> Iterator[tuple[Proxy, int]]:
    """A proxy that listens, and its port."""
    proxy = Proxy(upstream)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            proxy.answer(self)

        do_POST = do_PUT = do_HEAD = do_DELETE = do_GET  # noqa: N815 - the class's own names

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        yield proxy, listener.server_port
    finally:
        listener.shutdown()
        listener.server_close()


def covered(spans: list[tuple[float, float]]) -> float:
    """Seconds in which at least one of the spans runs."""
    total, reached = 0.0, 0.0
    for begun, ended in sorted(spans):
        total += max(0.0, ended - max(begun, reached))
        reached = max(reached, ended)
    return total


@dataclass
class Bench:
    """The app installed, a server, the proxy between."""

    folder: Path
    proxy: Proxy
    port: int
    pid: int

    def client(self, service: str) -> Any:
        """A client of the server itself."""
        return boto3.client(
            service,
            endpoint_url=f"http://127.0.0.1:{self.proxy.upstream}",
            region_name="us-east-1",
            aws_access_key_id=ROOT_KEY[0],
            aws_secret_access_key=ROOT_KEY[1],
        )

    def cdk(self, *words: str) -> float:
        """Run the command; its wall time in seconds."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment = clean | {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": ROOT_KEY[0],
            "AWS_SECRET_ACCESS_KEY": ROOT_KEY[1],
            "AWS_REGION": "us-east-1",
            "CDK_DISABLE_CLI_TELEMETRY": "1",
            "CI": "1",
            "HOME": str(self.folder),
        }
        begun = time.perf_counter()
        done = subprocess.run(
            ["node_modules/.bin/cdk", "--no-notices", *words],
            check=False,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        return time.perf_counter() - begun

    def stack_span(self) -> tuple[float, float]:
        """When the stack's operation began and ended, by its own events."""
        cloudformation = self.client("cloudformation")
        pages = cloudformation.get_paginator("describe_stack_events").paginate(StackName="SesStack")
        own = [
            (event["Timestamp"].timestamp(), event["ResourceStatus"])
            for page in pages
            for event in page["StackEvents"]
            if event["ResourceType"] == "AWS::CloudFormation::Stack"
        ]
        begun = max(at for at, status in own if status == "CREATE_IN_PROGRESS")
        [ended] = [at for at, status in own if status == "CREATE_COMPLETE"]
        return begun, ended

    def deploy(self) -> tuple[float, float, float]:
        """Deploy and destroy: wall, ours and the server's CPU time, in seconds."""
        self.proxy.spans.clear()
        cpu = cpu_seconds(self.pid)
        wall = self.cdk("deploy", "--require-approval", "never")
        cpu = cpu_seconds(self.pid) - cpu
        stack = self.stack_span()
        spans = [(begun, ended) for _, begun, ended in self.proxy.spans]
        ours = covered([*spans, stack])
        calls = len(spans)
        slowest: Counter[str] = Counter()
        for asked, begun, ended in self.proxy.spans:
            slowest[asked] += round((ended - begun) * 1e6)
        shown = ", ".join(f"{name} {spent / 1000:.0f}" for name, spent in slowest.most_common(4))
        print(
            f"deploy {wall:.2f} s, of it the command's own {wall - ours:.2f} s, ours "
            f"{ours * 1000:.0f} ms: {calls} calls {covered(spans) * 1000:.0f} ms ({shown}), "
            f"the stack {(stack[1] - stack[0]) * 1000:.0f} ms; CPU {cpu * 1000:.0f} ms"
        )
        self.cdk("destroy", "--force")
        return wall, ours, cpu


def install(folder: Path) -> None:
    """The app, with what its lock file names."""
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--silent"], check=True, cwd=folder, timeout=600
    )


def main() -> None:
    """Print the figures."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    if shutil.which("npm") is None:
        raise SystemExit("npm is missing: apt-get install nodejs npm")
    print(machine())
    with (
        TemporaryDirectory(prefix="mailstead-bench-cdk-") as place,
        server("--account", ACCOUNT) as (pid, facts),
        proxied(facts["ports"]["api"]) as (proxy, port),
    ):
        folder = Path(place) / "app"
        install(folder)
        bench = Bench(folder, proxy, port, pid)
        bench.client("route53").create_hosted_zone(Name=DOMAIN, CallerReference="bench")
        # The first run asks for the zone too and fills Node.js's and the compiler's caches.
        bench.deploy()
        found = [bench.deploy() for _ in range(rounds)]
    wall, ours, cpu = (median(list(column)) for column in zip(*found, strict=True))
    print(
        f"median: deploy {wall:.2f} s, the command's own {wall - ours:.2f} s, "
        f"ours {ours * 1000:.0f} ms, CPU {cpu * 1000:.0f} ms"
    )


if __name__ == "__main__":
    main()
