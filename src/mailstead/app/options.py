"""What the command line asks of a server."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mailstead.config import Config

ACCOUNT = "000000000000"
REGION = "us-east-1"


class StartError(Exception):
    """The server can't start, or can't go on; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to serve, and how."""

    config: Config
    folder: Path | None
    """None: a temporary folder, removed at the end."""
    usual_folder: bool
    """Whether commands find it without ``--data``."""
    account: str | None
    region: str | None
    root_key: tuple[str, str] | None
    """Access key id and secret."""
    roles: frozenset[str]
    bind: str
    production: bool
    verified: tuple[str, ...]
    """Identities to have verified before ``ready``, for tests."""
    as_json: bool
