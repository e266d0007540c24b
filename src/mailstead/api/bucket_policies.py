"""Policies of buckets: which documents are one, and which give everybody something."""

from __future__ import annotations

import json

from mailstead.api.bucket_model import Bucket
from mailstead.api.buckets import Buckets
from mailstead.mail.access import Policy
from mailstead.mail.errors import Invalid, Refused
from mailstead.mail.policies import PolicyKind, parse_policy

LARGEST = 20_480


async def set_policy(buckets: Buckets, bucket: Bucket, document: str) -> None:
    """Give a bucket a policy.

    Invalid (resource ``policy``) where it is none or not about this bucket; Refused
    where it is public and the bucket's settings keep it from being so.
    """
    if len(document) > LARGEST:
        raise _malformed("Policy exceeds the maximum allowed document size.")
    policy = parse_policy(document, PolicyKind.RESOURCE)
    for statement in policy.statements:
        if statement.principals is None:
            raise _malformed("Missing required field Principal")
        for resource in statement.resources:
            if resource != bucket.arn and not resource.startswith((f"{bucket.arn}/", "*")):
                raise _malformed("Policy has invalid resource")
    block = json.loads(bucket.settings.get("public-access-block", "{}"))
    if block.get("BlockPublicPolicy") and is_public(policy):
        raise Refused(
            "The policy is public, which is prevented by the BlockPublicPolicy setting in S3 Block "
            "Public Access: name principals or conditions, or change the setting",
            resource="policy",
            name=bucket.name,
            reason="access-denied",
        )
    await buckets.set(bucket.name, "policy", document)


def is_public(policy: Policy) -> bool:
    """Whether a policy gives everybody something without a condition."""
    return any(
        one.allow
        and not one.conditions
        and one.principals is not None
        and "*" in one.principals.names.get("AWS", ())
        for one in policy.statements
    )


def _malformed(text: str) -> Invalid:
    return Invalid(text, resource="policy", reason="malformed")
