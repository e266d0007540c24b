"""Hosted zones on a real store: answers, listings, batches, and what survives a restart."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.model import HostedZone, Scope
from mailstead.mail.ports import Change, Replace
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.zones import ZONE_LIMIT, Zones, changed_tags
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore
from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Status

SCOPE = Scope("000000000000", "us-east-1")
OTHER = Scope("111111111111", "us-east-1")
Scene = Callable[[Zones], Coroutine[Any, Any, None]]


class FailingStore(SqliteStore):
    """A store whose next write can be made to fail."""

    failure: Exception | None = None

    async def apply(self, *changes: Change) -> None:
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure
        await super().apply(*changes)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Zones]:
    with ThreadPoolExecutor(1) as pool:
        randomness = SystemRandomness(pool)
        seal = Seal(b"k" * 32, randomness.token)
        store = FailingStore(folder, seal, randomness, asyncio.get_running_loop())
        await store.start()
        zones = Zones(store, LocalWakeups(), randomness, SystemClock())
        try:
            await zones.load()
            yield zones
        finally:
            store.close()


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    """Run a coroutine function on the zones of a fresh store, or of the same one again."""

    def run(scene: Scene) -> None:
        async def whole() -> None:
            async with opened(tmp_path) as zones:
                await scene(zones)

        asyncio.run(whole())

    return run


def create(owner: str, kind: str, *values: str, ttl: int = 300) -> RecordChange:
    return RecordChange("CREATE", owner, kind, ttl, values)


def upsert(owner: str, kind: str, *values: str, ttl: int = 300) -> RecordChange:
    return RecordChange("UPSERT", owner, kind, ttl, values)


def delete(owner: str, kind: str, *values: str, ttl: int = 300) -> RecordChange:
    return RecordChange("DELETE", owner, kind, ttl, values)


def store_of(zones: Zones) -> FailingStore:
    store = zones._store
    assert isinstance(store, FailingStore)
    return store


def names(zones: Zones, zone: HostedZone) -> list[tuple[str, str]]:
    return [(one.owner, one.type) for one in zones.record_sets(zone)]


async def refused(zones: Zones, zone: HostedZone, *changes: RecordChange) -> str:
    """The text of a batch's refusal; nothing of it has happened."""
    before = zones.record_sets(zone)
    with pytest.raises(Invalid) as caught:
        await zones.change(zone, changes)
    assert caught.value.resource == "record-set"
    assert zones.record_sets(zone) == before
    return caught.value.text or ""


def test_a_new_zone_holds_soa_and_ns(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "Example.TEST.", "once", comment="c", tags={"a": "b"})
        assert (zone.domain, zone.comment, zone.tags) == ("example.test", "c", {"a": "b"})
        assert zone.scope == SCOPE.everywhere()
        assert zone.name[0] == "Z"
        assert len(zone.name) == 21
        ns, soa = zones.record_sets(zone)
        assert (ns.type, ns.ttl, len(ns.values)) == ("NS", 172800, 4)
        assert ns.values == tuple(f"{server}." for server in zone.name_servers)
        assert soa.values == (
            "ns-1.mailstead.test. hostmaster.example.test. 1 7200 900 1209600 86400",
        )
        assert zones.count(zone.name) == 2

    play(scene)


def test_zones_survive_a_restart(play: Callable[[Scene], None]) -> None:
    made: list[HostedZone] = []

    async def before(zones: Zones) -> None:
        made.append(await zones.create(SCOPE, "example.test", "once"))
        await zones.change(made[0], [create("www.example.test", "A", "192.0.2.1")])

    async def after(zones: Zones) -> None:
        assert zones.zone(SCOPE, made[0].name) == made[0]
        assert zones.answer(Question("www.example.test", "A")) == Answer(Status.OK, ("192.0.2.1",))

    play(before)
    play(after)


@pytest.mark.parametrize("domain", ["", ".", "*.example.test", "a..b", "a b.test"])
def test_what_is_no_domain(play: Callable[[Scene], None], domain: str) -> None:
    async def scene(zones: Zones) -> None:
        with pytest.raises(Invalid) as caught:
            await zones.create(SCOPE, domain, "once")
        assert caught.value.resource == "domain"

    play(scene)


def test_a_caller_reference_works_once_in_an_account(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        first = await asyncio.gather(
            zones.create(SCOPE, "a.test", "once"),
            zones.create(SCOPE, "b.test", "once"),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in first) == ["Conflict", "HostedZone"]
        with pytest.raises(Conflict, match="already been created with the specified caller"):
            await zones.create(SCOPE, "c.test", "once")
        await zones.create(OTHER, "a.test", "once")

    play(scene)


def test_an_account_has_so_many_zones(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        await asyncio.gather(
            *(zones.create(SCOPE, f"z{n}.test", str(n)) for n in range(ZONE_LIMIT))
        )
        with pytest.raises(Limit):
            await zones.create(SCOPE, "more.test", "more")

    play(scene)


def test_the_longest_zone_has_a_name(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        parent = await zones.create(SCOPE, "example.test", "1")
        child = await zones.create(OTHER, "sub.example.test", "2")
        again = await zones.create(SCOPE, "example.test", "3")
        assert zones.zone_of("example.test") == parent
        assert zones.zone_of("A.B.example.TEST.") == parent
        assert zones.zone_of("x.sub.example.test") == child
        assert zones.zone_of("test") is None
        assert zones.zone_of("a..b") is None
        await zones.delete(parent)
        assert zones.zone_of("example.test") == again

    play(scene)


def test_answers(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(
            SCOPE,
            "example.test",
            "1",
            records=[
                create("example.test", "MX", "20 b.example.test", "10 a.example.test."),
                create("a.example.test", "A", "192.0.2.1"),
                create("example.test", "TXT", '"v=spf1 " "mx -all"'),
                create("www.example.test", "CNAME", "a.example.test"),
                create("t._domainkey.example.test", "CNAME", "T.dkim.amazonses.com"),
                create("away.example.test", "CNAME", "x.child.example.test"),
                create("child.example.test", "NS", "ns.other.test"),
                create("*.w.example.test", "TXT", '"wild"'),
                create("r1.example.test", "CNAME", "r2.example.test"),
                create("r2.example.test", "CNAME", "r1.example.test"),
            ],
        )

        def ask(name: str, kind: str) -> object:
            return zones.answer(Question(name, kind))

        assert ask("example.test", "MX") == Answer(
            Status.OK, ((20, "b.example.test"), (10, "a.example.test"))
        )
        assert ask("example.test", "TXT") == Answer(Status.OK, (b"v=spf1 mx -all",))
        assert ask("www.example.test", "A") == Answer(Status.OK, ("192.0.2.1",))
        assert ask("www.example.test", "CNAME") == Answer(Status.OK, ("a.example.test",))
        assert ask("x.w.example.test", "TXT") == Answer(Status.OK, (b"wild",))
        assert ask("www.example.test", "AAAA") == NODATA
        assert ask("w.example.test", "TXT") == NODATA
        assert ask("example.test", "HINFO") == NODATA
        assert ask("none.example.test", "A") == NXDOMAIN
        assert ask("r1.example.test", "A") == FAILED
        assert ask("t._domainkey.example.test", "TXT") == Question("t.dkim.amazonses.com", "TXT")
        assert ask("away.example.test", "A") == Question("x.child.example.test", "A")
        assert ask("x.child.example.test", "A") is None
        assert ask("example.com", "A") is None
        assert ask("a..test", "A") is None
        compiled = zones.compiled
        assert zones.compiled is compiled
        await zones.change(zone, [upsert("a.example.test", "A", "192.0.2.2")])
        assert zones.compiled is not compiled
        assert ask("www.example.test", "A") == Answer(Status.OK, ("192.0.2.2",))
        await zones.create(SCOPE, "other.test", "2", records=[create("other.test", "A", *A)])
        assert ask("other.test", "A") == Answer(Status.OK, A)

    play(scene)


def test_listings_come_in_route_53s_order(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(
            SCOPE,
            "example.test",
            "1",
            records=[
                create("z.example.test", "A", "192.0.2.1"),
                create("*.example.test", "A", "192.0.2.1"),
                create("b.a.example.test", "TXT", '"x"'),
                create("a.example.test", "MX", "0 ."),
                create("A.example.test.", "A", "192.0.2.1"),
                create("a-b.example.test", "A", "192.0.2.1"),
                create("example.test", "A", "192.0.2.1"),
            ],
        )
        ordered = [
            ("example.test", "A"),
            ("example.test", "NS"),
            ("example.test", "SOA"),
            ("\\052.example.test", "A"),
            ("a-b.example.test", "A"),
            ("a.example.test", "A"),
            ("a.example.test", "MX"),
            ("b.a.example.test", "TXT"),
            ("z.example.test", "A"),
        ]
        assert names(zones, zone) == ordered

        def page(*args: object) -> list[tuple[str, str]]:
            return [(one.owner, one.type) for one in zones.record_sets(zone, *args)]  # type: ignore[arg-type]

        assert page("A.Example.test.") == ordered[5:]
        assert page("a.example.test", "MX") == ordered[6:]
        assert page("a.example.test", "CNAME", 2) == ordered[6:8]
        assert page("*.example.test", "A", 1) == ordered[3:4]
        assert page("zz.example.test") == []
        with pytest.raises(Invalid, match="DomainLabelEmpty"):
            page("a..b")

    play(scene)


def test_zones_are_listed_by_age_and_by_name(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        made = [
            await zones.create(SCOPE, domain, domain)
            for domain in ("z.test", "a.z.test", "b.test", "a.example")
        ]
        await zones.create(OTHER, "other.test", "1")
        assert {one.domain for one in zones.listed(SCOPE)} == {one.domain for one in made}
        order = ["a.example", "b.test", "z.test", "a.z.test"]
        assert [one.domain for one in zones.by_name(SCOPE)] == order
        assert [one.domain for one in zones.by_name(SCOPE, "C.test.")] == order[2:]
        assert [one.domain for one in zones.by_name(SCOPE, "z.test", made[0].name)] == order[2:]
        assert [one.domain for one in zones.by_name(SCOPE, "z.test", "Zz")] == order[3:]
        with pytest.raises(Invalid):
            zones.by_name(SCOPE, "a..b")
        with pytest.raises(NotFound, match="No hosted zone found with ID: Z1"):
            zones.zone(SCOPE, "Z1")
        with pytest.raises(NotFound):
            zones.zone(OTHER, made[0].name)

    play(scene)


A = ("192.0.2.1",)
BATCHES: list[tuple[list[RecordChange], str]] = [
    (
        [create("www.example.test", "A", *A)],
        "Tried to create resource record set [name='www.example.test.', type='A'] but it already "
        "exists",
    ),
    (
        [delete("none.example.test", "A", *A)],
        "Tried to delete resource record set [name='none.example.test.', type='A'] but it was not "
        "found",
    ),
    (
        [delete("www.example.test", "A", "192.0.2.9")],
        "Tried to delete resource record set [name='www.example.test.', type='A'] but the values "
        "provided do not match the current values",
    ),
    (
        [delete("www.example.test", "A", *A, ttl=301)],
        "Tried to delete resource record set [name='www.example.test.', type='A'] but the values "
        "provided do not match the current values",
    ),
    (
        [create("www.example.com", "A", *A)],
        "RRSet with DNS name www.example.com. is not permitted in zone example.test.",
    ),
    (
        [create("www.badexample.test", "A", *A)],
        "RRSet with DNS name www.badexample.test. is not permitted in zone example.test.",
    ),
    (
        [create("a..example.test", "A", *A)],
        "FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with "
        "'a..example.test'",
    ),
    (
        [create("t.example.test", "TXT", "bare")],
        "Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be enclosed "
        "in quotation marks) encountered with 'bare''",
    ),
    (
        [create("t.example.test", "A", "192.0.2.1", "192.0.2.1")],
        "Duplicate Resource Record: '192.0.2.1'",
    ),
    (
        [create("t.example.test", "A", *(f"10.0.{n >> 8}.{n & 255}" for n in range(401)))],
        "Cannot have more than 400 records in a RRSet.",
    ),
    (
        [create("t.example.test", "NAPTR", "x")],
        "records of type NAPTR are not supported by mailstead",
    ),
    (
        [create("example.test", "CNAME", "a.test")],
        "RRSet of type CNAME with DNS name example.test. is not permitted at apex in zone "
        "example.test.",
    ),
    (
        [create("www.example.test", "SOA", "a. b. 1 2 3 4 5")],
        "RRSet of type SOA with DNS name www.example.test. is not permitted in zone example.test.",
    ),
    (
        [create("c.example.test", "CNAME", "a.test", "b.test")],
        "RRSet of type CNAME with DNS name c.example.test. must have exactly one value",
    ),
    (
        [create("www.example.test", "CNAME", "a.test")],
        "RRSet of type CNAME with DNS name www.example.test. is not permitted as it conflicts with "
        "other records with the same DNS name in zone example.test.",
    ),
    (
        [upsert("alias.example.test", "A", *A)],
        "RRSet of type A with DNS name alias.example.test. is not permitted because a conflicting "
        "RRSet of type CNAME with the same DNS name already exists in zone example.test.",
    ),
    (
        [create("n.example.test", "A", *A), create("N.example.test.", "A", "192.0.2.2")],
        "The request contains an invalid set of changes for a resource record set "
        "'A n.example.test.'",
    ),
    (
        [upsert("n.example.test", "A", *A), delete("n.example.test", "A", *A)],
        "The request contains an invalid set of changes for a resource record set "
        "'A n.example.test.'",
    ),
    (
        [create(f"n{n}.example.test", "A", *A) for n in range(1001)],
        "Number of records limit of 1000 exceeded.",
    ),
    (
        [upsert(f"n{n}.example.test", "TXT", f'"{"x" * 200}"') for n in range(100)],
        "Number of characters limit of 32000 exceeded.",
    ),
    (
        [create("one.example.com", "A", *A), delete("two.example.test", "A", *A)],
        "RRSet with DNS name one.example.com. is not permitted in zone example.test., Tried to "
        "delete resource record set [name='two.example.test.', type='A'] but it was not found",
    ),
]


@pytest.mark.parametrize(("changes", "text"), BATCHES, ids=[text[:60] for _, text in BATCHES])
def test_what_is_wrong_with_a_batch(
    play: Callable[[Scene], None], changes: Sequence[RecordChange], text: str
) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(
            SCOPE,
            "example.test",
            "1",
            records=[
                create("www.example.test", "A", *A),
                create("alias.example.test", "CNAME", "a.test"),
            ],
        )
        good = create("good.example.test", "A", *A)
        assert await refused(zones, zone, good, *changes) == f"[{text}]"

    play(scene)


def test_the_apex_keeps_soa_and_ns(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1")
        gone = [
            delete(one.owner, one.type, *one.values, ttl=one.ttl) for one in zones.record_sets(zone)
        ]
        assert await refused(zones, zone, *gone) == (
            "[A HostedZone must contain at least one NS record for the zone itself., "
            "A HostedZone must contain exactly one SOA record.]"
        )
        await zones.change(zone, [gone[0], create("example.test", "NS", "ns.other.test")])
        await zones.change(zone, [upsert("example.test", "NS", "ns2.other.test")])
        assert zones.record_sets(zone)[0].values == ("ns2.other.test",)

    play(scene)


def test_an_incomplete_change(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1")
        for change in (
            RecordChange("CREATE", "a.example.test", "A", None, A),
            RecordChange("CREATE", "a.example.test", "A", 60),
        ):
            with pytest.raises(Invalid) as caught:
                await zones.change(zone, [change])
            assert caught.value.resource == "change"
            assert caught.value.text == (
                "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and "
                "ResourceRecords], or TrafficPolicyInstanceId], but found none in Change with "
                "[Action=CREATE, Name=a.example.test, Type=A, SetIdentifier=null]"
            )

    play(scene)


def test_a_batch_applies_in_order(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1")
        await zones.change(zone, [create("a.example.test", "A", *A)])
        await zones.change(
            zone,
            [delete("a.example.test", "A", *A), create("a.example.test", "CNAME", "b.test")],
        )
        assert names(zones, zone)[2:] == [("a.example.test", "CNAME")]
        same = [
            delete("a.example.test", "CNAME", "B.test."),
            upsert("a.example.test", "CNAME", "b.test"),
        ]
        await zones.change(zone, same)
        assert names(zones, zone)[2:] == [("a.example.test", "CNAME")]

    play(scene)


def test_batches_side_by_side(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1")
        results = await asyncio.gather(
            zones.change(zone, [create("a.example.test", "A", *A)]),
            zones.change(zone, [create("a.example.test", "CNAME", "b.test")]),
            zones.change(zone, [create("c.example.test", "A", *A)]),
            zones.change(zone, [upsert("c.example.test", "A", "192.0.2.2")]),
            zones.change(zone, [delete("c.example.test", "A", "192.0.2.2")]),
            return_exceptions=True,
        )
        assert [type(one) for one in results] == [type(None), Invalid, *[type(None)] * 3]
        assert names(zones, zone)[2:] == [("a.example.test", "A")]

    play(scene)


def test_deleting_a_zone(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1")
        await zones.change(zone, [create("a.example.test", "A", *A)])
        with pytest.raises(Conflict) as caught:
            await zones.delete(zone)
        assert caught.value.reason == "in-use"
        await zones.delete(zone, everything=True)
        assert zones.zone_of("example.test") is None
        assert zones.answer(Question("a.example.test", "A")) is None
        for again in (zones.delete(zone), zones.change(zone, [create("b.example.test", "A", *A)])):
            with pytest.raises(NotFound, match="No hosted zone found with ID"):
                await again
        await zones.load()
        assert zones.listed(SCOPE) == []

    play(scene)


def test_a_change_wakes_who_waits(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(zones._wakeups.watch("zones").wait(5))
            await asyncio.sleep(0)
            await zones.create(SCOPE, "example.test", "1")
        assert waiting.result()

    play(scene)


def test_comments_and_tags(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1", tags={"a": "1", "b": "2"})
        tagged = changed_tags(zone, {"c": "3"}, ["a"])
        assert tagged.tags == {"b": "2", "c": "3"}
        await zones.replace(zone, tagged)
        assert zones.zone(SCOPE, zone.name) == tagged == zones.zone_of("example.test")
        with pytest.raises(Conflict):
            await zones.replace(zone, zone)
        again = changed_tags(tagged, {}, ["b"])
        done = await asyncio.gather(
            zones.replace(tagged, again), zones.delete(tagged), return_exceptions=True
        )
        assert [type(one) for one in done] == [HostedZone, Conflict]
        assert zones.zone(SCOPE, zone.name) == again

    play(scene)


def test_a_write_that_fails_changes_nothing(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        store = store_of(zones)
        zone = await zones.create(SCOPE, "example.test", "1")
        await zones.change(zone, [create("a.example.test", "A", *A)])
        for attempt in (
            lambda: zones.change(zone, [delete("a.example.test", "A", *A)]),
            lambda: zones.delete(zone, everything=True),
            lambda: zones.create(SCOPE, "other.test", "2"),
        ):
            store.failure = OSError("disk full")
            with pytest.raises(OSError, match="disk full"):
                await attempt()
        assert names(zones, zone)[2:] == [("a.example.test", "A")]
        assert [one.domain for one in zones.listed(SCOPE)] == ["example.test"]
        await zones.create(SCOPE, "other.test", "2")
        await zones.change(zone, [delete("a.example.test", "A", *A)])

    play(scene)


def test_what_another_process_wrote_counts(play: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        store = store_of(zones)
        zone = await zones.create(SCOPE, "example.test", "1")
        await zones.change(zone, [create("a.example.test", "A", *A)])
        [found] = zones.record_sets(zone, "a.example.test")
        other = type(found)(
            found.scope, found.name, found.zone, found.owner, "A", 60, ("192.0.2.7",)
        )
        await store.apply(Replace(found, other))
        with pytest.raises(Conflict):
            await zones.change(zone, [upsert("a.example.test", "A", "192.0.2.8")])
        assert zones.record_sets(zone, "a.example.test") == [other]
        second = Zones(store, LocalWakeups(), zones._randomness, SystemClock())
        await second.load()
        await second.delete(zone, everything=True)
        with pytest.raises(Conflict):
            await zones.change(zone, [upsert("a.example.test", "A", "192.0.2.8")])
        assert zones.listed(SCOPE) == []

    play(scene)
