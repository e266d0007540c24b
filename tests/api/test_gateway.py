"""The AWS door itself: signatures, envelopes, bodies, unserved operations, crashes."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Keys
from botocore.exceptions import ClientError

from mailstead.api import iam as iam_handlers
from mailstead.api.errors import TABLES, fault
from mailstead.api.operation import Call, Operations, operation
from mailstead.mail.errors import (
    Conflict,
    DomainError,
    Invalid,
    Limit,
    NotFound,
    Refused,
    Unavailable,
)
from mailstead.wire import sigv4
from mailstead.wire.aws_model import load_models

MODELS = load_models((Path(__file__).parents[2] / "src/mailstead/wire/models.json.gz").read_bytes())
ACCOUNT = "111122223333"
ROOT = ("AKIAROOTROOTROOTROOT", "root-secret")
V2 = "http://localhost:4566/v2/email/account"
V1 = "http://localhost:4566/"


def handlers() -> ModuleType:
    """A module of handlers for some SES operations."""
    module = ModuleType("tests_handlers")

    @operation("sesv2", "GetAccount")
    @operation("ses", "GetSendQuota")
    async def quota(call: Call, p: dict[str, Any]) -> dict[str, Any] | None:
        assert (call.source_ip, call.secure) == ("127.0.0.1", True)
        return {"Max24HourSend": 200.0} if call.api_version == "1" else {"SendingEnabled": True}

    @operation("sesv2", "ListEmailIdentities")
    async def listed(call: Call, p: dict[str, Any]) -> dict[str, Any]:
        return {"NextToken": f"{p.get('NextToken')} {p.get('PageSize')}"}

    @operation("sesv2", "ListContacts")
    async def contacts(call: Call, p: dict[str, Any]) -> dict[str, Any]:
        return {"NextToken": f"{p['ContactListName']} {p.get('PageSize')} {p.get('Filter')}"}

    @operation("sesv2", "PutEmailIdentityDkimSigningAttributes")
    async def dkim(call: Call, p: dict[str, Any]) -> dict[str, Any]:
        return {"DkimTokens": [p["EmailIdentity"]]}

    @operation("sesv2", "PutAccountDetails")
    async def crash(call: Call, p: dict[str, Any]) -> None:
        raise RuntimeError("secret inside")

    @operation("sesv2", "PutAccountVdmAttributes")
    async def wrong_result(call: Call, p: dict[str, Any]) -> dict[str, Any]:
        return {"NoSuchMember": 1}

    @operation("sesv2", "DeleteEmailIdentity")
    async def missing(call: Call, p: dict[str, Any]) -> None:
        raise NotFound("Email identity x does not exist.", resource="identity")

    @operation("sesv2", "PutAccountSendingAttributes")
    async def full(call: Call, p: dict[str, Any]) -> None:
        raise Unavailable("the disk is full", full=True)

    @operation("sesv2", "SendEmail", open_=True)
    async def send(call: Call, p: dict[str, Any]) -> dict[str, Any]:
        arn = f"arn:aws:ses:{call.scope.region}:{call.scope.account}:identity/a@b.c"
        address = p.get("FromEmailAddress", "")
        call.authorise_sending("ses:SendEmail", [arn], {"ses:FromAddress": [address]})
        return {"MessageId": "m"}

    for handler in (quota, listed, contacts, dkim, crash, wrong_result, missing, full, send):
        handler.__module__ = module.__name__
        setattr(module, handler.__name__, handler)
    return module


@pytest.fixture
def ses(tmp_path: Path, door: Any) -> Iterator[Any]:
    """A gateway that serves the handlers above, with small limits."""
    (tmp_path / "ses").mkdir()
    made = type(door)(
        tmp_path / "ses", [handlers(), iam_handlers], largest_body=20_000, most_held=30_000
    )
    yield made
    made.close()


def signed(
    method: str,
    url: str,
    body: bytes = b"",
    *,
    keys: tuple[str, str] = ROOT,
    service: str = "ses",
    headers: dict[str, str] | None = None,
) -> dict[str, str]:
    """The headers of a signed request."""
    request = AWSRequest(
        method, url, headers={"Host": "localhost:4566", **(headers or {})}, data=body
    )
    SigV4Auth(Keys(*keys), service, "us-east-1").add_auth(request)
    return dict(request.headers.items())


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def v1(door: Any, form: str, **more: Any) -> tuple[int, dict[str, str], str]:
    headers = signed("POST", V1, form.encode(), headers=FORM, **more)
    status, found, body = door.call("POST", V1, headers, form.encode())
    return status, found, body.decode()


def v2(
    door: Any, method: str = "GET", url: str = V2, body: bytes = b"", **more: Any
) -> tuple[int, dict[str, str], Any]:
    status, found, answered = door.call(method, url, signed(method, url, body, **more), body)
    return status, found, json.loads(answered)


def code(text: str) -> str:
    found = re.search("<Code>(.*?)</Code>", text)
    assert found is not None
    return found[1]


def test_answers_in_both_forms(ses: Any) -> None:
    status, headers, text = v1(ses, "Action=GetSendQuota&Version=2010-12-01")
    assert (status, headers["content-type"]) == (200, "text/xml")
    request_id = headers["x-amzn-requestid"]
    assert text == (
        '<GetSendQuotaResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/">'
        "<GetSendQuotaResult><Max24HourSend>200.0</Max24HourSend></GetSendQuotaResult>"
        f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
        "</GetSendQuotaResponse>"
    )
    status, headers, body = v2(ses)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert body == {"SendingEnabled": True}
    assert int(headers["content-length"]) == len('{"SendingEnabled":true}')


def test_an_unknown_key_in_both_forms(ses: Any) -> None:
    keys = ("AKIAUNKNOWNUNKNOWNUN", "x")
    status, headers, text = v1(ses, "Action=GetSendQuota", keys=keys)
    assert (status, code(text)) == (403, "InvalidClientTokenId")
    assert f"<RequestId>{headers['x-amzn-requestid']}</RequestId>" in text
    assert text.startswith(
        '<ErrorResponse xmlns="http://ses.amazonaws.com/doc/2010-12-01/"><Error>'
        "<Type>Sender</Type><Code>"
    )
    status, headers, body = v2(ses, keys=keys)
    assert (status, headers["x-amzn-errortype"]) == (403, "UnrecognizedClientException")
    assert body == {"message": "The security token included in the request is invalid."}


def test_a_wrong_secret_in_both_forms(ses: Any) -> None:
    keys = (ROOT[0], "wrong")
    status, _, text = v1(ses, "Action=GetSendQuota", keys=keys)
    assert (status, code(text)) == (403, "SignatureDoesNotMatch")
    assert sigv4.MISMATCH_TEXT in text
    status, headers, body = v2(ses, keys=keys)
    assert (status, headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert body == {"message": sigv4.MISMATCH_TEXT}


@pytest.mark.parametrize(("off", "words"), [(960, "Signature expired: "), (-960, "Signature not ")])
def test_sixteen_minutes_off(ses: Any, off: int, words: str) -> None:
    ses.clock.off = off
    status, headers, body = v2(ses)
    assert (status, headers["x-amzn-errortype"]) == (403, "InvalidSignatureException")
    assert body["message"].startswith(words)
    status, _, text = v1(ses, "Action=GetSendQuota")
    assert (status, code(text)) == (403, "SignatureDoesNotMatch")
    ses.clock.off = off * 14 / 16
    assert v2(ses)[0] == 200


def test_unsigned_requests(ses: Any) -> None:
    status, _, body = ses.call("POST", V1, FORM, b"Action=GetSendQuota&Version=2010-12-01")
    assert (status, code(body.decode())) == (403, "MissingAuthenticationToken")
    status, _, body = ses.call("POST", V1, FORM, b"Action=GetUser&Version=2010-05-08")
    assert b'xmlns="https://iam.amazonaws.com/doc/2010-05-08/"' in body
    status, headers, body = ses.call("GET", V2, {})
    assert headers["x-amzn-errortype"] == "MissingAuthenticationTokenException"
    assert json.loads(body) == {"message": "Request is missing Authentication Token"}
    status, headers, body = ses.call("GET", V2, {"Authorization": "AWS4-HMAC-SHA256 Credential=x"})
    assert (status, headers["x-amzn-errortype"]) == (400, "IncompleteSignatureException")
    assert json.loads(body)["message"].startswith("Authorization header requires 'Signature' ")
    for url, target, expected in (
        ("http://h/2013-04-01/hostedzone", "", b"route53.amazonaws.com"),
        ("http://h/", "AmazonSSM.GetParameter", b"__type"),
        ("http://h/", "Nobody.GetParameter", b"Request is missing"),
        ("http://h/bucket/key", "", b"<Error><Code>"),
        ("http://h/", "", b"<Error><Code>"),
    ):
        headers = {"X-Amz-Target": target} if target else {}
        assert expected in ses.call("GET", url, headers)[2]
    assert b"ses.amazonaws.com" in ses.call("POST", V1, FORM, b"Action=X&Version=1")[2]
    assert b"ses.amazonaws.com" in ses.call("POST", V1, FORM, b"\xff")[2]
    assert ses.call("POST", V1, FORM, b"x" * 2_000_000)[0] == 403


def test_a_service_that_is_not_here(ses: Any) -> None:
    status, headers, body = v2(ses, service="ec2")
    assert (status, headers["x-amzn-errortype"]) == (501, "NotImplementedException")
    said = "The service ec2 is not served by mailstead. docs/operations.md lists what is."
    assert body == {"message": said}
    assert code(v1(ses, "Action=GetSendQuota", service="ec2")[2]) == "NotImplemented"


def test_operations_that_are_not_served(ses: Any) -> None:
    status, _, text = v1(ses, "Action=VerifyEmailAddress")
    assert (status, code(text)) == (501, "NotImplemented")
    assert "SES v1 VerifyEmailAddress" in text
    assert "docs/operations.md" in text
    assert "<Type>Receiver</Type>" in text
    url = "http://localhost:4566/v2/email/tenants"
    status, headers, body = v2(ses, "POST", url, b"{}")
    assert (status, headers["x-amzn-errortype"]) == (501, "NotImplementedException")
    assert "SES v2 CreateTenant" in body["message"]
    assert "docs/operations.md" in body["message"]


def test_operations_that_do_not_exist(ses: Any) -> None:
    status, headers, _ = v2(ses, url="http://localhost:4566/v2/email/nothing/at/all")
    assert (status, headers["x-amzn-errortype"]) == (404, "UnknownOperationException")
    status, _, text = v1(ses, "Action=Nonsense&Version=2010-12-01")
    assert (status, code(text)) == (400, "InvalidAction")
    assert "Could not find operation Nonsense for version 2010-12-01" in text
    status, _, text = v1(ses, "x=1")
    assert (status, code(text)) == (400, "MissingAction")


def test_requests_that_do_not_decode(ses: Any) -> None:
    url = "http://localhost:4566/v2/email/outbound-emails"
    status, headers, body = v2(ses, "POST", url, b'{"FromEmailAddress": 1}')
    assert (status, headers["x-amzn-errortype"]) == (400, "SerializationException")
    assert body == {"message": "NUMBER_VALUE can not be converted to a String"}
    status, headers, body = v2(ses, "POST", url, b"{}")
    assert (status, headers["x-amzn-errortype"]) == (400, "BadRequestException")
    assert body["message"] == (
        "1 validation error detected: Value at 'content' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_what_handlers_raise(ses: Any, caplog: pytest.LogCaptureFixture) -> None:
    identity = "http://localhost:4566/v2/email/identities/x"
    status, headers, body = v2(ses, "DELETE", identity)
    assert (status, headers["x-amzn-errortype"]) == (404, "NotFoundException")
    assert body == {"message": "Email identity x does not exist."}
    sending = "http://localhost:4566/v2/email/account/sending"
    status, headers, body = v2(ses, "PUT", sending, b"{}")
    assert (status, headers["x-amzn-errortype"]) == (503, "ServiceUnavailableException")
    details = b'{"MailType":"MARKETING","WebsiteURL":"https://a.example/"}'
    for method, path, sent in (
        ("POST", "account/details", details),
        ("PUT", "account/vdm", b'{"VdmAttributes":{"VdmEnabled":"ENABLED"}}'),
    ):
        caplog.clear()
        status, headers, body = v2(ses, method, f"http://localhost:4566/v2/email/{path}", sent)
        assert (status, headers["x-amzn-errortype"]) == (500, "InternalFailure")
        assert "secret inside" not in json.dumps(body)
        assert headers["x-amzn-requestid"] in caplog.text


def test_older_and_newer_bindings_reach_one_handler(ses: Any) -> None:
    boto = ses.client("sesv2")
    assert boto.list_email_identities(NextToken="n", PageSize=3)["NextToken"] == "n 3"
    older = "http://localhost:4566/v2/email/identities?NextToken=n&PageSize=3"
    assert v2(ses, "GET", older)[2]["NextToken"] == "n 3"
    listed = boto.list_contacts(ContactListName="c", PageSize=3)
    older = "http://localhost:4566/v2/email/contact-lists/c/contacts?PageSize=3"
    assert v2(ses, "GET", older)[2] == {"NextToken": listed["NextToken"]}
    url = "http://localhost:4566/{}/email/identities/x.example/dkim/signing"
    body = b'{"SigningAttributesOrigin":"AWS_SES"}'
    for version in ("v1", "v2"):
        assert v2(ses, "PUT", url.format(version), body)[2] == {"DkimTokens": ["x.example"]}
    status, _, found = v2(ses, "GET", "http://localhost:4566/v2/email/identities?PageSize=x")
    assert (status, found["message"]) == (
        400,
        "STRING_VALUE can not be converted to an Integer",
    )


def test_a_refused_sender(ses: Any) -> None:
    iam = ses.client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    boto = ses.client("sesv2", key["AccessKeyId"], key["SecretAccessKey"], region="eu-west-1")
    content = {"Raw": {"Data": b"x"}}
    with pytest.raises(ClientError) as caught:
        boto.send_email(Content=content)
    error = caught.value.response
    assert error["Error"] == {
        "Code": "AccessDeniedException",
        "Message": f"User `arn:aws:iam::{ACCOUNT}:user/u' is not authorized to perform "
        f"`ses:SendEmail' on resource `arn:aws:ses:eu-west-1:{ACCOUNT}:identity/a@b.c'",
    }
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 403
    with pytest.raises(ClientError, match=r"perform: ses:GetAccount on resource: \* because no"):
        boto.get_account()
    root = ses.client("sesv2")
    assert root.send_email(Content=content)["MessageId"] == "m"


def test_bodies_beyond_the_limits(ses: Any) -> None:
    url = "http://localhost:4566/v2/email/outbound-emails"
    large = b" " * 20_001
    for length in ("20001", None, "9" * 40, "\xb2"):
        headers = signed("POST", url, large)
        if length is not None:
            headers["Content-Length"] = length
        status, found, _ = ses.call("POST", url, headers, large)
        assert (status, found["x-amzn-errortype"]) == (413, "RequestEntityTooLarge")
    ses.gateway._held = 25_000
    body = b'{"Content":{"Raw":{"Data":"' + b"A" * 8000 + b'"}}}'
    status, found, _ = ses.call("POST", url, signed("POST", url, body), body, chunks=3)
    assert (status, found["x-amzn-errortype"]) == (503, "ServiceUnavailable")
    assert ses.gateway._held == 25_000
    ses.gateway._held = 0
    assert ses.call("POST", url, signed("POST", url, body), body, chunks=3)[0] == 200
    assert ses.gateway._held == 0


def test_a_client_that_hangs_up(ses: Any) -> None:
    url = "http://localhost:4566/v2/email/outbound-emails"
    assert ses.call("POST", url, signed("POST", url, b"{}"), b"{}", gone=True)[0] == 0
    assert ses.call("POST", V1, FORM, b"Action=", gone=True)[0] == 0
    assert ses.gateway._held == 0


def test_fields_that_are_sent_twice_are_joined(ses: Any) -> None:
    headers = signed("GET", V2, headers={"X-Amz-Test": "a,b"})
    del headers["X-Amz-Test"]
    pairs = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "method": "GET",
        "path": "/v2/email/account",
        "query_string": b"",
        "headers": [*pairs, (b"x-amz-test", b"a"), (b"x-amz-test", b"b")],
        "client": ("127.0.0.1", 5),
    }
    ses.run(ses.gateway(scope, receive, send))
    assert sent[0]["status"] == 200


def test_tables_of_handlers() -> None:
    module = handlers()

    @operation("sesv2", "NoSuchThing")
    @operation("nothing", "X")
    @operation("sesv2", "GetAccount")
    async def again(call: Call, p: dict[str, Any]) -> None: ...

    again.__module__ = module.__name__
    vars(module)["again"] = again
    with pytest.raises(ValueError, match="sesv2 GetAccount has two handlers") as caught:
        Operations([module], MODELS)
    assert "sesv2 has no operation NoSuchThing" in str(caught.value)
    assert "nothing has no operation X" in str(caught.value)
    imported = ModuleType("other")
    vars(imported)["again"] = again
    assert Operations([imported], MODELS).served("sesv2") == frozenset()


PAUSED = Refused("", resource="account", reason="paused")
KINDS: list[Callable[..., DomainError]] = [
    NotFound,
    Conflict,
    Invalid,
    Limit,
    Refused,
]


@pytest.mark.parametrize("name", list(MODELS.services))
def test_each_kind_has_a_row_in_each_door(name: str) -> None:
    service = MODELS[name]
    for kind in KINDS:
        found = fault(service, kind("text", resource="unheard-of", reason="unheard-of"))
        assert found.message == "text"
        assert 400 <= found.status < 500
    for about, row in TABLES.get(name, {}).items():
        if isinstance(row, str):
            assert service.shapes[row]["exception"], about


@pytest.mark.parametrize(
    ("service", "error", "code", "status"),
    [
        ("ses", NotFound("", resource="template"), "TemplateDoesNotExist", 400),
        ("sesv2", NotFound("", resource="template"), "NotFoundException", 404),
        ("ses", Limit("", resource="rate"), "Throttling", 400),
        ("sesv2", Limit("", resource="rate"), "TooManyRequestsException", 429),
        ("sesv2", Limit("", resource="quota"), "LimitExceededException", 400),
        ("ses", Refused("", resource="identity", reason="unverified"), "MessageRejected", 400),
        ("sesv2", Refused("", resource="identity", reason="unverified"), "MessageRejected", 400),
        ("ses", PAUSED, "AccountSendingPausedException", 400),
        ("sesv2", PAUSED, "SendingPausedException", 400),
        ("sesv2", Conflict(None, resource="account", reason="x"), "ConflictException", 409),
        ("ses", Unavailable("full"), "ServiceUnavailable", 503),
        ("route53", NotFound(""), "NoSuchHostedZone", 404),
    ],
)
def test_rows(service: str, error: Any, code: str, status: int) -> None:
    found = fault(MODELS[service], error)
    assert (found.code, found.status) == (code, status)


def test_calls_that_overtake_each_other(door: Any) -> None:
    """Terraform gives a role its policies side by side."""
    door.client("iam").create_user(UserName="u")
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
    )
    calls = []
    for number in range(10):
        form = urlencode(
            {
                "Action": "PutUserPolicy",
                "Version": "2010-05-08",
                "UserName": "u",
                "PolicyName": f"p{number}",
                "PolicyDocument": document,
            }
        ).encode()
        calls.append((signed("POST", V1, form, service="iam", headers=FORM), form))
    scope = {
        "type": "http", "scheme": "http", "method": "POST", "path": "/", "raw_path": b"/",
        "query_string": b"", "client": ("127.0.0.1", 5),
    }  # fmt: skip

    async def one(headers: dict[str, str], body: bytes) -> int:
        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        sent: list[dict[str, Any]] = []
        pairs = [(k.lower().encode(), v.encode()) for k, v in headers.items()]
        await door.gateway({**scope, "headers": pairs}, receive, send)
        return sent[0]["status"]

    async def scene() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(*call)) for call in calls]
        return [task.result() for task in tasks]

    assert door.run(scene()) == [200] * 10
    assert len(door.client("iam").list_user_policies(UserName="u")["PolicyNames"]) == 10


@pytest.mark.parametrize(("service", "status"), [("sesv2", 500), ("route53", 400)])
def test_who_is_always_overtaken(tmp_path: Path, door: Any, service: str, status: int) -> None:
    module = ModuleType("tests_overtaken")
    tries: list[int] = []

    async def overtaken(call: Call, p: dict[str, Any]) -> None:
        tries.append(1)
        raise Conflict("changed meanwhile", reason="stale")

    overtaken.__module__ = module.__name__
    name = "GetAccount" if service == "sesv2" else "GetHostedZoneCount"
    vars(module)["handler"] = operation(service, name)(overtaken)
    (tmp_path / "s").mkdir()
    made = type(door)(tmp_path / "s", [module])
    client = made.client(service)
    with pytest.raises(ClientError) as caught:
        client.get_account() if service == "sesv2" else client.get_hosted_zone_count()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
    assert len(tries) == (20 if service == "sesv2" else 1)
    made.close()
