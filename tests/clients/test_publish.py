"""``domain publish`` into a zone whose primary is BIND."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.exception
import dns.message
import dns.query
import pytest

from support.running import Mailstead, until
from support.secondary import KEY_NAME, KEY_SECRET, KINDS, free_port, program, running

DOMAIN = "elsewhere.example"
ZONE = """
$TTL 300
@ IN SOA ns1 hostmaster 1 7200 900 1209600 60
@ IN NS ns1
@ IN TXT "site-verification=1"
ns1 IN A 127.0.0.1
"""
CONFIGURATION = """
options {{
    directory "{folder}";
    pid-file "{folder}/pid";
    session-keyfile "{folder}/session";
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    dnssec-validation no;
}};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "{domain}" {{
    type primary;
    file "{folder}/zone";
    allow-update {{ key "{key}"; }};
    check-names fail;
    check-mx fail;
}};
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@contextmanager
def bind(folder: Path, port: int) -> Iterator[None]:
    """BIND as the primary of the domain's zone."""
    if program(KINDS["bind"]) is None:
        pytest.skip("no named: the Debian package bind9 has it")
    (folder / "zone").write_text(ZONE)
    configuration = CONFIGURATION.format(
        folder=folder, port=port, key=KEY_NAME, secret=KEY_SECRET, domain=DOMAIN
    )
    with running(KINDS["bind"], folder, configuration):
        until(lambda: texts(port, DOMAIN), 20)
        yield


def texts(port: int, name: str, kind: str = "TXT") -> list[str]:
    """What BIND answers."""
    query = dns.message.make_query(name, kind)
    try:
        reply = dns.query.tcp(query, "127.0.0.1", port=port, timeout=5)
    except (OSError, EOFError, dns.exception.DNSException):
        return []
    return sorted(rdata.to_text() for rrset in reply.answer for rdata in rrset)


def publish(server: Mailstead, port: int, *words: str, key: str = "") -> Any:
    """Run the command; its exit status and JSON, or what it says."""
    line = ["domain", "publish", DOMAIN, "--server", f"127.0.0.1:{port}", *words, "--json"]
    given = {"input": key} if key else {}
    run = server.command(*line, *(("--key-file", "-") if key else ()), **given)
    if not run.stdout:
        return run.returncode, run.stderr
    assert KEY_SECRET not in run.stdout + run.stderr
    answer = json.loads(run.stdout)
    return run.returncode, {one["record"]: one for one in answer["records"]}


def test_a_domain_is_published(server: Mailstead, tmp_path: Path) -> None:
    port = free_port()
    key = f"hmac-sha256:{KEY_NAME}:{KEY_SECRET}"
    with bind(tmp_path, port):
        status, records = publish(server, port, key=key)
        assert status == 0, records
        assert {one["result"] for one in records.values()} == {"added"}
        assert texts(port, DOMAIN, "MX") == [f"10 mx.{DOMAIN}."]
        assert texts(port, DOMAIN) == [
            '"site-verification=1"',
            '"v=spf1 include:amazonses.com ~all"',
        ]
        assert texts(port, f"_dmarc.{DOMAIN}") == ['"v=DMARC1; p=none"']
        # A second time nothing is to be done; the key may be tsig-keygen's clause in a file.
        file = tmp_path / "key"
        file.write_text(f'key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{KEY_SECRET}"; }};\n')
        status, records = publish(server, port, "--key-file", str(file))
        assert status == 0
        assert {one["result"] for one in records.values()} == {"there"}


def test_what_bind_refuses_and_what_differs(server: Mailstead, tmp_path: Path) -> None:
    port = free_port()
    key = f"{KEY_NAME}:{KEY_SECRET}"
    with bind(tmp_path, port):
        status, records = publish(server, port)
        assert status == 1
        assert all("it refuses (REFUSED)" in one["reason"] for one in records.values())
        status, said = publish(server, port, key=f"{KEY_NAME}:bm90IHRoZSBzZWNyZXQ=")
        assert status == 1
        assert "its key of that name has another secret" in said
        status, said = publish(server, port, key=f"unknown:{KEY_SECRET}")
        assert "it knows no key of that name" in said
        assert publish(server, port, key=key)[0] == 0
        # Somebody changes records by hand, as nsupdate does.
        script = (
            f"server 127.0.0.1 {port}\nzone {DOMAIN}\nkey hmac-sha256:{KEY_NAME} {KEY_SECRET}\n"
            f"update delete _dmarc.{DOMAIN} TXT\n"
            f'update add _dmarc.{DOMAIN} 300 TXT "v=DMARC1; p=perhaps"\nsend\n'
        )
        subprocess.run(["nsupdate"], input=script, text=True, check=True, timeout=20)
        status, records = publish(server, port, key=key)
        assert (status, records[f"_dmarc.{DOMAIN} TXT"]["result"]) == (1, "differs")
        status, records = publish(server, port, "--replace", key=key)
        assert (status, records[f"_dmarc.{DOMAIN} TXT"]["result"]) == (0, "exchanged")
        assert texts(port, f"_dmarc.{DOMAIN}") == ['"v=DMARC1; p=none"']


def test_words_for_people(server: Mailstead, tmp_path: Path) -> None:
    port = free_port()
    with bind(tmp_path, port):
        (tmp_path / "key").write_text(f"{KEY_NAME}:{KEY_SECRET}\n")
        words = ["domain", "publish", DOMAIN, "--server", f"127.0.0.1:{port}"]
        run = server.command(*words)
        assert run.returncode == 1
        assert f"refused   {DOMAIN} MX" in run.stdout
        assert f"enter  {DOMAIN}. 300 IN MX 10 mx.{DOMAIN}." in run.stdout
        run = server.command(*words, "--key-file", str(tmp_path / "key"))
        assert run.returncode == 0
        assert f"added     mx.{DOMAIN} A" in run.stdout
        assert "lead to this machine only" in run.stderr
    run = server.command("domain", "publish", DOMAIN, "--server", "192.0.2.1")
    assert run.returncode == 1
    assert "in capture mode nothing leaves this machine" in run.stderr
