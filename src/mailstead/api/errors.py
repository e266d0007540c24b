"""The domain's errors as AWS's: one table a service, keyed by kind and, where AWS is finer, more.

A key is ``(kind, resource, reason)``; the first that is there counts, from the
most particular on: both, the reason alone, the resource alone, neither. Values
are names of the model's error shapes, which know their wire code and status,
or `Fault`-like triples where AWS sends a code that the model lacks.
"""

from __future__ import annotations

from typing import NamedTuple

from mailstead.mail.errors import (
    Conflict,
    DomainError,
    Invalid,
    Limit,
    NotFound,
    Refused,
    Unavailable,
)
from mailstead.wire.aws_model import Fault, Service


class Code(NamedTuple):
    """An error that the service's model does not have."""

    code: str
    status: int


class About(NamedTuple):
    """What an error is about: its kind, and its resource and reason where they matter."""

    kind: type[DomainError]
    resource: str = ""
    reason: str = ""


Table = dict[About, str | Code]

DENIED = "access-denied"
"""The reason of a Refused by IAM."""
NOT_SERVED = "not-served"
"""The reason of an Invalid that asks for what this version does not do."""
_ACCESS_DENIED = Code("AccessDenied", 403)
_ACCESS_DENIED_JSON = Code("AccessDeniedException", 403)
_THROTTLING = Code("Throttling", 400)
_INVALID_PARAMETER = Code("InvalidParameterValue", 400)
_VALIDATION = Code("ValidationError", 400)

_SES: Table = {
    About(NotFound): _INVALID_PARAMETER,
    About(NotFound, "configuration-set"): "ConfigurationSetDoesNotExistException",
    About(NotFound, "custom-template"): "CustomVerificationEmailTemplateDoesNotExistException",
    About(NotFound, "event-destination"): "EventDestinationDoesNotExistException",
    About(NotFound, "rule"): "RuleDoesNotExistException",
    About(NotFound, "rule-set"): "RuleSetDoesNotExistException",
    About(NotFound, "template"): "TemplateDoesNotExistException",
    About(NotFound, "tracking-options"): "TrackingOptionsDoesNotExistException",
    About(Conflict): "AlreadyExistsException",
    About(Conflict, "configuration-set"): "ConfigurationSetAlreadyExistsException",
    About(Conflict, "custom-template"): "CustomVerificationEmailTemplateAlreadyExistsException",
    About(Conflict, "event-destination"): "EventDestinationAlreadyExistsException",
    About(Conflict, "tracking-options"): "TrackingOptionsAlreadyExistsException",
    About(Conflict, "", "stale"): _THROTTLING,
    About(Conflict, "", "in-use"): "CannotDeleteException",
    About(Invalid): _INVALID_PARAMETER,
    About(Invalid, "", NOT_SERVED): Code("NotImplemented", 501),
    About(Invalid, "configuration-set"): "InvalidConfigurationSetException",
    About(Invalid, "policy"): "InvalidPolicyException",
    About(Invalid, "template"): "InvalidTemplateException",
    About(Invalid, "template", "rendering"): "InvalidRenderingParameterException",
    About(Invalid, "template", "missing-attribute"): "MissingRenderingAttributeException",
    About(Limit): "LimitExceededException",
    About(Limit, "policy"): _INVALID_PARAMETER,
    About(Limit, "quota"): _THROTTLING,
    About(Limit, "rate"): _THROTTLING,
    About(Refused): "MessageRejected",
    About(Refused, "", DENIED): _ACCESS_DENIED,
    About(Refused, "", "sandbox"): "ProductionAccessNotGrantedException",
    About(Refused, "account", "paused"): "AccountSendingPausedException",
    About(Refused, "configuration-set", "paused"): "ConfigurationSetSendingPausedException",
    About(Refused, "custom-template", "unverified"): "FromEmailAddressNotVerifiedException",
    About(Refused, "mail-from"): "MailFromDomainNotVerifiedException",
}
_SESV2: Table = {
    About(NotFound): "NotFoundException",
    About(Conflict): "AlreadyExistsException",
    About(Conflict, "account"): "ConflictException",
    About(Conflict, "", "in-use"): "ConflictException",
    About(Conflict, "", "stale"): "ConcurrentModificationException",
    About(Invalid): "BadRequestException",
    About(Invalid, "", NOT_SERVED): Code("NotImplementedException", 501),
    About(Invalid, "", "token"): "InvalidNextTokenException",
    About(Limit): "LimitExceededException",
    About(Limit, "rate"): "TooManyRequestsException",
    About(Refused): "MessageRejected",
    About(Refused, "", DENIED): _ACCESS_DENIED_JSON,
    About(Refused, "", "sandbox"): "BadRequestException",
    About(Refused, "", "paused"): "SendingPausedException",
    About(Refused, "custom-template", "unverified"): "NotFoundException",
    About(Refused, "mail-from"): "MailFromDomainNotVerifiedException",
}
_IAM: Table = {
    About(NotFound): "NoSuchEntityException",
    About(Conflict): "EntityAlreadyExistsException",
    About(Conflict, "", "in-use"): "DeleteConflictException",
    About(Conflict, "", "stale"): "ConcurrentModificationException",
    About(Invalid): "InvalidInputException",
    About(Invalid, "", NOT_SERVED): Code("NotImplemented", 501),
    About(Invalid, "", "name"): _VALIDATION,
    About(Invalid, "policy", "malformed"): "MalformedPolicyDocumentException",
    About(Limit): "LimitExceededException",
    About(Refused): _ACCESS_DENIED,
    About(Refused, "", "unmodifiable"): "UnmodifiableEntityException",
}
_STS: Table = {
    About(NotFound): _VALIDATION,
    About(Conflict): _VALIDATION,
    About(Invalid): _VALIDATION,
    About(Invalid, "policy"): "MalformedPolicyDocumentException",
    About(Limit): "PackedPolicyTooLargeException",
    About(Refused): _ACCESS_DENIED,
}
_ROUTE53: Table = {
    About(NotFound): "NoSuchHostedZone",
    About(NotFound, "change"): "NoSuchChange",
    About(NotFound, "key-signing-key"): "NoSuchKeySigningKey",
    About(NotFound, "active-key"): "KeySigningKeyWithActiveStatusNotFound",
    About(NotFound, "dnssec"): "DNSSECNotFound",
    About(NotFound, "delegation-set"): "NoSuchDelegationSet",
    About(NotFound, "health-check"): "NoSuchHealthCheck",
    About(NotFound, "zone-of-set"): "HostedZoneNotFound",
    About(Conflict): "HostedZoneAlreadyExists",
    About(Conflict, "delegation-set"): "DelegationSetAlreadyCreated",
    About(Conflict, "delegation-set", "in-use"): "DelegationSetInUse",
    About(Conflict, "delegation-set", "reusable"): "DelegationSetAlreadyReusable",
    About(Conflict, "key-signing-key"): "KeySigningKeyAlreadyExists",
    About(Conflict, "key-signing-key", "in-use"): "KeySigningKeyInUse",
    About(Conflict, "key-signing-key", "parent"): "KeySigningKeyInParentDSRecord",
    About(Conflict, "", "in-use"): "HostedZoneNotEmpty",
    About(Conflict, "", "stale"): "PriorRequestNotComplete",
    About(Invalid): "InvalidInput",
    About(Invalid, "record-set"): "InvalidChangeBatch",
    About(Invalid, "domain"): "InvalidDomainName",
    About(Invalid, "key-name"): "InvalidKeySigningKeyName",
    About(Invalid, "key-status"): "InvalidKeySigningKeyStatus",
    About(Invalid, "kms-arn"): "InvalidKMSArn",
    About(Invalid, "vpc"): "HostedZoneNotPrivate",
    About(Limit): "TooManyHostedZones",
    About(Limit, "delegation-set"): "LimitsExceeded",
    About(Limit, "key-signing-key"): "TooManyKeySigningKeys",
    About(Refused): _ACCESS_DENIED,
}
_SSM: Table = {
    About(NotFound): "ParameterNotFound",
    About(NotFound, "version"): "ParameterVersionNotFound",
    About(Conflict): "ParameterAlreadyExists",
    About(Conflict, "", "stale"): "TooManyUpdates",
    About(Invalid): Code("ValidationException", 400),
    About(Invalid, "parameter", "pattern"): "ParameterPatternMismatchException",
    About(Invalid, "pattern"): "InvalidAllowedPatternException",
    About(Invalid, "token"): "InvalidNextToken",
    About(Limit): "ParameterLimitExceeded",
    About(Refused): _ACCESS_DENIED_JSON,
}
_SECRETS: Table = {
    About(NotFound): "ResourceNotFoundException",
    About(Conflict): "ResourceExistsException",
    About(Conflict, "", "stale"): "InvalidRequestException",
    About(Invalid): "InvalidParameterException",
    About(Invalid, "", "deleted"): "InvalidRequestException",
    About(Invalid, "policy"): "MalformedPolicyDocumentException",
    About(Invalid, "policy", "public"): "PublicPolicyException",
    About(Invalid, "token"): "InvalidNextTokenException",
    About(Limit): "LimitExceededException",
    About(Refused): _ACCESS_DENIED_JSON,
}
_CLOUDFORMATION: Table = {
    About(NotFound): _VALIDATION,
    About(NotFound, "change-set"): "ChangeSetNotFoundException",
    About(NotFound, "hook-result"): "HookResultNotFoundException",
    About(Conflict): "AlreadyExistsException",
    About(Conflict, "", "stale"): "OperationInProgressException",
    About(Invalid): _VALIDATION,
    About(Invalid, "change-set", "status"): "InvalidChangeSetStatusException",
    About(Limit): "LimitExceededException",
    About(Limit, "capabilities"): "InsufficientCapabilitiesException",
    About(Refused): _VALIDATION,
    About(Refused, "", DENIED): _ACCESS_DENIED,
}
_S3: Table = {
    About(NotFound): "NoSuchKey",
    About(NotFound, "bucket"): "NoSuchBucket",
    About(NotFound, "bucket-policy"): Code("NoSuchBucketPolicy", 404),
    About(NotFound, "cors"): Code("NoSuchCORSConfiguration", 404),
    About(NotFound, "lifecycle"): Code("NoSuchLifecycleConfiguration", 404),
    About(NotFound, "object-lock"): Code("ObjectLockConfigurationNotFoundError", 404),
    About(NotFound, "ownership"): Code("OwnershipControlsNotFoundError", 404),
    About(NotFound, "public-access-block"): Code("NoSuchPublicAccessBlockConfiguration", 404),
    About(NotFound, "replication"): Code("ReplicationConfigurationNotFoundError", 404),
    About(NotFound, "tagging"): Code("NoSuchTagSet", 404),
    About(NotFound, "upload"): "NoSuchUpload",
    About(NotFound, "version"): Code("NoSuchVersion", 404),
    About(NotFound, "website"): Code("NoSuchWebsiteConfiguration", 404),
    About(Conflict): Code("OperationAborted", 409),
    About(Conflict, "bucket", "in-use"): Code("BucketNotEmpty", 409),
    About(Conflict, "bucket", "owned"): "BucketAlreadyOwnedByYou",
    About(Conflict, "bucket", "taken"): "BucketAlreadyExists",
    About(Invalid): Code("InvalidArgument", 400),
    About(Invalid, "", NOT_SERVED): Code("NotImplemented", 501),
    About(Invalid, "", "acl"): Code("AccessControlListNotSupported", 400),
    About(Invalid, "", "digest"): Code("BadDigest", 400),
    About(Invalid, "", "incomplete"): Code("IncompleteBody", 400),
    About(Invalid, "", "key"): Code("KeyTooLongError", 400),
    About(Invalid, "", "name"): Code("InvalidBucketName", 400),
    About(Invalid, "", "not-modified"): Code("NotModified", 304),
    About(Invalid, "", "part"): Code("InvalidPart", 400),
    About(Invalid, "", "part-order"): Code("InvalidPartOrder", 400),
    About(Invalid, "", "part-small"): Code("EntityTooSmall", 400),
    About(Invalid, "", "precondition"): Code("PreconditionFailed", 412),
    About(Invalid, "", "range"): Code("InvalidRange", 416),
    About(Invalid, "", "request"): Code("InvalidRequest", 400),
    About(Invalid, "", "tag"): Code("InvalidTag", 400),
    About(Invalid, "", "xml"): Code("MalformedXML", 400),
    About(Invalid, "policy"): Code("MalformedPolicy", 400),
    About(Limit): Code("EntityTooLarge", 400),
    About(Limit, "bucket"): Code("TooManyBuckets", 400),
    About(Refused): _ACCESS_DENIED,
}
_ELSEWHERE: Table = {
    About(NotFound): Code("ResourceNotFoundException", 404),
    About(Conflict): Code("ResourceExistsException", 409),
    About(Invalid): Code("ValidationException", 400),
    About(Limit): Code("LimitExceededException", 400),
    About(Refused): _ACCESS_DENIED_JSON,
}
"""Services whose table comes with their handlers."""

TABLES: dict[str, Table] = {
    "ses": _SES,
    "sesv2": _SESV2,
    "iam": _IAM,
    "sts": _STS,
    "route53": _ROUTE53,
    "s3": _S3,
    "ssm": _SSM,
    "secretsmanager": _SECRETS,
    "cloudformation": _CLOUDFORMATION,
}


def fault(service: Service, error: DomainError | Unavailable) -> Fault:
    """A domain error as this service's."""
    if isinstance(error, Unavailable):
        json = "json" in service.protocol
        name = "ServiceUnavailableException" if json else "ServiceUnavailable"
        return Fault(name, 503, str(error), sender=False)
    table = TABLES.get(service.name, _ELSEWHERE)
    kind = next(kind for kind in type(error).__mro__ if About(kind) in table)
    found = (
        table.get(About(kind, error.resource, error.reason))
        or table.get(About(kind, "", error.reason))
        or table.get(About(kind, error.resource, ""))
        or table[About(kind)]
    )
    if isinstance(found, Code):
        return Fault(found.code, found.status, error.text)
    return service.fault(found, error.text)
