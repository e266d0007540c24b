"""One request into an ASGI application, without a network."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass
class Answer:
    """What an application answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


async def call(
    app: Any,
    method: str,
    target: str,
    body: bytes = b"",
    client: str = "127.0.0.1",
    headers: dict[str, str] | None = None,
) -> Answer:
    """The answer to one request, its body sent in two pieces."""
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in (headers or {}).items()],
        "client": (client, 1),
        "server": ("127.0.0.1", 1),
        "scheme": "http",
    }
    events = [
        {"type": "http.request", "body": body[:10], "more_body": len(body) > 10},
        {"type": "http.request", "body": body[10:], "more_body": False},
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not events or (len(events) == 1 and len(body) <= 10):
            await asyncio.Event().wait()
        return events.pop(0)

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app(scope, receive, send)
    start, *rest = sent
    return Answer(
        start["status"],
        {name.decode().lower(): value.decode() for name, value in start["headers"]},
        b"".join(event.get("body", b"") for event in rest),
    )
