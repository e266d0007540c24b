"""Connections and listeners on real sockets, under peers that misbehave."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from mailstead.roles.crowd import Crowd
from mailstead.roles.net import PAUSE_ABOVE, Connection, Handler, Listener, OwnPeers, PeerGone
from mailstead.roles.sockets import bind
from support.talk import talk
from support.waiting import until

Play = Callable[[Any], Any]


@asynccontextmanager
async def listening(
    handler: Handler, *, context: Any = None, seconds: float = 0.2, **options: Any
) -> AsyncIterator[tuple[int, Listener]]:
    """A listener that is stopped at the end, and cut after some time."""
    binding = bind("test", 0, "127.0.0.1")
    async with asyncio.TaskGroup() as group:
        listener = Listener(binding, handler, group, **options)
        await listener.start(context)
        try:
            yield binding.port, listener
        finally:
            listener.stop()
            await listener.drained(seconds)


async def echo(connection: Connection) -> None:
    while True:
        connection.write(await connection.read(5))
        await connection.drain(5)


def test_what_is_read_is_written(play: Play) -> None:
    async def scene() -> None:
        async with listening(echo) as (port, listener), talk(port) as one:
            assert await one.say("250 hello") == "250 hello"
            one.writer.write_eof()
            assert await one.rest() == b""
            await until(lambda: not listener._open)

    play(scene)


def test_a_silent_peer_is_given_up(play: Play) -> None:
    ends: list[PeerGone] = []

    async def handler(connection: Connection) -> None:
        try:
            await connection.read(0.02)
        except PeerGone as gone:
            ends.append(gone)

    async def scene() -> None:
        async with listening(handler) as (port, _), talk(port) as one:
            assert await one.rest() == b""

    play(scene)
    assert (ends[0].silent, ends[0].leaving) == (True, False)


def test_a_peer_that_does_not_read_is_cut(play: Play) -> None:
    """What it does not take is not kept for ever."""

    async def handler(connection: Connection) -> None:
        await connection.read(5)
        while True:
            connection.write(b"x" * 1_000_000)
            await connection.drain(0.05)

    async def scene() -> None:
        async with listening(handler) as (port, listener):
            with socket.create_connection(("127.0.0.1", port)) as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.sendall(b"begin\r\n")
                [connection] = await until(lambda: list(listener._open))
                await until(lambda: not listener._open)
                # Closed without waiting for what is unsent.
                await until(lambda: connection.closed)

    play(scene)


def test_a_peer_that_does_not_read_the_last_words_is_cut(play: Play) -> None:
    """It would else be kept open, with what it did not take, for as long as it likes."""
    made: list[Connection] = []

    async def handler(connection: Connection) -> None:
        made.append(connection)
        await connection.read(5)
        connection.write(b"x" * 8_000_000)

    async def scene() -> None:
        async with listening(handler, close_seconds=0.05) as (port, listener):
            with socket.create_connection(("127.0.0.1", port)) as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.sendall(b"begin\r\n")
                await until(lambda: made and not listener._open)
                await until(lambda: made[0].closed)

    play(scene)


def test_a_peer_that_writes_faster_than_we_read_is_held(play: Play) -> None:
    held: list[int] = []
    go_on = asyncio.Event

    async def scene() -> None:
        gate = go_on()

        async def handler(connection: Connection) -> None:
            await gate.wait()
            held.append(connection._size)
            total = 0
            while total < 20_000_000:
                total += len(await connection.read(5))
            connection.write(b"250 %d\r\n" % total)

        async with listening(handler) as (port, listener), talk(port) as one:
            one.writer.write(b"z" * 20_000_000)
            [connection] = await until(lambda: list(listener._open))
            await until(lambda: connection._paused)
            gate.set()
            assert await one.hear() == "250 20000000"

    play(scene)
    assert PAUSE_ABOVE < held[0] < 3 * PAUSE_ABOVE


@pytest.mark.parametrize("reset", [False, True])
def test_a_peer_that_goes_is_gone(play: Play, reset: bool) -> None:
    ends: list[str] = []

    async def handler(connection: Connection) -> None:
        try:
            await echo(connection)
        except PeerGone as gone:
            ends.append(f"{gone} {connection.closed}")
            # Nobody is there, and nothing happens.
            connection.write(b"late")
            await connection.drain(1)

    async def scene() -> None:
        async with listening(handler) as (port, listener):
            one = socket.create_connection(("127.0.0.1", port))
            if reset:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await until(lambda: listener._open)
            one.close()
            await until(lambda: not listener._open)

    play(scene)
    assert ends == ["closed True"]


def test_connections_end_when_the_listener_does(play: Play) -> None:
    """An idle one at once; one that does not end is cut after its time."""
    ends: list[str] = []

    async def handler(connection: Connection) -> None:
        word = await connection.read(5)
        try:
            if word == b"stay\r\n":
                await asyncio.Event().wait()
            await connection.read(5)
        except PeerGone as gone:
            ends.append("leaving" if gone.leaving else str(gone))
        except asyncio.CancelledError:
            ends.append("cut")
            raise

    async def scene() -> None:
        async with listening(handler) as (port, listener), talk(port) as idle, talk(port) as stays:
            idle.send("idle")
            stays.send("stay")
            await until(lambda: len(listener._open) == 2)
            for connection in listener._open:
                await until(
                    lambda connection=connection: connection._waiter or not connection._size
                )
            await asyncio.sleep(0.01)
            loop = asyncio.get_running_loop()
            begun = loop.time()
            listener.stop()
            await listener.drained(0.05)
            assert loop.time() - begun < 1
            assert await idle.rest() == b""

    play(scene)
    assert ends == ["leaving", "cut"]


def test_what_had_arrived_is_answered_before_the_end(play: Play) -> None:
    async def scene() -> None:
        binding = bind("test", 0, "127.0.0.1")
        async with asyncio.TaskGroup() as group:
            listener = Listener(binding, echo, group)
            await listener.start()
            async with talk(binding.port) as one:
                assert await one.say("250 first") == "250 first"
                [connection] = listener._open
                connection.data_received(b"250 second\r\n")
                listener.stop()
                await listener.drained(1)
                assert await one.rest() == b"250 second\r\n"

    play(scene)


def test_after_the_stop_nobody_is_let_in(play: Play) -> None:
    async def scene() -> None:
        async with listening(echo) as (_, listener):
            listener.stop()
            late = Connection(listener._carry_on)

            class Transport(asyncio.Transport):
                aborted = False

                def get_extra_info(self, name: str, default: Any = None) -> Any:
                    return ("127.0.0.1", 9) if name == "peername" else default

                def abort(self) -> None:
                    self.aborted = True

            transport = Transport()
            late.connection_made(transport)
            assert transport.aborted
            assert not listener._open

    play(scene)


def test_a_group_that_ends_serves_nobody(play: Play) -> None:
    async def scene() -> None:
        binding = bind("test", 0, "127.0.0.1")
        async with asyncio.TaskGroup() as group:
            listener = Listener(binding, echo, group)
            await listener.start()
            group.create_task(_fail())
            try:
                await asyncio.sleep(5)
            finally:
                # While the group is ending, a client comes.
                async with talk(binding.port) as late:
                    assert await late.rest() == b""
                listener.stop()

    async def _fail() -> None:
        raise RuntimeError("x")

    with pytest.raises(ExceptionGroup):
        play(scene)


def test_a_crowd_is_refused_with_a_word(play: Play) -> None:
    async def scene() -> None:
        crowd = Crowd(lambda _: False, each=2)
        async with (
            listening(echo, crowd=crowd, refusal=b"421 Too many\r\n") as (port, listener),
            talk(port) as first,
            talk(port) as second,
            talk(port) as third,
        ):
            assert await first.say("250 a") == "250 a"
            assert await second.say("250 b") == "250 b"
            assert await third.rest() == b"421 Too many\r\n"
            first.writer.close()
            await until(lambda: len(listener._open) == 1)
            async with talk(port) as fourth:
                assert await fourth.say("250 d") == "250 d"
        assert not crowd._counts

    play(scene)


def test_our_own_failures_end_one_connection_and_are_logged(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(connection: Connection) -> None:
        raise RuntimeError(f"for {connection.peer[0]}")

    async def scene() -> None:
        async with listening(handler) as (port, _), talk(port) as one:
            assert await one.rest() == b""

    play(scene)
    assert "for 127.0.0.1" in caplog.text


def test_tls_from_the_first_byte_and_garbage_instead(
    play: Play, contexts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server, client = contexts
    versions: list[str | None] = []

    async def handler(connection: Connection) -> None:
        versions.append(connection.tls_version)
        await echo(connection)

    async def scene() -> None:
        async with listening(handler, context=server) as (port, _):
            for garbage in (b"EHLO x\r\n", b"\x16\x03\x01\x00\x05garbage garbage", b"\x80" * 5000):
                async with talk(port) as one:
                    one.writer.write(garbage)
                    # An alert at most, and the end.
                    assert b"220" not in await _rest(one)
            async with talk(port, tls=client) as one:
                assert await one.say("250 hello") == "250 hello"

    async def _rest(one: Any) -> bytes:
        try:
            return await one.rest()
        except ConnectionError:
            return b""

    with caplog.at_level(logging.WARNING):
        play(scene)
    assert versions == ["TLSv1.3"]
    assert "Traceback" not in caplog.text


def test_starttls_forgets_what_was_said_in_clear(play: Play, contexts: Any) -> None:
    """Also a lot of it, for which reading was held."""
    server, client = contexts

    async def scene() -> None:
        async def handler(connection: Connection) -> None:
            await connection.read(5)
            connection.write(b"220 go\r\n")
            for size in (10, PAUSE_ABOVE + 10):
                connection.data_received(b"INJECTED\r\n" * (size // 10))
            connection.data_received(b"x" * PAUSE_ABOVE)
            await connection.start_tls(server, server_side=True)
            assert connection.tls_version == "TLSv1.3"
            await echo(connection)

        async with listening(handler) as (port, _), talk(port) as one:
            assert await one.say("STARTTLS") == "220 go"
            await one.tls(client)
            assert await one.say("250 hello") == "250 hello"
            large = "250 " + "y" * 1_000_000
            one.send(large)
            got = b""
            while len(got) < len(large) + 2:
                got += await one.reader.read(1 << 20)
            assert got == large.encode() + b"\r\n"

    play(scene)


def test_a_handshake_that_fails_is_a_peer_gone(play: Play, contexts: Any) -> None:
    server, _ = contexts
    ends: list[str] = []

    async def handler(connection: Connection) -> None:
        try:
            await connection.start_tls(server, server_side=True)
        except PeerGone:
            ends.append("gone")

    async def scene() -> None:
        async with listening(handler) as (port, listener):
            for garbage in (b"this is no handshake\r\n" * 50, b""):
                async with talk(port) as one:
                    one.writer.write(garbage)
                    if not garbage:
                        await until(lambda: listener._open)
                        one.writer.transport.abort()
                    await until(lambda: not listener._open)

    play(scene)
    assert ends == ["gone", "gone"]


def test_our_own_connections_are_known(play: Play) -> None:
    own = OwnPeers()

    async def scene() -> None:
        async with listening(echo) as (port, listener):
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(
                lambda: Connection(own=own), "127.0.0.1", port
            )
            [accepted] = await until(lambda: list(listener._open))
            assert accepted.peer in own
            assert ("127.0.0.1", 1) not in own
            connection.close()
            await until(lambda: accepted.peer not in own)

    play(scene)
