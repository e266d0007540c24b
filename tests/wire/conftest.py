"""Fixtures the codecs' tests share."""

from collections.abc import Callable, Generator
from typing import Any

import pytest

from mailstead.wire.lookup import Answer, Question

Lookup = Callable[[Question], Answer]


@pytest.fixture(scope="session")
def drive() -> Callable[[Generator[Any, Any, Any], Lookup], Any]:
    """Run a generator that asks, answering by a function, to its result."""

    def run(asking: Generator[Any, Any, Any], lookup: Lookup) -> Any:
        try:
            questions = next(asking)
            while True:
                questions = asking.send(tuple(lookup(question) for question in questions))
        except StopIteration as stop:
            return stop.value

    return run
