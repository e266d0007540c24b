"""W1: SMTP in, queue, DKIM, SMTP out, in capture mode with the outside role as sink.

    python bench/w1.py [MESSAGES [ROUNDS]]

Needs Postfix's smtp-source (Debian: postfix). 4 KiB messages, 20 sessions, one
recipient each, connections reused, a listener that trusts 127.0.0.1; two
RSA-2048 signatures a message, as SES signs. The time runs until every message is
visible, so the sink's SPF, DKIM and DMARC checks and its mailbox are in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
import urllib.request

from harness import cpu_seconds, machine, median, server


def visible(facts: dict, after: int, count: int) -> list[dict]:
    """Messages that became visible after one, waited for."""
    url = (
        f"http://127.0.0.1:{facts['ports']['api']}/_mailstead/messages?after={after}"
        f"&count={count}&limit={count}&wait=60"
    )
    with urllib.request.urlopen(url, timeout=90) as answer:
        return json.load(answer)["messages"]


def send(facts: dict, count: int) -> None:
    """Hand over so many messages with smtp-source."""
    port = facts["ports"]["submission"][0]
    words = f"-d -s 20 -l 4096 -m {count} -f bench@example.test -t sink@elsewhere.example"
    subprocess.run(["smtp-source", *words.split(), f"127.0.0.1:{port}"], check=True)


def main() -> None:
    """Print the figures."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    if shutil.which("smtp-source") is None:
        raise SystemExit("smtp-source is missing: apt-get install postfix")
    print(machine())
    trusted = {"MAILSTEAD__SMTP__TRUSTED_NETWORKS": "127.0.0.0/8"}
    with server(**trusted) as (pid, facts):
        command = [sys.executable, "-m", "mailstead", "account", "production"]
        command += ["--daily-quota", "-1", "--max-rate", "100000", "--data", facts["data"]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        send(facts, 200)
        last = visible(facts, 0, 200)[0]["id"]
        rates: list[float] = []
        costs: list[float] = []
        for _ in range(rounds):
            cpu, begun = cpu_seconds(pid), time.perf_counter()
            send(facts, count)
            accepted = time.perf_counter() - begun
            seen = 0
            while seen < count:
                found = visible(facts, last, min(count - seen, 10_000))
                seen += len(found)
                last = max(message["id"] for message in found)
            took = time.perf_counter() - begun
            rates.append(count / took)
            costs.append((cpu_seconds(pid) - cpu) / count * 1000)
            print(
                f"{count} messages: accepted {count / accepted:.0f}/s, "
                f"all visible {rates[-1]:.0f}/s, {costs[-1]:.3f} CPU ms/message"
            )
    print(f"median: {median(rates):.0f} messages/s, {median(costs):.3f} CPU ms/message")


if __name__ == "__main__":
    main()
