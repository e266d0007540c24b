"""Signed zones in stacks, as CDK's ``enableDnssec`` makes them."""

from __future__ import annotations

from typing import Any

import pytest

from support.cloud import Cloud, template

KMS = "arn:aws:kms:us-east-1:111122223333:key/11111111-2222"


@pytest.fixture
def r53(cloud: Cloud) -> Any:
    return cloud.root("route53")


@pytest.fixture
def zone(r53: Any) -> str:
    made = r53.create_hosted_zone(Name="a.test", CallerReference="1")
    return made["HostedZone"]["Id"].removeprefix("/hostedzone/")


def signed(zone: str, **key: Any) -> dict[str, Any]:
    given = {
        "HostedZoneId": zone, "KeyManagementServiceArn": KMS, "Name": "main", "Status": "ACTIVE",
        **key,
    }  # fmt: skip
    return {
        "Resources": {
            "Key": {"Type": "AWS::Route53::KeySigningKey", "Properties": given},
            "Signing": {
                "Type": "AWS::Route53::DNSSEC",
                "DependsOn": "Key",
                "Properties": {"HostedZoneId": zone},
            },
        },
        "Outputs": {"Key": {"Value": {"Ref": "Key"}}, "Signing": {"Value": {"Ref": "Signing"}}},
    }


def stands(r53: Any, zone: str) -> tuple[str, dict[str, str]]:
    """Whether a zone is signed, and its keys' states."""
    found = r53.get_dnssec(HostedZoneId=zone)
    keys = {one["Name"]: one["Status"] for one in found["KeySigningKeys"]}
    return found["Status"]["ServeSignature"], keys


def drifted(cloud: Cloud) -> dict[str, str]:
    """What is not as the stack made it."""
    return {name: status for name, (status, _) in cloud.drift().items() if status != "IN_SYNC"}


def test_a_zone_is_signed_by_a_stack(cloud: Cloud, r53: Any, zone: str) -> None:
    assert cloud.create(signed(zone)) == "CREATE_COMPLETE"
    assert cloud.outputs() == {"Key": f"{zone}|main", "Signing": zone}
    assert stands(r53, zone) == ("SIGNING", {"main": "ACTIVE"})
    # Another name is another key: the new one signs before the old one goes.
    assert cloud.update(signed(zone, Name="other")) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == ("SIGNING", {"other": "ACTIVE"})
    # The only key of a signed zone stays on; what was before stays.
    assert cloud.update(signed(zone, Name="other", Status="INACTIVE")) == (
        "UPDATE_ROLLBACK_COMPLETE"
    )
    assert stands(r53, zone) == ("SIGNING", {"other": "ACTIVE"})
    assert cloud.delete() == "DELETE_COMPLETE"
    assert stands(r53, zone) == ("NOT_SIGNING", {})


def test_a_key_alone(cloud: Cloud, r53: Any, zone: str) -> None:
    template = signed(zone, Status="INACTIVE")
    del template["Resources"]["Signing"], template["Outputs"]["Signing"]
    assert cloud.create(template) == "CREATE_COMPLETE"
    assert stands(r53, zone) == ("NOT_SIGNING", {"main": "INACTIVE"})
    template["Resources"]["Key"]["Properties"]["Status"] = "ACTIVE"
    assert cloud.update(template) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == ("NOT_SIGNING", {"main": "ACTIVE"})
    assert cloud.delete() == "DELETE_COMPLETE"


def test_what_was_done_by_hand_meanwhile(cloud: Cloud, r53: Any, zone: str) -> None:
    assert cloud.create(signed(zone)) == "CREATE_COMPLETE"
    assert drifted(cloud) == {}
    r53.disable_hosted_zone_dnssec(HostedZoneId=zone)
    assert drifted(cloud) == {"Signing": "DELETED"}
    r53.deactivate_key_signing_key(HostedZoneId=zone, Name="main")
    assert drifted(cloud) == {"Key": "MODIFIED", "Signing": "DELETED"}
    r53.delete_key_signing_key(HostedZoneId=zone, Name="main")
    r53.delete_hosted_zone(Id=zone)
    assert drifted(cloud) == {"Key": "DELETED", "Signing": "DELETED"}
    assert cloud.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"KeyManagementServiceArn": "mine"}, "is not the ARN of a customer managed key"),
        ({"Status": "PERHAPS"}, "The status PERHAPS is not valid"),
        ({"Name": "a-b"}, "The key-signing key name a-b is not valid"),
    ],
)
def test_wrong_keys(cloud: Cloud, r53: Any, zone: str, wrong: dict[str, str], reason: str) -> None:
    assert cloud.create(signed(zone, **wrong)) == "ROLLBACK_COMPLETE"
    assert any(reason in told for _, told in cloud.failures())
    assert stands(r53, zone) == ("NOT_SIGNING", {})


def test_crashes(cloud: Cloud, r53: Any, zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    steps = (
        lambda: cloud.stacks.create_stack(StackName="S", TemplateBody=template(signed(zone))),
        lambda: cloud.stacks.delete_stack(StackName="S"),
    )

    def check(place: int) -> None:
        there = stands(cloud.root("route53"), zone)
        assert there == (("SIGNING", {"main": "ACTIVE"}) if place == 0 else ("NOT_SIGNING", {}))

    assert cloud.through_crashes(monkeypatch, steps, check) > 5
