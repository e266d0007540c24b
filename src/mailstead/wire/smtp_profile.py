"""What tells our SMTP ports apart: keywords, demands, limits and words.

SES's ports speak SES's texts without enhanced codes; the MX port speaks ours,
with them (RFC 2034). A session is the same machine under either.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING

from mailstead.wire.smtp import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

SES_HOSTNAME = "email-smtp.amazonaws.com"


class Case(Enum):
    """The moments in which the session answers by itself, or by default."""

    OK = auto()
    SENDER = auto()
    RECIPIENT = auto()
    CONTENT = auto()
    START = auto()
    BYE = auto()
    TLS = auto()
    AUTHENTICATED = auto()
    HELP = auto()
    VERIFY = auto()
    UNKNOWN = auto()
    NOT_HERE = auto()
    SYNTAX = auto()
    PARAMETER = auto()
    BAD_PARAMETER = auto()
    SEQUENCE = auto()
    NO_RECIPIENTS = auto()
    TLS_REQUIRED = auto()
    AUTH_REQUIRED = auto()
    MECHANISM = auto()
    BAD_RESPONSE = auto()
    NULL_SENDER = auto()
    BAD_SENDER = auto()
    BAD_RECIPIENT = auto()
    UTF8_ADDRESS = auto()
    TOO_LONG = auto()
    TOO_MANY_RECIPIENTS = auto()
    LONG_LINE = auto()
    LINE_ENDS = auto()
    TOO_MANY_ERRORS = auto()
    EARLY = auto()
    FOREIGN = auto()
    IDLE = auto()


def _table(rows: Mapping[Case, tuple[int, str | None, str]]) -> dict[Case, Reply]:
    return {
        case: Reply.of(code, text, enhanced=status) for case, (code, status, text) in rows.items()
    }


MX_WORDS = _table(
    {
        Case.OK: (250, "2.0.0", "Ok"),
        Case.SENDER: (250, "2.1.0", "Ok"),
        Case.RECIPIENT: (250, "2.1.5", "Ok"),
        Case.CONTENT: (250, "2.0.0", "Ok"),
        Case.START: (354, None, "End data with <CR><LF>.<CR><LF>"),
        Case.BYE: (221, "2.0.0", "Bye"),
        Case.TLS: (220, "2.0.0", "Ready to start TLS"),
        Case.AUTHENTICATED: (235, "2.7.0", "Authentication successful."),
        Case.HELP: (214, "2.0.0", "RFC 5321"),
        Case.VERIFY: (252, "2.5.0", "Send some mail, and we will see"),
        Case.UNKNOWN: (500, "5.5.2", "Command not recognised"),
        Case.NOT_HERE: (502, "5.5.1", "Command not offered here"),
        Case.SYNTAX: (501, "5.5.4", "Syntax error in the arguments"),
        Case.PARAMETER: (555, "5.5.4", "Parameter not offered here"),
        Case.BAD_PARAMETER: (501, "5.5.4", "Parameter cannot be read"),
        Case.SEQUENCE: (503, "5.5.1", "Bad sequence of commands"),
        Case.NO_RECIPIENTS: (554, "5.5.1", "No valid recipients"),
        Case.TLS_REQUIRED: (530, "5.7.0", "Must issue a STARTTLS command first"),
        Case.AUTH_REQUIRED: (530, "5.7.0", "Authentication required"),
        Case.MECHANISM: (504, "5.5.4", "Mechanism not offered here"),
        Case.BAD_RESPONSE: (501, "5.5.2", "Authentication exchange cannot be read"),
        Case.NULL_SENDER: (501, "5.1.7", "The null sender is not accepted here"),
        Case.BAD_SENDER: (553, "5.1.7", "<{path}> is not a valid address"),
        Case.BAD_RECIPIENT: (553, "5.1.3", "<{path}> is not a valid address"),
        Case.UTF8_ADDRESS: (553, "5.6.7", "A non-ASCII address needs SMTPUTF8"),
        Case.TOO_LONG: (552, "5.3.4", "Message is too long"),
        Case.TOO_MANY_RECIPIENTS: (452, "4.5.3", "Too many recipients"),
        Case.LONG_LINE: (500, "5.5.2", "Line too long"),
        Case.LINE_ENDS: (550, "5.5.2", "Bare CR, bare LF and NUL are not accepted"),
        Case.TOO_MANY_ERRORS: (421, "4.7.0", "Too many errors"),
        Case.EARLY: (554, "5.5.0", "Data before the greeting"),
        Case.FOREIGN: (554, "5.5.2", "This is SMTP"),
        Case.IDLE: (421, "4.4.2", "Timeout waiting for data from client."),
    }
)

SES_WORDS = {case: reply.plain() for case, reply in MX_WORDS.items()} | _table(
    {
        Case.NULL_SENDER: (501, None, "Invalid MAIL FROM address provided"),
        Case.BAD_SENDER: (553, None, "<{path}> Invalid email address"),
        Case.BAD_RECIPIENT: (553, None, "<{path}> address unknown"),
        Case.TOO_LONG: (552, None, "Message is too long."),
        Case.BAD_RESPONSE: (501, None, "Authentication exchange cannot be read"),
        # SES writes this one with an enhanced code.
        Case.IDLE: (451, None, "4.4.2 Timeout waiting for data from client."),
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of a session. Sizes in octets."""

    message_size: int = 40 * 1024 * 1024
    line: int = 2048
    """A command line with its CRLF."""
    recipients: int = 1000
    errors: int = 20


@dataclass(frozen=True, slots=True)
class Profile:
    """One kind of port."""

    hostname: str
    words: Mapping[Case, Reply]
    banner: str = "ESMTP"
    keywords: tuple[str, ...] = ()
    """Of EHLO, besides SIZE, STARTTLS and AUTH."""
    closing_keyword: str = ""
    """SES ends its EHLO reply with ``Ok``."""
    enhanced: bool = True
    """Whether replies carry enhanced status codes."""
    starttls: bool = True
    auth: bool = False
    """Whether AUTH is offered, inside TLS only."""
    demand_tls: bool = False
    demand_auth: bool = False
    receiving: bool = True
    """Whether the null sender and a lone ``postmaster`` are taken (RFC 5321 section 4.5)."""
    early_talkers: bool = False
    """Whether data before the greeting is forgiven, as on loopback."""
    limits: Limits = field(default_factory=Limits)

    @property
    def parameters(self) -> frozenset[str]:
        """The keywords MAIL may carry."""
        offered = {"SIZE", "BODY", *(["AUTH"] if self.auth else [])}
        return frozenset(offered | ({"SMTPUTF8"} & set(self.keywords)))


def ses_profile(
    hostname: str = SES_HOSTNAME,
    *,
    trusted: bool = False,
    early_talkers: bool = False,
    limits: Limits | None = None,
) -> Profile:
    """A port of SES's SMTP interface. `trusted` networks need neither TLS nor AUTH."""
    return Profile(
        hostname=hostname,
        words=SES_WORDS,
        banner="ESMTP SimpleEmailService",
        keywords=("8BITMIME", "PIPELINING", "CHUNKING"),
        closing_keyword="Ok",
        enhanced=False,
        auth=True,
        demand_tls=not trusted,
        demand_auth=not trusted,
        receiving=False,
        early_talkers=early_talkers,
        limits=limits or Limits(),
    )


def mx_profile(
    hostname: str,
    *,
    starttls: bool = True,
    early_talkers: bool = False,
    limits: Limits | None = None,
) -> Profile:
    """The port where other servers deliver."""
    return Profile(
        hostname=hostname,
        words=MX_WORDS,
        keywords=("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES"),
        starttls=starttls,
        early_talkers=early_talkers,
        limits=limits or Limits(),
    )
