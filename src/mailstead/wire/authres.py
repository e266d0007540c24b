"""Authentication-Results (RFC 8601): write ours, and remove those forged in our name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailstead.wire.addresses import AddressError, domain_key
from mailstead.wire.message import Headers, parse_headers

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailstead.wire.dkim_verify import DkimResult
    from mailstead.wire.dmarc import DmarcResult
    from mailstead.wire.spf import SpfResult

_NAME = b"authentication-results"
_WIDTH = 78
_VALUE_LIMIT = 320
"""Characters of a value or reason; what is longer is cut."""
# RFC 2045's token, and the unquoted address or domain that RFC 8601 section 2.2 allows.
_TOKEN = re.compile(r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+")
_PVALUE = re.compile(r"(?:(?:[!#$%&'*+/=?^_`{|}~0-9A-Za-z.-]+)?@)?[0-9A-Za-z_.-]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_LEX = re.compile(
    rb"""(?P<blank>[ \t\r\n]+)|(?P<open>\()|(?P<quoted>"(?:[^"\\]|\\.)*+"?)|(?P<stop>;)"""
    rb"""|(?P<text>[^ \t\r\n(";]+)""",
    re.DOTALL,
)
_IN_COMMENT = re.compile(rb"(?:[^()\\]|\\.)+|[()]|\\\Z", re.DOTALL)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One method's result: ``method=result reason="..." ptype.property=value``."""

    method: str
    result: str
    properties: tuple[tuple[str, str], ...] = ()
    """``("header.d", "example.com")`` and so on, those with an empty value left out."""
    reason: str = ""


def authentication_results(authserv_id: str, results: Iterable[MethodResult]) -> bytes:
    """The field with its CRLF, to prepend after `remove_own`.

    Values may be hostile: they are quoted, controls removed, length limited.
    """
    lines = [f"Authentication-Results: {authserv_id}"]
    for found in results:
        lines[-1] += ";"
        lines.append(f"\t{found.method}={found.result}")
        words = [f"reason={_quoted(found.reason)}"] if found.reason else []
        words += [f"{name}={_pvalue(value)}" for name, value in found.properties if value]
        for word in words:
            if len(lines[-1]) + len(word) < _WIDTH:
                lines[-1] += f" {word}"
            else:
                lines.append(f"\t {word}")
    if len(lines) == 1:
        lines[0] += "; none"
    return ("\r\n".join(lines) + "\r\n").encode()


def iprev_result(result: str, ip: str) -> MethodResult:
    """Whether the client's address has a name that has the address (RFC 8601 section 3)."""
    return MethodResult("iprev", result, (("policy.iprev", ip),))


def spf_result(found: SpfResult, *, null_sender: bool = False) -> MethodResult:
    """SPF of MAIL FROM, or of HELO where the sender was null."""
    checked = ("smtp.helo", found.domain) if null_sender else ("smtp.mailfrom", found.sender)
    return MethodResult("spf", found.result, (checked,), found.problem)


def dkim_results(found: Sequence[DkimResult]) -> list[MethodResult]:
    """Each signature's result, or ``none`` for an unsigned message."""
    return [_dkim_result(result) for result in found] or [MethodResult("dkim", "none")]


def _dkim_result(found: DkimResult) -> MethodResult:
    properties = (
        ("header.d", found.domain),
        ("header.i", "" if found.identity == f"@{found.domain}" else found.identity),
        ("header.s", found.selector),
        ("header.a", found.algorithm),
        # Enough to tell signatures of one domain apart (RFC 6008 section 4).
        ("header.b", found.signature[:8]),
    )
    reason = f"test key: {found.reason}" if found.testing and found.reason else found.reason
    return MethodResult("dkim", found.result, properties, reason)


def dmarc_result(found: DmarcResult) -> MethodResult:
    """DMARC, with the policy that the owner asks for (RFC 9989 section 9)."""
    properties = (("header.from", found.domain), ("policy.dmarc", found.policy or ""))
    return MethodResult("dmarc", found.result, properties, found.reason)


def authserv_ids(value: bytes) -> set[str]:
    """Every server a field may be read to speak for, as `domain_key` compares them.

    Comments are skipped and quotes undone (RFC 8601 section 2.2). Since readers
    differ, the text up to the first semicolon counts as one name too, its blanks
    removed.
    """
    words: list[bytes] = [b""]
    at = 0
    value = value.strip(b" \t\r\n")
    while found := _LEX.match(value, at):
        at = found.end()
        if found.lastgroup == "stop":
            break
        if found.lastgroup == "blank":
            words.append(b"")
        elif found.lastgroup == "open":
            at = _comment_end(value, at)
            words.append(b"")
        elif found.lastgroup == "quoted":
            words[-1] += _PAIR.sub(rb"\1", found[0].strip(b'"'))
        else:
            words[-1] += found[0]
    words = [word for word in words if word]
    # An older draft wrote the version behind a slash.
    first = words[0].partition(b"/")[0] if words else b""
    return {_key(name.decode("utf-8", "replace")) for name in (first, b"".join(words))} - {""}


def remove_own(message: bytes | Headers, authserv_id: str) -> bytes:
    """The message without the Authentication-Results fields that claim to be ours.

    Any case, comments, quotes and versions are seen through; foreign fields stay,
    every other byte too (RFC 8601 section 5).
    """
    headers = message if isinstance(message, Headers) else parse_headers(message)
    raw, own = headers.raw, _key(authserv_id)
    parts: list[bytes] = []
    kept = 0
    for field in headers.by_name.get(_NAME, ()):
        if own in authserv_ids(raw[field.colon + 1 : field.end]):
            parts.append(raw[kept : field.start])
            kept = field.end
    return b"".join([*parts, raw[kept:]]) if parts else raw


def _comment_end(value: bytes, at: int) -> int:
    """Where the comment that was just opened closes; comments nest."""
    depth = 1
    while depth and (found := _IN_COMMENT.match(value, at)):
        at = found.end()
        depth += {b"(": 1, b")": -1}.get(found[0], 0)
    return at


def _key(name: str) -> str:
    try:
        return domain_key(name)
    except AddressError:
        return name.lower()


def _clean(value: str) -> str:
    return _CONTROLS.sub(" ", value)[:_VALUE_LIMIT]


def _quoted(value: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", _clean(value)) + '"'


def _pvalue(value: str) -> str:
    short = len(value) <= _VALUE_LIMIT
    if short and (_TOKEN.fullmatch(value) or _PVALUE.fullmatch(value)):
        return value
    return _quoted(value)
