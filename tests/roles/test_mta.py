"""The MTA against hosts that refuse, drop, stall and lie; and its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import uvloop

from mailstead.mail.delivery import Deliveries, Hop, Route, Unroutable
from mailstead.mail.errors import Unavailable
from mailstead.mail.messages import Accepted, Door, EmailFilter, Settlement, digest
from mailstead.mail.ports import Store
from mailstead.mail.queue import HOUR, LEASE, LIFE, MINUTE
from mailstead.roles import mta as mta_module
from mailstead.roles.mta import Mta
from mailstead.roles.net import Listener, OwnPeers
from mailstead.roles.sender import Patience
from mailstead.roles.smtpd import SmtpSettings, outside_port
from mailstead.roles.sockets import bind
from mailstead.roles.tls import client_context
from mailstead.wire.smtp import Reply
from mailstead.wire.smtp_client import Stage
from support.messages import accepted
from support.post import Post
from support.receiver import DROP, STALL, Receiver, receiving
from support.waiting import until
from support.world import START

QUICK = Patience(connect=1.0, replies=dict.fromkeys(Stage, 0.1), quit=0.1)
BRIEF = Patience(connect=2.0, replies=dict.fromkeys(Stage, 0.2), quit=0.1)
CALM = Patience(connect=2.0, replies=dict.fromkeys(Stage, 5.0), quit=0.1)
NO_PORT = 1
ON_UVLOOP = pytest.mark.parametrize("loop_factory", [uvloop.new_event_loop], ids=["uvloop"])
"""For long tables: the loop that serves."""


class Hosts:
    """A router to given hosts, whatever the address."""

    def __init__(self, *ports: int, own: bool = False) -> None:
        hops = [Hop(f"mx{n}.test", "127.0.0.1", port, "none") for n, port in enumerate(ports)]
        self.found: Route | Unroutable = Route(tuple(hops), own=own)

    async def route(self, recipient: str, door: Door) -> Route | Unroutable:
        return self.found


RAW = b"Subject: x\r\n\r\nbody\r\n"


def message(*addresses: str, raw: bytes = RAW, **changes: Any) -> Accepted:
    """A message without a signature, with a mailed bounce."""
    made = accepted(*addresses, raw=raw, at=START)
    given = {"signers": (), "mail_from": "s@sender.example", "reverse_path": "s@sender.example"}
    expires = {"expires_at": START + LIFE}
    return replace(made, message=replace(made.message, **(given | expires | changes)))


@asynccontextmanager
async def running(
    post: Post,
    router: Any,
    patience: Patience = CALM,
    *,
    deliveries: Deliveries | None = None,
    own: OwnPeers | None = None,
) -> AsyncIterator[Mta]:
    """An MTA that is stopped at the end."""
    mta = Mta(
        deliveries or post.deliveries,
        router,
        post.world.wakeups,
        client_context(),
        own or OwnPeers(),
        patience=patience,
        pause_seconds=0.01,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(mta.run())
        try:
            yield mta
        finally:
            mta.stop()
            async with asyncio.timeout(10):
                await asyncio.wait([task])


async def send(post: Post, *messages: Accepted) -> None:
    await post.world.store.enqueue(messages)
    post.world.wakeups.wake("queue")


def states(post: Post) -> list[tuple[str, str, str]]:
    """(address, state, reply) of every recipient."""
    return post.world.store._reader.execute(
        "SELECT address, state, reply FROM recipient ORDER BY id"
    ).fetchall()


async def settled(post: Post, count: int = 1) -> list[tuple[str, str, str]]:
    """The states, once that many have a reply."""
    await until(lambda: sum(1 for _, _, reply in states(post) if reply) >= count)
    return states(post)


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


# Time.


def test_after_fourteen_hours_it_is_returned(post: Post) -> None:
    receiver = Receiver({"rcpt": [b"450 4.2.1 later\r\n"] * 99}, pipelining=False)

    def first() -> tuple[int, str, str]:
        [row] = post.world.store._reader.execute(
            "SELECT attempts, state, reply FROM recipient WHERE address = 'a@far.example'"
        ).fetchall()
        return row

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port)):
                for tries in range(1, 99):
                    await until(
                        lambda tries=tries: first()[0] == tries and first()[1:] != ("waiting", "")
                    )
                    if first()[1] == "bounced":
                        break
                    [entry] = await post.world.store.queue(10)
                    assert entry.due <= START + LIFE
                    # Emptied, so that the end of the next attempt can be told.
                    post.world.store._connection.execute("UPDATE recipient SET reply = ''")
                    post.world.clock.time = entry.due
                    post.world.wakeups.wake("queue")
                receiver.faults.clear()
                post.world.clock.time += HOUR
                post.world.wakeups.wake("queue")
                await until(lambda: receiver.mails)

    post.world.run(scene())
    assert post.world.clock.time - HOUR - START == LIFE
    assert first()[2].startswith("550 4.4.7 Message expired: unable to deliver in 840 minutes.<450")
    assert b"Status: 4.4.7" in receiver.mails[0]


def test_a_lease_that_runs_out_is_not_begun(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits too long behind others is given back, and leased anew."""
    monkeypatch.setattr(mta_module, "BEGIN_SECONDS", -1.0)
    receiver = Receiver()

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port)):
                [(_, state, reply)] = await settled(post)
                assert (state, reply) == (
                    "waiting",
                    "451 4.4.1 The host was busy with earlier messages",
                )
                monkeypatch.undo()
                post.world.wakeups.wake("queue")
                await until(lambda: states(post)[0][1] == "delivered")

    post.world.run(scene())
    assert len(receiver.mails) == 1


@pytest.mark.parametrize("stage", ["mail", "data", "content"])
def test_a_dot_that_would_come_too_late_is_not_sent(
    post: Post, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(mta_module, "DOT_SECONDS", 0.1)
    raw = b"x: y\r\n\r\n" + b"z" * 30_000_000
    receiver = Receiver({stage: [STALL]}, pipelining=False)

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example", raw=raw if stage == "content" else RAW))
            async with running(post, Hosts(receiver.port), CALM):
                [(_, state, reply)] = await settled(post)
        assert (state, reply) == ("waiting", "421 4.4.2 Connection lost")

    post.world.run(scene())
    assert receiver.mails == []


def test_the_lease_lasts_for_ten_minutes_after_the_dot() -> None:
    assert mta_module.DOT_SECONDS + 600 < LEASE / 1000
    assert 0 < mta_module.BEGIN_SECONDS < mta_module.DOT_SECONDS


def test_a_lost_lease_settles_nothing(post: Post) -> None:
    receiver = Receiver({"dot": [STALL]})

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port), BRIEF):
                await receiver.stalled.wait()
                # Somebody else took it over meanwhile.
                [again] = await post.world.store.lease(
                    START + LEASE + 1, START + 9 * LEASE, ["far.example"], 5
                )
                await post.world.store.settle([Settlement(again, "delivered", "250 by another")])
                await asyncio.sleep(0.25)
            assert [(state, reply) for _, state, reply in states(post)] == [
                ("delivered", "250 by another")
            ]

    post.world.run(scene())


# The end, and a store that takes no writes.


def test_a_stop_ends_what_is_under_way_and_leaves_the_rest(post: Post) -> None:
    receiver = Receiver({"dot": [STALL]})

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message(*(f"u{n}@far.example" for n in range(10))))
            async with running(post, Hosts(receiver.port), BRIEF) as mta:
                await receiver.stalled.wait()
                mta.stop()
                await settled(post, 1)
            found = states(post)
            assert [reply for _, _, reply in found if reply] == ["421 4.4.2 Connection lost"]
            assert len(receiver.mails) == 1
            # Begun again by the next start.
            await post.world.store.release()
            assert await post.world.store.next_due() == 0

    post.world.run(scene())


def test_an_idle_mta_ends_at_once(post: Post) -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with running(post, Hosts(NO_PORT)):
            await asyncio.sleep(0.02)
        assert loop.time() - begun < 1

    post.world.run(scene())


class Refusing:
    """A store whose writes fail as told."""

    def __init__(self, store: Store, **failures: list[Exception | None]) -> None:
        self._store = store
        self.failures = failures
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name not in self.failures:
            return found

        async def call(*arguments: Any) -> Any:
            self.calls.append(name)
            waiting = self.failures[name]
            failure = waiting.pop(0) if waiting else None
            if failure is not None:
                raise failure
            return await found(*arguments)

        return call


FULL = Unavailable("no space", full=True)


def on(post: Post, **failures: list[Exception | None]) -> tuple[Refusing, Deliveries]:
    store = Refusing(post.world.store, **failures)
    return store, replace(post.deliveries, store=store)


def test_a_full_store_pauses_delivery_and_duplicates_nothing(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    store, deliveries = on(post, lease=[FULL] * 3, settle=[FULL] * 3)

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"), message("b@other.example"))
            async with running(post, Hosts(receiver.port), deliveries=deliveries):
                found = await settled(post, 2)
        assert {state for _, state, _ in found} == {"delivered"}

    with caplog.at_level(logging.INFO):
        post.world.run(scene())
    assert len(receiver.mails) == 2
    assert store.calls.count("lease") < 20
    assert caplog.text.count("delivery waits: no space") <= 4
    assert "delivery goes on" in caplog.text


def test_while_attempts_wait_for_space_nothing_is_leased(post: Post) -> None:
    receiver = Receiver()
    store, deliveries = on(post, lease=[], settle=[FULL] * 1000)

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port), deliveries=deliveries) as mta:
                await until(lambda: mta._kept)
                before = store.calls.count("lease")
                # The lease ends, and the space is still missing.
                post.world.clock.time += 2 * LEASE
                await send(post, message("b@far.example"))
                await until(lambda: store.calls.count("settle") > 20)
                assert store.calls.count("lease") == before
                store.failures["settle"].clear()
                await settled(post, 2)

    post.world.run(scene())
    assert len(receiver.mails) == 2


def test_attempts_that_can_never_be_settled_are_said(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    dead = Unavailable("the disk is dead")

    for failures in ({"settle": [dead]}, {"settle": [FULL] * 9999}):
        _, deliveries = on(post, **failures)
        count = len(receiver.mails)

        async def scene(deliveries: Deliveries = deliveries, count: int = count) -> None:
            async with receiving(receiver):
                await send(post, message("a@far.example"))
                async with running(post, Hosts(receiver.port), deliveries=deliveries):
                    await until(lambda: len(receiver.mails) > count)
                    await asyncio.sleep(0.05)

        post.world.run(scene())
        assert "attempts could not be settled" in caplog.text
        caplog.clear()
        post.world.run(post.world.store.discard([]))


def test_one_settlement_that_fails_takes_no_others_with_it(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    odd = ValueError("odd")
    _, deliveries = on(post, settle=[odd, odd, None])

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example", "b@far.example", "c@far.example"))
            async with running(post, Hosts(receiver.port), deliveries=deliveries):
                await settled(post, 2)
                assert len(receiver.mails) == 3

    post.world.run(scene())
    assert "could not be settled; its lease will run out" in caplog.text
    assert sum(state == "delivered" for _, state, _ in states(post)) == 2


@pytest.mark.parametrize(
    ("error", "state", "words"),
    [
        (Unavailable("unreadable"), "waiting", "is tried later: unreadable"),
        (ZeroDivisionError("ours"), "waiting", "ZeroDivisionError"),
    ],
)
def test_trouble_of_our_own_is_tried_again_and_said(
    post: Post, caplog: pytest.LogCaptureFixture, error: Exception, state: str, words: str
) -> None:
    receiver = Receiver()
    _, deliveries = on(post, body=[error, None])

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port), deliveries=deliveries):
                [(_, found, reply)] = await settled(post)
                assert (found, reply) == (
                    state,
                    "451 4.3.0 The message could not be handled here",
                )

    post.world.run(scene())
    assert words in caplog.text


def test_a_failing_router_is_trouble_of_our_own(post: Post) -> None:
    class Broken:
        async def route(self, *_: Any) -> Any:
            raise KeyError("x")

    async def scene() -> None:
        await send(post, message("a@far.example"))
        async with running(post, Broken()):
            [(_, state, reply)] = await settled(post)
        assert (state, reply[:9]) == ("waiting", "451 4.3.0")

    post.world.run(scene())


def test_a_carrier_that_fails_ends_alone(
    post: Post, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = Receiver()
    failing: list[Callable[..., Any]] = []

    async def scene() -> None:
        store, deliveries = on(post, lease=[None, FULL, None])
        settle = Deliveries.settle

        async def once(self: Deliveries, *arguments: Any) -> Any:
            if not failing:
                failing.append(once)
                raise RuntimeError("settle failed")
            return await settle(self, *arguments)

        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port), deliveries=deliveries):
                await settled(post)
                # From here on every decision fails once, then works.
                monkeypatch.setattr(Deliveries, "settle", once)
                await send(post, message("b@other.example"))
                await settled(post, 2)
        assert store.calls

    post.world.run(scene())
    assert "stops: no space" in caplog.text


def test_a_busy_mta_stays_within_its_bounds(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mta_module, "TOTAL", 3)
    monkeypatch.setattr(mta_module, "EACH", 2)
    monkeypatch.setattr(mta_module, "BATCH", 2)
    receiver = Receiver()
    most = 0

    async def scene() -> None:
        nonlocal most
        async with receiving(receiver):
            everybody = [message(f"u{n}@d{n % 5}.example") for n in range(40)]
            await send(post, *everybody)
            async with running(post, Hosts(receiver.port)) as mta:

                def all_settled() -> bool:
                    nonlocal most
                    most = max(most, mta._active.total())
                    assert all(count <= 2 for count in mta._active.values())
                    return sum(state == "delivered" for _, state, _ in states(post)) == 40

                await until(all_settled)

    post.world.run(scene())
    assert 1 <= most <= 3
    assert len(receiver.mails) == 40


# TLS, and our own receivers.


def opportunistic(port: int, *, own: bool = False) -> Hosts:
    router = Hosts()
    router.found = Route((Hop("mx.test", "127.0.0.1", port, "opportunistic"),), own=own)
    return router


@pytest.mark.parametrize("after", [b"garbage\r\n" * 100, b"\x16\x03\x03\0\x02hi", DROP])
def test_a_handshake_that_fails_is_tried_again(post: Post, after: str | bytes) -> None:
    receiver = Receiver({"helo": [b"250-host\r\n250 STARTTLS\r\n"], "other": [b"220 go\r\n"]})

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, opportunistic(receiver.port), QUICK):
                [(_, state, reply)] = await settled(post)
        assert (state, reply) == ("waiting", "421 4.4.2 Connection lost")

    receiver.faults["other"] = [b"220 go\r\n", after]
    post.world.run(scene())


def test_starttls_refused_is_mail_in_clear(post: Post) -> None:
    receiver = Receiver(
        {"helo": [b"250-host\r\n250 STARTTLS\r\n"], "other": [b"454 4.7.0 no TLS now\r\n"]}
    )

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, opportunistic(receiver.port)):
                [(_, state, _)] = await settled(post)
        assert state == "delivered"

    post.world.run(scene())


def test_mail_to_the_outside_is_seen_once_it_is_settled(post: Post, contexts: Any) -> None:
    port = outside_port(SmtpSettings(contexts[0], 5, 5), post.outside)
    binding = bind("outside", 0, "127.0.0.1")

    async def scene() -> None:
        async with asyncio.TaskGroup() as group:
            listener = Listener(binding, port.serve, group)
            await listener.start()
            own = OwnPeers()
            large = b"Subject: large\r\n\r\n" + b"y" * 3_000_000 + b"\r\n"
            sent = [message("any@where.example"), message("any@where.example", raw=large)]
            async with running(post, opportunistic(binding.port, own=True), own=own):
                await send(post, *sent)
                found = await post.inbox.find(EmailFilter(), count=2, seconds=10)
            await until(lambda: not own._ports)
            listener.stop()
            await listener.drained(1)
        assert {email.message_id for email in found} == {one.message.message_id for one in sent}
        trace = await post.world.store.trace(sent[0].message.message_id)
        assert trace is not None
        assert [attempt.tls for attempt in trace.attempts] == ["TLSv1.3"]
        assert {"accepted", "routed", "received"} <= {step.step for step in trace.steps}

    post.world.run(scene())


def test_a_host_that_is_slow_to_part(post: Post) -> None:
    """Taking leave is brief, whatever the host does."""

    class Clinging(Receiver):
        async def _answer(self, line: str, reader: Any, writer: Any) -> None:
            if line.startswith("QUIT"):
                self.stalled.set()
                await asyncio.Event().wait()
            await super()._answer(line, reader, writer)

    receiver = Clinging()

    async def scene() -> None:
        async with receiving(receiver):
            await send(post, message("a@far.example"))
            async with running(post, Hosts(receiver.port), QUICK):
                await settled(post)
                await receiver.stalled.wait()

    post.world.run(scene())
