"""``AWS::S3::Bucket`` and ``AWS::S3::BucketPolicy``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar

from mailstead.api.bucket_policies import set_policy
from mailstead.api.buckets import Bucket
from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
    truth,
)
from mailstead.api.cloudformation.resources.iam import text_of
from mailstead.mail.errors import Conflict, Invalid, Refused

_BLOCKS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def _encryption(given: Any) -> Any:
    rules = given.get("ServerSideEncryptionConfiguration", [])
    return {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": one.get("ServerSideEncryptionByDefault", {}),
                "BucketKeyEnabled": truth(one.get("BucketKeyEnabled")),
            }
            for one in rules
        ]
    }


def _lifecycle(given: Any) -> Any:
    rules: list[dict[str, Any]] = []
    for place, one in enumerate(given.get("Rules", []), 1):
        rule = {"ID": one.get("Id", f"rule-{place}"), "Status": one.get("Status", "Enabled")}
        rule["Filter"] = {"Prefix": one.get("Prefix", "")}
        if "ExpirationInDays" in one:
            rule["Expiration"] = {"Days": int(one["ExpirationInDays"])}
        for name, days in (
            ("NoncurrentVersionExpiration", "NoncurrentDays"),
            ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
        ):
            if name in one:
                rule[name] = {days: int(one[name][days])}
        rules.append(rule)
    return {"Rules": rules, "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K"}


def _converted(name: str, value: Any) -> str:
    """A setting as the bucket keeps it. Invalid where it has another form than its property."""
    try:
        return json.dumps(SETTINGS[name][1](value))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise Invalid(
            f"Properties validation failed: #/{name}: its members have other forms",
            resource="property",
            name=name,
        ) from None


SETTINGS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "BucketEncryption": ("encryption", _encryption),
    "LifecycleConfiguration": ("lifecycle", _lifecycle),
    "OwnershipControls": ("ownership", dict),
    "PublicAccessBlockConfiguration": (
        "public-access-block",
        lambda given: {name: truth(given.get(name)) for name in _BLOCKS},
    ),
    "Tags": (
        "tagging",
        lambda given: {"TagSet": [{"Key": one["Key"], "Value": one["Value"]} for one in given]},
    ),
    "VersioningConfiguration": ("versioning", lambda given: {"Status": given.get("Status")}),
}
"""What a bucket keeps under which name, and how a property becomes that."""


ACTIONS = {
    "BucketEncryption": "s3:PutEncryptionConfiguration",
    "LifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "OwnershipControls": "s3:PutBucketOwnershipControls",
    "PublicAccessBlockConfiguration": "s3:PutBucketPublicAccessBlock",
    "Tags": "s3:PutBucketTagging",
    "VersioningConfiguration": "s3:PutBucketVersioning",
}


async def own_bucket(at: Context, name: str) -> Bucket:
    """A bucket of the stack's account; Refused in S3's words where it is another's."""
    found = await at.ports.buckets.require(name)
    if found.account != at.scope.account:
        raise Refused("Access Denied", resource="bucket", name=name)
    return found


class S3Bucket:
    """A bucket, empty at the end or not deleted."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::S3::Bucket",
        properties={"AccessControl": None, "BucketName": None, **dict.fromkeys(SETTINGS, ANY)},
        create_only=("BucketName",),
        attributes=("Arn", "DomainName", "RegionalDomainName"),
        name="BucketName",
        longest_name=63,
        lower_case=True,
        recorded=(
            "AccessControl",
            "LifecycleConfiguration",
            "OwnershipControls",
            "VersioningConfiguration",
        ),
        refused=(
            "AccelerateConfiguration",
            "AnalyticsConfigurations",
            "CorsConfiguration",
            "IntelligentTieringConfigurations",
            "InventoryConfigurations",
            "LoggingConfiguration",
            "MetadataTableConfiguration",
            "MetricsConfigurations",
            "NotificationConfiguration",
            "ObjectLockConfiguration",
            "ObjectLockEnabled",
            "ReplicationConfiguration",
            "WebsiteConfiguration",
        ),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        at.authorise("s3:CreateBucket", f"arn:aws:s3:::{name}")
        if given.get("AccessControl", "Private") != "Private":
            raise Invalid(
                "The bucket does not allow ACLs: leave AccessControl out", resource="bucket"
            )
        settings = {
            kept: _converted(name, given[name])
            for name, (kept, _) in SETTINGS.items()
            if given.get(name)
        }
        try:
            made = await at.ports.buckets.create(at.scope, name, settings)
        except Conflict as error:
            if error.reason != "owned" or not (at.resuming or at.importing):
                raise
            return await self.update(at, name, {}, given)
        return _made(made)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        made = await own_bucket(at, physical_id)
        for name, (kept, _) in SETTINGS.items():
            if old.get(name) != new.get(name):
                at.authorise(ACTIONS[name], f"arn:aws:s3:::{physical_id}")
                value = _converted(name, new[name]) if new.get(name) else None
                made = await at.ports.buckets.set(physical_id, kept, value)
        return _made(made)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("s3:DeleteBucket", f"arn:aws:s3:::{physical_id}")
        if await at.ports.buckets.find(physical_id) is not None:
            await own_bucket(at, physical_id)
            await at.ports.buckets.delete(physical_id)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        found = await at.ports.buckets.find(physical_id)
        if found is None or found.owner != at.scope:
            return None
        actual = dict(given)
        for name in ("PublicAccessBlockConfiguration", "Tags"):
            text = found.settings.get(SETTINGS[name][0])
            wanted = _converted(name, given[name]) if given.get(name) else None
            if text != wanted:
                actual[name] = _back(name, text)
        return {name: value for name, value in actual.items() if value is not None}


def _back(name: str, text: str | None) -> Any:
    """A setting in the template's words."""
    value = json.loads(text) if text else None
    return value["TagSet"] if name == "Tags" and value is not None else value


class S3BucketPolicy:
    """A bucket's policy."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::S3::BucketPolicy",
        properties={"Bucket": None, "PolicyDocument": ANY},
        required=("Bucket", "PolicyDocument"),
        create_only=("Bucket",),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        bucket = str(given["Bucket"])
        await self._put(at, bucket, given)
        return Made(bucket)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        await self._put(at, physical_id, new)
        return Made(physical_id)

    async def _put(self, at: Context, name: str, given: Properties) -> None:
        at.authorise("s3:PutBucketPolicy", f"arn:aws:s3:::{name}")
        bucket = await own_bucket(at, name)
        await set_policy(at.ports.buckets, bucket, text_of(given["PolicyDocument"]))

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("s3:DeleteBucketPolicy", f"arn:aws:s3:::{physical_id}")
        if await at.ports.buckets.find(physical_id) is not None:
            await own_bucket(at, physical_id)
            await at.ports.buckets.set(physical_id, "policy", None)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        bucket = await at.ports.buckets.find(physical_id)
        text = bucket.settings.get("policy") if bucket is not None else None
        return given | {"PolicyDocument": json.loads(text)} if text else None


def _made(bucket: Bucket) -> Made:
    return Made(
        bucket.name,
        {
            "Arn": bucket.arn,
            "DomainName": f"{bucket.name}.s3.amazonaws.com",
            "RegionalDomainName": f"{bucket.name}.s3.{bucket.region}.amazonaws.com",
        },
    )
