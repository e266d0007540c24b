"""TLS of the MTA, and hosts that are our own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mailstead.mail.delivery import Hop, Route
from mailstead.mail.messages import EmailFilter
from mailstead.roles.net import Listener, OwnPeers
from mailstead.roles.smtpd import SmtpSettings, outside_port
from mailstead.roles.sockets import bind
from support.mta import QUICK, Hosts, message, running, send, settled
from support.post import Post
from support.receiver import DROP, Receiver, receiving
from support.waiting import until

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
