"""The whole AWS door over a real store: every handler, every resource type, and the engine.

A stack that a call sets in motion stands still when the call returns.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.api.gateway import Gateway
from mailstead.api.s3_requests import S3Requests
from mailstead.app import domain as domains
from mailstead.app import doors
from mailstead.app import services as beside
from mailstead.config import Config
from mailstead.mail.iam_users import keep_root_key
from mailstead.mail.model import Scope
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness, ThreadWorkers
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore
from support.clients import ROOT_KEY, ROOT_SECRET, Clients

ACCOUNT = "111122223333"
SCOPE = Scope(ACCOUNT, "us-east-1")
CAPABILITIES = ["CAPABILITY_NAMED_IAM"]
WIRE, OPERATIONS = doors.operations()


class Crash(BaseException):
    """The process is gone."""


class Cloud(Clients):
    """An account, bootstrapped as every account is."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(1)
        self.randomness = SystemRandomness(self._pool)
        seal = Seal(b"k" * 32, self.randomness.token)
        self.store = SqliteStore(folder, seal, self.randomness, self.loop)
        self.run(self.store.start())
        self.standing = True
        """Whether stacks are brought to where they stand still after each call."""
        self.restart()
        self.run(keep_root_key(self.domain.iam, SCOPE, ROOT_KEY, ROOT_SECRET))

    def restart(self) -> None:
        """Forget everything but the Store, once it has done what it was asked."""
        self.run(self.store.set_setting("restarted", "yes"))
        workers = ThreadWorkers(self._pool)
        adapters = domains.Adapters(
            self.store, SystemClock(), self.randomness, LocalWakeups(), workers
        )
        self.domain = domains.compose(Config(), adapters, SCOPE, b"secret", lambda: "")
        self.services = beside.compose(Config(), self.domain, ["localhost", "127.0.0.1"])
        self.ports = self.services.ports
        self.run(self.domain.zones.load())
        self.gateway = Gateway(
            WIRE,
            OPERATIONS,
            self.ports,
            self.domain.credentials.find,
            verify={"s3": S3Requests(self.ports.buckets.addresses, workers).verified},
            arrive=self.services.bootstrap.arrive,
        )
        self._clients: dict[str, Any] = {}

    def close(self) -> None:
        """Stop what was started."""
        self.store.close()
        self.loop.close()
        self._pool.shutdown()

    def run(self, work: Any) -> Any:
        """The result of a coroutine."""
        return self.loop.run_until_complete(work)

    def call(self, *args: Any, **named: Any) -> tuple[int, dict[str, str], bytes]:
        answer = super().call(*args, **named)
        if self.standing:
            self.settle()
        return answer

    def settle(self) -> None:
        """Bring every stack to where it stands still."""
        for arn in self.run(self.services.moving()):
            self.run(self.services.run(arn))

    def root(self, service: str) -> Any:
        """The root user's client of a service."""
        if service not in self._clients:
            self._clients[service] = self.client(service)
        return self._clients[service]

    def user(self, name: str, *statements: dict[str, Any]) -> dict[str, str]:
        """A new user with a policy; the key, as `client` takes it."""
        iam = self.root("iam")
        iam.create_user(UserName=name)
        if statements:
            document = policy(*statements)
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}

    # Stacks

    @property
    def stacks(self) -> Any:
        """The root user's client of CloudFormation."""
        return self.root("cloudformation")

    def create(self, resources: Any, name: str = "S", **more: Any) -> str:
        """Create a stack; its status then."""
        self.stacks.create_stack(
            StackName=name, TemplateBody=template(resources), Capabilities=CAPABILITIES, **more
        )
        return self.status(name)

    def update(self, resources: Any, name: str = "S", **more: Any) -> str:
        """Update a stack; its status then."""
        self.stacks.update_stack(
            StackName=name, TemplateBody=template(resources), Capabilities=CAPABILITIES, **more
        )
        return self.status(name)

    def delete(self, name: str = "S", **more: Any) -> str:
        """Delete a stack; its status then."""
        arn = self.shown(name)["StackId"]
        self.stacks.delete_stack(StackName=name, **more)
        return self.status(arn)

    def shown(self, name: str = "S") -> Any:
        """A stack as DescribeStacks has it."""
        return self.stacks.describe_stacks(StackName=name)["Stacks"][0]

    def status(self, name: str = "S") -> str:
        """Where a stack stands."""
        return self.shown(name)["StackStatus"]

    def outputs(self, name: str = "S") -> dict[str, str]:
        """A stack's outputs."""
        return {one["OutputKey"]: one["OutputValue"] for one in self.shown(name)["Outputs"]}

    def physical(self, logical: str = "R", name: str = "S") -> str:
        """A resource's physical id."""
        found = self.stacks.describe_stack_resource(StackName=name, LogicalResourceId=logical)
        return found["StackResourceDetail"]["PhysicalResourceId"]

    def told(self, name: str = "S") -> list[tuple[str, str, str]]:
        """(logical id, status, reason) of a stack's events, oldest first."""
        events = self.stacks.describe_stack_events(StackName=name)["StackEvents"]
        return [
            (one["LogicalResourceId"], one["ResourceStatus"], one.get("ResourceStatusReason", ""))
            for one in reversed(events)
        ]

    def failures(self, name: str = "S") -> list[tuple[str, str]]:
        """(logical id, reason) of resources that failed, oldest first."""
        return [
            (logical, reason)
            for logical, status, reason in self.told(name)
            if status.endswith("_FAILED") and logical != name
        ]

    def drift(self, name: str = "S") -> dict[str, tuple[str, list[tuple[str, str]]]]:
        """By logical id: the drift status and (path, kind) of differences."""
        self.stacks.detect_stack_drift(StackName=name)
        found = self.stacks.describe_stack_resource_drifts(StackName=name)["StackResourceDrifts"]
        return {
            one["LogicalResourceId"]: (
                one["StackResourceDriftStatus"],
                [
                    (different["PropertyPath"], different["DifferenceType"])
                    for different in one["PropertyDifferences"]
                ],
            )
            for one in found
        }

    # Crashes

    def through_crashes(
        self, patch: pytest.MonkeyPatch, steps: Sequence[Callable[[], Any]], check: Any
    ) -> int:
        """Begin one step after the other, the process dying before each write in turn.

        After each the stacks are brought to their ends by a process that knows only the
        Store, and ``check`` is called with the place of the step that was done. It ends
        when every step comes through; the number of crashes.
        """
        crashes = 0
        for after in range(100):
            before = crashes
            for place, step in enumerate(steps):
                self.standing = False
                step()
                self.standing = True
                crashes += self._dying(patch, after)
                self.restart()
                self.settle()
                check(place)
            if crashes == before:
                return crashes
        raise AssertionError("it takes more writes than that")

    def _dying(self, patch: pytest.MonkeyPatch, after: int) -> bool:
        """Run stacks until so many writes were kept; whether there was another one."""
        apply = self.store.apply
        left = after

        async def dying(*changes: Any, **more: Any) -> None:
            nonlocal left
            if left <= 0:
                left = -1
                raise Crash
            left -= 1
            await apply(*changes, **more)

        with patch.context() as during:
            during.setattr(self.store, "apply", dying)
            with suppress(Crash, BaseExceptionGroup):
                self.settle()
        return left < 0


def template(resources: Any) -> str:
    """A template of these resources; one that is whole already stays."""
    if isinstance(resources, str):
        return resources
    whole = resources if "Resources" in resources else {"Resources": resources}
    return json.dumps(whole)


def resource(kind: str, /, attributes: Sequence[str] = (), **properties: Any) -> dict[str, Any]:
    """A template with one resource ``R`` that shows its Ref and attributes."""
    outputs: dict[str, Any] = {"Ref": {"Value": {"Ref": "R"}}}
    outputs |= {name: {"Value": {"Fn::GetAtt": ["R", name]}} for name in attributes}
    return {
        "Resources": {"R": {"Type": f"AWS::{kind}", "Properties": properties}},
        "Outputs": outputs,
    }


def policy(*statements: dict[str, Any]) -> str:
    """A policy document of statements that allow, on everything, unless they say otherwise."""
    whole = [{"Effect": "Allow", "Resource": "*", **one} for one in statements]
    return json.dumps({"Version": "2012-10-17", "Statement": whole})


def trust(**principal: Any) -> dict[str, Any]:
    """A role's trust policy."""
    rule = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}
    return {"Version": "2012-10-17", "Statement": [rule]}


def refusal(call: Any, *args: Any, **arguments: Any) -> tuple[str, int, str]:
    """Code, status and text of a call that is refused."""
    with pytest.raises(ClientError) as caught:
        call(*args, **arguments)
    response = caught.value.response
    error = response["Error"]
    return error["Code"], response["ResponseMetadata"]["HTTPStatusCode"], error["Message"]
