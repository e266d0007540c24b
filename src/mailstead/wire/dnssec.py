"""DNSSEC's records: keys, signatures, denial of existence, and what the parent zone holds.

    key = zone_key(pkcs8, entry_point=False)
    rrsig(key, signing, apex, owner, record_type, ttl, rdatas)     # RRSIG data
    nsec(following_owner, types), key.rdata, ds(apex, key)

Names and data are in canonical form already (RFC 4034 6.2): lower case, not
compressed. Signatures are by ECDSA P-256 with SHA-256, algorithm 13 (RFC 6605).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mailstead.wire.domain_name import WILDCARD, labels_of

RRSIG, NSEC, DNSKEY = 46, 47, 48
ALGORITHM = 13
DIGEST = 2
"""SHA-256 (RFC 4509)."""
ZONE_KEY, ENTRY_POINT = 256, 257
"""Flags of a DNSKEY record (RFC 4034 2.1.1)."""

_PROTOCOL = 3
_ECDSA_SHA256 = ECDSA(SHA256())
_IN = b"\0\1"


@dataclass(frozen=True, slots=True)
class ZoneKey:
    """A private key, and what is published of it."""

    private: EllipticCurvePrivateKey
    flags: int
    public: bytes
    """The point's two coordinates (RFC 6605 4)."""

    @property
    def rdata(self) -> bytes:
        """The DNSKEY record's data."""
        return self.flags.to_bytes(2) + bytes((_PROTOCOL, ALGORITHM)) + self.public

    @property
    def tag(self) -> int:
        """The number by which signatures name it (RFC 4034 appendix B)."""
        rdata = self.rdata
        total = sum(rdata[0::2]) * 256 + sum(rdata[1::2])
        return (total + (total >> 16)) & 0xFFFF


@dataclass(frozen=True, slots=True, eq=False)
class Signing:
    """With what a zone is signed, and for how long."""

    zone_key: ZoneKey
    """Signs everything but the keys."""
    entry_keys: tuple[ZoneKey, ...]
    """Sign the keys; the parent zone points to them."""
    inception: int
    """Seconds since 1970."""
    expiration: int

    @property
    def keys(self) -> tuple[ZoneKey, ...]:
        """All that is published."""
        return (*self.entry_keys, self.zone_key)


def zone_key(pkcs8: bytes, *, entry_point: bool) -> ZoneKey:
    """A P-256 private key in PKCS#8 DER as a zone's key."""
    private = load_der_private_key(pkcs8, None)
    assert isinstance(private, EllipticCurvePrivateKey)
    assert isinstance(private.curve, SECP256R1)
    numbers = private.public_key().public_numbers()
    public = numbers.x.to_bytes(32) + numbers.y.to_bytes(32)
    return ZoneKey(private, ENTRY_POINT if entry_point else ZONE_KEY, public)


def rrsig(
    key: ZoneKey,
    signing: Signing,
    apex: bytes,
    owner: bytes,
    record_type: int,
    ttl: int,
    rdatas: Iterable[bytes],
) -> bytes:
    """The data of a record set's RRSIG record (RFC 4034 3.1)."""
    head = b"".join(
        (
            record_type.to_bytes(2),
            bytes((ALGORITHM, _depth(owner))),
            ttl.to_bytes(4),
            signing.expiration.to_bytes(4),
            signing.inception.to_bytes(4),
            key.tag.to_bytes(2),
            apex,
        )
    )
    fixed = owner + record_type.to_bytes(2) + _IN + ttl.to_bytes(4)
    records = (fixed + len(rdata).to_bytes(2) + rdata for rdata in sorted(rdatas))
    made = key.private.sign(head + b"".join(records), _ECDSA_SHA256)
    r, s = decode_dss_signature(made)
    return head + r.to_bytes(32) + s.to_bytes(32)


def nsec(following: bytes, types: Iterable[int]) -> bytes:
    """The data of an NSEC record: the next owner in the zone, and the types here."""
    windows: dict[int, bytearray] = {}
    for record_type in sorted(types):
        window, bit = divmod(record_type, 256)
        bits = windows.setdefault(window, bytearray())
        bits.extend(bytes(bit // 8 + 1 - len(bits)))
        bits[bit // 8] |= 0x80 >> bit % 8
    maps = (bytes((window, len(bits))) + bits for window, bits in windows.items())
    return following + b"".join(maps)


def ds(apex: bytes, key: ZoneKey) -> bytes:
    """The data of the DS record that the parent zone holds (RFC 4034 5.1)."""
    digest = sha256(apex + key.rdata).digest()
    return key.tag.to_bytes(2) + bytes((ALGORITHM, DIGEST)) + digest


def canonical_place(name: bytes) -> list[bytes]:
    """By what names are sorted: their labels from the last one on (RFC 4034 6.1)."""
    return labels_of(name)[::-1]


def _depth(owner: bytes) -> int:
    """Labels without the root and a wildcard (RFC 4034 3.1.3)."""
    return len(labels_of(owner)) - owner.startswith(WILDCARD)
