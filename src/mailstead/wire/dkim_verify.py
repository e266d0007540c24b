"""Verify the DKIM signatures of a message (RFC 6376 section 6, RFC 8301, RFC 8463)."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from mailstead.wire.addresses import AddressError, domain_key
from mailstead.wire.dkim_canon import BodyHashes, Canon, header_data, signature_field
from mailstead.wire.dkim_key import (
    LARGEST_RSA,
    SMALLEST_RSA,
    DkimKeyError,
    KeyRecord,
    parse_key_record,
)
from mailstead.wire.lookup import Answer, Question, Status
from mailstead.wire.message import Field, Headers, parse_headers
from mailstead.wire.tag_list import TagListError, parse_tag_list, without_blanks

if TYPE_CHECKING:
    from collections.abc import Generator

Result = Literal["pass", "fail", "neutral", "policy", "temperror", "permerror"]

SIGNATURE_LIMIT = 8
"""Signatures looked at, from the top of the header."""
CLOCK_SKEW = 300
"""Seconds that ``t=`` may lie in the future."""

_ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519", "rsa-sha1": "rsa"}
_DOMAIN = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})+")
_SELECTOR = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_NUMBER = re.compile(r"[0-9]{1,12}")
_LENGTH = re.compile(r"[0-9]{1,76}")


@dataclass(frozen=True, slots=True)
class DkimResult:
    """What one signature came to; a message without any has no results.

    ``fail`` is a wrong hash or signature, or one past its ``x=``; ``permerror``
    one that could never be verified; ``policy`` one that verifies but covers
    only a part of the body; ``neutral`` a failure under a key in test.
    """

    result: Result
    domain: str = ""
    """``d=`` as lower-case A-labels; empty where it cannot be read."""
    selector: str = ""
    identity: str = ""
    """``i=``, or ``@`` and the domain."""
    algorithm: str = ""
    signature: str = ""
    """``b=`` without blanks; its first eight characters tell signatures apart."""
    reason: str = ""
    """Why it is not ``pass``, for people."""
    testing: bool = False
    """The key says ``t=y``."""
    verified: bool = False
    """The hashes and the signature are right, whatever policy makes of it."""


class _Refused(Exception):
    """This signature is decided; the text is the reason."""

    def __init__(self, result: Result, reason: str) -> None:
        super().__init__(reason)
        self.result: Result = result
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Signature:
    """A well-formed signature whose key is still to be fetched."""

    field: Field
    shown: DkimResult
    hash_name: str
    header_canon: Canon
    body_canon: Canon
    names: tuple[bytes, ...]
    body_hash: bytes
    octets: bytes
    length: int | None

    @property
    def question(self) -> Question:
        return Question(f"{self.shown.selector}._domainkey.{self.shown.domain}", "TXT")


def verify(
    message: bytes | Headers, now: int, *, allow_sha1: bool = False, limit: int = SIGNATURE_LIMIT
) -> Generator[tuple[Question, ...], tuple[Answer, ...], list[DkimResult]]:
    """Verify the first ``limit`` signatures, asking for all keys at once.

    ``now`` is in seconds since 1970. Results are in the order of the fields.
    ``allow_sha1`` is for old test vectors only (RFC 8301 forbids rsa-sha1).
    Raises `MessageError` for a header over its limits.
    """
    headers = message if isinstance(message, Headers) else parse_headers(message)
    fields = headers.by_name.get(b"dkim-signature", ())[:limit]
    results = [_read(headers, field, now, allow_sha1=allow_sha1) for field in fields]
    pending = [found for found in results if isinstance(found, _Signature)]
    questions = tuple(dict.fromkeys(found.question for found in pending))
    answers = dict(zip(questions, (yield questions), strict=True)) if questions else {}
    bodies = BodyHashes(headers)
    return [
        _judge(headers, bodies, found, answers[found.question])
        if isinstance(found, _Signature)
        else found
        for found in results
    ]


def _read(headers: Headers, field: Field, now: int, *, allow_sha1: bool) -> DkimResult | _Signature:
    """Check all that needs no key (RFC 6376 section 6.1.1)."""
    try:
        tags = parse_tag_list(headers.raw[field.colon + 1 : field.end])
    except TagListError as error:
        return DkimResult("permerror", reason=str(error))
    domain = _a_labels(tags.get("d", ""))
    shown = DkimResult(
        "permerror",
        domain=domain if _DOMAIN.fullmatch(domain) else "",
        selector=selector if _SELECTOR.fullmatch(selector := _a_labels(tags.get("s", ""))) else "",
        identity=without_blanks(tags.get("i", f"@{domain}")),
        algorithm=tags.get("a", ""),
        signature=without_blanks(tags.get("b", "")),
    )
    try:
        _check_tags(headers, tags, shown, allow_sha1=allow_sha1)
        _check_times(tags, now)
        header_canon, body_canon = _canons(tags.get("c", "simple/simple"))
        return _Signature(
            field,
            shown,
            shown.algorithm.partition("-")[2],
            header_canon,
            body_canon,
            tuple(without_blanks(tags["h"]).lower().encode().split(b":")),
            _octets(tags["bh"]),
            _octets(tags["b"]),
            int(tags["l"]) if "l" in tags else None,
        )
    except _Refused as refused:
        return replace(shown, result=refused.result, reason=refused.reason)


def _check_tags(
    headers: Headers, tags: dict[str, str], shown: DkimResult, *, allow_sha1: bool
) -> None:
    missing = [name for name in ("v", "a", "b", "bh", "d", "h", "s") if not tags.get(name)]
    methods = without_blanks(tags.get("q", "dns/txt")).lower().split(":")
    signed = without_blanks(tags.get("h", "")).lower().split(":")
    problems = (
        (missing, f"no {', '.join(missing)}"),
        (tags.get("v") != "1", "unknown version"),
        (shown.algorithm not in _ALGORITHMS, "unknown algorithm"),
        (shown.algorithm == "rsa-sha1" and not allow_sha1, "rsa-sha1 is forbidden"),
        (not shown.domain, "d= is no domain"),
        (not shown.selector, "s= is no selector"),
        ("dns/txt" not in methods, "unknown q="),
        (not _LENGTH.fullmatch(tags.get("l", "0")), "l= is no number"),
        ("from" not in signed, "From is not signed"),
        ("from" not in headers, "no From"),
        (not _in_or_below(_domain_of(shown.identity), shown.domain), "i= is not below d="),
    )
    for wrong, reason in problems:
        if wrong:
            raise _Refused("permerror", reason)


def _check_times(tags: dict[str, str], now: int) -> None:
    times: dict[str, int] = {}
    for name in ("t", "x"):
        if name in tags:
            if not _NUMBER.fullmatch(tags[name]):
                raise _Refused("permerror", f"{name}= is no time")
            times[name] = int(tags[name])
    signed, expires = times.get("t", 0), times.get("x")
    if signed > now + CLOCK_SKEW:
        raise _Refused("permerror", "signed in the future")
    if expires is not None and expires <= signed:
        raise _Refused("permerror", "x= is not after t=")
    if expires is not None and expires < now:
        raise _Refused("fail", "expired")


def _canons(value: str) -> tuple[Canon, Canon]:
    # A header form alone leaves the body simple (RFC 6376 section 3.5, c=).
    header, _, body = without_blanks(value).lower().partition("/")
    body = body or "simple"
    if {header, body} <= {"simple", "relaxed"}:
        return cast("Canon", header), cast("Canon", body)
    raise _Refused("permerror", "unknown canonicalization")


def _judge(
    headers: Headers, bodies: BodyHashes, signature: _Signature, answer: Answer
) -> DkimResult:
    shown = signature.shown
    testing = False
    try:
        record = _key_record(answer)
        testing = record.testing
        _check_key(record, signature)
        part = _check_hashes(headers, bodies, signature, record)
    except _Refused as refused:
        result = "neutral" if testing and refused.result == "fail" else refused.result
        return replace(shown, result=result, reason=refused.reason, testing=testing)
    if part:
        reason = "l= leaves a part of the body unsigned"
        return replace(shown, result="policy", reason=reason, testing=testing, verified=True)
    return replace(shown, result="pass", testing=testing, verified=True)


def _key_record(answer: Answer) -> KeyRecord:
    if answer.status is Status.FAILED:
        raise _Refused("temperror", "key not available now")
    problem = "no key"
    found: list[KeyRecord] = []
    for text in answer.texts:
        try:
            found.append(parse_key_record(text))
        except DkimKeyError as error:
            problem = str(error)
    if len(found) != 1:
        raise _Refused("permerror", "several keys" if found else problem)
    return found[0]


def _check_key(record: KeyRecord, signature: _Signature) -> None:
    key, shown = record.key, signature.shown
    is_rsa = isinstance(key, RSAPublicKey)
    size = key.key_size if isinstance(key, RSAPublicKey) else SMALLEST_RSA
    identity = _domain_of(shown.identity)
    problems = (
        (is_rsa != (_ALGORITHMS[shown.algorithm] == "rsa"), "the key is of another type"),
        (record.hashes is not None and signature.hash_name not in record.hashes, "h= of the key"),
        (not record.services & {"*", "email"}, "the key is not for email"),
        (record.strict and identity != shown.domain, "the key allows no subdomain in i="),
        (not SMALLEST_RSA <= size <= LARGEST_RSA, f"an RSA key of {size} bits"),
    )
    for wrong, reason in problems:
        if wrong:
            raise _Refused("permerror", reason)


def _check_hashes(
    headers: Headers, bodies: BodyHashes, signature: _Signature, record: KeyRecord
) -> bool:
    """Whether the signature is right but covers only a part of the body."""
    size = len(bodies.canonical(signature.body_canon))
    length = size if signature.length is None else signature.length
    if length > size:
        raise _Refused("permerror", "l= is longer than the body")
    digest = bodies.digest(signature.body_canon, signature.hash_name, length)
    if digest != signature.body_hash:
        raise _Refused("fail", "body hash did not verify")
    canon = signature.header_canon
    data = header_data(headers, signature.names, canon)
    data += signature_field(headers.raw, signature.field, canon)
    key = record.key
    try:
        if isinstance(key, RSAPublicKey):
            # SHA-1 only where the caller let it through.
            hash_ = SHA256() if signature.hash_name == "sha256" else SHA1()  # noqa: S303 - the caller let it through
            key.verify(signature.octets, data, PKCS1v15(), hash_)
        else:
            key.verify(signature.octets, hashlib.sha256(data).digest())
    except InvalidSignature as error:
        raise _Refused("fail", "signature did not verify") from error
    return length < size


def _octets(value: str) -> bytes:
    try:
        return base64.b64decode(without_blanks(value), validate=True)
    except ValueError as error:
        raise _Refused("permerror", "b= or bh= is not base64") from error


def _a_labels(name: str) -> str:
    """The name as lower-case A-labels (RFC 8616 lets signatures hold U-labels)."""
    try:
        return domain_key(without_blanks(name))
    except AddressError:
        return ""


def _domain_of(identity: str) -> str:
    return _a_labels(identity.rpartition("@")[2])


def _in_or_below(name: str, domain: str) -> bool:
    return name == domain or name.endswith("." + domain)
