"""S3 of a real server: boto3, the AWS CLI, presigned URLs, both styles, 100-continue, roles."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from support.running import ROOT_KEY, Mailstead

BODY = hashlib.shake_256(b"body").digest(200_000)


@pytest.fixture
def bucket(server: Mailstead, request: pytest.FixtureRequest) -> str:
    """A bucket of this test's own."""
    name = f"b{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]}"
    server.boto3("s3").create_bucket(Bucket=name)
    return name


def stored(server: Mailstead, bucket: str, key: str) -> bytes:
    return server.boto3("s3").get_object(Bucket=bucket, Key=key)["Body"].read()


@pytest.mark.slow
def test_plain_and_presigned_in_both_styles_over_both_protocols(
    server: Mailstead, bucket: str
) -> None:
    port = server.ports["api"]
    for scheme, style, region in (
        ("http", "path", "us-east-1"),
        ("http", "path", "eu-west-1"),
        ("https", "path", "us-east-1"),
    ):
        client = server.boto3(
            "s3",
            endpoint_url=f"{scheme}://127.0.0.1:{port}",
            region_name=region,
            verify=server.facts["ca"],
            config=Config(s3={"addressing_style": style}),
        )
        key = f"{scheme} {style}/{region}"
        # Over TLS botocore sends the body in pieces with a checksum behind it.
        client.put_object(Bucket=bucket, Key=key, Body=BODY)
        assert stored(server, bucket, key) == BODY
        where = {"Bucket": bucket, "Key": f"{key} presigned"}
        url = client.generate_presigned_url("put_object", Params=where)
        if scheme == "http":
            put = urllib.request.Request(url, BODY, method="PUT", headers={"Content-Type": ""})
            with urllib.request.urlopen(put, timeout=20) as answer:
                assert answer.status == 200
            got = client.generate_presigned_url("get_object", Params=where)
            with urllib.request.urlopen(got, timeout=20) as answer:
                assert answer.read() == BODY


def test_a_bucket_in_the_hosts_name(server: Mailstead, bucket: str) -> None:
    port = server.ports["api"]
    client = server.boto3(
        "s3",
        endpoint_url=f"http://localhost:{port}",
        config=Config(s3={"addressing_style": "virtual"}),
    )
    url = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "a/b"})
    assert url.startswith(f"http://{bucket}.localhost:{port}/a/b?")
    # The name need not resolve: the Host field says it all.
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    target = url.partition(str(port))[2]
    connection.request("PUT", target, BODY, {"Host": f"{bucket}.localhost:{port}"})
    assert connection.getresponse().status == 200
    connection.close()
    assert stored(server, bucket, "a/b") == BODY


def test_a_client_that_waits_to_be_told_to_go_on(server: Mailstead, bucket: str) -> None:
    client = server.boto3("s3", region_name="eu-west-1")
    url = client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
    host = f"127.0.0.1:{server.ports['api']}"
    target = url.partition(host)[2]
    head = (
        f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(BODY)}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.ports["api"]), timeout=20) as one:
        one.sendall(head.encode())
        assert one.recv(1000).startswith(b"HTTP/1.1 100 ")
        one.sendall(BODY)
        answer = b""
        while piece := one.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert stored(server, bucket, "k") == BODY


@pytest.mark.slow
def test_the_cli(server: Mailstead, bucket: str, tmp_path: Path) -> None:
    command = shutil.which("aws", path=str(Path(sys.executable).parent))
    assert command is not None

    def aws(*words: str) -> str:
        done = subprocess.run(
            [command, "s3", *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=server.environment() | {"HOME": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    large = BODY * 50
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "large").write_bytes(large)
    (tmp_path / "in" / "small ü").write_bytes(b"small")
    aws("cp", "--recursive", str(tmp_path / "in"), f"s3://{bucket}/dir/")
    listed = aws("ls", "--recursive", f"s3://{bucket}")
    assert "dir/large" in listed
    assert "dir/small ü" in listed
    aws("cp", f"s3://{bucket}/dir/large", str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == large
    aws("mv", f"s3://{bucket}/dir/large", f"s3://{bucket}/moved")
    aws("sync", f"s3://{bucket}/dir", str(tmp_path / "synced"))
    assert (tmp_path / "synced" / "small ü").read_bytes() == b"small"
    aws("rb", "--force", f"s3://{bucket}")
    assert bucket not in aws("ls")


@pytest.mark.slow
def test_objects_outlive_the_server(start: Any, tmp_path: Path) -> None:
    folder = str(tmp_path / "data")
    words = ("--data", folder, "--root-key", ":".join(ROOT_KEY))
    first = start(*words)
    client = first.boto3("s3")
    client.create_bucket(Bucket="kept")
    for key, body in (("small", b"s"), ("large", BODY)):
        client.put_object(Bucket="kept", Key=key, Body=body, Metadata={"a": "b"})
    assert first.stop() == 0
    second = start(*words)
    assert stored(second, "kept", "small") == b"s"
    assert stored(second, "kept", "large") == BODY
    head = second.boto3("s3").head_object(Bucket="kept", Key="large")
    assert head["Metadata"] == {"a": "b"}


def assumed(server: Mailstead, arn: str, **more: Any) -> Any:
    """A maker of clients of a role's session."""
    keys = server.boto3("sts").assume_role(RoleArn=arn, RoleSessionName="tester", **more)[
        "Credentials"
    ]

    def client(service: str) -> Any:
        return server.boto3(
            service,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return client


def test_the_roles_of_cdk(server: Mailstead) -> None:
    account, region = server.facts["account"], server.facts["region"]
    start_of = f"arn:aws:iam::{account}:role/cdk-hnb659fds"
    files = f"cdk-hnb659fds-assets-{account}-{region}"
    publisher = assumed(server, f"{start_of}-file-publishing-role-{account}-{region}")
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    publisher("s3").put_object(
        Bucket=files,
        Key="t.json",
        Body=BODY,
        ChecksumSHA256=digest,
        ServerSideEncryption="AES256",
        ExpectedBucketOwner=account,
    )
    who = publisher("sts").get_caller_identity()
    assert who["Arn"] == (
        f"arn:aws:sts::{account}:assumed-role/"
        f"cdk-hnb659fds-file-publishing-role-{account}-{region}/tester"
    )
    for call in (publisher("iam").list_users, publisher("s3").list_buckets):
        with pytest.raises(ClientError, match="AccessDenied"):
            call()
    deployer = assumed(server, f"{start_of}-deploy-role-{account}-{region}")
    found = deployer("ssm").get_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    assert int(found["Parameter"]["Value"]) >= 6
    assert deployer("s3").get_object(Bucket=files, Key="t.json")["Body"].read() == BODY
    with pytest.raises(ClientError, match="AccessDenied"):
        deployer("s3").put_object(Bucket=files, Key="x", Body=b"")
    lookup = assumed(server, f"{start_of}-lookup-role-{account}-{region}")
    assert lookup("route53").list_hosted_zones_by_name()["HostedZones"]


def test_a_region_is_bootstrapped_when_it_is_used(server: Mailstead) -> None:
    account = server.facts["account"]
    client = server.boto3("ssm", region_name="ap-southeast-2")
    assert client.get_parameter(Name="/cdk-bootstrap/hnb659fds/version")
    name = f"cdk-hnb659fds-assets-{account}-ap-southeast-2"
    found = server.boto3("s3").get_bucket_location(Bucket=name)
    assert found["LocationConstraint"] == "ap-southeast-2"


def test_policies_with_roles_on_the_wire(server: Mailstead) -> None:
    iam = server.boto3("iam")
    account = server.facts["account"]
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    made = iam.create_role(RoleName="sender", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    rule = {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [rule]})
    iam.put_role_policy(RoleName="sender", PolicyName="p", PolicyDocument=document)
    own = assumed(server, made["Arn"])
    sent = own("ses").send_email(
        Source="role@example.test",
        Destination={"ToAddresses": ["someone@elsewhere.example"]},
        Message={"Subject": {"Data": "by a role"}, "Body": {"Text": {"Data": "x"}}},
    )
    assert server.wait_for(f"message_id={sent['MessageId']}")
    with pytest.raises(ClientError, match="AccessDenied"):
        own("ses").list_identities()


def test_boto3_resources(server: Mailstead, bucket: str) -> None:
    resource = boto3.resource(
        "s3",
        endpoint_url=server.api,
        region_name="us-east-1",
        aws_access_key_id=server.facts["access_key_id"],
        aws_secret_access_key=server.facts["secret_access_key"],
    )
    home = resource.Bucket(bucket)
    for number in range(3):
        home.put_object(Key=f"k{number}", Body=b"x")
    assert [one.key for one in home.objects.all()] == ["k0", "k1", "k2"]
    home.objects.delete()
    home.delete()
