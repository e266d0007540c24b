"""SPF, DKIM and DMARC looked at together, and the field that says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailstead.mail.authentication import Authentication, Client, Verdicts
from mailstead.wire.dkim import Unsigned, sign
from mailstead.wire.dkim_key import load_private_key, public_record
from mailstead.wire.lookup import Record
from mailstead.wire.message import parse_headers
from support.world import World, rsa_key

CLIENT = Client("192.0.2.9", 25, "mail.sender.example", "s@sender.example")
MESSAGE = b"From: A <a@sender.example>\r\nSubject: x\r\nDate: now\r\n\r\nhello\r\n"
KEY = load_private_key(rsa_key(1024, 0))


@pytest.fixture
def checked(world: World) -> Authentication:
    """DNS with a policy, a key, and SPF for 192.0.2.0/24."""
    records: dict[tuple[str, str], bytes] = {
        ("sender.example", "TXT"): b"v=spf1 ip4:192.0.2.0/24 -all",
        ("s1._domainkey.sender.example", "TXT"): public_record(KEY).encode(),
        ("s1._domainkey.other.example", "TXT"): public_record(KEY).encode(),
        ("_dmarc.sender.example", "TXT"): b"v=DMARC1; p=reject",
    }
    world.dns.records |= {key: (value,) for key, value in records.items()}
    return Authentication(world.dns, world.clock, "mx.test")


def signed(world: World, *domains: str) -> bytes:
    unsigned = Unsigned(MESSAGE)
    return (
        b"".join(
            sign(
                unsigned,
                domain=domain,
                selector="s1",
                key=KEY,
                signed_at=world.clock.now() // 1000,
            )
            for domain in domains
        )
        + MESSAGE
    )


def look(world: World, checked: Authentication, raw: bytes, client: Client = CLIENT) -> Verdicts:
    return world.run(checked.check(parse_headers(raw), client))


@pytest.mark.parametrize(
    ("domains", "address", "summary", "rejected", "proven"),
    [
        ((), "192.0.2.9", ("pass", "none", "pass"), False, True),
        ((), "198.51.100.1", ("fail", "none", "fail"), True, False),
        (("sender.example",), "198.51.100.1", ("fail", "pass", "pass"), False, True),
        (("other.example",), "198.51.100.1", ("fail", "pass", "fail"), True, False),
        (("gone.example", "other.example"), "198.51.100.1", ("fail", "pass", "fail"), True, False),
        (("gone.example",), "192.0.2.9", ("pass", "permerror", "pass"), False, True),
        (("gone.example", "sender.example"), "192.0.2.9", ("pass", "pass", "pass"), False, True),
    ],
)
def test_what_is_found_out(
    world: World,
    checked: Authentication,
    domains: tuple[str, ...],
    address: str,
    summary: tuple[str, str, str],
    rejected: bool,
    proven: bool,
) -> None:
    raw = signed(world, *domains)
    verdicts = look(world, checked, raw, replace(CLIENT, address=address))
    assert tuple(verdicts.summary.values()) == summary
    assert verdicts.rejected is rejected
    assert verdicts.sender_proven is proven
    field = verdicts.field("mx.test", CLIENT).decode()
    assert field.startswith("Authentication-Results: mx.test;")
    assert f"spf={summary[0]}" in field
    assert f"dmarc={summary[2]}" in field
    assert field.endswith("\r\n")
    assert field.count("dkim=") == max(1, len(domains))


@pytest.mark.parametrize(
    "raw",
    [
        b"Subject: x\r\n\r\n",
        b"From: a@sender.example\r\nFrom: b@other.example\r\n\r\n",
        b"From: nobody\r\n\r\n",
    ],
)
def test_without_one_author_there_is_no_policy(
    world: World, checked: Authentication, raw: bytes
) -> None:
    verdicts = look(world, checked, raw)
    assert verdicts.dmarc is None
    assert verdicts.problem
    assert verdicts.summary == {"spf": "pass", "dkim": "none", "dmarc": "permerror"}
    assert not verdicts.rejected
    assert verdicts.sender_proven
    assert b"dmarc=" not in verdicts.field("mx.test", CLIENT)


def test_the_null_sender_is_its_greeting(world: World, checked: Authentication) -> None:
    world.dns.records["mail.sender.example", "TXT"] = (b"v=spf1 ip4:192.0.2.9 -all",)
    verdicts = look(world, checked, MESSAGE, replace(CLIENT, reverse_path=""))
    assert verdicts.summary["spf"] == "pass"
    assert b"smtp.helo=mail.sender.example" in verdicts.field(
        "mx.test", replace(CLIENT, reverse_path="")
    )


def test_a_broken_dns_is_temporary(world: World, checked: Authentication) -> None:
    world.dns.broken = True
    verdicts = look(world, checked, signed(world, "sender.example"))
    assert set(verdicts.summary.values()) == {"temperror"}
    assert not verdicts.rejected
    assert not verdicts.sender_proven


def test_records_are_bytes() -> None:
    record: Record = b"v=spf1"
    assert record
