"""Record data: Route 53's value text, wire form and look-up values."""

import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.rdata import (
    TYPE_NAMES,
    TYPES,
    RdataError,
    quote_text,
    to_record,
    to_text,
    to_wire,
)

UNQUOTED = "InvalidCharacterString (Value should be enclosed in quotation marks)"
VALUES = [
    ("A", "192.0.2.1", "192.0.2.1", "192.0.2.1"),
    ("AAAA", "2001:DB8::0:1", "2001:db8::1", "2001:db8::1"),
    ("CNAME", "Target.example.test", "target.example.test.", "target.example.test"),
    ("NS", "ns1.example.test.", "ns1.example.test.", "ns1.example.test"),
    ("PTR", "host.example.test.", "host.example.test.", "host.example.test"),
    ("MX", "10 mx.example.test", "10 mx.example.test.", (10, "mx.example.test")),
    ("MX", " 0   . ", "0 .", (0, "")),
    ("TXT", '"v=spf1 -all"', '"v=spf1 -all"', b"v=spf1 -all"),
    ("TXT", '"one" "two"', '"one" "two"', b"onetwo"),
    ("TXT", '"one""two"', '"one" "two"', b"onetwo"),
    ("TXT", '""', '""', b""),
    ("TXT", r'"say \"hi\" \\ \303\274"', r'"say \"hi\" \\ \303\274"', b'say "hi" \\ \xc3\xbc'),
    ("SPF", '"v=spf1 -all"', '"v=spf1 -all"', b"v=spf1 -all"),
    ("SRV", "1 2 443 a.test", "1 2 443 a.test.", "1 2 443 a.test."),
    ("SOA", "a.test b.test 1 2 3 4 5", "a.test. b.test. 1 2 3 4 5", "a.test. b.test. 1 2 3 4 5"),
    ("CAA", '0 issue "ca.test; x=1"', '0 issue "ca.test; x=1"', '0 issue "ca.test; x=1"'),
    ("TLSA", "3 1 1 " + "0a0B0c0D " * 8, "3 1 1 " + "0A0B0C0D" * 8, "3 1 1 " + "0A0B0C0D" * 8),
    ("TLSA", "3 1 0 0a", "3 1 0 0A", "3 1 0 0A"),
    ("DS", "12345 13 2 " + "ab" * 32, "12345 13 2 " + "AB" * 32, "12345 13 2 " + "AB" * 32),
    ("SSHFP", "4 2 " + "0f" * 32, "4 2 " + "0F" * 32, "4 2 " + "0F" * 32),
]


@pytest.mark.parametrize(("record_type", "value", "text", "record"), VALUES)
def test_values(record_type: str, value: str, text: str, record: object) -> None:
    wire = to_wire(record_type, value)
    assert to_text(record_type, wire) == text
    assert to_record(record_type, wire) == record
    assert to_wire(record_type, text) == wire


@pytest.mark.parametrize(("record_type", "value", "text", "record"), VALUES)
def test_an_independent_reader_agrees(
    record_type: str, value: str, text: str, record: object
) -> None:
    wire = to_wire(record_type, value)
    code = dns.rdatatype.from_text(record_type)
    assert TYPES[record_type] == code
    assert TYPE_NAMES[code] == record_type
    read = dns.rdata.from_wire(dns.rdataclass.IN, code, wire, 0, len(wire))
    if "\\" not in text:
        assert read.to_text().lower() == text.lower()
        assert dns.rdata.from_text("IN", record_type, text).to_wire() == wire


@pytest.mark.parametrize(
    ("record_type", "value", "problem"),
    [
        ("A", "www.example.test", "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),
        ("A", "192.0.2.010", "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),
        ("A", "", "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)"),
        ("AAAA", "::x", "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"),
        ("AAAA", "fe80::1%lo", "AAAARRDATAIllegalIPv6Address (Value is not a valid IPv6 address)"),
        ("MX", "mx.test", "MXRRDATANotTwoFields (MX record doesn't have 2 fields)"),
        ("MX", "10 mx.test x", "MXRRDATANotTwoFields (MX record doesn't have 2 fields)"),
        (
            "MX",
            "65536 mx.test",
            "MXRRDATAInvalidPreference (MX preference must be a number from 0 to 65535)",
        ),
        ("MX", "10 a..b", "DomainLabelEmpty (Domain label is empty)"),
        ("SRV", "1 2 a.test", "SRVRRDATANotFourFields (SRV record doesn't have 4 fields)"),
        ("SOA", "a b 1 2 3 4", "SOARRDATANotSevenFields (SOA record doesn't have 7 fields)"),
        ("TXT", "v=spf1", UNQUOTED),
        ("TXT", "", UNQUOTED),
        ("TXT", '"a"b"', UNQUOTED),
        ("TXT", '""v=1""', UNQUOTED),
        ("TXT", '"' + "x" * 256 + '"', "CharacterStringTooLong (Value is too long)"),
        ("TXT", '"ü"', "UnsupportedCharacter (Value contains unsupported characters)"),
        ("CAA", "0 issue ca.test", UNQUOTED),
        ("CAA", '0 a-b "c"', "CAARRDATAInvalidTag (CAA tag must be 1 to 15 letters and digits)"),
        ("CAA", "0 issue", "CAARRDATANotThreeFields (CAA record doesn't have 3 fields)"),
        ("TLSA", "3 1 1 xyz", "TLSARRDATAInvalidData (TLSA data must be hexadecimal)"),
        ("DS", "1 13 2 ab", "InvalidDigestLength (Digest has the wrong length for its type)"),
        ("CNAME", "a b", "UnsupportedCharacter (Value contains unsupported characters)"),
    ],
)
def test_what_is_no_value(record_type: str, value: str, problem: str) -> None:
    with pytest.raises(RdataError) as caught:
        to_wire(record_type, value)
    about = "a..b" if value == "10 a..b" else value
    assert caught.value.text == f"FATAL problem: {problem} encountered with '{about}'"


def test_a_type_that_is_not_served() -> None:
    with pytest.raises(RdataError, match="records of type NAPTR are not supported"):
        to_wire("NAPTR", '10 100 "U" "" "!x!" .')


def test_long_text_is_cut_into_strings() -> None:
    value = quote_text("k=" + "A" * 500)
    assert to_record("TXT", to_wire("TXT", value)) == b"k=" + b"A" * 500
    assert value.count('" "') == 1
    assert quote_text("") == '""'


@given(st.lists(st.binary(max_size=255), min_size=1, max_size=4))
def test_every_text_comes_back(strings: list[bytes]) -> None:
    wire = b"".join(bytes((len(one),)) + one for one in strings)
    assert to_wire("TXT", to_text("TXT", wire)) == wire
    assert to_record("TXT", wire) == b"".join(strings)


@given(st.sampled_from(sorted(TYPES)), st.text() | st.text('0123456789 ."\\abc:\t'))
def test_garbage_is_a_value_or_an_error(record_type: str, value: str) -> None:
    try:
        wire = to_wire(record_type, value)
    except RdataError:
        return
    assert to_wire(record_type, to_text(record_type, wire)) == wire
    to_record(record_type, wire)
