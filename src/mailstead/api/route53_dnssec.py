"""Route 53 operations on the signing of hosted zones.

The keys are made and held here; the ARN of a KMS key, which the API asks for, is
recorded only.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.api.route53 import bare, change_out, named_zone, zone_arn
from mailstead.mail import zone_signing
from mailstead.mail.errors import Conflict, Invalid
from mailstead.mail.model import HostedZone, KeySigningKey, ZoneSigning
from mailstead.mail.zone_signing import NewKey
from mailstead.wire.dnssec import ALGORITHM, DIGEST, ds
from mailstead.wire.domain_name import name_to_wire
from mailstead.wire.rdata import to_text

Params = dict[str, Any]

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
ALGORITHM_NAME, DIGEST_NAME = "ECDSAP256SHA256", "SHA-256"


def _key_out(zone: HostedZone, key: KeySigningKey) -> Params:
    public = zone_signing.entry_key(key)
    shown = b64encode(public.public).decode()
    ds_record = to_text("DS", ds(name_to_wire(zone.domain), public))
    return {
        "Name": key.name,
        "KmsArn": key.kms_arn,
        "Flag": public.flags,
        "SigningAlgorithmMnemonic": ALGORITHM_NAME,
        "SigningAlgorithmType": ALGORITHM,
        "DigestAlgorithmMnemonic": DIGEST_NAME,
        "DigestAlgorithmType": DIGEST,
        "KeyTag": public.tag,
        "DigestValue": ds_record.rpartition(" ")[2],
        "PublicKey": shown,
        "DSRecord": ds_record,
        "DNSKEYRecord": f"{public.flags} 3 {ALGORITHM} {shown}",
        "Status": ACTIVE if key.active else INACTIVE,
        "CreatedDate": key.created_at // 1000,
        "LastModifiedDate": key.changed_at // 1000,
    }


def _check_parent(call: Call, zone: HostedZone, keys: Sequence[KeySigningKey]) -> None:
    """Refuse to take keys away that a parent zone here points to: nobody would believe the rest."""
    tags = {zone_signing.entry_key(key).tag for key in keys}
    pointed = call.ports.zones.delegation_keys(zone)
    if tags & pointed:
        raise Conflict(
            f"The parent zone of {zone.domain} has a DS record for the key: delete that first, "
            "and wait for its TTL.",
            resource="key-signing-key",
            name=zone.domain,
            reason="parent",
        )


async def _sign(call: Call, zone: HostedZone, changed: ZoneSigning) -> HostedZone:
    return zone if changed == zone.signing else await call.ports.zones.sign(zone, changed)


@operation("route53", "CreateKeySigningKey", resources=zone_arn)
async def create_key_signing_key(call: Call, p: Params) -> Params:
    if p["Status"] not in (ACTIVE, INACTIVE):
        raise Invalid(
            f"The status {p['Status']} is not valid: ACTIVE or INACTIVE.", resource="key-status"
        )
    zone = named_zone(call, p)
    asked = NewKey(
        p["Name"], p["CallerReference"], p["KeyManagementServiceArn"], p["Status"] == ACTIVE
    )
    private = call.ports.randomness.p256_key()
    changed = zone_signing.with_key(zone.signing, asked, private, call.ports.clock.now())
    zone = await _sign(call, zone, changed)
    return {
        "ChangeInfo": change_out(call),
        "KeySigningKey": _key_out(zone, zone.signing.keys[-1]),
        "Location": f"/2013-04-01/keysigningkey/{zone.name}/{asked.name}",
    }


@operation("route53", "DeleteKeySigningKey", resources=zone_arn)
async def delete_key_signing_key(call: Call, p: Params) -> Params:
    zone = named_zone(call, p)
    await _sign(call, zone, zone_signing.without_key(zone, p["Name"]))
    return {"ChangeInfo": change_out(call)}


@operation("route53", "ActivateKeySigningKey", resources=zone_arn)
async def activate_key_signing_key(call: Call, p: Params) -> Params:
    return await _set_status(call, p, active=True)


@operation("route53", "DeactivateKeySigningKey", resources=zone_arn)
async def deactivate_key_signing_key(call: Call, p: Params) -> Params:
    zone = named_zone(call, p)
    _check_parent(call, zone, [zone_signing.key_of(zone, p["Name"])])
    return await _set_status(call, p, active=False)


async def _set_status(call: Call, p: Params, *, active: bool) -> Params:
    zone = named_zone(call, p)
    now = call.ports.clock.now()
    await _sign(call, zone, zone_signing.with_status(zone, p["Name"], active=active, now=now))
    return {"ChangeInfo": change_out(call)}


@operation("route53", "EnableHostedZoneDNSSEC", resources=zone_arn)
async def enable_hosted_zone_dnssec(call: Call, p: Params) -> Params:
    zone = named_zone(call, p)
    await _sign(call, zone, zone_signing.enabled(zone, call.ports.randomness.p256_key()))
    return {"ChangeInfo": change_out(call)}


@operation("route53", "DisableHostedZoneDNSSEC", resources=zone_arn)
async def disable_hosted_zone_dnssec(call: Call, p: Params) -> Params:
    zone = named_zone(call, p)
    changed = zone_signing.disabled(zone)
    _check_parent(call, zone, zone.signing.keys)
    await _sign(call, zone, changed)
    return {"ChangeInfo": change_out(call)}


@operation("route53", "GetDNSSEC", resources=zone_arn)
async def get_dnssec(call: Call, p: Params) -> Params:
    zone = call.ports.zones.zone(call.scope, bare(p["HostedZoneId"]))
    return {
        "Status": {"ServeSignature": "SIGNING" if zone.signing.enabled else "NOT_SIGNING"},
        "KeySigningKeys": [_key_out(zone, key) for key in zone.signing.keys],
    }
