"""Time, dice and wake-ups of one process."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness, ThreadWorkers
from mailstead.wire.dkim_key import load_private_key


def test_a_wake_between_look_and_wait_is_not_lost() -> None:
    async def scene() -> None:
        wakeups = LocalWakeups()
        watch, other = wakeups.watch("queue"), wakeups.watch("emails")
        wakeups.wake("queue")
        wakeups.wake("queue")
        assert await watch.wait(0)
        assert not await watch.wait(0)
        assert not await other.wait(0)
        # What was before counts for nobody who begins to watch.
        assert not await wakeups.watch("queue").wait(0)

    asyncio.run(scene())


def test_a_wake_ends_every_wait() -> None:
    async def scene() -> None:
        wakeups = LocalWakeups()
        watches = [wakeups.watch("queue") for _ in range(3)]
        async with asyncio.TaskGroup() as group:
            waiting = [group.create_task(watch.wait(5)) for watch in watches]
            await asyncio.sleep(0)
            wakeups.wake("queue")
        assert all(task.result() for task in waiting)
        assert not await watches[0].wait(0)

    asyncio.run(scene())


def test_serials_rise_and_fractions_stay_below_one() -> None:
    async def scene() -> None:
        with ThreadPoolExecutor(1) as pool:
            dice = SystemRandomness(pool)
            serials = [dice.serial() for _ in range(10_000)]
            assert serials == sorted(set(serials))
            assert serials[-1] < 1 << 63
            assert all(0 <= dice.fraction() < 1 for _ in range(1000))
            assert len(dice.token(7)) == 7
            assert len({dice.uuid() for _ in range(100)}) == 100
            assert load_private_key(await dice.rsa_key(1024))
            assert load_pem_private_key(dice.tls_key(), None)
            assert await ThreadWorkers(pool).run(divmod, 7, 2) == (3, 1)

    asyncio.run(scene())


def test_time_passes() -> None:
    clock = SystemClock()
    assert abs(clock.now() - clock.real()) < 60_000
    assert clock.ticks() <= clock.ticks()
