"""Domains by command: what they make, list, find wrong, and take away."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail.domain_records import seen, wanted
from mailstead.mail.domains import Domains
from mailstead.mail.errors import Conflict, Invalid, NotFound
from mailstead.mail.model import Dkim, Identity, Proof, Scope, Secret, SigningKey
from mailstead.mail.model import VerificationStatus as Standing
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.service import ServiceNames
from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Status
from support.domains import HOME, opened

KEY = SigningKey(("t1", "t2", "t3"), Secret(b""), "p=" + "A" * 300, 2048, 0)
Scene = Callable[[Domains], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def whole() -> None:
            async with opened(tmp_path) as domains:
                await scene(domains)

        asyncio.run(whole())

    return run


async def keyed(domains: Domains, name: str) -> Identity:
    """An identity whose key costs no time to make."""
    identity = Identity(HOME, name, created_at=0, dkim=Dkim(enabled=True, key=KEY))
    return await domains.identities.create(identity)


def test_a_domain_is_made_with_all_its_records(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        added = await domains.add("Example.TEST")
        identity = await domains.identities.require(HOME, "example.test")
        key = identity.dkim.key
        assert key is not None
        assert (key.bits, identity.dkim.enabled, len(key.selectors)) == (2048, True, 3)
        assert added["name"] == added["identity"] == "example.test"
        assert [(one["name"], one["type"], one["value"]) for one in added["records"]] == [
            ("example.test", "MX", "10 mx.example.test."),
            ("mx.example.test", "A", "127.0.0.1"),
            ("mx.example.test", "AAAA", "::1"),
            ("example.test", "TXT", '"v=spf1 include:amazonses.com ~all"'),
            *(
                (f"{one}._domainkey.example.test", "CNAME", f"{one}.dkim.amazonses.com.")
                for one in key.selectors
            ),
            ("_dmarc.example.test", "TXT", '"v=DMARC1; p=none"'),
        ]
        zone = domains.zones.zone_of("example.test")
        assert zone is not None
        assert zone.name == added["zone"]
        assert domains.zones.count(zone.name) == 10
        checked = await domains.check("example.test")
        assert checked["ok"], checked
        assert checked["note"] == ""
        assert [one["record"] for one in checked["checks"]] == [
            f"{one['name']} {one['type']}" for one in added["records"]
        ]
        with pytest.raises(Conflict, match="hosted here already"):
            await domains.add("example.test")

    play(scene)


def test_an_identity_that_exists_is_adopted(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        identity = await keyed(domains, "example.test")
        await domains.add("example.test", demo=True)
        assert await domains.identities.get(HOME, "example.test") == identity
        assert domains.zones.listed(HOME)[0].demo

    play(scene)


def test_the_demo_is_marked(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        await domains.add("example.test", demo=True)
        assert (await domains.identities.require(HOME, "example.test")).demo
        assert domains.zones.listed(HOME)[0].demo

    play(scene)


def test_domains_are_listed(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        assert await domains.listed() == []
        identity = await keyed(domains, "a.test")
        await domains.add("a.test")
        proven = replace(identity, proof=Proof(Standing.SUCCESS))
        await domains.identities.change(identity, proven)
        await domains.mailboxes.add("you@a.test", "secret")
        await domains.zones.create(HOME, "b.test", "1")
        await domains.zones.create(Scope("111111111111", "us-east-1"), "c.test", "1")
        assert await domains.listed() == [
            {"name": "a.test", "records": 10, "mailboxes": 1, "verified": True},
            {"name": "b.test", "records": 2, "mailboxes": 0, "verified": False},
        ]

    play(scene)


def test_what_a_zone_lacks(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        zone = await domains.zones.create(HOME, "example.test", "1")
        found = await domains.check("example.test")
        assert not found["ok"]
        assert [check["seen"] for check in found["checks"]] == [
            "no such record",
            "no such name",
            "no such name",
            "no such record",
            "no such name",
            "none",
        ]
        assert found["checks"][0] == {
            "record": "example.test MX",
            "expected": "10 mx.example.test.",
            "seen": "no such record",
            "ok": False,
            "fix": "example.test. 300 IN MX 10 mx.example.test.",
            "text": "",
        }
        assert found["checks"][-1]["fix"] == (
            "aws sesv2 create-email-identity --email-identity example.test"
        )
        await domains.zones.change(
            zone,
            [
                RecordChange("CREATE", "example.test", "MX", 1, ("5 other.test", "1 x.test")),
                RecordChange("CREATE", "example.test", "TXT", 1, ('"v=spf1 -all"',)),
            ],
        )
        found = await domains.check("example.test")
        assert found["checks"][0]["seen"] == "5 other.test., 1 x.test."
        assert found["checks"][3]["seen"] == "v=spf1 -all"
        assert not found["ok"]

    play(scene)


def test_a_domain_that_is_not_hosted_here(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        await keyed(domains, "example.com")
        found = await domains.check("example.com")
        assert not found["ok"]
        assert found["note"].startswith("nothing was asked")
        assert "lead to this machine only" in found["note"]
        assert {check["seen"] for check in found["checks"]} == {"not asked"}
        assert len(found["checks"]) == 8
        outward = replace(domains, capture=False)
        found = await outward.check("example.com")
        assert [check["seen"] for check in found["checks"]] == ["no such name"] * 6
        assert found["note"] == ""

    play(scene)


def test_a_domain_is_taken_away(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        await keyed(domains, "example.test")
        await domains.add("example.test")
        assert await domains.delete("example.test") == {"deleted": "example.test"}
        assert domains.zones.zone_of("example.test") is None
        assert await domains.identities.get(HOME, "example.test") is not None
        with pytest.raises(NotFound, match="not hosted here"):
            await domains.delete("example.test")

    play(scene)


@pytest.mark.parametrize("name", ["", "a..b", "you@example.test", "no blank.test"])
def test_what_is_no_domain(play: Callable[[Scene], None], name: str) -> None:
    async def scene(domains: Domains) -> None:
        for command in (domains.add, domains.check, domains.delete):
            with pytest.raises(Invalid):
                await command(name)

    play(scene)


def test_records_without_names_of_the_service() -> None:
    records = wanted("example.org", Dkim(key=KEY), None, capture=False)
    assert [one.line for one in records] == [
        "example.org. 300 IN MX 10 mx.example.org.",
        'example.org. 300 IN TXT "v=spf1 mx ~all"',
        *(
            f'{one}._domainkey.example.org. 300 IN TXT "p={"A" * 253}" "{"A" * 47}"'
            for one in KEY.selectors
        ),
        '_dmarc.example.org. 300 IN TXT "v=DMARC1; p=none"',
    ]


def test_the_record_of_a_key_that_the_owner_brought() -> None:
    brought = Dkim(origin="EXTERNAL", key=replace(KEY, selectors=("s",)))
    records = wanted("example.org", brought, ServiceNames(), capture=False)
    [record] = [one for one in records if "_domainkey" in one.owner]
    assert record.type == "TXT"
    # The line cuts it into strings; forms of providers want it in one piece.
    assert record.text == KEY.public
    assert record.shown()["text"] == KEY.public
    assert "text" not in records[0].shown()


def good(record: int, *values: bytes) -> bool:
    records = wanted("example.test", Dkim(key=KEY), ServiceNames(), capture=False)
    return records[record].good(Answer(Status.OK, values))


@pytest.mark.parametrize(
    ("texts", "ok"),
    [
        ([b"v=spf1 include:amazonses.com -all"], True),
        ([b"other", b"v=spf1 mx +include:AMAZONSES.com ?all"], True),
        ([b"v=spf1 include:amazonses.com -all", b"v=spf1 -all"], False),
        ([b"v=spf1 -include:amazonses.com -all"], False),
        ([b"v=spf1 include:amazonses.com nonsense:// -all"], False),
        ([b"v=spf1 -all"], False),
        ([], False),
    ],
)
def test_spf(texts: list[bytes], ok: bool) -> None:
    assert good(1, *texts) == ok


@pytest.mark.parametrize(
    ("texts", "ok"),
    [
        ([b"v=DMARC1; p=reject"], True),
        ([b"v=DMARC1; p=none", b"v=DMARC1; p=none"], False),
        ([b"v=DMARC1; p=bogus"], False),
        ([b"text"], False),
    ],
)
def test_dmarc(texts: list[bytes], ok: bool) -> None:
    assert good(-1, *texts) == ok


def test_dkim() -> None:
    assert not good(2, b"v=DKIM1; p=other")
    records = wanted("example.test", Dkim(key=KEY), ServiceNames(), capture=False)
    assert records[2].question == Question("t1._domainkey.example.test", "TXT")
    assert not records[2].good(FAILED)


def test_what_was_seen() -> None:
    assert seen(Answer(Status.OK, (b"a\xff", "b", (1, "c")))) == "a\ufffd, b, 1 c."
    assert [seen(one) for one in (NODATA, NXDOMAIN, FAILED)] == [
        "no such record",
        "no such name",
        "no answer",
    ]


def test_mail_exchangers_without_an_address(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        await domains.add("example.test")
        zone = domains.zones.zone_of("example.test")
        assert zone is not None
        assert (await domains.check("example.test"))["ok"]
        await domains.zones.change(
            zone,
            [
                RecordChange("UPSERT", owner, kind, 300, values)
                for owner, kind, values in (
                    ("a.example.test", "MX", ("10 lost.example.test.", "20 mx.example.test.")),
                    ("b.example.test", "MX", ("10 alias.example.test.", "20 lost.example.test.")),
                    ("c.example.test", "MX", ("10 away.example.com.", "20 six.example.test.")),
                    ("none.example.test", "MX", ("0 .",)),
                    ("alias.example.test", "CNAME", ("mx.example.test.",)),
                    ("six.example.test", "AAAA", ("::1",)),
                )
            ],
        )
        checked = await domains.check("example.test")
        wrong = {one["record"]: one for one in checked["checks"] if not one["ok"]}
        assert not checked["ok"]
        assert {name: one["seen"] for name, one in wrong.items()} == {
            "a.example.test MX names lost.example.test": "no address",
            "b.example.test MX names alias.example.test": "an alias",
        }
        fix = wrong["a.example.test MX names lost.example.test"]["fix"]
        assert fix == "lost.example.test. 300 IN A ADDRESS"
        fix = wrong["b.example.test MX names alias.example.test"]["fix"]
        assert fix == "alias.example.test. 300 IN A ADDRESS ; in place of its CNAME record"

    play(scene)


async def wrong_after(domains: Domains, *changes: tuple[str, str, str, str]) -> dict[str, str]:
    """What is wrong, and seen instead, where example.test is changed so."""
    zone = domains.zones.zone_of("example.test")
    assert zone is not None
    batch = [RecordChange(do, owner, kind, 300, (value,)) for do, owner, kind, value in changes]
    await domains.zones.change(zone, batch)
    checked = await domains.check("example.test")
    wrong = {one["record"]: one["seen"] for one in checked["checks"] if not one["ok"]}
    assert checked["ok"] == (not wrong)
    return wrong


def test_the_domain_itself_as_mail_exchanger(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        await domains.add("example.test")
        zone = domains.zones.zone_of("example.test")
        assert zone is not None
        both = ("10 mx.example.test.", "20 example.test.")
        await domains.zones.change(zone, [RecordChange("UPSERT", "example.test", "MX", 300, both)])
        lost = {"example.test MX names example.test": "no address"}
        assert await wrong_after(domains, ("CREATE", "b.example.test", "A", "192.0.2.1")) == lost
        assert await wrong_after(domains, ("CREATE", "example.test", "A", "192.0.2.1")) == {}

    play(scene)


def test_the_own_mail_exchanger_is_an_alias(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        await domains.add("example.test")
        # What the alias leads to has the very addresses that are wanted.
        assert await wrong_after(
            domains,
            ("CREATE", "host.example.test", "A", "127.0.0.1"),
            ("CREATE", "host.example.test", "AAAA", "::1"),
            ("DELETE", "mx.example.test", "A", "127.0.0.1"),
            ("DELETE", "mx.example.test", "AAAA", "::1"),
            ("CREATE", "mx.example.test", "CNAME", "host.example.test."),
        ) == {"example.test MX names mx.example.test": "an alias"}

    play(scene)


def test_an_address_that_is_missed_is_named_once(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        await domains.add("example.test")
        assert await wrong_after(
            domains,
            ("DELETE", "mx.example.test", "A", "127.0.0.1"),
            ("DELETE", "mx.example.test", "AAAA", "::1"),
        ) == {"mx.example.test A": "no such name", "mx.example.test AAAA": "no such name"}

    play(scene)


def test_records_of_capture_mode_are_said_to_lead_nowhere_else(
    play: Callable[[Scene], None],
) -> None:
    async def scene(domains: Domains) -> None:
        assert "lead to this machine only" in (await domains.add("example.test"))["note"]

    play(scene)


def test_a_signed_domain(play: Callable[[Scene], None]) -> None:
    async def scene(domains: Domains) -> None:
        added = await domains.add("example.test", dnssec=True)
        assert "ds" not in await domains.add("other.test")
        zone = domains.zones.zone_of("example.test")
        assert zone is not None
        assert zone.signing.enabled
        assert [key.active for key in zone.signing.keys] == [True]
        assert (added["ds"]["name"], added["ds"]["type"]) == ("example.test", "DS")
        assert added["ds"]["value"].split()[1:3] == ["13", "2"]
        assert (await domains.check("example.test"))["ok"]

    play(scene)
