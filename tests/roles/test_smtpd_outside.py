"""The outside's port, and mail of our own that comes to it."""

from __future__ import annotations

from typing import Any

from mailstead.roles.net import OwnPeers
from mailstead.roles.smtpd import (
    client_of,
    mx_port,
    outside_port,
)
from mailstead.wire.smtp_commands import Content, Mail
from mailstead.wire.smtp_profile import mx_profile
from mailstead.wire.smtp_server import SmtpServer
from support.post import Post
from support.smtpd import MESSAGE, serving, settings
from support.talk import talk

# The outside.


def test_the_outside_takes_nearly_everybody(hosting: Post, contexts: Any) -> None:
    async def scene() -> None:
        async with (
            serving(outside_port(settings(contexts), hosting.outside)) as (number, _),
            talk(number) as one,
        ):
            assert await one.hear() == "220 outside.test ESMTP"
            assert "STARTTLS" in await one.say("EHLO x")
            assert await one.say("STARTTLS") == "220 2.0.0 Ready to start TLS"
            await one.tls(contexts[1])
            await one.say("EHLO x")
            await one.say("MAIL FROM:<a@b.example>")
            bounce = await one.say("RCPT TO:<bounce@simulator.amazonses.com>")
            assert bounce.startswith("550 5.1.1")
            for _ in range(2):
                assert (await one.say("RCPT TO:<c@d.example>")).startswith("250")
            await one.say("DATA")
            assert (await one.say(MESSAGE, ".")).startswith("250 2.0.0 Ok 0100")

    hosting.world.run(scene())
    rows = hosting.world.store._connection.execute("SELECT count(*), max(visible) FROM email")
    assert rows.fetchall() == [(1, None)]


def test_who_hands_over(contexts: Any) -> None:
    class Connection:
        peer = ("192.0.2.1", 7)
        tls_version = None

    session = SmtpServer(mx_profile("x"))
    mail = Mail("", None, replace_parameters())
    content = Content(mail, (), b"")
    client = client_of(Connection(), session, content)
    assert (client.helo, client.reverse_path, client.address) == ("", "", "192.0.2.1")


def replace_parameters() -> Any:
    from mailstead.wire.smtp import parse_parameters

    return parse_parameters("", frozenset())


def test_own_mail_is_known_by_its_greeting(hosting: Post, contexts: Any) -> None:
    own = OwnPeers()

    async def scene() -> None:
        port = mx_port(settings(contexts), hosting.reception, own)
        async with serving(port) as (number, listener), talk(number) as one:
            await one.hear()
            [connection] = listener._open
            own.add(connection.peer)
            await one.say("EHLO x")
            # Our MTA gave up waiting: its address is nobody's now.
            own.discard(connection.peer)
            assert (await one.deliver("a@b.example", "you@example.test")).startswith("250 ")

    hosting.world.run(scene())
    assert hosting.emails() == []
