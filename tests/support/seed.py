"""The stack that posts about SES deploy, as CDK writes it: two identities, five records."""

from __future__ import annotations

import json
from typing import Any

from support.running import Mailstead, until

DOMAIN = "seed.example"
ADDRESS = "me@elsewhere.example"
QUARANTINE = "v=DMARC1;p=quarantine"


def resources(zone: str, dmarc: str = QUARANTINE) -> dict[str, Any]:
    """The template's resources; ``zone`` is the hosted zone's id."""

    def record(name: Any, kind: str, value: Any) -> dict[str, Any]:
        given = {"HostedZoneId": zone, "Name": name, "Type": kind, "TTL": "1800"}
        return {"Type": "AWS::Route53::RecordSet", "Properties": given | {"ResourceRecords": value}}

    def token(part: str, number: int) -> dict[str, Any]:
        return {"Fn::GetAtt": ["DomainIdentity", f"DkimDNSToken{part}{number}"]}

    return {
        "EmailIdentity": {
            "Type": "AWS::SES::EmailIdentity",
            "Properties": {"EmailIdentity": ADDRESS},
        },
        "DomainIdentity": {
            "Type": "AWS::SES::EmailIdentity",
            "Properties": {
                "EmailIdentity": DOMAIN,
                "DkimAttributes": {"SigningEnabled": True},
                "DkimSigningAttributes": {"NextSigningKeyLength": "RSA_2048_BIT"},
                "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
            },
        },
        "DmarcRecord": record(f"_dmarc.{DOMAIN}.", "TXT", [f'"{dmarc}"']),
        "SpfRecord": record(f"{DOMAIN}.", "TXT", ['"v=spf1 include:amazonses.com -all"']),
    } | {
        f"DkimRecord{n}": record(token("Name", n), "CNAME", [token("Value", n)]) for n in (1, 2, 3)
    }


def template(zone: str, dmarc: str = QUARANTINE, **more: dict[str, Any]) -> str:
    """The template, with more resources."""
    return json.dumps({"Resources": resources(zone, dmarc) | more})


def make_zone(server: Mailstead) -> str:
    """The zone that the stack's records go to, without prefix."""
    made = server.boto3("route53").create_hosted_zone(Name=DOMAIN, CallerReference="seed")
    return made["HostedZone"]["Id"].rpartition("/")[2]


def record_sets(server: Mailstead, zone: str) -> dict[tuple[str, str], list[str]]:
    """The zone's values by name and type, without SOA and NS."""
    found = server.boto3("route53").list_resource_record_sets(HostedZoneId=zone)
    rows = [
        ((one["Name"], one["Type"]), [value["Value"] for value in one["ResourceRecords"]])
        for one in found["ResourceRecordSets"]
        if one["Type"] not in {"SOA", "NS"}
    ]
    assert len(dict(rows)) == len(rows)
    return dict(rows)


def identities(server: Mailstead) -> set[str]:
    """The names of the identities."""
    found = server.boto3("sesv2").list_email_identities()["EmailIdentities"]
    return {one["IdentityName"] for one in found}


def expected_records(
    server: Mailstead, dmarc: str = QUARANTINE
) -> dict[tuple[str, str], list[str]]:
    """What the zone holds when the stack stands."""
    identity = server.boto3("sesv2").get_email_identity(EmailIdentity=DOMAIN)
    return {
        (f"{token}._domainkey.{DOMAIN}.", "CNAME"): [f"{token}.dkim.amazonses.com"]
        for token in identity["DkimAttributes"]["Tokens"]
    } | {
        (f"_dmarc.{DOMAIN}.", "TXT"): [f'"{dmarc}"'],
        (f"{DOMAIN}.", "TXT"): ['"v=spf1 include:amazonses.com -all"'],
    }


def settled(server: Mailstead, stack: str) -> str:
    """The stack's status once it stands still, by name or ARN."""
    cloudformation = server.boto3("cloudformation")

    def status() -> str | None:
        [shown] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
        return None if shown["StackStatus"].endswith("_IN_PROGRESS") else shown["StackStatus"]

    return until(status, 30)
