"""The grammar of SPF records: terms, domain specs, macros (RFC 7208 sections 4.6.1, 7, 12)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal
from urllib.parse import quote

Outcome = Literal["pass", "fail", "softfail", "neutral"]
Network = IPv4Network | IPv6Network

_QUALIFIERS: dict[str, Outcome] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
_DIRECTIVE = re.compile(r"([-+~?]?)([A-Za-z][A-Za-z0-9_.-]*)([:/].*)?")
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)")
# Lengths without leading zeros; IPv4 first, IPv6 after two slashes.
_LENGTHS = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
_LITERAL = re.compile(r"[!-$&-~]+")
_EXPAND = re.compile(r"%\{([slodiphcrtvSLODIPHCRTV])([0-9]*)([rR]?)([-.+,/_=]*)\}")
_ESCAPES = {"%%": "%", "%_": " ", "%-": "%20"}
_TOP_LABEL = re.compile(
    r"\.(?=[A-Za-z0-9-]*[A-Za-z-])[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.?\Z"
)
# Allowed where the text is an explanation only (RFC 7208 section 7.2).
_EXPLANATION_LETTERS = frozenset("crt")


class SpfSyntaxError(ValueError):
    """The record breaks the grammar: permerror (RFC 7208 section 4.6)."""


@dataclass(frozen=True, slots=True)
class Expand:
    """One ``%{...}``."""

    letter: str
    """Lower case."""
    keep: int
    """Right-hand parts kept; 0 is all."""
    reverse: bool
    delimiters: str
    escape: bool
    """An upper-case letter: URL-escape the value."""

    def apply(self, value: str) -> str:
        """Split, reverse, cut and join the value (RFC 7208 section 7.3)."""
        if self.reverse or self.keep or self.delimiters != ".":
            parts = re.split(f"[{re.escape(self.delimiters)}]", value)
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.keep :])
        return quote(value, safe="") if self.escape else value


MacroString = tuple[str | Expand, ...]
"""Literals and macros, in order."""


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A directive: a mechanism and what its match means."""

    outcome: Outcome
    name: str
    """Lower case: all, include, a, mx, ptr, ip4, ip6 or exists."""
    text: str
    """As written, for people."""
    domain: MacroString | None = None
    """None means the domain checked."""
    network: Network | None = None
    lengths: tuple[int, int] = (32, 128)
    """Prefix lengths for IPv4 and IPv6 that ``a`` and ``mx`` compare by."""


@dataclass(frozen=True, slots=True)
class SpfRecord:
    """A whole record."""

    mechanisms: tuple[Mechanism, ...]
    redirect: MacroString | None = None
    explanation: MacroString | None = None


def is_spf(text: bytes) -> bool:
    """Whether a TXT record is one of SPF's (RFC 7208 section 4.5)."""
    return text[:6].lower() == b"v=spf1" and text[6:7] in (b"", b" ")


def parse_spf(text: bytes) -> SpfRecord:
    """Read a record that `is_spf`. Raises `SpfSyntaxError` for any error anywhere in it."""
    try:
        terms = text[6:].decode("ascii").split(" ")
    except UnicodeDecodeError as error:
        raise SpfSyntaxError("not ASCII") from error
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, MacroString] = {}
    for term in filter(None, terms):
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            mechanisms.append(_mechanism(term))
            continue
        name, value = modifier[1].lower(), modifier[2]
        if name not in {"redirect", "exp"}:
            # Unknown ones are ignored, but not their syntax.
            parse_macro_string(value, "")
        elif name in modifiers:
            raise SpfSyntaxError(f"{name}= given twice")
        else:
            modifiers[name] = _domain_spec(value)
    return SpfRecord(tuple(mechanisms), modifiers.get("redirect"), modifiers.get("exp"))


def parse_macro_string(text: str, letters: str = "crt", *, blanks: bool = False) -> MacroString:
    """Read a macro string; ``letters`` are those of c, r and t that may occur.

    ``blanks`` allows spaces, as in explanations. Raises `SpfSyntaxError`.
    """
    parts: list[str | Expand] = []
    at = 0
    while at < len(text):
        if literal := _LITERAL.match(text, at):
            parts.append(literal[0])
            at = literal.end()
        elif expand := _EXPAND.match(text, at):
            parts.append(_expand(expand, letters))
            at = expand.end()
        elif (escape := text[at : at + 2]) in _ESCAPES:
            parts.append(_ESCAPES[escape])
            at += 2
        elif blanks and text[at] == " ":
            parts.append(" ")
            at += 1
        else:
            raise SpfSyntaxError(f"macro error at {text[at : at + 8]!r}")
    return tuple(parts)


def _expand(found: re.Match[str], letters: str) -> Expand:
    letter = found[1].lower()
    if letter in _EXPLANATION_LETTERS and letter not in letters:
        raise SpfSyntaxError(f"%{{{letter}}} outside an explanation")
    if found[2] and not int(found[2][:9]):
        raise SpfSyntaxError("a macro that keeps no part")
    keep = int(found[2][:9] or "0")
    return Expand(letter, keep, bool(found[3]), found[4] or ".", found[1].isupper())


def _domain_spec(text: str) -> MacroString:
    """A macro string that ends in a top label or a macro (RFC 7208 section 7.1)."""
    parts = parse_macro_string(text, "")
    if not parts or (isinstance(parts[-1], str) and not _TOP_LABEL.search(text)):
        raise SpfSyntaxError(f"not a domain: {text[:40]!r}")
    return parts


def _mechanism(term: str) -> Mechanism:
    found = _DIRECTIVE.fullmatch(term)
    if found is None:
        raise SpfSyntaxError(f"not a term: {term[:40]!r}")
    outcome = _QUALIFIERS[found[1] or "+"]
    name, argument = found[2].lower(), found[3] or ""
    if name in {"ip4", "ip6"}:
        return Mechanism(outcome, name, term, network=_network(name, argument))
    lengths = (32, 128)
    if name in {"a", "mx"}:
        given = _LENGTHS.search(argument)
        assert given is not None
        argument = argument[: given.start()]
        lengths = (int(given[1] or "32"), int(given[2] or "128"))
        if lengths[0] > 32 or lengths[1] > 128:
            raise SpfSyntaxError(f"prefix length in {term[:40]!r}")
    takes = _ARGUMENTS.get(name)
    if takes is None or (argument and takes == "none") or (not argument and takes == "needed"):
        raise SpfSyntaxError(f"mechanism {term[:40]!r}")
    if not argument:
        return Mechanism(outcome, name, term, lengths=lengths)
    if argument[0] != ":":
        raise SpfSyntaxError(f"mechanism {term[:40]!r}")
    return Mechanism(outcome, name, term, _domain_spec(argument[1:]), lengths=lengths)


_ARGUMENTS = {
    "all": "none",
    "include": "needed",
    "a": "allowed",
    "mx": "allowed",
    "ptr": "allowed",
    "exists": "needed",
}


def _network(name: str, argument: str) -> Network:
    colon, text = argument[:1], argument[1:]
    address, slash, length = text.partition("/")
    if colon != ":" or (slash and not re.fullmatch(r"0|[1-9][0-9]{0,2}", length)):
        raise SpfSyntaxError(f"not a network: {argument[:60]!r}")
    try:
        network = ip_network(text, strict=False)
    except ValueError as error:
        raise SpfSyntaxError(f"not a network: {argument[:60]!r}") from error
    # A zone ("fe80::1%eth0") is no part of ip6-network.
    if network.version != int(name[2]) or "%" in address:
        raise SpfSyntaxError(f"not an {name} network: {argument[:60]!r}")
    return network
