"""Route 53 operations on reusable delegation sets, and the limits of accounts, zones and sets."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Sequence
from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.api.route53 import (
    bare,
    invalid,
    named_zone,
    page_size,
    set_out,
    sets,
    zone_arn,
)
from mailstead.mail.delegation_sets import SET_LIMIT, ZONES_A_SET, DelegationSet
from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.model import HostedZone
from mailstead.mail.zones import NAME_SERVERS, ZONE_LIMIT

Params = dict[str, Any]

SETS_A_PAGE = 100
RECORD_SETS_A_ZONE = 10_000
"""Route 53's quota, as it is told; a zone here may have more."""


def set_arn(_call: Call, p: Params) -> Sequence[str]:
    """The delegation set that a call is about."""
    return (f"arn:aws:route53:::delegationset/{bare(p.get('DelegationSetId') or p['Id'])}",)


@operation("route53", "CreateReusableDelegationSet")
async def create_reusable_delegation_set(call: Call, p: Params) -> Params:
    zone = _zone_of_set(call, p["HostedZoneId"]) if p.get("HostedZoneId") else None
    made = DelegationSet(
        call.scope.everywhere(),
        f"N{b32encode(call.ports.randomness.token(13)).decode()[:20]}",
        p["CallerReference"],
        zone.name_servers if zone is not None else NAME_SERVERS,
        call.ports.clock.now(),
    )
    kept = await sets(call).create(made, zone)
    return {"DelegationSet": set_out(kept), "Location": f"/2013-04-01/delegationset/{kept.name}"}


def _zone_of_set(call: Call, zone_id: str) -> HostedZone:
    try:
        return call.ports.zones.zone(call.scope, bare(zone_id))
    except NotFound as error:
        raise NotFound(error.text, resource="zone-of-set", name=zone_id) from None


@operation("route53", "GetReusableDelegationSet", resources=set_arn)
async def get_reusable_delegation_set(call: Call, p: Params) -> Params:
    return {"DelegationSet": set_out(await sets(call).require(call.scope, bare(p["Id"])))}


@operation("route53", "ListReusableDelegationSets")
async def list_reusable_delegation_sets(call: Call, p: Params) -> Params:
    size = page_size(p, SETS_A_PAGE)
    found = await sets(call).listed(call.scope)
    marker = p.get("Marker") or ""
    if marker:
        ids = [one.name for one in found]
        if bare(marker) not in ids:
            raise invalid(f"Invalid Marker: there is no delegation set {marker}")
        found = found[ids.index(bare(marker)) :]
    more = len(found) > size
    return {
        "DelegationSets": [set_out(one) for one in found[:size]],
        "Marker": marker,
        "IsTruncated": more,
        "NextMarker": found[size].name if more else None,
        "MaxItems": str(size),
    }


@operation("route53", "DeleteReusableDelegationSet", resources=set_arn)
async def delete_reusable_delegation_set(call: Call, p: Params) -> None:
    await sets(call).delete(call.scope, bare(p["Id"]))


# Limits


@operation("route53", "GetAccountLimit")
async def get_account_limit(call: Call, p: Params) -> Params:
    kind = p["Type"]
    if kind == "MAX_HOSTED_ZONES_BY_OWNER":
        return _limit(kind, ZONE_LIMIT, len(call.ports.zones.listed(call.scope)))
    if kind == "MAX_REUSABLE_DELEGATION_SETS_BY_OWNER":
        return _limit(kind, SET_LIMIT, len(await sets(call).listed(call.scope)))
    raise invalid(f"mailstead has no limit {kind}: it serves neither health checks nor policies")


@operation("route53", "GetHostedZoneLimit", resources=zone_arn)
async def get_hosted_zone_limit(call: Call, p: Params) -> Params:
    zone, kind = named_zone(call, p), p["Type"]
    if kind != "MAX_RRSETS_BY_ZONE":
        raise Invalid(
            f"The hosted zone {zone.name} is a public hosted zone.", resource="vpc", name=zone.name
        )
    return _limit(kind, RECORD_SETS_A_ZONE, call.ports.zones.count(zone.name))


@operation("route53", "GetReusableDelegationSetLimit", resources=set_arn)
async def get_reusable_delegation_set_limit(call: Call, p: Params) -> Params:
    found = await sets(call).require(call.scope, bare(p["DelegationSetId"]))
    return _limit(p["Type"], ZONES_A_SET, len(sets(call).zones_of(call.scope, found.name)))


def _limit(kind: str, value: int, count: int) -> Params:
    return {"Limit": {"Type": kind, "Value": value}, "Count": count}


# What is private: nothing


@operation("route53", "ListHostedZonesByVPC")
async def list_hosted_zones_by_vpc(call: Call, p: Params) -> Params:
    return {"HostedZoneSummaries": [], "MaxItems": str(page_size(p, 100))}
