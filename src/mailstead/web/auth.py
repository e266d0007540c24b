"""Who may open the pages: everybody on loopback in capture mode, else who logged in.

A log-in is a cookie with a random value that this process remembers; a link
with a token works once and gives the same cookie.
"""

from __future__ import annotations

import hmac
from collections import OrderedDict

from mailstead.mail.ports import Clock, Randomness

COOKIE = "mailstead"
SESSION_SECONDS = 12 * 60 * 60
LINK_SECONDS = 12 * 60 * 60
MOST = 1_000
TRIES = 10
"""Wrong passwords before everybody waits for `TRY_SECONDS`."""
TRY_SECONDS = 60


class Sessions:
    """Log-ins and one-time links of this process."""

    def __init__(self, password: str, randomness: Randomness, clock: Clock) -> None:
        self._password = password
        self._randomness = randomness
        self._clock = clock
        self._sessions: OrderedDict[str, float] = OrderedDict()
        self._links: OrderedDict[str, float] = OrderedDict()
        self._wrong: list[float] = []

    def new_link_token(self) -> str:
        """A token that opens one session."""
        return self._keep(self._links, LINK_SECONDS)

    def redeem(self, token: str) -> str | None:
        """The cookie for a link's token, once."""
        until = self._links.pop(token, 0.0)
        return self._open() if until > self._clock.ticks() else None

    def log_in(self, password: str) -> str | None:
        """The cookie for the right password; None for a wrong one, or too many wrong ones."""
        now = self._clock.ticks()
        self._wrong = [at for at in self._wrong if at > now - TRY_SECONDS]
        if not self._password or len(self._wrong) >= TRIES:
            return None
        if hmac.compare_digest(password.encode(), self._password.encode()):
            return self._open()
        self._wrong.append(now)
        return None

    def holds(self, cookie: str) -> bool:
        """Whether a cookie is a log-in's."""
        return self._sessions.get(cookie, 0.0) > self._clock.ticks()

    def _open(self) -> str:
        return self._keep(self._sessions, SESSION_SECONDS)

    def _keep(self, kept: OrderedDict[str, float], seconds: float) -> str:
        value = self._randomness.token(24).hex()
        kept[value] = self._clock.ticks() + seconds
        while len(kept) > MOST:
            kept.popitem(last=False)
        return value
