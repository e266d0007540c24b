"""``AWS::Route53::*``: hosted zones and record sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
)
from mailstead.mail.delegation_sets import DelegationSets
from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.model import HostedZone
from mailstead.mail.record_changes import RecordChange
from mailstead.wire.domain_name import DomainNameError, canonical_name

ROUTING = (
    "AliasTarget",
    "CidrRoutingConfig",
    "Failover",
    "GeoLocation",
    "GeoProximityLocation",
    "HealthCheckId",
    "MultiValueAnswer",
    "Region",
    "SetIdentifier",
    "Weight",
)
_RECORD: dict[str, Any] = {
    "Comment": None,
    "HostedZoneId": None,
    "HostedZoneName": None,
    "Name": None,
    "ResourceRecords": ANY,
    "TTL": None,
    "Type": None,
} | dict.fromkeys(ROUTING)


def zone_of(at: Context, given: Properties) -> HostedZone:
    """The zone that records go into: by id, or the only one of a name."""
    zones, scope = at.ports.zones, at.scope.everywhere()
    if given.get("HostedZoneId"):
        return zones.zone(scope, str(given["HostedZoneId"]).removeprefix("/hostedzone/"))
    name = str(given.get("HostedZoneName") or "")
    domain = _canonical(name)
    found = [zone for zone in zones.listed(scope) if zone.domain == domain]
    if len(found) != 1:
        problem = "No hosted zones" if not found else "Multiple hosted zones"
        raise Invalid(f"{problem} named {name} found", resource="hosted-zone", name=name)
    return found[0]


def change(action: str, given: Properties) -> RecordChange:
    """A change of a batch from a record set's properties."""
    ttl = given.get("TTL")
    values = given.get("ResourceRecords") or ()
    return RecordChange(
        action,
        str(given["Name"]),
        str(given["Type"]),
        int(ttl) if ttl is not None and str(ttl).isdecimal() else None,
        tuple(str(value) for value in values),
    )


def _authorise(at: Context, zone: HostedZone) -> None:
    at.authorise("route53:ChangeResourceRecordSets", f"arn:aws:route53:::hostedzone/{zone.name}")


def _live(at: Context, zone: HostedZone, given: Properties) -> Properties | None:
    """What stands in the zone under a record set's name and type."""
    owner = _canonical(str(given["Name"]))
    kind = str(given["Type"])
    for record in at.ports.zones.record_sets(zone, owner, kind, 1) if owner else ():
        if record.owner == owner and record.type == kind:
            return {
                **given,
                "TTL": str(record.ttl),
                "ResourceRecords": list(record.values),
            }
    return None


class RecordSet:
    """One record set: created by CREATE, which fails where it exists; changed by UPSERT."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::Route53::RecordSet",
        properties=_RECORD,
        required=("Name", "Type"),
        create_only=("HostedZoneId", "HostedZoneName", "Name"),
        recorded=("Comment",),
        refused=ROUTING,
        atomic=True,
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, _plain(old), _plain(new))

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        zone = zone_of(at, given)
        _authorise(at, zone)
        wanted = change("CREATE", given)
        if at.resuming and _same(_live(at, zone, given), given):
            return Made(_name(given))
        await at.ports.zones.change(zone, [wanted])
        return Made(_name(given))

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        zone = zone_of(at, new)
        _authorise(at, zone)
        if not (at.resuming and _same(_live(at, zone, new), new)):
            batch = [change("UPSERT", new)]
            if old.get("Type") != new.get("Type"):
                live = _live(at, zone, old)
                gone = [change("DELETE", live)] if live is not None else []
                batch = [*gone, change("CREATE", new)]
            await at.ports.zones.change(zone, batch)
        return Made(_name(new))

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        try:
            zone = zone_of(at, given)
        except (NotFound, Invalid):
            return
        _authorise(at, zone)
        live = _live(at, zone, given)
        if live is not None:
            await at.ports.zones.change(zone, [change("DELETE", live)])

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        try:
            zone = zone_of(at, given)
        except (NotFound, Invalid):
            return None
        return _live(at, zone, given)


def _name(given: Properties) -> str:
    return str(given["Name"]).removesuffix(".").lower()


def _plain(given: Properties) -> Properties:
    """With names in the one way that they are kept in."""
    plain = {**given, "Name": _name(given)}
    if "HostedZoneId" in given:
        plain["HostedZoneId"] = str(given["HostedZoneId"]).removeprefix("/hostedzone/")
    return plain


def _canonical(name: str) -> str:
    """A domain in the one way that it is kept in; "" for what is none."""
    try:
        return canonical_name(name)
    except DomainNameError:
        return ""


def _same(live: Properties | None, given: Properties) -> bool:
    """Whether that is what stands, and nobody else's."""
    values = [str(value) for value in given.get("ResourceRecords") or ()]
    return live is not None and (
        live["TTL"] == str(given.get("TTL")) and live["ResourceRecords"] == values
    )


class RecordSetGroup:
    """Several record sets, changed in one batch."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::Route53::RecordSetGroup",
        properties={
            "Comment": None,
            "HostedZoneId": None,
            "HostedZoneName": None,
            "RecordSets": _RECORD,
        },
        create_only=("HostedZoneId", "HostedZoneName"),
        attributes=("Id",),
        recorded=("Comment",),
        atomic=True,
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        zone = zone_of(at, given)
        _authorise(at, zone)
        sets = _sets(given)
        if at.resuming:
            sets = [one for one in sets if not _same(_live(at, zone, one), one)]
        if sets:
            await at.ports.zones.change(zone, [change("CREATE", one) for one in sets])
        return Made(name, {"Id": name})

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        zone = zone_of(at, new)
        _authorise(at, zone)
        done = all(_same(_live(at, zone, one), one) for one in _sets(new))
        if not (at.resuming and done):
            await at.ports.zones.change(zone, _differences(at, zone, old, new))
        return Made(physical_id, {"Id": physical_id})

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        try:
            zone = zone_of(at, given)
        except (NotFound, Invalid):
            return
        _authorise(at, zone)
        live = [found for one in _sets(given) if (found := _live(at, zone, one)) is not None]
        if live:
            await at.ports.zones.change(zone, [change("DELETE", one) for one in live])

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        try:
            zone = zone_of(at, given)
        except (NotFound, Invalid):
            return None
        sets = _sets(given)
        live = [found for one in sets if (found := _live(at, zone, one)) is not None]
        return {**given, "RecordSets": live} if live or not sets else None


def _differences(
    at: Context, zone: HostedZone, old: Properties, new: Properties
) -> list[RecordChange]:
    """The batch between two groups: what is new is created, and fails where it exists."""
    before = {_key(one): one for one in _sets(old)}
    after = {_key(one): one for one in _sets(new)}
    gone = [_live(at, zone, one) for key, one in before.items() if key not in after]
    batch = [change("DELETE", one) for one in gone if one is not None]
    batch += [change("UPSERT" if key in before else "CREATE", one) for key, one in after.items()]
    return batch


def _key(given: Properties) -> tuple[str, str]:
    return _name(given), str(given["Type"])


def _sets(given: Properties) -> list[Properties]:
    sets: list[Properties] = given.get("RecordSets") or []
    for one in sets:
        for name in ("Name", "Type"):
            if name not in one:
                raise Invalid(
                    f"Properties validation failed: #/RecordSets: required key [{name}] not found",
                    resource="record-set",
                )
        for name in ROUTING:
            if name in one:
                raise Invalid(
                    f"The property RecordSets.{name} of AWS::Route53::RecordSetGroup is not served",
                    resource="record-set",
                )
    return sets


class Zone:
    """A hosted zone, with SOA and NS alone."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::Route53::HostedZone",
        properties={
            "DelegationSetId": None,
            "HostedZoneConfig": {"Comment": None},
            "HostedZoneTags": ANY,
            "Name": None,
            "QueryLoggingConfig": ANY,
            "VPCs": ANY,
        },
        required=("Name",),
        create_only=("DelegationSetId", "Name"),
        attributes=("Id", "NameServers"),
        refused=("VPCs", "QueryLoggingConfig"),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        at.authorise("route53:CreateHostedZone", "*")
        scope = at.scope.everywhere()
        # The reference is the resource's own: made again after a restart, it is found.
        reference = f"{at.stack_arn}/{at.logical_id}/{name}"
        found = [
            zone for zone in at.ports.zones.listed(scope) if zone.caller_reference == reference
        ]
        zone = found[0] if found else await self._made(at, reference, given)
        return Made(zone.name, {"Id": zone.name, "NameServers": list(zone.name_servers)})

    async def _made(self, at: Context, reference: str, given: Properties) -> HostedZone:
        zones, scope = at.ports.zones, at.scope.everywhere()
        set_id = str(given.get("DelegationSetId") or "").removeprefix("/delegationset/")
        if set_id:
            await DelegationSets(at.ports.store, zones).joined(scope, set_id)
        return await zones.create(
            scope,
            str(given["Name"]),
            reference,
            comment=str((given.get("HostedZoneConfig") or {}).get("Comment", "")),
            tags=_zone_tags(given),
            delegation_set=set_id,
        )

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        zone = at.ports.zones.zone(at.scope.everywhere(), physical_id)
        at.authorise("route53:UpdateHostedZoneComment", f"arn:aws:route53:::hostedzone/{zone.name}")
        if _zone_tags(new) != _zone_tags(old):
            at.authorise(
                "route53:ChangeTagsForResource", f"arn:aws:route53:::hostedzone/{zone.name}"
            )
        comment = str((new.get("HostedZoneConfig") or {}).get("Comment", ""))
        await at.ports.zones.replace(zone, replace(zone, comment=comment, tags=_zone_tags(new)))
        return Made(zone.name, {"Id": zone.name, "NameServers": list(zone.name_servers)})

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        try:
            zone = at.ports.zones.zone(at.scope.everywhere(), physical_id)
        except NotFound:
            return
        at.authorise("route53:DeleteHostedZone", f"arn:aws:route53:::hostedzone/{zone.name}")
        await at.ports.zones.delete(zone)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        try:
            zone = at.ports.zones.zone(at.scope.everywhere(), physical_id)
        except NotFound:
            return None
        found = dict(given)
        if "HostedZoneConfig" in given:
            found["HostedZoneConfig"] = {"Comment": zone.comment}
        return found


def _zone_tags(given: Properties) -> dict[str, str]:
    return {str(one["Key"]): str(one["Value"]) for one in given.get("HostedZoneTags") or ()}
