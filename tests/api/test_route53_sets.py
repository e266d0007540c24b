"""Reusable delegation sets and limits, through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from mailstead.mail import delegation_sets
from support.cloud import Cloud, refusal, resource

NONE = "N" + "A" * 20


@pytest.fixture
def r53(cloud: Cloud) -> Any:
    return cloud.root("route53")


def make(r53: Any, reference: str = "1", **more: Any) -> str:
    made = r53.create_reusable_delegation_set(CallerReference=reference, **more)
    return made["DelegationSet"]["Id"].removeprefix("/delegationset/")


def zone(r53: Any, name: str, **more: Any) -> Any:
    return r53.create_hosted_zone(Name=name, CallerReference=name, **more)


def test_a_set_and_its_zones(r53: Any) -> None:
    made = r53.create_reusable_delegation_set(CallerReference="1")
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    found = made["DelegationSet"]
    set_id = found["Id"].removeprefix("/delegationset/")
    assert made["Location"] == f"/2013-04-01/delegationset/{set_id}"
    assert r53.get_reusable_delegation_set(Id=found["Id"])["DelegationSet"] == found
    assert len(found["NameServers"]) == 4
    with_set = zone(r53, "a.test", DelegationSetId=found["Id"])
    zone(r53, "b.test")
    assert with_set["DelegationSet"] == found
    zone_id = with_set["HostedZone"]["Id"]
    assert r53.get_hosted_zone(Id=zone_id)["DelegationSet"] == found
    listed = r53.list_hosted_zones(DelegationSetId=set_id)["HostedZones"]
    assert [one["Name"] for one in listed] == ["a.test."]
    assert r53.list_hosted_zones(HostedZoneType="PrivateHostedZone")["HostedZones"] == []
    answer = refusal(r53.delete_reusable_delegation_set, Id=set_id)
    assert answer[:2] == ("DelegationSetInUse", 400)
    r53.delete_hosted_zone(Id=zone_id)
    r53.delete_reusable_delegation_set(Id=set_id)
    answer = refusal(r53.get_reusable_delegation_set, Id=set_id)
    assert answer == ("NoSuchDelegationSet", 400, f"No delegation set found with ID: {set_id}")


def test_a_zones_servers_become_a_set(r53: Any) -> None:
    zone_id = zone(r53, "a.test")["HostedZone"]["Id"]
    set_id = make(r53, HostedZoneId=zone_id)
    assert r53.get_hosted_zone(Id=zone_id)["DelegationSet"]["Id"] == f"/delegationset/{set_id}"
    again = refusal(make, r53, "2", HostedZoneId=zone_id)
    assert again == (
        "DelegationSetAlreadyReusable", 400,
        "The specified delegation set has already been marked as reusable.",
    )  # fmt: skip
    answer = refusal(make, r53, "3", HostedZoneId="Z1")
    assert answer == ("HostedZoneNotFound", 400, "No hosted zone found with ID: Z1")


def test_sets_are_listed_in_pages(r53: Any) -> None:
    ids = [make(r53, str(number)) for number in range(3)]
    first = r53.list_reusable_delegation_sets(MaxItems="2")
    assert first["IsTruncated"]
    assert first["NextMarker"] == ids[2]
    rest = r53.list_reusable_delegation_sets(MaxItems="2", Marker=first["NextMarker"])
    found = [*first["DelegationSets"], *rest["DelegationSets"]]
    assert [one["Id"] for one in found] == [f"/delegationset/{one}" for one in ids]
    assert not rest["IsTruncated"]
    assert refusal(r53.list_reusable_delegation_sets, Marker=NONE)[0] == "InvalidInput"


def test_what_is_refused(r53: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_id = make(r53)
    code, status, _ = refusal(make, r53)
    assert (code, status) == ("DelegationSetAlreadyCreated", 400)
    for call in (r53.get_reusable_delegation_set, r53.delete_reusable_delegation_set):
        assert refusal(call, Id=NONE)[0] == "NoSuchDelegationSet"
    assert refusal(zone, r53, "a.test", DelegationSetId=NONE)[0] == "NoSuchDelegationSet"
    assert refusal(r53.list_hosted_zones, DelegationSetId=NONE)[0] == "NoSuchDelegationSet"
    assert r53.list_hosted_zones()["HostedZones"] == []
    monkeypatch.setattr(delegation_sets, "SET_LIMIT", 1)
    assert refusal(make, r53, "2")[0] == "LimitsExceeded"
    monkeypatch.setattr(delegation_sets, "ZONES_A_SET", 0)
    assert refusal(zone, r53, "a.test", DelegationSetId=set_id)[0] == "TooManyHostedZones"


def test_limits(r53: Any) -> None:
    set_id = make(r53)
    zone_id = zone(r53, "a.test", DelegationSetId=set_id)["HostedZone"]["Id"]
    zone_id = zone_id.removeprefix("/hostedzone/")
    for asked, value, count in (
        (r53.get_account_limit(Type="MAX_HOSTED_ZONES_BY_OWNER"), 500, 1),
        (r53.get_account_limit(Type="MAX_REUSABLE_DELEGATION_SETS_BY_OWNER"), 100, 1),
        (r53.get_hosted_zone_limit(Type="MAX_RRSETS_BY_ZONE", HostedZoneId=zone_id), 10_000, 2),
        (
            r53.get_reusable_delegation_set_limit(
                Type="MAX_ZONES_BY_REUSABLE_DELEGATION_SET", DelegationSetId=set_id
            ),
            100,
            1,
        ),
    ):
        assert (asked["Limit"]["Value"], asked["Count"]) == (value, count)
    answer = refusal(r53.get_account_limit, Type="MAX_HEALTH_CHECKS_BY_OWNER")
    assert answer[0] == "InvalidInput"
    about = {"Type": "MAX_VPCS_ASSOCIATED_BY_ZONE", "HostedZoneId": zone_id}
    assert refusal(r53.get_hosted_zone_limit, **about)[0] == "HostedZoneNotPrivate"
    found = r53.list_hosted_zones_by_vpc(VPCId="vpc-1", VPCRegion="us-east-1")
    assert found["HostedZoneSummaries"] == []


def test_tags_of_several(r53: Any) -> None:
    ids = [zone(r53, name)["HostedZone"]["Id"].rpartition("/")[2] for name in ("a.test", "b.test")]
    tags = [{"Key": "k", "Value": "1"}]
    r53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=ids[1], AddTags=tags)
    found = r53.list_tags_for_resources(ResourceType="hostedzone", ResourceIds=ids)
    assert [one["Tags"] for one in found["ResourceTagSets"]] == [[], tags]
    about = {"ResourceType": "hostedzone", "ResourceIds": [*ids, "Z1"]}
    assert refusal(r53.list_tags_for_resources, **about)[0] == "NoSuchHostedZone"
    about = {"ResourceType": "healthcheck", "ResourceIds": ["h"]}
    assert refusal(r53.list_tags_for_resources, **about)[:2] == ("NoSuchHealthCheck", 404)


def test_who_may_read_which_set(cloud: Cloud, r53: Any) -> None:
    set_id, other = make(r53), make(r53, "2")
    arn = f"arn:aws:route53:::delegationset/{set_id}"
    rule = {"Action": "route53:GetReusableDelegationSet", "Resource": arn}
    mine = cloud.client("route53", **cloud.user("dns", rule))
    assert mine.get_reusable_delegation_set(Id=set_id)["DelegationSet"]
    assert refusal(mine.get_reusable_delegation_set, Id=other)[:2] == ("AccessDenied", 403)


def test_a_stacks_zone_with_a_set(cloud: Cloud, r53: Any) -> None:
    set_id = make(r53)
    template = resource("Route53::HostedZone", Name="a.test", DelegationSetId=set_id)
    assert cloud.create(template) == "CREATE_COMPLETE"
    first = cloud.physical()
    found = r53.get_hosted_zone(Id=first)["DelegationSet"]
    assert found["Id"] == f"/delegationset/{set_id}"
    assert cloud.update(resource("Route53::HostedZone", Name="a.test")) == "UPDATE_COMPLETE"
    assert cloud.physical() != first
    wrong = resource("Route53::HostedZone", Name="a.test", DelegationSetId=NONE)
    assert cloud.update(wrong) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.failures()[0][1] == f"No delegation set found with ID: {NONE}"
