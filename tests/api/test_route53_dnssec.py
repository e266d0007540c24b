"""The signing of zones through boto3: keys, states, what the parent zone holds, refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.api import iam, iam_policies, route53, route53_dnssec
from mailstead.api.gateway import Gateway
from mailstead.api.operation import Operations
from mailstead.mail.zones import Zones
from mailstead.roles.clock import LocalWakeups

KMS = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222"


@pytest.fixture
def r53(door: Any) -> Any:
    """A boto3 client of Route 53."""
    ports = door.gateway._ports
    made = Zones(door.store, LocalWakeups(), ports.randomness, ports.clock)
    door.gateway = Gateway(
        door.gateway._wire,
        Operations([iam, iam_policies, route53, route53_dnssec], door.gateway._wire.models),
        replace(ports, zones=made),
        door.credentials.find,
    )
    return door.client("route53")


def make(r53: Any, name: str = "example.test") -> str:
    made = r53.create_hosted_zone(Name=name, CallerReference=name)
    return made["HostedZone"]["Id"]


def key(r53: Any, zone: str, name: str = "main", status: str = "ACTIVE", **other: Any) -> Any:
    asked = {
        "CallerReference": name,
        "HostedZoneId": zone,
        "KeyManagementServiceArn": KMS,
        "Name": name,
        "Status": status,
        **other,
    }
    return r53.create_key_signing_key(**asked)


def refused(act: Any, *args: Any, **asked: Any) -> str:
    with pytest.raises(ClientError) as caught:
        act(*args, **asked)
    return caught.value.response["Error"]["Code"]


def test_a_zones_life(r53: Any) -> None:
    zone = make(r53)
    assert r53.get_dnssec(HostedZoneId=zone)["Status"] == {"ServeSignature": "NOT_SIGNING"}
    made = key(r53, zone)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    bare = zone.rpartition("/")[2]
    assert made["Location"] == f"/2013-04-01/keysigningkey/{bare}/main"
    assert made["ChangeInfo"]["Status"] == "PENDING"
    shown = made["KeySigningKey"]
    assert (shown["Name"], shown["KmsArn"], shown["Status"], shown["Flag"]) == (
        "main",
        KMS,
        "ACTIVE",
        257,
    )
    assert shown["DNSKEYRecord"] == f"257 3 13 {shown['PublicKey']}"
    assert shown["DSRecord"] == f"{shown['KeyTag']} 13 2 {shown['DigestValue']}"
    r53.enable_hosted_zone_dnssec(HostedZoneId=zone)
    r53.enable_hosted_zone_dnssec(HostedZoneId=zone)
    state = r53.get_dnssec(HostedZoneId=zone)
    assert state["Status"] == {"ServeSignature": "SIGNING"}
    assert state["KeySigningKeys"] == [shown]
    key(r53, zone, "next", "INACTIVE")
    r53.activate_key_signing_key(HostedZoneId=zone, Name="next")
    r53.deactivate_key_signing_key(HostedZoneId=zone, Name="main")
    r53.delete_key_signing_key(HostedZoneId=zone, Name="main")
    r53.disable_hosted_zone_dnssec(HostedZoneId=zone)
    r53.deactivate_key_signing_key(HostedZoneId=zone, Name="next")
    assert refused(r53.delete_hosted_zone, Id=zone) == "HostedZoneNotEmpty"
    r53.delete_key_signing_key(HostedZoneId=zone, Name="next")
    r53.delete_hosted_zone(Id=zone)


def test_refusals(r53: Any) -> None:
    zone = make(r53)
    assert refused(r53.enable_hosted_zone_dnssec, HostedZoneId=zone) == (
        "KeySigningKeyWithActiveStatusNotFound"
    )
    assert refused(r53.disable_hosted_zone_dnssec, HostedZoneId=zone) == "DNSSECNotFound"
    assert refused(key, r53, zone, Name="a.b") == "InvalidKeySigningKeyName"
    assert refused(key, r53, zone, Status="PASSIVE") == "InvalidKeySigningKeyStatus"
    assert refused(key, r53, zone, KeyManagementServiceArn="mine") == "InvalidKMSArn"
    assert refused(key, r53, "Z2222222222") == "NoSuchHostedZone"
    key(r53, zone)
    assert refused(key, r53, zone) == "KeySigningKeyAlreadyExists"
    r53.enable_hosted_zone_dnssec(HostedZoneId=zone)
    named = {"HostedZoneId": zone, "Name": "main"}
    assert refused(r53.delete_key_signing_key, **named) == "InvalidKeySigningKeyStatus"
    assert refused(r53.deactivate_key_signing_key, **named) == "KeySigningKeyInUse"
    key(r53, zone, "next")
    assert refused(key, r53, zone, "third") == "TooManyKeySigningKeys"
    missing = {"HostedZoneId": zone, "Name": "nothing"}
    assert refused(r53.activate_key_signing_key, **missing) == "NoSuchKeySigningKey"


def test_what_the_parent_points_to_stays(r53: Any) -> None:
    parent, zone = make(r53, "test"), make(r53)
    ds = key(r53, zone)["KeySigningKey"]["DSRecord"]
    key(r53, zone, "next")
    r53.enable_hosted_zone_dnssec(HostedZoneId=zone)
    records = [("NS", "ns1.example.test."), ("DS", ds)]
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": "example.test",
                "Type": kind,
                "TTL": 300,
                "ResourceRecords": [{"Value": value}],
            },
        }
        for kind, value in records
    ]
    r53.change_resource_record_sets(HostedZoneId=parent, ChangeBatch={"Changes": changes})
    in_parent = "KeySigningKeyInParentDSRecord"
    assert refused(r53.disable_hosted_zone_dnssec, HostedZoneId=zone) == in_parent
    main = {"HostedZoneId": zone, "Name": "main"}
    assert refused(r53.deactivate_key_signing_key, **main) == in_parent
    r53.deactivate_key_signing_key(HostedZoneId=zone, Name="next")
