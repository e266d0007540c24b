"""Reception on the MX port: whom mail is taken for, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailstead.mail.errors import Unavailable
from mailstead.mail.messages import Door, Leased
from mailstead.mail.reception import (
    LOOP,
    NO_MAILBOX,
    NO_RELAY,
    Hosted,
    Passing,
    Returning,
    is_loopback,
)
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.submission import Submission, ask_nobody, submit
from mailstead.wire.smtp import Reply
from support.post import ABROAD, HOST, LOCAL, SPF, Post
from support.world import SCOPE, World

MESSAGE = (
    b"From: Sender <s@sender.example>\r\nTo: you@example.test\r\nSubject: Hi\r\n"
    b"Message-ID: <1@sender.example>\r\n\r\nHello\r\n"
)


@pytest.fixture
def hosting(post: Post) -> Post:
    """example.test with a mailbox, and a sender's domain whose SPF holds."""
    post.host("example.test")
    post.host("sender.example", SPF)
    post.mailbox("you@example.test")
    return post


def dmarc(policy: str) -> RecordChange:
    return RecordChange("CREATE", "_dmarc.sender.example", "TXT", 300, (f'"v=DMARC1; p={policy}"',))


# Whom it is taken for.


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("you@example.test", Hosted("you@example.test", "you@example.test")),
        ("YOU@Example.TEST", Hosted("YOU@example.test", "you@example.test")),
        ("you+label@example.test", Hosted("you+label@example.test", "you@example.test")),
        ("nobody@example.test", NO_MAILBOX),
        ('"you+x"@example.test', Hosted("you+x@example.test", "you@example.test")),
        ('"+"@example.test', NO_MAILBOX),
        ("you@elsewhere.example", NO_RELAY),
        ("no-reply@mailstead.test", NO_RELAY),
        ("x@feedback-smtp.us-east-1.amazonses.com", NO_RELAY),
        ("success@simulator.amazonses.com", NO_RELAY),
        ("you@[127.0.0.1]", NO_RELAY),
    ],
)
def test_other_servers_reach_mailboxes_only(hosting: Post, path: str, found: Any) -> None:
    assert hosting.rcpt(path) == found


def test_programs_here_reach_everybody_else_too(hosting: Post) -> None:
    hosting.host("empty.test")
    found = {
        path: hosting.rcpt(path, loopback=True)
        for path in ("a@elsewhere.example", "a@empty.test", "you@example.test", "a@example.test")
    }
    assert found == {
        "a@elsewhere.example": Passing("a@elsewhere.example"),
        # A domain without a mailbox is like any other of the outside.
        "a@empty.test": Passing("a@empty.test"),
        "you@example.test": Hosted("you@example.test", "you@example.test"),
        "a@example.test": NO_MAILBOX,
    }
    assert hosting.rcpt("a@empty.test") == NO_MAILBOX


def test_outside_capture_mode_nobody_relays(world: World) -> None:
    direct = Post(world, capture=False)
    direct.host("empty.test")
    assert direct.rcpt("a@elsewhere.example", loopback=True) == NO_RELAY
    assert direct.rcpt("a@empty.test", loopback=True) == NO_MAILBOX


def test_a_postmaster_is_somebody(hosting: Post) -> None:
    """RFC 5321 4.5.1: the reserved mailbox exists wherever mail is taken."""
    hosting.host("other.test")
    hosting.mailbox("aaa@example.test", "chief@other.test")
    eldest = Hosted("postmaster@example.test", "you@example.test")
    assert hosting.rcpt("postmaster@example.test") == eldest
    assert hosting.rcpt("PostMaster@example.test") == replace(
        eldest, address="PostMaster@example.test"
    )
    assert hosting.rcpt("postmaster") == Hosted(f"postmaster@{HOST}", "you@example.test")
    assert hosting.rcpt("postmaster@other.test") == Hosted(
        "postmaster@other.test", "chief@other.test"
    )
    assert hosting.rcpt("postmaster@elsewhere.example") == NO_RELAY
    hosting.mailbox("postmaster@example.test")
    assert hosting.rcpt("postmaster@example.test") == replace(
        eldest, owner="postmaster@example.test"
    )


def test_without_any_mailbox_there_is_no_postmaster(post: Post) -> None:
    post.host("example.test")
    assert post.rcpt("postmaster@example.test") == NO_MAILBOX
    assert post.rcpt("postmaster") == NO_RELAY
    assert post.rcpt("postmaster", loopback=True) == Passing(f"postmaster@{HOST}")


def test_addresses_beyond_ascii(hosting: Post) -> None:
    hosting.host("xn--bcher-kva.test")
    hosting.mailbox("søren@bücher.test")
    decomposed = "so\N{COMBINING LONG SOLIDUS OVERLAY}ren@bücher.test"
    assert hosting.rcpt("SØREN@BÜCHER.TEST") == Hosted(
        "SØREN@xn--bcher-kva.test", "søren@xn--bcher-kva.test"
    )
    assert hosting.rcpt("søren@xn--bcher-kva.test") == Hosted(
        "søren@xn--bcher-kva.test", "søren@xn--bcher-kva.test"
    )
    assert hosting.rcpt(decomposed) == NO_MAILBOX
    hosting.mailbox("café@example.test")
    assert isinstance(hosting.rcpt("cafe\N{COMBINING ACUTE ACCENT}@example.test"), Hosted)
    sender = replace(ABROAD, reverse_path="ö@sender.example", helo="bücher.test")
    reply = hosting.receive(MESSAGE, "søren@bücher.test", client=sender)
    assert reply.code == 250
    [email] = hosting.emails()
    assert b"Return-Path: <\xc3\xb6@sender.example>\r\n" in hosting.raw(email)


# Return paths.


def submitted(post: Post, *, source: str = "bounces@example.test") -> Leased:
    """A message of ours on its way to the outside."""
    post.world.production()
    post.world.verified("example.test")
    raw = b"From: a@example.test\r\nTo: b@far.example\r\nSubject: S\r\n\r\nx\r\n"
    sending = Submission(
        SCOPE, Door.API, ask_nobody, raw=raw, to=("b@far.example", "c@far.example"), source=source
    )
    post.world.run(submit(post.world.outbound, sending))
    return post.world.mail()[1]


def test_a_bounce_to_a_return_path_goes_to_the_submitter_once(hosting: Post) -> None:
    leased = submitted(hosting)
    path = hosting.deliveries.reverse_path(leased)
    returning = Returning(leased.message.message_id, SCOPE, "bounces@example.test")
    assert hosting.rcpt(path) == returning
    assert hosting.rcpt(path.upper()) == returning
    reply = hosting.receive(b"Subject: undelivered\r\n\r\nno\r\n", path)
    assert reply.code == 250
    [bounce] = hosting.world.mail()
    assert bounce.recipient.address == "bounces@example.test"
    assert (bounce.message.reverse_path, bounce.message.mail_from) == ("", "")
    raw = hosting.world.body(bounce)
    assert raw.startswith(b"Received: from mail.sender.example ([192.0.2.9])\r\n")
    # A bounce that bounces ends there.
    settled = hosting.world.run(
        hosting.deliveries.settle(bounce, (), Reply.of(550, "no", enhanced="5.1.1"), ())
    )
    assert settled.notice is None


def test_a_return_path_without_a_submitter_is_taken_and_forgotten(hosting: Post) -> None:
    leased = submitted(hosting)
    message = replace(leased.message, reverse_path="")
    path = hosting.deliveries.reverse_path(leased)
    assert message.reverse_path == ""
    found = hosting.rcpt(path)
    assert isinstance(found, Returning)
    reply = hosting.world.run(
        hosting.reception.content(ABROAD, MESSAGE, [replace(found, reverse_path="")], own=False)
    )
    assert reply.code == 250
    assert hosting.world.mail() == []


def test_forged_return_paths_are_nobody(hosting: Post) -> None:
    leased = submitted(hosting)
    path = hosting.deliveries.reverse_path(leased)
    local = path.partition("@")[0]
    start, seal, number = local[:16], local[17:53], local[54:]
    flipped = seal[:-1] + ("0" if seal[-1] != "0" else "1")
    other = hosting.paths.local_part(leased.message.message_id, "b@far.example", 0)[17:53]
    for forged in (
        f"{start}-{flipped}-{number}",
        f"{start}-{other}-{number}",
        f"{start}-{seal}-000000",
        f"{start}-{seal}-999999",
        f"{'0' * 16}-{seal}-{number}",
        f"{start}-{seal}-{number}x",
    ):
        assert hosting.rcpt(f"{forged}@amazonses.com") == NO_RELAY, forged
        assert hosting.rcpt(f"{forged}@example.test") == NO_MAILBOX, forged


# Content.


def test_a_message_arrives_with_its_verdicts_and_its_bytes(hosting: Post) -> None:
    reply = hosting.receive(MESSAGE, "you+x@example.test")
    assert reply.code == 250
    [email] = hosting.emails()
    assert (email.mailbox, email.recipients) == ("you@example.test", ("you+x@example.test",))
    assert email.header_from == "Sender <s@sender.example>"
    assert email.authentication == {"spf": "pass", "dkim": "none", "dmarc": "none"}
    raw = hosting.raw(email)
    assert raw.endswith(MESSAGE)
    prefix = raw.removesuffix(MESSAGE).decode()
    assert prefix.startswith(
        "Return-Path: <s@sender.example>\r\nDelivered-To: you@example.test\r\n"
        f"Authentication-Results: {HOST};"
    )
    assert (
        f"Received: from mail.sender.example ([192.0.2.9])\r\n\tby {HOST} with ESMTPS id "
        f"{reply.text.partition(' ')[2]};\r\n\tWed, 10 Aug 2022 16:04:45 +0000\r\n"
    ) in prefix


def test_verdicts_forged_in_our_name_are_removed(hosting: Post) -> None:
    forged = f"Authentication-Results: {HOST}; dkim=pass\r\n".encode()
    other = b"Authentication-Results: other.example; dkim=pass\r\n"
    hosting.receive(forged + other + MESSAGE, "you@example.test")
    [email] = hosting.emails()
    assert hosting.raw(email).endswith(other + MESSAGE)
    assert b"dkim=pass" not in email.prefix


def test_what_our_own_mta_brings_is_seen_when_it_settles(hosting: Post) -> None:
    hosting.receive(MESSAGE, "you@example.test", client=LOCAL, own=True)
    assert hosting.emails() == []


def test_one_transaction_may_go_everywhere_in_one_write(
    hosting: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    leased = submitted(hosting)
    path = hosting.deliveries.reverse_path(leased)
    recipients = ("you@example.test", "a@far.example", "b@far.example", path)
    before = hosting.world.store.writer.operations
    hosting.receive(MESSAGE, *recipients, client=LOCAL)
    assert hosting.world.store.writer.operations == before + 1
    assert [email.mailbox for email in hosting.emails()] == ["you@example.test"]
    waiting = hosting.world.mail()
    assert sorted(one.recipient.address for one in waiting) == [
        "a@far.example",
        "b@far.example",
        "bounces@example.test",
    ]
    passed = [one for one in waiting if one.message.door is Door.MX]
    assert {one.message.mail_from for one in passed} == {"s@sender.example"}
    assert hosting.world.body(passed[0]).startswith(b"Received: from laptop ([127.0.0.1])\r\n")

    async def full(*_: Any) -> None:
        raise Unavailable("full", full=True)

    monkeypatch.setattr(hosting.world.store.writer, "call", full)
    with pytest.raises(Unavailable):
        hosting.receive(MESSAGE, *recipients, client=LOCAL)
    monkeypatch.undo()
    assert len(hosting.emails()) == 1
    assert hosting.world.mail() == []


@pytest.mark.parametrize(
    ("policy", "client", "capture", "code"),
    [
        ("reject", replace(ABROAD, address="198.51.100.7"), True, 550),
        ("reject", replace(LOCAL, address="127.0.0.5"), True, 250),
        ("reject", replace(LOCAL, address="::1"), True, 250),
        ("reject", LOCAL, False, 550),
        ("quarantine", replace(ABROAD, address="198.51.100.7"), True, 250),
        ("reject", ABROAD, True, 250),
    ],
)
def test_dmarc_refuses_what_its_domain_disowns(
    world: World, policy: str, client: Any, capture: bool, code: int
) -> None:
    post = Post(world, capture=capture)
    post.host("example.test")
    post.host("sender.example", SPF, dmarc(policy))
    post.mailbox("you@example.test")
    reply = post.receive(MESSAGE, "you@example.test", client=client)
    assert reply.code == code
    if code == 550:
        assert str(reply) == "550 5.7.1 DMARC of sender.example asks to refuse this message"
    assert len(post.emails()) == (code == 250)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n",
        b"\r\nbody without a header\r\n",
        b"Subject: header only\r\n",
        b"Subject: header only",
        b"no header at all\r\n",
        b"From: a@b.example\r\nFrom: c@d.example\r\n\r\nx\r\n",
        b"From: a@b.example, c@d.example\r\nSender: a@b.example\r\n\r\nx\r\n",
        b"From: \r\n\r\nx\r\n",
        b"From: =?utf-7?q?+2AA-?= <a@b>\r\nSubject: =?utf-8?q?a=00=0D=0Ab?=\r\n\r\nx\r\n",
        b"Subject: \xff\xfe\r\nFrom: \xc3\xa4 <\xff@\xff>\r\n\r\n\xff\xff\x80\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; d=\xff; s=; b=; bh=; h=\r\n\r\nx\r\n",
        b"Subject: " + b"x" * 200_000 + b"\r\n\r\n",
        b"A: b\r\n" * 1000 + b"\r\n",
    ],
)
def test_strange_messages_are_taken_as_they_are(hosting: Post, raw: bytes) -> None:
    reply = hosting.receive(raw, "you@example.test")
    assert reply.code == 250
    [email] = hosting.emails()
    assert hosting.raw(email).endswith(raw)


@pytest.mark.parametrize("raw", [b"A: b\r\n" * 1001 + b"\r\n", b"A: " + b"x" * 300_000 + b"\r\n"])
def test_headers_without_bounds_are_refused(hosting: Post, raw: bytes) -> None:
    reply = hosting.receive(raw, "you@example.test")
    assert (reply.code, reply.enhanced) == (554, "5.6.0")
    assert hosting.emails() == []


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    raw=st.binary(max_size=300),
    helo=st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=20),
)
def test_any_bytes_get_a_reply(hosting: Post, raw: bytes, helo: str) -> None:
    assert hosting.receive(raw, "you@example.test", client=replace(ABROAD, helo=helo)).code == 250


@pytest.mark.parametrize(("count", "code"), [(50, 250), (51, 550)])
def test_fifty_hops_are_a_way_and_one_more_is_a_loop(hosting: Post, count: int, code: int) -> None:
    raw = b"Received: from a by b; today\r\n" * count + MESSAGE
    assert hosting.receive(raw, "you@example.test").code == code


@pytest.mark.parametrize(
    ("field", "loops"),
    [
        (b"Delivered-To: you@example.test", True),
        (b"delivered-to:   YOU@example.test ", True),
        (b"Delivered-To: other@example.test", False),
        (b"X-Delivered-To: you@example.test", False),
    ],
)
def test_what_was_delivered_here_before_is_a_loop(hosting: Post, field: bytes, loops: bool) -> None:
    reply = hosting.receive(field + b"\r\n" + MESSAGE, "you@example.test")
    assert (reply == LOOP) is loops


def test_a_mailbox_that_goes_while_its_mail_comes_is_an_error_of_now(hosting: Post) -> None:
    found = hosting.rcpt("you@example.test")
    hosting.world.run(hosting.world.store.delete_user("you@example.test"))
    assert isinstance(found, Hosted)
    reply = hosting.world.run(hosting.reception.content(ABROAD, MESSAGE, [found], own=False))
    assert (reply.code, reply.enhanced) == (550, "5.1.1")


def test_nothing_for_nobody(hosting: Post) -> None:
    assert hosting.world.run(hosting.reception.content(ABROAD, MESSAGE, [], own=False)).code == 250


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", False),
        ("12.7.0.0", False),
        ("", False),
    ],
)
def test_loopback(address: str, answer: bool) -> None:
    assert is_loopback(address) is answer


def test_waiters_are_woken(hosting: Post) -> None:
    watches: dict[str, Callable[..., Any]] = {
        topic: hosting.world.wakeups.watch(topic).wait for topic in ("emails", "queue")
    }
    hosting.receive(MESSAGE, "you@example.test", "a@far.example", client=LOCAL)
    assert all(hosting.world.run(wait(0)) for wait in watches.values())
