"""Actions on the keys of hosted zones: made, switched, taken away; signing begun and ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailstead.mail import zone_signing
from mailstead.mail.errors import Conflict
from mailstead.mail.model import HostedZone, KeySigningKey, ZoneSigning
from mailstead.mail.ports import Clock, Randomness
from mailstead.mail.zone_signing import NewKey
from mailstead.mail.zones import Zones


@dataclass(frozen=True, slots=True)
class ZoneKeys:
    """What signs the hosted zones. Errors are those of `zone_signing` and of `Zones.replace`."""

    zones: Zones
    randomness: Randomness
    clock: Clock

    async def create(self, zone: HostedZone, asked: NewKey) -> HostedZone:
        """Make a key-signing key."""
        private = self.randomness.p256_key()
        changed = zone_signing.with_key(zone.signing, asked, private, self.clock.now())
        return await self.zones.sign(zone, changed)

    async def delete(self, zone: HostedZone, name: str) -> HostedZone:
        """Take a key-signing key away that is not active."""
        return await self.zones.sign(zone, zone_signing.without_key(zone, name))

    async def set_active(self, zone: HostedZone, name: str, *, active: bool) -> HostedZone:
        """Switch a key-signing key; Conflict (reason ``parent``) where others rely on it."""
        key = zone_signing.key_of(zone, name)
        if key.active == active:
            return zone
        if not active:
            self._check_parent(zone, [key])
        now = self.clock.now()
        return await self.zones.sign(
            zone, zone_signing.with_status(zone, name, active=active, now=now)
        )

    async def enable(self, zone: HostedZone) -> HostedZone:
        """Sign a zone."""
        changed: ZoneSigning = zone_signing.enabled(zone, self.randomness.p256_key())
        return zone if changed == zone.signing else await self.zones.sign(zone, changed)

    async def disable(self, zone: HostedZone) -> HostedZone:
        """Sign a zone no more; Conflict (reason ``parent``) where others rely on that."""
        changed = zone_signing.disabled(zone)
        self._check_parent(zone, zone.signing.keys)
        return await self.zones.sign(zone, changed)

    def _check_parent(self, zone: HostedZone, keys: Sequence[KeySigningKey]) -> None:
        """Keys stay that a parent zone here points to: validators would believe nothing else."""
        tags = {zone_signing.entry_key(key).tag for key in keys}
        if tags & self.zones.delegation_keys(zone):
            raise Conflict(
                f"The parent zone of {zone.domain} has a DS record for the key: delete that "
                "first, and wait for its TTL.",
                resource="key-signing-key",
                name=zone.domain,
                reason="parent",
            )
