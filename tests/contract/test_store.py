"""What every Store promises, whichever engine is behind it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from mailstead.mail.errors import Conflict, NotFound
from mailstead.mail.messages import (
    Accepted,
    Arrival,
    Attempt,
    Door,
    EmailFilter,
    MailUser,
    OutboundMessage,
    Recipient,
    Sent,
    Settlement,
    Signer,
    Step,
    digest,
)
from mailstead.mail.model import (
    Dkim,
    Identity,
    MailFrom,
    Proof,
    RecordSet,
    Scope,
    Secret,
    SigningKey,
    VerificationStatus,
)
from mailstead.mail.ports import Create, Remove, Replace, Stands, Store, Vacant

SCOPE = Scope("000000000000", "us-east-1")
OTHER = Scope("111111111111", "eu-west-1")
WithStore = Callable[..., None]


def identity(name: str = "example.test", scope: Scope = SCOPE) -> Identity:
    return Identity(
        scope,
        name,
        created_at=5,
        proof=Proof(VerificationStatus.SUCCESS, since=7),
        dkim=Dkim(
            enabled=True,
            key=SigningKey(("a", "b", "c"), Secret(b"\0private\xff"), "p=abc", 2048, 6),
        ),
        mail_from=MailFrom("m.example.test", reject_on_mx_failure=True),
        policies={"p": "{}"},
        tags={"CreatedBy": "CDK", "naïve": "ü"},
    )


_ids = iter(range(1, 1_000_000))


def accepted(
    *addresses: str, raw: bytes = b"Subject: x\r\n\r\nbody\r\n", at: int = 1_000_000
) -> Accepted:
    number = next(_ids) * 100
    message = OutboundMessage(
        id=number,
        scope=SCOPE,
        message_id=f"0100-{number}",
        door=Door.API,
        reverse_path="sender@example.test",
        mail_from="amazonses.com",
        header_from="sender@example.test",
        subject="x",
        body=digest(raw),
        size=len(raw),
        signers=(Signer("example.test", "a", "identity:example.test"),),
        accepted_at=at,
        expires_at=at + 1000,
        tags=(("a", "b"),),
    )
    recipients = tuple(
        Recipient(number + 1 + place, address, place, address.partition("@")[2], at)
        for place, address in enumerate(addresses)
    )
    steps = (Step(at, "accepted", {"door": "api"}),)
    return Accepted(message, recipients, raw, steps, counted=len(addresses))


def arrival(name: str, user: str, *, raw: bytes = b"Subject: hi\r\n\r\nHello there\r\n") -> Arrival:
    return Arrival(
        id=name,
        address=user,
        user=user,
        kind="capture",
        scope=SCOPE,
        reverse_path="s@example.test",
        header_from="S <s@example.test>",
        subject="hi",
        raw=raw,
        prefix=b"Return-Path: <s@example.test>\r\n",
        received_at=50,
        message_id="<m@x>",
        authentication={"spf": "pass", "dkim": "pass", "dmarc": "pass"},
        header_index=(),
    )


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
