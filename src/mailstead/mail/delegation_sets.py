"""Reusable delegation sets: name servers that several hosted zones are told to be delegated to.

All zones have the same name servers here, so a set says which zones belong together
and changes nothing else. Source: Route 53 API Reference, CreateReusableDelegationSet.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from mailstead.mail.errors import Conflict, Limit, NotFound
from mailstead.mail.model import HostedZone, Scope
from mailstead.mail.ports import Create, Remove, Store
from mailstead.mail.zones import Zones

SET_LIMIT = 100
"""Sets of an account."""
ZONES_A_SET = 100


@dataclass(frozen=True, slots=True)
class DelegationSet:
    """A reusable delegation set."""

    KIND: ClassVar[str] = "delegation-set"
    scope: Scope
    name: str
    """Its id, ``N`` and 20 letters and digits."""
    caller_reference: str
    name_servers: tuple[str, ...]
    created_at: int


@dataclass(frozen=True, slots=True)
class DelegationSets:
    """What is done with delegation sets."""

    store: Store
    zones: Zones

    async def require(self, scope: Scope, set_id: str) -> DelegationSet:
        """The account's set of this id; NotFound where there is none."""
        found = await self.store.get(DelegationSet, scope.everywhere(), set_id)
        if found is None:
            raise NotFound(
                f"No delegation set found with ID: {set_id}", resource="delegation-set", name=set_id
            )
        return found

    async def listed(self, scope: Scope) -> list[DelegationSet]:
        """An account's sets, oldest first."""
        found = await self.store.select(DelegationSet, scope.everywhere())
        return sorted(found, key=lambda one: (one.created_at, one.name))

    def zones_of(self, scope: Scope, set_id: str) -> list[HostedZone]:
        """The zones that were made with a set, oldest first."""
        return [zone for zone in self.zones.listed(scope) if zone.delegation_set == set_id]

    async def joined(self, scope: Scope, set_id: str) -> DelegationSet:
        """The set that a new zone shall have; Limit where it has as many as it may."""
        found = await self.require(scope, set_id)
        if len(self.zones_of(scope, set_id)) >= ZONES_A_SET:
            raise Limit(
                f"A reusable delegation set has at most {ZONES_A_SET} hosted zones.",
                resource="hosted-zone",
            )
        return found

    async def create(self, made: DelegationSet, zone: HostedZone | None = None) -> DelegationSet:
        """Keep a new set, of the name servers of ``zone`` where one is given, which then has it.

        Conflict for a caller reference that was used, or (reason ``reusable``) a zone
        that has a set; Limit beyond 100 sets of an account.
        """
        others = await self.listed(made.scope)
        if any(one.caller_reference == made.caller_reference for one in others):
            raise Conflict(
                "A delegation set with the same owner and caller reference combination has already "
                "been created.",
                resource="delegation-set",
                name=made.caller_reference,
                reason="exists",
            )
        if len(others) >= SET_LIMIT:
            raise Limit(
                f"An account has at most {SET_LIMIT} reusable delegation sets.",
                resource="delegation-set",
            )
        if zone is not None and zone.delegation_set:
            raise Conflict(
                "The specified delegation set has already been marked as reusable.",
                resource="delegation-set",
                name=zone.delegation_set,
                reason="reusable",
            )
        await self.store.apply(Create(made))
        if zone is not None:
            await self.zones.replace(zone, replace(zone, delegation_set=made.name))
        return made

    async def delete(self, scope: Scope, set_id: str) -> None:
        """Delete a set that no zone has; Conflict (reason ``in-use``) else."""
        found = await self.require(scope, set_id)
        if self.zones_of(scope, set_id):
            raise Conflict(
                "The specified delegation contains associated hosted zones which must be deleted "
                "before the reusable delegation set can be deleted.",
                resource="delegation-set",
                name=set_id,
                reason="in-use",
            )
        await self.store.apply(Remove(found))
