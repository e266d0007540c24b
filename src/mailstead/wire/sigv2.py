"""Presigned requests of Signature Version 2, which boto3 still makes for S3 in us-east-1.

    ?AWSAccessKeyId=KEY&Signature=BASE64&Expires=SECONDS

Only the query form, and only for S3: no header of version 2 is read anywhere.
Source: "Signing and Authenticating REST Requests" of the Amazon S3 Developer
Guide.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import unquote

from mailstead.wire.aws_model import Request
from mailstead.wire.sigv4 import MISMATCH_TEXT, Failure, SignatureError

_SUBRESOURCES = frozenset(
    {
        "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "encryption",
        "inventory", "lifecycle", "location", "logging", "metrics", "notification", "object-lock",
        "ownershipControls", "partNumber", "policy", "policyStatus", "publicAccessBlock",
        "replication", "requestPayment", "response-cache-control", "response-content-disposition",
        "response-content-encoding", "response-content-language", "response-content-type",
        "response-expires", "restore", "select", "select-type", "tagging", "torrent", "uploadId",
        "uploads", "versionId", "versioning", "versions", "website",
    }
)  # fmt: skip
"""Query keys that are signed."""


@dataclass(frozen=True, slots=True)
class PresentedV2:
    """What a presigned request says about its signature."""

    key_id: str
    signature: str
    expires: int
    """Seconds since 1970."""
    token: str | None
    service: ClassVar[str] = "s3"
    region: ClassVar[str] = "us-east-1"
    """Version 2 names none; buckets are found in every region."""


def present(request: Request) -> PresentedV2 | None:
    """What the request presents; None where it is not of this kind."""
    if "AWSAccessKeyId=" not in request.query or "Signature=" not in request.query:
        return None
    fields = dict(_pairs(request.query))
    expires = fields.get("Expires", "")
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12):
        raise SignatureError(
            Failure.INCOMPLETE, "Query-string authentication requires the parameter Expires"
        )
    return PresentedV2(
        fields.get("AWSAccessKeyId", ""),
        fields.get("Signature", ""),
        int(expires),
        fields.get("x-amz-security-token"),
    )


def _pairs(query: str) -> list[tuple[str, str]]:
    """Names and values, every octet a character, as HTTP's header fields are held."""
    split = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name, "latin-1"), unquote(value, "latin-1")) for name, _, value in split]


def check_time(presented: PresentedV2, now: int) -> None:
    """Refuse what is over; ``now`` is in seconds since 1970."""
    if presented.expires < now:
        raise SignatureError(Failure.LATE, "Request has expired")


def verify(presented: PresentedV2, request: Request, bucket: str | None, secret: str) -> None:
    """Refuse a request that was not signed with this secret, or was altered since.

    ``bucket`` is the one that the host names, which is signed as part of the path.
    """
    to_sign = string_to_sign(request, bucket, presented.expires)
    ours = b64encode(hmac.digest(secret.encode(), to_sign.encode("latin-1", "replace"), "sha1"))
    if not hmac.compare_digest(ours, presented.signature.encode("latin-1", "replace")):
        raise SignatureError(Failure.MISMATCH, MISMATCH_TEXT)


def string_to_sign(request: Request, bucket: str | None, expires: int) -> str:
    """The text that is signed."""
    query = _pairs(request.query)
    # Fields that were moved to the query string are signed as if they stood in the head.
    fields = {name.lower(): value for name, value in query} | dict(request.headers)
    amz = {name: value for name, value in fields.items() if name.startswith("x-amz-")}
    lines = [
        request.method,
        fields.get("content-md5", ""),
        fields.get("content-type", ""),
        str(expires),
        *(f"{name}:{value.strip()}" for name, value in sorted(amz.items())),
    ]
    path = (f"/{bucket}" if bucket else "") + request.path
    signed = sorted((name, value) for name, value in query if name in _SUBRESOURCES)
    if signed:
        path += "?" + "&".join(f"{name}={value}" if value else name for name, value in signed)
    return "\n".join([*lines, path])
