"""Other name servers' questions on real loopback sockets, with dnspython as the secondary."""

import asyncio
from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.versioned
import dns.xfr
import pytest

from mailstead.mail import zone_signing
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.zone_signing import NewKey
from mailstead.roles.clock import SystemClock
from mailstead.roles.transfers import Transfers
from mailstead.wire.name_server import NameServer
from mailstead.wire.tsig_key import TsigKey
from support.nameserver import HOST, Play, Stage

KEY = TsigKey(b"\x08transfer\0", "hmac-sha256", b"s" * 32)
NAME = dns.name.from_text("example.test")
SECONDARY = NameServer(HOST, 5353)


def ring(secret: bytes = KEY.secret, name: str = "transfer") -> dns.tsig.Key:
    return dns.tsig.Key(dns.name.from_text(name), secret, "hmac-sha256")


def transfers(*, secondaries: Any = (), keys: Any = ()) -> Callable[[Any], Transfers]:
    return lambda zones: Transfers(zones, SystemClock(), secondaries, keys)


def copied(stage: Stage, query: dns.message.Message | None = None) -> dns.versioned.Zone:
    """A copy of the zone as a secondary takes it; changed by what ``query`` asks for."""
    zone = dns.versioned.Zone(NAME)
    if query is None:
        query, _ = dns.xfr.make_query(zone)
    dns.query.inbound_xfr(HOST, zone, query, port=stage.port, timeout=5, lifetime=10)
    return zone


def axfr(key: dns.tsig.Key | None = None) -> dns.message.Message:
    query = dns.message.make_query(NAME, "AXFR")
    if key is not None:
        query.use_tsig(key)
    return query


def test_a_secondary_by_address(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        zone = await asyncio.to_thread(copied, stage, axfr())
        assert zone.find_rdataset("mx", "A")[0].address == "127.0.0.1"
        assert len(zone.find_rdataset("long", "TXT")[0].strings) == 6

    answering(scene, transfers=transfers(secondaries=[SECONDARY]))


def test_a_secondary_with_a_key(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        hosted = stage.zones.zone_of("example.test")
        assert hosted is not None
        for first in range(0, 3000, 300):
            changes = [
                RecordChange("CREATE", f"h{n}.example.test", "A", 300, ("192.0.2.1",))
                for n in range(first, first + 300)
            ]
            await stage.zones.change(hosted, changes)
        zone = await asyncio.to_thread(copied, stage, axfr(ring()))
        assert len(zone.nodes) > 3000
        # Where keys are, an address is not enough.
        with pytest.raises(dns.xfr.TransferError, match="REFUSED"):
            await asyncio.to_thread(copied, stage, axfr())

    answering(scene, transfers=transfers(secondaries=[SECONDARY], keys=[KEY]))


def test_nobody_else(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(dns.xfr.TransferError, match="REFUSED"):
            await asyncio.to_thread(copied, stage, axfr())

    answering(scene, transfers=transfers(secondaries=[NameServer("192.0.2.1", 53)]))
    answering(scene, transfers=transfers())
    answering(scene)


async def ask(stage: Stage, query: dns.message.Message, *, stream: bool = True) -> Any:
    send = dns.query.tcp if stream else dns.query.udp
    return await asyncio.to_thread(send, query, HOST, timeout=5, port=stage.port)


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (ring(b"other"), dns.tsig.PeerBadSignature),
        (ring(name="unknown"), dns.tsig.PeerBadKey),
    ],
)
def test_wrong_keys(answering: Play, key: dns.tsig.Key, error: type[Exception]) -> None:
    async def scene(stage: Stage) -> None:
        for stream in (True, False):
            query = dns.message.make_query("mx.example.test", "A")
            query.use_tsig(key)
            with pytest.raises(error):
                await ask(stage, query, stream=stream)

    answering(scene, transfers=transfers(keys=[KEY]))


def test_signed_questions_get_signed_answers(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        for name, kind in (
            ("example.test", "SOA"),
            ("no.example.test", "A"),
            ("token.dkim.amazonses.com", "TXT"),
        ):
            query = dns.message.make_query(name, kind)
            query.use_tsig(ring())
            reply = await ask(stage, query)
            assert reply.had_tsig
            assert reply.rcode() == (dns.rcode.NXDOMAIN if name[0] == "n" else dns.rcode.NOERROR)
        long = dns.message.make_query("long.example.test", "TXT", use_edns=0, payload=1232)
        long.use_tsig(ring())
        cut = await ask(stage, long, stream=False)
        assert cut.flags & dns.flags.TC
        assert cut.had_tsig
        assert (await ask(stage, long)).answer
        chaos = dns.message.make_query("example.test", "AXFR", "CH")
        chaos.use_tsig(ring())
        refused = await ask(stage, chaos)
        assert refused.had_tsig
        assert refused.rcode() == dns.rcode.REFUSED

    answering(scene, transfers=transfers(keys=[KEY]))


def test_without_transfers_signed_questions_are_refused(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        query = dns.message.make_query("mx.example.test", "A")
        packet = query.to_wire()
        query.use_tsig(ring())
        refused = stage.server.reply(query.to_wire(), HOST, stream=False)
        assert isinstance(refused, bytes)
        assert dns.message.from_wire(refused).rcode() == dns.rcode.REFUSED
        assert isinstance(stage.server.reply(packet, HOST, stream=False), bytes)

    answering(scene)


def test_zones_that_are_not_here_and_wrong_forms(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        elsewhere = dns.message.make_query("example.com", "AXFR")
        assert (await ask(stage, elsewhere)).rcode() == dns.rcode.NOTAUTH
        below = dns.message.make_query("mx.example.test", "AXFR")
        assert (await ask(stage, below)).rcode() == dns.rcode.NOTAUTH
        assert (await ask(stage, axfr(), stream=False)).rcode() == dns.rcode.FORMERR
        no_version = dns.message.make_query(NAME, "IXFR")
        assert (await ask(stage, no_version)).rcode() == dns.rcode.FORMERR

    answering(scene, transfers=transfers(secondaries=[SECONDARY]))


def test_a_version_that_is_old_or_current(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        zone = await asyncio.to_thread(copied, stage, axfr())
        again, _ = dns.xfr.make_query(zone)
        assert again.question[0].rdtype == dns.rdatatype.IXFR
        current = await ask(stage, again)
        assert [one.rdtype for one in current.answer] == [dns.rdatatype.SOA]
        hosted = stage.zones.zone_of("example.test")
        assert hosted is not None
        await stage.zones.change(
            hosted, [RecordChange("CREATE", "new.example.test", "A", 300, (HOST,))]
        )

        def renewed() -> None:
            dns.query.inbound_xfr(
                HOST, zone, again, port=stage.port, timeout=5, lifetime=10,
                udp_mode=dns.query.UDPMode.TRY_FIRST,
            )  # fmt: skip

        await asyncio.to_thread(renewed)
        assert zone.find_rdataset("new", "A")

    answering(scene, transfers=transfers(secondaries=[SECONDARY]))


def test_a_signed_zone(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        hosted = stage.zones.zone_of("example.test")
        assert hosted is not None
        dice = stage.zones._randomness
        asked = NewKey("main", "1", "arn:aws:kms:us-east-1:111122223333:key/1", active=True)
        hosted = await stage.zones.sign(
            hosted, zone_signing.with_key(hosted.signing, asked, dice.p256_key(), 1)
        )
        await stage.zones.sign(hosted, zone_signing.enabled(hosted, dice.p256_key()))
        zone = await asyncio.to_thread(copied, stage, axfr())
        for name, node in zone.nodes.items():
            kinds = {(one.rdtype, one.covers) for one in node.rdatasets}
            assert (dns.rdatatype.RRSIG, dns.rdatatype.NSEC) in kinds, name

    answering(scene, transfers=transfers(secondaries=[SECONDARY]))
