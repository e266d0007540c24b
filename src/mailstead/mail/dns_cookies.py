"""DNS cookies: who has ours has got an answer at its address before (RFC 7873, 9018).

A cookie is a function of a secret, the client's own cookie, its address and a time,
so nothing is kept. The hash is not the one of RFC 9018, which matters only to
servers that share an address.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from mailstead.mail.ports import Clock
from mailstead.wire.dns import CLIENT_COOKIE

_VERSION = b"\1\0\0\0"
_STAMP = slice(CLIENT_COOKIE + 4, CLIENT_COOKIE + 8)
FRESH = 3600
"""Seconds for which a cookie proves an address."""
EARLY = 300
"""Seconds by which another server's clock may be ahead."""


@dataclass(frozen=True, slots=True)
class DnsCookies:
    """Makes and checks the server's half."""

    secret: bytes
    """Up to 64 octets."""
    clock: Clock

    def answer(self, client: str, sent: bytes) -> bytes:
        """Both halves for what a client at an address sent."""
        now = self.clock.real() // 1000
        return self._whole(client, sent[:CLIENT_COOKIE], now)

    def is_ours(self, client: str, sent: bytes) -> bool:
        """Whether we gave that to the address lately."""
        stamp = int.from_bytes(sent[_STAMP])
        age = self.clock.real() // 1000 - stamp
        return -EARLY <= age <= FRESH and sent == self._whole(client, sent[:CLIENT_COOKIE], stamp)

    def _whole(self, client: str, own: bytes, stamp: int) -> bytes:
        head = own + _VERSION + stamp.to_bytes(4)
        made = blake2b(head + client.encode(), key=self.secret, digest_size=8).digest()
        return head + made
