"""Signed zones: keys on and off, serials that never fall, signatures that are made in time."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from mailstead.mail import zone_signing
from mailstead.mail.errors import Conflict, DomainError, Invalid, Limit, NotFound
from mailstead.mail.model import HostedZone, Secret, ZoneSigning
from mailstead.mail.zone_keys import ZoneKeys
from mailstead.mail.zone_signing import DAY, PERIOD, NewKey
from mailstead.mail.zones import Zones
from mailstead.roles.clock import SystemClock
from mailstead.wire.dnssec import ds
from mailstead.wire.domain_name import name_to_wire
from mailstead.wire.rdata import to_text
from support.world import Dice
from support.zones import SCOPE, A, Scene, create, upsert

APEX = name_to_wire("example.test")
ASKED = NewKey("main", "1", "arn:aws:kms:us-east-1:111122223333:key/1234-abcd", active=True)
DICE = Dice()


class LateClock(SystemClock):
    """The world's time and some days."""

    days = 0

    def real(self) -> int:
        return super().real() + self.days * DAY * 1000


async def signed(zones: Zones, domain: str = "example.test") -> HostedZone:
    zone = await zones.create(SCOPE, domain, domain)
    await zones.change(zone, [create(f"www.{domain}", "A", *A)])
    zone = zones.zone(SCOPE, zone.name)
    zone = await zones.sign(zone, zone_signing.with_key(zone.signing, ASKED, DICE.p256_key(), 1))
    return await zones.sign(zone, zone_signing.enabled(zone, DICE.p256_key()))


def soa_signature(zones: Zones) -> bytes:
    zone = zones.compiled.at(APEX)
    assert zone is not None
    [signature] = zone.soa.signatures
    return signature


def test_signing_begins_and_ends(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await signed(zones)
        first = zones.compiled.serials[APEX]
        number = zone_signing.period(SystemClock().real())
        assert first == 1 + zone.revision + number
        assert soa_signature(zones)
        await zones.change(zone, [create("b.example.test", "A", *A)])
        assert zones.compiled.serials[APEX] == first + 1
        zone = zones.zone(SCOPE, zone.name)
        zone = await zones.sign(zone, zone_signing.disabled(zone))
        assert zones.compiled.serials[APEX] > first + 1
        compiled = zones.compiled.at(APEX)
        assert compiled is not None
        assert compiled.soa.signatures == ()
        with pytest.raises(NotFound) as caught:
            zone_signing.disabled(zone)
        assert caught.value.resource == "dnssec"
        # The key for the records is the same the next time.
        again = zone_signing.enabled(zone, DICE.p256_key())
        assert again.zone_key == zone.signing.zone_key != b""

    with_zones(scene)


def test_keys_survive_a_restart_and_are_not_shown(with_zones: Callable[[Scene], None]) -> None:
    made: list[HostedZone] = []

    async def before(zones: Zones) -> None:
        made.append(await signed(zones))

    async def after(zones: Zones) -> None:
        assert zones.zone(SCOPE, made[0].name) == made[0]
        assert soa_signature(zones)
        assert "PRIVATE" not in repr(made[0])
        assert "zone_key=Secret(...)" in repr(made[0])

    with_zones(before)
    with_zones(after)


def test_signatures_are_made_anew_in_time(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        clock = zones._clock = LateClock()
        await signed(zones)
        old, serial = soa_signature(zones), zones.compiled.serials[APEX]
        watch = zones._wakeups.watch("zones")
        zones.renew()
        assert soa_signature(zones) == old
        clock.days = PERIOD // DAY
        zones.renew()
        assert await watch.wait(0)
        assert soa_signature(zones) != old
        assert zones.compiled.serials[APEX] == serial + 1

    with_zones(scene)


def test_times_are_those_of_the_period(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await signed(zones)
        now = 10 * PERIOD + 5
        signing = zone_signing.signing(zone.signing, zone_signing.period(now * 1000))
        assert signing is not None
        assert signing.inception < 10 * PERIOD < now
        # A secondary may serve the zone for 14 days without us (the SOA's expire).
        assert signing.expiration >= 11 * PERIOD + 14 * DAY

    with_zones(scene)


def test_a_zone_that_is_not_signed_needs_no_renewal(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        clock = zones._clock = LateClock()
        await zones.create(SCOPE, "example.test", "1")
        compiled = zones.compiled
        clock.days = 30
        zones.renew()
        assert zones.compiled is compiled

    with_zones(scene)


def test_two_keys_in_turn(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await signed(zones)
        other = ASKED._replace(name="next", caller_reference="2", active=False)
        zone = await zones.sign(
            zone, zone_signing.with_key(zone.signing, other, DICE.p256_key(), 2)
        )
        third = other._replace(name="third", caller_reference="3")
        with pytest.raises(Limit):
            zone_signing.with_key(zone.signing, third, DICE.p256_key(), 3)
        with pytest.raises(Conflict) as caught:
            zone_signing.with_status(zone, "main", active=False, now=3)
        assert caught.value.reason == "in-use"
        zone = await zones.sign(zone, zone_signing.with_status(zone, "next", active=True, now=4))
        compiled = zones.compiled.at(APEX)
        assert compiled is not None
        keys = compiled.nodes[APEX][48]
        assert (len(keys.rdatas), len(keys.signatures)) == (3, 2)
        with pytest.raises(Invalid) as refused:
            zone_signing.without_key(zone, "main")
        assert refused.value.resource == "key-status"
        off = zone_signing.with_status(zone, "main", active=False, now=5)
        assert [key.changed_at for key in off.keys] == [5, 4]
        zone = await zones.sign(zone, off)
        left = zone_signing.without_key(zone, "main")
        assert [key.name for key in left.keys] == ["next"]
        with pytest.raises(NotFound):
            zone_signing.key_of(zone, "nothing")

    with_zones(scene)


@pytest.mark.parametrize(
    ("changed", "error", "resource"),
    [
        ({"name": "no"}, Invalid, "key-name"),
        ({"name": "a-b-c"}, Invalid, "key-name"),
        ({"kms_arn": "arn:aws:kms:us-east-1:1:key/x"}, Invalid, "kms-arn"),
        ({"caller_reference": "2"}, Conflict, "key-signing-key"),
        ({"name": "other"}, Conflict, "key-signing-key"),
    ],
)
def test_wrong_keys(changed: dict[str, str], error: type[DomainError], resource: str) -> None:
    state = zone_signing.with_key(ZoneSigning(), ASKED, DICE.p256_key(), 1)
    with pytest.raises(error) as caught:
        zone_signing.with_key(state, ASKED._replace(**changed), DICE.p256_key(), 1)
    assert caught.value.resource == resource


def test_what_is_so_already_changes_nothing(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await signed(zones)
        keys = ZoneKeys(zones, DICE, SystemClock())
        assert await keys.set_active(zone, "main", active=True) is zone
        assert await keys.enable(zone) is zone
        with pytest.raises(NotFound):
            await keys.set_active(zone, "nothing", active=True)

    with_zones(scene)


def test_signing_needs_an_active_key(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1")
        with pytest.raises(NotFound) as caught:
            zone_signing.enabled(zone, DICE.p256_key())
        assert caught.value.resource == "active-key"
        assert zone_signing.signing(replace(zone.signing, zone_key=Secret(b"x")), 1) is None

    with_zones(scene)


def test_a_zone_with_keys_is_not_deleted(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await zones.create(SCOPE, "example.test", "1")
        zone = await zones.sign(
            zone, zone_signing.with_key(zone.signing, ASKED, DICE.p256_key(), 1)
        )
        with pytest.raises(Conflict) as caught:
            await zones.delete(zone)
        assert caught.value.reason == "in-use"
        await zones.delete(zone, everything=True)

    with_zones(scene)


def test_what_the_parent_zone_points_to(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        parent = await zones.create(SCOPE, "test", "0")
        zone = await signed(zones)
        assert zones.delegation_keys(zone) == set()
        key = zone_signing.entry_key(zone.signing.keys[0])
        await zones.change(
            parent,
            [
                upsert("example.test", "NS", "ns1.example.test."),
                upsert("example.test", "DS", to_text("DS", ds(APEX, key))),
            ],
        )
        assert zones.delegation_keys(zone) == {key.tag}

    with_zones(scene)


def test_changes_beside_each_other_are_all_signed(with_zones: Callable[[Scene], None]) -> None:
    async def scene(zones: Zones) -> None:
        zone = await signed(zones)
        await asyncio.gather(
            *(zones.change(zone, [create(f"h{n}.example.test", "A", *A)]) for n in range(5))
        )
        compiled = zones.compiled.at(APEX)
        assert compiled is not None
        assert all(
            compiled.nodes[name_to_wire(f"h{n}.example.test")][1].signatures for n in range(5)
        )

    with_zones(scene)
