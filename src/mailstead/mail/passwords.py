"""Passwords of people, as argon2id (RFC 9106) with OWASP's least cost.

One hash takes 19 MiB and some 15 ms: always in a worker thread.
"""

from __future__ import annotations

from argon2 import low_level
from argon2.exceptions import InvalidHashError, VerificationError

MEMORY_KIB = 19 * 1024
PASSES = 2
LANES = 1
LENGTH = 32


def hash_password(password: str, salt: bytes) -> str:
    """The encoded hash that a database holds."""
    return low_level.hash_secret(
        _octets(password), salt, PASSES, MEMORY_KIB, LANES, LENGTH, low_level.Type.ID
    ).decode()


def matches(hashed: str, password: str) -> bool:
    """Whether it is the password that was hashed."""
    try:
        return low_level.verify_secret(hashed.encode(), _octets(password), low_level.Type.ID)
    except (VerificationError, InvalidHashError):
        return False


def _octets(password: str) -> bytes:
    # Whatever a client made of its keyboard: it is compared, never shown.
    return password.encode("utf-8", "surrogatepass")
