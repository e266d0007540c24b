"""Forms and XML: odd spellings, escapes, what no shape can hold."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.aws import wire_fault
from mailstead.wire.aws_model import (
    Kind,
    WireError,
)
from mailstead.wire.aws_query import MOST_PAIRS, pairs, tree, unquoted
from mailstead.wire.aws_scalars import from_text
from mailstead.wire.aws_xml import DEEPEST, escaped
from mailstead.wire.aws_xml import parse as parse_xml
from support.aws import WIRE, decoded, form, refusal, request

# Forms


def test_odd_spellings_of_forms() -> None:
    fields = {
        "Action": "SendEmail",
        "Source": "a@b.c",
        "Destination.ToAddresses.member.10": "third",
        "Destination.ToAddresses.member.2": "second",
        "Destination.ToAddresses.member.1": "first",
        "Destination.CcAddresses": "",
        "Destination.Unknown.member.1": "x",
        "Message.Subject.Data": "ä b+c%",
        "Message.Body": "",
        "Tags.member.1.Name": "n",
        "Tags.member.1.Value": "v",
        "Nonsense": "y",
    }
    _, params = decoded("ses", form(**fields))
    assert params == {
        "Source": "a@b.c",
        "Destination": {"ToAddresses": ["first", "second", "third"], "CcAddresses": []},
        "Message": {"Subject": {"Data": "ä b+c%"}, "Body": {}},
        "Tags": [{"Name": "n", "Value": "v"}],
    }


@pytest.mark.parametrize(
    "body",
    [
        b"\xff",
        b"Source=%ff",
        b"Source.x=1",
        b"Destination=x",
        b"Destination.ToAddresses.member=x",
        b"Destination.ToAddresses.member.x=1",
        b"Destination.ToAddresses.member.-1=1",
        b"Destination.ToAddresses.member.\xc2\xb2=1",
        b"Destination.ToAddresses.member.9999999999=1",
        b".".join([b"a"] * 50) + b"=1",
        b"a" * 2000 + b".b=1",
        b"a=&" * (MOST_PAIRS + 1),
    ],
)
def test_forms_that_no_shape_can_hold(body: bytes) -> None:
    assert refusal("ses", request("POST", "/", b"Action=SendEmail&" + body)).kind is Kind.MALFORMED


def test_simple_values_in_forms() -> None:
    _, params = decoded("ses", form(Action="UpdateAccountSendingEnabled", Enabled="TRUE"))
    assert params == {"Enabled": True}
    _, params = decoded("ses", form(Action="UpdateAccountSendingEnabled", Enabled="0"))
    assert params == {"Enabled": False}
    for value in ("maybe", ""):
        sent = form(Action="UpdateAccountSendingEnabled", Enabled=value)
        assert refusal("ses", sent).kind is Kind.MALFORMED
    for value in ("x", "9" * 30, "3000000000", "1.5"):
        sent = form(Action="ListIdentities", MaxItems=value)
        error = refusal("ses", sent)
        assert error.text == "STRING_VALUE can not be converted to an Integer"
        assert wire_fault(WIRE.models["ses"], error).code == "MalformedInput"
    real = from_text({"type": "double"})
    assert (real("1.5e3", (), []), real("-Infinity", (), [])) == (1500.0, float("-inf"))
    for value in ("", "1_0", "0x1", "inf"):
        with pytest.raises(WireError):
            real(value, (), [])
    limited = from_text({"type": "integer", "max": 3})
    problems: Any = []
    assert limited("4", ((), "X"), problems) == 4
    assert len(problems) == 1


def test_maps_in_forms() -> None:
    fields = {
        "Action": "CreateTopic",
        "Name": "t",
        "Attributes.entry.1.key": "DisplayName",
        "Attributes.entry.1.value": "x",
        "Attributes.entry.2.key": "NoValue",
    }
    assert decoded("sns", form(**fields))[1]["Attributes"] == {"DisplayName": "x"}
    limited = form(Action="Subscribe", TopicArn="t", Protocol="p", Attributes="")
    assert decoded("sns", limited)[1]["Attributes"] == {}
    fields["Attributes.entry.2.key.x"] = "1"
    assert refusal("sns", form(**fields)).kind is Kind.MALFORMED


@settings(max_examples=40)
@given(st.text(), st.booleans())
def test_unquoting_gives_back_what_was_quoted(text: str, long: bool) -> None:
    text = text * (20_000 // (len(text) or 1)) if long else text
    assert unquoted(quote_plus(text)) == text
    assert unquoted(quote(text)) == text


def test_unquoting_long_base64_and_broken_escapes() -> None:
    text = "ab+/=" * 10_000
    assert unquoted(quote_plus(text)) == text
    for broken in ("%", "%z", "%%2B41", "%252B", "%2"):
        short = unquoted(broken)
        assert unquoted(broken + "x" * 20_000) == short + "x" * 20_000
    assert tree(pairs("a.b=1&a=2&a.c=3&&=4")) == {"a": {"b": "1", "c": "3"}, "": "4"}


# XML


def test_xml_that_is_refused() -> None:
    url = "/2013-04-01/hostedzone"
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    deep = b"<a>" * (DEEPEST + 2) + b"</a>" * (DEEPEST + 2)
    for body in (b"", bomb, b"<!DOCTYPE a><a/>", b"<a>", b"\xff", deep, b"<a>&b;</a>", b"<a/>"):
        error = refusal("route53", request("POST", url, body))
        expected = Kind.CONSTRAINT if body in {b"", b"<a/>"} else Kind.MALFORMED
        assert error.kind is expected, body
    fault = wire_fault(WIRE.models["route53"], refusal("route53", request("POST", url, b"<")))
    assert (fault.code, fault.status) == ("MalformedInput", 400)


def test_xml_with_namespaces_attributes_and_blanks() -> None:
    body = b"""<?xml version="1.0"?>
      <CreateHostedZoneRequest xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
        <Name>a&amp;b&#x2e;example</Name><CallerReference><![CDATA[ r ]]></CallerReference>
        <HostedZoneConfig><PrivateZone> true </PrivateZone></HostedZoneConfig><More/>
      </CreateHostedZoneRequest>"""
    _, params = decoded("route53", request("POST", "/2013-04-01/hostedzone", body))
    assert params == {
        "Name": "a&b.example",
        "CallerReference": " r ",
        "HostedZoneConfig": {"PrivateZone": True},
    }
    acl = b"""<AccessControlPolicy><AccessControlList><Grant>
      <Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">
      <URI>u</URI></Grantee></Grant></AccessControlList></AccessControlPolicy>"""
    _, params = decoded("s3", request("PUT", "/b?acl", acl))
    plain = request("PUT", "/b?acl", acl.replace(b' xsi:type="Group"', b""))
    assert "'accessControlPolicy.grants.1.member.grantee.type'" in refusal("s3", plain).text
    assert params["AccessControlPolicy"]["Grants"] == [{"Grantee": {"URI": "u", "Type": "Group"}}]
    batch = b"<Delete><Quiet>true</Quiet></Delete>"
    assert "'delete.objects'" in refusal("s3", request("POST", "/b?delete", batch)).text
    assert parse_xml(b"<a><b/><b/><c/></a>").all("b")[1].children == []


def test_escapes() -> None:
    assert escaped("plain") == "plain"
    assert escaped('<&>"\r\x00\ud800') == "&lt;&amp;&gt;&quot;&#xD;\ufffd\ufffd"
