"""Evaluate DMARC by the DNS tree walk of RFC 9989, no suffix list needed.

All names of a walk are asked at once: what lies behind a ``psd=`` that ends the
walk is then not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from mailstead.wire.addresses import (
    AddressError,
    domain_key,
    parse_address_list,
    read_address_list,
)
from mailstead.wire.dmarc_record import DmarcRecord, Policy, is_dmarc, parse_dmarc
from mailstead.wire.lookup import Answer, Question, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mailstead.wire.message import Headers

Result = Literal["none", "pass", "fail", "temperror", "permerror"]

AUTHOR_LIMIT = 5
"""Author domains of one message that are evaluated; more are an error."""
_WALK_LABELS = 7
"""Labels kept after the first step, so that a walk asks eight names at most."""

_NAME = re.compile(r"(?=.{1,245}\Z)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")

_T = TypeVar("_T")
_Asking = Generator[tuple[Question, ...], tuple[Answer, ...], _T]


class AuthorError(ValueError):
    """The message has no author domain, or hides which: the text says how."""


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """What DMARC says of a message, or of one author domain of several."""

    result: Result
    domain: str = ""
    """The author domain, as lower-case A-labels."""
    organizational_domain: str = ""
    policy: Policy | None = None
    """What the owner asks for if the message fails, ``t=y`` applied; None without a record."""
    record: DmarcRecord | None = None
    record_domain: str = ""
    """Where the record was found."""
    dkim_aligned: str = ""
    """The aligned domain that DKIM passed for, if any."""
    spf_aligned: str = ""
    reason: str = ""
    """On an error, what is wrong."""

    @property
    def disposition(self) -> Policy:
        """What to do with the message by the owner's wish."""
        return self.policy if self.result == "fail" and self.policy else "none"


# With several author domains the worst result stands for the message.
_WORST: dict[Result, int] = {"pass": 0, "none": 1, "temperror": 2, "permerror": 3, "fail": 4}
_STRICTEST: dict[Policy | None, int] = {None: 0, "none": 0, "quarantine": 1, "reject": 2}


def author_domains(headers: Headers) -> tuple[str, ...]:
    """The distinct domains of the one From field.

    Raises `AuthorError` where there is no From, or several, or none of its
    addresses has a domain: such mail is to be refused (RFC 9989 section 4.6).
    """
    values = headers.all("from")
    if len(values) != 1:
        raise AuthorError("several From fields" if values else "no From field")
    text = values[0].decode("utf-8", "replace")
    try:
        mailboxes = parse_address_list(text)
    except AddressError:
        mailboxes = read_address_list(text)
    try:
        domains = [domain_key(mailbox.address.domain) for mailbox in mailboxes]
    except AddressError as error:
        raise AuthorError("a From domain that is none") from error
    if not domains or not all(domains):
        raise AuthorError("no domain in From")
    return tuple(dict.fromkeys(domains))


def check(
    from_domains: Sequence[str], *, spf_domain: str | None, dkim_domains: Iterable[str]
) -> Generator[tuple[Question, ...], tuple[Answer, ...], DmarcResult]:
    """Evaluate a message by its author domains.

    ``spf_domain`` is the domain that SPF passed for, or None; ``dkim_domains``
    are the ``d=`` of the signatures that passed. Of several author domains the
    worst result is returned: a fail with the strictest policy.
    """
    if not 1 <= len(from_domains) <= AUTHOR_LIMIT:
        return DmarcResult("permerror", reason=f"{len(from_domains)} author domains")
    walks = _Walks()
    results: list[DmarcResult] = []
    for domain in dict.fromkeys(map(_key, from_domains)):
        if not _NAME.fullmatch(domain):
            results.append(DmarcResult("permerror", reason="an author domain that is none"))
            continue
        try:
            results.append((yield from _evaluate(walks, domain, spf_domain, dkim_domains)))
        except _NoAnswer as error:
            results.append(DmarcResult("temperror", domain, reason=f"no answer for {error}"))
    return max(results, key=lambda found: (_WORST[found.result], _STRICTEST[found.policy]))


class _NoAnswer(Exception):
    """A name could not be looked up now."""


@dataclass(frozen=True, slots=True)
class _Walk:
    """What a tree walk found."""

    records: dict[str, DmarcRecord]
    """Valid records by name, longest name first."""
    organizational_domain: str
    ambiguous: bool
    """The name itself has several records."""


class _Walks:
    """Tree walks, each name walked once for a message."""

    def __init__(self) -> None:
        self._done: dict[str, _Walk] = {}

    def walk(self, domain: str) -> _Asking[_Walk]:
        """The tree walk of RFC 9989 section 4.10, from this name to the top."""
        if domain not in self._done:
            names = _names(domain)
            questions = tuple(Question(f"_dmarc.{name}", "TXT") for name in names)
            answers = yield questions
            self._done[domain] = _read_walk(domain, names, answers)
        return self._done[domain]


def _names(domain: str) -> list[str]:
    labels = domain.split(".")
    above = labels[1:][-_WALK_LABELS:]
    return [domain, *(".".join(above[at:]) for at in range(len(above)))]


def _read_walk(domain: str, names: list[str], answers: tuple[Answer, ...]) -> _Walk:
    records: dict[str, DmarcRecord] = {}
    ambiguous = False
    for name, answer in zip(names, answers, strict=True):
        if answer.status is Status.FAILED:
            raise _NoAnswer(f"_dmarc.{name}")
        texts = [text for text in answer.texts if is_dmarc(text)]
        if len(texts) == 1:
            records[name] = parse_dmarc(texts[0])
            if records[name].psd != "u":
                break
        elif texts and name == domain:
            ambiguous = True
    return _Walk(records, _organizational(domain, records), ambiguous)


def _organizational(domain: str, records: dict[str, DmarcRecord]) -> str:
    """The organizational domain (RFC 9989 section 4.10.2)."""
    if not records:
        return domain
    # A walk ends at psd=, so only the last and shortest name can bear one.
    last = next(reversed(records))
    if records[last].psd == "y" and last != domain:
        labels = domain.split(".")
        return ".".join(labels[-(last.count(".") + 2) :])
    return last


def _evaluate(
    walks: _Walks, author: str, spf_domain: str | None, dkim_domains: Iterable[str]
) -> _Asking[DmarcResult]:
    walk = yield from walks.walk(author)
    organization = walk.organizational_domain
    without = DmarcResult("none", author, organization)
    if walk.ambiguous:
        return without
    where = _policy_place(author, walk)
    if where is None or not walk.records[where].applies:
        return without
    record = walk.records[where]
    exists = True
    if where != author and record.nonexistent_policy is not None:
        (answer,) = yield (Question(author, "A"),)
        if answer.status is Status.FAILED:
            raise _NoAnswer(author)
        exists = answer.status is not Status.NXDOMAIN
    aligned: list[str] = []
    trouble: list[str] = []
    paths = [spf_domain] if spf_domain else []
    for domains, strict in ((dkim_domains, record.strict_dkim), (paths, record.strict_spf)):
        names = list(dict.fromkeys(map(_key, domains)))
        if author in names or strict:
            aligned.append(author if author in names else "")
        else:
            aligned.append((yield from _aligned(walks, organization, names, trouble)))
    if trouble and not any(aligned):
        raise _NoAnswer(trouble[0])
    return DmarcResult(
        "pass" if any(aligned) else "fail",
        author,
        organization,
        record.effective(own=where == author, exists=exists),
        record,
        where,
        *aligned,
    )


def _policy_place(author: str, walk: _Walk) -> str | None:
    """Whose record rules: the author's, the organization's, the suffix's (section 4.10.1)."""
    suffixes = [name for name, record in walk.records.items() if record.psd == "y"]
    for name in (author, walk.organizational_domain, *suffixes):
        if name in walk.records:
            return name
    return None


def _aligned(
    walks: _Walks, organization: str, domains: Iterable[str], trouble: list[str]
) -> _Asking[str]:
    """The first of the domains in relaxed alignment with the author's (section 4.4.2).

    Nothing where there is none. What could not be looked up is added to ``trouble``.
    """
    for name in domains:
        # Only a name in or below the organizational domain can share it: the
        # others need no walk.
        if name == organization or name.endswith(f".{organization}"):
            try:
                walk = yield from walks.walk(name)
            except _NoAnswer as error:
                trouble.append(str(error))
                continue
            if walk.organizational_domain == organization:
                return name
    return ""


def _key(domain: str) -> str:
    try:
        return domain_key(domain)
    except AddressError:
        return ""
