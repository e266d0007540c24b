"""TestDNSAnswer through boto3."""

from __future__ import annotations

from typing import Any

import pytest

from support.cloud import Cloud, refusal


@pytest.fixture
def r53(cloud: Cloud) -> Any:
    return cloud.root("route53")


@pytest.fixture
def zone(r53: Any) -> str:
    made = r53.create_hosted_zone(Name="a.test", CallerReference="1")["HostedZone"]["Id"]
    records = {
        ("www.a.test", "A"): ["192.0.2.1", "192.0.2.2"],
        ("alias.a.test", "CNAME"): ["www.a.test"],
        ("away.a.test", "CNAME"): ["b.test"],
        ("*.wild.a.test", "TXT"): ['"x" "y"'],
        ("a.test", "MX"): ["10 mx.a.test"],
        ("deep.er.a.test", "TXT"): ['"x"'],
        ("loop.a.test", "CNAME"): ["loop.a.test"],
        ("sub.a.test", "NS"): ["ns.b.test"],
    }
    changes = [
        {
            "Action": "CREATE",
            "ResourceRecordSet": {
                "Name": name, "Type": kind, "TTL": 60,
                "ResourceRecords": [{"Value": value} for value in values],
            },
        }
        for (name, kind), values in records.items()
    ]  # fmt: skip
    r53.change_resource_record_sets(HostedZoneId=made, ChangeBatch={"Changes": changes})
    return made


@pytest.mark.parametrize(
    ("name", "kind", "code", "values"),
    [
        ("www.a.test", "A", "NOERROR", ["192.0.2.1", "192.0.2.2"]),
        ("WWW.A.test.", "A", "NOERROR", ["192.0.2.1", "192.0.2.2"]),
        ("www.a.test", "AAAA", "NOERROR", []),
        ("none.a.test", "A", "NXDOMAIN", []),
        ("a.test", "MX", "NOERROR", ["10 mx.a.test."]),
        ("alias.a.test", "A", "NOERROR", ["www.a.test.", "192.0.2.1", "192.0.2.2"]),
        ("alias.a.test", "CNAME", "NOERROR", ["www.a.test."]),
        ("away.a.test", "A", "NOERROR", ["b.test."]),
        ("any.wild.a.test", "TXT", "NOERROR", ['"x" "y"']),
        ("er.a.test", "TXT", "NOERROR", []),
        ("x.sub.a.test", "A", "NOERROR", []),
        ("www.a.test", "NAPTR", "NOERROR", []),
        ("b.test", "A", "REFUSED", []),
        ("xa.test", "A", "REFUSED", []),
    ],
)
def test_answers(r53: Any, zone: str, name: str, kind: str, code: str, values: list[str]) -> None:
    found = r53.test_dns_answer(HostedZoneId=zone, RecordName=name, RecordType=kind)
    assert (found["ResponseCode"], found["RecordData"]) == (code, values)
    assert (found["RecordName"], found["RecordType"]) == (name, kind)
    assert found["Protocol"] == "UDP"
    assert found["Nameserver"] in r53.get_hosted_zone(Id=zone)["DelegationSet"]["NameServers"]


def test_a_loop_ends(r53: Any, zone: str) -> None:
    found = r53.test_dns_answer(HostedZoneId=zone, RecordName="loop.a.test", RecordType="A")
    assert set(found["RecordData"]) == {"loop.a.test."}


def test_from_elsewhere(r53: Any, zone: str) -> None:
    about = {"HostedZoneId": zone, "RecordName": "www.a.test", "RecordType": "A"}
    given = {"ResolverIP": "192.0.2.9", "EDNS0ClientSubnetIP": "2001:db8::"}
    assert r53.test_dns_answer(**about, **given)["RecordData"]
    answer = refusal(r53.test_dns_answer, **about, ResolverIP="here")
    assert answer[:2] == ("InvalidInput", 400)


def test_what_is_refused(cloud: Cloud, r53: Any, zone: str) -> None:
    about = {"RecordName": "a..test", "RecordType": "A"}
    answer = refusal(r53.test_dns_answer, HostedZoneId=zone, **about)
    assert answer[0] == "InvalidInput"
    assert refusal(r53.test_dns_answer, HostedZoneId="Z1", **about)[0] == "NoSuchHostedZone"
    mine = cloud.client("route53", **cloud.user("dns"))
    assert refusal(mine.test_dns_answer, HostedZoneId=zone, **about)[0] == "AccessDenied"
