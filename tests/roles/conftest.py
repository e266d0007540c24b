"""Event loops and worlds for tests on real loopback sockets."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import uvloop

from mailstead.roles.tls import KeyFolder, client_context, server_context
from mailstead.store.disk import write_whole
from support.nameserver import Play, Stage, staged
from support.post import Post
from support.tls import tls_key
from support.world import World

LoopFactory = Callable[[], asyncio.AbstractEventLoop] | None
Scene = Callable[[], Coroutine[Any, Any, Any]]


@pytest.fixture(params=["asyncio", "uvloop"])
def loop_factory(request: pytest.FixtureRequest) -> LoopFactory:
    """Both event loops."""
    return uvloop.new_event_loop if request.param == "uvloop" else None


@pytest.fixture
def play(loop_factory: LoopFactory) -> Callable[[Scene], Any]:
    """Run a coroutine function on either event loop."""

    def run(scene: Scene) -> Any:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(scene())

    return run


@pytest.fixture
def post(loop_factory: LoopFactory, tmp_path: Path) -> Iterator[Post]:
    """A world with mailboxes on either event loop."""
    folder = tmp_path / "store"
    folder.mkdir()
    world = World(folder, loop_factory=loop_factory)
    yield Post(world)
    world.close()


@pytest.fixture(scope="session")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    """TLS of a server, and of a client that trusts anybody."""
    folder = tmp_path_factory.mktemp("tls")

    def write(name: str, content: bytes) -> Path:
        write_whole(folder / name, content)
        return folder / name

    keys = KeyFolder(folder, write, tls_key)
    return server_context(keys, "", ("localhost", "127.0.0.1"), 1_760_000_000_000), client_context()


@pytest.fixture
def hosting(post: Post) -> Post:
    """example.test with a mailbox."""
    post.host("example.test")
    post.mailbox("you@example.test")
    return post


@pytest.fixture
def answering(loop_factory: LoopFactory, tmp_path: Path) -> Play:
    """Run a coroutine function on a DNS server, on either event loop."""
    places = count()

    def run(scene: Callable[[Stage], Coroutine[Any, Any, None]], **options: Any) -> None:
        folder = tmp_path / str(next(places))
        folder.mkdir()

        async def whole() -> None:
            async with staged(folder, **options) as stage:
                await scene(stage)

        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(whole())

    return run
