"""Checksums against their published check values, zlib, and plain long division."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.checksums import ALGORITHMS, CRC32C, CRC64NVME, Crc, wrong

CHECK = b"123456789"
CRC32 = Crc(32, 0x04C11DB7)


def long_division(body: bytes, crc: Crc) -> bytes:
    """Bit by bit, as the catalogue describes it."""
    top, ones = 1 << (crc.width - 1), (1 << crc.width) - 1
    value = ones
    for octet in body:
        for place in range(8):
            bit = octet >> place & 1
            value = (value << 1 & ones) ^ (crc.generator if (value & top > 0) != bit else 0)
    reflected = int(f"{value ^ ones:0{crc.width}b}"[::-1], 2)
    return reflected.to_bytes(crc.width // 8, "big")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("crc32", "cbf43926"),
        ("crc32c", "e3069283"),
        ("crc64nvme", "ae8b14860a799888"),
        ("md5", "25f9e794323b453885f5181f1b624d0b"),
        ("sha1", "f7c3bc1d808e04732adf679965ccc34ca7ae3441"),
        ("sha256", hashlib.sha256(CHECK).hexdigest()),
        ("sha512", hashlib.sha512(CHECK).hexdigest()),
    ],
)
def test_check_values(name: str, value: str) -> None:
    assert ALGORITHMS[name](CHECK).hex() == value


@pytest.mark.parametrize(
    ("body", "value"),
    [
        # RFC 3720 B.4, the least significant byte first there.
        (bytes(32), "aa36918a"),
        (b"\xff" * 32, "43aba862"),
        (bytes(range(32)), "4e79dd46"),
        (bytes(range(31, -1, -1)), "5cdb3f11"),
    ],
)
def test_the_rfcs_examples(body: bytes, value: str) -> None:
    assert CRC32C.of(body)[::-1].hex() == value


@given(st.binary(max_size=400))
def test_as_zlib_and_long_division_have_it(body: bytes) -> None:
    assert CRC32.of(body) == zlib.crc32(body).to_bytes(4, "big")
    assert CRC32C.of(body) == long_division(body, CRC32C)
    assert CRC64NVME.of(body) == long_division(body, CRC64NVME)


def test_long_bodies() -> None:
    body = hashlib.shake_256(b"seed").digest(100_003)
    assert CRC32.of(body) == zlib.crc32(body).to_bytes(4, "big")


def test_which_header_is_wrong() -> None:
    right = {
        f"x-amz-checksum-{name}": base64.b64encode(compute(CHECK)).decode()
        for name, compute in ALGORITHMS.items()
    }
    md5 = base64.b64encode(hashlib.md5(CHECK).digest()).decode()
    headers = {**right, "content-md5": md5, "x-amz-checksum-type": "FULL_OBJECT", "host": "x"}
    assert wrong(headers, CHECK) is None
    for name in right:
        assert wrong({**headers, name: "AAAA"}, CHECK) == name
    assert wrong({"content-md5": "AAAA"}, CHECK) == "content-md5"
    assert wrong({"x-amz-checksum-xxhash64": "AAAA"}, CHECK) == "x-amz-checksum-xxhash64"
