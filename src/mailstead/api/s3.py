"""S3 operations on buckets and on listings; objects are `mailstead.api.s3_objects`'.

Every handler asks both the caller's policies and the bucket's, so the gateway asks
nothing.
"""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from mailstead.api.bucket_model import Bucket, Listing, StoredObject
from mailstead.api.buckets import LAST
from mailstead.api.operation import Call, operation
from mailstead.api.s3_access import Params, check_acl, entered, not_served, owner_out
from mailstead.mail.errors import Conflict, Invalid
from mailstead.mail.model import Scope

MOST_KEYS = 1000
MOST_BUCKETS = 10_000
DEFAULT_REGION = "us-east-1"
NEW_BUCKET: dict[str, Any] = {
    "ownership": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    "public-access-block": {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": True,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": True,
    },
}
"""Settings that every bucket begins with."""


# Buckets


@operation("s3", "CreateBucket", open_=True)
async def create_bucket(call: Call, p: Params) -> Params:
    name = p["Bucket"]
    call.authorise("s3:CreateBucket", [f"arn:aws:s3:::{name}"])
    if p.get("ObjectLockEnabledForBucket"):
        raise not_served("object lock")
    check_acl(p)
    configuration = p.get("CreateBucketConfiguration") or {}
    region = configuration.get("LocationConstraint") or call.scope.region
    region = "eu-west-1" if region == "EU" else region
    settings = {key: json.dumps(value) for key, value in NEW_BUCKET.items()}
    if (ownership := p.get("ObjectOwnership")) is not None:
        settings["ownership"] = json.dumps({"Rules": [{"ObjectOwnership": ownership}]})
    if tags := configuration.get("Tags"):
        settings["tagging"] = json.dumps({"TagSet": tags})
    try:
        bucket = await call.ports.buckets.create(Scope(call.scope.account, region), name, settings)
    except Conflict as error:
        # As it was in the beginning of S3: only there the owner's second call is no error.
        if error.reason != "owned" or region != DEFAULT_REGION:
            raise
        bucket = await call.ports.buckets.require(name)
    return {"Location": f"/{name}", "BucketArn": bucket.arn}


@operation("s3", "HeadBucket", open_=True)
async def head_bucket(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:ListBucket")
    return {"BucketRegion": bucket.region, "BucketArn": bucket.arn, "AccessPointAlias": False}


@operation("s3", "DeleteBucket", open_=True)
async def delete_bucket(call: Call, p: Params) -> None:
    bucket = await entered(call, p, "s3:DeleteBucket")
    await call.ports.buckets.delete(bucket.name)


@operation("s3", "ListBuckets", action="s3:ListAllMyBuckets")
async def list_buckets(call: Call, p: Params) -> Params:
    prefix, after = p.get("Prefix", ""), unpositioned(p.get("ContinuationToken", ""))
    found = [
        bucket
        for bucket in await call.ports.buckets.owned(call.scope.account)
        if bucket.name.startswith(prefix)
        and bucket.name > after
        and p.get("BucketRegion") in (None, bucket.region)
    ]
    limit = p.get("MaxBuckets", MOST_BUCKETS)
    shown = found[:limit]
    return {
        "Owner": owner_out(call.scope.account),
        "Buckets": [_bucket_out(bucket) for bucket in shown],
        "Prefix": p.get("Prefix"),
        "ContinuationToken": positioned(shown[-1].name) if len(found) > limit else None,
    }


def _bucket_out(bucket: Bucket) -> dict[str, Any]:
    return {
        "Name": bucket.name,
        "CreationDate": bucket.created_at / 1000,
        "BucketRegion": bucket.region,
        "BucketArn": bucket.arn,
    }


@operation("s3", "GetBucketLocation", open_=True)
async def get_bucket_location(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:GetBucketLocation")
    # The first region has no name here.
    return {"LocationConstraint": None if bucket.region == DEFAULT_REGION else bucket.region}


# Listings


def positioned(position: str) -> str:
    """A continuation token."""
    return urlsafe_b64encode(position.encode()).decode()


def unpositioned(token: str) -> str:
    """What a continuation token stands for."""
    try:
        return b64decode(token.encode(), b"-_", validate=True).decode()
    except ValueError:
        raise Invalid(
            "The continuation token provided is incorrect", resource="token", name=token
        ) from None


async def _listing(call: Call, p: Params, position: str) -> tuple[Bucket, Listing, int]:
    prefix, delimiter = p.get("Prefix", ""), p.get("Delimiter", "")
    limit = p.get("MaxKeys", MOST_KEYS)
    if limit < 0:
        raise Invalid("Argument maxKeys must be an integer between 0 and 2147483647")
    context = {"s3:prefix": [prefix], "s3:delimiter": [delimiter], "s3:max-keys": [str(limit)]}
    bucket = await entered(call, p, "s3:ListBucket", context=context)
    listing = await call.ports.buckets.listed(
        bucket.name,
        prefix=prefix,
        delimiter=delimiter,
        position=position,
        limit=min(limit, MOST_KEYS),
    )
    return bucket, listing, limit


def _spelling(p: Params) -> Callable[[str], str]:
    if p.get("EncodingType") == "url":
        return lambda text: quote(text, safe="/-_.~*")
    return lambda text: text


def _after(marker: str, delimiter: str) -> str:
    """Where a listing goes on after a marker: one that is a common prefix is done with."""
    return marker + LAST if delimiter and marker.endswith(delimiter) else marker


def _object_out(found: StoredObject, spell: Callable[[str], str]) -> dict[str, Any]:
    algorithms = [name.removeprefix("Checksum") for name in found.checksums]
    return {
        "Key": spell(found.key),
        "LastModified": found.modified_at / 1000,
        "ETag": f'"{found.etag}"',
        "Size": found.size,
        "StorageClass": found.system.get("StorageClass", "STANDARD"),
        "ChecksumAlgorithm": algorithms or None,
        "ChecksumType": "FULL_OBJECT" if algorithms else None,
    }


def _page(p: Params, bucket: Bucket, listing: Listing, limit: int) -> dict[str, Any]:
    """What all kinds of listing begin with."""
    spell = _spelling(p)
    prefixes = [entry for entry in listing.entries if isinstance(entry, str)]
    return {
        "Name": bucket.name,
        "Prefix": spell(p.get("Prefix", "")),
        "Delimiter": spell(p["Delimiter"]) if p.get("Delimiter") else None,
        "MaxKeys": limit,
        "EncodingType": p.get("EncodingType"),
        "IsTruncated": bool(listing.position),
        "CommonPrefixes": [{"Prefix": spell(prefix)} for prefix in prefixes] or None,
    }


def _objects(listing: Listing) -> list[StoredObject]:
    return [entry for entry in listing.entries if isinstance(entry, StoredObject)]


@operation("s3", "ListObjectsV2", open_=True)
async def list_objects_v2(call: Call, p: Params) -> Params:
    token = p.get("ContinuationToken")
    position = unpositioned(token) if token else p.get("StartAfter", "")
    bucket, listing, limit = await _listing(call, p, position)
    spell = _spelling(p)
    owner = {"Owner": owner_out(bucket.account)} if p.get("FetchOwner") else {}
    return {
        **_page(p, bucket, listing, limit),
        "Contents": [{**_object_out(one, spell), **owner} for one in _objects(listing)] or None,
        "KeyCount": len(listing.entries),
        "ContinuationToken": token,
        "NextContinuationToken": positioned(listing.position) if listing.position else None,
        "StartAfter": spell(p["StartAfter"]) if "StartAfter" in p else None,
    }


@operation("s3", "ListObjects", open_=True)
async def list_objects(call: Call, p: Params) -> Params:
    marker = p.get("Marker", "")
    bucket, listing, limit = await _listing(call, p, _after(marker, p.get("Delimiter", "")))
    spell = _spelling(p)
    owner = owner_out(bucket.account)
    return {
        **_page(p, bucket, listing, limit),
        "Marker": spell(marker),
        "NextMarker": spell(_shown(listing)) if listing.position and p.get("Delimiter") else None,
        "Contents": [
            {**_object_out(one, spell), "Owner": owner} for one in _objects(listing)
        ] or None,
    }  # fmt: skip


def _shown(listing: Listing) -> str:
    last = listing.entries[-1]
    return last if isinstance(last, str) else last.key


@operation("s3", "ListObjectVersions", open_=True)
async def list_object_versions(call: Call, p: Params) -> Params:
    # Every object has one version, whose id is the word null, as where versioning is off.
    marker = p.get("KeyMarker", "")
    bucket, listing, limit = await _listing(call, p, _after(marker, p.get("Delimiter", "")))
    spell = _spelling(p)
    version = {"VersionId": "null", "IsLatest": True, "Owner": owner_out(bucket.account)}
    return {
        **_page(p, bucket, listing, limit),
        "KeyMarker": spell(marker),
        "VersionIdMarker": p.get("VersionIdMarker", ""),
        "NextKeyMarker": spell(_shown(listing)) if listing.position else None,
        "NextVersionIdMarker": "null" if listing.position else None,
        "Versions": [
            {**_object_out(one, spell), **version} for one in _objects(listing)
        ] or None,
    }  # fmt: skip
