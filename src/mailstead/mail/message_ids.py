"""SES's MessageId, and reverse paths of its shape that nobody else can make.

A MessageId is 4 hex digits of the region, 12 of milliseconds since 1970, a UUID
and ``000000``. A reverse path has the same shape: its first 16 digits are the
MessageId's, its UUID is an HMAC of message and recipient, and its last digits
are the recipient's number, so that a bounce with no text at all still names
whom it is about, and a forged one names nobody.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass

REGIONS = {
    "us-east-1": 0x0100,
    "us-west-2": 0x0101,
    "eu-west-1": 0x0102,
    "ap-northeast-1": 0x0106,
    "eu-central-1": 0x0107,
    "ap-southeast-2": 0x0108,
    "ap-south-1": 0x0109,
    "eu-west-2": 0x010B,
    "ap-southeast-1": 0x010E,
    "us-east-2": 0x010F,
}
"""The first four hex digits seen in each region's MessageIds."""
ELSEWHERE = 0x01FF

_SHAPE = re.compile(
    r"([0-9a-f]{16})-([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})-(\d{6})"
)


def new_message_id(region: str, now: int, uuid: str) -> str:
    """A MessageId of that region and time (milliseconds since 1970)."""
    return f"{REGIONS.get(region, ELSEWHERE):04x}{now:012x}-{uuid}-000000"


@dataclass(frozen=True, slots=True)
class ReturnPath:
    """The parts of a reverse path of SES's shape."""

    start: str
    """The MessageId's first 16 hex digits."""
    seal: str
    number: int


def parse_return_path(local_part: str) -> ReturnPath | None:
    """Its parts, or None for a local part of another shape."""
    match = _SHAPE.fullmatch(local_part.lower())
    return ReturnPath(match[1], match[2], int(match[3])) if match else None


class ReturnPaths:
    """Makes and recognises reverse paths under a key of this installation."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def local_part(self, message_id: str, recipient: str, number: int) -> str:
        """The local part for one recipient of a message."""
        return f"{message_id[:16]}-{self._seal(message_id, recipient, number)}-{number:06d}"

    def matches(self, path: ReturnPath, message_id: str, recipient: str) -> bool:
        """Whether it is ours, for that message and recipient."""
        return message_id.startswith(path.start) and hmac.compare_digest(
            path.seal, self._seal(message_id, recipient, path.number)
        )

    def _seal(self, message_id: str, recipient: str, number: int) -> str:
        text = f"{message_id}\0{number}\0{recipient}".encode()
        digits = hmac.digest(self._key, text, "sha256").hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
