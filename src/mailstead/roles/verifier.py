"""Looks for identities' proofs when something changed, and at their intervals else."""

from __future__ import annotations

import asyncio
import logging

from mailstead.mail.errors import Conflict, Unavailable
from mailstead.mail.model import Identity, VerificationStatus
from mailstead.mail.ports import Clock, Store, Wakeups
from mailstead.mail.verification import Verification, next_look, proofs

log = logging.getLogger("mailstead.verifier")

LOOK_SECONDS = 30.0
"""How often the due ones are looked for."""


class Verifier:
    """The role that keeps identities' states true."""

    def __init__(
        self, verification: Verification, store: Store, clock: Clock, wakeups: Wakeups
    ) -> None:
        self._verification = verification
        self._store = store
        self._clock = clock
        self._wakeups = wakeups
        self._zones_changed = False

    async def run(self) -> None:
        """Look until cancelled."""
        watch = self._wakeups.watch("identities")
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_zones())
            while True:
                changed, self._zones_changed = self._zones_changed, False
                await self._look(everything=changed)
                await watch.wait(LOOK_SECONDS)

    async def _watch_zones(self) -> None:
        watch = self._wakeups.watch("zones")
        while True:
            if await watch.wait(LOOK_SECONDS):
                self._zones_changed = True
                self._wakeups.wake("identities")

    async def _look(self, *, everything: bool) -> None:
        try:
            identities = await self._store.select(Identity, None)
        except Unavailable as error:
            log.error("identities can't be looked at now: %s", error)
            return
        for identity in identities:
            if everything or self._is_due(identity):
                try:
                    await self._verification.look(identity)
                except Conflict:
                    # Changed or deleted meanwhile, which woke us again.
                    continue
                except Unavailable as error:
                    log.error("the proofs of %s can't be kept now: %s", identity.name, error)
                except Exception:
                    log.exception("the proofs of %s can't be looked at", identity.name)

    def _is_due(self, identity: Identity) -> bool:
        fresh = any(
            proof.status is VerificationStatus.PENDING and not proof.checked
            for proof in proofs(identity)
        )
        due = next_look(identity)
        return fresh or 0 < due <= self._clock.now()
