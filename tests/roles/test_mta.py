"""The MTA against hosts that refuse, drop, stall and lie; and its end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from mailstead.mail.delivery import Route, Unroutable
from mailstead.mail.messages import digest
from mailstead.mail.queue import MINUTE
from mailstead.roles.sockets import bind
from mailstead.wire.smtp import Reply
from support.messages import accepted
from support.mta import CALM, NO_PORT, QUICK, Hosts, message, running, send, settled, states
from support.post import Post
from support.receiver import DROP, STALL, Receiver, receiving
from support.waiting import until
from support.world import START

ON_UVLOOP = pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop], ids=["uvloop"])
"""For long tables: the loop that serves."""


def test_messages_ride_on_one_connection(post: Post) -> None:
    receiver = Receiver()

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message(*(f"u{n}@far.example" for n in range(15))))
            async with running(post, Hosts(receiver.port)):
                found = await settled(post, 15)
            assert {state for _, state, _ in found} == {"delivered"}
            assert found[0][2] == "250 2.0.0 Ok id-1"

    post.world.run(scene())
    assert receiver.connections == 1
    assert receiver.mails == [b"Subject: x\r\n\r\nbody\r\n.\r\n"] * 15
    trace = post.world.run(post.world.store.trace(_only_message(post)))
    assert len(trace.attempts) == 15
    assert trace.attempts[0].replies[0] == "220 host ready"
    assert {step.step for step in trace.steps} >= {"accepted", "routed"}


def _only_message(post: Post) -> str:
    [(name,)] = post.world.store._reader.execute("SELECT message_id FROM outbound").fetchall()
    return name


@ON_UVLOOP
@pytest.mark.parametrize("pipelining", [True, False])
@pytest.mark.parametrize(
    ("stage", "fault", "reply"),
    [
        ("connect", b"450 4.3.2 later\r\n", "450 4.3.2 later"),
        ("connect", b"421 4.3.2 busy\r\n", "421 4.3.2 busy"),
        ("connect", b"SSH-2.0-OpenSSH_9.2p1\r\n", "451 4.5.0 The host's answer makes no sense"),
        ("connect", b"\x16\x03\x01\0\0" * 9000, "451 4.5.0 The host's answer makes no sense"),
        ("connect", b"250 hm\r\n", ""),
        ("connect", DROP, "421 4.4.2 Connection lost"),
        ("connect", STALL, "421 4.4.2 Connection lost"),
        ("helo", b"421 4.3.2 no\r\n", "421 4.3.2 no"),
        ("helo", DROP, "421 4.4.2 Connection lost"),
        ("mail", b"451 4.7.1 greylisted\r\n", "451 4.7.1 greylisted"),
        ("mail", STALL, "421 4.4.2 Connection lost"),
        ("rcpt", b"450 4.2.1 \xff\xfe\r\n", "450 4.2.1 \\xff\\xfe"),
        ("rcpt", b"421 4.7.0 slow down\r\n", "421 4.7.0 slow down"),
        ("data", b"451 4.3.0 no\r\n", "451 4.3.0 no"),
        ("content", DROP, "421 4.4.2 Connection lost"),
        ("dot", DROP, "421 4.4.2 Connection lost"),
        ("dot", STALL, "421 4.4.2 Connection lost"),
        ("dot", b"452 4.3.1 full\r\n", "452 4.3.1 full"),
        ("dot", b"rubbish\r\n", "451 4.5.0 The host's answer makes no sense"),
    ],
)
def test_trouble_is_tried_again_later(
    post: Post, stage: str, fault: str | bytes, reply: str, pipelining: bool
) -> None:
    receiver = Receiver({stage: [fault]}, pipelining=pipelining)

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port), QUICK):
                [(_, state, found)] = await settled(post)
                if not reply:
                    return
                assert (state, found) == ("waiting", reply)
                [entry] = await post.world.store.queue(10)
                assert abs(entry.due - START - MINUTE) <= 6000
                # The next attempt, a minute later, works.
                post.world.clock.time = entry.due
                post.world.wakeups.wake("queue")
                await until(lambda: states(post)[0][1] == "delivered")

    post.world.run(scene())
    assert [email for email in post.emails() if "Delivery" in email.subject] == []


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        ("connect", b"554 5.7.1 go away\r\n"),
        ("mail", b"550 5.1.7 no\r\n"),
        ("rcpt", b"550 5.1.1 nobody\r\n"),
        ("data", b"554 5.6.0 no\r\n"),
        ("dot", b"550-5.7.1 two\r\n550 5.7.1 lines\r\n"),
    ],
)
def test_a_refusal_for_good_bounces(post: Post, stage: str, fault: bytes) -> None:
    receiver = Receiver({stage: [fault]})

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port)):
                await settled(post, 2)
        assert {(address, state) for address, state, _ in states(post)} == {
            ("a@far.example", "bounced"),
            ("s@sender.example", "delivered"),
        }

    post.world.run(scene())
    assert b"Final-Recipient: rfc822; a@far.example" in receiver.mails[-1]
    assert b"From: MAILER-DAEMON@amazonses.com" in receiver.mails[-1]


def test_the_bounce_of_a_bounce_is_nobodys(post: Post) -> None:
    receiver = Receiver({"rcpt": [b"550 5.1.1 no\r\n"] * 9})

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port)):
                await settled(post, 2)
        assert {state for _, state, _ in states(post)} == {"bounced"}
        assert len(states(post)) == 2
        assert await post.world.store.queue(10) == []

    post.world.run(scene())


def test_a_host_that_does_not_answer(post: Post) -> None:
    with_nobody = bind("test", 0, "127.0.0.1")

    async def scene() -> None:
        await send(post, message("a@far.example"))
        async with running(post, Hosts(with_nobody.port)):
            [(_, state, reply)] = await settled(post)
        assert (state, reply) == ("waiting", "451 4.4.1 mx0.test: Connection refused")

    try:
        post.world.run(scene())
    finally:
        with_nobody.close()
    trace = post.world.run(post.world.store.trace(_only_message(post)))
    [attempt] = trace.attempts
    assert (attempt.tls, attempt.replies, attempt.outcome) == (None, (), "deferred")


def test_a_connection_that_takes_too_long(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()

        class Loop:
            def __getattr__(self, name: str) -> Any:
                return getattr(loop, name)

            async def create_connection(self, *_: Any, **__: Any) -> Any:
                await asyncio.Event().wait()

        monkeypatch.setattr("mailstead.roles.sender.asyncio.get_running_loop", Loop)
        await send(post, message("a@far.example"))
        async with running(post, Hosts(NO_PORT), replace(QUICK, connect=0.02)):
            [(_, state, reply)] = await settled(post)
        assert (state, reply) == ("waiting", "451 4.4.1 mx0.test: no answer within 0 s")

    post.world.run(scene())


def test_the_next_host_is_asked_where_the_first_is_not_to_be_had(post: Post) -> None:
    for fault in (b"450 4.3.2 later\r\n", b"554 5.3.2 no mail here\r\n", DROP):
        first, second = Receiver({"connect": [fault]}), Receiver()

        async def scene(first: Receiver = first, second: Receiver = second) -> None:
            before = len(states(post))
            async with receiving(first), receiving(second):
                await send(post, message("a@far.example"))
                router = Hosts(NO_PORT, first.port, second.port)
                async with running(post, router, QUICK):
                    await until(lambda: states(post)[before:][0][1] == "delivered")

        post.world.run(scene())
        assert len(second.mails) == 1


@pytest.mark.parametrize(
    ("stage", "fault"),
    [("rcpt", b"450 4.2.1 no\r\n"), ("mail", b"550 no\r\n"), ("dot", DROP), ("dot", b"451 no\r\n")],
)
def test_no_other_host_is_asked_about_what_one_judged_or_may_have(
    post: Post, stage: str, fault: str | bytes
) -> None:
    first, second = Receiver({stage: [fault]}), Receiver()

    async def scene() -> None:
        async with receiving(first), receiving(second):
            await send(post, message("a@far.example", reverse_path=""))
            async with running(post, Hosts(first.port, second.port), QUICK):
                await settled(post)

    post.world.run(scene())
    assert second.connections == 0


@pytest.mark.parametrize("announced", [True, False])
def test_a_connection_closed_meanwhile_costs_no_attempt(post: Post, announced: bool) -> None:
    word: str | bytes = b"421 4.4.2 idle\r\n" if announced else DROP
    receiver = Receiver({"after": [word] * 5})

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example", "b@far.example", "c@far.example"))
            async with running(post, Hosts(receiver.port), CALM):
                await settled(post, 3)
        assert {state for _, state, _ in states(post)} <= {"delivered", "waiting"}
        if not announced:
            assert {state for _, state, _ in states(post)} == {"delivered"}

    post.world.run(scene())
    assert receiver.connections >= 2


def test_a_connection_is_not_used_for_ever(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailstead.roles.carrier.MESSAGES_A_CONNECTION", 2)
    receiver = Receiver()

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message(*(f"u{n}@far.example" for n in range(5))))
            async with running(post, Hosts(receiver.port)):
                await settled(post, 5)

    post.world.run(scene())
    assert receiver.connections == 3


def test_nowhere_to_go(post: Post) -> None:
    router = Hosts()
    router.found = Unroutable(Reply.of(550, "There is no such domain", enhanced="5.1.2"))

    async def scene() -> None:
        await send(post, message("a@x.invalid", reverse_path=""))
        async with running(post, router):
            [(_, state, reply)] = await settled(post)
        assert (state, reply) == ("bounced", "550 5.1.2 There is no such domain")
        router.found = Route(())
        await send(post, message("b@x.example", reverse_path=""))
        async with running(post, router):
            _, (_, state, reply) = await settled(post, 2)
        assert (state, reply) == ("waiting", "451 4.4.1 No host could be tried")

    post.world.run(scene())


@pytest.mark.parametrize(
    ("raw", "changes", "reply"),
    [
        (b"Subject: x\n\nbare\n", {}, "550 5.6.0 The message can't be sent: a bare CR"),
        (b"Subject: \0\r\n\r\n", {}, "550 5.6.0 The message can't be sent: a bare CR"),
        (b"x: y\r\n\r\n", {"mail_from": "no address@"}, "550 5.1.3 The address can't be used"),
        (b"x: y\r\n\r\n", {"signers": None}, "550 5.7.0 the DKIM key"),
    ],
)
def test_what_cannot_be_sent_is_returned(
    post: Post, raw: bytes, changes: dict[str, Any], reply: str
) -> None:
    if "signers" in changes:
        changes = {"signers": accepted("x@y.test").message.signers}
    receiver = Receiver()

    async def scene() -> None:
        async with receiving(receiver):
            bad = message("a@far.example", raw=raw, reverse_path="", **changes)
            await send(post, bad, message("b@far.example", reverse_path=""))
            async with running(post, Hosts(receiver.port)):
                first, second = await settled(post, 2)
        assert first[1] == "bounced"
        assert first[2].startswith(reply), first
        assert second[1] == "delivered"

    post.world.run(scene())


def test_eight_bits_and_long_lines_and_dots_arrive_as_they_are(post: Post) -> None:
    raw = b"Subject: \xff\r\n\r\n.\r\n..\r\n.x\r\n" + b"y" * 5000 + b"\r\n\x80\xfe\r\n"
    receiver = Receiver()

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("ü@far.example", raw=raw))
            async with running(post, Hosts(receiver.port)):
                await settled(post)

    post.world.run(scene())
    [got] = receiver.mails
    assert got == raw.replace(b"\r\n.", b"\r\n..") + b".\r\n"


def test_forty_megabytes_go_out(post: Post) -> None:
    raw = b"Subject: x\r\n\r\n" + (b"z" * 998 + b"\r\n") * 41_000
    receiver = Receiver()

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example", raw=raw))
            async with running(post, Hosts(receiver.port)):
                await settled(post)

    post.world.run(scene())
    assert len(receiver.mails[0]) == len(raw) + 3
    assert digest(receiver.mails[0][:-3]) == digest(raw)
