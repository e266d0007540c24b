"""Bindings that today's service models no longer have, and clients still use.

A hand-written table: making the models anew (``tools/models.py``) drops nothing
of it. Older clients put the listed members into the query string; what else the
operation takes stays in the body.

===================================== ==========================================
ListEmailIdentities                   botocore up to 1.43.62, so awscli 1.46
ListConfigurationSets                 the same
PutEmailIdentityDkimSigningAttributes botocore up to 1.42.1, Terraform 5.100.0
ListContacts                          botocore up to 1.33.13
ListImportJobs                        botocore up to 1.33.13
===================================== ==========================================
"""

from __future__ import annotations

from typing import NamedTuple


class Older(NamedTuple):
    """A binding that an operation once had."""

    operation: str
    method: str
    uri: str
    in_query: tuple[str, ...] = ()


_PAGING = ("NextToken", "PageSize")

OLDER: dict[str, tuple[Older, ...]] = {
    "sesv2": (
        Older("ListEmailIdentities", "GET", "/v2/email/identities", _PAGING),
        Older("ListConfigurationSets", "GET", "/v2/email/configuration-sets", _PAGING),
        Older(
            "PutEmailIdentityDkimSigningAttributes",
            "PUT",
            "/v1/email/identities/{EmailIdentity}/dkim/signing",
        ),
        Older("ListContacts", "GET", "/v2/email/contact-lists/{ContactListName}/contacts", _PAGING),
        Older("ListImportJobs", "GET", "/v2/email/import-jobs", _PAGING),
    ),
}

SHADOWED: dict[str, frozenset[str]] = {
    # Two names for one binding, of which the first was superseded; and the
    # directory buckets, which have an endpoint of their own.
    "s3": frozenset(
        {
            "GetBucketLifecycle",
            "GetBucketNotification",
            "ListDirectoryBuckets",
            "PutBucketLifecycle",
            "PutBucketNotification",
        }
    ),
}
"""Operations that no request reaches."""

ROOTS: dict[str, dict[str, str]] = {
    "s3": {
        "CompleteMultipartUpload": "CompleteMultipartUploadResult",
        "CreateMultipartUpload": "InitiateMultipartUploadResult",
        "DeleteObjects": "DeleteResult",
        "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
        "GetBucketAcl": "AccessControlPolicy",
        "GetBucketCors": "CORSConfiguration",
        "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
        "GetBucketLogging": "BucketLoggingStatus",
        "GetBucketRequestPayment": "RequestPaymentConfiguration",
        "GetBucketTagging": "Tagging",
        "GetBucketVersioning": "VersioningConfiguration",
        "GetBucketWebsite": "WebsiteConfiguration",
        "GetObjectAcl": "AccessControlPolicy",
        "GetObjectAttributes": "GetObjectAttributesResponse",
        "GetObjectTagging": "Tagging",
        "ListBuckets": "ListAllMyBucketsResult",
        "ListMultipartUploads": "ListMultipartUploadsResult",
        "ListObjectVersions": "ListVersionsResult",
        "ListObjects": "ListBucketResult",
        "ListObjectsV2": "ListBucketResult",
        "ListParts": "ListPartsResult",
    },
}
"""The root elements of answers, where they are not called as the model's shapes are."""

UNWRAPPED: dict[str, dict[str, str]] = {"s3": {"GetBucketLocation": "LocationConstraint"}}
"""Answers that are one member, without an element around it."""
