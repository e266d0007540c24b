"""The codec alone: what it refuses and in which words, odd spellings, escapes, errors, garbage."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.aws import Codec, Wire, wire_fault
from mailstead.wire.aws_bindings import OLDER, SHADOWED
from mailstead.wire.aws_constraints import list_check, map_check, scalar_check
from mailstead.wire.aws_model import (
    Fault,
    Kind,
    Request,
    Service,
    WireError,
    load_models,
    refuse,
)
from mailstead.wire.aws_query import MOST_PAIRS, pairs, tree, unquoted
from mailstead.wire.aws_scalars import epoch, from_json, from_text, iso8601, read_time, rfc822
from mailstead.wire.aws_xml import DEEPEST, escaped
from mailstead.wire.aws_xml import parse as parse_xml

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "src/mailstead/wire/models.json.gz"
WIRE = Wire(load_models(MODELS.read_bytes()))
SEND = "/v2/email/outbound-emails"


def request(method: str, url: str, body: bytes = b"", **headers: str) -> Request:
    path, _, query = url.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, query, named, body)


def decoded(service: str, sent: Request) -> tuple[str, dict[str, Any]]:
    codec = WIRE.codec(WIRE.models[service])
    route = codec.route(sent)
    return route.operation.name, codec.decode(route, sent)


def form(**fields: str) -> Request:
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    return request("POST", "/", body.encode())


def refusal(service: str, sent: Request) -> WireError:
    with pytest.raises(WireError) as caught:
        decoded(service, sent)
    return caught.value


# The model file


def test_the_file_is_what_the_tool_makes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/models.py", "--check"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_no_documentation_is_in_the_file() -> None:
    def keys(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    content = gzip.decompress(MODELS.read_bytes())
    for line in content.split(b"\n"):
        assert not keys(json.loads(line)) & {"documentation", "examples", "deprecatedMessage"}
    assert b"<p>" not in content
    notice = (MODELS.parent / "models.NOTICE.txt").read_text()
    assert "Apache" in notice
    assert "changed" in notice


def test_a_file_of_another_form() -> None:
    with pytest.raises(ValueError, match="service models"):
        load_models(b"not gzip")


# Routing


def test_older_bindings_lead_to_todays_operations() -> None:
    for service, bindings in OLDER.items():
        for older in bindings:
            url = re.sub(r"\{\w+\}", "x.example", older.uri)
            if older.in_query:
                url += "?" + "&".join(f"{name}=7" for name in older.in_query)
            body = b'{"SigningAttributesOrigin": "AWS_SES"}' if older.method == "PUT" else b""
            name, params = decoded(service, request(older.method, url, body))
            assert name == older.operation
            assert set(older.in_query) <= params.keys()


def test_a_slash_at_the_end_does_not_matter() -> None:
    for url in (SEND, SEND + "/"):
        assert decoded("sesv2", request("POST", url, b'{"Content":{}}'))[0] == "SendEmail"
    for url in ("/2013-04-01/hostedzone/Z1/rrset", "/2013-04-01/hostedzone/Z1/rrset/"):
        assert decoded("route53", request("GET", url))[0] == "ListResourceRecordSets"


@pytest.mark.parametrize(
    ("method", "url", "headers", "name"),
    [
        ("GET", "/", {}, "ListBuckets"),
        ("GET", "/b", {}, "ListObjects"),
        ("GET", "/b?list-type=2&prefix=a", {}, "ListObjectsV2"),
        ("GET", "/b?location", {}, "GetBucketLocation"),
        ("GET", "/b?lifecycle", {}, "GetBucketLifecycleConfiguration"),
        ("GET", "/b?analytics", {}, "ListBucketAnalyticsConfigurations"),
        ("GET", "/b?analytics&id=1", {}, "GetBucketAnalyticsConfiguration"),
        ("PUT", "/b/k", {}, "PutObject"),
        ("PUT", "/b/k", {"x_amz_copy_source": "/a/b"}, "CopyObject"),
        ("PUT", "/b/k?partNumber=1&uploadId=x", {}, "UploadPart"),
        ("PUT", "/b/k?encryption", {}, "UpdateObjectEncryption"),
        ("GET", "/b/a/long/k?uploadId=x", {}, "ListParts"),
        ("DELETE", "/b/k", {}, "DeleteObject"),
        ("POST", "/b?delete", {}, "DeleteObjects"),
    ],
)
def test_s3_is_routed_by_query_and_headers(
    method: str, url: str, headers: dict[str, str], name: str
) -> None:
    codec = WIRE.codec(WIRE.models["s3"])
    assert codec.route(request(method, url, **headers)).operation.name == name


def test_the_key_of_an_object_is_the_rest_of_the_path() -> None:
    assert decoded("s3", request("GET", "/b/a%20b/c%2Fd/"))[1]["Key"] == "a b/c/d/"
    assert decoded("s3", request("GET", "/b/a//b"))[1]["Key"] == "a//b"
    _, params = decoded("s3", request("PUT", "/b/k", b"x", x_amz_meta_a="1", x_amz_meta_b="2"))
    assert params["Metadata"] == {"a": "1", "b": "2"}
    assert params["Body"] == b"x"
    assert not any(name in SHADOWED["s3"] for name in ("PutObject", "GetObject"))


@pytest.mark.parametrize(
    ("service", "sent"),
    [
        ("sesv2", request("POST", "/v2/email/nothing")),
        ("sesv2", request("PATCH", SEND)),
        ("sesv2", request("GET", "/v2/email/identities//dkim")),
        ("sesv2", request("GET", "/v2/email/{")),
        ("sesv2", request("GET", "")),
        ("ses", form(Action="Nothing")),
        ("ses", form(Action="SendEmail", Version="2000-01-01")),
        ("ssm", request("POST", "/", x_amz_target="AmazonSSM.Nothing")),
        ("ssm", request("POST", "/", x_amz_target="GetParameter")),
        ("ssm", request("POST", "/")),
    ],
)
def test_operations_that_are_not_there(service: str, sent: Request) -> None:
    assert refusal(service, sent).kind is Kind.UNKNOWN_OPERATION


def test_a_form_without_an_action() -> None:
    for sent in (form(a="b"), request("POST", "/", b"Action.x=1")):
        assert refusal("ses", sent).kind is Kind.MISSING_ACTION
    ignored = request("POST", "/?Action=GetSendQuota", b"{}", content_type="text/plain")
    assert decoded("ses", ignored) == ("GetSendQuota", {})


def test_which_service_a_signature_means() -> None:
    sent = request("POST", "/")
    assert WIRE.identify("iam", sent) is WIRE.models["iam"]
    assert WIRE.identify("ses", sent) is WIRE.models["ses"]
    assert WIRE.identify("ses", request("GET", "/v1/email/x")) is WIRE.models["sesv2"]
    assert WIRE.identify("ec2", sent) is None


@pytest.mark.parametrize(
    ("sent", "name"),
    [
        (request("GET", "/v2/email/account"), "sesv2"),
        (request("PUT", "/v1/email/identities/x/dkim/signing"), "sesv2"),
        (request("GET", "/2013-04-01/hostedzone"), "route53"),
        (request("POST", "/", x_amz_target="secretsmanager.GetSecretValue"), "secretsmanager"),
        (request("POST", "/", x_amz_target="Nobody.Do"), "sesv2"),
        (request("POST", "/", b"Action=X&Version=2011-06-15"), "sts"),
        (request("GET", "/?Action=X&Version=2010-05-08"), "iam"),
        (request("POST", "/", b"Action=X&Version=1"), "ses"),
        (request("POST", "/", b"\xff"), "ses"),
        (request("GET", "/"), "s3"),
        (request("GET", "/bucket/key"), "s3"),
    ],
)
def test_which_service_an_unsigned_request_means(sent: Request, name: str) -> None:
    assert WIRE.identify(None, sent) is WIRE.models[name]


# Words of refusals


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"FromEmailAddress": 1}, "NUMBER_VALUE can not be converted to a String"),
        ({"FromEmailAddress": 1.5}, "NUMBER_VALUE can not be converted to a String"),
        ({"FromEmailAddress": True}, "TRUE_VALUE can not be converted to a String"),
        ({"FromEmailAddress": False}, "FALSE_VALUE can not be converted to a String"),
        ({"FromEmailAddress": []}, "Start of list found where not expected"),
        ({"FromEmailAddress": {}}, "Start of structure or map found where not expected."),
        ({"Destination": []}, "Start of list found where not expected"),
        ({"Destination": "x"}, "Expected null"),
        ({"ReplyToAddresses": "x"}, "Expected list or null"),
        ({"ReplyToAddresses": {}}, "Start of structure or map found where not expected."),
        ([], "Start of list found where not expected"),
        ("x", "Expected null"),
        (
            {"Content": {"Raw": {"Data": "not base64!"}}},
            "STRING_VALUE can not be converted to a Blob",
        ),
        ({"Content": {"Raw": {"Data": 1}}}, "NUMBER_VALUE can not be converted to a Blob"),
    ],
)
def test_json_of_the_wrong_type(content: Any, text: str) -> None:
    error = refusal("sesv2", request("POST", SEND, json.dumps(content).encode()))
    assert (error.kind, error.text) == (Kind.MALFORMED, text)
    fault = wire_fault(WIRE.models["sesv2"], error)
    assert (fault.code, fault.status) == ("SerializationException", 400)


def test_other_wrong_types_of_json() -> None:
    def put(path: str, body: str) -> dict[str, Any]:
        return decoded("sesv2", request("PUT", f"/v2/email/{path}", body.encode()))[1]

    sending = '{"SendingEnabled": %s}'
    for written, value in (("true", True), ('"yes"', True), ('"FALSE"', False), ('"x"', True)):
        assert put("account/sending", sending % written) == {"SendingEnabled": value}
    assert put("account/sending", sending % "null") == {}
    with pytest.raises(WireError, match="NUMBER_VALUE can not be converted to a Boolean"):
        put("account/sending", sending % "1")
    warm = "dedicated-ips/1.2.3.4/warmup"
    assert put(warm, '{"WarmupPercentage": 5.0}')["WarmupPercentage"] == 5
    for written in ("5.5", '"5"', "3000000000", "true"):
        with pytest.raises(WireError, match="can not be converted to an Integer"):
            put(warm, f'{{"WarmupPercentage": {written}}}')


def test_numbers_and_times_in_json() -> None:
    number = from_json({"type": "double"})
    assert number(1, (), []) == 1.0
    assert number(1.5, (), []) == 1.5
    assert number("NaN", (), []) != number("NaN", (), [])
    for value in ("1", True, 10**400, [], None):
        with pytest.raises(WireError):
            number(value, (), [])
    time = from_json({"type": "timestamp"})
    assert time(5, (), []) == time("1970-01-01T00:00:05Z", (), []) == 5.0
    for value in ("x", 1e300, {}, False, 10**400):
        with pytest.raises(WireError):
            time(value, (), [])


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b'{"a": NaN}',
        b'{"FromEmailAddress": "\\ud800"}',
        b"[" * 100_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
)
def test_bodies_that_are_no_json(body: bytes) -> None:
    assert refusal("sesv2", request("POST", SEND, body)).kind is Kind.MALFORMED


def test_a_whole_surrogate_pair_is_a_character() -> None:
    body = b'{"FromEmailAddress": "\\ud83d\\ude00", "Content": {}}'
    assert decoded("sesv2", request("POST", SEND, body))[1]["FromEmailAddress"] == "\U0001f600"


def test_constraints_of_v2() -> None:
    headers = [{"Value": "x"}]
    content = {"Simple": {"Subject": {"Data": ""}, "Body": {}, "Headers": headers}}
    error = refusal("sesv2", request("POST", SEND, json.dumps({"Content": content}).encode()))
    assert (error.kind, error.text) == (
        Kind.CONSTRAINT,
        "1 validation error detected: Value at 'content.simple.headers.1.member.name' failed to "
        "satisfy constraint: Member must not be null",
    )
    assert wire_fault(WIRE.models["sesv2"], error).code == "BadRequestException"
    error = refusal("sesv2", request("POST", SEND, b'{"EmailTags":[{"Name":"a"},null]}'))
    assert error.text == (
        "3 validation errors detected: Value at 'emailTags.1.member.value' failed to satisfy "
        "constraint: Member must not be null; Value at 'emailTags.2.member' failed to satisfy "
        "constraint: Member must not be null; Value at 'content' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_enumerations() -> None:
    path = "/v2/email/account/suppression"
    body = b'{"SuppressedReasons": ["X"]}'
    assert refusal("sesv2", request("PUT", path, body)).text == (
        "1 validation error detected: Value at 'suppressedReasons' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must satisfy enum value set: [BOUNCE, COMPLAINT]]"
    )
    body = b'{"MailType": "X", "WebsiteURL": "https://example.com/"}'
    assert refusal("sesv2", request("POST", "/v2/email/account/details", body)).text == (
        "1 validation error detected: Value at 'mailType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [MARKETING, TRANSACTIONAL]"
    )


def test_constraints_of_forms() -> None:
    error = refusal("ses", form(Action="SendEmail", Source="a@b.c"))
    assert error.text.startswith("2 validation errors detected: Value at 'destination' failed")
    assert wire_fault(WIRE.models["ses"], error) == Fault("ValidationError", 400, error.text)
    error = refusal("iam", form(Action="CreateUser", UserName="a b"))
    assert error.text == (
        "1 validation error detected: Value at 'userName' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [\w+=,.@-]+"
    )
    error = refusal("iam", form(Action="CreateUser", UserName="ä" * 100))
    assert "Member must have length less than or equal to 64" in error.text
    assert "2 validation" not in error.text
    error = refusal("iam", form(Action="CreateUser", UserName=""))
    assert "length greater than or equal to 1" in error.text


def run(check: Any, value: Any) -> str:
    problems: Any = []
    check(value, ((), "X"), problems)
    with suppress(WireError):
        refuse(problems)
        return ""
    return "; ".join(text for _, text in problems)


def test_checks() -> None:
    number = scalar_check({"type": "integer", "max": 5, "min": 1})
    assert run(number, 6) == "Member must have value less than or equal to 5"
    assert run(number, 0) == "Member must have value greater than or equal to 1"
    assert run(number, 3) == ""
    assert scalar_check({"type": "string"}) is None
    assert scalar_check({"type": "string", "pattern": r"[\p{Nonsense}"}) is None
    unicode = scalar_check({"type": "string", "pattern": r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*"})
    assert run(unicode, "Grüße 1_\u00a0") == ""
    assert run(unicode, "a!b") != ""
    ascii_only = scalar_check({"type": "string", "pattern": r"\p{ASCII}+"})
    assert (run(ascii_only, "a"), run(ascii_only, "ä") != "") == ("", True)
    plain = {"type": "string"}
    short = {"type": "string", "max": 2}
    assert list_check({"type": "list"}, plain) is None
    assert run(list_check({"type": "list", "max": 1}, plain), ["", ""]) == (
        "Member must have length less than or equal to 1"
    )
    both = list_check({"type": "list", "max": 1}, short)
    assert run(both, ["abc", "a"]).count(";") == 1
    assert run(both, ["a"]) == ""
    assert map_check({"type": "map"}, plain, plain) is None
    structure = {"type": "structure"}
    sized = map_check({"type": "map", "max": 1}, short, structure)
    assert run(sized, {"a": {}}) == ""
    assert run(sized, {"abc": {}, "b": {}}) == (
        "Member must have length less than or equal to 1; Map keys must satisfy constraint: "
        "[Member must have length less than or equal to 2]"
    )
    values = map_check({"type": "map"}, plain, {"type": "string", "min": 1})
    assert run(values, {"a": ""}) == (
        "Map value must satisfy constraint: [Member must have length greater than or equal to 1]"
    )


def test_maps_in_json() -> None:
    path = "/v2/email/list-identities"
    body = b'{"Filter": {"X": "y"}}'
    error = refusal("sesv2", request("POST", path, body))
    assert "Value at 'filter' failed to satisfy constraint: Map keys must satisfy" in error.text
    for body, text in ((b'{"Filter": []}', "Start of list"), (b'{"Filter": 1}', "Expected null")):
        assert refusal("sesv2", request("POST", path, body)).text.startswith(text)


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


# Results and errors


def answered(service: str, name: str, value: Any) -> Any:
    codec = WIRE.codec(WIRE.models[service])
    return codec.result(codec.service.operations[name], value, "id-1")


def test_an_empty_result_still_has_its_wrapper() -> None:
    text = answered("ses", "VerifyEmailIdentity", None).body.decode()
    assert "<VerifyEmailIdentityResult></VerifyEmailIdentityResult>" in text
    assert b"Result" not in answered("iam", "DeleteUser", None).body
    assert answered("sesv2", "PutAccountSendingAttributes", None).body == b"{}"
    assert answered("s3", "PutBucketAcl", None).body == b""
    assert answered("s3", "DeleteObject", None).status == 204
    assert answered("sqs", "DeleteQueue", None).body == b""
    assert answered("ssm", "AddTagsToResource", None).body == b"{}"
    assert (
        b"<ChangeTagsForResourceResponse" in answered("route53", "ChangeTagsForResource", None).body
    )


def test_none_is_left_out_and_an_unknown_member_is_our_own_bug() -> None:
    assert answered("sesv2", "SendEmail", {"MessageId": None}).body == b"{}"
    assert b"MessageId" not in answered("ses", "SendEmail", {"MessageId": None}).body
    made = answered("route53", "CreateHostedZone", {"Location": None})
    assert "location" not in dict(made.headers)
    for service in ("ses", "sesv2"):
        with pytest.raises(KeyError):
            answered(service, "SendEmail", {"Nonsense": 1})


def test_times_in_results() -> None:
    point = {"Timestamp": 1234567890.5, "Bounces": 1}
    text = answered("ses", "GetSendStatistics", {"SendDataPoints": [point]}).body
    assert b"<Timestamp>2009-02-13T23:31:30.500Z</Timestamp>" in text
    found = json.loads(answered("sesv2", "GetEmailTemplate", {"TemplateName": "x"}).body)
    assert found == {"TemplateName": "x"}
    job = json.loads(answered("sesv2", "GetExportJob", {"CreatedTimestamp": 1234567890.0}).body)
    assert job == {"CreatedTimestamp": 1234567890}
    headers = dict(answered("s3", "HeadObject", {"LastModified": 0}).headers)
    assert headers["last-modified"] == "Thu, 01 Jan 1970 00:00:00 GMT"
    assert (epoch(1.0), epoch(1.2345)) == (1, 1.234)


def test_headers_cannot_be_split() -> None:
    value = {"a": "x\r\nset-cookie: y"}
    headers = dict(answered("s3", "GetObject", {"Metadata": value, "Body": b"b"}).headers)
    assert headers["x-amz-meta-a"] == "x%0D%0Aset-cookie: y"
    given = answered("s3", "GetObject", {"ContentType": "a/b", "Body": b"b"})
    assert dict(given.headers)["content-type"] == "a/b"
    assert answered("s3", "GetBucketPolicy", {"Policy": "{}"}).body == b"{}"
    assert answered("s3", "GetObject", None).body == b""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1234567890", 1234567890.0),
        ("1.5", 1.5),
        ("2009-02-13T23:31:30Z", 1234567890.0),
        ("2009-02-13T23:31:30", 1234567890.0),
        ("2009-02-14T00:31:30+01:00", 1234567890.0),
        ("Fri, 13 Feb 2009 23:31:30 GMT", 1234567890.0),
        ("13 Feb 2009 22:31:30 -0100", 1234567890.0),
        ("13 Feb 2009 23:31:30 +0000", 1234567890.0),
    ],
)
def test_times_in_text(text: str, seconds: float) -> None:
    assert read_time(text) == seconds


def test_times_that_are_none() -> None:
    for text in ("", "x", "Fri, 13 Nix 2009 23:31:30 GMT", "32 Feb 2009 00:00:00 GMT"):
        with pytest.raises(WireError, match="can not be converted to a Timestamp"):
            from_text({"type": "timestamp"})(text, (), [])
    assert iso8601(1234567890) == "2009-02-13T23:31:30Z"
    assert rfc822(1234567890.9) == "Fri, 13 Feb 2009 23:31:30 GMT"


def test_errors_of_each_protocol() -> None:
    def sent(service: str, fault: Fault) -> tuple[dict[str, str], str]:
        response = WIRE.codec(WIRE.models[service]).fault(fault, "id-1")
        assert response.status == fault.status
        return dict(response.headers), response.body.decode()

    models = WIRE.models
    fault = models["ses"].fault("ConfigurationSetDoesNotExistException", "a<b")
    headers, text = sent("ses", fault)
    assert headers["x-amzn-requestid"] == "id-1"
    assert "<Code>ConfigurationSetDoesNotExist</Code><Message>a&lt;b</Message>" in text
    assert "<RequestId>id-1</RequestId>" in text
    named = models["ses"].fault("ConfigurationSetDoesNotExistException", "x",
                                ConfigurationSetName="n")  # fmt: skip
    assert "<ConfigurationSetName>n</ConfigurationSetName></Error>" in sent("ses", named)[1]
    assert "<Message/>" in sent("ses", Fault("X", 400, None))[1]
    assert "<Type>Receiver</Type>" in sent("ses", Fault("X", 500, "", sender=False))[1]

    headers, text = sent("sesv2", models["sesv2"].fault("NotFoundException", None))
    assert (headers["x-amzn-errortype"], text) == ("NotFoundException", '{"message":null}')
    assert headers["content-type"] == "application/json"

    headers, text = sent("ssm", models["ssm"].fault("ParameterNotFound", "x"))
    assert json.loads(text) == {"__type": "ParameterNotFound", "message": "x"}
    headers, _ = sent("sqs", Fault("X", 500, "x", sender=False))
    assert headers["x-amzn-query-error"] == "X;Receiver"
    fault = models["secretsmanager"].fault("ResourceNotFoundException", "x")
    _, text = sent("secretsmanager", fault)
    assert json.loads(text) == {"__type": "ResourceNotFoundException", "Message": "x"}

    fault = models["route53"].fault("InvalidChangeBatch", "x", messages=["a", "b"])
    _, text = sent("route53", fault)
    assert "<messages><Message>a</Message><Message>b</Message></messages></Error>" in text
    headers, text = sent("s3", models["s3"].fault("NoSuchBucket", "x"))
    assert headers["x-amz-request-id"] == "id-1"
    assert "<Error><Code>NoSuchBucket</Code><Message>x</Message><RequestId>id-1" in text
    assert models["ses"].fault("Unheard", "x") == Fault("Unheard", 400, "x")
    assert models["ses"].fault("SendEmailRequest", "x").code == "SendEmailRequest"
    invalid = models["ssm"].fault("ParameterLimitExceeded", "x")
    assert invalid.sender


# Shapes that today's models happen not to have


def made_up(protocol: str, members: dict[str, Any], shapes: dict[str, Any], **shape: Any) -> Any:
    """A codec of a service with one operation whose input and output are the same shape."""
    metadata = {
        "protocol": protocol,
        "apiVersion": "1",
        "endpointPrefix": "x",
        "xmlNamespace": "urn:x",
        "jsonVersion": "1.1",
        "targetPrefix": "X",
    }
    model = {
        "operations": {
            "Do": {
                "http": {"method": "POST", "requestUri": "/do"},
                "input": "Whole",
                "output": "Whole",
            },
            "Ping": {"http": {"method": "GET", "requestUri": "/ping"}},
        },
        "shapes": {
            "Whole": {"type": "structure", "members": members, **shape},
            "Text": {"type": "string"},
            "Bytes": {"type": "blob"},
            "Number": {"type": "integer"},
            "Part": {"type": "structure", "members": {"Name": {"shape": "Text"}}},
            **shapes,
        },
    }
    return Codec(Service("made-up", metadata, ["Do", "Ping"], json.dumps(model).encode()))


def there_and_back(codec: Any, sent: Request, value: Any) -> bytes:
    route = codec.route(sent)
    assert codec.decode(route, sent) == value
    return codec.result(route.operation, value, "id-1").body


NODE = {
    "Node": {"type": "structure", "members": {"Name": {"shape": "Text"}, "Next": {"shape": "Node"}}}
}
CHAIN = {"Node": {"Name": "a", "Next": {"Name": "b", "Next": {"Name": "c"}}}}


def test_shapes_within_themselves() -> None:
    members = {"Node": {"shape": "Node"}}
    query = made_up("query", members, NODE)
    sent = request("POST", "/", b"Action=Do&Node.Name=a&Node.Next.Name=b&Node.Next.Next.Name=c")
    inner = b"<Node><Name>a</Name><Next><Name>b</Name><Next><Name>c</Name></Next></Next></Node>"
    assert inner in there_and_back(query, sent, CHAIN)
    as_json = json.dumps(CHAIN, separators=(",", ":")).encode()
    for protocol in ("json", "rest-json"):
        codec = made_up(protocol, members, NODE)
        sent = request("POST", "/do", as_json, x_amz_target="X.Do")
        assert there_and_back(codec, sent, CHAIN) == as_json
    codec = made_up("rest-xml", members, NODE)
    assert inner in there_and_back(codec, request("POST", "/do", b"<x>" + inner + b"</x>"), CHAIN)


def test_encoders_of_shapes_within_themselves_find_nothing_to_do() -> None:
    shapes = {"Nested": {"type": "list", "member": {"shape": "Nested"}}}
    codec = made_up("json", {"All": {"shape": "Nested"}}, shapes)
    sent = request("POST", "/", b'{"All":[[],[[]]]}', x_amz_target="X.Do")
    assert there_and_back(codec, sent, {"All": [[], [[]]]}) == b'{"All":[[],[[]]]}'


def test_maps_in_xml() -> None:
    pair = {"key": {"shape": "Text"}, "value": {"shape": "Number"}}
    shapes = {
        "Map": {"type": "map", **pair},
        "Short": {"type": "string", "max": 1},
        "Limited": {"type": "map", **pair, "key": {"shape": "Short"}},
    }
    members = {"M": {"shape": "Map"}, "L": {"shape": "Limited"}}
    codec = made_up("rest-xml", members, shapes)
    body = (
        b"<x><M><entry><key>a</key><value>1</value></entry><entry><key>b</key></entry></M>"
        b"<L><entry><key>ab</key><value>1</value></entry></L></x>"
    )
    sent = request("POST", "/do", body)
    with pytest.raises(WireError, match="Map keys must satisfy constraint"):
        codec.decode(codec.route(sent), sent)
    sent = request("POST", "/do", body.replace(b"ab", b"c"))
    written = there_and_back(codec, sent, {"M": {"a": 1}, "L": {"c": 1}})
    assert b"<M><entry><key>a</key><value>1</value></entry></M>" in written
    flat = made_up("query", {"M": {"shape": "Map", "flattened": True}}, shapes)
    made = flat.result(flat.service.operations["Do"], {"M": {"a": 1}}, "id-1").body
    assert b"<DoResult><M><key>a</key><value>1</value></M></DoResult>" in made


def test_flat_lists_in_forms() -> None:
    shapes = {"List": {"type": "list", "member": {"shape": "Text"}, "flattened": True}}
    codec = made_up("query", {"L": {"shape": "List"}}, shapes)
    sent = request("POST", "/", b"Action=Do&L.1=a&L.2=b")
    assert b"<L>a</L><L>b</L>" in there_and_back(codec, sent, {"L": ["a", "b"]})


def test_bodies_that_are_one_member() -> None:
    for protocol in ("rest-json", "rest-xml"):
        for shape, sent, value in (("Bytes", b"\x00", b"\x00"), ("Text", "ä".encode(), "ä")):
            codec = made_up(protocol, {"P": {"shape": shape}}, {}, payload="P")
            assert there_and_back(codec, request("POST", "/do", sent), {"P": value}) == sent
        codec = made_up(protocol, {"P": {"shape": "Part"}}, {}, payload="P")
        sent = request("POST", "/do")
        assert codec.decode(codec.route(sent), sent) == {}
    codec = made_up("rest-json", {"P": {"shape": "Part"}}, {}, payload="P")
    sent = request("POST", "/do", b'{"Name":"n"}')
    assert there_and_back(codec, sent, {"P": {"Name": "n"}}) == b'{"Name":"n"}'
    empty = request("POST", "/do")
    codec = made_up("rest-json", {"P": {"shape": "Text"}}, {}, payload="P")
    assert codec.decode(codec.route(empty), empty) == {}


def test_members_outside_the_body() -> None:
    members = {
        "Code": {"shape": "Number", "location": "statusCode"},
        "Many": {"shape": "Numbers", "location": "header", "locationName": "X-Many"},
        "Metadata": {"shape": "Map", "location": "headers", "locationName": "x-m-"},
        "Need": {"shape": "Text", "location": "header", "locationName": "X-Need"},
    }
    shapes = {
        "Numbers": {"type": "list", "member": {"shape": "Number"}, "max": 2},
        "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Text"}},
    }
    inputs = {name: part for name, part in members.items() if name != "Code"}
    codec = made_up("rest-json", inputs, shapes, required=["Need"])
    sent = request("POST", "/do", x_many="1, 2")
    with pytest.raises(WireError, match="Value at 'need' failed to satisfy"):
        codec.decode(codec.route(sent), sent)
    sent = request("POST", "/do", x_many="1, 2,3", x_need="n")
    with pytest.raises(WireError, match="less than or equal to 2"):
        codec.decode(codec.route(sent), sent)
    codec = made_up("rest-json", members, shapes)
    response = codec.result(codec.service.operations["Do"], {"Code": 202}, "id-1")
    assert response.status == 202


def test_operations_without_input_and_output() -> None:
    for protocol, sent in (
        ("query", request("POST", "/", b"Action=Ping")),
        ("json", request("POST", "/", x_amz_target="X.Ping")),
        ("rest-json", request("GET", "/ping")),
        ("rest-xml", request("GET", "/ping")),
    ):
        there_and_back(made_up(protocol, {}, {}), sent, {})


def test_paths_are_utf8() -> None:
    sent = request("GET", "/v2/email/identities/%ff")
    assert refusal("sesv2", sent).kind is Kind.MALFORMED


# Garbage


@given(st.binary(max_size=200), st.sampled_from(sorted(WIRE.models.services)))
def test_garbage_bodies(body: bytes, name: str) -> None:
    service = WIRE.models[name]
    codec = WIRE.codec(service)
    for operation in sorted(service.operations.values(), key=lambda one: one.name)[:3]:
        if service.protocol == "query":
            sent = request("POST", "/", f"Action={operation.name}&".encode() + body)
        elif service.protocol == "json":
            target = f"{service.metadata['targetPrefix']}.{operation.name}"
            sent = request("POST", "/", body, x_amz_target=target)
        else:
            url = re.sub(r"\{\w+\+?\}", "x", operation.uri)
            sent = request(operation.method, url, body)
        with suppress(WireError):
            codec.decode(codec.route(sent), sent)


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["GET", "PUT", "POST"]))
def test_garbage_paths(path: str, query: str, method: str) -> None:
    for name in ("s3", "sesv2", "route53"):
        codec = WIRE.codec(WIRE.models[name])
        for start in ("", "/", "/v2/email/", "/2013-04-01/"):
            sent = Request(method, start + path, query, {}, b"")
            with suppress(WireError):
                codec.decode(codec.route(sent), sent)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["Content", "Simple", "Raw", "Data", "Destination", "ToAddresses", "Headers"]
                ),
                inner,
            )
        ),
        max_leaves=10,
    )
)
def test_garbage_json(value: Any) -> None:
    with suppress(WireError):
        decoded("sesv2", request("POST", SEND, json.dumps(value).encode()))
