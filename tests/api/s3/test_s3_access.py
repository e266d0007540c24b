"""Who may: policies of users and of buckets, other accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailstead.mail.model import Scope
from support.refusal import refused

ACCOUNT = "111122223333"


def stranger(s3door: Any, *actions: str) -> Any:
    """A client of a user with these rights."""
    iam = s3door.client("iam")
    iam.create_user(UserName="u")
    if actions:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="u")["AccessKey"]
    return s3door.client("s3", key["AccessKeyId"], key["SecretAccessKey"])


# Who may


def test_policies_of_users(s3door: Any, client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"1")
    user = stranger(s3door, "s3:GetObject")
    assert user.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    # Who may not list does not learn what is missing.
    code, status, text = refused(user.get_object, Bucket=bucket, Key="none")
    assert (code, status) == ("AccessDenied", 403)
    assert "s3:ListBucket" in text
    assert refused(user.put_object, Bucket=bucket, Key="k", Body=b"")[0] == "AccessDenied"
    found = user.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k"}]})
    assert [(one["Key"], one["Code"]) for one in found["Errors"]] == [("k", "AccessDenied")]
    assert refused(user.list_buckets)[0] == "AccessDenied"
    assert refused(user.create_bucket, Bucket="mine")[0] == "AccessDenied"
    assert refused(user.head_bucket, Bucket=bucket)[:2] == ("403", 403)


def allow(*actions: str, **more: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/u"},
        "Action": list(actions),
        "Resource": ["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"],
        **more,
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_policies_of_buckets(s3door: Any, client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="a/k", Body=b"1")
    user = stranger(s3door)
    assert refused(client.get_bucket_policy, Bucket=bucket)[:2] == ("NoSuchBucketPolicy", 404)
    assert refused(user.get_object, Bucket=bucket, Key="a/k")[0] == "AccessDenied"
    client.put_bucket_policy(Bucket=bucket, Policy=allow("s3:GetObject"))
    assert json.loads(client.get_bucket_policy(Bucket=bucket)["Policy"]) == json.loads(
        allow("s3:GetObject")
    )
    assert user.get_object(Bucket=bucket, Key="a/k")["Body"].read() == b"1"
    listing = allow("s3:ListBucket", Condition={"StringLike": {"s3:prefix": "a/*"}})
    client.put_bucket_policy(Bucket=bucket, Policy=listing)
    assert user.list_objects_v2(Bucket=bucket, Prefix="a/")["KeyCount"] == 1
    assert refused(user.list_objects_v2, Bucket=bucket)[0] == "AccessDenied"
    nobody = allow("s3:*", Effect="Deny", Principal="*")
    client.put_bucket_policy(Bucket=bucket, Policy=nobody)
    assert refused(client.get_object, Bucket=bucket, Key="a/k")[0] == "AccessDenied"
    assert client.get_bucket_policy(Bucket=bucket)["Policy"]
    client.delete_bucket_policy(Bucket=bucket)
    assert client.get_object(Bucket=bucket, Key="a/k")["Body"].read() == b"1"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("{", "MalformedPolicy"),
        (allow("s3:*", Resource="arn:aws:s3:::bucket2/*"), "MalformedPolicy"),
        (allow("s3:*", Principal=None), "MalformedPolicy"),
        (allow("s3:Get*", Resource=["arn:aws:s3:::bucket/" + "x" * 20_480]), "MalformedPolicy"),
        (allow("s3:" + "x" * 20_480), "MalformedPolicy"),
        (allow("s3:GetObject", Principal="*"), "AccessDenied"),
    ],
)
def test_policies_that_a_bucket_does_not_take(
    client: Any, bucket: str, document: str, code: str
) -> None:
    assert refused(client.put_bucket_policy, Bucket=bucket, Policy=document)[0] == code


def test_public_policies(client: Any, bucket: str) -> None:
    client.delete_public_access_block(Bucket=bucket)
    assert refused(client.get_bucket_policy_status, Bucket=bucket)[0] == "NoSuchBucketPolicy"
    for document, public in (
        (allow("s3:GetObject", Principal="*"), True),
        (allow("s3:GetObject"), False),
    ):
        client.put_bucket_policy(Bucket=bucket, Policy=document)
        status = client.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]
        assert status["IsPublic"] is public


def test_another_accounts_bucket_needs_both_sides(s3door: Any, client: Any) -> None:
    s3door.run(s3door.buckets.create(Scope("999900001111", "us-east-1"), "bucket"))
    user = stranger(s3door, "s3:*")
    assert refused(user.put_object, Bucket="bucket", Key="k", Body=b"")[0] == "AccessDenied"
    s3door.run(s3door.buckets.set("bucket", "policy", allow("s3:PutObject")))
    user.put_object(Bucket="bucket", Key="k", Body=b"")
    assert refused(user.get_object, Bucket="bucket", Key="k")[0] == "AccessDenied"


def test_whose_bucket_it_is_thought_to_be(client: Any, bucket: str) -> None:
    client.head_bucket(Bucket=bucket, ExpectedBucketOwner=ACCOUNT)
    wrong = {"Bucket": bucket, "ExpectedBucketOwner": "999900001111"}
    assert refused(client.list_objects_v2, **wrong) == ("AccessDenied", 403, "Access Denied")
