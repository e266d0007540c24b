"""S3 operations on objects: put, get in whole or in part, copy, delete, tags."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from mailstead.api.bucket_model import Bucket, NewObject, StoredObject
from mailstead.api.buckets import no_key
from mailstead.api.operation import Answered, Call, operation
from mailstead.api.s3_access import (
    Params,
    check,
    check_acl,
    entered,
    named,
    not_served,
    private_acl,
)
from mailstead.api.s3_settings import default_encryption
from mailstead.mail.errors import Invalid, NotFound, Refused

SYSTEM = (
    "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType",
    "StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSEKMSKeyId",
)  # fmt: skip
"""Members that an object keeps as they were given."""
OVERRIDES = {
    f"Response{name}": name
    for name in (
        "CacheControl", "ContentDisposition", "ContentEncoding", "ContentLanguage", "ContentType",
        "Expires",
    )
}  # fmt: skip
MOST_TAGS = 10
MOST_DELETED = 1000
_RANGE = re.compile(r"bytes=(\d*)-(\d*)", re.ASCII)
_LOCKS = "ObjectLock"


# Putting


@operation("s3", "PutObject", open_=True)
async def put_object(call: Call, p: Params) -> Params:
    key = p["Key"]
    bucket = await entered(call, p, "s3:PutObject", key)
    tags = tags_in(call, bucket, key, p)
    new = NewObject(
        p.get("Body", b""),
        system_of(p, bucket),
        p.get("Metadata", {}),
        checksums_in(p),
        tags,
    )
    condition = _condition(p, ("IfMatch", "IfNoneMatch"))
    made = await call.ports.buckets.put(bucket.name, key, new, condition=condition)
    return {**_put_out(made), **checksums_out(made)}


def checksums_in(p: Params) -> dict[str, str]:
    """The checksums among a call's members, or a part's."""
    return {
        name: value
        for name, value in p.items()
        if name.startswith("Checksum") and name not in _NO_CHECKSUMS
    }


_NO_CHECKSUMS = frozenset({"ChecksumAlgorithm", "ChecksumMode", "ChecksumType"})


def checksums_out(found: StoredObject) -> dict[str, str]:
    """An object's checksums as members of an answer."""
    return {**found.checksums, "ChecksumType": "FULL_OBJECT"} if found.checksums else {}


def _put_out(made: StoredObject) -> dict[str, Any]:
    return {"ETag": f'"{made.etag}"', **encryption_out(made)}


def encryption_out(found: StoredObject) -> dict[str, Any]:
    """How an object is encrypted, as members of an answer."""
    return {
        "ServerSideEncryption": found.system.get("ServerSideEncryption", "AES256"),
        "SSEKMSKeyId": found.system.get("SSEKMSKeyId"),
    }


def system_of(p: Params, bucket: Bucket) -> dict[str, str]:
    """What is said about a new object, checked for what is not here."""
    if "SSECustomerAlgorithm" in p:
        raise not_served("encryption with customers' keys")
    if any(name.startswith(_LOCKS) for name in p):
        raise Invalid(
            "Bucket is missing Object Lock Configuration", resource="object", reason="request"
        )
    check_acl(p)
    system = {name: p[name] for name in SYSTEM if name in p}
    if "Expires" in p:
        system["Expires"] = str(p["Expires"])
    if "ServerSideEncryption" not in system:
        system |= default_encryption(bucket)
    return system


def tags_in(call: Call, bucket: Bucket, key: str, p: Params) -> dict[str, str]:
    """Tags of a new object in a header, written as a form."""
    if not p.get("Tagging"):
        return {}
    check(call, bucket, "s3:PutObjectTagging", key)
    return _checked_tags(parse_qsl(p["Tagging"], keep_blank_values=True))


def _checked_tags(pairs: list[tuple[str, str]]) -> dict[str, str]:
    tags = dict(pairs)
    if len(tags) != len(pairs) or len(tags) > MOST_TAGS:
        raise Invalid(
            f"Object tags cannot be greater than {MOST_TAGS}, and each key stands once",
            resource="tag",
            reason="tag",
        )
    if any(not 0 < len(key) <= 128 or len(value) > 256 for key, value in tags.items()):
        raise Invalid("The TagKey you have provided is invalid", resource="tag", reason="tag")
    return tags


# Conditions


def _condition(
    p: Params, members: tuple[str, ...], prefix: str = ""
) -> Callable[[StoredObject | None], None]:
    """What a call expects of the object that is there; RFC 9110 13 says in which order."""
    given = {name: p[prefix + name] for name in members if prefix + name in p}

    def look(present: StoredObject | None) -> None:
        tag = present.etag if present is not None else None
        if "IfMatch" in given:
            if present is None:
                raise no_key(p["Key"])
            if not _matches(given["IfMatch"], tag):
                raise _failed()
        elif "IfUnmodifiedSince" in given and _later(present, given["IfUnmodifiedSince"]):
            raise _failed()
        if "IfNoneMatch" in given:
            if _matches(given["IfNoneMatch"], tag):
                raise _not_modified() if "IfModifiedSince" in members and not prefix else _failed()
        elif "IfModifiedSince" in given and not _later(present, given["IfModifiedSince"]):
            raise _failed() if prefix else _not_modified()

    return look


_READING = ("IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince")


def _matches(written: str, etag: str | None) -> bool:
    tags = {tag.strip().removeprefix("W/").strip('"') for tag in written.split(",")}
    return etag is not None and ("*" in tags or etag in tags)


def _later(present: StoredObject | None, moment: float) -> bool:
    return present is not None and present.modified_at // 1000 > moment


def _failed() -> Invalid:
    return Invalid(
        "At least one of the pre-conditions you specified did not hold",
        resource="object",
        reason="precondition",
    )


def _not_modified() -> Invalid:
    return Invalid("Not Modified", resource="object", reason="not-modified")


# Getting


async def _read(call: Call, p: Params, action: str = "s3:GetObject") -> StoredObject:
    """The object of a call. Who may not list the bucket does not learn what is missing."""
    bucket = await entered(call, p, action, p["Key"])
    _check_version(p)
    found = await call.ports.buckets.object(bucket.name, p["Key"])
    if found is None:
        check(call, bucket, "s3:ListBucket")
        raise no_key(p["Key"])
    return found


def _check_version(p: Params) -> None:
    if p.get("VersionId", "null") != "null":
        raise NotFound(
            "The specified version does not exist.",
            resource="version",
            name=p["VersionId"],
        )


def _described(found: StoredObject, p: Params) -> dict[str, Any]:
    """An object's head."""
    shown: dict[str, Any] = dict(found.system)
    if "Expires" in shown:
        shown["Expires"] = float(shown["Expires"])
    shown |= {name: p[member] for member, name in OVERRIDES.items() if member in p}
    if shown.get("StorageClass") == "STANDARD":
        del shown["StorageClass"]
    return {
        "ContentType": "binary/octet-stream",
        **shown,
        **encryption_out(found),
        **(checksums_out(found) if p.get("ChecksumMode") == "ENABLED" else {}),
        "AcceptRanges": "bytes",
        "ContentLength": found.size,
        "ETag": f'"{found.etag}"',
        "LastModified": found.modified_at // 1000,
        "Metadata": found.metadata,
        "TagCount": len(found.tags) or None,
    }


def _part(found: StoredObject, p: Params) -> tuple[int, int] | None:
    """First byte and the one after the last of a Range (RFC 9110 14.1.2); None for the whole."""
    matched = _RANGE.fullmatch(p.get("Range", "").replace(" ", ""))
    if matched is None or not (matched[1] or matched[2]):
        return None
    first, last = matched[1], matched[2]
    if not first:
        start, end = max(0, found.size - int(last)), found.size
    else:
        start, end = int(first), min(found.size, int(last) + 1 if last else found.size)
    if first and last and int(last) < int(first):
        return None
    if start >= end:
        raise Invalid("The requested range is not satisfiable", resource="object", reason="range")
    return start, end


def _partly(head: dict[str, Any], found: StoredObject, part: tuple[int, int]) -> dict[str, Any]:
    start, end = part
    # A checksum of the whole is none of a part.
    kept = {name: value for name, value in head.items() if not name.startswith("Checksum")}
    return {
        **kept,
        "ContentLength": end - start,
        "ContentRange": f"bytes {start}-{end - 1}/{found.size}",
    }


@operation("s3", "GetObject", open_=True)
async def get_object(call: Call, p: Params) -> Params | Answered:
    found = await _read(call, p)
    _condition(p, _READING)(found)
    part = _part(found, p)
    body = await call.ports.buckets.body(found)
    head = _described(found, p)
    if part is None:
        return {**head, "Body": body}
    return Answered({**_partly(head, found, part), "Body": body[slice(*part)]}, 206)


@operation("s3", "HeadObject", open_=True)
async def head_object(call: Call, p: Params) -> Params | Answered:
    found = await _read(call, p)
    _condition(p, _READING)(found)
    part = _part(found, p)
    head = _described(found, p)
    return head if part is None else Answered(_partly(head, found, part), 206)


@operation("s3", "GetObjectAttributes", open_=True)
async def get_object_attributes(call: Call, p: Params) -> Params:
    found = await _read(call, p, "s3:GetObjectAttributes")
    known: dict[str, Any] = {
        "ETag": found.etag,
        "Checksum": checksums_out(found) or None,
        "ObjectSize": found.size,
        "StorageClass": found.system.get("StorageClass", "STANDARD"),
    }
    wanted = {name: known.get(name) for name in p["ObjectAttributes"]}
    return {"LastModified": found.modified_at // 1000, **wanted}


@operation("s3", "GetObjectAcl", open_=True)
async def get_object_acl(call: Call, p: Params) -> Params:
    await _read(call, p, "s3:GetObjectAcl")
    bucket = await named(call, p["Bucket"])
    return private_acl(bucket.account)


# Copying


@operation("s3", "CopyObject", open_=True)
async def copy_object(call: Call, p: Params) -> Params:
    key = p["Key"]
    bucket = await entered(call, p, "s3:PutObject", key)
    source = await source_of(call, p)
    _condition({**p, "Key": source.key}, _READING, "CopySource")(source)
    replaced = p.get("MetadataDirective") == "REPLACE"
    system = system_of(p, bucket)
    if not replaced:
        kept = {name: text for name, text in source.system.items() if name not in _ENCRYPTED}
        system = {**kept, **system}
        asked = {"StorageClass", "WebsiteRedirectLocation", *_ENCRYPTED} & p.keys()
        if source.name == f"{bucket.name}/{key}" and not asked:
            raise Invalid(
                "This copy request is illegal because it is trying to copy an object to itself "
                "without changing the object's metadata, storage class, website redirect location "
                "or encryption attributes.",
                resource="object",
                reason="request",
            )
    new = NewObject(
        await call.ports.buckets.body(source),
        system,
        p.get("Metadata", {}) if replaced else source.metadata,
        source.checksums,
        tags_in(call, bucket, key, p) if p.get("TaggingDirective") == "REPLACE" else source.tags,
    )
    condition = _condition(p, ("IfMatch", "IfNoneMatch"))
    made = await call.ports.buckets.put(bucket.name, key, new, condition=condition)
    result = {"ETag": f'"{made.etag}"', "LastModified": made.modified_at / 1000}
    return {"CopyObjectResult": {**result, **checksums_out(made)}, **encryption_out(made)}


_ENCRYPTED = ("ServerSideEncryption", "SSEKMSKeyId")


async def source_of(call: Call, p: Params) -> StoredObject:
    """The object that ``/BUCKET/KEY?versionId=ID``, percent-encoded, means."""
    written, _, version = p["CopySource"].partition("?versionId=")
    name, _, key = unquote(written).removeprefix("/").partition("/")
    if not key:
        raise Invalid(
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            resource="object",
        )
    asked = {"Bucket": name, "Key": key, "VersionId": version or "null"}
    owner = p.get("ExpectedSourceBucketOwner")
    return await _read(call, asked if owner is None else {**asked, "ExpectedBucketOwner": owner})


# Deleting


@operation("s3", "DeleteObject", open_=True)
async def delete_object(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:DeleteObject", p["Key"])
    if "IfMatch" in p:
        present = await call.ports.buckets.object(bucket.name, p["Key"])
        _condition(p, ("IfMatch",))(present)
    if p.get("VersionId", "null") == "null":
        await call.ports.buckets.remove(bucket.name, p["Key"])
    return {"VersionId": p.get("VersionId")}


@operation("s3", "DeleteObjects", open_=True)
async def delete_objects(call: Call, p: Params) -> Params:
    bucket = await named(call, p["Bucket"], p.get("ExpectedBucketOwner"))
    wanted = p["Delete"]["Objects"]
    if len(wanted) > MOST_DELETED:
        raise Invalid("The XML you provided was not well-formed", resource="xml", reason="xml")
    deleted: list[dict[str, Any]] = []
    errors: list[dict[str, Any]] = []
    for one in wanted:
        key = one["Key"]
        try:
            check(call, bucket, "s3:DeleteObject", key)
            if one.get("VersionId", "null") == "null":
                await call.ports.buckets.remove(bucket.name, key)
            deleted.append({"Key": key, "VersionId": one.get("VersionId")})
        except Refused as error:
            errors.append({"Key": key, "Code": "AccessDenied", "Message": error.text})
    return {
        "Deleted": None if p["Delete"].get("Quiet") else deleted or None,
        "Errors": errors or None,
    }


# Tags


@operation("s3", "GetObjectTagging", open_=True)
async def get_object_tagging(call: Call, p: Params) -> Params:
    found = await _read(call, p, "s3:GetObjectTagging")
    return {"TagSet": [{"Key": key, "Value": value} for key, value in found.tags.items()]}


@operation("s3", "PutObjectTagging", open_=True)
async def put_object_tagging(call: Call, p: Params) -> Params:
    found = await _read(call, p, "s3:PutObjectTagging")
    pairs = [(tag["Key"], tag["Value"]) for tag in p["Tagging"]["TagSet"]]
    await call.ports.buckets.tag(found, _checked_tags(pairs))
    return {}


@operation("s3", "DeleteObjectTagging", open_=True)
async def delete_object_tagging(call: Call, p: Params) -> Params:
    await call.ports.buckets.tag(await _read(call, p, "s3:DeleteObjectTagging"), {})
    return {}
