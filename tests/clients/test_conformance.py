"""Our answers beside those of NSD, Knot DNS and BIND that serve the same zone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest

from support.hosting import put, sign
from support.running import end, start_server, until
from support.secondary import KEY_NAME, KEY_SECRET, KINDS, free_port, program, secondary

DOMAIN = "alike.example"
RECORDS = [
    ("*.wild", "A", "192.0.2.1"),
    ("*.wild", "TXT", '"w"'),
    ("there.wild", "MX", "10 x."),
    ("a.b.c", "A", "192.0.2.2"),
    ("alias", "CNAME", f"a.b.c.{DOMAIN}."),
    ("alias2", "CNAME", f"alias.{DOMAIN}."),
    ("dangling", "CNAME", f"none.{DOMAIN}."),
    ("out", "CNAME", "www.example.net."),
    ("*.cw", "CNAME", f"a.b.c.{DOMAIN}."),
    ("*.out", "CNAME", "x.example.net."),
    ("child", "NS", f"ns.child.{DOMAIN}."),
    ("ns.child", "A", "192.0.2.53"),
    ("bare", "NS", "ns.example.net."),
    ("sec", "NS", f"ns.sec.{DOMAIN}."),
    ("sec", "DS", "12345 13 2 " + "AB" * 32),
    ("ns.sec", "A", "192.0.2.54"),
    ("*.below.child", "A", "192.0.2.9"),
    ("ent.x.y", "TXT", '"e"'),
    ("loop1", "CNAME", f"loop2.{DOMAIN}."),
    ("loop2", "CNAME", f"loop1.{DOMAIN}."),
    ("towild", "CNAME", f"q.wild.{DOMAIN}."),
    ("tochild", "CNAME", f"host.child.{DOMAIN}."),
    ("caa", "CAA", '0 issue "x"'),
    ("srv", "SRV", f"1 2 3 a.b.c.{DOMAIN}."),
]
NAMES = [
    "mx", "nothing", "wild", "x.wild", "x.y.wild", "*.wild", "there.wild", "z.there.wild",
    "a.b.c", "b.c", "c", "q.b.c", "alias", "alias2", "dangling", "out", "x.cw", "cw",
    "x.out", "child", "x.child", "ns.child", "q.ns.child", "x.below.child", "bare",
    "x.bare", "sec", "x.sec", "ns.sec", "y", "x.y", "ent.x.y", "q.x.y", "loop1", "towild",
    "tochild", "caa", "srv", "zzz", "0", "_dmarc", "x._dmarc",
]  # fmt: skip
TYPES = ("A", "AAAA", "MX", "TXT", "NS", "SOA", "CNAME", "DS", "CAA", "SRV", "DNSKEY")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def ask(port: int, name: str, kind: str, *, dnssec: bool) -> dns.message.Message | None:
    query = dns.message.make_query(name, kind, want_dnssec=dnssec)
    query.flags &= ~dns.flags.RD
    try:
        return dns.query.tcp(query, "127.0.0.1", port=port, timeout=5)
    except (OSError, EOFError, dns.exception.DNSException):
        return None


def view(message: dns.message.Message | None) -> dict[str, Any]:
    """What counts of an answer. The additional section is each server's own choice."""
    assert message is not None

    def records(section: Any) -> frozenset[str]:
        return frozenset(line for rrset in section for line in rrset.to_text().lower().splitlines())

    return {
        "rcode": dns.rcode.to_text(message.rcode()),
        "authoritative": bool(message.flags & dns.flags.AA),
        "answer": records(message.answer),
        "authority": records(message.authority),
    }


@pytest.fixture(scope="module", params=["plain", "signed"])
def ports(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[bool, int, dict[str, int]]]:
    """Whether the zone is signed, our DNS port, and those of the others."""
    kinds = {name: kind for name, kind in KINDS.items() if program(kind) is not None}
    if len(kinds) < len(KINDS):
        pytest.skip("NSD, Knot and BIND are not all here: packages nsd, knot and bind9")
    theirs = {name: free_port() for name in kinds}
    server = start_server(
        "--ephemeral",
        environment={
            "MAILSTEAD__DNS__SECONDARIES": ",".join(f"127.0.0.1:{one}" for one in theirs.values()),
            "MAILSTEAD__DNS__TRANSFER_KEYS": f"{KEY_NAME}:{KEY_SECRET}",
        },
    )
    try:
        assert server.command("domain", "add", DOMAIN).returncode == 0
        route53 = server.boto3("route53")
        put(route53, DOMAIN, *RECORDS)
        signed = request.param == "signed"
        if signed:
            sign(route53, DOMAIN)
        with ExitStack() as stack:
            for name, kind in kinds.items():
                folder = Path(tmp_path_factory.mktemp(name))
                stack.enter_context(
                    secondary(kind, folder, DOMAIN, theirs[name], server.ports["dns"])
                )
            for port in theirs.values():
                until(lambda port=port: _serves(port), 30)
            yield signed, server.ports["dns"], theirs
    finally:
        end(server)


def _serves(port: int) -> bool:
    found = ask(port, DOMAIN, "SOA", dnssec=False)
    return found is not None and bool(found.answer)


def test_nobody_else_answers_all_alike_and_not_as_we_do(
    ports: tuple[bool, int, dict[str, int]],
) -> None:
    signed, ours, theirs = ports
    names = [DOMAIN, *(f"{name}.{DOMAIN}" for name in NAMES)]
    different: list[Any] = []
    for name, kind, dnssec in itertools.product(names, TYPES, (False, True)[: 1 + signed]):
        own = view(ask(ours, name, kind, dnssec=dnssec))
        others = [view(ask(port, name, kind, dnssec=dnssec)) for port in theirs.values()]
        different += [
            (name, kind, dnssec, part, own[part], [one[part] for one in others])
            for part in own
            if all(one[part] != own[part] for one in others)
        ]
    assert not different
