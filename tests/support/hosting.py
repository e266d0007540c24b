"""Zones of a running server, by Route 53's calls: records in them, and their signing."""

from __future__ import annotations

from typing import Any

KMS = "arn:aws:kms:us-east-1:000000000000:key/11111111-2222-3333-4444-555555555555"


def zone_id(route53: Any, domain: str) -> str:
    """The zone of a domain."""
    [zone] = route53.list_hosted_zones_by_name(DNSName=domain, MaxItems="1")["HostedZones"]
    return zone["Id"]


def put(route53: Any, domain: str, *records: tuple[str, str, str]) -> None:
    """Write records: (name below the domain, type, value)."""
    changes = [
        {
            "Action": "UPSERT",
            "ResourceRecordSet": {
                "Name": f"{name}.{domain}",
                "Type": kind,
                "TTL": 300,
                "ResourceRecords": [{"Value": value}],
            },
        }
        for name, kind, value in records
    ]
    route53.change_resource_record_sets(
        HostedZoneId=zone_id(route53, domain), ChangeBatch={"Changes": changes}
    )


def sign(route53: Any, domain: str) -> str:
    """Have a zone signed; the key-signing key as its DNSKEY record has it."""
    zone = zone_id(route53, domain)
    made = route53.create_key_signing_key(
        CallerReference="1",
        HostedZoneId=zone,
        KeyManagementServiceArn=KMS,
        Name="main",
        Status="ACTIVE",
    )
    route53.enable_hosted_zone_dnssec(HostedZoneId=zone)
    return made["KeySigningKey"]["DNSKEYRecord"]
