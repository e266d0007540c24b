"""Sandbox and production, quota and rate."""

from __future__ import annotations

import asyncio

import pytest

from mailstead.mail import accounts
from mailstead.mail.accounts import SendingLimits
from mailstead.mail.errors import Conflict, Invalid, Limit
from mailstead.mail.model import Account, AccountDetails
from support.world import DAY, SCOPE, World

DETAILS = AccountDetails("MARKETING", "https://x.test")


def settings(daily: float = -1, rate: float = 1) -> Account:
    return Account(SCOPE, daily_quota=daily, max_rate=rate)


def test_production_and_back(world: World) -> None:
    made = world.production()
    assert (made.production, made.daily_quota, made.max_rate) == (True, 50_000, 14)
    assert world.production(daily_quota=-1, max_rate=0.5).daily_quota == -1
    back = world.run(accounts.to_sandbox(world.store, SCOPE))
    assert (back.production, back.daily_quota, back.max_rate) == (False, 200, 1)
    assert world.run(accounts.account(world.store, SCOPE)) == back


@pytest.mark.parametrize("quota", [{"max_rate": 0}, {"max_rate": -1}, {"daily_quota": -2}])
def test_quotas_that_are_none(world: World, quota: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        world.production(**quota)


def test_a_change_that_changes_nothing_writes_nothing(world: World) -> None:
    first = world.run(accounts.change(world.store, SCOPE, sending=False))
    assert world.run(accounts.change(world.store, SCOPE, sending=False)) == first


def test_a_review_keeps_its_case(world: World) -> None:
    async def put(review: str) -> Account:
        return await accounts.put_details(world.store, world.dice, SCOPE, DETAILS, review=review)

    first = world.run(put("FAILED"))
    assert first.details is not None
    second = world.run(put("PENDING"))
    assert second.details is not None
    assert second.details.case_id == first.details.case_id
    with pytest.raises(Conflict):
        world.run(put("PENDING"))
    granted = world.production()
    assert granted.details is not None
    assert granted.details.review == "GRANTED"
    assert world.run(put("PENDING")).details == granted.details


def test_a_review_that_is_granted_at_once(world: World) -> None:
    put = accounts.put_details(world.store, world.dice, SCOPE, DETAILS, review="GRANTED")
    assert world.run(put).production


def test_the_bucket_may_go_below_zero_and_fills_at_the_rate(world: World) -> None:
    account = settings(rate=2)

    def take(recipients: int) -> None:
        world.run(world.limits.take(account, recipients, 0))

    take(50)
    with pytest.raises(Limit, match=r"Maximum sending rate exceeded\."):
        take(1)
    # 40 below zero: a call passes when one token is there.
    world.clock.seconds += 20
    with pytest.raises(Limit):
        take(1)
    world.clock.seconds += 0.5
    take(1)
    world.clock.seconds += 1000
    take(10)
    with pytest.raises(Limit):
        take(1)


def test_a_refused_call_takes_nothing(world: World) -> None:
    account = settings(daily=5, rate=100)
    world.run(world.limits.take(account, 4, 4))
    with pytest.raises(Limit, match=r"Daily message quota exceeded\."):
        world.run(world.limits.take(account, 2, 2))
    assert world.run(world.limits.sent_last_day(SCOPE)) == 4
    world.run(world.limits.take(account, 1, 1))
    # The simulator's addresses pass even then.
    world.run(world.limits.take(account, 1, 0))


def test_the_day_rolls_by_minutes(world: World) -> None:
    account = settings(daily=10, rate=1000)
    for hour in range(3):
        world.run(world.limits.take(account, 2, 2))
        world.run(world.limits.take(account, 1, 1))
        world.clock.time += 3_600_000 * (hour + 1)
    assert world.run(world.limits.sent_last_day(SCOPE)) == 9
    world.clock.time += DAY - 6 * 3_600_000
    assert world.run(world.limits.sent_last_day(SCOPE)) == 6


def test_a_call_that_was_not_kept_is_given_back(world: World) -> None:
    account = settings(rate=1000)
    world.run(world.limits.take(account, 3, 3))
    world.limits.give_back(account, 3)
    assert world.run(world.limits.sent_last_day(SCOPE)) == 0


def test_a_new_process_counts_what_the_old_one_sent(world: World) -> None:
    world.production()
    world.verified("example.com")
    message = {
        "Source": "a@example.com",
        "Message": {"Subject": {"Data": "x"}, "Body": {"Text": {"Data": "x"}}},
        "Destination": {"ToAddresses": ["b@x.test"]},
    }
    world.v1("SendEmail", **message)

    async def both() -> tuple[int, int]:
        limits = SendingLimits(world.store, world.clock)
        one, other = await asyncio.gather(limits.sent_last_day(SCOPE), limits.sent_last_day(SCOPE))
        return one, other

    assert world.run(both()) == (1, 1)
