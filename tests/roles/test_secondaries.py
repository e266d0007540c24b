"""NOTIFY to secondaries that answer, refuse, or are silent, on loopback sockets."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.tsig
import pytest

from mailstead.mail.record_changes import RecordChange
from mailstead.roles.clock import SystemClock
from mailstead.roles.secondaries import AT_ONCE, Secondaries
from mailstead.wire.name_server import NameServer
from mailstead.wire.tsig_key import TsigKey
from support.nameserver import HOST, SCOPE, Play, Stage
from support.waiting import until

KEY = TsigKey(b"\x08transfer\0", "hmac-sha256", b"s" * 32)
RING = dns.tsig.Key(dns.name.from_text("transfer"), KEY.secret, "hmac-sha256")
Reply = Callable[[dns.message.Message], bytes | None]


class Secondary(asyncio.DatagramProtocol):
    """Notes what it is told, and answers as it is made to."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply
        self.told: list[dns.message.Message] = []

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        message = dns.message.from_wire(data, keyring=RING)
        self.told.append(message)
        reply = self._reply(message)
        if reply is not None:
            self._transport.sendto(reply, addr)


def good(message: dns.message.Message) -> bytes:
    return dns.message.make_response(message).to_wire()


def refusing(message: dns.message.Message) -> bytes:
    reply = dns.message.make_response(message)
    reply.set_rcode(dns.rcode.REFUSED)
    return reply.to_wire()


def unsigned(message: dns.message.Message) -> bytes:
    plain = dns.message.make_query(message.question[0].name, "SOA", id=message.id)
    plain.set_opcode(dns.opcode.NOTIFY)
    return dns.message.make_response(plain).to_wire()


@asynccontextmanager
async def secondary(reply: Reply) -> AsyncIterator[tuple[Secondary, NameServer]]:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(
        lambda: Secondary(reply), local_addr=(HOST, 0)
    )
    try:
        yield protocol, NameServer(HOST, transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


@asynccontextmanager
async def telling(stage: Stage, *servers: NameServer, **options: Any) -> AsyncIterator[Secondaries]:
    options = {"gather_seconds": 0.01, "pauses": (0.2, 0.2), **options}
    made = Secondaries(
        stage.zones, stage.wakeups, SystemClock(), stage.zones._randomness, servers, **options
    )
    task = asyncio.ensure_future(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def change(stage: Stage, name: str) -> None:
    zone = stage.zones.zone_of("example.test")
    assert zone is not None
    record = RecordChange("CREATE", f"{name}.example.test", "A", 300, (HOST,))
    await stage.zones.change(zone, [record])


@pytest.mark.parametrize("key", [None, KEY])
def test_each_secondary_is_told_at_the_start_and_after_changes(
    answering: Play, key: TsigKey | None
) -> None:
    async def scene(stage: Stage) -> None:
        async with (
            secondary(good) as (one, first),
            secondary(good) as (two, second),
            telling(stage, first, second, key=key) as made,
        ):
            await until(lambda: one.told and two.told and not made._telling)
            assert one.told[0].opcode() == dns.opcode.NOTIFY
            assert one.told[0].had_tsig == (key is not None)
            assert str(one.told[0].question[0].name) == "example.test."
            [before] = stage.zones.compiled.serials.values()
            await change(stage, "a")
            await until(lambda: len(one.told) == len(two.told) == 2 and not made._telling)
            [[soa]] = one.told[1].answer
            assert soa.serial == before + 1
            # Nothing changed: nothing is told.
            stage.wakeups.wake("zones")
            await change(stage, "b")
            await until(lambda: len(one.told) == 3)

    answering(scene)


def test_changes_that_come_quickly_are_told_together(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        async with (
            secondary(good) as (one, server),
            telling(stage, server, gather_seconds=0.1) as made,
        ):
            await until(lambda: one.told and not made._telling)
            [before] = stage.zones.compiled.serials.values()
            for number in range(5):
                await change(stage, f"n{number}")
            await until(lambda: len(one.told) == 2)
            [[soa]] = one.told[1].answer
            assert soa.serial == before + 5

    answering(scene)


def said(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(caplog.messages)


def test_who_is_silent_is_told_again_and_then_left(
    answering: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Stage) -> None:
        async with secondary(lambda _: None) as (one, server), telling(stage, server):
            await until(lambda: "does not answer NOTIFY of example.test" in said(caplog))
            assert len(one.told) == 2

    answering(scene)


def test_a_newer_change_ends_what_is_told_of_an_older_one(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        async with (
            secondary(lambda _: None) as (one, server),
            telling(stage, server, pauses=(30.0,)) as made,
        ):
            await until(lambda: len(one.told) == 1)
            await change(stage, "a")
            await until(lambda: len(one.told) == 2)
            assert len(made._telling) == 1

    answering(scene)


@pytest.mark.parametrize(
    ("key", "reply", "words"),
    [
        (None, refusing, "it is not told that this server is the zone's primary (REFUSED)"),
        (KEY, refusing, "it is not told"),
        (KEY, unsigned, "it carries no signature"),
    ],
)
def test_who_refuses_is_named(
    answering: Play,
    caplog: pytest.LogCaptureFixture,
    key: TsigKey | None,
    reply: Reply,
    words: str,
) -> None:
    async def scene(stage: Stage) -> None:
        async with secondary(reply) as (one, server), telling(stage, server, key=key):
            await until(lambda: words in said(caplog))
            assert f"{server.text} and example.test" in said(caplog)
            assert len(one.told) == 1

    answering(scene)


def test_where_no_way_leads(answering: Play, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def scene(stage: Stage) -> None:
        async with telling(stage, NameServer("192.0.2.1.1", 53), pauses=(0.05,)):
            await until(lambda: "does not answer" in said(caplog))
            assert "NOTIFY to 192.0.2.1.1:53" in said(caplog)

    answering(scene)


def test_a_zone_that_is_gone_meanwhile(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        async with (
            secondary(lambda _: None) as (one, server),
            telling(stage, server, pauses=(0.1, 0.1)) as made,
        ):
            await until(lambda: len(one.told) == 1)
            zone = stage.zones.zone_of("example.test")
            assert zone is not None
            await stage.zones.delete(zone, everything=True)
            await until(lambda: not made._telling)
            assert len(one.told) == 1

    answering(scene)


def test_a_silent_secondary_delays_no_other(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        for number in range(AT_ONCE + 20):
            await stage.zones.create(SCOPE, f"z{number}.test", f"z{number}")
        async with (
            secondary(lambda _: None) as (_, silent),
            secondary(good) as (one, server),
            telling(stage, silent, server, pauses=(30.0,)),
        ):
            await until(lambda: len(one.told) == AT_ONCE + 21)

    answering(scene)
