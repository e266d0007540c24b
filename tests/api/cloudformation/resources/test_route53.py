"""``AWS::Route53::*`` in stacks: what stands in the zones, and what was there before stays."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cloud import Cloud, refusal, resource


@pytest.fixture
def r53(cloud: Cloud) -> Any:
    return cloud.root("route53")


@pytest.fixture
def zone(r53: Any) -> str:
    return make(r53, "a.test")


def make(r53: Any, name: str, reference: str = "") -> str:
    made = r53.create_hosted_zone(Name=name, CallerReference=reference or name)
    return made["HostedZone"]["Id"].removeprefix("/hostedzone/")


def stands(r53: Any, zone: str) -> dict[tuple[str, str], tuple[int, list[str]]]:
    """What is in a zone besides SOA and NS."""
    found = r53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    return {
        (one["Name"], one["Type"]): (one["TTL"], [each["Value"] for each in one["ResourceRecords"]])
        for one in found
        if one["Type"] not in ("SOA", "NS")
    }


def put(r53: Any, zone: str, name: str, kind: str, *values: str, action: str = "UPSERT") -> None:
    found = {
        "Name": name, "Type": kind, "TTL": 60,
        "ResourceRecords": [{"Value": value} for value in values],
    }  # fmt: skip
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": found}]}
    r53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


def record(zone: str, **properties: Any) -> dict[str, Any]:
    given = {
        "HostedZoneId": zone, "Name": "_dmarc.a.test", "Type": "TXT", "TTL": "1800",
        "ResourceRecords": ['"v=DMARC1;p=none"'], **properties,
    }  # fmt: skip
    wanted = {name: value for name, value in given.items() if value is not None}
    return resource("Route53::RecordSet", **wanted)


# Record sets


def test_a_record_set(cloud: Cloud, r53: Any, zone: str) -> None:
    assert cloud.create(record(zone, Comment="c")) == "CREATE_COMPLETE"
    assert cloud.outputs() == {"Ref": "_dmarc.a.test"}
    assert stands(r53, zone) == {("_dmarc.a.test.", "TXT"): (1800, ['"v=DMARC1;p=none"'])}
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    # Names and numbers that say the same change nothing.
    same = record(f"/hostedzone/{zone}", Name="_DMARC.a.test.", TTL=1800)
    assert cloud.update(same) == "UPDATE_COMPLETE"
    assert len(stands(r53, zone)) == 1
    assert cloud.update(record(zone, ResourceRecords=['"x"'], TTL=60)) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == {("_dmarc.a.test.", "TXT"): (60, ['"x"'])}
    aaaa = record(zone, Type="AAAA", ResourceRecords=["2001:db8::1"])
    assert cloud.update(aaaa) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == {("_dmarc.a.test.", "AAAA"): (1800, ["2001:db8::1"])}
    assert cloud.update(record(zone, Name="www.a.test")) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == {("www.a.test.", "TXT"): (1800, ['"v=DMARC1;p=none"'])}
    assert cloud.delete() == "DELETE_COMPLETE"
    assert stands(r53, zone) == {}


def test_1800_and_1800_are_no_change(cloud: Cloud, zone: str) -> None:
    cloud.create(record(zone, TTL="1800"))
    answer = refusal(cloud.update, record(zone, TTL=1800))
    assert answer == ("ValidationError", 400, "No updates are to be performed.")


def test_a_long_text_is_two_strings(cloud: Cloud, r53: Any, zone: str) -> None:
    value = f'"{"x" * 255}" "{"y" * 45}"'
    assert cloud.create(record(zone, ResourceRecords=[value])) == "CREATE_COMPLETE"
    assert stands(r53, zone)["_dmarc.a.test.", "TXT"] == (1800, [value])


def test_drift_of_records(cloud: Cloud, r53: Any, zone: str) -> None:
    cloud.create(record(zone))
    put(r53, zone, "_dmarc.a.test", "TXT", '"other"')
    status, found = cloud.drift()["R"]
    assert (status, sorted(found)) == (
        "MODIFIED", [("/ResourceRecords", "NOT_EQUAL"), ("/TTL", "NOT_EQUAL")],
    )  # fmt: skip
    put(r53, zone, "_dmarc.a.test", "TXT", '"other"', action="DELETE")
    assert cloud.drift() == {"R": ("DELETED", [])}
    r53.delete_hosted_zone(Id=zone)
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_a_record_in_the_way_stays(cloud: Cloud, r53: Any, zone: str) -> None:
    put(r53, zone, "_dmarc.a.test", "TXT", '"theirs"')
    assert cloud.create(record(zone)) == "ROLLBACK_COMPLETE"
    assert cloud.failures() == [
        (
            "R",
            "[Tried to create resource record set [name='_dmarc.a.test.', type='TXT'] but it "
            "already exists]",
        )
    ]
    assert stands(r53, zone) == {("_dmarc.a.test.", "TXT"): (60, ['"theirs"'])}
    cloud.delete()
    cloud.create(record(zone, Name="www.a.test"))
    assert cloud.update(record(zone)) == "UPDATE_ROLLBACK_COMPLETE"
    assert stands(r53, zone)["_dmarc.a.test.", "TXT"] == (60, ['"theirs"'])
    assert ("www.a.test.", "TXT") in stands(r53, zone)


def test_another_type_in_the_way_stays(cloud: Cloud, r53: Any, zone: str) -> None:
    put(r53, zone, "_dmarc.a.test", "AAAA", "2001:db8::9")
    cloud.create(record(zone))
    aaaa = record(zone, Type="AAAA", ResourceRecords=["2001:db8::1"])
    assert cloud.update(aaaa) == "UPDATE_ROLLBACK_COMPLETE"
    assert stands(r53, zone) == {
        ("_dmarc.a.test.", "AAAA"): (60, ["2001:db8::9"]),
        ("_dmarc.a.test.", "TXT"): (1800, ['"v=DMARC1;p=none"']),
    }


def test_another_zone_replaces(cloud: Cloud, r53: Any, zone: str) -> None:
    other = make(r53, "a.test", "second")
    cloud.create(record(zone))
    assert cloud.update(record(other)) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == {}
    assert len(stands(r53, other)) == 1
    # Back, with something that fails: the record stays where it was.
    both = record(zone)
    both["Resources"]["Z"] = {
        **record(zone, Name="x.elsewhere.test")["Resources"]["R"], "DependsOn": "R",
    }  # fmt: skip
    assert cloud.update(both) == "UPDATE_ROLLBACK_COMPLETE"
    assert stands(r53, zone) == {}
    assert len(stands(r53, other)) == 1


def test_a_type_changed_is_undone(cloud: Cloud, r53: Any, zone: str) -> None:
    cloud.create(record(zone))
    before = stands(r53, zone)
    both = record(zone, Type="AAAA", ResourceRecords=["2001:db8::1"])
    both["Resources"]["Z"] = {
        **record(zone, Name="x.elsewhere.test")["Resources"]["R"], "DependsOn": "R",
    }  # fmt: skip
    assert cloud.update(both) == "UPDATE_ROLLBACK_COMPLETE"
    assert stands(r53, zone) == before


def test_zones_by_name(cloud: Cloud, r53: Any, zone: str) -> None:
    by_name = {"HostedZoneId": None, "HostedZoneName": "A.test."}
    assert cloud.create(record(zone, **by_name)) == "CREATE_COMPLETE"
    assert len(stands(r53, zone)) == 1
    make(r53, "a.test", "second")
    # Which of two is meant can't be known: nothing is taken away.
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"
    assert len(stands(r53, zone)) == 1


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"HostedZoneId": None}, "No hosted zones named  found"),
        ({"HostedZoneId": "Z1"}, "No hosted zone found with ID: Z1"),
        ({"HostedZoneId": None, "HostedZoneName": "b.test"}, "No hosted zones named b.test found"),
        ({"HostedZoneId": None, "HostedZoneName": "a..b"}, "No hosted zones named a..b found"),
        ({"HostedZoneId": None, "HostedZoneName": "two.test"}, "Multiple hosted zones named two."),
        ({"Name": "a..a.test"}, "DomainLabelEmpty"),
        ({"Name": "b.test"}, "is not permitted in zone a.test."),
        ({"TTL": "soon"}, "Expected exactly one of"),
        ({"TTL": None}, "Expected exactly one of"),
        ({"ResourceRecords": None}, "Expected exactly one of"),
        ({"ResourceRecords": "x"}, "#/ResourceRecords: expected type: JSONArray, found: str"),
        ({"ResourceRecords": ["bare"]}, "Value should be enclosed in quotation marks"),
        ({"Type": "NAPTR"}, "records of type NAPTR are not supported"),
    ],
)
def test_records_that_are_refused(
    cloud: Cloud, r53: Any, zone: str, properties: dict[str, Any], words: str
) -> None:
    make(r53, "two.test", "1")
    make(r53, "two.test", "2")
    assert cloud.create(record(zone, **properties)) == "ROLLBACK_COMPLETE"
    assert words in cloud.failures()[0][1]
    assert stands(r53, zone) == {}
    cloud.delete()
    assert cloud.create(record(zone)) == "CREATE_COMPLETE"


@pytest.mark.parametrize("name", ["Weight", "AliasTarget", "SetIdentifier", "HealthCheckId"])
def test_routing_is_refused_by_name(cloud: Cloud, zone: str, name: str) -> None:
    answer = refusal(cloud.create, record(zone, **{name: "1"}))
    assert answer[0] == "ValidationError"
    assert f"The property {name} of AWS::Route53::RecordSet is not served" in answer[2]


def test_what_the_role_may_not_do(cloud: Cloud, r53: Any, zone: str) -> None:
    keys = cloud.user("dev", {"Action": "cloudformation:*"})
    mine = cloud.client("cloudformation", **keys)
    mine.create_stack(StackName="S", TemplateBody=json.dumps(record(zone)))
    assert cloud.status() == "ROLLBACK_COMPLETE"
    assert "not authorized to perform: route53:ChangeResourceRecordSets" in cloud.failures()[0][1]


def test_records_through_crashes(
    cloud: Cloud, r53: Any, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    aaaa = record(zone, Type="AAAA", ResourceRecords=["2001:db8::1"])
    named = record(zone, Name="www.a.test")
    cloud.create(record(zone))

    def check(place: int) -> None:
        assert cloud.status() == "UPDATE_COMPLETE"
        expected = [
            {("_dmarc.a.test.", "AAAA")}, {("www.a.test.", "TXT")}, {("_dmarc.a.test.", "TXT")}
        ]  # fmt: skip
        assert set(stands(r53, zone)) == expected[place]

    steps = [lambda one=one: cloud.update(one) for one in (aaaa, named, record(zone))]
    assert cloud.through_crashes(monkeypatch, steps, check) > 10


def test_a_record_in_the_way_survives_a_crash(
    cloud: Cloud, r53: Any, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even one of the same content."""
    put(r53, zone, "_dmarc.a.test", "TXT", '"theirs"')
    same = record(zone, TTL=60, ResourceRecords=['"theirs"'])

    def check(place: int) -> None:
        assert len(stands(r53, zone)) == 1
        if place == 0:
            assert cloud.status() == "ROLLBACK_COMPLETE"

    steps = [lambda: cloud.create(same), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 4


# Groups


def group(zone: str, *sets: dict[str, Any], **more: Any) -> dict[str, Any]:
    return resource(
        "Route53::RecordSetGroup", ["Id"], HostedZoneId=zone, RecordSets=list(sets), **more
    )


def one(name: str, value: str = '"x"', **more: Any) -> dict[str, Any]:
    found = {"Name": name, "Type": "TXT", "TTL": 60, "ResourceRecords": [value]}
    return {**found, **more}


def test_a_group(cloud: Cloud, r53: Any, zone: str) -> None:
    assert cloud.create(group(zone, one("a.a.test"), one("b.a.test"))) == "CREATE_COMPLETE"
    outputs = cloud.outputs()
    assert outputs["Ref"] == outputs["Id"]
    assert set(stands(r53, zone)) == {("a.a.test.", "TXT"), ("b.a.test.", "TXT")}
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    changed = group(zone, one("b.a.test", '"y"'), one("c.a.test"))
    assert cloud.update(changed) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == {
        ("b.a.test.", "TXT"): (60, ['"y"']), ("c.a.test.", "TXT"): (60, ['"x"']),
    }  # fmt: skip
    put(r53, zone, "c.a.test", "TXT", '"x"', action="DELETE")
    assert cloud.drift()["R"][0] == "MODIFIED"
    put(r53, zone, "b.a.test", "TXT", '"y"', action="DELETE")
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.update(group(zone, one("d.a.test"))) == "UPDATE_COMPLETE"
    other = make(r53, "a.test", "second")
    assert cloud.update(group(other, one("d.a.test"))) == "UPDATE_COMPLETE"
    assert stands(r53, zone) == {}
    assert cloud.delete() == "DELETE_COMPLETE"
    assert stands(r53, other) == {}


def test_a_group_without_records(cloud: Cloud, r53: Any, zone: str) -> None:
    assert cloud.create(group(zone)) == "CREATE_COMPLETE"
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    r53.delete_hosted_zone(Id=zone)
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_a_group_is_changed_whole_or_not_at_all(cloud: Cloud, r53: Any, zone: str) -> None:
    put(r53, zone, "c.a.test", "TXT", '"theirs"')
    assert cloud.create(group(zone, one("a.a.test"), one("c.a.test"))) == "ROLLBACK_COMPLETE"
    assert set(stands(r53, zone)) == {("c.a.test.", "TXT")}
    cloud.delete()
    cloud.create(group(zone, one("a.a.test"), one("b.a.test")))
    before = stands(r53, zone)
    assert cloud.update(group(zone, one("c.a.test"))) == "UPDATE_ROLLBACK_COMPLETE"
    assert stands(r53, zone) == before


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"Name": "a.a.test"}, "#/RecordSets: required key [Type] not found"),
        ({"Type": "TXT"}, "#/RecordSets: required key [Name] not found"),
        (one("a.a.test", Weight=1), "RecordSets.Weight of AWS::Route53::RecordSetGroup"),
        ("a", "#/RecordSets: expected type: JSONObject, found: list"),
    ],
)
def test_groups_that_are_refused(cloud: Cloud, zone: str, given: Any, words: str) -> None:
    assert cloud.create(group(zone, given)) == "ROLLBACK_COMPLETE"
    assert words in cloud.failures()[0][1]


def test_a_group_through_crashes(
    cloud: Cloud, r53: Any, zone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = group(zone, one("a.a.test"), one("b.a.test"))
    second = group(zone, one("b.a.test", '"y"'), one("c.a.test"))

    def check(place: int) -> None:
        names = ["ab", "bc", ""][place]
        assert set(stands(r53, zone)) == {(f"{name}.a.test.", "TXT") for name in names}

    steps = [lambda: cloud.create(first), lambda: cloud.update(second), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 8


# Zones


def hosted(name: str = "z.test", **properties: Any) -> dict[str, Any]:
    return resource("Route53::HostedZone", ["Id"], Name=name, **properties)


def test_a_zone(cloud: Cloud, r53: Any) -> None:
    given = {"HostedZoneConfig": {"Comment": "c"}, "HostedZoneTags": [{"Key": "k", "Value": "1"}]}
    template = hosted(**given)
    servers = {"Fn::Join": [",", {"Fn::GetAtt": ["R", "NameServers"]}]}
    template["Outputs"]["Servers"] = {"Value": servers}
    assert cloud.create(template) == "CREATE_COMPLETE"
    outputs = cloud.outputs()
    zone = outputs["Ref"]
    assert outputs["Id"] == zone
    found = r53.get_hosted_zone(Id=zone)
    assert found["HostedZone"]["Config"]["Comment"] == "c"
    assert outputs["Servers"].split(",") == found["DelegationSet"]["NameServers"]
    about = {"ResourceType": "hostedzone", "ResourceId": zone}
    tags = r53.list_tags_for_resource(**about)["ResourceTagSet"]["Tags"]
    assert tags == [{"Key": "k", "Value": "1"}]
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    r53.update_hosted_zone_comment(Id=zone, Comment="other")
    assert cloud.drift() == {"R": ("MODIFIED", [("/HostedZoneConfig/Comment", "NOT_EQUAL")])}
    assert cloud.update(hosted()) == "UPDATE_COMPLETE"
    assert r53.list_tags_for_resource(**about)["ResourceTagSet"]["Tags"] == []
    assert cloud.update(hosted("y.test")) == "UPDATE_COMPLETE"
    assert [one["Name"] for one in r53.list_hosted_zones()["HostedZones"]] == ["y.test."]
    r53.delete_hosted_zone(Id=cloud.physical())
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_a_zone_with_records_stays(cloud: Cloud, r53: Any) -> None:
    cloud.create(hosted())
    put(r53, cloud.physical(), "www.z.test", "A", "192.0.2.1")
    assert cloud.delete() == "DELETE_FAILED"
    assert "contains non-required resource record sets" in cloud.failures()[0][1]


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Name": "a..b"}, "DomainLabelEmpty"),
        ({"HostedZoneTags": [{"Key": "k"}]}, "#/HostedZoneTags: expected type: JSONArray"),
    ],
)
def test_zones_that_are_refused(cloud: Cloud, properties: dict[str, Any], words: str) -> None:
    template = resource("Route53::HostedZone", **{"Name": "z.test", **properties})
    assert cloud.create(template) == "ROLLBACK_COMPLETE"
    assert words in cloud.failures()[0][1]


def test_a_zone_through_crashes(cloud: Cloud, r53: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(place: int) -> None:
        assert len(r53.list_hosted_zones()["HostedZones"]) == 1 - place

    steps = [lambda: cloud.create(hosted()), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 4
