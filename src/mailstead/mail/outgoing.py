"""Reading what somebody wants to send: a raw message, or the parts of a simple one.

Both give a `Draft`: normalised bytes, who sends, who gets it, and what SES's
control fields ask for. Refusals are in SES's words (JavaMail's, for addresses).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mailstead.mail.errors import Invalid
from mailstead.wire.addresses import Mailbox, parse_address_list, parse_mailbox
from mailstead.wire.compose import ComposeError, compose
from mailstead.wire.message import (
    Headers,
    MessageError,
    longest_line,
    normalise_line_ends,
    parse_headers,
)

if TYPE_CHECKING:
    from mailstead.mail.submission import Submission

LINE = 998
"""Octets of a line without its CRLF (RFC 5322 2.1.1); SES's limit too."""

CONTROL = frozenset(
    {
        "x-ses-configuration-set",
        "x-ses-message-tags",
        "x-ses-source-arn",
        "x-ses-from-arn",
        "x-ses-return-path-arn",
        "x-ses-list-management-options",
        "x-ses-tenant",
    }
)
"""Header fields that speak to SES: the first of each is read, all are removed."""
REMOVED = CONTROL | {"return-path", "bcc", "feedback-id", "x-ses-outgoing"}

# The SES developer guide's list of header fields that may appear once only.
ONCE = frozenset(
    {
        "accept-language", "bcc", "cc", "content-disposition", "content-id", "content-language",
        "content-length", "content-md5", "content-transfer-encoding", "content-type", "date",
        "dkim-signature", "from", "in-reply-to", "list-archive", "list-help", "list-id",
        "list-owner", "list-post", "list-subscribe", "list-unsubscribe", "list-unsubscribe-post",
        "message-id", "mime-version", "references", "reply-to", "return-path", "sender", "subject",
        "to",
    }
)  # fmt: skip

_TAG_NAME = re.compile(r"[A-Za-z0-9_:-]+")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.@-]+")
TAG_LENGTH = 255


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that was read, before anybody was asked whether it may go."""

    raw: bytes
    headers: Headers
    senders: tuple[Mailbox, ...]
    """Who must be verified: the sender that counts for policy first, each once."""
    feedback: Mailbox
    """Where a mailed bounce goes."""
    recipients: tuple[Mailbox, ...]
    """From To, Cc and Bcc of a raw message; used where the request names nobody."""
    reply_to: tuple[Mailbox, ...]
    configuration_set: str
    tags: tuple[tuple[str, str], ...]
    source_arn: str

    @property
    def removed(self) -> frozenset[str]:
        """Names of the fields that do not leave."""
        return REMOVED

    @property
    def display_name(self) -> str:
        """The first sender's display name."""
        return self.senders[0].display_name

    @property
    def subject(self) -> str:
        """For people: encoded words decoded."""
        return self.headers.text("subject") or ""

    def refuse_missing_recipients(self) -> NoReturn:
        """Refuse a message that names nobody, in SES's words."""
        what = "Empty" if "to" in self.headers else "Missing"
        raise refused(f"{what} required header 'To'.")

    def check(self, size_limit: int) -> None:
        """SES's limits of size and header."""
        if len(self.raw) > size_limit:
            raise Invalid(
                f"Message length is more than {size_limit} bytes long: '{len(self.raw)}'.",
                resource="message",
                reason="size",
            )
        for name, fields in self.headers.by_name.items():
            if len(fields) > 1 and name.decode() in ONCE:
                shown = fields[0].name.decode("latin-1")
                raise refused(f"Duplicate header '{shown}'.")
        if longest_line(self.raw) > LINE:
            raise refused(
                f"Lines may have at most {LINE} octets and CRLF: encode the body as "
                "quoted-printable or base64."
            )


def refused(text: str) -> Invalid:
    """SES's refusal of a message as it was given."""
    return Invalid(text, resource="message", reason="message")


def read_raw(submission: Submission) -> Draft:
    """A raw message, as SendRawEmail, v2's Raw content and SMTP give it."""
    raw, headers = _indexed(submission.raw or b"")
    senders: list[Mailbox] = []
    if submission.source:
        senders.append(parse_mailbox(submission.source))
    header_from = _header_mailboxes(headers, "from")
    if not senders and not header_from:
        raise refused("Missing required header 'From'.")
    named = bool(submission.to or submission.cc or submission.bcc)
    recipients: list[Mailbox] = []
    if not named:
        for name in ("to", "cc", "bcc"):
            recipients += _header_mailboxes(headers, name)
    reply_to = _header_mailboxes(headers, "reply-to")
    sender_field = _header_mailboxes(headers, "sender")
    return_path = _return_path(headers)
    feedback = _feedback(submission, [*senders, *return_path, *header_from])
    return Draft(
        raw,
        headers,
        senders=_each_once([*header_from, *senders, *sender_field, *return_path, feedback]),
        feedback=feedback,
        recipients=tuple(recipients),
        reply_to=tuple(reply_to),
        configuration_set=submission.configuration_set or _control(headers, "configuration-set"),
        tags=_header_tags(_control(headers, "message-tags")),
        source_arn=_control(headers, "source-arn") or _control(headers, "from-arn"),
    )


def draft_simple(submission: Submission, boundary: str) -> Draft:
    """The parts of SendEmail, put together as SES does."""
    assert submission.simple is not None
    if submission.source is None:
        raise Invalid(None, resource="message", reason="no-source")
    sender = parse_mailbox(submission.source)
    for text in (*submission.to, *submission.cc, *submission.bcc):
        parse_mailbox(text)
    feedback = _feedback(submission, [sender])
    reply_to = [parse_mailbox(text) for text in submission.reply_to]
    try:
        raw = compose(submission.simple, boundary)
    except ComposeError as error:
        raise refused(str(error)) from None
    return Draft(
        raw,
        parse_headers(raw),
        senders=_each_once([sender, feedback]),
        feedback=feedback,
        recipients=(),
        reply_to=tuple(reply_to),
        configuration_set=submission.configuration_set or "",
        tags=(),
        source_arn="",
    )


def _indexed(given: bytes) -> tuple[bytes, Headers]:
    try:
        raw = normalise_line_ends(given)
        headers = parse_headers(raw)
    except MessageError as error:
        raise refused(f"The message can't be read: {error}.") from None
    if headers.header_end == headers.body_start and headers.body_start < len(raw):
        line = raw[headers.body_start : headers.body_start + 60].split(b"\r\n")[0]
        raise refused(f"Illegal header '{line.decode('latin-1')}'.")
    return raw, headers


def _header_mailboxes(headers: Headers, name: str) -> list[Mailbox]:
    return [
        mailbox
        for value in headers.all(name)
        for mailbox in parse_address_list(value.decode("utf-8", "surrogateescape"))
    ]


def _return_path(headers: Headers) -> list[Mailbox]:
    value = (headers.get("return-path") or b"").decode("utf-8", "surrogateescape").strip()
    if value in ("", "<>"):
        return []
    return [parse_mailbox(value)]


def _feedback(submission: Submission, order: Sequence[Mailbox]) -> Mailbox:
    return parse_mailbox(submission.feedback) if submission.feedback else order[0]


def _each_once(mailboxes: Sequence[Mailbox]) -> tuple[Mailbox, ...]:
    seen: dict[object, Mailbox] = {}
    for mailbox in mailboxes:
        seen.setdefault(mailbox.address, mailbox)
    return tuple(seen.values())


def _control(headers: Headers, name: str) -> str:
    return (headers.get(f"x-ses-{name}") or b"").decode("latin-1").strip()


def _header_tags(value: str) -> tuple[tuple[str, str], ...]:
    """``a=b, c=d`` of X-SES-MESSAGE-TAGS."""
    if not value:
        return ()
    pairs = [part.partition("=") for part in value.split(",")]
    return tuple((name.strip(), text.strip()) for name, _, text in pairs)


def checked_tags(tags: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Message tags, or SES's refusal: of a name before its value."""
    for name, value in tags:
        for what, text, allowed, words in (
            ("name", name, _TAG_NAME, "'_',  '-'"),
            ("value", value, _TAG_VALUE, "'_',  '-' , '.', '@'"),
        ):
            if not text:
                raise refused(f"The tag {what} must be specified.")
            if len(text) > TAG_LENGTH:
                raise refused(f"Tag {what} cannot exceed {TAG_LENGTH} characters.")
            if not allowed.fullmatch(text) or (
                what == "name" and ":" in text and not text.startswith("ses:")
            ):
                raise refused(
                    f"Invalid tag {what} <{text}>: only alphanumeric ASCII characters, {words} "
                    "are allowed."
                )
    return tuple(tags)
