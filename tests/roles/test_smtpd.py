"""SMTP ports under clients that flood, dribble, inject and lie."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailstead.mail.errors import Unavailable
from mailstead.mail.reception import Reception
from mailstead.roles.crowd import Crowd
from mailstead.roles.net import Listener, OwnPeers
from mailstead.roles.smtpd import (
    CROWDED,
    Budget,
    mx_port,
)
from support.post import Post
from support.smtpd import MESSAGE, serving, settings
from support.talk import Talk, talk
from support.waiting import until


@pytest.fixture
def on_mx(hosting: Post, contexts: Any) -> Callable[..., None]:
    """Run a scene against the MX port."""

    def run(scene: Any, *, reception: Reception | None = None, **changes: Any) -> None:
        async def whole() -> None:
            given = settings(contexts, **changes)
            port = mx_port(given, reception or hosting.reception, OwnPeers())
            async with serving(port) as (number, listener), talk(number) as one:
                greeting = await one.hear()
                assert greeting == "220 mx.mailstead.test ESMTP"
                await scene(one, number, listener)

        hosting.world.run(whole())

    return run


def subjects(post: Post) -> list[tuple[str, str]]:
    return [(email.mailbox, email.subject) for email in post.emails()]


def test_a_message_in_one_packet_and_byte_by_byte(on_mx: Any, hosting: Post) -> None:
    dialogue = (
        b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<you@example.test>\r\nDATA\r\n"
        + MESSAGE
        + b".\r\nQUIT\r\n"
    )

    async def scene(one: Talk, number: int, _: Any) -> None:
        one.writer.write(dialogue)
        whole = await one.rest()
        async with talk(number) as slow:
            await slow.hear()
            for octet in dialogue:
                slow.writer.write(bytes([octet]))
                await asyncio.sleep(0)
            again = await slow.rest()
        assert whole.count(b"\r\n") == again.count(b"\r\n")
        assert whole.endswith(b"221 2.0.0 Bye\r\n")

    on_mx(scene)
    assert subjects(hosting) == [("you@example.test", "Hi")] * 2


def test_no_250_before_the_commit_returned(on_mx: Any, hosting: Post) -> None:
    committing, go_on = threading.Event(), threading.Event()

    def hook() -> bool:
        committing.set()
        go_on.wait(10)
        return False

    async def scene(one: Talk, *_: Any) -> None:
        await one.say("EHLO x")
        hosting.world.store._connection.set_commit_hook(hook)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(one.deliver("a@b.example", "you@example.test"))
            await asyncio.to_thread(committing.wait, 10)
            for _ in range(20):
                await asyncio.sleep(0)
            assert not one.reader._buffer
            assert not sending.done()
            go_on.set()
        assert sending.result().startswith("250 2.0.0 Ok 0100")
        hosting.world.store._connection.set_commit_hook(None)

    on_mx(scene)


def test_a_full_store_is_452_and_a_failing_one_451(on_mx: Any, hosting: Post) -> None:
    class Refusing:
        full = True

        async def deliver(self, *_: Any) -> None:
            raise Unavailable("no", full=self.full)

        def __getattr__(self, name: str) -> Any:
            return getattr(hosting.world.store, name)

    store = Refusing()
    reception = replace(hosting.reception, store=store)

    async def scene(one: Talk, *_: Any) -> None:
        await one.say("EHLO x")
        reply = await one.deliver("a@b.example", "you@example.test")
        assert reply == "452 4.3.1 Not enough space here now, try again later"
        store.full = False
        reply = await one.deliver("a@b.example", "you@example.test")
        assert reply == "451 4.3.0 Temporary service failure"
        assert await one.say("NOOP") == "250 2.0.0 Ok"

    on_mx(scene, reception=reception)


def test_our_own_mistakes_are_451(
    on_mx: Any, hosting: Post, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(one: Talk, *_: Any) -> None:
        await one.say("EHLO x")
        await one.say("MAIL FROM:<a@b.example>")
        # A reception without anything behind it.
        assert await one.say("RCPT TO:<you@example.test>") == "451 4.3.0 Temporary service failure"

    on_mx(scene, reception=replace(hosting.reception, mailboxes=None))
    assert "Rcpt failed" in caplog.text


def test_ten_thousand_commands_at_once(on_mx: Any) -> None:
    async def scene(one: Talk, number: int, _: Any) -> None:
        one.writer.write(b"NOOP\r\n" * 10_000 + b"QUIT\r\n")
        async with talk(number) as other:
            # Another client is served meanwhile.
            await other.hear()
            assert (await other.say("EHLO y")).startswith("250-")
        replies = await one.rest()
        assert replies == b"250 2.0.0 Ok\r\n" * 10_000 + b"221 2.0.0 Bye\r\n"

    on_mx(scene)


def test_ten_thousand_mistakes_end_after_twenty(on_mx: Any) -> None:
    async def scene(one: Talk, *_: Any) -> None:
        one.writer.write(b"COOK ME DINNER\r\n" * 10_000)
        replies = (await _rest(one)).split(b"\r\n")
        assert len(replies) < 25
        assert b"421 4.7.0 Too many errors" in replies

    on_mx(scene)


async def _rest(one: Talk) -> bytes:
    """What was said before a reset, which may cut it."""
    try:
        return await one.rest()
    except ConnectionError:
        return bytes(one.reader._buffer)


@pytest.mark.parametrize("line", [b"A" * (1 << 20), b"EHLO " + b"x" * (1 << 20) + b"\r\n"])
def test_a_line_of_a_mebibyte(on_mx: Any, line: bytes) -> None:
    async def scene(one: Talk, number: int, _: Any) -> None:
        one.writer.write(line)
        replies = await _rest(one)
        assert replies in (b"500 5.5.2 Line too long\r\n", b"")
        async with talk(number) as other:
            assert (await other.hear()).startswith("220")

    on_mx(scene)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\0" * 5000,
        b"\xff" * 5000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 4,
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\r\n" * 5000,
        b"EHLO x\nMAIL FROM:<a@b>\n",
        b"BDAT 99999999999999999999999 LAST\r\n",
    ],
)
def test_garbage_ends(on_mx: Any, hosting: Post, garbage: bytes) -> None:
    async def scene(one: Talk, number: int, _: Any) -> None:
        one.writer.write(garbage)
        one.writer.write_eof()
        await _rest(one)
        async with talk(number) as other:
            await other.hear()
            await other.say("EHLO x")
            reply = await other.deliver("a@b.example", "you@example.test")
            assert reply.startswith("250 ")

    on_mx(scene)
    assert len(hosting.emails()) == 1


def test_octets_that_are_no_text_are_kept_from_the_store(on_mx: Any, hosting: Post) -> None:
    async def scene(one: Talk, *_: Any) -> None:
        assert (await one.say(b"EHLO \xff\xfe.example")).startswith("250-")
        assert (await one.say(b"MAIL FROM:<\xff@b.example> SMTPUTF8")).startswith("553 5.1.7")
        assert (await one.say(b"MAIL FROM:<a@b.example> SMTPUTF8")).startswith("250")
        assert (await one.say(b"RCPT TO:<\xed\xa0\x80@b.example>")).startswith("553 5.1.3")
        await one.say("RSET")
        reply = await one.deliver("a@b.example", "you@example.test", raw=b"\xff: \xfe\r\n\r\n\x80")
        assert reply.startswith("250 "), reply

    on_mx(scene)
    assert len(hosting.emails()) == 1


def test_smtputf8_from_end_to_end(on_mx: Any, hosting: Post) -> None:
    hosting.mailbox("jürgen@example.test")

    async def scene(one: Talk, *_: Any) -> None:
        assert "SMTPUTF8" in await one.say("EHLO x")
        assert (await one.say("MAIL FROM:<søren@b.example>")).startswith("553 5.6.7")
        assert (await one.say("MAIL FROM:<søren@b.example> SMTPUTF8 BODY=8BITMIME")).startswith(
            "250"
        )
        assert (await one.say("RCPT TO:<JÜRGEN@example.test>")).startswith("250")
        assert (await one.say("RCPT TO:<ünknown@bücher.example>")).startswith("250")
        await one.say("DATA")
        reply = await one.say("Subject: Grüße\r\nFrom: søren@b.example\r\n\r\nß", ".")
        assert reply.startswith("250 2.0.0 Ok")

    on_mx(scene)
    assert subjects(hosting) == [("jürgen@example.test", "Grüße")]
    [leased] = hosting.world.mail()
    assert leased.recipient.address == "ünknown@xn--bcher-kva.example"
    assert leased.message.mail_from == "søren@b.example"


def test_many_recipients_in_one_transaction(on_mx: Any, hosting: Post) -> None:
    async def scene(one: Talk, *_: Any) -> None:
        await one.say("EHLO x")
        await one.say("MAIL FROM:<a@b.example>")
        for first in range(0, 1000, 100):
            one.send(*(f"RCPT TO:<u{n}@far.example>" for n in range(first, first + 100)))
            for _ in range(100):
                assert (await one.hear()).startswith("250 2.1.5")
        assert (await one.say("RCPT TO:<more@far.example>")).startswith("452 4.5.3")
        await one.say("DATA")
        assert (await one.say(MESSAGE, ".")).startswith("250 ")

    on_mx(scene)
    waiting = hosting.world.mail()
    assert len(waiting) == 1000
    assert len({leased.message.id for leased in waiting}) == 1


def test_a_recipient_named_twice_gets_one_copy(on_mx: Any, hosting: Post) -> None:
    async def scene(one: Talk, *_: Any) -> None:
        await one.say("EHLO x")
        await one.deliver("a@b.example", "you@example.test", "you@example.test", "c@d.example")

    on_mx(scene)
    assert len(hosting.emails()) == 1


def test_postmaster_needs_no_domain(on_mx: Any, hosting: Post) -> None:
    async def scene(one: Talk, *_: Any) -> None:
        await one.say("EHLO x")
        assert (await one.deliver("", "postmaster")).startswith("250 ")

    on_mx(scene)
    assert [email.mailbox for email in hosting.emails()] == ["you@example.test"]
    assert hosting.emails()[0].prefix.startswith(b"Return-Path: <>\r\n")


def test_what_is_not_offered_to_catchers(on_mx: Any) -> None:
    async def scene(one: Talk, *_: Any) -> None:
        features = await one.say("EHLO x")
        assert "STARTTLS" not in features
        assert "AUTH" not in features
        assert (await one.say("STARTTLS")).startswith("502 5.5.1")
        assert (await one.say("AUTH PLAIN AGEAYg==")).startswith("502 5.5.1")
        assert (await one.say("HELO y")) == "250 mx.mailstead.test"

    on_mx(scene)


def test_starttls_drops_what_was_said_before_it(
    hosting: Post, contexts: Any, loop_factory: Any
) -> None:
    reception = replace(hosting.reception, capture=False)

    async def scene() -> None:
        port = mx_port(settings(contexts), reception, OwnPeers())
        async with serving(port) as (number, _), talk(number) as one:
            await one.hear()
            assert "STARTTLS" in await one.say("EHLO x")
            one.send("STARTTLS", "RSET", "MAIL FROM:<evil@b.example>", "RCPT TO:<you@example.test>")
            assert await one.hear() == "220 2.0.0 Ready to start TLS"
            await one.tls(contexts[1])
            # Neither the commands nor the greeting of before are known.
            assert (await one.say("RCPT TO:<you@example.test>")).startswith("503")
            assert "STARTTLS" not in await one.say("EHLO x")
            assert (await one.say("STARTTLS")).startswith("503")
            assert (await one.deliver("a@b.example", "you@example.test")).startswith("250 ")
            assert await one.say("QUIT") == "221 2.0.0 Bye"

    hosting.world.run(scene())
    [email] = hosting.emails()
    assert b"with ESMTPS id" in email.prefix


def test_silence_and_the_end(on_mx: Any, hosting: Post) -> None:
    async def silent(one: Talk, *_: Any) -> None:
        assert await one.rest() == b"421 4.4.2 Timeout waiting for data from client.\r\n"

    on_mx(silent, timeout=0.05)

    async def leaving(one: Talk, _: int, listener: Listener) -> None:
        await one.say("EHLO x")
        await one.say("MAIL FROM:<a@b.example>")
        await one.say("RCPT TO:<you@example.test>")
        await one.say("DATA")
        one.send("Subject: half")
        await asyncio.sleep(0.02)
        listener.stop()
        assert await one.rest() == b"421 4.3.2 The server is ending\r\n"

    on_mx(leaving)
    assert hosting.emails() == []


def test_a_client_that_closes_its_side_in_the_middle(on_mx: Any, hosting: Post) -> None:
    async def scene(one: Talk, number: int, listener: Listener) -> None:
        for dialogue in (
            ["EHLO x"],
            [
                "EHLO x",
                "MAIL FROM:<a@b.example>",
                "RCPT TO:<you@example.test>",
                "DATA",
                "Subject: x",
            ],
        ):
            async with talk(number) as half:
                half.send(*dialogue)
                half.writer.write_eof()
                await half.rest()
        await until(lambda: len(listener._open) == 1)

    on_mx(scene)
    assert hosting.emails() == []


def test_a_client_that_never_reads_is_cut(on_mx: Any) -> None:
    async def scene(one: Talk, _: int, listener: Listener) -> None:
        one.writer.transport.pause_reading()
        one.writer.transport.set_write_buffer_limits(1 << 30)
        for _ in range(400):
            one.writer.write(b"EHLO x\r\n" * 5000)
        await until(lambda: not listener._open)

    on_mx(scene, write_timeout=0.05)


def test_unfinished_messages_have_a_bound_together(on_mx: Any, hosting: Post) -> None:
    budget = Budget(200_000)

    async def scene(one: Talk, number: int, _: Any) -> None:
        async with talk(number) as other:
            await other.hear()
            for client in (one, other):
                await client.say("EHLO x")
                await client.say("MAIL FROM:<a@b.example>")
                await client.say("RCPT TO:<you@example.test>")
                await client.say("DATA")
            one.writer.write(b"x" * 150_000)
            await until(lambda: budget._sum >= 150_000)
            other.writer.write(b"x" * 100_000)
            assert (await other.rest()) == b"421 4.3.2 Too much mail at once, try again later\r\n"
            reply = await one.say("", ".")
            assert reply.startswith("250 "), reply
            assert (await one.say("NOOP")).startswith("250")
            assert budget._sum < 100

    on_mx(scene, budget=budget)
    assert budget._sum == 0
    assert len(hosting.emails()) == 1


def test_two_hundred_idle_connections_hinder_nobody(on_mx: Any, hosting: Post) -> None:
    async def scene(one: Talk, number: int, listener: Listener) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", number) for _ in range(200)]
        await until(lambda: len(listener._open) == 201)
        await one.say("EHLO x")
        assert (await one.deliver("a@b.example", "you@example.test")).startswith("250 ")
        for _, writer in idle:
            writer.transport.abort()

    on_mx(scene)


def test_a_crowd_from_elsewhere_is_told(hosting: Post, contexts: Any) -> None:
    async def scene() -> None:
        port = mx_port(settings(contexts), hosting.reception, OwnPeers())
        crowd = Crowd(lambda _: False, each=1)
        async with (
            serving(port, crowd=crowd, refusal=CROWDED) as (number, _),
            talk(number) as first,
            talk(number) as second,
        ):
            assert (await first.hear()).startswith("220")
            assert await second.hear() == "421 Too many concurrent SMTP connections"
            assert await second.rest() == b""

    hosting.world.run(scene())


def test_a_message_of_40_megabytes(on_mx: Any, hosting: Post) -> None:
    line = b"x" * 998 + b"\r\n"
    raw = b"Subject: large\r\n\r\n" + line * 41_900

    async def scene(one: Talk, *_: Any) -> None:
        await one.say("EHLO x")
        reply = await one.deliver("a@b.example", "you@example.test", raw=raw[:-2])
        assert reply.startswith("250 ")
        await one.say("MAIL FROM:<a@b.example>")
        await one.say("RCPT TO:<you@example.test>")
        await one.say("DATA")
        assert (await one.say(raw + line * 200, ".")).startswith("552 5.3.4")
        assert (await one.say("NOOP")).startswith("250")

    on_mx(scene)
    [email] = hosting.emails()
    assert hosting.raw(email).endswith(raw)
