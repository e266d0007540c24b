"""When to try again, and when to give up.

SES tries for 14 hours at intervals that it does not publish; these are ours.
"""

from __future__ import annotations

MINUTE = 60_000
HOUR = 60 * MINUTE
LIFE = 14 * HOUR
"""How long a message is tried, in milliseconds."""
INTERVALS = tuple(minutes * MINUTE for minutes in (1, 5, 10, 20, 40, 80))
LAST_INTERVAL = 2 * HOUR
JITTER = 0.1
LEASE = 15 * MINUTE
"""How long an attempt may take: a peer may answer 10 minutes after the dot (RFC 5321 4.5.3.2.6)."""


def next_attempt(now: int, attempts: int, fraction: float) -> int:
    """When to try again after so many attempts; ``fraction`` (0 to 1) is the dice's."""
    interval = INTERVALS[attempts - 1] if attempts <= len(INTERVALS) else LAST_INTERVAL
    return now + int(interval * (1 + JITTER * (2 * fraction - 1)))


def expired_text(accepted_at: int, expires_at: int, last_reply: str) -> str:
    """SES's words for a message that could not be delivered in time."""
    minutes = (expires_at - accepted_at) // MINUTE
    return f"550 4.4.7 Message expired: unable to deliver in {minutes} minutes.<{last_reply}>"
