"""What is said about a bucket and shown again: one table of settings, three operations each.

Encryption (objects show it), the policy (calls are asked against it) and tags count;
the rest is kept as it was given, for the clients that compare it with their own
files, and changes nothing: there are no versions, lifecycles, web sites or replicas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mailstead.api.bucket_model import Bucket
from mailstead.api.bucket_policies import is_public, set_policy
from mailstead.api.operation import Call, Handler, operation
from mailstead.api.s3_access import Params, check_acl, entered, private_acl
from mailstead.mail.errors import NotFound

_DEFAULT_ENCRYPTION = {
    "Rules": [
        {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    ]
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that is said about a bucket."""

    name: str
    """Under which the bucket keeps it; a NotFound's resource, too."""
    member: str
    """The member of Put's input that holds it."""
    action: str
    """IAM's word for it, after ``s3:Get`` and ``s3:Put``."""
    get: str
    put: str
    delete: str = ""
    wrapped: bool = False
    """Whether Get's output holds it under the member's name, and not its own members."""
    default: Any = None
    """What Get shows where nothing was said; None for a NotFound."""
    missing: str = ""
    """The text of that."""
    delete_action: str = ""
    """Where it is not the action of Put."""


SETTINGS = (
    Setting(
        "accelerate", "AccelerateConfiguration", "AccelerateConfiguration",
        "GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", default={},
    ),
    Setting(
        "cors", "CORSConfiguration", "BucketCORS", "GetBucketCors", "PutBucketCors",
        "DeleteBucketCors", missing="The CORS configuration does not exist",
    ),
    Setting(
        "encryption", "ServerSideEncryptionConfiguration", "EncryptionConfiguration",
        "GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption",
        wrapped=True, default=_DEFAULT_ENCRYPTION,
    ),
    Setting(
        "logging", "BucketLoggingStatus", "BucketLogging", "GetBucketLogging",
        "PutBucketLogging", default={},
    ),
    Setting(
        "notification", "NotificationConfiguration", "BucketNotification",
        "GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", default={},
    ),
    Setting(
        "object-lock", "ObjectLockConfiguration", "BucketObjectLockConfiguration",
        "GetObjectLockConfiguration", "PutObjectLockConfiguration", wrapped=True,
        missing="Object Lock configuration does not exist for this bucket",
    ),
    Setting(
        "ownership", "OwnershipControls", "BucketOwnershipControls", "GetBucketOwnershipControls",
        "PutBucketOwnershipControls", "DeleteBucketOwnershipControls", wrapped=True,
        missing="The bucket ownership controls were not found",
    ),
    Setting(
        "public-access-block", "PublicAccessBlockConfiguration", "BucketPublicAccessBlock",
        "GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock", wrapped=True,
        missing="The public access block configuration was not found",
    ),
    Setting(
        "replication", "ReplicationConfiguration", "ReplicationConfiguration",
        "GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication", wrapped=True,
        missing="The replication configuration was not found",
    ),
    Setting(
        "request-payment", "RequestPaymentConfiguration", "BucketRequestPayment",
        "GetBucketRequestPayment", "PutBucketRequestPayment", default={"Payer": "BucketOwner"},
    ),
    Setting(
        "tagging", "Tagging", "BucketTagging", "GetBucketTagging", "PutBucketTagging",
        "DeleteBucketTagging", missing="The TagSet does not exist",
    ),
    Setting(
        "versioning", "VersioningConfiguration", "BucketVersioning", "GetBucketVersioning",
        "PutBucketVersioning", default={},
    ),
    Setting(
        "website", "WebsiteConfiguration", "BucketWebsite", "GetBucketWebsite",
        "PutBucketWebsite", "DeleteBucketWebsite",
        missing="The specified bucket does not have a website configuration",
        delete_action="s3:DeleteBucketWebsite",
    ),
)  # fmt: skip

_LIFECYCLE = Setting(
    "lifecycle",
    "LifecycleConfiguration",
    "LifecycleConfiguration",
    "GetBucketLifecycleConfiguration",
    "PutBucketLifecycleConfiguration",
    "DeleteBucketLifecycle",
    missing="The lifecycle configuration does not exist",
)


def said(bucket: Bucket, setting: Setting) -> Any:
    """What was said, or the default; NotFound where there is neither."""
    text = bucket.settings.get(setting.name)
    if text is not None:
        return json.loads(text)
    if setting.default is None:
        raise NotFound(setting.missing, resource=setting.name, name=bucket.name)
    return setting.default


def default_encryption(bucket: Bucket) -> dict[str, str]:
    """How a bucket encrypts what does not say how, as members of an object."""
    [rule, *_] = said(bucket, _ENCRYPTION)["Rules"] or [{}]
    given = rule.get("ApplyServerSideEncryptionByDefault") or {}
    found = {
        "ServerSideEncryption": given.get("SSEAlgorithm", "AES256"),
        "SSEKMSKeyId": given.get("KMSMasterKeyID"),
    }
    return {name: value for name, value in found.items() if value}


_ENCRYPTION = next(setting for setting in SETTINGS if setting.name == "encryption")


def _handlers(setting: Setting) -> Iterator[Handler]:
    """The operations of one setting."""

    @operation("s3", setting.get, open_=True)
    async def get(call: Call, p: Params) -> Params:
        bucket = await entered(call, p, f"s3:Get{setting.action}")
        value = said(bucket, setting)
        return {setting.member: value} if setting.wrapped else value

    @operation("s3", setting.put, open_=True)
    async def put(call: Call, p: Params) -> None:
        bucket = await entered(call, p, f"s3:Put{setting.action}")
        value = json.dumps(p.get(setting.member, {}))
        await call.ports.buckets.set(bucket.name, setting.name, value)

    yield get
    yield put
    if setting.delete:
        yield _deletion(setting)


def _deletion(setting: Setting) -> Handler:
    @operation("s3", setting.delete, open_=True)
    async def delete(call: Call, p: Params) -> None:
        bucket = await entered(call, p, setting.delete_action or f"s3:Put{setting.action}")
        await call.ports.buckets.set(bucket.name, setting.name, None)

    return delete


# Lifecycles


@operation("s3", "GetBucketLifecycleConfiguration", open_=True)
async def get_lifecycle(call: Call, p: Params) -> Params:
    return said(await entered(call, p, "s3:GetLifecycleConfiguration"), _LIFECYCLE)


@operation("s3", "PutBucketLifecycleConfiguration", open_=True)
async def put_lifecycle(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:PutLifecycleConfiguration")
    # A rule without an id gets one, by which clients tell rules apart.
    rules = [
        {"ID": call.ports.randomness.uuid(), **rule}
        for rule in p.get("LifecycleConfiguration", {}).get("Rules", [])
    ]
    size = p.get("TransitionDefaultMinimumObjectSize", "all_storage_classes_128K")
    value = {"Rules": rules, "TransitionDefaultMinimumObjectSize": size}
    await call.ports.buckets.set(bucket.name, _LIFECYCLE.name, json.dumps(value))
    return {"TransitionDefaultMinimumObjectSize": size}


FAMILIES = (
    *(handler for setting in SETTINGS for handler in _handlers(setting)),
    _deletion(_LIFECYCLE),
)
"""The handlers of all settings."""


# The policy


@operation("s3", "GetBucketPolicy", open_=True)
async def get_bucket_policy(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:GetBucketPolicy")
    return {"Policy": _policy(bucket)}


def _policy(bucket: Bucket) -> str:
    text = bucket.settings.get("policy")
    if text is None:
        raise NotFound(
            "The bucket policy does not exist", resource="bucket-policy", name=bucket.name
        )
    return text


@operation("s3", "GetBucketPolicyStatus", open_=True)
async def get_bucket_policy_status(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:GetBucketPolicyStatus")
    _policy(bucket)
    return {"PolicyStatus": {"IsPublic": any(map(is_public, bucket.policies))}}


@operation("s3", "PutBucketPolicy", open_=True)
async def put_bucket_policy(call: Call, p: Params) -> None:
    bucket = await entered(call, p, "s3:PutBucketPolicy")
    await set_policy(call.ports.buckets, bucket, p.get("Policy", ""))


@operation("s3", "DeleteBucketPolicy", open_=True)
async def delete_bucket_policy(call: Call, p: Params) -> None:
    bucket = await entered(call, p, "s3:DeleteBucketPolicy")
    await call.ports.buckets.set(bucket.name, "policy", None)


# Access control lists: only the one that gives others nothing


@operation("s3", "GetBucketAcl", open_=True)
async def get_bucket_acl(call: Call, p: Params) -> Params:
    return private_acl((await entered(call, p, "s3:GetBucketAcl")).account)


@operation("s3", "PutBucketAcl", open_=True)
async def put_bucket_acl(call: Call, p: Params) -> None:
    bucket = await entered(call, p, "s3:PutBucketAcl")
    grants = (p.get("AccessControlPolicy") or {}).get("Grants", [])
    own = private_acl(bucket.account)["Grants"][0]["Grantee"]["ID"]
    if any(grant.get("Grantee", {}).get("ID") != own for grant in grants):
        check_acl({"GrantRead": ""})
    check_acl(p)
