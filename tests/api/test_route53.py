"""Route 53 through boto3: zones, batches, listings, paging, tags and texts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.api import iam, iam_policies, route53
from mailstead.api.gateway import Gateway
from mailstead.api.operation import Operations
from mailstead.mail.zones import Zones
from mailstead.roles.clock import LocalWakeups
from mailstead.wire.lookup import Answer, Question, Status


@pytest.fixture
def zones(door: Any) -> Zones:
    """The hosted zones behind the door, which gets Route 53's handlers."""
    ports = door.gateway._ports
    made = Zones(door.store, LocalWakeups(), ports.randomness, ports.clock)
    door.gateway = Gateway(
        door.gateway._wire,
        Operations([iam, iam_policies, route53], door.gateway._wire.models),
        replace(ports, zones=made),
        door.credentials.find,
    )
    return made


@pytest.fixture
def r53(door: Any, zones: Zones) -> Iterator[Any]:
    """A boto3 client of Route 53."""
    return door.client("route53")


def make(r53: Any, name: str = "example.test", reference: str = "") -> str:
    """A new zone's id."""
    made = r53.create_hosted_zone(Name=name, CallerReference=reference or name)
    return made["HostedZone"]["Id"].removeprefix("/hostedzone/")


def change(
    action: str, name: str, kind: str, *values: str, ttl: int | None = 300
) -> dict[str, Any]:
    found: dict[str, Any] = {"Name": name, "Type": kind}
    if ttl is not None:
        found["TTL"] = ttl
    if values:
        found["ResourceRecords"] = [{"Value": value} for value in values]
    return {"Action": action, "ResourceRecordSet": found}


def apply(r53: Any, zone: str, *changes: dict[str, Any], **more: Any) -> Any:
    batch = {"Changes": list(changes), **more}
    return r53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def refused(call: Any, *args: Any, **arguments: Any) -> tuple[str, int, str]:
    """Code, status and text of a call that is refused."""
    with pytest.raises(ClientError) as caught:
        call(*args, **arguments)
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )


def test_a_zone_is_made(r53: Any) -> None:
    made = r53.create_hosted_zone(
        Name="Example.TEST", CallerReference="once", HostedZoneConfig={"Comment": "mine"}
    )
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    zone = made["HostedZone"]
    assert zone["Id"].startswith("/hostedzone/Z")
    assert zone["Name"] == "example.test."
    assert zone["Config"] == {"Comment": "mine", "PrivateZone": False}
    assert zone["ResourceRecordSetCount"] == 2
    assert len(made["DelegationSet"]["NameServers"]) == 4
    assert made["ChangeInfo"]["Id"].startswith("/change/C")
    assert made["Location"].endswith(zone["Id"])
    got = r53.get_hosted_zone(Id=zone["Id"])
    assert got["HostedZone"] == zone
    assert got["DelegationSet"] == made["DelegationSet"]
    assert r53.get_hosted_zone_count()["HostedZoneCount"] == 1
    found = r53.list_resource_record_sets(HostedZoneId=zone["Id"])
    assert [(one["Name"], one["Type"]) for one in found["ResourceRecordSets"]] == [
        ("example.test.", "NS"),
        ("example.test.", "SOA"),
    ]
    assert (found["IsTruncated"], found["MaxItems"]) == (False, "300")


def test_zones_that_are_refused(r53: Any) -> None:
    make(r53, reference="once")
    create = r53.create_hosted_zone
    assert refused(create, Name="b.test", CallerReference="once") == (
        "HostedZoneAlreadyExists",
        409,
        "A hosted zone has already been created with the specified caller reference.",
    )
    assert refused(create, Name="a..b", CallerReference="2")[:2] == ("InvalidDomainName", 400)
    vpc = {"VPCRegion": "us-east-1", "VPCId": "vpc-1"}
    assert refused(create, Name="b.test", CallerReference="2", VPC=vpc)[0] == "InvalidInput"
    assert (
        "PrivateZone"
        in refused(
            create, Name="b.test", CallerReference="2", HostedZoneConfig={"PrivateZone": True}
        )[2]
    )


def test_no_such_zone(r53: Any) -> None:
    gone = ("NoSuchHostedZone", 404, "No hosted zone found with ID: ZNONE")
    assert refused(r53.get_hosted_zone, Id="ZNONE") == gone
    assert refused(r53.delete_hosted_zone, Id="ZNONE") == gone
    assert refused(r53.list_resource_record_sets, HostedZoneId="ZNONE") == gone
    assert refused(apply, r53, "ZNONE", change("CREATE", "a.test", "A", "192.0.2.1")) == gone
    assert (
        refused(r53.list_tags_for_resource, ResourceType="hostedzone", ResourceId="ZNONE") == gone
    )


def test_zones_are_listed(r53: Any) -> None:
    ids = [make(r53, name) for name in ("c.test", "a.c.test", "b.test")]
    assert {one["Name"] for one in r53.list_hosted_zones()["HostedZones"]} == {
        "c.test.", "a.c.test.", "b.test.",
    }  # fmt: skip
    pages = r53.get_paginator("list_hosted_zones").paginate(PaginationConfig={"PageSize": 1})
    assert sorted(page["HostedZones"][0]["Id"][12:] for page in pages) == sorted(ids)
    assert r53.list_hosted_zones(HostedZoneType="PrivateHostedZone")["HostedZones"] == []
    assert refused(r53.list_hosted_zones, Marker="ZNONE")[0] == "InvalidInput"
    for size in ("0", "x", "-1"):
        assert refused(r53.list_hosted_zones, MaxItems=size)[0] == "InvalidInput"
    assert r53.list_hosted_zones(MaxItems="5000")["MaxItems"] == "100"


def test_zones_are_listed_by_name(r53: Any) -> None:
    for name in ("c.test", "a.c.test", "b.test"):
        make(r53, name)
    first = r53.list_hosted_zones_by_name(DNSName="b.test", MaxItems="1")
    assert [one["Name"] for one in first["HostedZones"]] == ["b.test."]
    assert (first["DNSName"], first["IsTruncated"]) == ("b.test", True)
    second = r53.list_hosted_zones_by_name(
        DNSName=first["NextDNSName"], HostedZoneId=first["NextHostedZoneId"]
    )
    assert [one["Name"] for one in second["HostedZones"]] == ["c.test.", "a.c.test."]
    assert not second["IsTruncated"]
    assert len(r53.list_hosted_zones_by_name()["HostedZones"]) == 3
    assert refused(r53.list_hosted_zones_by_name, HostedZoneId="Z1")[0] == "InvalidInput"
    assert refused(r53.list_hosted_zones_by_name, DNSName="a..b")[0] == "InvalidDomainName"


def test_record_sets(r53: Any, zones: Zones) -> None:
    zone = make(r53)
    done = apply(
        r53,
        zone,
        change("CREATE", "Example.test", "MX", "10 mx.example.test"),
        change("UPSERT", "*.example.test.", "TXT", '"one" "two"'),
        change("CREATE", "a.example.test", "A", "192.0.2.1", "192.0.2.2", ttl=60),
        Comment="first",
    )["ChangeInfo"]
    assert (done["Status"], done["Comment"]) == ("PENDING", "first")
    got = r53.get_change(Id=done["Id"])["ChangeInfo"]
    assert (got["Id"], got["Status"]) == (done["Id"], "INSYNC")
    assert got["SubmittedAt"] == done["SubmittedAt"]
    r53.get_waiter("resource_record_sets_changed").wait(Id=done["Id"])
    assert zones.answer(Question("a.example.test", "A")) == Answer(
        Status.OK, ("192.0.2.1", "192.0.2.2")
    )
    found = r53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert found[0] == {
        "Name": "example.test.",
        "Type": "MX",
        "TTL": 300,
        "ResourceRecords": [{"Value": "10 mx.example.test"}],
    }
    assert [(one["Name"], one["Type"]) for one in found[3:]] == [
        ("\\052.example.test.", "TXT"),
        ("a.example.test.", "A"),
    ]
    for one in (found[0], *found[3:]):
        apply(r53, zone, {"Action": "DELETE", "ResourceRecordSet": one})
    r53.delete_hosted_zone(Id=zone)
    assert r53.list_hosted_zones()["HostedZones"] == []


def test_record_sets_are_paged(r53: Any) -> None:
    zone = make(r53)
    changes = [change("CREATE", f"h{n}.example.test", "A", "192.0.2.1") for n in range(5)]
    apply(r53, zone, *changes)
    pages = r53.get_paginator("list_resource_record_sets").paginate(
        HostedZoneId=zone, PaginationConfig={"PageSize": 2}
    )
    assert [[one["Name"] for one in page["ResourceRecordSets"]] for page in pages] == [
        ["example.test.", "example.test."],
        ["h0.example.test.", "h1.example.test."],
        ["h2.example.test.", "h3.example.test."],
        ["h4.example.test."],
    ]
    one = r53.list_resource_record_sets(
        HostedZoneId=zone, StartRecordName="H3.example.test", StartRecordType="A", MaxItems="1"
    )
    assert [found["Name"] for found in one["ResourceRecordSets"]] == ["h3.example.test."]
    assert (one["NextRecordName"], one["NextRecordType"]) == ("h4.example.test.", "A")
    listing = r53.list_resource_record_sets
    assert refused(listing, HostedZoneId=zone, StartRecordType="A")[0] == "InvalidInput"
    assert refused(listing, HostedZoneId=zone, StartRecordName="a..b") == (
        "InvalidInput",
        400,
        "FATAL problem: DomainLabelEmpty (Domain label is empty) encountered with 'a..b'",
    )


def test_batches_that_are_refused(r53: Any) -> None:
    zone = make(r53)
    a = change("CREATE", "a.example.test", "A", "192.0.2.1")
    apply(r53, zone, a)
    assert refused(apply, r53, zone, a) == (
        "InvalidChangeBatch",
        400,
        "[Tried to create resource record set [name='a.example.test.', type='A'] but it already "
        "exists]",
    )
    assert refused(apply, r53, zone, change("CREATE", "t.example.test", "TXT", "bare"))[2] == (
        "[Invalid Resource Record: 'FATAL problem: InvalidCharacterString (Value should be "
        "enclosed in quotation marks) encountered with 'bare'']"
    )
    code, status, text = refused(apply, r53, zone, change("DELETE", "a.example.test", "A"))
    assert (code, status) == ("InvalidInput", 400)
    assert text.startswith("Invalid request: Expected exactly one of [AliasTarget,")
    assert refused(apply, r53, zone, change("CREATE", "a..b", "A", "192.0.2.1"))[0] == (
        "InvalidChangeBatch"
    )
    weighted = change("CREATE", "w.example.test", "A", "192.0.2.1")
    weighted["ResourceRecordSet"] |= {"Weight": 1, "SetIdentifier": "x"}
    assert refused(apply, r53, zone, weighted) == (
        "InvalidChangeBatch",
        400,
        "[mailstead serves plain record sets only: w.example.test A has SetIdentifier, Weight]",
    )
    alias = change("CREATE", "w.example.test", "A", ttl=None)
    alias["ResourceRecordSet"]["AliasTarget"] = {
        "HostedZoneId": "Z1", "DNSName": "a.test", "EvaluateTargetHealth": False,
    }  # fmt: skip
    assert "AliasTarget" in refused(apply, r53, zone, alias)[2]
    assert refused(r53.delete_hosted_zone, Id=zone) == (
        "HostedZoneNotEmpty",
        400,
        "The specified hosted zone contains non-required resource record sets  and so cannot be "
        "deleted.",
    )


@pytest.mark.parametrize("change_id", ["C1", "CAAAAAAAAAAAAAAAA", "C7777777777777777"])
def test_no_such_change(r53: Any, change_id: str) -> None:
    assert refused(r53.get_change, Id=change_id) == (
        "NoSuchChange",
        404,
        f"Could not find resource with ID: {change_id}",
    )


def test_comments_and_tags(r53: Any) -> None:
    zone = make(r53)
    got = r53.update_hosted_zone_comment(Id=zone, Comment="new")["HostedZone"]
    assert got["Config"]["Comment"] == "new"
    assert "Comment" not in r53.update_hosted_zone_comment(Id=zone)["HostedZone"]["Config"]
    about = {"ResourceType": "hostedzone", "ResourceId": zone}
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    r53.change_tags_for_resource(**about, AddTags=tags)
    r53.change_tags_for_resource(**about, AddTags=[{"Key": "c", "Value": "3"}], RemoveTagKeys=["a"])
    found = r53.list_tags_for_resource(**about)["ResourceTagSet"]
    assert found == {**about, "Tags": [tags[1], {"Key": "c", "Value": "3"}]}
    for start in range(0, 40, 10):
        more = [{"Key": str(start + n), "Value": ""} for n in range(10)]
        r53.change_tags_for_resource(**about, AddTags=more)
    more = [{"Key": f"x{n}", "Value": ""} for n in range(10)]
    assert refused(r53.change_tags_for_resource, **about, AddTags=more)[0] == "InvalidInput"
    health = {"ResourceType": "healthcheck", "ResourceId": "h"}
    assert refused(r53.list_tags_for_resource, **health)[1] == 404


def test_policies_on_zones_and_record_sets(door: Any, r53: Any) -> None:
    zone, other = make(r53), make(r53, "other.test")
    client = door.client("iam")
    client.create_user(UserName="dns")
    key = client.create_access_key(UserName="dns")["AccessKey"]
    prefix = "route53:ChangeResourceRecordSets"
    arn = f"arn:aws:route53:::hostedzone/{zone}"
    limits = {
        f"{prefix}NormalizedRecordNames": ["*._domainkey.example.test"],
        f"{prefix}RecordTypes": ["CNAME"],
        f"{prefix}Actions": ["UPSERT"],
    }
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": "route53:List*", "Resource": arn},
        {
            "Effect": "Allow",
            "Action": "route53:ChangeResourceRecordSets",
            "Resource": arn,
            "Condition": {"ForAllValues:StringLike": limits},
        },
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    client.put_user_policy(UserName="dns", PolicyName="dns", PolicyDocument=document)
    mine = door.client("route53", key["AccessKeyId"], key["SecretAccessKey"])
    assert mine.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert refused(mine.list_resource_record_sets, HostedZoneId=other)[:2] == ("AccessDenied", 403)
    assert refused(mine.get_hosted_zone, Id=zone)[0] == "AccessDenied"
    apply(mine, zone, change("UPSERT", "T._domainkey.Example.test.", "CNAME", "a.test"))
    for forbidden in (
        change("UPSERT", "www.example.test", "CNAME", "a.test"),
        change("UPSERT", "t._domainkey.example.test", "TXT", '"a"'),
        change("DELETE", "t._domainkey.example.test", "CNAME", "a.test"),
        change("UPSERT", "a..b", "CNAME", "a.test"),
    ):
        assert refused(apply, mine, zone, forbidden)[0] == "AccessDenied"


def test_a_trailing_slash_may_be_left_out(door: Any, r53: Any) -> None:
    zone = make(r53)

    def shorten(params: dict[str, Any], **_: Any) -> None:
        params["url_path"] = params["url_path"].rstrip("/")
        params["url"] = params["url"].rstrip("/")

    r53.meta.events.register("before-call.route53.ChangeResourceRecordSets", shorten)
    apply(r53, zone, change("CREATE", "a.example.test", "A", "192.0.2.1"))
