"""Signature Version 4 as the server sees it: who signed, is it in time, is it right.

Checking takes two steps, because the secret is looked up in between:

    presented = present(request)           # None: the request is anonymous
    check_scope(presented, now, service)   # date, then scope
    ... the secret of presented.key_id ...
    verify(presented, request, secret)     # the signature

The order of the refusals and their texts are AWS's: parse, date, scope, key,
signature. Both forms are read, the Authorization header and the presigned query
string. AWS's documentation of Signature Version 4 is the source; the payload of
a presigned request and of S3 is what S3's part of it says.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from urllib.parse import quote, unquote

from mailstead.wire.aws_model import Request
from mailstead.wire.aws_scalars import read_time

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW = timedelta(minutes=15)
LONGEST = 604_800
"""Seconds that a presigned request may live: seven days."""

_STAMP = "%Y%m%dT%H%M%SZ"
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}", re.ASCII)
_BASIC = re.compile(r"\d{8}T\d{6}Z", re.ASCII)
_BLANKS = re.compile(r" {2,}")
_SLASHES = re.compile(r"/{2,}")


class Failure(Enum):
    """Why a request is refused; each door's codes are in `CODES`."""

    MISSING = "missing"
    """It is not signed, and should be."""
    INCOMPLETE = "incomplete"
    """The signature lacks a part, or a part is not of its form."""
    MISMATCH = "mismatch"
    """For another region or service, or not the signature."""
    SKEWED = "skewed"
    """Signed too long ago, or ahead of time."""
    LATE = "late"
    """Presigned for a time that is over."""
    UNKNOWN_KEY = "unknown key"
    """The access key is unknown or inactive, or its session token is wrong."""
    EXPIRED = "expired"
    """The session is over."""


CODES: dict[Failure, tuple[str, str, int]] = {
    Failure.MISSING: ("MissingAuthenticationToken", "MissingAuthenticationTokenException", 403),
    Failure.INCOMPLETE: ("IncompleteSignature", "IncompleteSignatureException", 400),
    Failure.MISMATCH: ("SignatureDoesNotMatch", "InvalidSignatureException", 403),
    Failure.SKEWED: ("SignatureDoesNotMatch", "InvalidSignatureException", 403),
    Failure.LATE: ("SignatureDoesNotMatch", "InvalidSignatureException", 403),
    Failure.UNKNOWN_KEY: ("InvalidClientTokenId", "UnrecognizedClientException", 403),
    Failure.EXPIRED: ("ExpiredToken", "ExpiredTokenException", 403),
}
"""(code in XML, code in JSON, HTTP status)."""

MISSING_TEXT = "Request is missing Authentication Token"
UNKNOWN_KEY_TEXT = "The security token included in the request is invalid."
EXPIRED_TEXT = "The security token included in the request is expired"
MISMATCH_TEXT = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)


class SignatureError(Exception):
    """A request whose signature is refused. The only error of this module."""

    def __init__(self, failure: Failure, text: str) -> None:
        super().__init__(text)
        self.failure = failure
        self.text = text


@dataclass(frozen=True, slots=True)
class Presented:
    """What a request says about its signature."""

    key_id: str
    date: str
    """Of the scope: ``YYYYMMDD``."""
    region: str
    service: str
    terminator: str
    signed_headers: tuple[str, ...]
    signature: str
    stamp: str
    """When it was signed: ``YYYYMMDDTHHMMSSZ``."""
    token: str | None
    """The session token, where there is one."""
    expires: int | None
    """Seconds that a presigned request lives; None in the header form."""

    @property
    def scope(self) -> str:
        """The credential scope, as it is signed."""
        return f"{self.date}/{self.region}/{self.service}/{self.terminator}"


def present(request: Request) -> Presented | None:
    """What the request presents; None when it is anonymous; SignatureError when it is garbled."""
    authorization = request.headers.get("authorization")
    if authorization is not None:
        return _from_header(authorization, request)
    if "X-Amz-" in request.query:
        return _from_query(request)
    return None


def _incomplete(text: str) -> SignatureError:
    return SignatureError(Failure.INCOMPLETE, text)


def _from_header(authorization: str, request: Request) -> Presented:
    algorithm, _, rest = authorization.strip().partition(" ")
    shown = f"Authorization={algorithm[:80]}"
    stamp = request.headers.get("x-amz-date") or request.headers.get("date", "")
    if not algorithm.startswith("AWS"):
        raise _incomplete(_missing_parts({}, stamp, shown))
    if algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm[:80]}'.")
    parts: dict[str, str] = {}
    for part in rest.split(","):
        key, equal, value = part.strip().partition("=")
        if not equal:
            raise _incomplete(
                f"'{key[:80]}' not a valid key=value pair (missing equal-sign) in Authorization "
                f"header: '{authorization[:400]}'"
            )
        parts[key] = value
    if missing := _missing_parts(parts, stamp, shown):
        raise _incomplete(missing)
    return _made(
        parts["Credential"],
        parts["SignedHeaders"],
        parts["Signature"],
        _stamp(stamp),
        request.headers.get("x-amz-security-token"),
        None,
    )


def _missing_parts(parts: dict[str, str], stamp: str, shown: str) -> str:
    texts = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    if not stamp:
        texts.append(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        )
    return " ".join([*texts, shown]) if texts else ""


def _from_query(request: Request) -> Presented | None:
    fields = {
        unquote(name): unquote(value) for name, value in _pairs(request.query) if "X-Amz-" in name
    }
    if "X-Amz-Algorithm" not in fields and "X-Amz-Signature" not in fields:
        return None
    for name in ("Algorithm", "Credential", "SignedHeaders", "Date", "Signature"):
        if not fields.get(f"X-Amz-{name}"):
            raise _incomplete(
                f"AWS query-string parameters must include 'X-Amz-{name}'. "
                "Re-examine the query-string parameters."
            )
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{fields['X-Amz-Algorithm'][:80]}'.")
    return _made(
        fields["X-Amz-Credential"],
        fields["X-Amz-SignedHeaders"],
        fields["X-Amz-Signature"],
        _stamp(fields["X-Amz-Date"]),
        fields.get("X-Amz-Security-Token"),
        _lifetime(fields.get("X-Amz-Expires", "")),
    )


def _lifetime(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 8) or int(text) > LONGEST:
        raise _incomplete("X-Amz-Expires must be a number of seconds, at most a week")
    return int(text)


def _made(
    credential: str,
    headers: str,
    signature: str,
    stamp: str,
    token: str | None,
    expires: int | None,
) -> Presented:
    elements = credential.rsplit("/", 4)
    if len(elements) != 5 or not elements[0]:
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            f"keyid/date/region/service/term, got '{credential[:200]}'"
        )
    key_id, date, region, service, terminator = elements
    names = tuple(headers.lower().split(";"))
    if "host" not in names and ":authority" not in names:
        raise SignatureError(
            Failure.MISMATCH,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        )
    return Presented(
        key_id, date, region, service, terminator, names, signature, stamp, token, expires
    )


def _stamp(text: str) -> str:
    """The time of signing in the basic form of ISO 8601; HTTP's own form is taken too."""
    if _BASIC.fullmatch(text):
        return text
    try:
        return datetime.fromtimestamp(read_time(text), UTC).strftime(_STAMP)
    except (ValueError, OverflowError, OSError):
        raise _no_date(text) from None


def _no_date(text: str) -> SignatureError:
    return _incomplete(
        f"Date must be in ISO-8601 'basic format'. Got '{text[:80]}'. "
        "See http://en.wikipedia.org/wiki/ISO_8601"
    )


def check_scope(presented: Presented, now: int, service: str | None) -> None:
    """Refuse what was signed at another time, or for another region or service.

    ``now`` is in seconds since 1970. ``service`` is the signing name that the
    request should have; None when the name in the scope is itself what says which
    service is meant.
    """
    _check_date(presented, now)
    texts: list[str] = []
    if not _REGION.fullmatch(presented.region):
        texts.append(
            f"Credential should be scoped to a valid region, not '{presented.region[:80]}'. "
        )
    if service is not None and presented.service != service:
        texts.append(f"Credential should be scoped to correct service: '{service}'. ")
    if presented.terminator != TERMINATOR:
        texts.append(
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', "
            f"not '{presented.terminator[:80]}'. "
        )
    if presented.date != presented.stamp[:8]:
        texts.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{presented.date[:80]}' != '{presented.stamp[:8]}', from '{presented.stamp}'. "
        )
    if texts:
        raise SignatureError(Failure.MISMATCH, "".join(texts))


@lru_cache(maxsize=4)
def _window(now: int) -> tuple[str, str, str]:
    """A second, and the earliest and latest that a request may be signed then."""
    moment = datetime.fromtimestamp(now, UTC)
    earliest, latest = moment - SKEW, moment + SKEW
    return moment.strftime(_STAMP), earliest.strftime(_STAMP), latest.strftime(_STAMP)


def _check_date(presented: Presented, now: int) -> None:
    # Stamps of one form compare as their times do.
    stamp = presented.stamp
    current, earliest, latest = _window(now)
    if stamp > latest:
        raise SignatureError(
            Failure.SKEWED,
            f"Signature not yet current: {stamp} is still later than {latest} "
            f"({current} + 15 min.)",
        )
    if presented.expires is not None:
        end = _end(stamp, presented.expires)
        if current > end:
            raise SignatureError(
                Failure.LATE, f"Signature expired: {end} is now earlier than {current}"
            )
    elif stamp < earliest:
        raise SignatureError(
            Failure.SKEWED,
            f"Signature expired: {stamp} is now earlier than {earliest} ({current} - 15 min.)",
        )


def _end(stamp: str, expires: int) -> str:
    try:
        signed = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
        return (signed + timedelta(seconds=expires)).strftime(_STAMP)
    except (ValueError, OverflowError):
        raise _no_date(stamp) from None


def verify(presented: Presented, request: Request, secret: str) -> bytes:
    """Refuse a request that was not signed with this secret, or was altered since.

    Returns the key it was signed with, for what is signed beyond the request.
    """
    canonical = canonical_request(presented, request)
    to_sign = "\n".join(
        (
            ALGORITHM,
            presented.stamp,
            presented.scope,
            hashlib.sha256(canonical.encode("latin-1", "replace")).hexdigest(),
        )
    )
    key = signing_key(secret, presented.date, presented.region, presented.service)
    ours = hmac.digest(key, to_sign.encode(), "sha256").hex()
    if not hmac.compare_digest(ours.encode(), presented.signature.encode()):
        raise SignatureError(Failure.MISMATCH, MISMATCH_TEXT)
    return key


def canonical_request(presented: Presented, request: Request) -> str:
    """The text whose hash is signed."""
    headers = request.headers
    lines = [
        request.method,
        canonical_path(request.path, presented.service),
        canonical_query(request.query, presigned=presented.expires is not None),
    ]
    for name in presented.signed_headers:
        value = headers.get(name)
        if value is None:
            raise SignatureError(Failure.MISMATCH, MISMATCH_TEXT)
        lines.append(f"{name}:{_trimmed(value)}")
    lines += ("", ";".join(presented.signed_headers), payload_hash(presented, request))
    return "\n".join(lines)


def _trimmed(value: str) -> str:
    value = value.strip()
    return _BLANKS.sub(" ", value) if "  " in value else value


def canonical_path(path: str, service: str) -> str:
    """The path as it is signed: S3's decoded and encoded once, others' as sent, encoded again."""
    if service == "s3":
        return quote(unquote(path), safe="/-_.~")
    if "//" in path:
        path = _SLASHES.sub("/", path)
    if "/." in path:
        path = _without_dots(path)
    return quote(path, safe="/-_.~") or "/"


def _without_dots(path: str) -> str:
    kept: list[str] = []
    parts = path.split("/")[1:]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join(kept)


def _pairs(query: str) -> list[tuple[str, str]]:
    return [
        (name, value) for name, _, value in (p.partition("=") for p in query.split("&")) if name
    ]


def canonical_query(query: str, *, presigned: bool = False) -> str:
    """The query string as it is signed: encoded anew and sorted, without the signature itself."""
    if not query:
        return ""
    encoded = sorted(
        (quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~"))
        for name, value in _pairs(query)
    )
    return "&".join(
        f"{name}={value}"
        for name, value in encoded
        if not (presigned and name == "X-Amz-Signature")
    )


def payload_hash(presented: Presented, request: Request) -> str:
    """The body's hash as it is signed.

    S3 takes the header's word where that says that the body is not signed, or is
    signed in pieces; a hash there must be the body's.
    """
    if presented.service != "s3":
        return hashlib.sha256(request.body).hexdigest()
    said = request.headers.get("x-amz-content-sha256")
    if said is None:
        return UNSIGNED if presented.expires is not None else _hash(request.body)
    if said == UNSIGNED or said.startswith("STREAMING-"):
        return said
    # A hash that is not the body's makes a signature that is not the request's.
    return _hash(request.body)


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@lru_cache(maxsize=1024)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    """The key that a secret signs with on one day, in one region, for one service."""
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, TERMINATOR):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def smtp_password(secret: str, region: str) -> str:
    """The SMTP password that belongs to a secret access key in a region.

    AWS's algorithm: a signing key of a fixed day, for a fixed message, after the
    byte 4 as its version.
    """
    key = f"AWS4{secret}".encode()
    for part in ("11111111", region, "ses", TERMINATOR, "SendRawEmail"):
        key = hmac.digest(key, part.encode(), "sha256")
    return b64encode(b"\x04" + key).decode()
