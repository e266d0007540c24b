"""What leaves, and what a reply means."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from mailstead.mail import dkim
from mailstead.mail.delivery import Deliveries, MissingKey, Prepared, reply_text
from mailstead.mail.message_ids import ReturnPaths, parse_return_path
from mailstead.mail.messages import Attempt, Door, Leased, OutboundMessage, Step
from mailstead.mail.model import MailFrom, Proof, VerificationStatus
from mailstead.mail.service import ServiceNames
from mailstead.mail.submission import Submission, ask_nobody, submit
from mailstead.wire.dkim_verify import verify
from mailstead.wire.lookup import Answer, Question
from mailstead.wire.message import parse_headers
from mailstead.wire.reports import parse_report
from mailstead.wire.smtp import Reply
from support.world import AMAZON, HOUR, SCOPE, START, World

RAW = (
    b"From: a@example.com\nTo: b@x.test\nSubject: S\nMIME-Version: 1.0\n"
    b"Content-Type: text/plain\n\none\n\ntwo  \n"
)
MINUTE = 60_000


class Threads:
    """The Workers port without threads."""

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)


def deliveries(world: World, names: ServiceNames | None = AMAZON) -> Deliveries:
    return Deliveries(
        world.store,
        world.clock,
        world.dice,
        Threads(),
        ReturnPaths(b"paths"),
        names,
        "mx.mailstead.test",
    )


def sent(world: World, raw: bytes = RAW, *to: str) -> list[Leased]:
    submission = Submission(
        SCOPE, Door.API, ask_nobody, raw=raw, to=to, source="bounces@example.com"
    )
    world.run(submit(world.outbound, submission))
    return world.mail()


@pytest.fixture
def sender(world: World) -> World:
    """Production access, a service key, and example.com verified with its records in DNS."""
    world.production()
    world.with_service_key()
    world.dns.publish(world.verified("example.com"))
    return world


def verdicts(world: World, raw: bytes) -> list[tuple[str, str]]:
    """(domain, result) of every signature of a message."""

    async def look() -> list[tuple[str, str]]:
        asking = verify(raw, world.clock.now() // 1000)
        questions = next(asking)
        try:
            while True:
                questions = asking.send(tuple([await answer(world, one) for one in questions]))
        except StopIteration as stop:
            return [(one.domain, one.result) for one in stop.value]

    return world.run(look())


async def answer(world: World, question: Question) -> Answer:
    if AMAZON.holds(question.name):
        return await AMAZON.answer(question, world.store)
    return (await world.dns.ask([question]))[0]


def prepare(world: World, leased: Leased) -> Prepared:
    return world.run(deliveries(world).prepare(leased))


# What leaves


def test_two_signatures_over_a_message_that_came_with_bare_line_feeds(sender: World) -> None:
    [leased] = sent(sender)
    prepared = prepare(sender, leased)
    assert prepared.data.endswith(b"\r\n\r\none\r\n\r\ntwo  \r\n")
    assert verdicts(sender, prepared.data) == [("example.com", "pass"), ("amazonses.com", "pass")]
    assert prepared.recipient == "b@x.test"
    assert [step.step for step in prepared.steps] == ["signed", "signed"]
    fields = parse_headers(prepared.data).all("dkim-signature")
    for field in fields:
        assert b"a=rsa-sha256; q=dns/txt; c=relaxed/simple;" in field
        assert b"X-SES-Outgoing" not in field
        assert re.search(rb"t=1660147485;", field)
        assert b"Feedback-ID" in field


def test_a_key_of_the_owners_signs(sender: World) -> None:
    key = (sender.run(sender.dice.rsa_key(1024))).decode()
    identity = sender.identity("example.com")
    sender.run(dkim.bring_key(sender.identities, identity, "own", key))
    sender.dns.publish(sender.identity("example.com"))
    sender.look("example.com")
    [leased] = sent(sender)
    assert verdicts(sender, prepare(sender, leased).data)[0] == ("example.com", "pass")


def test_the_reverse_path_has_ses_shape_for_each_recipient(sender: World) -> None:
    first, second = sent(sender, RAW, "b@x.test", "c@x.test")
    paths = [prepare(sender, leased).reverse_path for leased in (first, second)]
    message_id = first.message.message_id
    for number, path in enumerate(paths):
        local, _, domain = path.partition("@")
        assert domain == "amazonses.com"
        assert (len(local), local[:16]) == (len(message_id), message_id[:16])
        parsed = parse_return_path(local)
        assert parsed is not None
        assert parsed.number == number
        assert ReturnPaths(b"paths").matches(parsed, message_id, ("b@x.test", "c@x.test")[number])
    assert paths[0] != paths[1]


def test_a_custom_mail_from(sender: World) -> None:
    done = MailFrom("m.example.com", proof=Proof(VerificationStatus.SUCCESS))
    sender.change("example.com", lambda one: replace(one, mail_from=done))
    [leased] = sent(sender)
    assert prepare(sender, leased).reverse_path.endswith("-000000@m.example.com")


@pytest.mark.parametrize("path", ["me@example.com", ""])
def test_reverse_paths_that_are_used_as_they_are(sender: World, path: str) -> None:
    [leased] = sent(sender)
    message = replace(leased.message, mail_from=path)
    assert deliveries(sender).reverse_path(replace(leased, message=message)) == path


def test_a_message_without_signers_leaves_as_it_is(sender: World) -> None:
    [leased] = sent(sender)
    message = replace(leased.message, signers=())
    prepared = prepare(sender, replace(leased, message=message))
    assert prepared.data == sender.body(leased)
    assert prepared.steps == ()


def test_a_key_that_is_gone(sender: World) -> None:
    [leased] = sent(sender)
    identity = sender.identity("example.com")
    sender.run(dkim.use_easy(sender.identities, identity, 1024))
    with pytest.raises(MissingKey, match=r"of example\.com is gone"):
        prepare(sender, leased)
    sender.run(sender.identities.delete(SCOPE, "example.com"))
    with pytest.raises(MissingKey):
        prepare(sender, leased)


def test_a_service_key_that_is_gone(sender: World, monkeypatch: pytest.MonkeyPatch) -> None:
    [leased] = sent(sender)
    own = next(one for one in leased.message.signers if one.key == "service")
    only = replace(leased, message=replace(leased.message, signers=(replace(own, selector="x"),)))
    with pytest.raises(MissingKey):
        prepare(sender, only)

    async def nothing(*_: object) -> None:
        return None

    monkeypatch.setattr(sender.store, "get", nothing)
    with pytest.raises(MissingKey):
        prepare(sender, only)


# What a reply means


def attempt(reply: Reply) -> Attempt:
    return Attempt(START, "b@x.test", "mx.x.test", "127.0.0.1", None, (str(reply),), "")


def settle(world: World, leased: Leased, reply: Reply, **given: Any) -> Any:
    parts = deliveries(world, given.get("names", AMAZON))
    attempts = given.get("attempts", [attempt(reply)])
    return world.run(parts.settle(leased, attempts, reply, [Step(START, "routed", {})]))


def test_delivered(sender: World) -> None:
    [leased] = sent(sender)
    found = settle(sender, leased, Reply.of(250, "Ok", enhanced="2.0.0"))
    assert (found.outcome, found.reply, found.due, found.notice) == (
        "delivered",
        "250 2.0.0 Ok",
        0,
        None,
    )
    assert [step.step for step in found.steps] == ["routed"]


def test_deferred_until_the_next_attempt(sender: World) -> None:
    [leased] = sent(sender)
    found = settle(sender, leased, Reply.of(451, "later", "please"))
    assert (found.outcome, found.due) == ("deferred", START + MINUTE)
    assert found.reply == "451-later 451 please"
    assert found.steps[-1].step == "deferred"
    sender.clock.time = leased.message.expires_at - 1
    found = settle(sender, leased, Reply.of(451, "later"))
    assert found.due == leased.message.expires_at


def notice(found: Any) -> Any:
    return parse_report(found.notice.raw)


def test_bounced_with_a_report_to_where_bounces_go(sender: World) -> None:
    [leased] = sent(sender)
    reply = Reply.of(550, "no such user", enhanced="5.1.1")
    found = settle(sender, leased, reply)
    assert found.outcome == "bounced"
    message: OutboundMessage = found.notice.message
    assert [one.address for one in found.notice.recipients] == ["bounces@example.com"]
    assert (message.reverse_path, message.mail_from) == ("", "")
    assert message.door is Door.SYSTEM
    assert [one.domain for one in message.signers] == ["amazonses.com"]
    assert found.steps[-1].detail == {
        "reply": "550 5.1.1 no such user",
        "notice_to": "bounces@example.com",
        "notice": message.message_id,
    }
    report = notice(found)
    [delivery] = report.deliveries
    assert (delivery.recipient, delivery.action, delivery.status) == (
        "b@x.test",
        "failed",
        "5.1.1",
    )
    assert report.reporting_mta.endswith("mx.mailstead.test")
    original = f"{leased.message.message_id}@email.amazonses.com"
    assert report.original_message_id == original
    assert f"<{original}>".encode() in sender.body(leased)
    headers = parse_headers(found.notice.raw)
    assert headers.get("from") == b"MAILER-DAEMON@amazonses.com"


def test_no_report_about_a_report(sender: World) -> None:
    [leased] = sent(sender)
    quiet = replace(leased, message=replace(leased.message, reverse_path=""))
    found = settle(sender, quiet, Reply.of(550, "no"))
    assert (found.outcome, found.notice) == ("bounced", None)
    assert found.steps[-1].detail["notice_to"] is None


def test_expired(sender: World) -> None:
    [leased] = sent(sender)
    sender.clock.time += 14 * HOUR
    found = settle(sender, leased, Reply.of(451, "later"))
    assert found.outcome == "bounced"
    text = "550 4.4.7 Message expired: unable to deliver in 840 minutes.<451 later>"
    assert found.reply == text
    assert notice(found).deliveries[0].status == "4.4.7"


def test_a_bounce_before_any_host_was_tried_and_without_service_names(sender: World) -> None:
    [leased] = sent(sender)
    found = settle(sender, leased, Reply.of(550, "no route"), attempts=[], names=None)
    assert notice(found).deliveries[0].status == "5.0.0"
    assert parse_headers(found.notice.raw).get("from") == b"MAILER-DAEMON@mx.mailstead.test"


def test_replies_on_one_line() -> None:
    assert reply_text(Reply.of(250, "a", "b", enhanced="2.0.0")) == "250-2.0.0 a 250 2.0.0 b"
