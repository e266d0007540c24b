"""S3 through boto3: buckets, listings, objects, ranges, conditions, copies, tags, refusals."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailstead.mail.model import Scope
from support.refusal import refused

ACCOUNT = "111122223333"

# Buckets


def test_the_life_of_a_bucket(s3door: Any, client: Any) -> None:
    made = client.create_bucket(Bucket="first.bucket-1")
    assert (made["Location"], made["BucketArn"]) == (
        "/first.bucket-1",
        "arn:aws:s3:::first.bucket-1",
    )
    west = s3door.client("s3", region="eu-west-1")
    west.create_bucket(
        Bucket="second",
        CreateBucketConfiguration={
            "LocationConstraint": "eu-west-1",
            "Tags": [{"Key": "a", "Value": "b"}],
        },
    )
    assert client.get_bucket_tagging(Bucket="second")["TagSet"] == [{"Key": "a", "Value": "b"}]
    assert client.get_bucket_location(Bucket="first.bucket-1")["LocationConstraint"] is None
    assert client.get_bucket_location(Bucket="second")["LocationConstraint"] == "eu-west-1"
    assert client.head_bucket(Bucket="second")["BucketRegion"] == "eu-west-1"
    listed = client.list_buckets()
    assert [one["Name"] for one in listed["Buckets"]] == ["first.bucket-1", "second"]
    assert len(listed["Owner"]["ID"]) == 64
    assert [b["Name"] for b in client.list_buckets(Prefix="s")["Buckets"]] == ["second"]
    assert [b["Name"] for b in client.list_buckets(BucketRegion="us-east-1")["Buckets"]] == [
        "first.bucket-1"
    ]
    page = client.list_buckets(MaxBuckets=1)
    rest = client.list_buckets(MaxBuckets=1, ContinuationToken=page["ContinuationToken"])
    assert [one["Name"] for one in rest["Buckets"]] == ["second"]
    assert "ContinuationToken" not in rest
    client.put_object(Bucket="second", Key="k", Body=b"x")
    assert refused(client.delete_bucket, Bucket="second") == (
        "BucketNotEmpty",
        409,
        "The bucket you tried to delete is not empty",
    )
    client.delete_object(Bucket="second", Key="k")
    client.delete_bucket(Bucket="second")
    assert refused(client.delete_bucket, Bucket="second")[:2] == ("NoSuchBucket", 404)
    assert refused(client.head_bucket, Bucket="second")[:2] == ("404", 404)


def test_buckets_that_exist(s3door: Any, client: Any, bucket: str) -> None:
    # Where S3 began, the owner's second call is no error.
    client.create_bucket(Bucket=bucket)
    west = s3door.client("s3", region="eu-west-1")
    place = {"CreateBucketConfiguration": {"LocationConstraint": "EU"}}
    west.create_bucket(Bucket="europe", ObjectOwnership="ObjectWriter", **place)
    owned = s3door.run(s3door.buckets.require("europe"))
    assert owned.owner == Scope(ACCOUNT, "eu-west-1")
    assert "ObjectWriter" in owned.settings["ownership"]
    assert refused(west.create_bucket, Bucket=bucket, **place)[:2] == (
        "BucketAlreadyOwnedByYou",
        409,
    )
    s3door.run(s3door.buckets.create(Scope("999900001111", "us-east-1"), "theirs"))
    assert refused(client.create_bucket, Bucket="theirs")[:2] == ("BucketAlreadyExists", 409)
    assert refused(client.list_objects_v2, Bucket="theirs")[:2] == ("AccessDenied", 403)


@pytest.mark.parametrize(
    "name",
    ["ab", "A-bucket", "a_b_c", "-abc", "abc-", "a..b", "192.168.1.1", "xn--abc", "x" * 64,
     "abc-s3alias", "a.-b."],
)  # fmt: skip
def test_names_that_buckets_cannot_have(s3door: Any, name: str) -> None:
    with pytest.raises(Exception, match="not valid"):
        s3door.run(s3door.buckets.create(Scope(ACCOUNT, "us-east-1"), name))


def test_what_buckets_are_not_here(client: Any) -> None:
    assert refused(client.create_bucket, Bucket="abc", ObjectLockEnabledForBucket=True)[1] == 501
    assert refused(client.create_bucket, Bucket="abc", ACL="public-read")[0] == (
        "AccessControlListNotSupported"
    )


# Objects


def test_the_life_of_an_object(client: Any, bucket: str) -> None:
    body = b"hello world"
    put = client.put_object(
        Bucket=bucket,
        Key="dir/a b+ü.txt",
        Body=body,
        ContentType="text/plain",
        CacheControl="no-cache",
        Expires=datetime(2030, 1, 1, tzinfo=UTC),
        Metadata={"Who": "me"},
        Tagging="a=1&b=%20",
        StorageClass="STANDARD",
        ChecksumAlgorithm="SHA256",
    )
    assert put["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'
    assert put["ServerSideEncryption"] == "AES256"
    checksum = base64.b64encode(hashlib.sha256(body).digest()).decode()
    assert put["ChecksumSHA256"] == checksum
    got = client.get_object(Bucket=bucket, Key="dir/a b+ü.txt", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert (got["ContentType"], got["CacheControl"]) == ("text/plain", "no-cache")
    assert got["Metadata"] == {"who": "me"}
    assert (got["ContentLength"], got["TagCount"]) == (11, 2)
    assert got["ChecksumSHA256"] == checksum
    assert got["ExpiresString"] == "Tue, 01 Jan 2030 00:00:00 GMT"
    head = client.head_object(Bucket=bucket, Key="dir/a b+ü.txt")
    assert (head["ContentLength"], head["ETag"]) == (11, put["ETag"])
    assert "ChecksumSHA256" not in head
    other = client.get_object(
        Bucket=bucket, Key="dir/a b+ü.txt", ResponseContentType="a/b", VersionId="null"
    )
    assert other["ContentType"] == "a/b"
    client.put_object(Bucket=bucket, Key="dir/a b+ü.txt", Body=b"")
    assert client.get_object(Bucket=bucket, Key="dir/a b+ü.txt")["Body"].read() == b""
    attributes = client.get_object_attributes(
        Bucket=bucket, Key="dir/a b+ü.txt", ObjectAttributes=["ETag", "ObjectSize", "StorageClass"]
    )
    assert (attributes["ObjectSize"], attributes["StorageClass"]) == (0, "STANDARD")
    client.delete_object(Bucket=bucket, Key="dir/a b+ü.txt")
    client.delete_object(Bucket=bucket, Key="dir/a b+ü.txt")
    assert refused(client.get_object, Bucket=bucket, Key="dir/a b+ü.txt") == (
        "NoSuchKey",
        404,
        "The specified key does not exist.",
    )
    assert refused(client.head_object, Bucket=bucket, Key="x")[:2] == ("404", 404)
    assert refused(client.get_object, Bucket="none", Key="x")[0] == "NoSuchBucket"
    assert refused(client.get_object, Bucket=bucket, Key="x", VersionId="v")[0] == "NoSuchVersion"
    assert refused(client.put_object, Bucket="none", Key="x", Body=b"")[0] == "NoSuchBucket"


@pytest.mark.parametrize("size", [70_000, 300_000])
def test_large_bodies(client: Any, bucket: str, size: int) -> None:
    body = hashlib.shake_256(b"x").digest(size)
    client.put_object(Bucket=bucket, Key="k", Body=body)
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == body
    client.put_object(Bucket=bucket, Key="k", Body=body[::-1])
    assert client.get_object(Bucket=bucket, Key="k")["Body"].read() == body[::-1]


@pytest.mark.parametrize(
    ("range_", "found"),
    [
        ("bytes=0-2", (206, b"012", "bytes 0-2/10")),
        ("bytes=7-", (206, b"789", "bytes 7-9/10")),
        ("bytes=8-100", (206, b"89", "bytes 8-9/10")),
        ("bytes=-3", (206, b"789", "bytes 7-9/10")),
        ("bytes=-100", (206, b"0123456789", "bytes 0-9/10")),
        ("bytes=0-0", (206, b"0", "bytes 0-0/10")),
        ("bytes=0-1,3-4", (200, b"0123456789", None)),
        ("bytes=-", (200, b"0123456789", None)),
        ("bytes=5-2", (200, b"0123456789", None)),
        ("lines=1-2", (200, b"0123456789", None)),
    ],
)
def test_ranges(client: Any, bucket: str, range_: str, found: tuple[Any, ...]) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    got = client.get_object(Bucket=bucket, Key="k", Range=range_, ChecksumMode="ENABLED")
    status = got["ResponseMetadata"]["HTTPStatusCode"]
    assert (status, got["Body"].read(), got.get("ContentRange")) == found
    head = client.head_object(Bucket=bucket, Key="k", Range=range_)
    assert head["ContentLength"] == len(found[1])


@pytest.mark.parametrize("range_", ["bytes=10-", "bytes=-0"])
def test_ranges_beyond_the_end(client: Any, bucket: str, range_: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"0123456789")
    assert refused(client.get_object, Bucket=bucket, Key="k", Range=range_)[:2] == (
        "InvalidRange",
        416,
    )


def test_conditions(client: Any, bucket: str) -> None:
    tag = client.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    here = {"Bucket": bucket, "Key": "k"}
    past = datetime.now(UTC) - timedelta(days=1)
    future = datetime.now(UTC) + timedelta(days=1)
    for right in (
        {"IfMatch": tag},
        {"IfNoneMatch": '"other"'},
        {"IfModifiedSince": past},
        {"IfUnmodifiedSince": future},
        {"IfMatch": tag, "IfUnmodifiedSince": past},
        {"IfNoneMatch": "W/x", "IfModifiedSince": future},
    ):
        assert client.get_object(**here, **right)["Body"].read() == b"1"
    for wrong, code, status in (
        ({"IfMatch": '"other"'}, "PreconditionFailed", 412),
        ({"IfUnmodifiedSince": past}, "PreconditionFailed", 412),
        ({"IfNoneMatch": tag}, "304", 304),
        ({"IfModifiedSince": future}, "304", 304),
    ):
        assert refused(client.get_object, **here, **wrong)[:2] == (code, status)
    assert refused(client.put_object, **here, Body=b"2", IfNoneMatch="*")[:2] == (
        "PreconditionFailed",
        412,
    )
    assert refused(client.put_object, **here, Body=b"2", IfMatch='"x"')[1] == 412
    client.put_object(**here, Body=b"2", IfMatch=tag)
    client.put_object(Bucket=bucket, Key="new", Body=b"", IfNoneMatch="*")
    assert refused(client.put_object, Bucket=bucket, Key="no", Body=b"", IfMatch=tag)[0] == (
        "NoSuchKey"
    )
    assert refused(client.delete_object, **here, IfMatch='"x"')[1] == 412
    client.delete_object(**here, IfMatch="*")


def test_copies(client: Any, bucket: str) -> None:
    client.put_object(
        Bucket=bucket, Key="a b", Body=b"1", ContentType="x/y", Metadata={"m": "1"}, Tagging="t=1"
    )
    source = {"Bucket": bucket, "Key": "a b"}
    copied = client.copy_object(Bucket=bucket, Key="c", CopySource=source)
    assert copied["CopyObjectResult"]["ETag"] == f'"{hashlib.md5(b"1").hexdigest()}"'
    found = client.get_object(Bucket=bucket, Key="c")
    assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (
        b"1",
        "x/y",
        {"m": "1"},
    )
    assert client.get_object_tagging(Bucket=bucket, Key="c")["TagSet"] == [
        {"Key": "t", "Value": "1"}
    ]
    client.copy_object(
        Bucket=bucket,
        Key="c",
        CopySource=f"/{bucket}/a b?versionId=null",
        MetadataDirective="REPLACE",
        TaggingDirective="REPLACE",
        Metadata={"n": "2"},
        ContentType="z/z",
        Tagging="u=2",
    )
    found = client.head_object(Bucket=bucket, Key="c")
    assert (found["ContentType"], found["Metadata"]) == ("z/z", {"n": "2"})
    assert client.get_object_tagging(Bucket=bucket, Key="c")["TagSet"][0]["Key"] == "u"
    assert refused(client.copy_object, Bucket=bucket, Key="a b", CopySource=source)[0] == (
        "InvalidRequest"
    )
    client.copy_object(Bucket=bucket, Key="a b", CopySource=source, StorageClass="GLACIER")
    assert client.head_object(Bucket=bucket, Key="a b")["StorageClass"] == "GLACIER"
    tag = found["ETag"]
    past = datetime.now(UTC) - timedelta(days=1)
    for wrong in (
        {"CopySourceIfMatch": '"x"'},
        {"CopySourceIfNoneMatch": tag},
        {"CopySourceIfModifiedSince": datetime.now(UTC) + timedelta(days=1)},
        {"CopySourceIfUnmodifiedSince": past},
    ):
        call = refused(client.copy_object, Bucket=bucket, Key="d", CopySource=source, **wrong)
        assert call[:2] == ("PreconditionFailed", 412)
    assert refused(client.copy_object, Bucket=bucket, Key="d", CopySource="no-key")[0] == (
        "InvalidArgument"
    )
    missing = {"Bucket": bucket, "Key": "missing"}
    assert refused(client.copy_object, Bucket=bucket, Key="d", CopySource=missing)[0] == "NoSuchKey"
    assert (
        refused(
            client.copy_object,
            Bucket=bucket,
            Key="d",
            CopySource=source,
            ExpectedSourceBucketOwner="999900001111",
        )[0]
        == "AccessDenied"
    )


def test_many_deletions(client: Any, bucket: str) -> None:
    for key in "abc":
        client.put_object(Bucket=bucket, Key=key, Body=b"x")
    wanted = [{"Key": "a"}, {"Key": "none"}, {"Key": "b", "VersionId": "null"}]
    found = client.delete_objects(Bucket=bucket, Delete={"Objects": wanted})
    assert [one["Key"] for one in found["Deleted"]] == ["a", "none", "b"]
    quiet = client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "c"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    many = [{"Key": str(number)} for number in range(1001)]
    assert refused(client.delete_objects, Bucket=bucket, Delete={"Objects": many})[0] in {
        "MalformedXML",
        "InvalidArgument",
    }


def test_tags_of_objects(client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"")
    here = {"Bucket": bucket, "Key": "k"}
    tags = [{"Key": "a", "Value": "1"}]
    client.put_object_tagging(**here, Tagging={"TagSet": tags})
    assert client.get_object_tagging(**here)["TagSet"] == tags
    client.delete_object_tagging(**here)
    assert client.get_object_tagging(**here)["TagSet"] == []
    eleven = [{"Key": str(number), "Value": ""} for number in range(11)]
    assert refused(client.put_object_tagging, **here, Tagging={"TagSet": eleven})[0] == "InvalidTag"
    long = [{"Key": "k", "Value": "v" * 257}]
    assert refused(client.put_object_tagging, **here, Tagging={"TagSet": long})[1] == 400
    assert refused(client.put_object, **here, Body=b"", Tagging="a=1&a=2")[0] == "InvalidTag"
    assert client.get_object_acl(**here)["Grants"][0]["Permission"] == "FULL_CONTROL"


def test_what_objects_are_not_here(client: Any, bucket: str) -> None:
    here = {"Bucket": bucket, "Key": "k", "Body": b""}
    assert (
        refused(client.put_object, **here, SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)[
            1
        ]
        == 501
    )
    assert refused(client.put_object, **here, ObjectLockLegalHoldStatus="ON")[0] == "InvalidRequest"
    assert refused(client.put_object, **here, ACL="public-read")[1] == 400
    client.put_object(**here, ACL="bucket-owner-full-control")
    assert refused(client.put_object, **(here | {"Key": "k" * 1025}))[0] in {
        "KeyTooLongError",
        "InvalidArgument",
    }


def test_how_objects_are_encrypted(client: Any, bucket: str) -> None:
    rule = {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "k"}
    }
    client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    put = client.put_object(Bucket=bucket, Key="k", Body=b"")
    assert (put["ServerSideEncryption"], put["SSEKMSKeyId"]) == ("aws:kms", "k")
    put = client.put_object(Bucket=bucket, Key="k", Body=b"", ServerSideEncryption="AES256")
    assert put["ServerSideEncryption"] == "AES256"
    assert "SSEKMSKeyId" not in client.head_object(Bucket=bucket, Key="k")
