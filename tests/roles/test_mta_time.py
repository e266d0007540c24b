"""Expiry, leases, the end, and a store that takes no writes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailstead.mail.delivery import Deliveries
from mailstead.mail.errors import Unavailable
from mailstead.mail.messages import Settlement
from mailstead.mail.ports import Store
from mailstead.mail.queue import HOUR, LEASE, LIFE
from mailstead.roles import mta as mta_module
from mailstead.roles.sender import Patience
from mailstead.wire.smtp_client import Stage
from support.mta import CALM, NO_PORT, RAW, Hosts, message, running, send, settled, states
from support.post import Post
from support.receiver import STALL, Receiver, receiving
from support.waiting import until
from support.world import START

BRIEF = Patience(connect=2.0, replies=dict.fromkeys(Stage, 0.2), quit=0.1)


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
