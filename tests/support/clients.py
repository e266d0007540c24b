"""boto3 clients whose requests go into an ASGI application, without a network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSResponse
from botocore.config import Config

ROOT_KEY, ROOT_SECRET = "AKIAROOTROOTROOTROOT", "root-secret"


class Raw:
    """What botocore reads a response's body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content

    def read(self, amount: int = -1) -> bytes:
        content, self._content = self._content, b""
        return content


class Clients(ABC):
    """What has a ``gateway``, and a ``run`` for coroutines."""

    gateway: Any

    @abstractmethod
    def run(self, work: Any) -> Any:
        """The result of a coroutine."""

    def call(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: bytes = b"",
        *,
        chunks: int = 1,
        gone: bool = False,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request into the application: status, headers, body of the answer."""
        parts = urlsplit(url)
        size = len(body) // chunks + 1
        pieces = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
        incoming = [
            {"type": "http.request", "body": piece, "more_body": gone or piece is not pieces[-1]}
            for piece in pieces
        ]
        incoming.append({"type": "http.disconnect"})
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return incoming.pop(0)

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "scheme": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in headers.items()],
            "client": ("127.0.0.1", 5),
        }
        self.run(self.gateway(scope, receive, send))
        if not sent:
            return 0, {}, b""
        head, content = sent
        return (
            head["status"],
            {k.decode(): v.decode() for k, v in head["headers"]},
            content["body"],
        )

    def client(
        self,
        service: str,
        key: str = ROOT_KEY,
        secret: str = ROOT_SECRET,
        token: str | None = None,
        region: str = "us-east-1",
        endpoint: str = "http://localhost:4566",
        **config: Any,
    ) -> Any:
        """A boto3 client whose requests come here."""
        client = boto3.client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            aws_session_token=token,
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

        def answer(request: Any, **_: Any) -> AWSResponse:
            headers = {
                name: value.decode() if isinstance(value, bytes) else value
                for name, value in request.headers.items()
            }
            headers.setdefault("Host", urlsplit(request.url).netloc)
            body = request.body or b""
            if hasattr(body, "read"):
                body = body.read()
            content = body.encode() if isinstance(body, str) else bytes(body)
            status, found, answered = self.call(request.method, request.url, headers, content)
            return AWSResponse(request.url, status, found, Raw(answered))

        client.meta.events.register("before-send", answer)
        return client
