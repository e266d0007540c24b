"""Mail addresses: SMTP paths, mailboxes in headers and requests, domains.

Two ways to read, never mixed. `parse_path` follows SMTP's grammar (RFC 5321
4.1.2, 4.1.3, and RFC 6531 3.3 where the session allows it): no comments, no
blanks, nothing obsolete. `parse_mailbox` and `parse_address_list` read what SES
reads in requests and headers and refuse it in SES's words, which are those of
JavaMail's strict parser. `read_address_list` is for showing and never refuses.

Nothing here asks DNS whether a domain exists.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import idna

MAX_PATH = 254
"""Octets of an address: RFC 5321 4.5.3.1.3 allows 256 with the angle brackets."""
MAX_LOCAL = 64
MAX_PRINTED = 320
"""SES's limit for a mailbox with its display name, in UTF-16 units."""

_ATEXT = r"-A-Za-z0-9!#$%&'*+/=?^_`{|}~"
_UTF8 = r"\xa1-\ud7ff\ue000-\U0010ffff"
_DOT_STRING = {
    False: re.compile(rf"[{_ATEXT}]+(?:\.[{_ATEXT}]+)*"),
    True: re.compile(rf"[{_ATEXT}{_UTF8}]+(?:\.[{_ATEXT}{_UTF8}]+)*"),
}
# qtextSMTP and quoted-pairSMTP; RFC 6531 widens the first only.
_QUOTED = {
    False: re.compile(r'"(?:[ !#-\[\]-~]|\\[ -~])*"'),
    True: re.compile(rf'"(?:[ !#-\[\]-~{_UTF8}]|\\[ -~])*"'),
}
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_ROUTE = re.compile(r"@[A-Za-z0-9.-]+(?:,@[A-Za-z0-9.-]+)*:")
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SPECIALS = frozenset('()<>,;:\\"[]')


class AddressError(ValueError):
    """An address that cannot be used. `text` is the words for the client."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Address:
    """A mail address without display name or brackets.

    `local` is unquoted: ``"a"@b`` and ``a@b`` are equal (RFC 5321 4.1.2). `domain`
    is as written, also ``[192.0.2.1]``; compare by `domain_key`. It is empty only
    where `read_address_list` found none.
    """

    local: str
    domain: str

    def __str__(self) -> str:
        """The wire form, with as little quoting as possible (RFC 5321 4.1.2)."""
        return f"{quote_local(self.local)}@{self.domain}" if self.domain else self.local

    @property
    def is_ascii(self) -> bool:
        """Whether it passes without SMTPUTF8."""
        return self.local.isascii() and self.domain.isascii()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """``Display Name <local@domain>``.

    `display_name` is unquoted, its encoded words are not decoded; empty if there
    is none. `written` is the text it was read from.
    """

    display_name: str
    address: Address
    written: str = field(default="", compare=False)


def quote_local(local: str) -> str:
    """A local part as it goes on the wire: quoted where it is no dot-string."""
    if _DOT_STRING[True].fullmatch(local):
        return local
    return '"' + re.sub(r'(["\\])', r"\\\1", local) + '"'


def domain_key(domain: str) -> str:
    """The form in which domains compare: lower-case A-labels, no final dot.

    ASCII is not checked any further; a U-label is mapped by UTS 46 (RFC 5895).
    Raises `AddressError` for what IDNA refuses.
    """
    name = domain.removesuffix(".")
    if name.isascii():
        return name.lower()
    if len(name) > MAX_PATH:
        raise AddressError("Domain is too long")
    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except UnicodeError as error:
        raise AddressError("Domain contains illegal character") from error


def parse_path(text: str | bytes, *, utf8: bool = False) -> Address:
    """A reverse or forward path, with or without its angle brackets.

    A source route is dropped (RFC 5321 appendix C). `utf8` allows what SMTPUTF8
    allows. The null path and a lone ``postmaster`` are the session's matter.
    Raises `AddressError`.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            raise AddressError("Address is not UTF-8") from error
    if text.startswith("<") and text.endswith(">"):
        text = text[1:-1]
    if route := _ROUTE.match(text):
        text = text[route.end() :]
    if len(text.encode("utf-8", "replace")) > MAX_PATH:
        raise AddressError("Address is too long")
    quoted = _QUOTED[utf8].match(text)
    end = quoted.end() if quoted else text.find("@")
    if end < 0 or not text.startswith("@", end):
        raise AddressError("Missing final '@domain'")
    local, domain = text[:end], text[end + 1 :]
    if len(local.encode("utf-8", "replace")) > MAX_LOCAL:
        raise AddressError("Local address is too long")
    if quoted:
        local = _PAIR.sub(r"\1", local[1:-1])
    elif not _DOT_STRING[utf8].fullmatch(local):
        raise AddressError("Local address contains illegal character")
    _check_path_domain(domain, utf8=utf8)
    return Address(local, domain)


def _check_path_domain(domain: str, *, utf8: bool) -> None:
    if domain.startswith("["):
        if domain.endswith("]") and _is_address_literal(domain[1:-1]):
            return
    elif _DOMAIN.fullmatch(domain) or (utf8 and _is_unicode_domain(domain)):
        return
    raise AddressError("Domain contains illegal character" if domain else "Missing domain")


def _is_unicode_domain(domain: str) -> bool:
    """Whether it is made of U-labels (RFC 5890), which have nothing that a mapping drops."""
    if domain.isascii():
        return False
    try:
        return _DOMAIN.fullmatch(idna.encode(domain.lower()).decode("ascii")) is not None
    except UnicodeError:
        return False


def _is_address_literal(text: str) -> bool:
    try:
        if text[:5].lower() != "ipv6:":
            ipaddress.IPv4Address(text)
            return True
        ipaddress.IPv6Address(text[5:])
    except ValueError:
        return False
    # RFC 5321 4.1.3: "::" stands for two groups at least; a dotted quad is two.
    groups = [group for group in text[5:].split(":") if group]
    count = len(groups) + ("." in text)
    return "%" not in text and ("::" not in text or count <= 6)


def parse_mailbox(text: str) -> Mailbox:
    """``addr`` or ``name <addr>``, as SES takes it in a request.

    Raises `AddressError` with SES's text. The length is checked apart, as SES
    does: `check_length`.
    """
    return _remembered(text) if len(text) <= MAX_PRINTED else _parse_mailbox(text)


def _parse_mailbox(text: str) -> Mailbox:
    if any(stop.text == ":" for stop in _tokens(text) if stop.kind == "stop"):
        raise AddressError("Local address contains illegal character")
    entries = list(_entries(text, strict=True))
    if len(entries) > 1:
        raise AddressError("Illegal address")
    if not entries:
        raise AddressError("Missing final '@domain'")
    return _parse_entry(entries[0])


# One message asks for the same few addresses again and again.
_remembered = lru_cache(maxsize=4096)(_parse_mailbox)


def parse_address_list(value: str) -> list[Mailbox]:
    """The mailboxes of a header such as To; members of groups among the others.

    Folded values are welcome. Raises `AddressError` with SES's text.
    """
    unfolded = re.sub(r"\r?\n(?=[ \t])", "", value)
    return [_parse_entry(entry) for entry in _entries(unfolded, strict=True)]


def read_address_list(value: str) -> list[Mailbox]:
    """The mailboxes of a header, for showing: what is wrong is kept as well as can be."""
    unfolded = re.sub(r"[\r\n]+", " ", value)
    return [_read_entry(entry) for entry in _entries(unfolded, strict=False)]


def check_length(mailbox: Mailbox) -> None:
    """Raise SES's `AddressError` for a mailbox that is too long as written."""
    if len(mailbox.written.encode("utf-16-le", "surrogatepass")) > 2 * MAX_PRINTED:
        raise AddressError(
            f"Address length is more than {MAX_PRINTED} characters long: '{mailbox.written}'."
        )


# Lexical tokens of RFC 5322 3.2, by regular expression; comments nest and are read by hand.
_TOKEN = re.compile(
    r"""(?P<quoted>"(?:[^"\\]++|\\.)*+")
    |(?P<angle><(?:"(?:[^"\\]++|\\.)*+"|[^">])*+>)
    |(?P<literal>\[[^\]]*+\])
    |(?P<stop>[,:;])
    |(?P<blank>[ \t\r\n]+)
    |(?P<atom>[^ \t\r\n"<\[(,:;]+)""",
    re.VERBOSE | re.DOTALL,
)
_UNCLOSED = {
    '"': "Unterminated quote",
    "<": "Missing '>'",
    "(": "Local address contains illegal character",
    "[": "Local address contains illegal character",
}


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def _tokens(text: str) -> Iterator[_Token]:
    """Tokens that join to `text`; what is never closed is one `unclosed` to the end."""
    position = 0
    while position < len(text):
        if text[position] == "(":
            kind, end = "comment", _comment_end(text, position)
        else:
            match = _TOKEN.match(text, position)
            kind = (match.lastgroup if match else None) or "unclosed"
            end = match.end() if match else len(text)
        if not end:
            kind, end = "unclosed", len(text)
        yield _Token(kind, text[position:end])
        position = end


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for match in re.finditer(r"\\.|[()]", text[start:], re.DOTALL):
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        if not depth:
            return start + match.end()
    return 0


def _entries(text: str, *, strict: bool) -> Iterator[list[_Token]]:
    """The entries between commas. Group names and semicolons are left out."""
    entry: list[_Token] = []
    in_group = False
    for token in _tokens(text):
        if token.kind == "unclosed" and strict:
            raise AddressError(_UNCLOSED[token.text[0]])
        if token.kind != "stop":
            entry.append(token)
            continue
        if strict and token.text == (":" if in_group else ";"):
            raise AddressError("Local address contains illegal character")
        if token.text == ":":
            in_group = True
        else:
            in_group = in_group and token.text != ";"
            if any(part.kind != "blank" for part in entry):
                yield entry
        entry = []
    if in_group and strict:
        raise AddressError("Local address contains illegal character")
    if any(part.kind != "blank" for part in entry):
        yield entry


def _joined(tokens: Iterable[_Token]) -> str:
    return "".join(token.text for token in tokens)


def _phrase(tokens: Iterable[_Token]) -> str:
    """A display name: quotes opened, comments dropped, blanks made single."""
    parts = (
        _PAIR.sub(r"\1", token.text[1:-1]) if token.kind == "quoted" else token.text
        for token in tokens
        if token.kind != "comment"
    )
    return re.sub(r"[ \t\r\n]+", " ", "".join(parts)).strip()


def _take_apart(entry: list[_Token]) -> tuple[str, str, str]:
    """Display name, addr-spec and what follows it, none of them checked."""
    angles = [index for index, token in enumerate(entry) if token.kind == "angle"]
    if angles:
        first = angles[0]
        after = _phrase(entry[first + 1 :])
        return _phrase(entry[:first]), entry[first].text[1:-1].strip(" \t"), after
    solid = [i for i, token in enumerate(entry) if token.kind not in {"blank", "comment"}]
    if not solid:
        return "", "", ""
    # RFC 5322 3.4: the old form "a@b (Name)".
    remarks = [token.text[1:-1] for token in entry[solid[-1] :] if token.kind == "comment"]
    return " ".join(remarks).strip(), _joined(entry[solid[0] : solid[-1] + 1]), ""


def _parse_entry(entry: list[_Token]) -> Mailbox:
    written = _joined(entry).strip(" \t")
    name, spec, after = _take_apart(entry)
    if after:
        raise AddressError("Illegal address")
    if re.search(r"[\r\n]", spec) and spec.startswith('"'):
        raise AddressError(f"Invalid email address {written}.")
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]", written):
        raise AddressError("Local address contains control or whitespace")
    return Mailbox(name, _parse_spec(spec), written)


def _parse_spec(spec: str) -> Address:
    """An addr-spec with JavaMail's checks, in JavaMail's order: local part, then domain."""
    quoted = _PLAIN_QUOTED.match(spec)
    if quoted:
        end = quoted.end()
        local = _PAIR.sub(r"\1", spec[1 : end - 1])
        if spec[end : end + 1] not in {"", "@"}:
            raise AddressError("Local address contains illegal character")
        _refuse_controls(local.replace(" ", ""), "Local address")
    else:
        end = spec.find("@") if "@" in spec else len(spec)
        local = spec[:end]
        _refuse_dots(local, "Local address", closed=False)
        _refuse_controls(local, "Local address")
        if not _SPECIALS.isdisjoint(local):
            raise AddressError("Local address contains illegal character")
    if end == len(spec):
        raise AddressError("Missing final '@domain'")
    if not end:
        raise AddressError("Missing local name")
    domain = spec[end + 1 :]
    if not domain:
        raise AddressError("Missing domain")
    if not quoted and local.endswith("."):
        raise AddressError("Local address ends with dot")
    _refuse_dots(domain, "Domain", closed=True)
    _refuse_controls(domain, "Domain")
    # Longer than its 255 octets, or a label over 63: no name of DNS (RFC 1035 2.3.4).
    if len(domain) > 255 or not _DOMAIN.fullmatch(domain):
        raise AddressError("Domain contains illegal character")
    return Address(local, domain)


_PLAIN_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*+"', re.DOTALL)


def _refuse_dots(text: str, what: str, *, closed: bool) -> None:
    if text.startswith("."):
        raise AddressError(f"{what} starts with dot")
    if ".." in text:
        raise AddressError(f"{what} contains dot-dot")
    if closed and text.endswith("."):
        raise AddressError(f"{what} ends with dot")


def _refuse_controls(text: str, what: str) -> None:
    if re.search(r"[^!-~]", text):
        raise AddressError(f"{what} contains control or whitespace")


def _read_entry(entry: list[_Token]) -> Mailbox:
    written = _joined(entry).strip()
    name, spec, _ = _take_apart(entry)
    local, at, domain = spec.rpartition("@")
    if not at:
        return Mailbox(name or written, Address(spec, ""), written)
    if _PLAIN_QUOTED.fullmatch(local):
        local = _PAIR.sub(r"\1", local[1:-1])
    return Mailbox(name, Address(local, domain), written)
