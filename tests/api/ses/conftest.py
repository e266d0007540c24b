"""Worlds for tests; each is closed when its test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.world import World


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
def sender(world: World) -> World:
    """Production access and a verified example.com."""
    world.production()
    world.verified("example.com")
    return world
