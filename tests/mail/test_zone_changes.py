"""Changes of records: what a batch may not do, and what stands after it."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from mailstead.mail.errors import Conflict, Invalid, NotFound
from mailstead.mail.model import HostedZone
from mailstead.mail.ports import Replace
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.zones import Zones, changed_tags
from mailstead.roles.clock import LocalWakeups, SystemClock
from mailstead.wire.lookup import Question
from support.zones import SCOPE, A, FailingStore, Scene, create, names, upsert


def delete(owner: str, kind: str, *values: str, ttl: int = 300) -> RecordChange:
    return RecordChange("DELETE", owner, kind, ttl, values)


def store_of(zones: Zones) -> FailingStore:
    store = zones._store
    assert isinstance(store, FailingStore)
    return store


async def refused(zones: Zones, zone: HostedZone, *changes: RecordChange) -> str:
    """The text of a batch's refusal; nothing of it has happened."""
    before = zones.record_sets(zone)
    with pytest.raises(Invalid) as caught:
        await zones.change(zone, changes)
    assert caught.value.resource == "record-set"
    assert zones.record_sets(zone) == before
    return caught.value.text or ""


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
    with_zones: Callable[[Scene], None], changes: Sequence[RecordChange], text: str
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

    with_zones(scene)


def test_the_apex_keeps_soa_and_ns(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_an_incomplete_change(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_a_batch_applies_in_order(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_batches_side_by_side(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_a_batch_is_checked_against_all_that_are_on_their_way(
    with_zones: Callable[[Scene], None],
) -> None:
    """Also while an earlier one of them is kept and a later one is not."""

    async def scene(zones: Zones) -> None:
        store = store_of(zones)
        zone = await zones.create(SCOPE, "example.test", "1")
        await zones.change(zone, [create("www.example.test", "A", *A)])
        async with asyncio.TaskGroup() as group:
            first = group.create_task(zones.change(zone, [delete("www.example.test", "A", *A)]))
            await asyncio.sleep(0)
            store.gate = asyncio.Event()
            second = group.create_task(zones.change(zone, [create("www.example.test", "A", *A)]))
            await first
            assert not second.done()
            with pytest.raises(Invalid, match=r"conflicting RRSet of type A|conflicts with other"):
                async with asyncio.timeout(1):
                    await zones.change(zone, [create("www.example.test", "CNAME", "b.test")])
            store.gate.set()
        assert names(zones, zone)[2:] == [("www.example.test", "A")]

    with_zones(scene)


def test_deleting_a_zone(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_a_change_wakes_who_waits(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(zones._wakeups.watch("zones").wait(5))
            await asyncio.sleep(0)
            await zones.create(SCOPE, "example.test", "1")
        assert waiting.result()

    with_zones(scene)


def test_comments_and_tags(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1", tags={"a": "1", "b": "2"})
        tagged = changed_tags(zone, {"c": "3"}, ["a"])
        assert tagged.tags == {"b": "2", "c": "3"}
        await zones.replace(zone, tagged)
        assert zones.zone(SCOPE, zone.name) == tagged == zones.zone_of("example.test")
        with pytest.raises(Conflict):
            await zones.replace(zone, zone)
        again = changed_tags(tagged, {}, ["b"])
        assert await asyncio.gather(zones.replace(tagged, again), zones.delete(tagged)) == [
            again,
            None,
        ]
        with pytest.raises(NotFound):
            zones.zone(SCOPE, zone.name)

    with_zones(scene)


def test_a_write_that_fails_changes_nothing(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_what_another_process_wrote_counts(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)
