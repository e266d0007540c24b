"""``AWS::Route53::KeySigningKey`` and ``DNSSEC``: the signing of hosted zones."""

from __future__ import annotations

from typing import ClassVar

from mailstead.api.cloudformation.resources import (
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
)
from mailstead.api.cloudformation.resources.route53 import zone_of
from mailstead.api.route53_dnssec import ACTIVE, INACTIVE, keys, new_key
from mailstead.mail.errors import NotFound
from mailstead.mail.model import HostedZone
from mailstead.mail.zone_signing import key_of


def _zone(at: Context, given: Properties, action: str) -> HostedZone:
    """The zone, once the action on it was allowed."""
    zone = zone_of(at, given)
    at.authorise(f"route53:{action}", f"arn:aws:route53:::hostedzone/{zone.name}")
    return zone


class KeySigningKey:
    """A key that signs a zone's keys."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::Route53::KeySigningKey",
        properties=dict.fromkeys(("HostedZoneId", "KeyManagementServiceArn", "Name", "Status")),
        required=("HostedZoneId", "KeyManagementServiceArn", "Name", "Status"),
        create_only=("HostedZoneId", "KeyManagementServiceArn", "Name"),
        recorded=("KeyManagementServiceArn",),
        atomic=True,
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        zone = _zone(at, given, "CreateKeySigningKey")
        # Of this stack and no other: a call with the same reference is this one again.
        reference = f"{at.stack_arn} {at.logical_id} {given['Name']}"
        made = Made(f"{zone.name}|{given['Name']}")
        if at.resuming and any(one.caller_reference == reference for one in zone.signing.keys):
            return made
        await keys(at.ports).create(zone, new_key({**given, "CallerReference": reference}))
        return made

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        active = new_key({**new, "CallerReference": ""}).active
        zone = _zone(at, new, "ActivateKeySigningKey" if active else "DeactivateKeySigningKey")
        await keys(at.ports).set_active(zone, str(new["Name"]), active=active)
        return Made(physical_id)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        try:
            zone = _zone(at, given, "DeleteKeySigningKey")
            key = key_of(zone, str(given["Name"]))
        except NotFound:
            return
        if key.active:
            _zone(at, given, "DeactivateKeySigningKey")
            zone = await keys(at.ports).set_active(zone, key.name, active=False)
        await keys(at.ports).delete(zone, key.name)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        try:
            key = key_of(zone_of(at, given), str(given["Name"]))
        except NotFound:
            return None
        return {**given, "Status": ACTIVE if key.active else INACTIVE}


class Dnssec:
    """That a zone is signed."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::Route53::DNSSEC",
        properties={"HostedZoneId": None},
        required=("HostedZoneId",),
        create_only=("HostedZoneId",),
        atomic=True,
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        zone = _zone(at, given, "EnableHostedZoneDNSSEC")
        await keys(at.ports).enable(zone)
        return Made(zone.name)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        return Made(physical_id)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        try:
            zone = _zone(at, given, "DisableHostedZoneDNSSEC")
        except NotFound:
            return
        if zone.signing.enabled:
            await keys(at.ports).disable(zone)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        try:
            zone = zone_of(at, given)
        except NotFound:
            return None
        return dict(given) if zone.signing.enabled else None
