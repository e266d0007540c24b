"""Check a sender against SPF (RFC 7208) by asking for records through `mailstead.wire.lookup`.

The twenty seconds that RFC 7208 section 4.6.4 grants a check are the driver's to
keep: it stops driving, and calls it a ``temperror``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, TypeVar

from mailstead.wire.addresses import AddressError, domain_key
from mailstead.wire.lookup import NXDOMAIN, Answer, Question, Status
from mailstead.wire.spf_record import (
    Expand,
    MacroString,
    Mechanism,
    SpfRecord,
    SpfSyntaxError,
    is_spf,
    parse_macro_string,
    parse_spf,
)

Result = Literal["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"]

TERM_LIMIT = 10
"""Terms that look something up (RFC 7208 section 4.6.4)."""
VOID_LIMIT = 2
"""Look-ups without an answer."""
NAME_LIMIT = 10
"""MX hosts over which it is an error, PTR names over which the rest is ignored."""

_LABEL = re.compile(r"[ -\[\]-~]{1,63}")
_HOST_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?")


@dataclass(frozen=True, slots=True)
class SpfResult:
    """What came of a check."""

    result: Result
    domain: str
    """The domain checked: of MAIL FROM, or of HELO for the null sender."""
    sender: str
    """The address checked, ``postmaster@`` put before a lone domain."""
    mechanism: str = ""
    """The term that decided, as written; empty where none matched."""
    explanation: str = ""
    """On ``fail``, what the domain says to the sender: hostile text."""
    problem: str = ""
    """On an error, what is wrong."""


_T = TypeVar("_T")
_Asking = Generator[tuple[Question, ...], tuple[Answer, ...], _T]


@dataclass(frozen=True, slots=True)
class _Found:
    """The outcome at one domain, and whose record decided (for ``exp=``)."""

    result: Result
    domain: str
    mechanism: str = ""
    record: SpfRecord | None = None


class _Stop(Exception):
    """An error ends the whole check."""

    def __init__(self, result: Result, problem: str) -> None:
        super().__init__(problem)
        self.result: Result = result
        self.problem = problem


def check(
    ip: str | IPv4Address | IPv6Address,
    *,
    helo: str,
    mail_from: str,
    receiver: str = "unknown",
    now: int = 0,
    default_explanation: str = "",
) -> Generator[tuple[Question, ...], tuple[Answer, ...], SpfResult]:
    """Check whether the client at ``ip`` may send as ``mail_from``.

    ``mail_from`` is empty for the null sender, which also checks the HELO
    identity alone. ``receiver`` is this host's name and ``now`` the time in
    seconds, for explanations. Every DNS name, host or text is the outside's.
    """
    local, at, domain = mail_from.rpartition("@")
    if not at:
        domain = mail_from or helo
    domain = _a_labels(domain)
    state = _Check(ip, f"{local or 'postmaster'}@{domain}", helo, receiver, now)
    if not _is_fqdn(domain):
        return SpfResult("none", domain, state.sender, problem="not a domain")
    try:
        found = yield from state.host(domain)
    except _Stop as stop:
        return SpfResult(stop.result, domain, state.sender, problem=stop.problem)
    explanation = ""
    if found.result == "fail":
        explanation = (yield from state.explain(found)) or default_explanation
    return SpfResult(found.result, domain, state.sender, found.mechanism, explanation)


class _Check:
    """One check: the client's facts, and the counters its limits need."""

    def __init__(
        self, ip: str | IPv4Address | IPv6Address, sender: str, helo: str, receiver: str, now: int
    ) -> None:
        address = ip_address(ip) if isinstance(ip, str) else ip
        mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
        self.ip = mapped or address
        self.address_type = "A" if self.ip.version == 4 else "AAAA"
        self.sender = sender
        self.helo = helo
        self.receiver = receiver
        self.now = now
        self.terms = 0
        self.voids = 0

    def host(self, domain: str) -> _Asking[_Found]:
        """``check_host()`` of RFC 7208 section 4."""
        (answer,) = yield from self.ask(domain, type_="TXT")
        if answer.status is Status.FAILED:
            raise _Stop("temperror", f"no answer for {domain}")
        records = [text for text in answer.texts if is_spf(text)]
        if not records:
            return _Found("none", domain)
        if len(records) > 1:
            raise _Stop("permerror", f"several records at {domain}")
        try:
            record = parse_spf(records[0])
        except SpfSyntaxError as error:
            raise _Stop("permerror", f"{domain}: {error}") from error
        for mechanism in record.mechanisms:
            if (yield from self.matches(mechanism, domain)):
                return _Found(mechanism.outcome, domain, mechanism.text, record)
        if record.redirect is None:
            return _Found("neutral", domain)
        self.count_term()
        target = yield from self.expand(record.redirect, domain)
        found = yield from self.host(target)
        if found.result == "none":
            raise _Stop("permerror", f"redirect to {target}, which has no record")
        return found

    def matches(self, mechanism: Mechanism, domain: str) -> _Asking[bool]:
        """Whether the mechanism matches the client (RFC 7208 section 5)."""
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            return self.ip in mechanism.network
        self.count_term()
        if mechanism.domain is None:
            target = domain
        else:
            target = yield from self.expand(mechanism.domain, domain)
        return (yield from _MATCHERS[mechanism.name](self, mechanism, target))

    def match_include(self, mechanism: Mechanism, target: str) -> _Asking[bool]:
        found = yield from self.host(target)
        if found.result == "none":
            raise _Stop("permerror", f"{mechanism.text}: no record")
        return found.result == "pass"

    def match_a(self, mechanism: Mechanism, target: str) -> _Asking[bool]:
        (answer,) = yield from self.ask(target)
        return self.holds(answer, mechanism)

    def match_mx(self, mechanism: Mechanism, target: str) -> _Asking[bool]:
        (answer,) = yield from self.ask(target, type_="MX")
        hosts = self.usable(answer, target).exchanges
        if len(hosts) > NAME_LIMIT:
            raise _Stop("permerror", f"over {NAME_LIMIT} MX hosts at {target}")
        answers = yield from self.ask(*(host for _, host in hosts))
        # Stops at the first that matches, before the trouble of later ones.
        return any(self.holds(answer, mechanism) for answer in answers)

    def match_exists(self, mechanism: Mechanism, target: str) -> _Asking[bool]:
        del mechanism
        # Always A, for a client of either family (RFC 7208 section 5.7).
        (answer,) = yield from self.ask(target, type_="A")
        return bool(self.usable(answer, target).names)

    def match_ptr(self, mechanism: Mechanism, target: str) -> _Asking[bool]:
        del mechanism
        return bool((yield from self.validated(target, count=True)))

    def validated(self, target: str, *, count: bool = False) -> _Asking[list[str]]:
        """The client's confirmed names in or below ``target`` (RFC 7208 section 5.5)."""
        (answer,) = yield from self.ask(self.ip.reverse_pointer, type_="PTR")
        # Trouble here is no match, not an error; an empty answer is void.
        if answer.status is not Status.FAILED and count:
            self.usable(answer, target)
        suffix = f".{target.lower()}" if target else ""
        names = [name.lower() for name in answer.names[:NAME_LIMIT]]
        names = [name for name in names if f".{name}".endswith(suffix)]
        answers = yield from self.ask(*names)
        return [
            name
            for name, found in zip(names, answers, strict=True)
            if any(self.ip == address for address in _addresses(found))
        ]

    def ask(self, *names: str, type_: str = "") -> _Asking[tuple[Answer, ...]]:
        """Look the names up; one that cannot be in DNS does not exist."""
        kind = type_ or self.address_type
        questions = [Question(name.lower().removesuffix("."), kind) for name in names]
        sent = tuple(question for question in questions if _is_name(question.name))
        answers = iter((yield sent) if sent else ())
        return tuple(
            next(answers) if _is_name(question.name) else NXDOMAIN for question in questions
        )

    def usable(self, answer: Answer, what: str) -> Answer:
        """The answer, if the look-up worked and is not one void too many."""
        if answer.status is Status.FAILED:
            raise _Stop("temperror", f"no answer for {what}")
        if not answer.records:
            self.voids += 1
            if self.voids > VOID_LIMIT:
                raise _Stop("permerror", f"over {VOID_LIMIT} void look-ups")
        return answer

    def holds(self, answer: Answer, mechanism: Mechanism) -> bool:
        """Whether the client is within the mechanism's prefix of an address found."""
        shift = self.ip.max_prefixlen - mechanism.lengths[self.ip.version == 6]
        found = _addresses(self.usable(answer, mechanism.text))
        return any(int(self.ip) >> shift == int(address) >> shift for address in found)

    def count_term(self) -> None:
        self.terms += 1
        if self.terms > TERM_LIMIT:
            raise _Stop("permerror", f"over {TERM_LIMIT} terms that look up")

    def expand(self, parts: MacroString, domain: str) -> _Asking[str]:
        """A domain spec with its macros expanded, cut to 253 octets from the left."""
        text = (yield from self.expand_text(parts, domain)).removesuffix(".")
        while len(text) > 253 and "." in text:
            text = text.partition(".")[2]
        return text

    def expand_text(self, parts: MacroString, domain: str) -> _Asking[str]:
        done: list[str] = []
        for part in parts:
            if not isinstance(part, Expand):
                done.append(part)
            elif part.letter == "p":
                done.append(part.apply((yield from self.name_of_client(domain))))
            else:
                done.append(part.apply(self.macro(part.letter, domain)))
        return "".join(done)

    def macro(self, letter: str, domain: str) -> str:
        """A macro's value (RFC 7208 section 7.2)."""
        local, _, origin = self.sender.rpartition("@")
        ip = self.ip
        dotted = str(ip) if ip.version == 4 else ".".join(f"{int(ip):032X}")
        values = {
            "s": self.sender, "l": local, "o": origin, "d": domain, "i": dotted, "h": self.helo,
            "v": "in-addr" if ip.version == 4 else "ip6",
            "c": str(ip), "r": self.receiver, "t": str(self.now),
        }  # fmt: skip
        return values[letter]

    def name_of_client(self, domain: str) -> _Asking[str]:
        """The value of ``%{p}``: the domain itself, a name below it, any name, or unknown."""
        names = yield from self.validated("")
        domain = domain.lower()
        below = [name for name in names if name.endswith(f".{domain}")]
        if domain in names:
            return domain
        return (below or names or ["unknown"])[0]

    def explain(self, found: _Found) -> _Asking[str]:
        """The domain's explanation of a fail, or nothing (RFC 7208 section 6.2)."""
        if found.record is None or found.record.explanation is None:
            return ""
        target = yield from self.expand(found.record.explanation, found.domain)
        (answer,) = yield from self.ask(target, type_="TXT")
        if len(answer.texts) != 1:
            return ""
        try:
            parts = parse_macro_string(answer.texts[0].decode("ascii"), blanks=True)
        except (UnicodeDecodeError, SpfSyntaxError):
            return ""
        return (yield from self.expand_text(parts, found.domain))


_MATCHERS: dict[str, Callable[[_Check, Mechanism, str], _Asking[bool]]] = {
    "include": _Check.match_include,
    "a": _Check.match_a,
    "mx": _Check.match_mx,
    "ptr": _Check.match_ptr,
    "exists": _Check.match_exists,
}


def _addresses(answer: Answer) -> list[IPv4Address | IPv6Address]:
    return [ip_address(text) for text in answer.names]


def _a_labels(domain: str) -> str:
    try:
        return domain_key(domain)
    except AddressError:
        return domain


def _is_fqdn(domain: str) -> bool:
    """Whether a domain can be checked at all (RFC 7208 section 4.3)."""
    labels = domain.split(".")
    return len(labels) > 1 and _is_name(domain) and all(map(_HOST_LABEL.fullmatch, labels))


def _is_name(name: str) -> bool:
    return len(name) <= 253 and all(map(_LABEL.fullmatch, name.split(".")))
