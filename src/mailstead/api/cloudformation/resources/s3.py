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
from mailstead.mail.errors import Conflict, Invalid

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
            kept: json.dumps(convert(given[name]))
            for name, (kept, convert) in SETTINGS.items()
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
        at.authorise("s3:PutBucketTagging", f"arn:aws:s3:::{physical_id}")
        made = await at.ports.buckets.require(physical_id)
        for name, (kept, convert) in SETTINGS.items():
            if old.get(name) != new.get(name):
                value = json.dumps(convert(new[name])) if new.get(name) else None
                made = await at.ports.buckets.set(physical_id, kept, value)
        return _made(made)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("s3:DeleteBucket", f"arn:aws:s3:::{physical_id}")
        if await at.ports.buckets.find(physical_id) is not None:
            await at.ports.buckets.delete(physical_id)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        found = await at.ports.buckets.find(physical_id)
        if found is None or found.owner != at.scope:
            return None
        actual = dict(given)
        for name in ("PublicAccessBlockConfiguration", "Tags"):
            kept, convert = SETTINGS[name]
            text = found.settings.get(kept)
            wanted = json.dumps(convert(given[name])) if given.get(name) else None
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
        bucket = await at.ports.buckets.require(name)
        await set_policy(at.ports.buckets, bucket, text_of(given["PolicyDocument"]))

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("s3:DeleteBucketPolicy", f"arn:aws:s3:::{physical_id}")
        if await at.ports.buckets.find(physical_id) is not None:
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
