"""The DNS server on real loopback sockets, with dnspython as its client."""

import asyncio
import logging
import socket
from contextlib import suppress

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from mailstead.mail.dns_cookies import DnsCookies
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.response_rates import ResponseRates
from mailstead.mail.service import ServiceNames
from mailstead.mail.zones import Zones
from mailstead.roles.clock import LocalWakeups, SystemClock
from mailstead.roles.crowd import Crowd
from mailstead.roles.resolver import CaptureResolver
from mailstead.wire.dns import Query, frame, truncated
from mailstead.wire.lookup import FAILED, NXDOMAIN, Answer, Question, Status
from support.nameserver import HOST, KEY, Play, Stage
from support.waiting import until

COOKIES = DnsCookies(b"secret", SystemClock())


@pytest.mark.parametrize("stream", [False, True])
def test_hosted_zones_are_answered(answering: Play, stream: bool) -> None:
    async def scene(stage: Stage) -> None:
        reply = await stage.ask("MX.example.test", "A", stream=stream)
        assert reply.answer[0].to_text() == "MX.example.test. 300 IN A 127.0.0.1"
        assert reply.flags & dns.flags.AA
        assert (await stage.ask("example.com", "A", stream=stream)).rcode() == dns.rcode.REFUSED
        missing = await stage.ask("no.example.test", "A", stream=stream)
        assert missing.rcode() == dns.rcode.NXDOMAIN

    answering(scene)


@pytest.mark.parametrize("stream", [False, True])
def test_the_services_names_are_answered_to_loopback(answering: Play, stream: bool) -> None:
    async def scene(stage: Stage) -> None:
        found = await stage.ask("token.dkim.amazonses.com", "TXT", stream=stream)
        assert b"".join(found.answer[0][0].strings) == KEY.encode()
        missing = await stage.ask("x.dkim.amazonses.com", "TXT", stream=stream)
        assert missing.rcode() == dns.rcode.NXDOMAIN
        spf = await stage.ask("amazonses.com", "TXT", stream=stream)
        assert spf.answer[0][0].strings[0].startswith(b"v=spf1")
        other = await stage.ask("amazonses.com", "TYPE65280", stream=stream)
        assert other.rcode() == dns.rcode.REFUSED

    answering(scene)


def test_a_stub_resolver_follows_the_dkim_alias(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        alias = await stage.ask("token._domainkey.example.test", "TXT")
        target = alias.answer[0][0].target.to_text()
        assert target == "token.dkim.amazonses.com."
        assert (await stage.ask(target, "TXT")).answer[0].rdtype == dns.rdatatype.TXT

    answering(scene)


def test_the_services_names_are_not_for_others(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        packet = dns.message.make_query("amazonses.com", "TXT").to_wire()
        assert isinstance(stage.server.reply(packet, "::1", stream=False), Query)
        refused = stage.server.reply(packet, "192.0.2.1", stream=False)
        assert isinstance(refused, bytes)
        assert dns.message.from_wire(refused).rcode() == dns.rcode.REFUSED

    answering(scene)


def test_without_service_names(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask("amazonses.com", "TXT")).rcode() == dns.rcode.REFUSED

    answering(scene, names=None)


def test_what_is_cut_comes_whole_over_tcp(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask("long.example.test", "TXT")).flags & dns.flags.TC
        reply = await stage.ask("long.example.test", "TXT", stream=True)
        assert len(reply.answer[0][0].strings) == 6

    answering(scene)


def test_a_change_is_answered_at_once(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        zone = stage.zones.zone_of("example.test")
        assert zone is not None
        await stage.zones.change(zone, [RecordChange("CREATE", "n.example.test", "A", 1, (HOST,))])
        assert (await stage.ask("n.example.test", "A")).answer

    answering(scene)


def test_the_rate_of_a_network(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        reply = (await stage.ask("mx.example.test", "A")).to_wire()
        plain = dns.message.make_query("mx.example.test", "A").to_wire()
        for _ in range(3):
            assert stage.server.within_rate(reply, HOST, plain) == reply
        found = [stage.server.within_rate(reply, "192.0.2.1", plain) for _ in range(3)]
        assert found == [reply, None, truncated(reply)]
        # Who shows a cookie that it got at its address is who it says it is.
        mine = COOKIES.answer("192.0.2.1", b"8 octets")
        query = dns.message.make_query("mx.example.test", "A", options=[cookie(mine)])
        for client, sent in (("192.0.2.1", reply), ("192.0.2.2", truncated(reply))):
            stage.server.within_rate(reply, client, plain)
            assert stage.server.within_rate(reply, client, query.to_wire()) == sent

    answering(scene, rates=ResponseRates(1), cookies=COOKIES)


def cookie(data: bytes) -> dns.edns.Option:
    return dns.edns.GenericOption(dns.edns.OptionType.COOKIE, data)


@pytest.mark.parametrize("stream", [False, True])
def test_a_cookie_is_answered(answering: Play, stream: bool) -> None:
    async def scene(stage: Stage) -> None:
        for name, kind in (("mx.example.test", "A"), ("token.dkim.amazonses.com", "TXT")):
            query = dns.message.make_query(name, kind, options=[cookie(b"8 octets")])
            send = dns.query.tcp if stream else dns.query.udp
            reply = await asyncio.to_thread(send, query, HOST, timeout=5, port=stage.port)
            [given] = reply.options
            data = given.to_wire()
            assert data[:8] == b"8 octets"
            assert COOKIES.is_ours(HOST, data)
            assert reply.answer

    answering(scene, cookies=COOKIES)


def test_both_families(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        try:
            reply = await stage.ask("mx.example.test", "A", host="::1")
        except OSError:
            pytest.skip("this machine has no IPv6 loopback")
        assert reply.answer

    answering(scene)


async def exchange(port: int, data: bytes, replies: int) -> list[dns.message.Message]:
    """Send over one TCP connection, byte by byte at its end, and read so many replies."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(data[:-1])
        await writer.drain()
        writer.write(data[-1:])
        found: list[dns.message.Message] = []
        for _ in range(replies):
            size = int.from_bytes(await reader.readexactly(2))
            found.append(dns.message.from_wire(await reader.readexactly(size)))
        return found
    finally:
        writer.close()


def test_many_queries_over_one_connection(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        names = ["mx.example.test", "token.dkim.amazonses.com", "no.example.test"] * 20
        queries = [dns.message.make_query(name, "TXT") for name in names]
        data = b"".join(len(one.to_wire()).to_bytes(2) + one.to_wire() for one in queries)
        replies = await exchange(stage.port, data, len(queries))
        assert [one.id for one in replies] == [one.id for one in queries]

    answering(scene)


def test_who_is_silent_or_talks_nonsense_is_left(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        for sent in (b"", b"\0\5", b"\0\3abc"):
            reader, writer = await asyncio.open_connection(HOST, stage.port)
            writer.write(sent)
            assert await reader.read() == b""
            writer.close()

    answering(scene, idle_seconds=0.05)


def test_one_network_does_not_take_all_connections(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        reader, writer = await asyncio.open_connection(HOST, stage.port)
        assert (await stage.ask("mx.example.test", "A")).answer
        refused, other = await asyncio.open_connection(HOST, stage.port)
        assert await refused.read() == b""
        other.close()
        writer.close()
        assert await reader.read() == b""

    answering(scene, crowd=Crowd(lambda _: False).apart(total=10, each=1))


def test_too_many_connections(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        assert (await stage.ask("mx.example.test", "A")).answer
        reader, writer = await asyncio.open_connection(HOST, stage.port)
        assert await reader.read() == b""
        writer.close()

    answering(scene, connections=0)


def test_who_sends_a_query_octet_by_octet_has_no_more_time_than_who_is_silent(
    answering: Play,
) -> None:
    async def scene(stage: Stage) -> None:
        reader, writer = await asyncio.open_connection(HOST, stage.port)

        async def drip() -> None:
            while True:
                writer.write(b"\1")
                await asyncio.sleep(0.02)

        task = asyncio.create_task(drip())
        async with asyncio.timeout(2):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        task.cancel()
        writer.close()

    answering(scene, idle_seconds=0.1)


def test_who_asks_and_does_not_read_is_not_answered_on(answering: Play) -> None:
    """Replies to thousands of questions in one segment would else wait in memory."""

    async def scene(stage: Stage) -> None:
        query = dns.message.make_query("long.example.test", "TXT").to_wire()
        loop = asyncio.get_running_loop()
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await loop.sock_connect(deaf, (HOST, stage.port))
            sending = asyncio.create_task(loop.sock_sendall(deaf, frame(query) * 20_000))
            listener = stage.server._listener
            assert listener is not None
            connection = await until(lambda: next(iter(listener._open), None))
            await until(lambda: connection._drained is not None)

            def closed() -> bool:
                assert connection._transport.get_write_buffer_size() < 100_000
                return connection.closed

            await until(closed)
            sending.cancel()

    answering(scene, idle_seconds=0.3)


class Noted(logging.Handler):
    """Tells when something is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = asyncio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.set()


def test_a_failure_ends_one_query_only(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        query = dns.message.make_query("token.dkim.amazonses.com", "TXT").to_wire()
        noted = Noted()
        log = logging.getLogger("mailstead.dns")
        log.addHandler(noted)
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
                stage.zones._compiled = object()  # type: ignore[assignment] - it must fail
                client.sendto(query, (HOST, stage.port))
                await noted.seen.wait()
                noted.seen.clear()
                stage.zones._changed()
                stage.store._reader.close()
                client.sendto(query, (HOST, stage.port))
                await noted.seen.wait()
        finally:
            log.removeHandler(noted)
        assert (await stage.ask("mx.example.test", "A")).answer

    answering(scene)


def test_what_is_no_query_gets_no_reply(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(b"x", (HOST, stage.port))
        assert (await stage.ask("mx.example.test", "A")).answer

    answering(scene)


def test_the_resolver(answering: Play) -> None:
    async def scene(stage: Stage) -> None:
        resolver = CaptureResolver(stage.zones, ServiceNames(), stage.store)
        questions = [
            Question("mx.example.test", "A"),
            Question("token._domainkey.example.test", "TXT"),
            Question("amazonses.com", "A"),
            Question("away.example.test", "A"),
            Question("www.example.com", "A"),
            Question("no.example.test", "A"),
        ]
        assert await resolver.ask(questions) == [
            Answer(Status.OK, ("127.0.0.1",)),
            Answer(Status.OK, (KEY.encode(),)),
            Answer(Status.OK, ("127.0.0.1",)),
            NXDOMAIN,
            NXDOMAIN,
            NXDOMAIN,
        ]

    answering(scene)


def test_aliases_without_end(answering: Play) -> None:
    class Endless(Zones):
        def answer(self, question: Question) -> Answer | Question | None:
            return question

    async def scene(stage: Stage) -> None:
        zones = Endless(stage.store, LocalWakeups(), stage.zones._randomness, SystemClock())
        resolver = CaptureResolver(zones, ServiceNames(), stage.store)
        assert await resolver.ask([Question("a.test", "A")]) == [FAILED]

    answering(scene)
