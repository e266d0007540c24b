"""Response rate limiting: who forges a victim's address gets little to send it.

    verdict = rates.verdict(client, reply, seconds)

Over UDP anybody can ask in somebody else's name. So answers to one network, a /24
of IPv4 or a /56 of IPv6, are counted second by second: those that are alike, and
all of them. Beyond the limit every second one is replaced by an empty one that
says "truncated": a real resolver comes again over TCP, where addresses are true;
the others are not sent at all. Loopback and trusted networks are not counted.
Source: P. Vixie, V. Schryver, "DNS Response Rate Limiting" (ISC-TN-2012-1).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from mailstead.mail.reception import is_loopback

ALL_FACTOR = 10
"""How many times more answers of all kinds a network may get than of one."""
SLIP = 2
"""One of so many that are too many is replaced by a truncated one."""
_IPV6_PREFIX = 7
_NO_ERROR = 0

Network = IPv4Network | IPv6Network


class Verdict(Enum):
    """What becomes of an answer."""

    SEND = "it is sent"
    TRUNCATE = "an empty, truncated one is sent in its place"
    DROP = "nothing is sent"


class ResponseRates:
    """Answers of the running second by network."""

    def __init__(self, a_second: int, trusted: Sequence[Network] = ()) -> None:
        """``a_second`` is how many answers alike a network gets; 0 sets no limit."""
        self._limit = a_second
        self._trusted = tuple(trusted)
        self._second = -1
        self._counts: defaultdict[tuple[object, bytes], int] = defaultdict(int)

    def verdict(self, client: str, reply: bytes, now: float) -> Verdict:
        """What becomes of an answer to a client's address at a moment, in seconds."""
        if not self._limit or self._is_exempt(client):
            return Verdict.SEND
        second = int(now)
        if second != self._second:
            # What is kept is bounded by what one second brings.
            self._second = second
            self._counts.clear()
        network = _network(client)
        counts = self._counts
        alike, everything = (network, _kind(reply)), (network, b"")
        counts[alike] += 1
        counts[everything] += 1
        over = max(counts[alike] - self._limit, counts[everything] - ALL_FACTOR * self._limit)
        if over <= 0:
            return Verdict.SEND
        return Verdict.DROP if over % SLIP else Verdict.TRUNCATE

    def _is_exempt(self, client: str) -> bool:
        if is_loopback(client):
            return True
        if not self._trusted:
            return False
        address = ip_address(client.partition("%")[0])
        return any(address in network for network in self._trusted)


def _network(client: str) -> object:
    if ":" in client:
        return IPv6Address(client.partition("%")[0]).packed[:_IPV6_PREFIX]
    return client.rpartition(".")[0]


def _kind(reply: bytes) -> bytes:
    """What answers have in common: the question, or for errors and denials the code alone.

    Names that are made up for each question would else all be different.
    """
    rcode = reply[3] & 15
    if rcode != _NO_ERROR or reply[6:8] == b"\0\0":
        return bytes((rcode,))
    end = 12
    while reply[end]:
        end += reply[end] + 1
    return reply[12 : end + 5].lower()
