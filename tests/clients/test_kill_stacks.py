"""Killed in the middle of a stack's change, the server brings it to an end after the restart."""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from support import seed
from support.running import Mailstead, Start

REJECT = "v=DMARC1;p=reject"
# Resources whose names nobody gives: made twice, they would be there twice.
MORE = {
    "User": {"Type": "AWS::IAM::User"},
    "Key": {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "User"}}},
    "Secret": {
        "Type": "AWS::SecretsManager::Secret",
        "Properties": {"SecretString": {"Fn::GetAtt": ["Key", "SecretAccessKey"]}},
    },
    "Bucket": {"Type": "AWS::S3::Bucket"},
    "Zone": {"Type": "AWS::Route53::HostedZone", "Properties": {"Name": "second.example"}},
}
ENDS = {
    "CREATE": {"CREATE_COMPLETE", "ROLLBACK_COMPLETE"},
    "UPDATE": {"UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"},
    "DELETE": {"DELETE_COMPLETE"},
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class Stage:
    """One data folder, and servers on it that are killed."""

    def __init__(self, start: Start, folder: Path) -> None:
        self._start = start
        self._folder = str(folder)
        self.server = self.next()
        self.before = self.there()
        """What is there before the first stack."""
        self.zone = seed.make_zone(self.server)
        self.killed_under_way = 0

    def next(self) -> Mailstead:
        """A server on the folder."""
        self.server = self._start("--data", self._folder, "--root-key", "AKIAX:y")
        return self.server

    def cloudformation(self) -> Any:
        """A client that asks once."""
        return self.server.boto3("cloudformation")

    def told(self, stack: str) -> list[dict[str, Any]]:
        """The stack's events, oldest first."""
        pages = self.cloudformation().get_paginator("describe_stack_events")
        found = [one for page in pages.paginate(StackName=stack) for one in page["StackEvents"]]
        return found[::-1]

    def begin_and_kill(self, stack: str, moment: int, begin: Callable[[Any], Any]) -> None:
        """Begin an operation, and kill the server once so many more events are told."""
        cloudformation = self.cloudformation()
        asked = {"StackName": stack}
        try:
            before = len(cloudformation.describe_stack_events(**asked)["StackEvents"])
        except ClientError:
            before = 0

        def work() -> None:
            with suppress(BotoCoreError, ClientError):
                begin(self.cloudformation())

        thread = threading.Thread(target=work)
        thread.start()
        seen = 0
        # Bounded: an operation that ended before tells no more.
        while thread.is_alive() and seen < before + moment:
            with suppress(ClientError):
                seen = len(cloudformation.describe_stack_events(**asked)["StackEvents"])
        self.killed_under_way += thread.is_alive()
        self.server.process.kill()
        self.server.process.wait(10)
        thread.join(20)
        self.next()

    def ends(self, stack: str, kind: str) -> str:
        """The stack's status, one that the operation may end with; its events are in order."""
        status = seed.settled(self.server, stack)
        events = self.told(stack)
        assert status in ENDS[kind], [
            (one["LogicalResourceId"], one["ResourceStatus"], one.get("ResourceStatusReason"))
            for one in events
        ]
        stamps = [one["Timestamp"] for one in events]
        assert stamps == sorted(set(stamps))
        assert len({one["EventId"] for one in events}) == len(events)
        return status

    def there(self) -> dict[str, int]:
        """How many of each kind there are."""
        boto3 = self.server.boto3
        users = boto3("iam").list_users()["Users"]
        keys = [
            len(boto3("iam").list_access_keys(UserName=one["UserName"])["AccessKeyMetadata"])
            for one in users
        ]
        return {
            "users": len(users),
            "keys": sum(keys),
            "secrets": len(boto3("secretsmanager").list_secrets()["SecretList"]),
            "buckets": len(boto3("s3").list_buckets()["Buckets"]),
            "zones": len(boto3("route53").list_hosted_zones()["HostedZones"]),
            "identities": len(seed.identities(self.server)),
        }

    def gone(self) -> None:
        """Nothing of a stack is left."""
        assert self.there() == self.before | {"zones": self.before["zones"] + 1}
        assert seed.record_sets(self.server, self.zone) == {}

    def stands(self, dmarc: str) -> None:
        """Everything of the stack is there once."""
        one = {name: count + 1 for name, count in self.before.items()}
        counted = {"zones": one["zones"] + 1, "identities": one["identities"] + 1}
        assert self.there() == one | counted
        expected = seed.expected_records(self.server, dmarc)
        assert seed.record_sets(self.server, self.zone) == expected


def walk(stage: Stage, moment: int) -> None:
    """Create, update and delete, killed at that moment of each."""
    name = f"Seed{moment}"
    asked = {"StackName": name, "Capabilities": ["CAPABILITY_IAM"]}
    first = seed.template(stage.zone, **MORE)
    second = seed.template(stage.zone, REJECT, **MORE)

    stage.begin_and_kill(
        name, moment, lambda client: client.create_stack(TemplateBody=first, **asked)
    )
    if stage.ends(name, "CREATE") == "ROLLBACK_COMPLETE":
        stage.gone()
        stage.cloudformation().delete_stack(StackName=name)
        stage.cloudformation().create_stack(TemplateBody=first, **asked)
        assert stage.ends(name, "CREATE") == "CREATE_COMPLETE"
    stage.stands(seed.QUARANTINE)

    stage.begin_and_kill(
        name, min(moment, 4), lambda client: client.update_stack(TemplateBody=second, **asked)
    )
    if stage.ends(name, "CREATE" if not updated(stage, name) else "UPDATE") != "UPDATE_COMPLETE":
        stage.stands(seed.QUARANTINE)
        stage.cloudformation().update_stack(TemplateBody=second, **asked)
        assert stage.ends(name, "UPDATE") == "UPDATE_COMPLETE"
    stage.stands(REJECT)

    [shown] = stage.cloudformation().describe_stacks(StackName=name)["Stacks"]
    stage.begin_and_kill(
        shown["StackId"], moment, lambda client: client.delete_stack(StackName=name)
    )
    if not seed.settled(stage.server, shown["StackId"]).startswith("DELETE"):
        stage.cloudformation().delete_stack(StackName=name)
    stage.ends(shown["StackId"], "DELETE")
    stage.gone()


def updated(stage: Stage, name: str) -> bool:
    """Whether the update was taken before the kill."""
    return any(one["ResourceStatus"].startswith("UPDATE") for one in stage.told(name))


@pytest.fixture
def stage(start: Start, tmp_path: Path) -> Stage:
    return Stage(start, tmp_path / "data")


def test_a_stack_survives_kill_9(stage: Stage) -> None:
    walk(stage, 12)
    assert stage.killed_under_way


@pytest.mark.long
def test_a_stack_survives_kill_9_at_any_moment(stage: Stage) -> None:
    for moment in (1, 2, 3, 5, 8, 16, 20, 24, 27, 30, 33):
        walk(stage, moment)
    assert stage.killed_under_way > 10
