"""Reading what somebody wants to send: a raw message, or the parts of a simple one.

Both give a `Draft`: normalised bytes, who sends, who gets it, and what SES's
control fields ask for. Refusals are in SES's words (JavaMail's, for addresses).
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from mailstead.mail.access import Policy
from mailstead.mail.access_conditions import Context
from mailstead.mail.errors import Invalid
from mailstead.mail.messages import Door
from mailstead.mail.model import Scope
from mailstead.wire import compose
from mailstead.wire.addresses import (
    AddressError,
    Mailbox,
    check_length,
    domain_key,
    parse_address_list,
    parse_mailbox,
)
from mailstead.wire.message import (
    Headers,
    MessageError,
    longest_line,
    normalise_line_ends,
    parse_headers,
)

RECIPIENTS = 50
"""In To, Cc and Bcc together; the members of a group count."""
HEADER_LENGTH = 996
"""Characters of a name and its value in v2's Headers."""
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

# The SES developer guide's "unsupported attachment types".
UNSUPPORTED = frozenset(
    {
        "ade", "adp", "app", "asp", "bas", "bat", "cer", "chm", "cmd", "com", "cpl", "crt", "csh",
        "der", "exe", "fxp", "gadget", "hlp", "hta", "inf", "ins", "isp", "its", "js", "jse",
        "ksh", "lib", "lnk", "mad", "maf", "mag", "mam", "maq", "mar", "mas", "mat", "mau", "mav",
        "maw", "mda", "mdb", "mde", "mdt", "mdw", "mdz", "msc", "msh", "msh1", "msh1xml", "msh2",
        "msh2xml", "mshxml", "msi", "msp", "mst", "ops", "pcd", "pif", "plg", "prf", "prg", "ps1",
        "ps1xml", "ps2", "ps2xml", "psc1", "psc2", "reg", "scf", "scr", "sct", "shb", "shs", "sys",
        "tmp", "url", "vb", "vbe", "vbs", "vps", "vsmacros", "vss", "vst", "vsw", "vxd", "ws",
        "wsc", "wsf", "wsh", "xnk",
    }
)  # fmt: skip

_TAG_NAME = re.compile(r"[A-Za-z0-9_:-]+")
_TAG_VALUE = re.compile(r"[A-Za-z0-9_.@-]+")
TAG_LENGTH = 255


class Authorise(Protocol):
    """Asks whether the submitter may: raises Refused in SES's words."""

    def __call__(
        self,
        action: str,
        resources: Sequence[str],
        context: Context,
        policies: Sequence[Policy] = (),
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody wants to send, before anything was checked."""

    scope: Scope
    door: Door
    authorise: Authorise
    action: str = "ses:SendEmail"
    api_version: str = "2"
    source: str | None = None
    """The API's Source or FromEmailAddress; SMTP's MAIL FROM."""
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    """Envelope recipients: all that the request or the SMTP session names."""
    feedback: str | None = None
    """v1 ReturnPath, v2 FeedbackForwardingEmailAddress."""
    simple: compose.Draft | None = None
    raw: bytes | None = None
    configuration_set: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    source_arn: str | None = None
    """The identity that the submitter sends under, where it is another's policy that allows it."""
    from_arn: str | None = None
    size_limit: int = 40 * 1024 * 1024
    demo: bool = False

    @property
    def recipients(self) -> tuple[str, ...]:
        """All that the request names."""
        return (*self.to, *self.cc, *self.bcc)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message that was read, before anybody was asked whether it may go."""

    raw: bytes
    headers: Headers
    senders: tuple[Mailbox, ...]
    """Who sends: the header's From first, whose identity gives the settings."""
    return_paths: tuple[Mailbox, ...]
    """Who gets what comes back: verified too, the one that counts first."""
    recipients: tuple[Mailbox, ...]
    """The envelope's, as they were named."""
    reply_to: tuple[Mailbox, ...]
    configuration_set: str
    tags: tuple[tuple[str, str], ...]
    arns: frozenset[str]
    """The identities' ARNs that the submitter sends under."""

    @property
    def feedback(self) -> Mailbox:
        """Where a mailed bounce goes."""
        return self.return_paths[0]

    @property
    def subject(self) -> str:
        """For people: encoded words decoded."""
        return self.headers.text("subject") or ""

    def check_recipients(self) -> None:
        """Refuse a message that names nobody, or too many."""
        if not self.recipients:
            what = "Empty" if "to" in self.headers else "Missing"
            raise refused(f"{what} required header 'To'.")
        if len(self.recipients) > RECIPIENTS:
            raise Invalid(
                f"Recipient count exceeds {RECIPIENTS}.", resource="message", reason="recipients"
            )

    def check_lengths(self) -> None:
        """Refuse a mailbox that is too long as it is written."""
        for mailbox in (*self.senders, *self.recipients, *self.return_paths, *self.reply_to):
            with address_errors():
                check_length(mailbox)

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


@contextmanager
def address_errors() -> Generator[None]:
    """An address that can't be used, in SES's words."""
    try:
        yield
    except AddressError as error:
        raise Invalid(error.text, resource="address", reason="address") from None


def read(submission: Submission, boundary: str) -> Draft:
    """The message that somebody wants to send; Invalid in SES's words where it can't be read."""
    with address_errors():
        if submission.simple is not None:
            return _simple(submission, submission.simple, boundary)
        return _raw(submission)


def _raw(submission: Submission) -> Draft:
    """A raw message, as SendRawEmail, v2's Raw content and SMTP give it."""
    raw, headers = _indexed(submission.raw or b"")
    source = _mailboxes(submission, submission.source)
    header_from = _header_mailboxes(headers, "from")
    if not source and not header_from:
        raise refused("Missing required header 'From'.")
    recipients = _mailboxes(submission, *submission.recipients)
    if not recipients:
        for name in ("to", "cc", "bcc"):
            recipients += _header_mailboxes(headers, name)
    reply_to = _header_mailboxes(headers, "reply-to")
    sender = _header_mailboxes(headers, "sender")
    return_path = _return_path(headers)
    feedback = _mailboxes(submission, submission.feedback or None)
    arns = (
        submission.source_arn or _control(headers, "source-arn"),
        submission.from_arn or _control(headers, "from-arn"),
    )
    return Draft(
        raw,
        headers,
        senders=each_once([*header_from, *source, *sender]),
        return_paths=each_once([*feedback, *source, *return_path, *header_from[:1]]),
        recipients=tuple(recipients),
        reply_to=tuple(reply_to),
        configuration_set=submission.configuration_set or _control(headers, "configuration-set"),
        tags=submission.tags or _header_tags(_control(headers, "message-tags")),
        arns=frozenset(filter(None, arns)),
    )


def _simple(submission: Submission, simple: compose.Draft, boundary: str) -> Draft:
    """The parts of SendEmail, put together as SES does."""
    if submission.source is None:
        raise Invalid(None, resource="message", reason="no-source")
    source = _mailboxes(submission, submission.source)
    recipients = _mailboxes(submission, *submission.recipients)
    feedback = _mailboxes(submission, submission.feedback or None)
    reply_to = _mailboxes(submission, *simple.reply_to)
    _check_parts(simple)
    try:
        raw = compose.compose(simple, boundary)
    except compose.ComposeError as error:
        raise refused(error.text) from None
    return Draft(
        raw,
        parse_headers(raw),
        senders=tuple(source),
        return_paths=each_once([*feedback, *source]),
        recipients=tuple(recipients),
        reply_to=tuple(reply_to),
        configuration_set=submission.configuration_set or "",
        tags=submission.tags,
        arns=frozenset(filter(None, (submission.source_arn, submission.from_arn))),
    )


def _mailboxes(submission: Submission, *texts: str | None) -> list[Mailbox]:
    """The mailboxes that a request names."""
    if submission.api_version == "2" and "" in texts:
        raise AddressError("Invalid email address .")
    return [parse_mailbox(text) for text in texts if text is not None]


def _check_parts(simple: compose.Draft) -> None:
    """SES's limits of the header fields and attachments that SendEmail takes."""
    for name, value in simple.headers:
        if len(name) + len(value) > HEADER_LENGTH:
            raise refused(f"Header '{name}' exceeds {HEADER_LENGTH} characters.")
    for attachment in simple.attachments:
        _, dot, extension = attachment.file_name.rpartition(".")
        if dot and extension.lower() in UNSUPPORTED:
            raise refused(f"Unsupported attachment file extension '.{extension}'.")


def _indexed(given: bytes) -> tuple[bytes, Headers]:
    try:
        raw = normalise_line_ends(given)
    except MessageError as error:
        raise refused(f"The message can't be read: {error}.") from None
    try:
        headers = parse_headers(raw)
    except MessageError:
        raise refused("Header section too long.") from None
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


def each_once(mailboxes: Sequence[Mailbox]) -> tuple[Mailbox, ...]:
    """The mailboxes without those whose address came before."""
    seen: dict[tuple[str, str], Mailbox] = {}
    for mailbox in mailboxes:
        seen.setdefault((mailbox.address.local, domain_key(mailbox.address.domain)), mailbox)
    return tuple(seen.values())


def _control(headers: Headers, name: str) -> str:
    return (headers.get(f"x-ses-{name}") or b"").decode("latin-1").strip()


def _header_tags(value: str) -> tuple[tuple[str, str], ...]:
    """``a=b, c=d`` of X-SES-MESSAGE-TAGS."""
    if not value:
        return ()
    pairs = [part.partition("=") for part in value.split(",")]
    return tuple((name.strip(), text.strip()) for name, _, text in pairs)


def check_tags(tags: Sequence[tuple[str, str]]) -> None:
    """SES's refusal of message tags: of a name before its value."""
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
