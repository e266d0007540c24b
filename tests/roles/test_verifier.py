"""The role that looks for identities' proofs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mailstead.mail.errors import Conflict, Unavailable
from mailstead.mail.model import Identity, Proof, VerificationStatus
from mailstead.roles.verifier import Verifier
from support.post import Post
from support.waiting import until
from support.world import SCOPE, START


class Looks:
    """Notes who is looked at, and fails as told."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.seen: list[str] = []
        self.failures: list[Exception] = []

    async def look(self, identity: Identity) -> Any:
        self.seen.append(identity.name)
        if self.failures:
            raise self.failures.pop(0)
        return await self.inner.look(identity)


@contextlib.asynccontextmanager
async def running(post: Post, looks: Looks, store: Any = None) -> AsyncIterator[None]:
    world = post.world
    verifier = Verifier(looks, store or world.store, world.clock, world.wakeups)
    task = asyncio.ensure_future(verifier.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_new_identity_is_looked_at_at_once(post: Post) -> None:
    looks = Looks(post.world.verification)

    async def scene() -> None:
        async with running(post, looks):
            await asyncio.sleep(0)
            pending = Proof(VerificationStatus.PENDING, since=START)
            identity = Identity(SCOPE, "new.example", START, token_proof=pending)
            await post.world.identities.create(identity)
            await until(lambda: looks.seen)

    post.world.run(scene())
    assert set(looks.seen) == {"new.example"}


def test_a_changed_zone_makes_everybody_looked_at(post: Post) -> None:
    looks = Looks(post.world.verification)
    post.world.verified("one.example")
    post.world.verified("two.example")

    async def scene() -> None:
        async with running(post, looks):
            await asyncio.sleep(0.01)
            assert looks.seen == []
            post.world.wakeups.wake("zones")
            await until(lambda: len(looks.seen) == 2)
            looks.seen.clear()
            # What is not due is left alone when identities change.
            post.world.wakeups.wake("identities")
            await asyncio.sleep(0.01)
            assert looks.seen == []

    post.world.run(scene())


def test_trouble_with_one_is_not_the_others(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    looks = Looks(post.world.verification)
    for name in ("a.example", "b.example", "c.example", "d.example"):
        post.world.verified(name)
    looks.failures = [Conflict("changed"), Unavailable("full", full=True), KeyError("ours")]

    async def scene() -> None:
        async with running(post, looks):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            post.world.wakeups.wake("zones")
            await until(lambda: len(looks.seen) == 4)

    post.world.run(scene())
    assert "a.example" not in caplog.text
    assert "the proofs of b.example can't be kept now: full" in caplog.text
    assert "the proofs of c.example can't be looked at" in caplog.text


def test_a_store_that_cannot_be_read_is_asked_again(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    looks = Looks(post.world.verification)
    post.world.verified("a.example")

    class Store:
        failures = 1

        async def select(self, *arguments: Any) -> Any:
            if self.failures:
                self.failures -= 1
                raise Unavailable("unreadable")
            return await post.world.store.select(*arguments)

    async def scene() -> None:
        async with running(post, looks, Store()):
            await until(lambda: "unreadable" in caplog.text)
            post.world.wakeups.wake("zones")
            await until(lambda: looks.seen)

    post.world.run(scene())
