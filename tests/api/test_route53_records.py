"""Values of the record types that mail needs: what Route 53 takes, and its words for the rest."""

from __future__ import annotations

from typing import Any

import pytest

from support.cloud import Cloud, refusal

SHA256 = "ab" * 32

GOOD = [
    ("www.a.test", "A", ["192.0.2.1", "192.0.2.2"]),
    ("www.a.test", "AAAA", ["2001:DB8::1"]),
    ("a.test", "MX", ["10 mx1.a.test", "20 mx2.a.test."]),
    ("a.test", "MX", ["0 ."]),
    ("a.test", "TXT", ['"v=spf1 -all"', '"two" "strings"']),
    ("k._domainkey.a.test", "CNAME", ["k.dkim.amazonses.com"]),
    ("sub.a.test", "NS", ["ns1.b.test", "ns2.b.test"]),
    ("a.test", "SOA", ["ns1.a.test hostmaster.a.test 7 7200 900 1209600 300"]),
    ("a.test", "CAA", ['0 issue "ca.test; accounturi=ca.test/1"', '128 iodef "mailto:x@a.test"']),
    ("_submission._tcp.a.test", "SRV", ["0 1 587 mail.a.test"]),
    ("_25._tcp.mx1.a.test", "TLSA", [f"3 1 1 {SHA256}"]),
    ("1.a.test", "PTR", ["mx1.a.test"]),
]  # fmt: skip

BAD = [
    ("A", "1.2.3", "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),
    ("A", "1.2.3.4 5.6.7.8", "ARRDATANotSingleField (Value contains spaces)"),
    ("AAAA", "192.0.2.1", "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"),
    ("AAAA", "::1 ::2", "AAAARRDATANotSingleField (Value contains spaces)"),
    ("MX", "mail.a.test", "MXRRDATANotTwoFields (MX record doesn't have 2 fields)"),
    ("MX", "ten mail.a.test", "MXRRDATAInvalidPreference"),
    ("MX", "65536 mail.a.test", "MXRRDATAInvalidPreference"),
    ("MX", "10 mail..a.test", "DomainLabelEmpty (Domain label is empty)"),
    ("TXT", "bare", "InvalidCharacterString (Value should be enclosed in quotation marks)"),
    ("TXT", f'"{"x" * 256}"', "CharacterStringTooLong (Value is too long)"),
    ("TXT", '"ä"', "UnsupportedCharacter (Value contains unsupported characters)"),
    ("CNAME", "a..b", "DomainLabelEmpty (Domain label is empty)"),
    ("CNAME", f"{'x' * 64}.b.test", "DomainLabelTooLong (Domain label is too long)"),
    ("NS", "ns..b.test", "DomainLabelEmpty (Domain label is empty)"),
    ("PTR", "a..b", "DomainLabelEmpty (Domain label is empty)"),
    ("CAA", '0 "ca.test"', "CAARRDATANotThreeFields (CAA record doesn't have 3 fields)"),
    ("CAA", '256 issue "ca.test"', "CAARRDATAInvalidFlags"),
    ("CAA", "0 issue ca.test", "InvalidCharacterString (Value should be enclosed"),
    ("SRV", "0 1 mail.a.test", "SRVRRDATANotFourFields (SRV record doesn't have 4 fields)"),
    ("SRV", "0 1 65536 mail.a.test", "SRVRRDATAInvalidPort"),
    ("TLSA", f"3 1 {SHA256}", "TLSARRDATANotFourFields (TLSA record doesn't have 4 fields)"),
    ("TLSA", "3 1 1 xyz", "TLSARRDATAInvalidData"),
    ("TLSA", "3 1 1 abcd", "InvalidDigestLength"),
]


@pytest.fixture
def r53(cloud: Cloud) -> Any:
    return cloud.root("route53")


@pytest.fixture
def zone(r53: Any) -> str:
    return r53.create_hosted_zone(Name="a.test", CallerReference="1")["HostedZone"]["Id"]


def put(r53: Any, zone: str, action: str, name: str, kind: str, values: list[str]) -> None:
    found = {
        "Name": name, "Type": kind, "TTL": 60,
        "ResourceRecords": [{"Value": value} for value in values],
    }  # fmt: skip
    batch = {"Changes": [{"Action": action, "ResourceRecordSet": found}]}
    r53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)


@pytest.mark.parametrize(("name", "kind", "values"), GOOD, ids=[one[1] for one in GOOD])
def test_values_come_back_as_they_were_given(
    r53: Any, zone: str, name: str, kind: str, values: list[str]
) -> None:
    put(r53, zone, "UPSERT", name, kind, values)
    listed = r53.list_resource_record_sets(
        HostedZoneId=zone, StartRecordName=name, StartRecordType=kind, MaxItems="1"
    )
    [found] = listed["ResourceRecordSets"]
    assert (found["Name"], found["Type"]) == (f"{name}.", kind)
    assert [one["Value"] for one in found["ResourceRecords"]] == values
    if kind != "SOA":
        put(r53, zone, "DELETE", name, kind, values)


@pytest.mark.parametrize(("kind", "value", "words"), BAD)
def test_values_that_are_none(r53: Any, zone: str, kind: str, value: str, words: str) -> None:
    code, status, text = refusal(put, r53, zone, "CREATE", "x.a.test", kind, [value])
    assert (code, status) == ("InvalidChangeBatch", 400)
    assert text.startswith(f"[Invalid Resource Record: 'FATAL problem: {words}")
    assert text.endswith(f"encountered with '{value}'']") or "Label" in words
    assert len(r53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]) == 2
    put(r53, zone, "CREATE", "x.a.test", "A", ["192.0.2.1"])


@pytest.mark.parametrize(
    ("name", "kind", "values", "words"),
    [
        ("x.a.test", "SOA", ["a. b. 1 2 3 4 5"], "is not permitted in zone a.test."),
        ("a.test", "SOA", ["a. b. 1"], "SOARRDATANotSevenFields"),
        ("a.test", "CNAME", ["b.test"], "is not permitted at apex in zone a.test."),
        ("b.test", "A", ["192.0.2.1"], "is not permitted in zone a.test."),
        ("x.a.test", "CNAME", ["b.test", "c.test"], "must have exactly one value"),
        ("x.a.test", "NAPTR", ["x"], "records of type NAPTR are not supported by mailstead"),
        ("x.a.test", "A", ["192.0.2.1", "192.0.2.1"], "Duplicate Resource Record: '192.0.2.1'"),
    ],
)
def test_sets_that_break_a_zone(
    r53: Any, zone: str, name: str, kind: str, values: list[str], words: str
) -> None:
    code, status, text = refusal(put, r53, zone, "UPSERT", name, kind, values)
    assert (code, status) == ("InvalidChangeBatch", 400)
    assert words in text
