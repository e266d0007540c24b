"""Fixtures for tests with real clients against a real server."""

from collections.abc import Iterator
from typing import Any

import pytest

from support.running import ROOT_KEY, Mailstead, Start, end, start_server


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Start:
    """Starts servers that end with the test."""

    def begin(*words: str, **settings: Any) -> Mailstead:
        server = start_server(*words, **settings)
        request.addfinalizer(lambda: end(server))
        return server

    return begin


@pytest.fixture(scope="session")
def server() -> Iterator[Mailstead]:
    """One server for tests that don't disturb each other: production access, example.test."""
    running = start_server(
        "--ephemeral",
        "--root-key",
        ":".join(ROOT_KEY),
        "--production",
        "--verified",
        "example.test",
    )
    added = running.command("domain", "add", "example.test")
    assert added.returncode == 0, added.stderr
    yield running
    end(running)
