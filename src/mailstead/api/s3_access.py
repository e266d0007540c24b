"""Who may do what with a bucket: the caller's policies and the bucket's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from mailstead.api.bucket_model import Bucket
from mailstead.api.errors import DENIED, NOT_SERVED
from mailstead.api.operation import Call
from mailstead.mail.errors import Invalid, Refused

Params = dict[str, Any]
_POLICY = frozenset({"s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy"})
"""What a bucket's own policy can't keep its account's root user from."""


async def entered(
    call: Call,
    p: Params,
    action: str,
    key: str | None = None,
    context: Mapping[str, Sequence[str]] | None = None,
) -> Bucket:
    """The bucket of a call, once its caller may do that to it, or to a key in it."""
    bucket = await named(call, p["Bucket"], p.get("ExpectedBucketOwner"))
    check(call, bucket, action, key, context)
    return bucket


async def named(call: Call, name: str, expected_owner: str | None = None) -> Bucket:
    """A bucket; Refused where it is not whose the caller thinks."""
    bucket = await call.ports.buckets.require(name)
    if expected_owner not in (None, bucket.account):
        raise Refused("Access Denied", resource="bucket", name=bucket.name, reason=DENIED)
    return bucket


def check(
    call: Call,
    bucket: Bucket,
    action: str,
    key: str | None = None,
    context: Mapping[str, Sequence[str]] | None = None,
) -> None:
    """Refused unless the caller may."""
    arn = bucket.arn if key is None else f"{bucket.arn}/{key}"
    own_root = call.principal.is_root and call.principal.account == bucket.account
    policies = () if own_root and action in _POLICY else bucket.policies
    call.authorise(action, [arn], context, policies, owner=bucket.account)


def owner_out(account: str) -> dict[str, str]:
    """An owner as S3 writes one: a canonical user id, which stands for an account."""
    return {"ID": hashlib.sha256(f"canonical user {account}".encode()).hexdigest()}


def private_acl(account: str) -> dict[str, Any]:
    """The access control list that all have: it gives the owner everything."""
    owner = owner_out(account)
    grantee = {"Type": "CanonicalUser", **owner}
    return {"Owner": owner, "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}


def check_acl(p: Params) -> None:
    """Invalid where a call asks for a list that gives others something: policies do that."""
    canned = p.get("ACL", "private")
    grants = [name for name in p if name.startswith("Grant")]
    if grants or canned not in {"private", "bucket-owner-full-control"}:
        raise Invalid("The bucket does not allow ACLs", resource="bucket", reason="acl")


def not_served(what: str) -> Invalid:
    """The refusal of a part of S3 that is not here."""
    return Invalid(f"mailstead does not serve {what}", resource="bucket", reason=NOT_SERVED)
