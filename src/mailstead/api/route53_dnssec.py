"""Route 53 operations on the signing of hosted zones.

The keys are made and held here; the ARN of a KMS key, which the API asks for, is
recorded only.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from mailstead.api.operation import Call, Ports, operation
from mailstead.api.route53 import change_out, named_zone, zone_arn
from mailstead.mail.errors import Invalid
from mailstead.mail.model import HostedZone, KeySigningKey
from mailstead.mail.zone_keys import ZoneKeys
from mailstead.mail.zone_signing import NewKey, delegation, entry_key
from mailstead.wire.dnssec import ALGORITHM, DIGEST

Params = dict[str, Any]

ACTIVE, INACTIVE = "ACTIVE", "INACTIVE"
ALGORITHM_NAME, DIGEST_NAME = "ECDSAP256SHA256", "SHA-256"


def _key_out(zone: HostedZone, key: KeySigningKey) -> Params:
    public = entry_key(key)
    shown = b64encode(public.public).decode()
    ds_record = delegation(zone, key)
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


def keys(ports: Ports) -> ZoneKeys:
    """What is done with keys."""
    return ZoneKeys(ports.zones, ports.randomness, ports.clock)


def new_key(p: Params) -> NewKey:
    """A key-signing key as a request, or a template, describes it."""
    if p["Status"] not in (ACTIVE, INACTIVE):
        raise Invalid(
            f"The status {p['Status']} is not valid: ACTIVE or INACTIVE.", resource="key-status"
        )
    return NewKey(
        str(p["Name"]),
        str(p["CallerReference"]),
        str(p["KeyManagementServiceArn"]),
        p["Status"] == ACTIVE,
    )


@operation("route53", "CreateKeySigningKey", resources=zone_arn)
async def create_key_signing_key(call: Call, p: Params) -> Params:
    zone = await keys(call.ports).create(named_zone(call, p), new_key(p))
    made = zone.signing.keys[-1]
    return {
        "ChangeInfo": change_out(call),
        "KeySigningKey": _key_out(zone, made),
        "Location": f"/2013-04-01/keysigningkey/{zone.name}/{made.name}",
    }


@operation("route53", "DeleteKeySigningKey", resources=zone_arn)
async def delete_key_signing_key(call: Call, p: Params) -> Params:
    await keys(call.ports).delete(named_zone(call, p), p["Name"])
    return {"ChangeInfo": change_out(call)}


@operation("route53", "ActivateKeySigningKey", resources=zone_arn)
async def activate_key_signing_key(call: Call, p: Params) -> Params:
    await keys(call.ports).set_active(named_zone(call, p), p["Name"], active=True)
    return {"ChangeInfo": change_out(call)}


@operation("route53", "DeactivateKeySigningKey", resources=zone_arn)
async def deactivate_key_signing_key(call: Call, p: Params) -> Params:
    await keys(call.ports).set_active(named_zone(call, p), p["Name"], active=False)
    return {"ChangeInfo": change_out(call)}


@operation("route53", "EnableHostedZoneDNSSEC", resources=zone_arn)
async def enable_hosted_zone_dnssec(call: Call, p: Params) -> Params:
    await keys(call.ports).enable(named_zone(call, p))
    return {"ChangeInfo": change_out(call)}


@operation("route53", "DisableHostedZoneDNSSEC", resources=zone_arn)
async def disable_hosted_zone_dnssec(call: Call, p: Params) -> Params:
    await keys(call.ports).disable(named_zone(call, p))
    return {"ChangeInfo": change_out(call)}


@operation("route53", "GetDNSSEC", resources=zone_arn)
async def get_dnssec(call: Call, p: Params) -> Params:
    zone = named_zone(call, p)
    return {
        "Status": {"ServeSignature": "SIGNING" if zone.signing.enabled else "NOT_SIGNING"},
        "KeySigningKeys": [_key_out(zone, key) for key in zone.signing.keys],
    }
