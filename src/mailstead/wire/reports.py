"""Reports about mail, written and read: delivery status, complaints, automatic replies.

RFC 3464 and 6533 (delivery status), RFC 5965 (complaints), RFC 3834 (automatic
replies). A report's envelope sender is null; sending it is the caller's matter,
and so is whether anything may be sent at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.utils import formatdate

from mailstead.wire.message import HEADER_LIMIT, MessageError, parse_headers
from mailstead.wire.mime import Part, parse_mime
from mailstead.wire.mime_text import (
    ComposeError,
    check_field,
    crlf,
    encode_body,
    structured_field,
    text_field,
)

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")

MAX_DELIVERIES = 1000
"""Recipients read out of one report."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one recipient (RFC 3464 section 2.3).

    `action` is ``failed``, ``delayed``, ``delivered``, ``relayed`` or
    ``expanded``; `status` such as ``5.1.1``; `diagnostic` the remote reply, with
    or without its type (``smtp;``). In a report read, what is missing is empty.
    """

    recipient: str
    action: str
    status: str
    diagnostic: str = ""
    remote_mta: str = ""
    original_recipient: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A delivery status report, read."""

    reporting_mta: str
    deliveries: tuple[Delivery, ...]
    original_message_id: str
    """Message-ID of the message it is about, without angle brackets; or empty."""
    envelope_id: str = ""


_KINDS = {
    "failed": ("Failure", "could not be delivered to"),
    "delayed": ("Delay", "could not be delivered yet, and will be tried again, to"),
    "delivered": ("Success", "was delivered to"),
    "relayed": ("Relayed", "was passed on, to a host that sends no reports, for"),
    "expanded": ("Expanded", "was passed on to the members of"),
}


def compose_report(
    *,
    sender: str,
    to: str,
    message_id: str,
    date: int,
    reporting_mta: str,
    boundary: str,
    arrival_date: int,
    deliveries: Sequence[Delivery],
    original_headers: bytes = b"",
    original_message: bytes = b"",
    envelope_id: str = "",
) -> bytes:
    """A delivery status report (RFC 3464).

    `message_id` has its brackets; dates are seconds since 1970; the boundary is
    unforeseeable. What is returned is `original_message` where given, else
    `original_headers` (RFC 3461 section 4.3). Raises
    `mailstead.wire.mime_text.ComposeError` for text that would forge a field.
    """
    kind, _ = _KINDS[deliveries[0].action]
    header = _header(sender, to, f"Delivery Status Notification ({kind})", date)
    header += structured_field("Message-ID", (message_id,))
    groups = [
        _fields(
            ("Reporting-MTA", f"dns; {reporting_mta}"),
            ("Original-Envelope-Id", envelope_id),
            ("Arrival-Date", _date(arrival_date)),
        ),
        *(_delivery_fields(delivery) for delivery in deliveries),
    ]
    return header + _multipart(
        "delivery-status",
        boundary,
        _text_part(_words(reporting_mta, deliveries)),
        _part("message/delivery-status", b"\r\n".join(groups)),
        _returned(original_headers, original_message),
    )


def complaint_report(
    *,
    sender: str,
    to: str,
    date: int,
    complainer: str,
    source_ip: str,
    boundary: str,
    original: bytes,
    feedback_type: str = "abuse",
    user_agent: str = "mailstead",
) -> bytes:
    """A complaint in the Abuse Reporting Format (RFC 5965) about the message `original`."""
    report = _fields(
        ("Feedback-Type", feedback_type),
        ("User-Agent", user_agent),
        ("Version", "1"),
        ("Original-Rcpt-To", f"<{_ascii(complainer)}>"),
        ("Arrival-Date", _date(date)),
        ("Source-IP", source_ip),
    )
    text = f"{_ascii(complainer)} reports the message below as unwanted."
    return _header(sender, to, "Complaint about a message", date) + _multipart(
        "feedback-report",
        boundary,
        _text_part(text),
        _part("message/feedback-report", report),
        _returned(b"", original),
    )


def automatic_reply(
    *,
    sender: str,
    to: str,
    date: int,
    original: bytes,
    text: str = "I am out of the office.",
) -> bytes:
    """An automatic reply to the message `original` (RFC 3834 section 3)."""
    headers = parse_headers(original)
    subject = headers.text("subject") or ""
    about = headers.get("message-id") or b""
    header = _header(sender, to, f"Automatic reply: {subject}"[:500], date, replied=True)
    if re.fullmatch(rb"<[!-;=?-~]{1,200}>", about):
        for name in ("In-Reply-To", "References"):
            header += structured_field(name, (about.decode("ascii"),))
    return header + _text_part(text)


def parse_report(raw: bytes) -> Report | None:
    """A delivery status report in a message received, or None where there is none.

    Lenient: any line ends, folded fields, missing groups or brackets. Reports
    without a machine-readable part are another reader's matter.
    """
    # Some arrive with nothing but CR at their line ends.
    message = crlf(raw)
    if message.startswith(b"From "):
        # The line a mailbox file puts before a message (RFC 4155) is none of it.
        message = message.partition(b"\r\n")[2]
    parts = list(_own_parts(parse_mime(message)))
    for place, part in enumerate(parts):
        if part.kind in {"message/delivery-status", "message/global-delivery-status"}:
            return _read_status(part, parts[place + 1 :])
    return None


# Writing.


def _header(sender: str, to: str, subject: str, date: int, *, replied: bool = False) -> bytes:
    # RFC 3834 section 5: reports are generated, replies to somebody are replied.
    how = "auto-replied" if replied else "auto-generated"
    return (
        _address_field("From", sender)
        + _address_field("To", to)
        + text_field("Subject", subject)
        + _fields(("Date", _date(date)), ("Auto-Submitted", how), ("MIME-Version", "1.0"))
    )


def _address_field(name: str, address: str) -> bytes:
    """An address as it is: UTF-8 where SMTPUTF8 brought it (RFC 6532)."""
    if address.isascii():
        return structured_field(name, (address,))
    check_field(name, address)
    return f"{name}: {address}\r\n".encode()


def _date(seconds: int) -> str:
    return formatdate(seconds).replace("-0000", "+0000")


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _fields(*pairs: tuple[str, str]) -> bytes:
    """Fields on lines of their own; those without value are left out."""
    return b"".join(
        text_field(name, _CONTROLS.sub(" ", _ascii(value))) for name, value in pairs if value
    )


def _typed(address: str) -> str:
    """An address with its type; what is not ASCII as utf-8-addr-xtext (RFC 6533 section 3)."""
    if address.isascii():
        return f"rfc822; {address}" if address else ""
    coded = re.sub(r"[^!-\[\]-~]|[+=]", lambda char: f"\\x{{{ord(char[0]):X}}}", address)
    return f"utf-8; {coded}"


def _delivery_fields(delivery: Delivery) -> bytes:
    diagnostic = delivery.diagnostic
    if diagnostic and not re.match(r"[A-Za-z0-9-]+;", diagnostic):
        diagnostic = f"smtp; {diagnostic}"
    return _fields(
        ("Original-Recipient", _typed(delivery.original_recipient)),
        ("Final-Recipient", _typed(delivery.recipient)),
        ("Action", delivery.action),
        ("Status", delivery.status),
        ("Remote-MTA", f"dns; {delivery.remote_mta}" if delivery.remote_mta else ""),
        ("Diagnostic-Code", diagnostic),
    )


def _words(reporting_mta: str, deliveries: Sequence[Delivery]) -> str:
    lines = [f"This is the mail system at {reporting_mta}.", ""]
    for delivery in deliveries:
        lines.append(f"Your message {_KINDS[delivery.action][1]} {delivery.recipient}.")
        if delivery.diagnostic:
            lines.append("    " + _CONTROLS.sub(" ", delivery.diagnostic))
        lines.append("")
    return "\n".join(lines)


def _text_part(text: str) -> bytes:
    charset = "US-ASCII" if text.isascii() else "UTF-8"
    encoding, body = encode_body(crlf(text.encode("utf-8", "replace").rstrip()) + b"\r\n")
    return _part(f"text/plain; charset={charset}", body, encoding)


def _part(content_type: str, body: bytes, encoding: str = "7bit") -> bytes:
    fields = _fields(("Content-Type", content_type), ("Content-Transfer-Encoding", encoding))
    return fields + b"\r\n" + body


def _returned(headers: bytes, message: bytes) -> bytes:
    if message:
        # RFC 2046 section 5.2.1: nothing but 7bit, 8bit or binary here.
        encoding = "7bit" if message.isascii() else "8bit"
        return _part("message/rfc822", crlf(message), encoding)
    encoding, body = encode_body(crlf(headers))
    return _part("text/rfc822-headers", body, encoding)


def _multipart(report_type: str, boundary: str, *parts: bytes) -> bytes:
    if any(boundary.encode() in part for part in parts):
        raise ComposeError("The boundary occurs in what is reported.")
    kind = f'multipart/report; report-type={report_type}; boundary="{boundary}"'
    delimiter = f"\r\n--{boundary}".encode()
    body = b"".join(delimiter + b"\r\n" + part for part in parts)
    return structured_field("Content-Type", (kind,)) + body + delimiter + b"--\r\n"


# Reading.

_LINE = re.compile(r"([!-9;-~]+)[ \t]*:[ \t]*(.*)")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{1,6})\}")


_RETURNED = frozenset(
    {"message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"}
)


def _own_parts(part: Part) -> Iterator[Part]:
    """The parts outside of any message that is carried along."""
    yield part
    if part.kind != "message/rfc822":
        for child in part.children:
            yield from _own_parts(child)


def _read_status(status: Part, following: list[Part]) -> Report:
    groups = _groups(status.content[:HEADER_LIMIT].decode("utf-8", "replace"))
    deliveries = [
        _read_delivery(group)
        for group in groups
        if group.keys() & {"final-recipient", "original-recipient"}
    ]
    first = groups[0] if groups else {}
    return Report(
        reporting_mta=_value(first.get("reporting-mta", "")),
        deliveries=tuple(deliveries[:MAX_DELIVERIES]),
        original_message_id=_original_message_id(following),
        envelope_id=first.get("original-envelope-id", ""),
    )


def _groups(text: str) -> list[dict[str, str]]:
    """The groups between empty lines: lower-case field names and unfolded values."""
    groups: list[dict[str, str]] = []
    for block in re.split(r"\n[ \t]*(?:\n[ \t]*)+", text.replace("\r\n", "\n").strip()):
        unfolded = re.sub(r"\n[ \t]+", " ", block)
        group: dict[str, str] = {}
        for line in unfolded.split("\n"):
            if found := _LINE.match(line):
                group.setdefault(found[1].lower(), found[2].strip())
        if group:
            groups.append(group)
    return groups


def _read_delivery(group: dict[str, str]) -> Delivery:
    status = _STATUS.search(group.get("status", ""))
    original = _address(group.get("original-recipient", ""))
    return Delivery(
        recipient=_address(group.get("final-recipient", "")) or original,
        action=group.get("action", "").split(" ")[0].lower(),
        status=status[0] if status else "",
        diagnostic=group.get("diagnostic-code", ""),
        remote_mta=_value(group.get("remote-mta", "")),
        original_recipient=original,
    )


def _value(text: str) -> str:
    """What follows the type, where there is one."""
    kind, typed, value = text.partition(";")
    return (value if typed else kind).strip()


def _address(text: str) -> str:
    value = _value(text).removeprefix("<").removesuffix(">")
    return _UNICODE.sub(_character, value)


def _character(code: re.Match[str]) -> str:
    number = int(code[1], 16)
    # Controls and surrogates stay written out.
    if number < 0x20 or 0xD800 <= number <= 0xDFFF or number > 0x10FFFF:
        return code[0]
    return chr(number)


def _original_message_id(parts: list[Part]) -> str:
    for part in parts:
        if part.kind not in _RETURNED:
            continue
        try:
            headers = parse_headers(part.content.lstrip(b"\r\n")[:HEADER_LIMIT])
        except MessageError:
            continue
        found = re.search(rb"<([^<>\s]{1,500})>", headers.get("message-id") or b"")
        if found:
            return found[1].decode("utf-8", "replace")
    return ""
