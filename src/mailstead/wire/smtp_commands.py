"""The commands of SMTP as values, and the reading of their arguments.

What `mailstead.wire.smtp_server` gives to its driver are the events here. A
reader gives the event, or says which `Case` of the profile's words refuses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mailstead.wire.addresses import Address, AddressError, parse_path
from mailstead.wire.smtp import (
    MAX_SIZE_DIGITS,
    Parameters,
    SmtpError,
    UnknownParameter,
    parse_parameters,
    split_path,
)
from mailstead.wire.smtp_profile import Case

if TYPE_CHECKING:
    from mailstead.wire.sasl import Credentials
    from mailstead.wire.smtp_profile import Profile


@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, or HELO where not `extended`. `name` is what the client claims, unchecked."""

    name: str
    extended: bool


@dataclass(frozen=True, slots=True)
class StartTls:
    """The client asks for TLS. After `accept` comes `Need.TLS`."""


@dataclass(frozen=True, slots=True)
class Auth:
    """The client claims to be somebody."""

    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Mail:
    """A transaction begins. `path` is as written, without brackets; `address` None is null."""

    path: str
    address: Address | None
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Rcpt:
    """A recipient. `path` is as written, without brackets."""

    path: str
    address: Address
    parameters: Parameters


@dataclass(frozen=True, slots=True)
class Content:
    """A whole message for the recipients accepted: lines end in CRLF, dots are unstuffed.

    From BDAT the last line may lack its end (RFC 3030 section 3).
    """

    mail: Mail
    recipients: tuple[Rcpt, ...]
    message: bytes


Event = Hello | StartTls | Auth | Mail | Rcpt | Content


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a command is refused, and whether it counts as an error of the client."""

    case: Case
    path: str = ""
    error: bool = True


def read_hello(argument: str, *, extended: bool) -> Hello | None:
    """EHLO's or HELO's argument; None where it is no name of any kind."""
    name = argument.strip()
    return Hello(name, extended) if re.fullmatch(r"[^\x00-\x20\x7f]{1,255}", name) else None


def read_mail(argument: str, profile: Profile) -> Mail | Refusal:
    """MAIL's argument (RFC 5321 section 4.1.1.2, RFC 1870 section 6.1)."""
    parts = _read_path(argument, "FROM", profile.parameters)
    if isinstance(parts, Refusal):
        return parts
    path, parameters = parts
    if (parameters.size or 0) > profile.limits.message_size:
        return Refusal(Case.TOO_LONG, error=False)
    if not path and profile.receiving:
        return Mail(path, None, parameters)
    local, _, domain = path.rpartition("@")
    fault = Case.BAD_SENDER if profile.receiving or (local and domain) else Case.NULL_SENDER
    address = _read_address(path, profile, fault, utf8=parameters.smtputf8)
    return address if isinstance(address, Refusal) else Mail(path, address, parameters)


def read_rcpt(argument: str, profile: Profile, *, utf8: bool) -> Rcpt | Refusal:
    """RCPT's argument (RFC 5321 section 4.1.1.3); `utf8` as MAIL asked for."""
    parts = _read_path(argument, "TO", frozenset())
    if isinstance(parts, Refusal):
        return parts
    path, parameters = parts
    if path.lower() == "postmaster" and profile.receiving:
        # RFC 5321 section 4.5.1: the one mailbox that needs no domain.
        return Rcpt(path, Address(path, profile.hostname), parameters)
    address = _read_address(path, profile, Case.BAD_RECIPIENT, utf8=utf8)
    return address if isinstance(address, Refusal) else Rcpt(path, address, parameters)


def read_chunk(argument: str) -> tuple[int, bool] | None:
    """BDAT's size and whether it is the last (RFC 3030 section 2), or None."""
    form = rf" *([0-9]{{1,{MAX_SIZE_DIGITS}}})(?: +(LAST))? *"
    found = re.fullmatch(form, argument, re.IGNORECASE)
    return (int(found[1]), bool(found[2])) if found else None


def _read_path(
    argument: str, keyword: str, allowed: frozenset[str]
) -> tuple[str, Parameters] | Refusal:
    try:
        path, words = split_path(argument, keyword)
    except SmtpError:
        return Refusal(Case.SYNTAX)
    try:
        return path, parse_parameters(words, allowed)
    except UnknownParameter:
        return Refusal(Case.PARAMETER)
    except SmtpError:
        return Refusal(Case.BAD_PARAMETER)


def _read_address(path: str, profile: Profile, fault: Case, *, utf8: bool) -> Address | Refusal:
    if not path.isascii() and not utf8 and "SMTPUTF8" in profile.keywords:
        return Refusal(Case.UTF8_ADDRESS)
    try:
        return parse_path(path, utf8=utf8)
    except AddressError:
        return Refusal(fault, path)
