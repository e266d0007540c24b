"""Policies of users and of identities at sending."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from support.sending import raw, v1, v2
from support.world import ACCOUNT, ROOT, SCOPE, World

# IAM

POLICY = '{"Statement": [{"Effect": "Allow", "Action": "%s", "Resource": "%s"}]}'
ARN = f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/"


def test_a_denied_send_in_ses_own_words(sender: World) -> None:
    key = sender.user("ann", POLICY % ("ses:GetAccount", "*"))
    text = (
        f"User `arn:aws:iam::{ACCOUNT}:user/ann' is not authorized to perform `ses:SendEmail' "
        f"on resource `{ARN}example.com'"
    )
    assert sender.refused(1, "SendEmail", key=key, **v1()) == ("AccessDenied", text)
    reply = sender.call("sesv2", "SendEmail", v2(key=key))
    assert (reply.status, reply.error) == (403, ("AccessDeniedException", text))
    sender.v2("PutAccountSendingAttributes")
    assert sender.refused(1, "SendEmail", key=key, **v1())[0] == "AccessDenied"
    found = sender.refused(1, "SendEmail", key=key, **v1(source="x@Other.test"))
    assert f"{ARN}x@other.test'" in found[1]


def test_raw_content_needs_the_right_to_send_raw(sender: World) -> None:
    key = sender.user("ann", POLICY % ("ses:SendEmail", "*"))
    content = {"Raw": {"Data": b"From: a@example.com\nTo: b@example.com\n\nx"}}
    sender.v2("SendEmail", key=key, **v2())
    _, text = sender.refused(2, "SendEmail", key=key, Content=content)
    assert "`ses:SendRawEmail'" in text


def test_every_sender_and_the_configuration_set_are_asked_about(sender: World) -> None:
    sender.verified("other.test")
    key = sender.user("ann", POLICY % ("ses:*", ARN + "example.com"))
    sender.v2("SendEmail", key=key, **v2())
    message = "From: a@example.com\nTo: b@example.com\n\nx"
    found = sender.refused(1, "SendRawEmail", key=key, **raw(message, Source="s@other.test"))
    assert f"{ARN}other.test'" in found[1]
    found = sender.refused(2, "SendEmail", key=key, **v2(ConfigurationSetName="c"))
    assert f"arn:aws:ses:us-east-1:{ACCOUNT}:configuration-set/c'" in found[1]


def test_in_the_sandbox_recipients_are_asked_about_too(world: World) -> None:
    world.verified("example.com")
    world.verified("b@friend.test")
    key = world.user("ann", POLICY % ("ses:*", ARN + "example.com"))
    found = world.refused(2, "SendEmail", key=key, **v2("b@friend.test"))
    assert f"{ARN}b@friend.test'" in found[1]
    world.v2("SendEmail", key=key, **v2("success@simulator.amazonses.com"))
    world.production()
    world.v2("SendEmail", key=key, **v2("b@friend.test"))


CONDITION = (
    '{"Statement": [{"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*", "Condition": '
    '{"StringEquals": {"ses:FromAddress": "a@example.com", "ses:FromDisplayName": "Ann", '
    '"ses:ApiVersion": "2", "ses:FeedbackAddress": "f@example.com"}, '
    '"ForAllValues:StringLike": {"ses:Recipients": "*@x.test"}}}]}'
)


def test_condition_keys(sender: World) -> None:
    key = sender.user("ann", CONDITION)
    good: dict[str, Any] = {
        "source": "Ann <a@example.com>",
        "to": "b@x.test",
        "FeedbackForwardingEmailAddress": "f@example.com",
    }
    sender.v2("SendEmail", key=key, **v2(**good))
    for change in (
        {"source": "a@example.com"},
        {"source": "Ann <b@example.com>"},
        {"to": "b@y.test"},
        {"FeedbackForwardingEmailAddress": "g@example.com"},
    ):
        found = sender.refused(2, "SendEmail", key=key, **v2(**{**good, **change}))
        assert found[0] == "AccessDeniedException"


@pytest.fixture
def delegated(sender: World) -> Callable[[str], None]:
    """Puts a sending authorisation policy of an effect on example.com."""

    def put(effect: str) -> None:
        statement = {
            "Effect": effect,
            "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:user/ann"},
            "Action": "ses:SendEmail",
            "Resource": ARN + "example.com",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sender.v1("PutIdentityPolicy", Identity="example.com", PolicyName="p", Policy=policy)

    return put


def test_the_policy_of_the_identity_in_the_arn_counts(
    sender: World, delegated: Callable[[str], None]
) -> None:
    delegated("Allow")
    key = sender.user("ann", POLICY % ("ses:GetAccount", "*"))
    sender.v1("SendEmail", key=key, **v1(SourceArn=ARN + "example.com"))
    sender.v2("SendEmail", key=key, **v2(FromEmailAddressIdentityArn=ARN + "example.com"))
    assert sender.refused(1, "SendEmail", key=key, **v1())[0] == "AccessDenied"


def test_a_policy_of_an_identity_can_deny(sender: World, delegated: Callable[[str], None]) -> None:
    delegated("Deny")
    key = sender.user("ann", POLICY % ("ses:*", "*"))
    sender.v1("SendEmail", key=key, **v1())
    found = sender.refused(1, "SendEmail", key=key, **v1(SourceArn=ARN + "example.com"))
    assert found[0] == "AccessDenied"


def test_an_arn_must_cover_the_sender(sender: World) -> None:
    sender.verified("other.test")
    for arn in (ARN + "other.test", ARN + "nobody.test", "nonsense"):
        code, text = sender.refused(1, "SendEmail", **v1(SourceArn=arn))
        assert code == "MessageRejected"
        assert text.endswith(": a@example.com")


def test_an_arn_in_a_header(sender: World) -> None:
    header = f"X-SES-SOURCE-ARN: {ARN}nobody.test\nX-SES-FROM-ARN: {ARN}example.com\n"
    message = f"From: a@example.com\n{header}To: b@example.com\n\nx"
    assert sender.refused(1, "SendRawEmail", **raw(message))[0] == "MessageRejected"
    sender.v1("SendRawEmail", **raw(message, SourceArn=ARN + "example.com"))
    assert b"ARN" not in sender.body(sender.mail()[0])
    sender.verified("b@example.com")
    found = sender.v1("SendEmail", **v1(source="b@example.com", SourceArn=ARN + "example.com"))
    assert found["MessageId"]


def test_the_root_user_may_send(sender: World) -> None:
    assert sender.v1("SendEmail", key=ROOT, **v1())["MessageId"]
    assert sender.mail()[0].message.scope == SCOPE
