"""S3 operations on uploads in parts."""

from __future__ import annotations

import re
from typing import Any

from mailstead.api.bucket_model import NewObject, Part, Upload
from mailstead.api.operation import Call, operation
from mailstead.api.s3_access import Params, entered, owner_out
from mailstead.api.s3_objects import (
    checksums_in,
    checksums_out,
    encryption_out,
    source_of,
    system_of,
    tags_in,
)
from mailstead.api.uploads import Chosen, Uploads
from mailstead.mail.errors import Invalid

PAGE = 1000
_RANGE = re.compile(r"bytes=(\d{1,12})-(\d{1,12})", re.ASCII)


def uploads(call: Call) -> Uploads:
    """What is done with uploads."""
    ports = call.ports
    return Uploads(ports.store, ports.clock, ports.randomness, ports.buckets)


async def _upload(call: Call, p: Params, action: str = "s3:PutObject") -> Upload:
    bucket = await entered(call, p, action, p["Key"])
    return await uploads(call).require(bucket.name, p["Key"], p["UploadId"])


@operation("s3", "CreateMultipartUpload", open_=True)
async def create_multipart_upload(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:PutObject", p["Key"])
    tags = tags_in(call, bucket, p["Key"], p)
    about = NewObject(b"", system_of(p, bucket), p.get("Metadata", {}), tags=tags)
    upload = await uploads(call).begin(bucket.name, p["Key"], about)
    return {
        "Bucket": bucket.name,
        "Key": p["Key"],
        "UploadId": upload.upload_id,
        "ServerSideEncryption": upload.system.get("ServerSideEncryption"),
        "SSEKMSKeyId": upload.system.get("SSEKMSKeyId"),
        "ChecksumAlgorithm": p.get("ChecksumAlgorithm"),
        "ChecksumType": p.get("ChecksumType"),
    }


@operation("s3", "UploadPart", open_=True)
async def upload_part(call: Call, p: Params) -> Params:
    upload = await _upload(call, p)
    part = await uploads(call).put(upload, p["PartNumber"], p.get("Body", b""), checksums_in(p))
    return {"ETag": f'"{part.etag}"', **part.checksums}


@operation("s3", "UploadPartCopy", open_=True)
async def upload_part_copy(call: Call, p: Params) -> Params:
    upload = await _upload(call, p)
    source = await source_of(call, p)
    body = await call.ports.buckets.body(source)
    if "CopySourceRange" in p:
        matched = _RANGE.fullmatch(p["CopySourceRange"])
        if matched is None or not int(matched[1]) <= int(matched[2]) < source.size:
            raise Invalid(
                "The x-amz-copy-source-range value must be of the form bytes=first-last where "
                "first and last are the zero-based offsets of the first and last bytes to copy",
                resource="part",
            )
        body = body[int(matched[1]) : int(matched[2]) + 1]
    part = await uploads(call).put(upload, p["PartNumber"], body, {})
    result = {"ETag": f'"{part.etag}"', "LastModified": part.modified_at / 1000}
    return {"CopyPartResult": result}


@operation("s3", "CompleteMultipartUpload", open_=True)
async def complete_multipart_upload(call: Call, p: Params) -> Params:
    upload = await _upload(call, p)
    chosen = [
        Chosen(one["PartNumber"], one.get("ETag", ""), checksums_in(one))
        for one in p.get("MultipartUpload", {}).get("Parts", [])
    ]
    # A checksum of checksums is not kept: only one of the whole says something of the object.
    whole = checksums_in(p) if p.get("ChecksumType") == "FULL_OBJECT" else {}
    made = await uploads(call).complete(upload, chosen, whole)
    return {
        "Location": f"/{p['Bucket']}/{p['Key']}",
        "Bucket": p["Bucket"],
        "Key": p["Key"],
        "ETag": f'"{made.etag}"',
        **checksums_out(made),
        **encryption_out(made),
    }


@operation("s3", "AbortMultipartUpload", open_=True)
async def abort_multipart_upload(call: Call, p: Params) -> Params:
    await uploads(call).end(await _upload(call, p, "s3:AbortMultipartUpload"))
    return {}


def _part_out(part: Part) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": part.modified_at / 1000,
        "ETag": f'"{part.etag}"',
        "Size": part.size,
        **part.checksums,
    }


@operation("s3", "ListParts", open_=True)
async def list_parts(call: Call, p: Params) -> Params:
    upload = await _upload(call, p, "s3:ListMultipartUploadParts")
    after, limit = int(p.get("PartNumberMarker", 0) or 0), min(p.get("MaxParts", PAGE), PAGE)
    rest = [part for part in await uploads(call).parts(upload) if part.number > after]
    shown = rest[:limit]
    bucket = await call.ports.buckets.require(p["Bucket"])
    return {
        "Bucket": p["Bucket"],
        "Key": p["Key"],
        "UploadId": p["UploadId"],
        "PartNumberMarker": after,
        "NextPartNumberMarker": shown[-1].number if shown else None,
        "MaxParts": limit,
        "IsTruncated": len(rest) > limit,
        "Parts": [_part_out(part) for part in shown] or None,
        "Owner": owner_out(bucket.account),
        "Initiator": owner_out(bucket.account),
        "StorageClass": upload.system.get("StorageClass", "STANDARD"),
    }


@operation("s3", "ListMultipartUploads", open_=True)
async def list_multipart_uploads(call: Call, p: Params) -> Params:
    bucket = await entered(call, p, "s3:ListBucketMultipartUploads")
    prefix, limit = p.get("Prefix", ""), min(p.get("MaxUploads", PAGE), PAGE)
    marker = (p.get("KeyMarker", ""), p.get("UploadIdMarker", ""))
    found = [
        one
        for one in await uploads(call).listed(bucket.name)
        if one.key.startswith(prefix)
        and ((one.key, one.upload_id) > marker if marker[1] else one.key > marker[0])
    ]
    shown = found[:limit]
    last = shown[-1] if shown and len(found) > limit else None
    owner = owner_out(bucket.account)
    return {
        "Bucket": bucket.name,
        "Prefix": prefix,
        "KeyMarker": marker[0],
        "UploadIdMarker": marker[1],
        "NextKeyMarker": last.key if last else None,
        "NextUploadIdMarker": last.upload_id if last else None,
        "MaxUploads": limit,
        "IsTruncated": last is not None,
        "Uploads": [
            {
                "UploadId": one.upload_id,
                "Key": one.key,
                "Initiated": one.started_at / 1000,
                "StorageClass": one.system.get("StorageClass", "STANDARD"),
                "Owner": owner,
                "Initiator": owner,
            }
            for one in shown
        ]
        or None,
    }
