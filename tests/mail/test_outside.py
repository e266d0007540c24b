"""Everybody else: captures, SES's mailbox simulator, answers and complaints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mailstead.mail.messages import Settlement
from mailstead.mail.outside import BOUNCE
from mailstead.wire.addresses import parse_path
from mailstead.wire.message import parse_headers
from mailstead.wire.smtp import Reply
from support.post import ABROAD, LOCAL, SPF, Post

SIMULATOR = "simulator.amazonses.com"
MESSAGE = b"From: s@sender.example\r\nSubject: Hi\r\nMessage-ID: <1@x>\r\n\r\nHello\r\n"


@pytest.fixture
def known(post: Post) -> Post:
    """The sender's SPF holds from abroad."""
    post.host("sender.example", SPF)
    return post


@pytest.mark.parametrize(
    ("path", "refusal"),
    [
        ("anybody@anywhere.example", None),
        (f"success@{SIMULATOR}", None),
        (f"Success+label@{SIMULATOR.upper()}", None),
        (f"ooto@{SIMULATOR}", None),
        (f"complaint+1@{SIMULATOR}", None),
        (f"bounce@{SIMULATOR}", BOUNCE),
        (f"suppressionlist+x@{SIMULATOR}", BOUNCE),
        (f"cook@{SIMULATOR}", Reply.of(550, "The simulator has no cook", enhanced="5.1.1")),
        (
            f"postmaster@{SIMULATOR}",
            Reply.of(550, "The simulator has no postmaster", enhanced="5.1.1"),
        ),
        (f"bounce@x.{SIMULATOR}", None),
    ],
)
def test_who_is_refused(post: Post, path: str, refusal: Reply | None) -> None:
    assert post.outside.recipient(parse_path(path)) == refusal


def test_a_capture_is_seen_once_its_sender_settles(known: Post) -> None:
    reply = known.abroad(MESSAGE, "Any@Where.example", "b@far.example", client=ABROAD)
    assert reply.code == 250
    assert known.emails() == []
    name = reply.text.partition(" ")[2]
    known.receive(b"x: y\r\n\r\n", "Any@where.example", client=LOCAL)
    [leased] = known.world.mail()
    settlement = Settlement(leased, "delivered", str(reply), arrival=name)
    known.world.run(known.world.store.settle([settlement]))
    first, second = known.emails()
    assert {first.mailbox, second.mailbox} == {"any@where.example", "b@far.example"}
    assert {first.message_id} == {leased.message.message_id} == {second.message_id}
    assert first.authentication["spf"] == "pass"
    assert b"Authentication-Results: outside.test;" in first.prefix


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ooto", (b"Auto-Submitted: auto-replied", b"In-Reply-To: <1@x>")),
        ("complaint", (b"Feedback-Type: abuse", b"Source-IP: 192.0.2.9", MESSAGE)),
    ],
)
def test_the_simulator_answers_a_sender_that_is_proven(
    known: Post, name: str, words: tuple[bytes, ...]
) -> None:
    assert known.abroad(MESSAGE, f"{name}+1@{SIMULATOR}", client=ABROAD).code == 250
    [answer] = known.world.mail()
    assert answer.recipient.address == "s@sender.example"
    # RFC 3834 4: an answer has no sender, so nothing answers it.
    assert answer.message.mail_from == ""
    raw = known.world.body(answer)
    assert all(word in raw for word in words), raw
    again = known.abroad(raw, f"{name}@{SIMULATOR}", client=replace(ABROAD, reverse_path=""))
    assert again.code == 250
    assert known.world.mail() == []


@pytest.mark.parametrize(
    "client",
    [
        replace(ABROAD, address="198.51.100.7"),
        replace(ABROAD, reverse_path="x@unknown.example"),
        replace(ABROAD, reverse_path=""),
    ],
)
def test_nobody_unproven_is_answered(known: Post, client: object) -> None:
    reply = known.abroad(
        MESSAGE,
        f"ooto@{SIMULATOR}",
        f"complaint@{SIMULATOR}",
        client=client,
    )
    assert reply.code == 250
    assert known.world.mail() == []


def test_an_answer_to_an_address_beyond_ascii(known: Post) -> None:
    client = replace(ABROAD, reverse_path="sören@sender.example")
    for name in ("ooto", "complaint"):
        assert known.abroad(MESSAGE, f"{name}@{SIMULATOR}", client=client).code == 250
    answers = known.world.mail()
    assert {one.recipient.address for one in answers} == {"sören@sender.example"}
    assert "To: sören@sender.example\r\n".encode() in known.world.body(answers[0])


def test_strange_messages_get_an_answer_all_the_same(known: Post) -> None:
    for raw in (b"", b"\xff\xfe\r\n", b"Subject: " + b"\xc3" * 3000 + b"\r\n\r\n\xff"):
        for name in ("ooto", "complaint", "success"):
            assert known.abroad(raw, f"{name}@{SIMULATOR}", client=ABROAD).code == 250


def test_headers_without_bounds_are_refused(post: Post) -> None:
    reply = post.abroad(b"A: b\r\n" * 1001, "a@b.example")
    assert (reply.code, reply.enhanced) == (554, "5.6.0")


def test_an_address_beyond_ascii_gets_a_mailbox(post: Post) -> None:
    assert post.abroad(MESSAGE, "ÄNNE@bücher.example").code == 250
    assert parse_headers(MESSAGE).text("subject") == "Hi"
    [user] = post.world.store._connection.execute("SELECT address FROM mail_user").fetchall()
    assert user == ("änne@xn--bcher-kva.example",)
