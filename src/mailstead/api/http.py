"""Requests and responses of the local API as values, and ASGI around them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_LIMIT = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its whole body."""

    method: str
    path: str
    query: Mapping[str, str]
    """The first value of each name."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes
    client: str
    """The client's address."""
    scheme: str = "http"


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class TooLarge(Exception):
    """The body is larger than any call here takes."""


def as_json(value: object, status: int = 200) -> Response:
    """A JSON answer."""
    return Response(status, json.dumps(value, ensure_ascii=False).encode() + b"\n")


def problem(status: int, text: str) -> Response:
    """A refusal: ``{"error": text}``."""
    return as_json({"error": text}, status)


async def read_request(scope: Scope, receive: Receive) -> Request:
    """The request of an ASGI call."""
    chunks: list[bytes] = []
    size = 0
    more = True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            break
        chunk: bytes = event.get("body", b"")
        size += len(chunk)
        if size > BODY_LIMIT:
            raise TooLarge
        chunks.append(chunk)
        more = event.get("more_body", False)
    query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    client = scope.get("client") or ("", 0)
    return Request(
        method=scope["method"],
        path=unquote(scope["raw_path"].decode("latin-1").partition("?")[0]),
        query={name: values[0] for name, values in query.items()},
        headers={
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        },
        body=b"".join(chunks),
        client=client[0],
        scheme=scope.get("scheme", "http"),
    )


async def send_response(send: Send, response: Response, *, head: bool = False) -> None:
    """Answer an ASGI call."""
    headers = [
        (b"content-type", response.content_type.encode()),
        (b"content-length", str(len(response.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"cache-control", b"no-store"),
        *((name.encode(), value.encode()) for name, value in response.headers.items()),
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else response.body})
