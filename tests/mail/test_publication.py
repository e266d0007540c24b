"""What is put into a zone elsewhere, what is left, and what is said about it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail.domain_records import wanted
from mailstead.mail.errors import Invalid, Refused, UpdateRefused
from mailstead.mail.model import Dkim, Secret, SigningKey
from mailstead.mail.ports import Primary
from mailstead.mail.publication import Publication, in_the_way
from mailstead.wire.name_server import NameServer
from mailstead.wire.rdata import to_text, to_wire
from mailstead.wire.tsig_key import TsigKey
from support.domains import opened

KEY = "transfer:c2VjcmV0"
Scene = Callable[["Elsewhere"], Coroutine[Any, Any, None]]


class Elsewhere:
    """A zone in memory, and a publication into it."""

    def __init__(self, domains: Any) -> None:
        self.zone = "example.org"
        self.standing: defaultdict[tuple[str, str], list[bytes]] = defaultdict(list)
        self.updates: list[str] = []
        self.refusing: dict[str, str] = {}
        """Reasons by ``owner type``, or ``zone``."""
        self.losing = False
        self.asked: list[tuple[NameServer, TsigKey | None]] = []
        self.publication = Publication(domains, self._primary, capture=True)

    def _primary(self, server: NameServer, key: TsigKey | None) -> Primary:
        self.asked.append((server, key))
        return self

    def put(self, owner: str, kind: str, *values: str) -> None:
        self.standing[owner, kind] = [to_wire(kind, value) for value in values]

    def at(self, owner: str, kind: str) -> list[str]:
        return [to_text(kind, data) for data in self.standing[owner, kind]]

    async def publish(self, *, exchange: bool = False, **more: Any) -> dict[str, str]:
        """The results by record."""
        given = {"name": "example.org", "server": "127.0.0.1:5353", "key": KEY, **more}
        answer = await self.publication.publish(**given, exchange=exchange)
        results = {one["record"]: one["result"] for one in answer["records"]}
        assert answer["ok"] == (set(results.values()) <= {"there", "added", "exchanged"})
        return results

    # The port.

    async def zone_of(self, name: str) -> str:
        self._check("zone")
        return self.zone

    async def records(self, name: str, record_type: str) -> Sequence[bytes]:
        return list(self.standing[name, record_type])

    async def update(
        self, zone: str, name: str, record_type: str, gone: Sequence[bytes], ttl: int, new: bytes
    ) -> None:
        assert (zone, ttl) == (self.zone, 300)
        self._check(f"{name} {record_type}")
        self.updates.append(f"{name} {record_type}")
        held = self.standing[name, record_type]
        held[:] = [data for data in held if data not in gone]
        if not self.losing:
            held.append(new)

    def _check(self, what: str) -> None:
        if what in self.refusing:
            raise UpdateRefused(self.refusing[what])


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        async def whole() -> None:
            async with opened(tmp_path) as domains:
                await scene(Elsewhere(domains))

        asyncio.run(whole())

    return run


def test_what_is_missing_is_added_addresses_first(play: Callable[[Scene], None]) -> None:
    async def scene(there: Elsewhere) -> None:
        there.put("example.org", "TXT", '"site=1"')
        results = await there.publish()
        assert set(results.values()) == {"added"}
        assert there.updates[:2] == ["mx.example.org A", "mx.example.org AAAA"]
        assert there.at("example.org", "MX") == ["10 mx.example.org."]
        assert there.at("example.org", "TXT") == [
            '"site=1"', '"v=spf1 include:amazonses.com ~all"',
        ]  # fmt: skip
        assert sum(name.endswith("CNAME") for name in there.updates) == 3
        [(server, key)] = there.asked
        assert server == NameServer("127.0.0.1", 5353)
        assert key is not None
        assert key.secret == b"secret"
        # A second time there is nothing to do.
        done = len(there.updates)
        assert set((await there.publish(key=None)).values()) == {"there"}
        assert len(there.updates) == done
        assert there.asked[1][1] is None

    play(scene)


def test_what_differs_is_left_and_shown(play: Callable[[Scene], None]) -> None:
    async def scene(there: Elsewhere) -> None:
        there.put("example.org", "MX", "1 mail.other.example.")
        there.put("example.org", "TXT", '"v=spf1 include:other.example -all"', '"site=1"')
        there.put("_dmarc.example.org", "TXT", '"v=DMARC1; p=nonsense"', '"else"')
        there.put("mx.example.org", "A", "192.0.2.7")
        answer = await there.publication.publish("example.org", "localhost", None)
        differing = {one["record"]: one for one in answer["records"] if one["result"] == "differs"}
        assert sorted(differing) == [
            "_dmarc.example.org TXT", "example.org MX", "example.org TXT", "mx.example.org A",
        ]  # fmt: skip
        assert differing["example.org MX"]["seen"] == "1 mail.other.example."
        assert differing["example.org MX"]["fix"] == "example.org. 300 IN MX 10 mx.example.org."
        assert not answer["ok"]
        assert "lead to this machine only" in answer["note"]
        assert there.at("example.org", "MX") == ["1 mail.other.example."]
        results = await there.publish(exchange=True)
        assert results["example.org MX"] == results["mx.example.org A"] == "exchanged"
        assert there.at("example.org", "MX") == ["10 mx.example.org."]
        assert there.at("mx.example.org", "A") == ["127.0.0.1"]
        # Of TXT records only those of the same kind are exchanged.
        assert there.at("example.org", "TXT") == [
            '"site=1"', '"v=spf1 include:amazonses.com ~all"',
        ]  # fmt: skip
        assert there.at("_dmarc.example.org", "TXT") == ['"else"', '"v=DMARC1; p=none"']

    play(scene)


def test_what_is_as_good_is_left(play: Callable[[Scene], None]) -> None:
    async def scene(there: Elsewhere) -> None:
        there.put("example.org", "MX", "1 other.example.", "5 mx.example.org.")
        there.put("example.org", "TXT", '"v=spf1 a include:amazonses.com -all"')
        there.put("_dmarc.example.org", "TXT", '"v=DMARC1; p=reject"')
        results = await there.publish(exchange=True)
        kept = ("example.org MX", "example.org TXT", "_dmarc.example.org TXT")
        assert {results[name] for name in kept} == {"there"}

    play(scene)


def test_an_alias_to_another_key(play: Callable[[Scene], None]) -> None:
    async def scene(there: Elsewhere) -> None:
        await there.publish()
        owner = next(name for name in there.updates if name.endswith("CNAME")).split()[0]
        there.put(owner, "CNAME", "elsewhere.example.")
        assert (await there.publish())[f"{owner} CNAME"] == "differs"
        assert (await there.publish(exchange=True))[f"{owner} CNAME"] == "exchanged"

    play(scene)


def test_all_text_under_a_keys_name_is_in_its_way() -> None:
    key = SigningKey(("own",), Secret(b""), "p=" + "A" * 300, 2048, 0)
    records = wanted("example.org", Dkim(origin="EXTERNAL", key=key), None, capture=False)
    [record] = [one for one in records if one.owner == "own._domainkey.example.org"]
    same = to_wire("TXT", record.value)
    old, spf = to_wire("TXT", '"p=old"'), to_wire("TXT", '"v=spf1 -all"')
    assert in_the_way(record, [old, same, spf]) == [old, spf]


def test_refusals_are_told_one_by_one(play: Callable[[Scene], None]) -> None:
    async def scene(there: Elsewhere) -> None:
        there.refusing["example.org MX"] = "it refuses"
        answer = await there.publication.publish("example.org", "127.0.0.1", KEY)
        refused = [one for one in answer["records"] if one["result"] == "refused"]
        assert [(one["record"], one["reason"]) for one in refused] == [
            ("example.org MX", "it refuses")
        ]
        there.refusing.clear()
        there.losing = True
        answer = await there.publication.publish("example.org", "127.0.0.1", KEY)
        [lost] = [one for one in answer["records"] if one["result"] == "refused"]
        assert "does not answer with the record" in lost["reason"]

    play(scene)


def test_no_such_zone(play: Callable[[Scene], None]) -> None:
    async def scene(there: Elsewhere) -> None:
        there.refusing["zone"] = "it has no zone with example.org in it"
        with pytest.raises(Refused, match=r"127\.0\.0\.1:5353: it has no zone"):
            await there.publish()

    play(scene)


@pytest.mark.parametrize("server", ["192.0.2.1", "ns.example.org", "[2001:db8::1]:53"])
def test_nothing_leaves_this_machine_in_capture_mode(
    play: Callable[[Scene], None], server: str
) -> None:
    async def scene(there: Elsewhere) -> None:
        with pytest.raises(Refused, match="in capture mode nothing leaves this machine"):
            await there.publish(server=server)
        assert there.asked == []

    play(scene)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"server": "a b"}, "no name server"),
        ({"key": "x"}, "that is no key"),
        ({"name": "not a name"}, "not a name"),
    ],
)
def test_bad_input(play: Callable[[Scene], None], given: dict[str, str], words: str) -> None:
    async def scene(there: Elsewhere) -> None:
        with pytest.raises(Invalid, match=words):
            await there.publish(**given)

    play(scene)
