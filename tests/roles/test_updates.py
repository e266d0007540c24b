"""Updates to name servers that are slow, strange, or none, on loopback sockets."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import dns.message
import dns.rcode
import dns.rrset
import dns.update
import pytest

from mailstead.mail.errors import UpdateRefused
from mailstead.roles.clock import SystemClock
from mailstead.roles.updates import TcpPrimary
from mailstead.wire.name_server import NameServer
from mailstead.wire.rdata import to_wire
from mailstead.wire.tsig_key import TsigKey

HOST = "127.0.0.1"
KEY = TsigKey(b"\x08transfer\0", "hmac-sha256", b"s" * 32)
Answer = Callable[[bytes], bytes | None]


def against(
    play: Callable[..., Any],
    answer: Answer,
    scene: Callable[[TcpPrimary], Coroutine[Any, Any, None]],
    key: TsigKey | None = None,
    timeout_seconds: float = 5.0,
) -> None:
    """Play a scene with a server that answers each message so; None closes the connection."""
    serving: list[asyncio.Task[Any]] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append(task)
        size = int.from_bytes(await reader.readexactly(2))
        reply = answer(await reader.readexactly(size))
        if reply:
            writer.write(len(reply).to_bytes(2) + reply)
        if reply is not None:
            await reader.read()
        writer.close()
        await writer.wait_closed()

    async def whole() -> None:
        server = await asyncio.start_server(serve, HOST, 0)
        where = NameServer(HOST, server.sockets[0].getsockname()[1])
        async with server:
            await scene(TcpPrimary(where, key, SystemClock(), timeout_seconds))
            await asyncio.gather(*serving)

    play(whole)


def code(rcode: dns.rcode.Rcode) -> Callable[[bytes], bytes]:
    def answer(packet: bytes) -> bytes:
        reply = dns.message.make_response(dns.message.from_wire(packet))
        reply.set_rcode(rcode)
        return reply.to_wire()

    return answer


def other(packet: bytes) -> bytes:
    return b"\0\0" + code(dns.rcode.NOERROR)(packet)[2:]


@pytest.mark.parametrize(
    ("answer", "options", "words"),
    [
        (code(dns.rcode.REFUSED), {}, "REFUSED"),
        (code(dns.rcode.NOTAUTH), {}, "is not the zone's primary"),
        (code(dns.rcode.SERVFAIL), {}, "its log says why"),
        (code(dns.rcode.YXDOMAIN), {}, "it answers YXDOMAIN"),
        (code(dns.rcode.NXDOMAIN), {}, "it has no zone with example.org in it"),
        (lambda sent: sent[:2] + b"\x80\0" + bytes(8), {"key": KEY}, "it carries no signature"),
        (other, {}, "another question"),
        (lambda _: b"HTTP/1.1 400 Bad Request", {}, "makes no sense"),
        (lambda _: None, {}, "closes the connection"),
        (lambda _: b"", {"timeout_seconds": 0.05}, "does not answer within 0.05 seconds"),
    ],
)
def test_what_goes_wrong_is_said(
    play: Callable[..., Any], answer: Answer, options: dict[str, Any], words: str
) -> None:
    async def scene(primary: TcpPrimary) -> None:
        with pytest.raises(UpdateRefused, match=words):
            await primary.zone_of("example.org")

    against(play, answer, scene, **options)


def test_nobody_listens(play: Callable[..., Any]) -> None:
    async def scene() -> None:
        for server in (NameServer(HOST, 1), NameServer("no.such.host.invalid", 53)):
            with pytest.raises(UpdateRefused, match="can't be reached"):
                await TcpPrimary(server, None, SystemClock()).zone_of("example.org")

    play(scene)


def test_only_what_was_asked_for_counts(play: Callable[..., Any]) -> None:
    def answer(packet: bytes) -> bytes:
        reply = dns.message.make_response(dns.message.from_wire(packet))
        for name, kind, value in (
            ("example.org.", "TXT", '"x"'),
            ("other.org.", "TXT", '"y"'),
            ("example.org.", "A", "192.0.2.1"),
        ):
            reply.answer.append(dns.rrset.from_text(name, 300, "IN", kind, value))
        return reply.to_wire()

    async def scene(primary: TcpPrimary) -> None:
        assert await primary.records("example.org", "TXT") == [b"\1x"]

    against(play, answer, scene)


def test_the_zone_of_a_name(play: Callable[..., Any]) -> None:
    def answer(packet: bytes) -> bytes:
        reply = dns.message.make_response(dns.message.from_wire(packet))
        soa = "ns1.example.org. hostmaster.example.org. 1 7200 900 1209600 60"
        reply.authority.append(dns.rrset.from_text("Example.ORG.", 60, "IN", "SOA", soa))
        return reply.to_wire()

    async def scene(primary: TcpPrimary) -> None:
        assert await primary.zone_of("mail.example.org") == "example.org"

    against(play, answer, scene)


def test_an_update(play: Callable[..., Any]) -> None:
    arrived: list[str] = []

    def answer(packet: bytes) -> bytes:
        update = dns.message.from_wire(packet)
        assert isinstance(update, dns.update.UpdateMessage)
        arrived.extend(rrset.to_text() for rrset in (*update.zone, *update.update))
        return dns.message.make_response(update).to_wire()

    async def scene(primary: TcpPrimary) -> None:
        gone, new = to_wire("MX", "1 old.example."), to_wire("MX", "10 mx.example.org.")
        await primary.update("example.org", "example.org", "MX", [gone], 300, new)

    against(play, answer, scene)
    assert arrived == [
        "example.org. IN SOA",
        "example.org. 0 NONE MX 1 old.example.",
        "example.org. 300 IN MX 10 mx.example.org.",
    ]
