"""The codec alone: what it refuses and in which words, odd spellings, escapes, errors, garbage."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from contextlib import suppress
from typing import Any

import pytest

from mailstead.wire.aws import wire_fault
from mailstead.wire.aws_bindings import OLDER, SHADOWED
from mailstead.wire.aws_constraints import list_check, map_check, scalar_check
from mailstead.wire.aws_model import (
    Fault,
    Kind,
    Request,
    WireError,
    load_models,
    refuse,
)
from mailstead.wire.aws_scalars import from_json
from support.aws import MODELS, ROOT, SEND, WIRE, decoded, form, refusal, request

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
