"""Bounces: after how long, with which words, about what."""

from __future__ import annotations

import pytest

from mailstead.mail.messages import Door, Leased, Settlement
from mailstead.mail.queue import LIFE
from mailstead.mail.submission import Submission, ask_nobody, submit
from mailstead.wire.reports import parse_report
from mailstead.wire.smtp import Reply
from support.post import Post
from support.world import SCOPE

LATER = Reply.of(451, "Later, \N{PILE OF POO} says the host", enhanced="4.7.1")
RAW = (
    b"From: a@example.com\r\nTo: b@far.example\r\nSubject: =?utf-8?q?=F0=9F=92=A9=0D=0AX:_y?=\r\n"
    b"X-Own: 1\r\n\r\nsecret body\r\n"
)


@pytest.fixture
def sent(post: Post) -> Leased:
    """A message on its way, leased for the first time."""
    post.world.production()
    post.world.verified("example.com")
    sending = Submission(
        SCOPE, Door.API, ask_nobody, raw=RAW, to=("b@far.example",), source="a@example.com"
    )
    post.world.run(submit(post.world.outbound, sending))
    [leased] = post.world.mail()
    return leased


def settle(post: Post, leased: Leased, reply: Reply) -> Settlement:
    """What a reply comes to, and kept."""
    settlement = post.world.run(post.deliveries.settle(leased, (), reply, ()))
    post.world.run(post.world.store.settle([settlement]))
    return settlement


def test_it_is_tried_for_fourteen_hours_and_then_returned(post: Post, sent: Leased) -> None:
    clock, begun = post.world.clock, post.world.clock.now()
    leased, tries = sent, 0
    while True:
        tries += 1
        settlement = settle(post, leased, LATER)
        if settlement.outcome != "deferred":
            break
        assert clock.now() < settlement.due <= begun + LIFE
        clock.time = settlement.due
        [leased] = post.world.mail()
        assert leased.attempts == tries + 1
    assert clock.now() - begun == LIFE
    assert 10 < tries < 20
    assert settlement.outcome == "bounced"
    assert settlement.reply.startswith(
        "550 4.4.7 Message expired: unable to deliver in 840 minutes.<451 4.7.1 Later"
    )
    [notice] = post.world.mail()
    assert notice.recipient.address == "a@example.com"
    report = parse_report(post.world.body(notice))
    assert report is not None
    [about] = report.deliveries
    assert (about.recipient, about.status, about.action) == ("b@far.example", "4.4.7", "failed")


def test_a_bounce_returns_the_header_as_it_was_and_not_the_body(post: Post, sent: Leased) -> None:
    settle(post, sent, Reply.of(550, "no\r\nsuch", "user", enhanced="5.1.1"))
    [notice] = post.world.mail()
    raw = post.world.body(notice)
    assert b"X-Own: 1\r\n" in raw
    assert b"Subject: =?utf-8?q?=F0=9F=92=A9=0D=0AX:_y?=\r\n" in raw
    assert b"secret body" not in raw
    assert raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r")


def test_a_bounce_goes_also_when_the_message_is_gone(post: Post, sent: Leased) -> None:
    post.world.store._connection.execute("DELETE FROM blob")
    settle(post, sent, Reply.of(550, "no", enhanced="5.1.1"))
    [notice] = post.world.mail()
    assert "Subject: \N{PILE OF POO} X: y" in _decoded(post.world.body(notice))


def _decoded(raw: bytes) -> str:
    from mailstead.wire.mime import parse_mime

    return parse_mime(raw).children[-1].content.decode()


def test_a_bounce_of_a_bounce_is_none(post: Post, sent: Leased) -> None:
    settle(post, sent, Reply.of(550, "no", enhanced="5.1.1"))
    [notice] = post.world.mail()
    assert settle(post, notice, Reply.of(550, "no", enhanced="5.1.1")).notice is None
    assert post.world.mail() == []
