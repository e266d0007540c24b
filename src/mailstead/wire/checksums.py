"""The checksums that S3's clients send: ``x-amz-checksum-NAME`` and Content-MD5.

Cyclic checksums are remainders of a body taken as a polynomial over GF(2).
Python's long integers are such polynomials: the upper half of a body is folded
onto the lower one by a multiplication with x^half modulo the generator, which is
a few shifts, until little is left. So a megabyte takes milliseconds without a
table. Sources: RFC 3720 12.1 and appendix B.4 (CRC-32C), the catalogue of
parametrised CRC algorithms (CRC-64/NVME), RFC 1864 (Content-MD5).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailstead.wire.aws_scalars import base64

PREFIX = "x-amz-checksum-"
_REVERSED = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_SMALL = 512
"""Bits that are divided one by one."""


@dataclass(frozen=True, slots=True)
class Crc:
    """A checksum of the reflected kind that begins and ends with all bits set."""

    width: int
    generator: int
    """Without its highest term, the highest coefficient first."""

    def of(self, body: bytes) -> bytes:
        """The checksum, its highest byte first."""
        width, bits = self.width, len(body) * 8
        ones = (1 << width) - 1
        # Every byte's lowest bit is its highest coefficient.
        message = int.from_bytes(body.translate(_REVERSED), "big") << width
        remainder = self._reduced(message ^ (ones << bits)) ^ ones
        return remainder.to_bytes(width // 8, "big").translate(_REVERSED)[::-1]

    def _reduced(self, value: int) -> int:
        while (bits := value.bit_length()) > _SMALL:
            half = bits // 2
            value = (value & ((1 << half) - 1)) ^ _product(value >> half, self._power(half))
        return self._divided(value)

    def _power(self, exponent: int) -> int:
        """x^exponent modulo the generator."""
        value = 1
        for bit in f"{exponent:b}":
            value = self._divided(_product(value, value) << int(bit))
        return value

    def _divided(self, value: int) -> int:
        whole = 1 << self.width | self.generator
        while (over := value.bit_length() - self.width) > 0:
            value ^= whole << (over - 1)
        return value


def _product(value: int, factor: int) -> int:
    """The product of two polynomials."""
    result = 0
    while factor:
        lowest = factor & -factor
        result ^= value << (lowest.bit_length() - 1)
        factor ^= lowest
    return result


CRC32C = Crc(32, 0x1EDC6F41)
CRC64NVME = Crc(64, 0xAD93D23594C93659)

ALGORITHMS: Mapping[str, Callable[[bytes], bytes]] = {
    "crc32": lambda body: zlib.crc32(body).to_bytes(4, "big"),
    "crc32c": CRC32C.of,
    "crc64nvme": CRC64NVME.of,
    "md5": lambda body: hashlib.md5(body, usedforsecurity=False).digest(),
    "sha1": lambda body: hashlib.sha1(body, usedforsecurity=False).digest(),
    "sha256": lambda body: hashlib.sha256(body).digest(),
    "sha512": lambda body: hashlib.sha512(body).digest(),
}
"""Functions by the name in the header."""


def wrong(headers: Mapping[str, str], body: bytes) -> str | None:
    """The first header with a checksum that is not the body's; None where all are right.

    A checksum of a kind that is not known here can't be right.
    """
    for name, said in headers.items():
        kind = name.removeprefix(PREFIX)
        if kind == name or kind in {"type", "algorithm", "mode"}:
            continue
        compute = ALGORITHMS.get(kind)
        if compute is None or base64(compute(body)) != said:
            return name
    said_md5 = headers.get("content-md5")
    if said_md5 is not None and base64(ALGORITHMS["md5"](body)) != said_md5:
        return "content-md5"
    return None
