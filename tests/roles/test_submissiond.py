"""SES's SMTP interface: log-in, refusals in its words, time."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound, Refused
from mailstead.mail.submission import ask_nobody
from mailstead.roles.net import Listener
from mailstead.roles.smtpd import SmtpSettings
from mailstead.roles.sockets import bind
from mailstead.roles.submissiond import SubmissionDoor, Submitter, refusal, submission_port
from mailstead.wire.sasl import Credentials
from support.post import Post
from support.talk import Talk, talk
from support.world import SCOPE

GOOD = b64encode(b"\0key\0secret").decode()
BAD = b64encode(b"\0key\0wrong").decode()


def door(post: Post, trusted: tuple[str, ...] = ()) -> SubmissionDoor:
    me = Submitter(SCOPE, ask_nobody)

    async def login(given: Credentials) -> Submitter | None:
        return me if (given.username, given.password) == ("key", "secret") else None

    networks = tuple(ip_network(one) for one in trusted)
    return SubmissionDoor(post.world.outbound, post.world.dice, login, lambda: me, networks)


@asynccontextmanager
async def serving(
    post: Post,
    contexts: Any,
    *,
    implicit: bool = False,
    trusted: tuple[str, ...] = (),
    **changes: Any,
) -> AsyncIterator[int]:
    settings = replace(SmtpSettings(contexts[0], timeout=5, login_timeout=5), **changes)
    port = submission_port(settings, door(post, trusted), implicit_tls=implicit)
    binding = bind("test", 0, "127.0.0.1")
    async with asyncio.TaskGroup() as group:
        listener = Listener(binding, port.serve, group)
        await listener.start(contexts[0] if implicit else None)
        try:
            yield binding.port
        finally:
            listener.stop()
            await listener.drained(0.5)


@pytest.fixture
def sending(post: Post) -> Post:
    """Production access and a verified example.com."""
    post.world.production()
    post.world.verified("example.com")
    return post


@pytest.fixture
def on_port(sending: Post, contexts: Any) -> Callable[..., None]:
    """Run a scene against the port, greeting read."""

    def run(scene: Any, **options: Any) -> None:
        async def whole() -> None:
            async with serving(sending, contexts, **options) as number:
                tls = contexts[1] if options.get("implicit") else None
                async with talk(number, tls=tls) as one:
                    greeting = await one.hear()
                    assert greeting.startswith(
                        "220 email-smtp.amazonaws.com ESMTP SimpleEmailService-d-"
                    )
                    await scene(one)

        sending.world.run(whole())

    return run


async def log_in(one: Talk, contexts: Any) -> None:
    await one.say("EHLO x")
    await one.say("STARTTLS")
    await one.tls(contexts[1])
    await one.say("EHLO x")
    assert await one.say(f"AUTH PLAIN {GOOD}") == "235 Authentication successful."


def test_from_greeting_to_message_id(on_port: Any, sending: Post, contexts: Any) -> None:
    async def scene(one: Talk) -> None:
        assert await one.say(f"AUTH PLAIN {GOOD}") == "530 Must issue a STARTTLS command first"
        assert (await one.say("EHLO x")).endswith("250 Ok")
        await one.say("STARTTLS")
        await one.tls(contexts[1])
        assert "AUTH PLAIN LOGIN" in await one.say("EHLO x")
        assert await one.say("MAIL FROM:<a@example.com>") == "530 Authentication required"
        bad = await one.say(f"AUTH PLAIN {BAD}")
        assert bad == "535 Authentication Credentials Invalid"
        assert (await one.say(f"AUTH PLAIN {GOOD}")).startswith("235")
        raw = b"From: a@example.com\r\nSubject: 8-bit \xc3\xbc\r\n\r\n\xc3\x9f\r\n"
        reply = await one.deliver("a@example.com", "b@far.example", raw=raw)
        assert reply.startswith("250 Ok 0100")
        assert await one.say("QUIT") == "221 Bye"

    on_port(scene)
    [leased] = sending.world.mail()
    assert "\xc3\x9f".encode("latin-1") in sending.world.body(leased)


def test_implicit_tls(on_port: Any, sending: Post) -> None:
    async def scene(one: Talk) -> None:
        assert "STARTTLS" not in await one.say("EHLO x")
        assert (await one.say(f"AUTH PLAIN {GOOD}")).startswith("235")
        raw = b"From: a@example.com\r\n\r\nx"
        assert (await one.deliver("a@example.com", "b@far.example", raw=raw)).startswith("250 Ok")

    on_port(scene, implicit=True)
    assert len(sending.world.mail()) == 1


@pytest.mark.parametrize(
    ("sender", "raw", "reply"),
    [
        (
            "x@unverified.example",
            b"From: x@unverified.example\r\n\r\n",
            "554 Message rejected: Email address is not verified.",
        ),
        ("a@example.com", b"From: x y z\r\n\r\n", "554 "),
        ("a@example.com", b"From: a@example.com\r\nTo: x@[y\r\n\r\n", "250 Ok"),
    ],
)
def test_refusals_come_after_the_data(
    on_port: Any, contexts: Any, sender: str, raw: bytes, reply: str
) -> None:
    async def scene(one: Talk) -> None:
        await log_in(one, contexts)
        found = await one.deliver(sender, "b@far.example", raw=raw)
        assert found.startswith(reply), found
        assert await one.say("NOOP") == "250 Ok"

    on_port(scene)


def test_dribbling_does_not_help_who_has_not_logged_in(on_port: Any, contexts: Any) -> None:
    async def scene(one: Talk) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while not one.reader.at_eof():
            one.send("NOOP")
            reply = await one.hear()
            if reply.startswith("451 4.4.2"):
                break
            assert loop.time() < begun + 2
            await asyncio.sleep(0.01)
        assert loop.time() - begun < 1

    on_port(scene, login_timeout=0.1)

    async def logged_in(one: Talk) -> None:
        await log_in(one, contexts)
        await asyncio.sleep(0.25)
        assert await one.say("NOOP") == "250 Ok"

    on_port(logged_in, login_timeout=0.2)


def test_trusted_networks_need_neither_tls_nor_log_in(on_port: Any, sending: Post) -> None:
    async def scene(one: Talk) -> None:
        assert (await one.say("EHLO x")).endswith("250 Ok")
        raw = b"From: a@example.com\r\n\r\nx"
        assert (await one.deliver("a@example.com", "b@far.example", raw=raw)).startswith("250 Ok")

    on_port(scene, trusted=("10.0.0.0/8", "127.0.0.0/8", "::1/128"))
    assert len(sending.world.mail()) == 1


def test_implicit_tls_trusts_nobody(on_port: Any) -> None:
    async def scene(one: Talk) -> None:
        await one.say("EHLO x")
        assert await one.say("MAIL FROM:<a@example.com>") == "530 Authentication required"

    on_port(scene, implicit=True, trusted=("127.0.0.0/8",))


@pytest.mark.parametrize(
    ("address", "trusted"),
    [
        ("10.1.2.3", True),
        ("11.1.2.3", False),
        ("fd00::1", True),
        ("fe80::1%eth0", False),
        ("2001:db8::1", False),
    ],
)
def test_who_is_trusted(post: Post, address: str, trusted: bool) -> None:
    assert door(post, ("10.0.0.0/8", "fd00::/8")).trusts(address) is trusted


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (Limit("Maximum sending rate exceeded."), "454 Throttling failure: Maximum sending"),
        (Limit("x", resource="account", reason="quota"), "454 Throttling failure: x"),
        (Refused("no"), "554 Access denied: no"),
        (Refused("no", reason="unverified"), "554 Message rejected: no"),
        (Refused("no", reason="paused"), "554 Message rejected: no"),
        (Refused("no", reason="mail-from"), "554 MAIL FROM domain not verified: no"),
        (Invalid("bad"), "554 Transaction failed: bad"),
        (Invalid("long", reason="size"), "552 Message is too long."),
        (NotFound("gone"), "554 Transaction failed: gone"),
        (Conflict("both"), "554 Transaction failed: both"),
        (Invalid(None), "554 Transaction failed: Invalid"),
        (Invalid("a\r\n250 Ok {} \u202e"), "554 Transaction failed: a\\x0d\\x0a250 Ok {} \\u202e"),
    ],
)
def test_the_words_of_refusals(error: Any, reply: str) -> None:
    written = refusal(error).encode().decode("ascii")
    assert written.startswith(reply)
    assert written.count("\n") == 1


def test_too_many_wrong_passwords_end_it(on_port: Any, contexts: Any) -> None:
    async def scene(one: Talk) -> None:
        await one.say("EHLO x")
        await one.say("STARTTLS")
        await one.tls(contexts[1])
        await one.say("EHLO x")
        replies = [await one.say(f"AUTH PLAIN {BAD}") for _ in range(20)]
        assert set(replies) == {"535 Authentication Credentials Invalid"}
        one.send(f"AUTH PLAIN {BAD}")
        assert (await one.rest()).endswith(b"421 Too many errors\r\n")

    on_port(scene)
