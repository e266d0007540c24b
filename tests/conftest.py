"""Fixtures every room's tests share."""

import os
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def suites() -> Path:
    """The folder of public test vectors, which is not part of the project."""
    folder = Path(os.environ.get("MAILSTEAD_SUITES", PROJECT.parent / "shared" / "suites"))
    if not folder.is_dir():
        pytest.skip(f"no public test vectors at {folder}: set MAILSTEAD_SUITES to their folder")
    return folder
