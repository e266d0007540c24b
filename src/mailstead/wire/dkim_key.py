"""DKIM keys: private ones to sign with, and the records that publish them (RFC 6376 3.6.1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import lru_cache

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
    load_pem_private_key,
)

from mailstead.wire.tag_list import TagListError, parse_tag_list, without_blanks

PrivateKey = RSAPrivateKey | Ed25519PrivateKey
PublicKey = RSAPublicKey | Ed25519PublicKey

SMALLEST_RSA = 1024
"""Bits below which a signature never passes (RFC 8301 section 3.2)."""
LARGEST_RSA = 4096
"""Bits above which a verifier need not follow (RFC 8301 section 3.2)."""


class DkimKeyError(ValueError):
    """No usable key: the text says why."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What a key record grants."""

    key: PublicKey
    hashes: frozenset[str] | None
    """The hash algorithms allowed; None is every one."""
    services: frozenset[str]
    """``*``, or those the key may sign for, such as ``email``."""
    testing: bool
    """``t=y``: a signature that fails counts as none."""
    strict: bool
    """``t=s``: the domain of ``i=`` must be that of ``d=``."""


def load_private_key(text: str | bytes) -> PrivateKey:
    """Read a private key to sign with: RSA of 1024 to 4096 bits, or Ed25519.

    PEM (PKCS#1 or PKCS#8), the base64 of its body alone as SES takes it, or the
    base64 of a 32-octet Ed25519 seed. Raises `DkimKeyError`.
    """
    data = text.encode() if isinstance(text, str) else text
    try:
        if b"-----BEGIN" in data:
            key = load_pem_private_key(data.strip(), None)
        else:
            der = base64.b64decode(b"".join(data.split()), validate=True)
            if len(der) == 32:
                return Ed25519PrivateKey.from_private_bytes(der)
            key = load_der_private_key(der, None)
    # An encrypted key without its password is a TypeError.
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise DkimKeyError("not a private key in PEM or base64 DER") from error
    if isinstance(key, RSAPrivateKey):
        if not SMALLEST_RSA <= key.key_size <= LARGEST_RSA:
            raise DkimKeyError(f"an RSA key of {key.key_size} bits")
        return key
    if isinstance(key, Ed25519PrivateKey):
        return key
    raise DkimKeyError("neither an RSA nor an Ed25519 key")


def public_record(key: PrivateKey | PublicKey) -> str:
    """The text of the TXT record to publish at ``SELECTOR._domainkey.DOMAIN``.

    One string: an RSA key of 2048 bits is longer than the 255 octets that one
    string of a TXT record holds, so who writes the record splits it.
    """
    public = key.public_key() if isinstance(key, RSAPrivateKey | Ed25519PrivateKey) else key
    if isinstance(public, Ed25519PublicKey):
        return f"v=DKIM1; k=ed25519; p={base64.b64encode(public.public_bytes_raw()).decode()}"
    der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"


@lru_cache(maxsize=1024)
def parse_key_record(text: bytes) -> KeyRecord:
    """Read a key record. Raises `DkimKeyError` for a revoked or unusable one."""
    try:
        tags = parse_tag_list(text)
    except TagListError as error:
        raise DkimKeyError(f"key record: {error}") from error
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):
        raise DkimKeyError("not a DKIM1 key record")
    if "p" not in tags:
        raise DkimKeyError("no p= in the key record")
    if not tags["p"]:
        raise DkimKeyError("key revoked")
    flags = _words(tags.get("t", ""))
    return KeyRecord(
        key=_public_key(tags.get("k", "rsa"), tags["p"]),
        hashes=_words(tags["h"]) if "h" in tags else None,
        services=_words(tags.get("s", "*")),
        testing="y" in flags,
        strict="s" in flags,
    )


def _words(value: str) -> frozenset[str]:
    return frozenset(word for word in without_blanks(value).lower().split(":") if word)


def _public_key(kind: str, encoded: str) -> PublicKey:
    if kind not in {"rsa", "ed25519"}:
        raise DkimKeyError(f"unknown key type {kind[:20]!r}")
    try:
        octets = base64.b64decode(without_blanks(encoded), validate=True)
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(octets)
        # Reads SubjectPublicKeyInfo, and the bare PKCS#1 form some publish.
        key = load_der_public_key(octets)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise DkimKeyError("p= holds no key") from error
    if not isinstance(key, RSAPublicKey):
        raise DkimKeyError("p= is not of the type k= names")
    return key
