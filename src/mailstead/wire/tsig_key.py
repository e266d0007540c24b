"""Keys that name servers share (RFC 8945), as people write them.

    parse_key("hmac-sha256:transfer:c2VjcmV0")        # as dig and nsupdate take them by -y
    parse_key("transfer:c2VjcmV0")                    # hmac-sha256
    parse_key('key "transfer" { algorithm ... };')    # as tsig-keygen writes them

No error shows any part of what was given: it may be the secret.
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field

from mailstead.wire.domain_name import ROOT, DomainNameError, name_to_text, name_to_wire

ALGORITHMS = ("hmac-sha256", "hmac-sha384", "hmac-sha512", "hmac-sha224", "hmac-sha1")
"""RFC 8945 6, without MD5 and the truncated ones; the first is the default."""
FORMS = "it is [ALGORITHM:]NAME:SECRET, or the clause that tsig-keygen writes"

_TOKEN = re.compile(
    r'\s+|//[^\n]*|#[^\n]*|/\*.*?\*/|"(?P<quoted>[^"\n]*)"|(?P<word>[^\s{};"]+)|(?P<sign>[{};])',
    re.DOTALL,
)


_CLAUSE_TOKENS = 11
"""``key NAME { algorithm ALGORITHM ; secret SECRET ; } ;``"""


class TsigKeyError(ValueError):
    """What is no key; the text says why, and nothing of the secret."""


@dataclass(frozen=True, slots=True)
class TsigKey:
    """A secret that two servers share."""

    name: bytes
    """A domain name, lower case, on the wire."""
    algorithm: str
    """One of `ALGORITHMS`."""
    secret: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The name, for people."""
        return name_to_text(self.name)


def parse_key(text: str) -> TsigKey:
    """A key in any of its forms. TsigKeyError."""
    if "{" in text:
        return _clause(text)
    parts = text.strip().split(":")
    if len(parts) == 2:
        parts.insert(0, ALGORITHMS[0])
    if len(parts) != 3:
        raise TsigKeyError(f"that is no key: {FORMS}")
    return _key(*parts)


def _clause(text: str) -> TsigKey:
    """``key NAME { algorithm ALGORITHM; secret SECRET; };`` and nothing else."""
    tokens = _tokens(text)
    if [*tokens[:1], *tokens[2:3], *tokens[-2:]] == ["key", "{", "}", ";"]:
        statements = zip(*[iter(tokens[3:-2])] * 3, strict=False)
        given = {keyword: value for keyword, value, end in statements if end == ";"}
        if len(tokens) == _CLAUSE_TOKENS and given.keys() == {"algorithm", "secret"}:
            return _key(given["algorithm"], tokens[1], given["secret"])
    raise TsigKeyError(
        'that is no key clause: it is key "NAME" { algorithm ALGORITHM; secret "SECRET"; }; '
        "and one key only"
    )


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            return []
        if found.lastgroup is not None:
            tokens.append(found[found.lastgroup])
        at = found.end()
    return tokens


def _key(algorithm: str, name: str, secret: str) -> TsigKey:
    algorithm = algorithm.lower().removesuffix(".")
    if algorithm not in ALGORITHMS:
        raise TsigKeyError(f"the key's algorithm is none of {', '.join(ALGORITHMS)}")
    try:
        owner = name_to_wire(name)
    except DomainNameError:
        owner = ROOT
    if owner == ROOT:
        raise TsigKeyError(f"the key's name is no domain name: {FORMS}")
    try:
        octets = b64decode(secret, validate=True)
    except (Base64Error, ValueError):
        octets = b""
    if not octets:
        raise TsigKeyError("the key's secret is not base64")
    return TsigKey(owner, algorithm, octets)
