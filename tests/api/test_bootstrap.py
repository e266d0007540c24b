"""Accounts are bootstrapped for CDK: once a region, and nothing is gained by it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.api import iam as iam_handlers
from mailstead.api import iam_policies, iam_roles, s3, s3_objects, s3_settings, ssm, sts
from mailstead.api.bootstrap import Bootstrap, Bootstrapped, bucket_name, role_name, role_policies
from mailstead.api.bucket_model import EVERYWHERE, Bucket
from mailstead.api.parameters import Parameters
from mailstead.mail.iam import AWS_POLICIES, POLICY_SIZE, Role, size
from mailstead.mail.iam_roles import trusts_service
from mailstead.mail.model import Scope
from mailstead.mail.policies import PolicyKind, parse_policy
from mailstead.mail.ports import Remove

ACCOUNT = "111122223333"
HOME = Scope(ACCOUNT, "us-east-1")
WEST = Scope(ACCOUNT, "eu-west-1")
PARAMETER = "/cdk-bootstrap/hnb659fds/version"


@pytest.fixture
def cdk(tmp_path: Path, door: Any) -> Iterator[Any]:
    """A gateway that bootstraps."""
    (tmp_path / "cdk").mkdir()
    modules = [
        iam_handlers, iam_policies, iam_roles, s3, s3_objects, s3_settings, ssm, sts,
    ]  # fmt: skip
    made = type(door)(tmp_path / "cdk", modules, bootstrap=True)
    yield made
    made.close()


def test_what_cdk_looks_for(cdk: Any) -> None:
    sts_client = cdk.client("sts", region="eu-west-1")
    assert sts_client.get_caller_identity()["Account"] == ACCOUNT
    found = cdk.client("ssm", region="eu-west-1").get_parameter(Name=PARAMETER)["Parameter"]
    assert int(found["Value"]) >= 6
    name = f"cdk-hnb659fds-assets-{ACCOUNT}-eu-west-1"
    client = cdk.client("s3", region="eu-west-1")
    assert client.get_bucket_location(Bucket=name)["LocationConstraint"] == "eu-west-1"
    rules = client.get_bucket_encryption(Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    roles = {role["RoleName"] for role in cdk.client("iam").list_roles()["Roles"]}
    assert roles == {
        f"cdk-hnb659fds-{purpose}-role-{ACCOUNT}-eu-west-1"
        for purpose in ("deploy", "lookup", "file-publishing", "image-publishing", "cfn-exec")
    }
    for purpose in ("deploy", "lookup", "file-publishing", "image-publishing"):
        arn = f"arn:aws:iam::{ACCOUNT}:role/cdk-hnb659fds-{purpose}-role-{ACCOUNT}-eu-west-1"
        assert sts_client.assume_role(RoleArn=arn, RoleSessionName="aws-cdk-root")["Credentials"]


def test_the_execution_role_is_cloudformations(cdk: Any) -> None:
    cdk.run(cdk.bootstrap.ensure(HOME))
    role = cdk.run(cdk.store.get(Role, HOME.everywhere(), role_name("cfn-exec", HOME)))
    assert trusts_service(role, "cloudformation.amazonaws.com")
    assert role.attached == ("arn:aws:iam::aws:policy/AdministratorAccess",)
    with pytest.raises(ClientError, match="AccessDenied"):
        cdk.client("sts").assume_role(RoleArn=role.arn, RoleSessionName="me")


def test_the_policies_are_such(cdk: Any) -> None:
    for purpose, (trust, inline, attached) in role_policies(HOME).items():
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        assert parse_policy(document, PolicyKind.TRUST).statements[0].allow, purpose
        for rules in inline.values():
            text = json.dumps({"Version": "2012-10-17", "Statement": rules})
            assert parse_policy(text).statements
            assert size(text) < POLICY_SIZE
        assert all(f"arn:aws:iam::aws:policy/{name}" in AWS_POLICIES for name in attached)
        assert len(role_name(purpose, Scope(ACCOUNT, "ap-southeast-1"))) <= 64


def test_who_may_only_send_gains_nothing(cdk: Any) -> None:
    cdk.run(cdk.bootstrap.ensure(HOME))
    iam = cdk.client("iam")
    iam.create_user(UserName="smtp")
    rule = {"Effect": "Allow", "Action": "ses:SendRawEmail", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    iam.put_user_policy(UserName="smtp", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="smtp")["AccessKey"]
    keys = (key["AccessKeyId"], key["SecretAccessKey"])
    client = cdk.client("sts", *keys)
    for purpose in role_policies(HOME):
        arn = f"arn:aws:iam::{ACCOUNT}:role/{role_name(purpose, HOME)}"
        with pytest.raises(ClientError, match="AccessDenied"):
            client.assume_role(RoleArn=arn, RoleSessionName="me")
    with pytest.raises(ClientError, match="AccessDenied"):
        cdk.client("ssm", *keys).get_parameter(Name=PARAMETER)
    with pytest.raises(ClientError, match="AccessDenied"):
        cdk.client("s3", *keys).list_objects_v2(Bucket=bucket_name(HOME))


def test_the_lookup_role_reads_no_secrets(cdk: Any) -> None:
    cdk.run(cdk.bootstrap.ensure(HOME))
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role_name('lookup', HOME)}"
    found = cdk.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    keys = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    client = cdk.client("ssm", *keys)
    assert client.get_parameter(Name=PARAMETER)["Parameter"]["Type"] == "String"
    with pytest.raises(ClientError, match="AccessDenied"):
        client.put_parameter(Name="/a", Value="b", Type="String")


def test_once_a_region(cdk: Any) -> None:
    cdk.run(cdk.bootstrap.ensure(HOME))
    cdk.client("s3").delete_bucket(Bucket=bucket_name(HOME))
    iam = cdk.client("iam")
    iam.delete_role_policy(RoleName=role_name("deploy", HOME), PolicyName="default")
    iam.delete_role(RoleName=role_name("deploy", HOME))
    again = Bootstrap(cdk.iam)
    cdk.run(again.ensure(HOME))
    assert cdk.run(cdk.buckets.find(bucket_name(HOME))) is None
    assert cdk.run(cdk.roles.find(HOME, role_name("deploy", HOME))) is None


def test_what_is_there_already_stays(cdk: Any) -> None:
    name = role_name("deploy", HOME)
    rule = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    mine = cdk.run(cdk.roles.create(HOME, name, trust))
    cdk.run(cdk.bootstrap.ensure(HOME))
    assert cdk.run(cdk.roles.find(HOME, name)) == mine
    assert cdk.run(cdk.buckets.find(bucket_name(HOME))) is not None


def test_calls_that_come_together(cdk: Any) -> None:
    async def scene() -> None:
        first, second = Bootstrap(cdk.iam), Bootstrap(cdk.iam)
        async with asyncio.TaskGroup() as group:
            group.create_task(first.ensure(HOME))
            group.create_task(second.ensure(HOME))
        await first.ensure(HOME)
        await second.ensure(HOME)

    cdk.run(scene())
    assert len(cdk.run(cdk.store.select(Role, HOME.everywhere()))) == 5


def test_regions_that_do_not_exist(cdk: Any) -> None:
    cdk.client("sts", region="xx-nowhere-1").get_caller_identity()
    cdk.client("iam").list_users()
    assert cdk.run(cdk.store.select(Bootstrapped, None)) == []
    assert cdk.run(cdk.store.select(Bucket, EVERYWHERE)) == []


def test_the_engine_finds_the_version(cdk: Any) -> None:
    cdk.run(cdk.bootstrap.ensure(WEST))
    parameters = Parameters(cdk.store, cdk.clock)
    assert cdk.run(parameters.values(WEST)) == {PARAMETER: "33"}
    marker = cdk.run(cdk.store.get(Bootstrapped, WEST, "hnb659fds"))
    cdk.run(cdk.store.apply(Remove(marker)))
    cdk.run(Bootstrap(cdk.iam).ensure(WEST))
    assert cdk.run(parameters.values(WEST)) == {PARAMETER: "33"}
