"""The AWS door without a network: boto3 clients whose requests go into the ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

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
from support.clients import ROOT_KEY, ROOT_SECRET, Clients
from support.cloud import Cloud

MODELS = Path(__file__).parents[2] / "src/mailstead/wire/models.json.gz"
WIRE = Wire(load_models(MODELS.read_bytes()))
ACCOUNT = "111122223333"


class ShiftedClock(SystemClock):
    """The machine's clock, some seconds off."""

    def __init__(self) -> None:
        self.off = 0.0

    def real(self) -> int:
        return super().real() + int(self.off * 1000)

    def ticks(self) -> float:
        return super().ticks() + self.off


class Door(Clients):
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


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An account with every service that stacks use."""
    made = Cloud(tmp_path)
    yield made
    made.close()
