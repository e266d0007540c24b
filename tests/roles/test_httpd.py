"""HTTP ports: both protocols on one, under clients that dribble, pipeline and lie."""

from __future__ import annotations

import asyncio
import errno
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from mailstead.roles import httpd
from mailstead.roles.httpd import HttpListener
from mailstead.roles.sockets import Binding, PortError, bind
from support.talk import Talk, talk
from support.waiting import until

GET = b"GET /%b HTTP/1.1\r\nHost: x\r\n\r\n"
Play = Callable[[Any], Any]


class App:
    """Answers with what it was asked; some paths take their time."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.go_on = asyncio.Event()
        self.waiting = asyncio.Event()
        self.cut: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        path = scope["path"]
        self.seen.append(path)
        if path == "/fails":
            raise RuntimeError("ours")
        body = b""
        more = True
        while more:
            event = await receive()
            body += event.get("body", b"")
            more = event.get("more_body", False)
        if path.startswith("/wait"):
            self.waiting.set()
            try:
                await self.go_on.wait()
            except asyncio.CancelledError:
                self.cut.append(path)
                raise
        text = f"{scope['scheme']} {scope['method']} {path} {len(body)}".encode()
        headers = [(b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if path == "/stream":
            self.waiting.set()
            await self.go_on.wait()
        await send({"type": "http.response.body", "body": text})


@asynccontextmanager
async def serving(
    app: Any, context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[tuple[int, HttpListener]]:
    binding = bind("api", 0, "127.0.0.1")
    async with asyncio.TaskGroup() as group:
        listener = HttpListener(binding, app, context, **options)
        listener.start(group)
        try:
            yield binding.port, listener
        finally:
            listener.stop()
            await listener.drained(0.2)


async def answer(one: Talk) -> tuple[int, bytes]:
    """Status and body of one response."""
    async with asyncio.timeout(10):
        head = await one.reader.readuntil(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, await one.reader.readexactly(length)


def test_one_port_speaks_both(play: Play, contexts: Any) -> None:
    async def scene() -> None:
        async with (
            serving(App(), contexts[0]) as (port, _),
            talk(port) as plain,
            talk(port, tls=contexts[1]) as secure,
        ):
            for one, scheme in ((plain, b"http"), (secure, b"https")):
                for number in (b"1", b"2"):
                    one.writer.write(GET % number)
                    assert await answer(one) == (200, b"%b GET /%b 0" % (scheme, number))

    play(scene)


def test_a_first_byte_that_comes_late_and_one_that_never_does(play: Play, contexts: Any) -> None:
    async def scene() -> None:
        async with serving(App(), contexts[0], first_byte_seconds=0.1) as (port, listener):
            async with talk(port) as slow, talk(port) as never, talk(port) as gone:
                gone.writer.close()
                await asyncio.sleep(0.03)
                for octet in GET % b"slow":
                    slow.writer.write(bytes([octet]))
                    await asyncio.sleep(0)
                assert (await answer(slow))[0] == 200
                assert await never.rest() == b""
            assert not listener._silent

    play(scene)


def test_a_head_that_dribbles_is_given_up(play: Play, contexts: Any) -> None:
    async def scene() -> None:
        async with serving(App(), None, head_seconds=0.1) as (port, _), talk(port) as one:
            one.writer.write(b"GET / HT")
            assert await one.rest() == b""
        async with serving(App(), contexts[0], head_seconds=0.1) as (port, _), talk(port) as two:
            two.writer.write(GET % b"")
            assert (await answer(two))[0] == 200
            # Idle between requests is another matter; begun, the time runs again.
            await asyncio.sleep(0.15)
            two.writer.write(GET % b"again")
            assert (await answer(two))[0] == 200
            two.writer.write(b"GET /third HTTP/1.1\r\nHost")
            assert await two.rest() == b""

    play(scene)


def test_requests_in_one_packet_are_answered_in_order(play: Play) -> None:
    app = App()

    async def scene() -> None:
        async with serving(app) as (port, _), talk(port) as one:
            post = b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
            one.writer.write(
                GET % b"a" + post + GET % b"b" + b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n"
            )
            bodies = [await answer(one) for _ in range(3)]
            assert bodies == [
                (200, b"http GET /a 0"),
                (200, b"http POST /p 3"),
                (200, b"http GET /b 0"),
            ]
            head = await one.reader.readuntil(b"\r\n\r\n")
            assert b"content-length: 14" in head
            one.writer.write(GET % b"c")
            assert await answer(one) == (200, b"http GET /c 0")

    play(scene)
    assert app.seen == ["/a", "/p", "/b", "/h", "/c"]


def test_many_pipelined_requests_are_held_back(play: Play) -> None:
    app = App()

    async def scene() -> None:
        async with serving(app) as (port, _), talk(port) as one:
            one.writer.write(GET % b"wait" + GET % b"x" * 1000)
            await app.waiting.wait()
            await asyncio.sleep(0.01)
            assert app.seen == ["/wait"]
            app.go_on.set()
            for _ in range(1001):
                assert (await answer(one))[0] == 200

    play(scene)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\n" + b"X-A: b\r\n" * 20_000,
        b"GET / HTTP/1.1\r\nX: " + b"y" * 600_000,
        b"GET /" + b"z" * 600_000,
    ],
)
def test_heads_have_a_bound(play: Play, head: bytes) -> None:
    async def scene() -> None:
        async with serving(App()) as (port, _), talk(port) as one:
            got = b""
            # The peer closes in between, which each loop tells in its own way.
            with suppress(ConnectionError, RuntimeError):
                for start in range(0, len(head), 8192):
                    one.writer.write(head[start : start + 8192])
                    await asyncio.sleep(0)
                got = await one.rest()
            assert got == b"" or got.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))
            async with talk(port) as other:
                other.writer.write(GET % b"")
                assert (await answer(other))[0] == 200

    play(scene)


def test_a_large_head_within_the_bound_and_a_large_body(play: Play) -> None:
    async def scene() -> None:
        async with serving(App()) as (port, _), talk(port) as one:
            head = b"POST / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 30_000
            one.writer.write(head + b"\r\nContent-Length: 5000000\r\n\r\n" + b"z" * 5_000_000)
            assert await answer(one) == (200, b"http POST / 5000000")

    play(scene)


def test_a_body_is_asked_for_where_it_is_expected(play: Play) -> None:
    async def scene() -> None:
        async with serving(App()) as (port, _), talk(port) as one:
            one.writer.write(
                b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
            )
            assert await one.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            one.writer.write(b"abc")
            assert await answer(one) == (200, b"http PUT / 3")

    play(scene)


@pytest.mark.parametrize(
    "garbage",
    [
        b"EHLO x\r\n",
        b"\0" * 100,
        b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"\x16\x03\x01" + b"\xff" * 5000,
        b"\x16",
    ],
)
def test_garbage_harms_nobody(
    play: Play, contexts: Any, caplog: pytest.LogCaptureFixture, garbage: bytes
) -> None:
    logging.getLogger("uvicorn").setLevel(logging.ERROR)

    async def scene() -> None:
        async with serving(App(), contexts[0]) as (port, _), talk(port) as one:
            one.writer.write(garbage)
            one.writer.write_eof()
            with suppress(ConnectionError):
                await one.rest()
            async with talk(port) as other:
                other.writer.write(GET % b"")
                assert (await answer(other))[0] == 200

    play(scene)
    assert "Traceback" not in caplog.text


def test_an_application_that_fails_answers_500(
    play: Play, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        async with serving(App()) as (port, _), talk(port) as one:
            one.writer.write(GET % b"fails")
            assert (await answer(one))[0] == 500

    play(scene)
    assert "ours" in caplog.text


def test_the_end_waits_for_what_runs_and_cuts_what_takes_too_long(
    play: Play, contexts: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = App()

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        async with (
            serving(app, contexts[0]) as (port, listener),
            talk(port) as running,
            talk(port) as idle,
            talk(port) as silent,
            talk(port) as shaking,
        ):
            idle.writer.write(GET % b"idle")
            await answer(idle)
            shaking.writer.write(b"\x16\x03\x01")
            running.writer.write(GET % b"wait")
            await app.waiting.wait()
            await until(lambda: listener._connecting)
            begun = loop.time()
            listener.stop()
            draining = asyncio.ensure_future(listener.drained(5))
            app.go_on.set()
            assert await answer(running) == (200, b"http GET /wait 0")
            await draining
            assert loop.time() - begun < 2
            for one in (idle, silent, running):
                assert await one.rest() == b""

    play(scene)

    stuck = App()

    async def cut() -> None:
        async with (
            serving(stuck) as (port, listener),
            talk(port) as one,
            talk(port) as two,
        ):
            one.writer.write(GET % b"wait")
            await stuck.waiting.wait()
            stuck.waiting.clear()
            two.writer.write(GET % b"stream")
            await stuck.waiting.wait()
            listener.stop()
            await listener.drained(0.02)
            assert await one.rest() == b""
            await two.rest()

    play(cut)
    assert stuck.cut == ["/wait"]
    assert "Traceback" not in caplog.text


def test_a_cancelled_request_is_an_error_while_we_serve(play: Play) -> None:
    app = App()

    async def scene() -> None:
        async with serving(app) as (port, listener), talk(port) as one:
            one.writer.write(GET % b"wait")
            await app.waiting.wait()
            [task] = listener._state.tasks
            task.cancel()
            assert (await answer(one))[0] == 500

    play(scene)


def test_a_system_without_descriptors_gets_a_breather(
    play: Play, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(httpd, "BREATHER_SECONDS", 0.02)

    class Socket:
        failures = 1

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def accept(self) -> Any:
            if self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return self.inner.accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    async def scene() -> None:
        async with serving(App()) as (port, listener), talk(port) as one:
            [*others] = listener._binding.sockets
            odd = Socket(others[0])
            listener._accept(odd)
            one.writer.write(GET % b"")
            assert (await answer(one))[0] == 200
            listener.stop()
            listener._accept_again(odd)

    play(scene)
    assert "no connection can be accepted: [Errno 24]" in caplog.text


def test_a_port_that_was_taken_meanwhile(play: Play) -> None:
    async def scene() -> None:
        first = bind("api", 0, "127.0.0.1")
        second = Binding("api", first.port, bind("api", first.port, "127.0.0.1").sockets)
        for one in first.sockets:
            one.listen()
        async with asyncio.TaskGroup() as group:
            listener = HttpListener(second, App(), None)
            with pytest.raises(PortError):
                listener.start(group)
        first.close()
        second.close()

    play(scene)
