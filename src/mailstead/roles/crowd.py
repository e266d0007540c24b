"""Who has how many connections: one network can't take them all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from ipaddress import ip_network

CONNECTIONS = 2000
"""Connections at one time, of all clients that are counted."""
CONNECTIONS_EACH = 50
"""Of one address or IPv6 /64; three times as many of an IPv4 /24."""


class Crowd:
    """Counts connections, so that one network can't take them all.

    Networks are an IPv4 address, its /24, and an IPv6 /64.
    """

    def __init__(
        self,
        exempt: Callable[[str], bool],
        *,
        total: int = CONNECTIONS,
        each: int = CONNECTIONS_EACH,
    ) -> None:
        """``exempt`` says whose connections are not counted: loopback's, trusted networks'."""
        self._exempt = exempt
        self._total = total
        self._each = each
        self._counts: Counter[str] = Counter()

    def apart(self, *, total: int, each: int) -> Crowd:
        """Another count of other connections, with the same clients left out."""
        return Crowd(self._exempt, total=total, each=each)

    def enter(self, address: str) -> bool:
        """Whether one more may come from there; each that may must `leave`."""
        if self._exempt(address):
            return True
        limits = self._limits(address)
        if any(self._counts[name] >= most for name, most in limits):
            return False
        self._counts.update(name for name, _ in limits)
        return True

    def leave(self, address: str) -> None:
        """A connection from there has ended."""
        if not self._exempt(address):
            self._counts.subtract(name for name, _ in self._limits(address))
            self._counts = +self._counts

    def _limits(self, address: str) -> list[tuple[str, int]]:
        everybody = ("", self._total)
        if ":" in address:
            network = ip_network((address.partition("%")[0], 64), strict=False)
            return [everybody, (str(network), self._each)]
        network = ip_network((address, 24), strict=False)
        return [everybody, (address, self._each), (str(network), 3 * self._each)]
