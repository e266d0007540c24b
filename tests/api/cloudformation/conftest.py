"""Worlds of stacks; each is closed when its test ends."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stacks import StackWorld


@pytest.fixture
def at(tmp_path: Path) -> Iterator[StackWorld]:
    """An engine with toys for resources."""
    world = StackWorld(tmp_path)
    yield world
    world.close()
