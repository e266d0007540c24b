"""Route 53's TestDNSAnswer: what the name servers answer from one zone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.api.route53 import invalid, named_zone, zone_arn
from mailstead.mail.model import HostedZone
from mailstead.mail.zones import CHAIN_LIMIT
from mailstead.wire.domain_name import DomainNameError, name_to_wire
from mailstead.wire.rdata import TYPES, to_text
from mailstead.wire.zone_data import CNAME, Outcome, ZoneData

Params = dict[str, Any]


@operation("route53", "TestDNSAnswer", resources=zone_arn)
async def test_dns_answer(call: Call, p: Params) -> Params:
    zone = named_zone(call, p)
    # From where the question comes makes no difference to plain record sets.
    code, values = _answer(call, zone, p["RecordName"], p["RecordType"])
    return {
        "Nameserver": zone.name_servers[0],
        "RecordName": p["RecordName"],
        "RecordType": p["RecordType"],
        "RecordData": values,
        "ResponseCode": code,
        "Protocol": "UDP",
    }


def _answer(call: Call, zone: HostedZone, name: str, record_type: str) -> tuple[str, Sequence[str]]:
    """The response code and the values of the answer, aliases within the zone before them."""
    records = call.ports.zones.record_sets(zone)
    data = ZoneData(zone.domain, [(one.owner, one.type, one.ttl, one.values) for one in records])
    try:
        asked = name_to_wire(name)
    except DomainNameError as error:
        raise invalid(error.text) from None
    if not _is_within(asked, data.apex):
        return "REFUSED", ()
    values: list[str] = []
    for _ in range(CHAIN_LIMIT):
        found = data.find(asked, TYPES.get(record_type, 0))
        if found.outcome is Outcome.NXDOMAIN:
            return "NXDOMAIN", values
        if found.rrset is None or found.outcome is Outcome.REFERRAL:
            break
        shown = "CNAME" if found.rrset.type == CNAME else record_type
        values += [to_text(shown, rdata) for rdata in found.rrset.rdatas]
        asked = found.rrset.rdatas[0]
        if found.outcome is not Outcome.ALIAS or not _is_within(asked, data.apex):
            break
    return "NOERROR", values


def _is_within(name: bytes, apex: bytes) -> bool:
    """Whether a name is the apex or below it; both in wire form."""
    while name:
        if name == apex:
            return True
        name = name[1 + name[0] :]
    return False
