"""The role that runs stacks: whatever is under way goes on, also after a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from mailstead.mail.ports import Wakeups

log = logging.getLogger("mailstead.deployer")

LOOK_SECONDS = 30.0


class Deployer:
    """Drives stacks side by side, each by one task."""

    def __init__(
        self,
        moving: Callable[[], Awaitable[Sequence[str]]],
        run: Callable[[str], Awaitable[None]],
        wakeups: Wakeups,
        settled: str,
    ) -> None:
        """``moving`` names the stacks under way, ``run`` brings one to its end.

        ``settled`` is the topic that is woken then.
        """
        self._moving = moving
        self._run = run
        self._wakeups = wakeups
        self._settled = settled
        self._active: set[str] = set()

    async def run(self) -> None:
        """Drive until cancelled."""
        watch = self._wakeups.watch("stacks")
        async with asyncio.TaskGroup() as group:
            while True:
                for name in await self._moving():
                    if name not in self._active:
                        self._active.add(name)
                        group.create_task(self._carry(name))
                await watch.wait(LOOK_SECONDS)

    async def _carry(self, name: str) -> None:
        try:
            await self._run(name)
        except Exception:
            log.exception("the stack %s stands still: it is tried again", name)
        finally:
            self._active.discard(name)
            self._wakeups.wake(self._settled)
