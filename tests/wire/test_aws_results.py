"""Results and errors of each protocol: wrappers, times, headers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailstead.wire.aws_model import (
    Fault,
    WireError,
)
from mailstead.wire.aws_scalars import epoch, from_text, iso8601, read_time, rfc822
from support.aws import WIRE

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
