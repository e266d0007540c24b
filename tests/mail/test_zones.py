"""Hosted zones on a real store: answers, listings, batches, and what survives a restart."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.model import HostedZone, Scope
from mailstead.mail.zones import ZONE_LIMIT, Zones
from mailstead.wire.domain_name import name_to_wire
from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Status
from support.clocks import StandingClock
from support.zones import SCOPE, A, Scene, create, names, upsert

OTHER = Scope("111111111111", "us-east-1")


def test_a_new_zone_holds_soa_and_ns(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_zones_survive_a_restart(with_zones: Callable[[Scene], None]) -> None:
    made: list[HostedZone] = []

    async def before(zones: Zones) -> None:
        made.append(await zones.create(SCOPE, "example.test", "once"))
        await zones.change(made[0], [create("www.example.test", "A", "192.0.2.1")])

    async def after(zones: Zones) -> None:
        revision = made[0].revision + 1
        assert zones.zone(SCOPE, made[0].name) == replace(made[0], revision=revision)
        assert zones.compiled.serials == {name_to_wire("example.test"): revision + 1}
        assert zones.answer(Question("www.example.test", "A")) == Answer(Status.OK, ("192.0.2.1",))

    with_zones(before)
    with_zones(after)


def test_each_change_raises_the_serial_that_is_answered(
    with_zones: Callable[[Scene], None],
) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "once")
        [soa] = [one for one in zones.record_sets(zone) if one.type == "SOA"]
        apex = name_to_wire("example.test")
        first = zones.compiled.serials[apex]
        await asyncio.gather(
            *(
                zones.change(zone, [create(f"h{number}.example.test", "A", "192.0.2.1")])
                for number in range(3)
            )
        )
        assert zones.compiled.serials[apex] == first + 3
        again = replace(create("h0.example.test", "A", "192.0.2.1"), action="UPSERT")
        await zones.change(zone, [again])
        assert zones.compiled.serials[apex] == first + 3
        assert [one for one in zones.record_sets(zone) if one.type == "SOA"] == [soa]

    with_zones(scene)


def test_a_zone_made_again_has_a_higher_serial(with_zones: Callable[[Scene], None]) -> None:
    """Or a secondary would keep the old one's records (RFC 1982)."""
    last = 0

    async def before(zones: Zones) -> None:
        nonlocal last
        for number in range(3):
            zone = await zones.create(SCOPE, "example.test", str(number))
            [serial] = zones.compiled.serials.values()
            assert serial > last
            for change in range(5):
                owner = f"h{change}.example.test"
                await zones.change(zone, [create(owner, "A", "192.0.2.1")])
            [last] = zones.compiled.serials.values()
            await zones.delete(zone, everything=True)

    async def after(zones: Zones) -> None:
        zones._clock = StandingClock(last + 5)
        await zones.create(SCOPE, "example.test", "again")
        [serial] = zones.compiled.serials.values()
        assert serial > last

    with_zones(before)
    with_zones(after)


def test_a_comment_in_the_middle_of_a_change(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "once")
        change = zones.change(zone, [create("h.example.test", "A", "192.0.2.1")])
        results = await asyncio.gather(
            change, zones.replace(zone, replace(zone, comment="new")), return_exceptions=True
        )
        assert isinstance(results[1], Conflict)
        assert results[1].reason == "stale"
        new = replace(zones.zone(SCOPE, zone.name), comment="new")
        assert await zones.replace(zones.zone(SCOPE, zone.name), new) == new
        assert zones.zone(SCOPE, zone.name) == replace(
            zone, comment="new", revision=zone.revision + 1
        )
        await zones.delete(new, everything=True)
        with pytest.raises(NotFound):
            await zones.replace(new, zone)

    with_zones(scene)


def test_a_zone_on_its_way_out_answers_no_more(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "once")
        # Nothing is compiled since the zone was made: the answer compiles what there is.
        async with asyncio.TaskGroup() as group:
            deleting = group.create_task(zones.delete(zone))
            await asyncio.sleep(0)
            assert not deleting.done()
            assert zones.answer(Question("example.test", "NS")) is None

    with_zones(scene)


@pytest.mark.parametrize("domain", ["", ".", "*.example.test", "a..b", "a b.test"])
def test_what_is_no_domain(with_zones: Callable[[Scene], None], domain: str) -> None:
    async def scene(zones: Zones) -> None:
        with pytest.raises(Invalid) as caught:
            await zones.create(SCOPE, domain, "once")
        assert caught.value.resource == "domain"

    with_zones(scene)


def test_a_caller_reference_works_once_in_an_account(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_an_account_has_so_many_zones(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        await asyncio.gather(
            *(zones.create(SCOPE, f"z{n}.test", str(n)) for n in range(ZONE_LIMIT))
        )
        with pytest.raises(Limit):
            await zones.create(SCOPE, "more.test", "more")

    with_zones(scene)


def test_the_longest_zone_has_a_name(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_answers(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)


def test_listings_come_in_route_53s_order(with_zones: Callable[[Scene], None]) -> None:
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

        def page(*args: Any) -> list[tuple[str, str]]:
            return [(one.owner, one.type) for one in zones.record_sets(zone, *args)]

        assert page("A.Example.test.") == ordered[5:]
        assert page("a.example.test", "MX") == ordered[6:]
        assert page("a.example.test", "CNAME", 2) == ordered[6:8]
        assert page("*.example.test", "A", 1) == ordered[3:4]
        assert page("zz.example.test") == []
        with pytest.raises(Invalid, match="DomainLabelEmpty"):
            page("a..b")

    with_zones(scene)


def test_zones_are_listed_by_age_and_by_name(with_zones: Callable[[Scene], None]) -> None:
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

    with_zones(scene)
