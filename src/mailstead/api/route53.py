"""Route 53 operations on hosted zones and their record sets.

Ids come with or without ``/hostedzone/`` and ``/change/`` in front, and go out
with it. A change is answered for by this server's DNS as soon as the call
returns, so GetChange finds every change in sync; an id says by itself when it was.
"""

from __future__ import annotations

import re
from base64 import b32decode, b32encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.mail.delegation_sets import DelegationSet, DelegationSets
from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.model import HostedZone, RecordSet
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.zones import changed_tags
from mailstead.wire.domain_name import DomainNameError, canonical_name

Params = dict[str, Any]

ZONES_A_PAGE = 100
RECORDS_A_PAGE = 300
TAGS = 50
FIRST_CHANGE = 1_577_836_800_000
"""2020, in milliseconds since 1970: no change id is older."""
_CHANGE_ID = re.compile(r"C[A-Z2-7]{16}")
_NOT_FOR_ZONES = ("VPC", "EnablePublicDNSFallback", "ChangeGuardrails")
_SERVED = frozenset({"Name", "Type", "TTL", "ResourceRecords"})
"""Members of a record set; the others choose among answers, or point into AWS."""


# What calls have in common


def bare(found: str) -> str:
    """An id without what may stand in front."""
    return found.rpartition("/")[2]


def zone_arn(_call: Call, p: Params) -> Sequence[str]:
    """The zone that a call is about."""
    return (f"arn:aws:route53:::hostedzone/{bare(p.get('HostedZoneId') or p['Id'])}",)


def change_arn(_call: Call, p: Params) -> Sequence[str]:
    """The change that a call is about."""
    return (f"arn:aws:route53:::change/{bare(p['Id'])}",)


def tagged_arn(_call: Call, p: Params) -> Sequence[str]:
    """The zone or health check whose tags a call is about."""
    return (f"arn:aws:route53:::{p['ResourceType']}/{bare(p['ResourceId'])}",)


def each_tagged_arn(_call: Call, p: Params) -> Sequence[str]:
    """The zones or health checks whose tags a call is about."""
    return [f"arn:aws:route53:::{p['ResourceType']}/{bare(one)}" for one in p["ResourceIds"]]


def named_zone(call: Call, p: Params) -> HostedZone:
    """The zone that a call is about; NotFound where the account has none of that id."""
    return call.ports.zones.zone(call.scope, bare(p.get("HostedZoneId") or p["Id"]))


def sets(call: Call) -> DelegationSets:
    """The reusable delegation sets."""
    return DelegationSets(call.ports.store, call.ports.zones)


def page_size(p: Params, most: int) -> int:
    """How many items a page has: as asked for, up to what Route 53 gives."""
    asked = p.get("MaxItems")
    if asked is None:
        return most
    if not (asked.isascii() and asked.isdecimal()) or int(asked[:9]) < 1:
        raise invalid(f"Invalid MaxItems: {asked} is no number from 1 on")
    return min(int(asked[:9]), most)


def invalid(text: str) -> Invalid:
    """A request that is not valid, in words of our own."""
    return Invalid(text, resource="request", reason="parameter")


def _zone_out(call: Call, zone: HostedZone) -> Params:
    return {
        "Id": f"/hostedzone/{zone.name}",
        "Name": f"{zone.domain}.",
        "CallerReference": zone.caller_reference,
        "Config": {"Comment": zone.comment or None, "PrivateZone": zone.private},
        "ResourceRecordSetCount": call.ports.zones.count(zone.name),
    }


def _record_set_out(found: RecordSet) -> Params:
    return {
        "Name": f"{found.owner}.",
        "Type": found.type,
        "TTL": found.ttl,
        "ResourceRecords": [{"Value": value} for value in found.values],
    }


async def _servers_out(call: Call, zone: HostedZone) -> Params:
    if zone.delegation_set:
        return set_out(await sets(call).require(call.scope, zone.delegation_set))
    return {"NameServers": list(zone.name_servers)}


def set_out(found: DelegationSet) -> Params:
    """A reusable delegation set."""
    return {
        "Id": f"/delegationset/{found.name}",
        "CallerReference": found.caller_reference,
        "NameServers": list(found.name_servers),
    }


def change_out(call: Call, comment: str | None = None) -> Params:
    """A new change. Route 53 shows each as pending first."""
    now = call.ports.clock.now()
    octets = now.to_bytes(6) + call.ports.randomness.token(4)
    return {
        "Id": f"/change/C{b32encode(octets).decode()}",
        "Status": "PENDING",
        "SubmittedAt": now // 1000,
        "Comment": comment,
    }


# Hosted zones


@operation("route53", "CreateHostedZone")
async def create_hosted_zone(call: Call, p: Params) -> Params:
    config = p.get("HostedZoneConfig", {})
    refused = [name for name in _NOT_FOR_ZONES if p.get(name)]
    if refused or config.get("PrivateZone"):
        what = refused[0] if refused else "HostedZoneConfig.PrivateZone"
        raise invalid(f"mailstead serves public hosted zones only: leave out {what}")
    set_id = bare(p.get("DelegationSetId") or "")
    zone = await call.ports.zones.create(
        call.scope,
        p["Name"],
        p["CallerReference"],
        comment=config.get("Comment", ""),
        delegation_set=(await sets(call).joined(call.scope, set_id)).name if set_id else "",
    )
    return {
        "HostedZone": _zone_out(call, zone),
        "ChangeInfo": change_out(call),
        "DelegationSet": await _servers_out(call, zone),
        "Location": f"/2013-04-01/hostedzone/{zone.name}",
    }


@operation("route53", "GetHostedZone", resources=zone_arn)
async def get_hosted_zone(call: Call, p: Params) -> Params:
    zone = named_zone(call, p)
    servers = await _servers_out(call, zone)
    return {"HostedZone": _zone_out(call, zone), "DelegationSet": servers}


@operation("route53", "GetHostedZoneCount")
async def get_hosted_zone_count(call: Call, _p: Params) -> Params:
    return {"HostedZoneCount": len(call.ports.zones.listed(call.scope))}


@operation("route53", "ListHostedZones")
async def list_hosted_zones(call: Call, p: Params) -> Params:
    size = page_size(p, ZONES_A_PAGE)
    zones = call.ports.zones.listed(call.scope)
    if p.get("DelegationSetId"):
        found = await sets(call).require(call.scope, bare(p["DelegationSetId"]))
        zones = sets(call).zones_of(call.scope, found.name)
    if p.get("HostedZoneType"):
        # The one type to ask for is private, and all zones are public.
        zones = []
    marker = p.get("Marker")
    if marker is not None:
        ids = [zone.name for zone in zones]
        if bare(marker) not in ids:
            raise invalid(f"Invalid Marker: there is no hosted zone {marker}")
        zones = zones[ids.index(bare(marker)) :]
    more = len(zones) > size
    return {
        "HostedZones": [_zone_out(call, zone) for zone in zones[:size]],
        "Marker": marker,
        "IsTruncated": more,
        "NextMarker": zones[size].name if more else None,
        "MaxItems": str(size),
    }


@operation("route53", "ListHostedZonesByName")
async def list_hosted_zones_by_name(call: Call, p: Params) -> Params:
    size = page_size(p, ZONES_A_PAGE)
    name, zone_id = p.get("DNSName"), p.get("HostedZoneId")
    if zone_id and not name:
        raise invalid("HostedZoneId needs a DNSName beside it")
    zones = call.ports.zones.by_name(call.scope, name or "", bare(zone_id or ""))
    rest = zones[size : size + 1]
    return {
        "HostedZones": [_zone_out(call, zone) for zone in zones[:size]],
        "DNSName": name,
        "HostedZoneId": zone_id,
        "IsTruncated": bool(rest),
        "NextDNSName": f"{rest[0].domain}." if rest else None,
        "NextHostedZoneId": rest[0].name if rest else None,
        "MaxItems": str(size),
    }


@operation("route53", "UpdateHostedZoneComment", resources=zone_arn)
async def update_hosted_zone_comment(call: Call, p: Params) -> Params:
    old = named_zone(call, p)
    zone = await call.ports.zones.replace(old, replace(old, comment=p.get("Comment", "")))
    return {"HostedZone": _zone_out(call, zone)}


@operation("route53", "DeleteHostedZone", resources=zone_arn)
async def delete_hosted_zone(call: Call, p: Params) -> Params:
    await call.ports.zones.delete(named_zone(call, p))
    return {"ChangeInfo": change_out(call)}


# Record sets


@operation("route53", "ChangeResourceRecordSets", open_=True)
async def change_resource_record_sets(call: Call, p: Params) -> Params:
    batch = p["ChangeBatch"]
    changes = [_change_in(change) for change in batch["Changes"]]
    call.authorise("route53:ChangeResourceRecordSets", zone_arn(call, p), _condition_keys(changes))
    zone = named_zone(call, p)
    for change in batch["Changes"]:
        _check_served(change["ResourceRecordSet"])
    await call.ports.zones.change(zone, changes)
    return {"ChangeInfo": change_out(call, batch.get("Comment"))}


def _change_in(change: Mapping[str, Any]) -> RecordChange:
    found = change["ResourceRecordSet"]
    return RecordChange(
        change["Action"],
        found["Name"],
        found["Type"],
        found.get("TTL"),
        tuple(record["Value"] for record in found.get("ResourceRecords", ())),
    )


def _check_served(found: Mapping[str, Any]) -> None:
    others = sorted(name for name in found.keys() - _SERVED if found[name] is not None)
    if others:
        raise Invalid(
            f"[mailstead serves plain record sets only: {found['Name']} {found['Type']} has "
            f"{', '.join(others)}]",
            resource="record-set",
            name=found["Name"],
            reason="routing",
        )


def _condition_keys(changes: Sequence[RecordChange]) -> dict[str, Sequence[str]]:
    """What policies on record sets look at (Service Authorization Reference, Route 53)."""
    prefix = "route53:ChangeResourceRecordSets"
    return {
        f"{prefix}NormalizedRecordNames": _each(_normalized(one.owner) for one in changes),
        f"{prefix}RecordTypes": _each(one.type for one in changes),
        f"{prefix}Actions": _each(one.action for one in changes),
    }


def _each(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _normalized(owner: str) -> str:
    try:
        return canonical_name(owner)
    except DomainNameError:
        return owner


@operation("route53", "ListResourceRecordSets", resources=zone_arn)
async def list_resource_record_sets(call: Call, p: Params) -> Params:
    size = page_size(p, RECORDS_A_PAGE)
    name, record_type = p.get("StartRecordName", ""), p.get("StartRecordType", "")
    if record_type and not name:
        raise invalid("StartRecordType needs a StartRecordName beside it")
    zone = named_zone(call, p)
    found = call.ports.zones.record_sets(zone, name, record_type, size + 1)
    rest = found[size:]
    return {
        "ResourceRecordSets": [_record_set_out(one) for one in found[:size]],
        "IsTruncated": bool(rest),
        "NextRecordName": f"{rest[0].owner}." if rest else None,
        "NextRecordType": rest[0].type if rest else None,
        "MaxItems": str(size),
    }


@operation("route53", "GetChange", resources=change_arn)
async def get_change(call: Call, p: Params) -> Params:
    change_id = bare(p["Id"])
    submitted = 0
    if _CHANGE_ID.fullmatch(change_id):
        submitted = int.from_bytes(b32decode(change_id[1:])[:6])
    if not FIRST_CHANGE <= submitted <= call.ports.clock.now():
        raise NotFound(
            f"Could not find resource with ID: {change_id}", resource="change", name=change_id
        )
    return {
        "ChangeInfo": {
            "Id": f"/change/{change_id}",
            "Status": "INSYNC",
            "SubmittedAt": submitted // 1000,
        }
    }


# Tags


def _tagged(call: Call, p: Params) -> HostedZone:
    if p["ResourceType"] != "hostedzone":
        raise NotFound(
            f"No health check exists with the specified ID: {p['ResourceId']}",
            resource="health-check",
            name=p["ResourceId"],
        )
    return call.ports.zones.zone(call.scope, bare(p["ResourceId"]))


@operation("route53", "ListTagsForResource", resources=tagged_arn)
async def list_tags_for_resource(call: Call, p: Params) -> Params:
    return {"ResourceTagSet": _tags_out(_tagged(call, p))}


def _tags_out(zone: HostedZone) -> Params:
    tags = [{"Key": key, "Value": value} for key, value in zone.tags.items()]
    return {"ResourceType": "hostedzone", "ResourceId": zone.name, "Tags": tags}


@operation("route53", "ListTagsForResources", resources=each_tagged_arn)
async def list_tags_for_resources(call: Call, p: Params) -> Params:
    kind = {"ResourceType": p["ResourceType"]}
    zones = [_tagged(call, {**kind, "ResourceId": one}) for one in p["ResourceIds"]]
    return {"ResourceTagSets": [_tags_out(zone) for zone in zones]}


@operation("route53", "ChangeTagsForResource", resources=tagged_arn)
async def change_tags_for_resource(call: Call, p: Params) -> None:
    zone = _tagged(call, p)
    added = {tag.get("Key", ""): tag.get("Value", "") for tag in p.get("AddTags", ())}
    new = changed_tags(zone, added, p.get("RemoveTagKeys", ()))
    if len(new.tags) > TAGS:
        raise invalid(f"A hosted zone has at most {TAGS} tags")
    await call.ports.zones.replace(zone, new)
