"""Configuration sets, pause, MAIL FROM, quota and rate of sending."""

from __future__ import annotations

import pytest

from mailstead.mail.model import MailFrom, Scope
from support.sending import raw, v1, v2
from support.world import ACCOUNT, World

# Configuration sets, pause, MAIL FROM, limits


def test_an_unknown_configuration_set(sender: World) -> None:
    text = "Configuration set <x> does not exist."
    found = sender.refused(1, "SendEmail", **v1(ConfigurationSetName="x"))
    assert found == ("ConfigurationSetDoesNotExist", text)
    reply = sender.call("sesv2", "SendEmail", v2(ConfigurationSetName="x"))
    assert (reply.status, reply.error) == (404, ("NotFoundException", text))
    header = "From: a@example.com\nX-SES-CONFIGURATION-SET: h\nTo: b@example.com\n\nx"
    assert sender.refused(1, "SendRawEmail", **raw(header))[1] == text.replace("x>", "h>")
    found = sender.refused(1, "SendRawEmail", **raw(header, ConfigurationSetName="x"))
    assert found[1] == text


def test_a_paused_account(sender: World) -> None:
    region = Scope(ACCOUNT, "eu-west-1")
    sender.production(region)
    sender.verified("example.com", region)
    sender.v2("PutAccountSendingAttributes")
    text = "Email sending has been disabled."
    assert sender.refused(1, "SendEmail", **v1()) == ("AccountSendingPausedException", text)
    assert sender.refused(2, "SendEmail", **v2("a b")) == ("SendingPausedException", text)
    assert sender.mail() == []
    sender.v2("SendEmail", region="eu-west-1", **v2())


@pytest.mark.parametrize("reject", [True, False])
def test_mail_from_without_its_mx(sender: World, reject: bool) -> None:
    behaviour = "REJECT_MESSAGE" if reject else "USE_DEFAULT_VALUE"
    sender.v2(
        "PutEmailIdentityMailFromAttributes",
        EmailIdentity="example.com",
        MailFromDomain="bounce.example.com",
        BehaviorOnMxFailure=behaviour,
    )
    if reject:
        text = "DNS setup for MAIL FROM domain is invalid."
        code = "MailFromDomainNotVerifiedException"
        assert sender.refused(2, "SendEmail", **v2()) == (code, text)
        assert sender.refused(1, "SendEmail", **v1()) == (code, text)
    else:
        sender.v2("SendEmail", **v2())
        assert sender.mail()[0].message.mail_from == "amazonses.com"
    sender.dns.records["bounce.example.com", "MX"] = (
        (10, "feedback-smtp.us-east-1.amazonses.com"),
    )
    identity = sender.look("example.com")
    assert isinstance(identity.mail_from, MailFrom)
    sender.v2("SendEmail", **v2())
    assert sender.mail()[-1].message.mail_from == "bounce.example.com"
    del sender.dns.records["bounce.example.com", "MX"]
    sender.look("example.com")
    assert sender.call("sesv2", "SendEmail", v2()).status == (400 if reject else 200)


def test_the_daily_quota_counts_recipients_but_not_the_simulators(sender: World) -> None:
    sender.production(daily_quota=3, max_rate=100)
    sender.v2("SendEmail", **v2("success@simulator.amazonses.com"))
    two = {"ToAddresses": ["b@example.com", "c@example.com", "b@EXAMPLE.com"]}
    sender.v2("SendEmail", **{**v2(), "Destination": two})
    assert sender.v1("GetSendQuota")["SentLast24Hours"] == 2
    text = "Daily message quota exceeded."
    assert sender.refused(1, "SendEmail", **{**v1(), "Destination": two}) == ("Throttling", text)
    reply = sender.call("sesv2", "SendEmail", {**v2(), "Destination": two})
    assert (reply.status, reply.error) == (400, ("LimitExceededException", text))
    sender.v2("SendEmail", **v2("success@simulator.amazonses.com"))
    sender.v2("SendEmail", **v2())
    sender.clock.time += 24 * 3_600_000 + 60_000
    assert sender.v1("GetSendQuota")["SentLast24Hours"] == 0
    sender.v2("SendEmail", **v2())


def test_the_rate_counts_the_simulator_too(sender: World) -> None:
    sender.production(max_rate=1)
    ten = {"ToAddresses": [f"success+{n}@simulator.amazonses.com" for n in range(11)]}
    sender.v2("SendEmail", **{**v2(), "Destination": ten})
    text = "Maximum sending rate exceeded."
    assert sender.refused(1, "SendEmail", **v1()) == ("Throttling", text)
    reply = sender.call("sesv2", "SendEmail", v2())
    assert (reply.status, reply.error) == (429, ("TooManyRequestsException", text))
    sender.clock.seconds += 2
    sender.v2("SendEmail", **v2())
