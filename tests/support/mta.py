"""An MTA under test: how patient it is, what it sends, what became of that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from mailstead.mail.delivery import Deliveries, Hop, Route, Unroutable
from mailstead.mail.messages import Accepted, Door
from mailstead.mail.queue import LIFE
from mailstead.roles.mta import Mta
from mailstead.roles.net import OwnPeers
from mailstead.roles.sender import Patience
from mailstead.roles.tls import client_context
from mailstead.wire.smtp_client import Stage
from support.messages import accepted
from support.post import Post
from support.waiting import until
from support.world import START

QUICK = Patience(connect=1.0, replies=dict.fromkeys(Stage, 0.1), quit=0.1)
CALM = Patience(connect=2.0, replies=dict.fromkeys(Stage, 5.0), quit=0.1)
NO_PORT = 1


class Hosts:
    """A router to given hosts, whatever the address."""

    def __init__(self, *ports: int, own: bool = False) -> None:
        hops = [Hop(f"mx{n}.test", "127.0.0.1", port, "none") for n, port in enumerate(ports)]
        self.found: Route | Unroutable = Route(tuple(hops), own=own)

    async def route(self, recipient: str, door: Door) -> Route | Unroutable:
        return self.found


RAW = b"Subject: x\r\n\r\nbody\r\n"


def message(*addresses: str, raw: bytes = RAW, **changes: Any) -> Accepted:
    """A message without a signature, with a mailed bounce."""
    made = accepted(*addresses, raw=raw, at=START)
    given = {"signers": (), "mail_from": "s@sender.example", "reverse_path": "s@sender.example"}
    expires = {"expires_at": START + LIFE}
    return replace(made, message=replace(made.message, **(given | expires | changes)))


@asynccontextmanager
async def running(
    post: Post,
    router: Any,
    patience: Patience = CALM,
    *,
    deliveries: Deliveries | None = None,
    own: OwnPeers | None = None,
) -> AsyncIterator[Mta]:
    """An MTA that is stopped at the end."""
    mta = Mta(
        deliveries or post.deliveries,
        router,
        post.world.wakeups,
        client_context(),
        own or OwnPeers(),
        patience=patience,
        pause_seconds=0.01,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(mta.run())
        try:
            yield mta
        finally:
            mta.stop()
            async with asyncio.timeout(10):
                await asyncio.wait([task])


async def send(post: Post, *messages: Accepted) -> None:
    await post.world.store.enqueue(messages)
    post.world.wakeups.wake("queue")


def states(post: Post) -> list[tuple[str, str, str]]:
    """(address, state, reply) of every recipient."""
    return post.world.store._reader.execute(
        "SELECT address, state, reply FROM recipient ORDER BY id"
    ).fetchall()


async def settled(post: Post, count: int = 1) -> list[tuple[str, str, str]]:
    """The states, once that many have a reply."""
    await until(lambda: sum(1 for _, _, reply in states(post) if reply) >= count)
    return states(post)
