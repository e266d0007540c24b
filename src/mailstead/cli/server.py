"""Talking to the running server: ``server.json``, and calls of its local API."""

from __future__ import annotations

import http.client
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CommandError(Exception):
    """What a command refuses; the text says what to do."""


def data_folder() -> Path:
    """Where data lies unless ``--data`` says otherwise."""
    home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(home) / "mailstead"


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The server of a data folder, as ``server.json`` describes it."""

    folder: Path
    facts: dict[str, Any]

    @classmethod
    def find(cls, folder: Path) -> RunningServer:
        """The server of that folder. CommandError when none runs."""
        path = folder / "server.json"
        try:
            facts = json.loads(path.read_text())
            os.kill(int(facts["pid"]), 0)
        except FileNotFoundError:
            raise CommandError(
                f"no mailstead serves {folder}: start one with `mailstead`, "
                "or name its folder with --data DIR"
            ) from None
        except (OSError, ValueError, KeyError, TypeError):
            raise CommandError(
                f"the mailstead of {folder} has ended: start it again with `mailstead`"
            ) from None
        return cls(folder, facts)

    def command(self, noun: str, **arguments: Any) -> dict[str, Any]:
        """Run a command there. CommandError with the server's words when it refuses."""
        body = json.dumps(arguments)
        headers = {
            "Authorization": f"Bearer {self.facts['token']}",
            "Content-Type": "application/json",
        }
        port = self.facts["ports"].get("api")
        if port is None:
            raise CommandError(
                f"the mailstead of {self.folder} runs without the role api, which commands talk to"
            )
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=90)
        try:
            connection.request("POST", f"/_mailstead/admin/{noun}", body, headers)
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        except OSError as error:
            raise CommandError(
                f"the mailstead on port {port} does not answer ({error}): is it still running?"
            ) from None
        finally:
            connection.close()
        if response.status >= 400:
            raise CommandError(str(answer.get("error", f"the server answered {response.status}")))
        return answer
