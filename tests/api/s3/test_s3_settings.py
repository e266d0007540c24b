"""What is said about buckets: defaults, the right 404 of each, and what was put comes back."""

from __future__ import annotations

from typing import Any

import pytest

from mailstead.api.s3_settings import SETTINGS
from support.refusal import refused

pytestmark = pytest.mark.usefixtures("bucket")


def answer(found: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name != "ResponseMetadata"}


NEW = {
    "get_bucket_accelerate_configuration": {},
    "get_bucket_logging": {},
    "get_bucket_notification_configuration": {},
    "get_bucket_request_payment": {"Payer": "BucketOwner"},
    "get_bucket_versioning": {},
    "get_bucket_encryption": {
        "ServerSideEncryptionConfiguration": {
            "Rules": [
                {
                    "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
                    "BucketKeyEnabled": False,
                }
            ]
        }
    },
    "get_bucket_ownership_controls": {
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    },
    "get_public_access_block": {
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        }
    },
}
MISSING = {
    "get_bucket_cors": "NoSuchCORSConfiguration",
    "get_bucket_lifecycle_configuration": "NoSuchLifecycleConfiguration",
    "get_bucket_policy": "NoSuchBucketPolicy",
    "get_bucket_replication": "ReplicationConfigurationNotFoundError",
    "get_bucket_tagging": "NoSuchTagSet",
    "get_bucket_website": "NoSuchWebsiteConfiguration",
    "get_object_lock_configuration": "ObjectLockConfigurationNotFoundError",
}


@pytest.mark.parametrize("name", sorted(NEW))
def test_a_new_bucket(client: Any, name: str) -> None:
    assert answer(getattr(client, name)(Bucket="bucket")) == NEW[name]


@pytest.mark.parametrize("name", sorted(MISSING))
def test_what_a_new_bucket_lacks(client: Any, name: str) -> None:
    assert refused(getattr(client, name), Bucket="bucket")[:2] == (MISSING[name], 404)
    assert refused(getattr(client, name), Bucket="none")[:2] == ("NoSuchBucket", 404)


CORS = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 5}]}
ENCRYPTION = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {
                "SSEAlgorithm": "aws:kms",
                "KMSMasterKeyID": "k",
            },
            "BucketKeyEnabled": True,
        }
    ]
}
LOGGING = {"LoggingEnabled": {"TargetBucket": "b", "TargetPrefix": "p/"}}
REPLICATION = {
    "Role": "arn:aws:iam::111122223333:role/r",
    "Rules": [{"Status": "Enabled", "Destination": {"Bucket": "arn:aws:s3:::b"}, "ID": "x"}],
}
PUT: dict[str, tuple[str, dict[str, Any], bool]] = {
    "bucket_accelerate_configuration": (
        "AccelerateConfiguration",
        {"Status": "Enabled"},
        False,
    ),
    "bucket_cors": ("CORSConfiguration", CORS, False),
    "bucket_encryption": ("ServerSideEncryptionConfiguration", ENCRYPTION, True),
    "bucket_logging": ("BucketLoggingStatus", LOGGING, False),
    "bucket_notification_configuration": (
        "NotificationConfiguration",
        {"EventBridgeConfiguration": {}},
        False,
    ),
    "object_lock_configuration": (
        "ObjectLockConfiguration",
        {"ObjectLockEnabled": "Enabled"},
        True,
    ),
    "bucket_ownership_controls": (
        "OwnershipControls",
        {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
        True,
    ),
    "public_access_block": (
        "PublicAccessBlockConfiguration",
        {"BlockPublicAcls": False, "BlockPublicPolicy": True},
        True,
    ),
    "bucket_replication": ("ReplicationConfiguration", REPLICATION, True),
    "bucket_request_payment": (
        "RequestPaymentConfiguration",
        {"Payer": "Requester"},
        False,
    ),
    "bucket_tagging": ("Tagging", {"TagSet": [{"Key": "a", "Value": "ü"}]}, False),
    "bucket_versioning": ("VersioningConfiguration", {"Status": "Enabled"}, False),
    "bucket_website": (
        "WebsiteConfiguration",
        {"IndexDocument": {"Suffix": "index.html"}},
        False,
    ),
}
DELETED = {
    "delete_bucket_cors": ("get_bucket_cors", "NoSuchCORSConfiguration"),
    "delete_bucket_encryption": ("get_bucket_encryption", ""),
    "delete_bucket_ownership_controls": (
        "get_bucket_ownership_controls",
        "OwnershipControlsNotFoundError",
    ),
    "delete_public_access_block": (
        "get_public_access_block",
        "NoSuchPublicAccessBlockConfiguration",
    ),
    "delete_bucket_replication": (
        "get_bucket_replication",
        "ReplicationConfigurationNotFoundError",
    ),
    "delete_bucket_tagging": ("get_bucket_tagging", "NoSuchTagSet"),
    "delete_bucket_website": ("get_bucket_website", "NoSuchWebsiteConfiguration"),
}


def test_the_table_is_tried_whole() -> None:
    assert len(PUT) == len(SETTINGS)
    assert len(DELETED) == sum(bool(setting.delete) for setting in SETTINGS)


@pytest.mark.parametrize("name", sorted(PUT))
def test_what_was_put_comes_back(client: Any, name: str) -> None:
    member, value, wrapped = PUT[name]
    getattr(client, f"put_{name}")(Bucket="bucket", **{member: value})
    found = answer(getattr(client, f"get_{name}")(Bucket="bucket"))
    assert found == ({member: value} if wrapped else value)


@pytest.mark.parametrize("name", sorted(DELETED))
def test_what_was_deleted(client: Any, name: str) -> None:
    get, code = DELETED[name]
    stem = name.removeprefix("delete_")
    member, value, _ = PUT[stem]
    getattr(client, f"put_{stem}")(Bucket="bucket", **{member: value})
    getattr(client, name)(Bucket="bucket")
    getattr(client, name)(Bucket="bucket")
    if code:
        assert refused(getattr(client, get), Bucket="bucket")[:2] == (code, 404)
    else:
        assert answer(getattr(client, get)(Bucket="bucket")) == NEW[get]


def test_lifecycles(client: Any) -> None:
    rule = {"Status": "Enabled", "Filter": {"Prefix": "a/"}, "Expiration": {"Days": 3}}
    put = client.put_bucket_lifecycle_configuration(
        Bucket="bucket", LifecycleConfiguration={"Rules": [rule, {"ID": "mine", **rule}]}
    )
    assert put["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    found = client.get_bucket_lifecycle_configuration(Bucket="bucket")
    first, second = found["Rules"]
    assert first.pop("ID")
    assert (first, second) == (rule, {"ID": "mine", **rule})
    client.delete_bucket_lifecycle(Bucket="bucket")
    assert refused(client.get_bucket_lifecycle_configuration, Bucket="bucket")[1] == 404


def test_access_control_lists(client: Any) -> None:
    found = answer(client.get_bucket_acl(Bucket="bucket"))
    assert found["Grants"][0]["Grantee"]["ID"] == found["Owner"]["ID"]
    client.put_bucket_acl(Bucket="bucket", ACL="private")
    client.put_bucket_acl(Bucket="bucket", AccessControlPolicy=found)
    for wrong in (
        {"ACL": "public-read"},
        {"GrantRead": "id=x"},
        {
            "AccessControlPolicy": {
                "Owner": found["Owner"],
                "Grants": [{"Grantee": {"Type": "CanonicalUser", "ID": "x"}, "Permission": "READ"}],
            }
        },
    ):
        assert refused(client.put_bucket_acl, Bucket="bucket", **wrong)[:2] == (
            "AccessControlListNotSupported",
            400,
        )


def test_settings_are_asked_of_iam_by_its_own_words(s3door: Any, client: Any) -> None:
    iam = s3door.client("iam")
    iam.create_user(UserName="u")
    rule = {"Effect": "Allow", "Action": "s3:GetEncryptionConfiguration", "Resource": "*"}
    document = f'{{"Version": "2012-10-17", "Statement": [{rule}]}}'.replace("'", '"')
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="u")["AccessKey"]
    user = s3door.client("s3", key["AccessKeyId"], key["SecretAccessKey"])
    assert user.get_bucket_encryption(Bucket="bucket")
    text = refused(user.delete_bucket_encryption, Bucket="bucket")[2]
    assert "s3:PutEncryptionConfiguration" in text
    assert (
        "s3:GetLifecycleConfiguration"
        in (refused(user.get_bucket_lifecycle_configuration, Bucket="bucket")[2])
    )


def test_what_is_not_served(client: Any) -> None:
    code, status, text = refused(client.list_bucket_metrics_configurations, Bucket="bucket")
    assert (code, status) == ("NotImplemented", 501)
    assert "ListBucketMetricsConfigurations" in text
