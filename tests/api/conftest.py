"""The AWS door without a network: boto3 clients whose requests go into the ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from mailstead.api import iam as iam_handlers
from mailstead.api import iam_absent, s3, s3_multipart, s3_objects, s3_settings
from mailstead.api import iam_policies as policy_handlers
from mailstead.api import iam_roles as role_handlers
from mailstead.api import sts as sts_handlers
from mailstead.api.bootstrap import Bootstrap
from mailstead.api.buckets import Buckets
from mailstead.api.gateway import Gateway
from mailstead.api.operation import Operations, Ports
from mailstead.api.parameters import Parameters
from mailstead.api.s3_requests import S3Requests
from mailstead.api.secrets import Secrets
from mailstead.mail.credentials import Credentials
from mailstead.mail.iam import Iam
from mailstead.mail.iam_roles import Roles
from mailstead.mail.iam_users import keep_root_key
from mailstead.mail.model import Scope
from mailstead.roles.clock import SystemClock, SystemRandomness, ThreadWorkers
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore
from mailstead.wire.aws import Wire
from mailstead.wire.aws_model import load_models

MODELS = Path(__file__).parents[2] / "src/mailstead/wire/models.json.gz"
WIRE = Wire(load_models(MODELS.read_bytes()))
ACCOUNT = "111122223333"
ROOT_KEY, ROOT_SECRET = "AKIAROOTROOTROOTROOT", "root-secret"


class ShiftedClock(SystemClock):
    """The machine's clock, some seconds off."""

    def __init__(self) -> None:
        self.off = 0.0

    def real(self) -> int:
        return super().real() + int(self.off * 1000)

    def ticks(self) -> float:
        return super().ticks() + self.off


class Raw:
    """What botocore reads a response's body from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def stream(self) -> Iterator[bytes]:
        yield self._content

    def read(self, amount: int = -1) -> bytes:
        content, self._content = self._content, b""
        return content


class Door:
    """A gateway over a store of its own."""

    def __init__(
        self, folder: Path, modules: list[ModuleType], *, bootstrap: bool = False, **options: Any
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(1)
        self.clock = ShiftedClock()
        randomness = SystemRandomness(self._pool)
        seal = Seal(b"k" * 32, randomness.token)
        self.store = SqliteStore(folder, seal, randomness, self.loop)
        self.run(self.store.start())
        self.credentials = Credentials(self.store, self.clock)
        self.iam = Iam(self.store, self.clock, randomness, self.credentials.clear)
        rest: Any = None
        self.roles = Roles(self.iam)
        workers = ThreadWorkers(self._pool)
        self.buckets = Buckets(self.store, self.clock, workers, ["localhost", "s3.test"])
        given = {
            "store": self.store,
            "clock": self.clock,
            "randomness": randomness,
            "iam": self.iam,
            "roles": self.roles,
            "buckets": self.buckets,
            "parameters": Parameters(self.store, self.clock),
            "secrets": Secrets(self.store, self.clock, randomness),
            "review": "PENDING",
        }
        ports = Ports(**(dict.fromkeys(Ports.__dataclass_fields__, rest) | given))
        operations = Operations(modules, WIRE.models)
        self.bootstrap = Bootstrap(self.iam)
        if bootstrap:
            options["arrive"] = self.bootstrap.arrive
        verify = {"s3": S3Requests(self.buckets.addresses, workers).verified}
        self.gateway = Gateway(
            WIRE, operations, ports, self.credentials.find, **{"verify": verify, **options}
        )
        self.scope = Scope(ACCOUNT, "us-east-1")
        self.ports = ports
        self.run(keep_root_key(self.iam, self.scope, ROOT_KEY, ROOT_SECRET))

    def run(self, work: Any) -> Any:
        """The result of a coroutine."""
        return self.loop.run_until_complete(work)

    def close(self) -> None:
        """Stop what was started."""
        self.store.close()
        self.loop.close()
        self._pool.shutdown()

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


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A gateway with the IAM and STS handlers."""
    made = Door(tmp_path, [iam_handlers, iam_absent, policy_handlers, role_handlers, sts_handlers])
    yield made
    made.close()


@pytest.fixture
def s3door(tmp_path: Path) -> Iterator[Door]:
    """A gateway that serves S3 and IAM's users."""
    modules = [s3, s3_multipart, s3_objects, s3_settings, iam_handlers, policy_handlers]
    made = Door(tmp_path, modules)
    yield made
    made.close()
