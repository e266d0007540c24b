"""W4: DNS answers over UDP, from one core.

    python bench/w4.py [SECONDS [ROUNDS]]

Needs dnsperf (Debian: dnsperf) and taskset (Debian: util-linux). A zone of 2,300
names made by Route 53 calls: addresses, mail exchangers, aliases, 300 DKIM keys.
Questions in turn for what is there and for what is not, from 8 clients with 60
outstanding in all; server and generator have a core each. The second figure is
of the same zone signed, asked with DO.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import boto3

from harness import ROOT_KEY, cpu_seconds, machine, median, server

DOMAIN = "w4.example"
HOSTS, KEYS = 1000, 300
BATCH = 60
DKIM = " ".join(f'"{"v=DKIM1; k=rsa; p=" + "A" * 200}"' for _ in range(2))
KMS = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"
QUERIES, LOST = re.compile(r"Queries completed:\s+(\d+)"), re.compile(r"Queries lost:\s+(\d+)")


def records() -> list[tuple[str, str, str]]:
    """The zone."""
    made = [(f"h{n}", "A", f"192.0.2.{n % 250}") for n in range(HOSTS)]
    made += [(f"m{n}", "MX", f"10 h{n}.{DOMAIN}.") for n in range(HOSTS // 2)]
    made += [(f"c{n}", "CNAME", f"h{n}.{DOMAIN}.") for n in range(HOSTS // 2)]
    return made + [(f"s{n}._domainkey", "TXT", DKIM) for n in range(KEYS)]


def questions() -> str:
    """dnsperf's input: each kind in turn, and one name in ten that does not exist."""
    lines: list[str] = []
    for n in range(HOSTS):
        lines += [
            f"h{n}.{DOMAIN} A",
            f"m{n // 2}.{DOMAIN} MX",
            f"s{n % KEYS}._domainkey.{DOMAIN} TXT",
        ]
        lines += [f"c{n // 2}.{DOMAIN} CNAME", f"h{n}.{DOMAIN} A"]
        if n % 2:
            lines.append(f"none{n}.{DOMAIN} A")
    return "\n".join(lines) + "\n"


def fill(route53: Any) -> str:
    """Make the zone; its id."""
    zone = route53.create_hosted_zone(Name=DOMAIN, CallerReference="w4")["HostedZone"]["Id"]
    made = records()
    for first in range(0, len(made), BATCH):
        changes = [
            {
                "Action": "CREATE",
                "ResourceRecordSet": {
                    "Name": f"{name}.{DOMAIN}",
                    "Type": kind,
                    "TTL": 300,
                    "ResourceRecords": [{"Value": value}],
                },
            }
            for name, kind, value in made[first : first + BATCH]
        ]
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": changes})
    return zone


def run(port: int, pid: int, seconds: int, asked: Path, *options: str) -> tuple[float, float]:
    """Answers a second, and CPU microseconds an answer."""
    cpu = cpu_seconds(pid)
    words = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(asked), "-c", "8", "-q", "60"]
    done = subprocess.run(
        [*pinned(-1), *words, "-l", str(seconds), *options],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    used = cpu_seconds(pid) - cpu
    completed, lost = QUERIES.search(done), LOST.search(done)
    if completed is None or lost is None or int(lost[1]):
        raise SystemExit(f"queries were lost:\n{done}")
    count = int(completed[1])
    return count / seconds, used / count * 1e6


def pinned(place: int) -> list[str]:
    """The command that keeps another one on a core."""
    return ["taskset", "-c", str(sorted(os.sched_getaffinity(0))[place])]


def main() -> None:
    """Print the figures."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    for tool in ("dnsperf", "taskset"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is missing: apt-get install dnsperf util-linux")
    print(machine())
    with TemporaryDirectory() as folder, server("--roles", "api,dns") as (pid, facts):
        subprocess.run(
            ["taskset", "-apc", pinned(0)[-1], str(pid)], check=True, stdout=subprocess.DEVNULL
        )
        asked = Path(folder) / "questions"
        asked.write_text(questions())
        route53 = boto3.client(
            "route53",
            endpoint_url=f"http://127.0.0.1:{facts['ports']['api']}",
            region_name="us-east-1",
            aws_access_key_id=ROOT_KEY[0],
            aws_secret_access_key=ROOT_KEY[1],
        )
        zone = fill(route53)
        ask = partial(run, facts["ports"]["dns"], pid, seconds, asked)
        measure("plain", rounds, ask)
        route53.create_key_signing_key(
            CallerReference="w4",
            HostedZoneId=zone,
            KeyManagementServiceArn=KMS,
            Name="main",
            Status="ACTIVE",
        )
        route53.enable_hosted_zone_dnssec(HostedZoneId=zone)
        measure("signed", rounds, partial(ask, "-D"))


def measure(name: str, rounds: int, ask: Callable[[], tuple[float, float]]) -> None:
    """Print the figures of some rounds after a first one, and their medians."""
    ask()
    figures = [ask() for _ in range(rounds)]
    for rate, cost in figures:
        print(f"{name}: {rate:.0f} answers/s, {cost:.2f} CPU us/answer")
    rates, costs = (median(list(one)) for one in zip(*figures, strict=True))
    print(f"median {name}: {rates:.0f} answers/s, {costs:.2f} CPU us/answer, none lost")


if __name__ == "__main__":
    main()
