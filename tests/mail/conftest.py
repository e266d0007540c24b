"""Worlds for tests; each is closed when its test ends."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.post import Post
from support.world import World
from support.zones import Scene, opened


@pytest.fixture
def new_world(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes a world with settings of its own."""
    made: list[World] = []

    def make(**settings: Any) -> World:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(World(folder, **settings))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(new_world: Callable[..., World]) -> World:
    """A world with Amazon's names, in the sandbox."""
    return new_world()


@pytest.fixture
def post(world: World) -> Post:
    """A world with mailboxes, in capture mode."""
    return Post(world)


@pytest.fixture
def with_zones(tmp_path: Path) -> Callable[[Scene], None]:
    """Run a coroutine function on the zones of a fresh store, or of the same one again."""

    def run(scene: Scene) -> None:
        async def whole() -> None:
            async with opened(tmp_path) as zones:
                await scene(zones)

        asyncio.run(whole())

    return run
