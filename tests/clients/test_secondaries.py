"""NSD, Knot DNS and BIND as secondaries: they take a zone, and each change of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from support.hosting import put, sign
from support.running import Start, until
from support.secondary import KEY_NAME, KEY_SECRET, KINDS, free_port, program, secondary

DOMAIN = "copied.example"
ASKED = [
    (DOMAIN, "SOA"), (DOMAIN, "NS"), (DOMAIN, "MX"), (DOMAIN, "TXT"),
    (f"_dmarc.{DOMAIN}", "TXT"), (f"long.{DOMAIN}", "TXT"), (f"x.wild.{DOMAIN}", "A"),
    (f"alias.{DOMAIN}", "A"), (f"nothing.{DOMAIN}", "A"), (f"b.{DOMAIN}", "A"),
]  # fmt: skip

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def ask(port: int, name: str, kind: str, *, dnssec: bool = False) -> dns.message.Message | None:
    """A name server's answer over TCP; None where it gives none."""
    query = dns.message.make_query(name, kind, want_dnssec=dnssec)
    try:
        return dns.query.tcp(query, "127.0.0.1", port=port, timeout=5)
    except (OSError, EOFError, dns.exception.DNSException):
        return None


def shown(reply: dns.message.Message | None) -> Any:
    """What counts of an answer."""
    if reply is None:
        return None
    sections = [
        sorted(line for rrset in section for line in rrset.to_text().splitlines())
        for section in (reply.answer, reply.authority if not reply.answer else [])
    ]
    return dns.rcode.to_text(reply.rcode()), sections


@pytest.mark.parametrize("name", KINDS)
def test_a_secondary_follows(start: Start, tmp_path: Path, name: str) -> None:
    kind = KINDS[name]
    if program(kind) is None:
        pytest.skip(f"no {kind.command}: the Debian package {kind.package} has it")
    port = free_port()
    server = start(
        "--ephemeral",
        environment={
            "MAILSTEAD__DNS__SECONDARIES": f"127.0.0.1:{port}",
            "MAILSTEAD__DNS__TRANSFER_KEYS": f"hmac-sha256:{KEY_NAME}:{KEY_SECRET}",
        },
    )
    ours = server.ports["dns"]
    assert server.command("domain", "add", DOMAIN).returncode == 0
    route53 = server.boto3("route53")
    put(
        route53,
        DOMAIN,
        ("long", "TXT", " ".join(f'"{letter * 250}"' for letter in "abcdefg")),
        ("*.wild", "A", "192.0.2.1"),
        ("alias", "CNAME", f"a.b.{DOMAIN}."),
        ("a.b", "A", "192.0.2.2"),
    )

    def alike() -> bool:
        return all(shown(ask(port, *one)) == shown(ask(ours, *one)) for one in ASKED)

    with secondary(kind, tmp_path, DOMAIN, port, ours):
        until(lambda: shown(ask(port, DOMAIN, "SOA")) == shown(ask(ours, DOMAIN, "SOA")), 30)
        assert alike()
        # A change comes by itself, and so does what takes a record away.
        put(route53, DOMAIN, ("new", "A", "192.0.2.3"))
        until(
            lambda: (
                shown(ask(port, f"new.{DOMAIN}", "A")) == shown(ask(ours, f"new.{DOMAIN}", "A"))
            ),
            30,
        )
        sign(route53, DOMAIN)
        until(lambda: (reply := ask(port, DOMAIN, "DNSKEY")) is not None and reply.answer, 30)
        for asked in ((DOMAIN, "MX"), (f"nothing.{DOMAIN}", "A"), (f"x.wild.{DOMAIN}", "A")):
            theirs, own = ask(port, *asked, dnssec=True), ask(ours, *asked, dnssec=True)
            assert theirs is not None
            assert own is not None
            assert shown(theirs)[1][0] == shown(own)[1][0]
            proofs = {one.to_text() for one in own.authority}
            assert proofs <= {one.to_text() for one in theirs.authority}


def test_tools_verify_a_transferred_zone(start: Start, tmp_path: Path) -> None:
    """dig takes the zone with a key and not without; ldns and BIND find it signed throughout."""
    if shutil.which("dig") is None:
        pytest.skip("no dig: the Debian package bind9-dnsutils has it")
    server = start(
        "--ephemeral",
        environment={"MAILSTEAD__DNS__TRANSFER_KEYS": f"{KEY_NAME}:{KEY_SECRET}"},
    )
    assert server.command("domain", "add", DOMAIN).returncode == 0
    route53 = server.boto3("route53")
    put(route53, DOMAIN, ("*.wild", "A", "192.0.2.1"), ("a.b", "A", "192.0.2.2"))
    sign(route53, DOMAIN)
    words = ["dig", "@127.0.0.1", "-p", str(server.ports["dns"]), DOMAIN, "AXFR"]
    refused = subprocess.run(words, capture_output=True, text=True, check=False, timeout=20)
    assert "Transfer failed" in refused.stdout
    key = ["-y", f"hmac-sha256:{KEY_NAME}:{KEY_SECRET}"]
    taken = subprocess.run(
        [*words, *key, "+onesoa", "+nocomments", "+nocmd", "+nostats"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip
    records = [
        line for line in taken.stdout.splitlines() if line and "TSIG" not in line.split()[:4]
    ]
    file = tmp_path / "zone"
    file.write_text("\n".join(records) + "\n")
    verified = 0
    for command in (["ldns-verify-zone", str(file)], ["dnssec-verify", "-o", DOMAIN, str(file)]):
        found = shutil.which(command[0])
        if found is None:
            continue
        run = subprocess.run(
            [found, *command[1:]], capture_output=True, text=True, check=False, timeout=30
        )
        assert run.returncode == 0, run.stdout + run.stderr
        verified += 1
    if not verified:
        pytest.skip(
            "neither ldns-verify-zone (ldnsutils) nor dnssec-verify (bind9-dnsutils) is here"
        )
