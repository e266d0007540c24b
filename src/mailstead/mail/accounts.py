"""An account's sending: sandbox and production, pause, daily quota, send rate.

Quotas count recipients over a rolling 24 hours by minutes; the rate is a token
bucket that may go below zero, so that a call with many recipients passes and
the next ones wait for it. The simulator counts for the rate, not for the day.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace

from mailstead.mail.errors import Conflict, Invalid, Limit
from mailstead.mail.model import Account, AccountDetails, Scope
from mailstead.mail.ports import Clock, Create, Randomness, Replace, Store

DAY = 24 * 60 * 60 * 1000
MINUTE = 60_000
UNLIMITED = -1.0
PRODUCTION_DAILY = 50_000.0
PRODUCTION_RATE = 14.0
SMALLEST_DEPTH = 10.0


async def account(store: Store, scope: Scope) -> Account:
    """The account's settings in a region; one that was never set up is in the sandbox."""
    return await store.get(Account, scope, "sending") or Account(scope)


async def change(store: Store, scope: Scope, **values: object) -> Account:
    """Change some of an account's settings."""
    old = await store.get(Account, scope, "sending")
    new = replace(old or Account(scope), **values)  # pyright: ignore[reportArgumentType] - by name
    if old is None:
        await store.apply(Create(new))
    elif old != new:
        await store.apply(Replace(old, new))
    return new


async def put_details(
    store: Store, randomness: Randomness, scope: Scope, details: AccountDetails, *, review: str
) -> Account:
    """Keep an owner's details, and open the review of production access.

    ``review`` is how reviews are answered here: ``PENDING`` leaves it to
    ``mailstead account production``, empty asks for none. Conflict while one is
    open or was denied.
    """
    current = await account(store, scope)
    old = current.details or AccountDetails("", "")
    if old.review in ("PENDING", "DENIED"):
        raise Conflict(None, resource="account", name=scope.account, reason="under-review")
    if not review or current.production:
        kept = replace(details, review=old.review, case_id=old.case_id)
        return await change(store, scope, details=kept)
    case = old.case_id or str(int.from_bytes(randomness.token(5)) % 10**12)
    details = replace(details, review=review, case_id=case)
    if review == "GRANTED":
        return await to_production(store, scope, details=details)
    return await change(store, scope, details=details)


async def to_production(
    store: Store,
    scope: Scope,
    *,
    daily_quota: float = PRODUCTION_DAILY,
    max_rate: float = PRODUCTION_RATE,
    details: AccountDetails | None = None,
) -> Account:
    """Take the account out of the sandbox, as a granted review does."""
    if max_rate <= 0:
        raise Invalid(
            "the send rate must be above 0: only the daily quota may be -1, unlimited",
            resource="account",
        )
    if daily_quota < 0 and daily_quota != UNLIMITED:
        raise Invalid("the daily quota is a number from 0 on, or -1", resource="account")
    details = details or (await account(store, scope)).details
    if details is not None:
        details = replace(details, review="GRANTED")
    return await change(
        store,
        scope,
        production=True,
        daily_quota=daily_quota,
        max_rate=max_rate,
        details=details,
    )


async def to_sandbox(store: Store, scope: Scope) -> Account:
    """Put the account back into the sandbox."""
    fresh = Account(scope)
    return await change(
        store,
        scope,
        production=False,
        daily_quota=fresh.daily_quota,
        max_rate=fresh.max_rate,
        details=None,
    )


@dataclass(slots=True)
class _Ledger:
    minutes: deque[tuple[int, int]] = field(default_factory=deque[tuple[int, int]])
    total: int = 0

    def add(self, minute: int, recipients: int) -> None:
        self.total += recipients
        if self.minutes and self.minutes[-1][0] == minute:
            recipients += self.minutes.pop()[1]
        self.minutes.append((minute, recipients))

    def forget(self, until: int) -> None:
        while self.minutes and self.minutes[0][0] <= until:
            self.total -= self.minutes.popleft()[1]


@dataclass(slots=True)
class _Bucket:
    level: float
    filled: float


class SendingLimits:
    """The daily quota and the send rate of every account of this process."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._ledgers: dict[Scope, _Ledger] = {}
        self._buckets: dict[Scope, _Bucket] = {}

    async def sent_last_day(self, scope: Scope) -> int:
        """Recipients that count, in the last 24 hours."""
        since = self._clock.now() - DAY
        ledger = self._ledgers.get(scope)
        if ledger is None:
            ledger = _Ledger()
            for minute, recipients in await self._store.counted(scope, since):
                ledger.add(minute, recipients)
            ledger = self._ledgers.setdefault(scope, ledger)
        ledger.forget(since)
        return ledger.total

    async def take(self, settings: Account, recipients: int, counted: int) -> None:
        """Take the tokens of one call, or raise Limit and take none.

        ``counted`` of the recipients count in the daily quota.
        """
        scope = settings.scope
        used = await self.sent_last_day(scope)
        bucket = self._fill(settings)
        if bucket.level < 1:
            raise Limit("Maximum sending rate exceeded.", resource="rate", name=scope.account)
        over = settings.daily_quota != UNLIMITED and used + counted > settings.daily_quota
        if counted and over:
            raise Limit("Daily message quota exceeded.", resource="quota", name=scope.account)
        bucket.level -= recipients
        now = self._clock.now()
        self._ledgers[scope].add(now - now % MINUTE, counted)

    def give_back(self, settings: Account, counted: int) -> None:
        """Undo the day's count of a call that the store did not keep."""
        now = self._clock.now()
        self._ledgers[settings.scope].add(now - now % MINUTE, -counted)

    def _fill(self, settings: Account) -> _Bucket:
        depth = max(SMALLEST_DEPTH, 5 * settings.max_rate)
        ticks = self._clock.ticks()
        bucket = self._buckets.get(settings.scope)
        if bucket is None:
            bucket = self._buckets[settings.scope] = _Bucket(depth, ticks)
        gained = (ticks - bucket.filled) * settings.max_rate
        bucket.level = min(depth, bucket.level + gained)
        bucket.filled = ticks
        return bucket
