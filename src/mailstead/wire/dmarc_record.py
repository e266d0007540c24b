"""DMARC policy records (RFC 9989 sections 4.7 and 4.8)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

Policy = Literal["none", "quarantine", "reject"]

_POLICIES = frozenset({"none", "quarantine", "reject"})
_BLANKS = " \t\r\n"
_VERSION = re.compile(rb"[ \t]*v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s,;!]+")
# A size limit, which RFC 7489 allowed and RFC 9989 ignores.
_SIZE = re.compile(r"![0-9]+[kmgt]?\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class DmarcRecord:
    """A record as published; what is absent has the default of RFC 9989."""

    text: str
    """As published."""
    policy: Policy | None
    """``p``: None where it is missing or unknown."""
    subdomain_policy: Policy | None
    """``sp``."""
    nonexistent_policy: Policy | None
    """``np``."""
    flawed: bool
    """``p`` is missing or invalid, or ``sp`` or ``np`` invalid (section 4.10.1)."""
    strict_dkim: bool
    """``adkim=s``."""
    strict_spf: bool
    """``aspf=s``."""
    testing: bool
    """``t=y``: the policy is to be applied one step weaker."""
    psd: Literal["y", "n", "u"]
    """Whether the name is a public suffix (y), an organizational domain (n), or unsaid."""
    aggregate: tuple[str, ...]
    """``rua``: where aggregate reports go, as written but for size limits."""
    failure: tuple[str, ...]
    """``ruf``."""
    failure_options: str
    """``fo``."""

    @property
    def applies(self) -> bool:
        """False where the record is flawed and wants no reports: then no DMARC is done."""
        return not self.flawed or bool(self.aggregate)

    def effective(self, *, own: bool, exists: bool) -> Policy:
        """The policy for a name: the record's own, or an existing or absent one below it."""
        chain: list[Policy | None] = [self.policy]
        if not own:
            chain = [self.subdomain_policy, self.policy]
            chain = chain if exists else [self.nonexistent_policy, *chain]
        if self.flawed:
            return "none"
        policy: Policy = next(filter(None, chain), None) or "none"
        return _WEAKER[policy] if self.testing else policy


_WEAKER: dict[Policy, Policy] = {"reject": "quarantine", "quarantine": "none", "none": "none"}


def is_dmarc(text: bytes) -> bool:
    """Whether a TXT record is one of DMARC's: its first tag is ``v`` and exactly ``DMARC1``."""
    return _VERSION.match(text) is not None


def parse_dmarc(text: bytes) -> DmarcRecord:
    """Read a record that `is_dmarc`.

    Never an error: unknown tags and what has no ``=`` are ignored, of a tag
    given twice the first counts, keywords match in any case.
    """
    tags: dict[str, str] = {}
    published = text.decode("utf-8", "replace")
    for part in published.split(";"):
        name, equals, value = part.partition("=")
        if equals:
            tags.setdefault(name.strip(_BLANKS).lower(), value.strip(_BLANKS))
    words = {name: value.lower() for name, value in tags.items()}
    bad = [name for name in ("p", "sp", "np") if words.get(name, "none") not in _POLICIES]
    psd = words.get("psd")
    return DmarcRecord(
        text=published,
        policy=_policy(words.get("p")),
        subdomain_policy=_policy(words.get("sp")),
        nonexistent_policy=_policy(words.get("np")),
        flawed="p" not in words or bool(bad),
        strict_dkim=words.get("adkim") == "s",
        strict_spf=words.get("aspf") == "s",
        testing=words.get("t") == "y",
        psd="y" if psd == "y" else "n" if psd == "n" else "u",
        aggregate=_uris(tags.get("rua", "")),
        failure=_uris(tags.get("ruf", "")),
        failure_options=words.get("fo", "0"),
    )


def _policy(word: str | None) -> Policy | None:
    return cast("Policy", word) if word in _POLICIES else None


def _uris(value: str) -> tuple[str, ...]:
    uris = (_SIZE.sub("", part.strip(_BLANKS)) for part in value.split(","))
    return tuple(uri for uri in uris if _URI.fullmatch(uri))
