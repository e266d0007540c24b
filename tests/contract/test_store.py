"""What every Store promises, whichever engine is behind it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailstead.mail.errors import Conflict, NotFound
from mailstead.mail.messages import Attempt, EmailFilter, MailUser, Sent, Settlement, Step, digest
from mailstead.mail.model import Identity, RecordSet
from mailstead.mail.ports import Create, Remove, Replace, Stands, Store, Vacant
from support.messages import OTHER, SCOPE, accepted, arrival, identity

WithStore = Callable[..., None]


def test_a_resource_comes_back_whole_with_its_secrets(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        await store.apply(Create(identity()))
        found = await store.get(Identity, SCOPE, "example.test")
        assert found == identity()
        assert found.dkim.key is not None
        assert found.dkim.key.private == b"\0private\xff"
        assert await store.find(Identity, "example.test") == identity()
        assert await store.get(Identity, OTHER, "example.test") is None

    with_store(body)


def test_changes_apply_whole_or_not_at_all(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        await store.apply(Create(identity()))
        with pytest.raises(Conflict) as taken:
            await store.apply(Create(identity("new.test")), Create(identity()))
        assert taken.value.reason == "exists"
        assert await store.get(Identity, SCOPE, "new.test") is None
        changed = replace(identity(), configuration_set="set")
        with pytest.raises(Conflict) as stale:
            await store.apply(Replace(changed, identity()))
        assert stale.value.reason == "stale"
        await store.apply(Replace(identity(), changed))
        assert await store.get(Identity, SCOPE, "example.test") == changed
        with pytest.raises(Conflict):
            await store.apply(Remove(identity()))
        await store.apply(Remove(changed))
        assert await store.get(Identity, SCOPE, "example.test") is None
        assert await store.find(Identity, "example.test") is None

    with_store(body)


def test_guards_change_nothing_and_refuse(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        one = identity()
        with pytest.raises(Conflict) as gone:
            await store.apply(Create(identity("new.test")), Stands(one))
        assert gone.value.reason == "gone"
        assert await store.get(Identity, SCOPE, "new.test") is None
        await store.apply(Vacant(Identity, SCOPE, "exam"), Create(one))
        changed = replace(one, token="t")
        await store.apply(Stands(changed))
        assert await store.get(Identity, SCOPE, one.name) == one
        with pytest.raises(Conflict) as taken:
            await store.apply(Remove(one), Create(identity("b.test")), Vacant(Identity, SCOPE, "b"))
        assert (taken.value.reason, taken.value.name) == ("in-use", "b.test")
        assert await store.get(Identity, SCOPE, one.name) == one
        await store.apply(Remove(one), Vacant(Identity, SCOPE, ""), Vacant(RecordSet, SCOPE, ""))
        await store.apply(Create(identity(scope=OTHER)), Vacant(Identity, SCOPE, ""))

    with_store(body)


@pytest.mark.parametrize("size", [0, 5, 100_000])
def test_bodies_come_and_go_with_the_resources_that_hold_them(
    with_store: WithStore, size: int
) -> None:
    async def body(store: Store) -> None:
        raw, other = b"x" * size, b"y" * (size + 1)
        one, two = identity("one.test"), identity("two.test")
        await store.apply(Create(one), keep=[raw])
        with pytest.raises(Conflict):
            await store.apply(Create(one), keep=[other], release=[digest(raw)])
        assert await store.body(digest(raw)) == raw
        with pytest.raises(NotFound):
            await store.body(digest(other))
        await store.apply(Create(two), keep=[raw])
        await store.apply(Remove(one), release=[digest(raw)])
        assert await store.body(digest(raw)) == raw
        new = replace(two, token="t")
        await store.apply(Replace(two, new), keep=[other], release=[digest(raw)])
        assert await store.body(digest(other)) == other
        with pytest.raises(NotFound):
            await store.body(digest(raw))
        await store.apply(keep=[other], release=[digest(other), b"unknown"])
        assert await store.body(digest(other)) == other

    with_store(body)


def test_a_selection_is_ordered_and_pages(with_store: WithStore) -> None:
    def record(owner: str) -> RecordSet:
        name = RecordSet.key("Z1", owner, "TXT")
        return RecordSet(SCOPE, name, "Z1", owner, "TXT", 60, ('"x"',))

    async def body(store: Store) -> None:
        owners = ["example.test", "_dmarc.example.test", "a.example.test", "a.b.example.test"]
        await store.apply(*(Create(record(owner)) for owner in owners))
        await store.apply(Create(replace(record("example.test"), name="Z10 x")))
        found = await store.select(RecordSet, SCOPE, prefix="Z1 ")
        assert [one.owner for one in found] == sorted(
            owners, key=lambda owner: RecordSet.key("Z1", owner, "TXT")
        )
        rest = await store.select(RecordSet, None, prefix="Z1 ", after=found[0].name, limit=2)
        assert rest == found[1:3]

    with_store(body)


def test_a_leased_recipient_is_settled_once(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        one = accepted("a@x.test", "b@y.test")
        await store.enqueue([one])
        assert await store.next_due() == 1_000_000
        assert await store.destinations(999_999, 10) == []
        assert await store.destinations(1_000_000, 10) == ["x.test", "y.test"]
        [leased] = await store.lease(1_000_000, 2_000_000, ["x.test"], 5)
        assert leased.message == one.message
        assert (leased.recipient.address, leased.attempts) == ("a@x.test", 1)
        assert await store.lease(1_000_000, 2_000_000, ["x.test"], 5) == []
        attempt = Attempt(
            1_000_001, "a@x.test", "mx", "127.0.0.1", "TLSv1.3", ("220 hi", "250 ok"), "delivered"
        )
        await store.settle([Settlement(leased, "delivered", "250 ok", attempts=(attempt,))])
        trace = await store.trace(one.message.message_id)
        assert trace is not None
        assert trace.attempts == (attempt,)
        assert [step.step for step in trace.steps] == ["accepted"]
        assert await store.body(one.message.body) == one.raw
        assert [entry.recipient for entry in await store.queue(10)] == ["b@y.test"]
        assert await store.outbound(one.message.message_id[:12]) == [
            (one.message.message_id, SCOPE, "sender@example.test", ("a@x.test", "b@y.test"))
        ]
        assert await store.outbound("0200") == []

    with_store(body)


def test_an_expired_lease_is_leased_again_and_the_old_token_settles_nothing(
    with_store: WithStore,
) -> None:
    async def body(store: Store) -> None:
        await store.enqueue([accepted("a@x.test")])
        [old] = await store.lease(1_000_000, 1_000_500, ["x.test"], 5)
        [new] = await store.lease(1_000_500, 1_001_000, ["x.test"], 5)
        assert new.lease > old.lease
        assert new.attempts == 2
        await store.settle([Settlement(old, "bounced", "550 no")])
        assert len(await store.queue(10)) == 1
        await store.settle([Settlement(new, "deferred", "451 later", due=1_002_000)])
        [entry] = await store.queue(10)
        assert (entry.due, entry.last_reply, entry.attempts) == (1_002_000, "451 later", 2)
        assert await store.retry(5, []) == 1
        assert await store.next_due() == 5
        assert await store.discard([entry.id]) == 1
        assert await store.queue(10) == []

    with_store(body)


def test_released_leases_are_due_at_once(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        await store.enqueue([accepted("a@x.test")])
        await store.lease(1_000_000, 9_000_000, ["x.test"], 5)
        assert await store.destinations(1_000_000, 10) == []
        await store.release()
        assert await store.destinations(1_000_000, 10) == ["x.test"]

    with_store(body)


def test_a_bounce_is_counted_and_its_notice_enqueued_in_the_same_write(
    with_store: WithStore,
) -> None:
    async def body(store: Store) -> None:
        await store.enqueue([accepted("a@x.test")])
        [leased] = await store.lease(1_000_000, 2_000_000, ["x.test"], 5)
        notice = replace(accepted("sender@example.test", raw=b"dsn"), counted=0)
        await store.settle([Settlement(leased, "bounced", "550 no", notice=notice)])
        [entry] = await store.queue(10)
        assert entry.recipient == "sender@example.test"
        slot = 1_000_000 - 1_000_000 % 900_000
        assert await store.statistics(SCOPE, 0) == [Sent(slot, attempts=1, bounces=1)]
        assert await store.counted(SCOPE, 0) == [(960_000, 1)]
        assert await store.counted(OTHER, 0) == []

    with_store(body)


def test_many_writers_at_once_all_land_and_a_failure_is_its_own(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        await store.apply(Create(identity()))
        async with asyncio.TaskGroup() as group:
            for place in range(100):
                group.create_task(store.enqueue([accepted(f"u{place}@x.test")]))
            clash = group.create_task(collide(store))
        assert clash.result()
        assert len(await store.queue(1000)) == 100
        status = await store.status()
        assert status.queued == 100
        assert status.details["commits"] < 30

    async def collide(store: Store) -> bool:
        with pytest.raises(Conflict):
            await store.apply(Create(identity()))
        return True

    with_store(body)


def test_large_and_small_bodies_come_back_byte_for_byte(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        for raw in (b"\0\xff", b"x" * 65_536, b"y" * 65_537, b"z" * 1_000_000):
            one = accepted("a@x.test", raw=raw)
            await store.enqueue([one])
            await store.enqueue([accepted("b@x.test", raw=raw)])
            assert await store.body(digest(raw)) == raw
        with pytest.raises(NotFound):
            await store.body(digest(b"never"))

    with_store(body)


def test_emails_become_visible_in_order_and_are_found(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        hidden = replace(arrival("h1", "a@out.test"), visible=False)
        await store.deliver([hidden])
        await store.deliver([arrival("v1", "b@out.test")])
        assert [email.mailbox for email in await store.emails(EmailFilter())] == ["b@out.test"]
        await store.enqueue([accepted("a@out.test")])
        [leased] = await store.lease(1_000_000, 2_000_000, ["out.test"], 5)
        await store.settle([Settlement(leased, "delivered", "250 ok", arrival="h1")])
        newest, older = await store.emails(EmailFilter())
        assert (newest.mailbox, older.mailbox) == ("a@out.test", "b@out.test")
        assert newest.message_id == leased.message.message_id
        assert newest.id > older.id
        assert await store.emails(EmailFilter(after=older.id)) == [newest]
        assert await store.emails(EmailFilter(text="HELLO", to="A@OUT")) == [newest]
        assert await store.emails(EmailFilter(text="absent")) == []
        assert await store.emails(EmailFilter(mailbox="b@out.test", since=50)) == [older]
        assert await store.emails(EmailFilter(header_from="<S@", subject="HI", limit=1)) == [newest]
        assert await store.email(newest.id) == newest
        await store.delete_emails([newest.id])
        assert await store.email(newest.id) is None
        assert [one.id for one in await store.emails(EmailFilter())] == [older.id]

    with_store(body)


def test_a_hosted_mailbox_takes_mail_only_while_it_exists(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        user = MailUser(SCOPE, "you@example.test", "hosted", "hash", 9)
        await store.add_user(user)
        with pytest.raises(Conflict):
            await store.add_user(user)
        await store.deliver([replace(arrival("d1", "you@example.test"), kind="hosted")])
        found = await store.user("you@example.test")
        assert found is not None
        assert (found.used_count, found.password_hash) == (1, "hash")
        await store.replace_password("you@example.test", "other")
        assert [one.password_hash for one in await store.users("example.test")] == ["other"]
        assert await store.users("example.org") == []
        assert await store.emails(EmailFilter(capture_only=True)) == []
        await store.delete_user("you@example.test")
        assert await store.users() == []
        assert await store.emails(EmailFilter()) == []
        with pytest.raises(NotFound):
            await store.deliver([replace(arrival("d2", "you@example.test"), kind="hosted")])
        for change in (store.delete_user("x@y"), store.replace_password("x@y", "")):
            with pytest.raises(NotFound):
                await change

    with_store(body)


def test_the_demo_goes_and_nothing_else(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        demo = accepted("you@example.test")
        demo = replace(demo, message=replace(demo.message, demo=True))
        await store.enqueue([demo, accepted("a@x.test")])
        await store.deliver([replace(arrival("d", "d@out.test"), demo=True)])
        await store.deliver([arrival("e", "e@out.test")])
        assert await store.remove_demo() == 2
        assert [entry.recipient for entry in await store.queue(10)] == ["a@x.test"]
        assert [one.mailbox for one in await store.emails(EmailFilter())] == ["e@out.test"]

    with_store(body)


def test_bytes_that_are_no_text_come_back_as_they_were(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        raw = b"Subject: \xff\xfe\x80 \0\r\nX: \xc3(\r\n\r\n\0\xed\xa0\x80\r\n"
        one = accepted("a@x.test", raw=raw)
        await store.enqueue([one])
        received = arrival("b", "c@x.test", raw=raw)
        prefix = b"Return-Path: <\xff\0>\r\n"
        await store.deliver([replace(received, prefix=prefix, subject="naïve \N{PILE OF POO}")])
        assert await store.body(digest(raw)) == raw
        [email] = await store.emails(EmailFilter(subject="NAÏVE"))
        assert (email.prefix, email.subject) == (prefix, "naïve \N{PILE OF POO}")
        assert email.size == len(prefix) + len(raw)
        [leased] = await store.lease(1_000_000, 2_000_000, ["x.test"], 1)
        reply = "550 \N{PILE OF POO} said the host"
        attempt = Attempt(5, "a@x.test", "mx", "[::1]", None, (reply,), "bounced")
        await store.settle([Settlement(leased, "bounced", reply, attempts=(attempt,))])
        trace = await store.trace(one.message.message_id)
        assert trace is not None
        assert trace.attempts == (attempt,)

    with_store(body)


def test_what_arrives_and_what_goes_on_are_kept_together(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        onward = accepted("b@y.test")
        await store.deliver([arrival("a1", "a@x.test")], [onward])
        assert len(await store.emails(EmailFilter())) == 1
        assert len(await store.queue(10)) == 1
        await store.deliver([], [accepted("c@y.test")])
        gone = replace(arrival("a2", "gone@example.test"), kind="hosted")
        for arrivals, again in (
            ([gone], accepted("d@y.test")),
            ([arrival("a3", "e@x.test")], onward),
        ):
            with pytest.raises(Exception):  # noqa: B017, PT011 - either fails in its own way
                await store.deliver(arrivals, [again])
        assert len(await store.emails(EmailFilter())) == 1
        assert len(await store.queue(10)) == 2

    with_store(body)


def test_the_eldest_of_a_domain_comes_first(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        for name in ("z@example.test", "a@example.test", "m@example.org"):
            await store.add_user(MailUser(SCOPE, name, "hosted", "hash", 9))
        assert [one.address for one in await store.users("example.test")] == [
            "z@example.test",
            "a@example.test",
        ]
        assert [one.address for one in await store.users("example.test", 1)] == ["z@example.test"]
        assert [one.address for one in await store.users()] == [
            "a@example.test",
            "m@example.org",
            "z@example.test",
        ]

    with_store(body)


def test_filters_add_up(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        await store.add_user(MailUser(SCOPE, "you@x.test", "hosted", "hash", 9))
        await store.deliver(
            [
                replace(arrival("1", "you@x.test"), kind="hosted", received_at=10),
                replace(arrival("2", "you@x.test"), received_at=20),
                replace(arrival("3", "other@x.test"), received_at=30),
            ]
        )

        async def found(**wanted: Any) -> list[str]:
            return [one.message_id for one in await store.emails(EmailFilter(**wanted))]

        assert await found() == ["3", "2", "1"]
        assert await found(mailbox="you@x.test") == ["2", "1"]
        assert await found(mailbox="you@x.test", capture_only=True) == ["2"]
        assert await found(since=20) == ["3", "2"]
        assert await found(message_id="2", since=20) == ["2"]
        assert await found(message_id="2", mailbox="other@x.test") == []
        first = (await store.emails(EmailFilter(message_id="1")))[0].id
        assert await found(after=first, mailbox="you@x.test") == ["2"]
        assert await found(after=first, limit=1) == ["2"]

    with_store(body)


def test_ids_rise_in_the_order_in_which_mail_is_seen(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(40):
                group.create_task(store.deliver([arrival(f"{number}", f"u{number % 4}@x.test")]))
        seen = [one.id for one in await store.emails(EmailFilter())]
        assert seen == sorted(seen, reverse=True)
        assert len(set(seen)) == 40
        assert await store.emails(EmailFilter(after=seen[0])) == []

    with_store(body)


def test_a_conflict_changes_nothing_of_its_write(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        one = accepted("a@x.test")
        await store.enqueue([one])
        with pytest.raises(Exception):  # noqa: B017, PT011 - the engine's own word for it
            await store.enqueue([accepted("b@x.test"), one])
        assert [entry.recipient for entry in await store.queue(10)] == ["a@x.test"]
        assert await store.counted(SCOPE, 0) == [(960_000, 1)]

    with_store(body)


def test_leases_are_fair_and_bounded(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        await store.enqueue([accepted(*(f"u{n}@a.test" for n in range(30)))])
        await store.enqueue([accepted("x@b.test", "y@c.test", at=1_000_001)])
        leased = await store.lease(1_000_001, 2_000_000, ["a.test", "b.test", "none.test"], 3)
        assert [one.recipient.address for one in leased] == [
            "u0@a.test",
            "u1@a.test",
            "u2@a.test",
            "x@b.test",
        ]
        assert len({one.lease for one in leased}) == 1
        assert await store.destinations(1_000_001, 1) == ["a.test"]
        assert await store.destinations(1_000_001, 9) == ["a.test", "c.test"]
        # What is leased is neither retried nor lost by it.
        assert await store.retry(7, [leased[0].recipient.id]) == 0
        assert await store.discard([leased[3].recipient.id]) == 1
        await store.settle([Settlement(leased[3], "delivered", "250 ok")])
        assert "x@b.test" not in [entry.recipient for entry in await store.queue(100)]

    with_store(body)


def test_a_journey_goes_on_where_a_receiver_is_ours(with_store: WithStore) -> None:
    async def body(store: Store) -> None:
        one = replace(accepted("a@out.test"), steps=())
        await store.enqueue([one])
        assert await store.trace(one.message.message_id) is None
        received = replace(arrival("r1", "a@out.test"), steps=(Step(7, "received", {"ü": None}),))
        await store.deliver([replace(received, visible=False)])
        own = await store.trace("r1")
        assert own is not None
        assert own.steps == received.steps
        [leased] = await store.lease(1_000_000, 2_000_000, ["out.test"], 1)
        steps = (Step(5, "signed", {}), Step(9, "delivered", {}))
        await store.settle([Settlement(leased, "delivered", "250 ok", steps=steps, arrival="r1")])
        whole = await store.trace(one.message.message_id)
        assert whole is not None
        assert [step.step for step in whole.steps] == ["signed", "received", "delivered"]

    with_store(body)
