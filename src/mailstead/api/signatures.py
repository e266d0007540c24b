"""Signatures at the door: which kind a request has, and the words in which one is refused."""

from __future__ import annotations

from mailstead.wire import sigv2, sigv4
from mailstead.wire.aws_model import Fault, Request, Service
from mailstead.wire.sigv4 import Failure, SignatureError

Presented = sigv4.Presented | sigv2.PresentedV2

_S3: dict[Failure, tuple[str, int, str | None]] = {
    Failure.MISSING: ("AccessDenied", 403, "Access Denied"),
    Failure.INCOMPLETE: ("AuthorizationHeaderMalformed", 400, None),
    Failure.MISMATCH: ("SignatureDoesNotMatch", 403, None),
    Failure.SKEWED: (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the current time is too large.",
    ),
    Failure.LATE: ("AccessDenied", 403, "Request has expired"),
    Failure.UNKNOWN_KEY: (
        "InvalidAccessKeyId",
        403,
        "The AWS Access Key Id you provided does not exist in our records.",
    ),
    Failure.EXPIRED: ("ExpiredToken", 400, "The provided token has expired."),
}
"""S3's own codes, and its texts where they are not those of the other services."""


def present(request: Request) -> Presented | None:
    """What a request presents; None when it is anonymous; SignatureError when it is garbled."""
    return sigv4.present(request) or sigv2.present(request)


def check_time(presented: Presented, now: int) -> None:
    """Refuse what was signed at another time, or for no region; ``now`` in seconds."""
    if isinstance(presented, sigv2.PresentedV2):
        sigv2.check_time(presented, now)
    else:
        sigv4.check_scope(presented, now, None)


def signature_fault(service: Service, error: SignatureError) -> Fault:
    """A refused signature as this service's error."""
    if service.name == "s3":
        code, status, text = _S3[error.failure]
        return Fault(code, status, text or error.text)
    xml, json, status = sigv4.CODES[error.failure]
    return Fault(json if "json" in service.protocol else xml, status, error.text)
