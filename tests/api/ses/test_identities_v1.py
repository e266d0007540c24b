"""SES v1's operations on identities."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

import pytest

from support.world import HOUR, World

DOMAIN = "example.com"
MISSING = "Identity <x.test> does not exist."


def statuses(world: World, *names: str) -> dict[str, Any]:
    found = world.v1("GetIdentityVerificationAttributes", Identities=list(names))
    return found["VerificationAttributes"]


@pytest.mark.parametrize("operation", ["VerifyEmailIdentity", "VerifyEmailAddress"])
def test_an_address_gets_a_link_at_every_call(world: World, operation: str) -> None:
    for _ in range(2):
        world.v1(operation, EmailAddress="a@example.com")
    letters = world.mail()
    assert [one.recipient.address for one in letters] == ["a@example.com"] * 2
    assert statuses(world, "a@example.com", "b@example.com") == {
        "a@example.com": {"VerificationStatus": "Pending"}
    }
    world.verified("a@example.com")
    world.v1(operation, EmailAddress="a@example.com")
    assert statuses(world, "a@example.com")["a@example.com"]["VerificationStatus"] == "Success"
    assert world.mail() == []
    for bad in ("example.com", "a b@example.com"):
        found = world.refused(1, operation, EmailAddress=bad)
        assert found == ("InvalidParameterValue", f"Invalid email address<{bad}>.")


def test_an_empty_result_keeps_its_wrapper(world: World) -> None:
    reply = world.call("ses", "VerifyEmailIdentity", {"EmailAddress": "a@example.com"})
    assert re.search(rb"<VerifyEmailIdentityResult ?/>|<VerifyEmailIdentityResult></", reply.body)


def test_a_domain_by_its_token(world: World) -> None:
    token = world.v1("VerifyDomainIdentity", Domain="Example.com")["VerificationToken"]
    assert len(token) == 44
    assert len(b64decode(token)) == 32
    assert world.v1("VerifyDomainIdentity", Domain=DOMAIN)["VerificationToken"] == token
    assert statuses(world, DOMAIN) == {
        DOMAIN: {"VerificationStatus": "Pending", "VerificationToken": token}
    }
    shown = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)["DkimAttributes"]
    assert shown == {
        "SigningEnabled": False,
        "Status": "NOT_STARTED",
        "SigningAttributesOrigin": "AWS_SES",
        "NextSigningKeyLength": "RSA_2048_BIT",
    }
    world.dns.records["_amazonses.example.com", "TXT"] = (b"other", token.encode())
    world.look(DOMAIN)
    assert statuses(world, DOMAIN)[DOMAIN]["VerificationStatus"] == "Success"
    assert world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)["VerifiedForSendingStatus"] is True
    found = world.refused(1, "VerifyDomainIdentity", Domain="a@b.test")
    assert found == ("InvalidParameterValue", "Invalid domain name<a@b.test>.")


def test_a_token_proof_that_failed_begins_anew(world: World) -> None:
    token = world.v1("VerifyDomainIdentity", Domain=DOMAIN)["VerificationToken"]
    world.clock.time += 72 * HOUR
    world.look(DOMAIN)
    assert statuses(world, DOMAIN)[DOMAIN]["VerificationStatus"] == "Failed"
    assert world.v1("VerifyDomainIdentity", Domain=DOMAIN)["VerificationToken"] == token
    assert statuses(world, DOMAIN)[DOMAIN]["VerificationStatus"] == "Pending"


def test_the_two_proofs_of_a_domain_are_independent(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    assert statuses(world, DOMAIN) == {DOMAIN: {"VerificationStatus": "Pending"}}
    token = world.v1("VerifyDomainIdentity", Domain=DOMAIN)["VerificationToken"]
    world.clock.time += 71 * HOUR
    world.dns.records["_amazonses.example.com", "TXT"] = (token.encode(),)
    world.look(DOMAIN)
    world.clock.time += HOUR
    world.look(DOMAIN)
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)
    assert (found["VerificationStatus"], found["DkimAttributes"]["Status"]) == (
        "SUCCESS",
        "FAILED",
    )


def test_dkim_tokens_are_stable_and_make_the_identity(world: World) -> None:
    tokens = world.v1("VerifyDomainDkim", Domain=DOMAIN)["DkimTokens"]
    assert world.v1("VerifyDomainDkim", Domain="EXAMPLE.com")["DkimTokens"] == tokens
    found = world.v1("GetIdentityDkimAttributes", Identities=[DOMAIN, "x.test", "?"])
    assert found["DkimAttributes"] == {
        DOMAIN: {"DkimEnabled": True, "DkimVerificationStatus": "Pending", "DkimTokens": tokens}
    }
    world.clock.time += 72 * HOUR
    world.look(DOMAIN)
    assert world.identity(DOMAIN).dkim.proof.status.value == "FAILED"
    assert world.v1("VerifyDomainDkim", Domain=DOMAIN)["DkimTokens"] == tokens
    assert world.identity(DOMAIN).dkim.proof.status.value == "PENDING"
    found = world.refused(1, "VerifyDomainDkim", Domain="a@b.test")
    assert found[0] == "InvalidParameterValue"


def test_dkim_beside_a_token(world: World) -> None:
    world.v1("VerifyDomainIdentity", Domain=DOMAIN)
    world.v1("SetIdentityDkimEnabled", Identity=DOMAIN, DkimEnabled=False)
    text = "Domain example.com is not verified for DKIM signing."
    found = world.refused(1, "SetIdentityDkimEnabled", Identity=DOMAIN, DkimEnabled=True)
    assert found == ("InvalidParameterValue", text)
    world.v1("VerifyDomainDkim", Domain=DOMAIN)
    world.v1("SetIdentityDkimEnabled", Identity=DOMAIN, DkimEnabled=False)
    found = world.v1("GetIdentityDkimAttributes", Identities=[DOMAIN])
    assert found["DkimAttributes"][DOMAIN]["DkimEnabled"] is False


def test_lists(world: World) -> None:
    for name in ("c@x.test", "b@x.test", "a.test"):
        world.verified(name)
    world.v1("VerifyEmailIdentity", EmailAddress="new@x.test")
    assert world.v1("ListIdentities")["Identities"] == [
        "a.test", "b@x.test", "c@x.test", "new@x.test",
    ]  # fmt: skip
    first = world.v1("ListIdentities", IdentityType="EmailAddress", MaxItems=2)
    assert first["Identities"] == ["b@x.test", "c@x.test"]
    rest = world.v1("ListIdentities", IdentityType="EmailAddress", NextToken=first["NextToken"])
    assert rest == {"Identities": ["new@x.test"]}
    assert world.v1("ListIdentities", IdentityType="Domain")["Identities"] == ["a.test"]
    found = world.v1("ListVerifiedEmailAddresses")
    assert found == {"VerifiedEmailAddresses": ["b@x.test", "c@x.test"]}
    assert world.refused(1, "ListIdentities", NextToken="é")[0] == "InvalidParameterValue"


def test_deleting_what_is_not_there_is_no_error(world: World) -> None:
    world.verified("a@x.test")
    for _ in range(2):
        world.v1("DeleteVerifiedEmailAddress", EmailAddress="a@x.test")
        world.v1("DeleteIdentity", Identity="no name at all")
    assert world.v1("ListIdentities")["Identities"] == []


def test_more_than_a_hundred_at_one_time(world: World) -> None:
    names = [f"u{n}@x.test" for n in range(101)]
    operation = "GetIdentityVerificationAttributes"
    assert world.refused(1, operation, Identities=names)[0] == "InvalidParameterValue"
    assert statuses(world, *names[:100]) == {}


def test_mail_from(world: World) -> None:
    world.verified(DOMAIN)
    name = {"Identity": DOMAIN}
    attributes = {"MailFromDomain": "m.example.com", "BehaviorOnMXFailure": "RejectMessage"}
    found = world.refused(1, "SetIdentityMailFromDomain", Identity="x.test", **attributes)
    assert found == ("InvalidParameterValue", MISSING)
    world.v1("SetIdentityMailFromDomain", **name, **attributes)
    asked = {"Identities": [DOMAIN, "x.test"]}
    found = world.v1("GetIdentityMailFromDomainAttributes", **asked)["MailFromDomainAttributes"]
    assert found == {DOMAIN: {**attributes, "MailFromDomainStatus": "Pending"}}
    world.v1("SetIdentityMailFromDomain", **name, MailFromDomain="m.example.com")
    found = world.v1("GetIdentityMailFromDomainAttributes", **asked)["MailFromDomainAttributes"]
    assert found[DOMAIN]["BehaviorOnMXFailure"] == "UseDefaultValue"
    world.v1("SetIdentityMailFromDomain", **name, MailFromDomain="")
    found = world.v1("GetIdentityMailFromDomainAttributes", **asked)["MailFromDomainAttributes"]
    assert found == {DOMAIN: {"BehaviorOnMXFailure": "UseDefaultValue"}}


def test_notification_attributes(world: World) -> None:
    world.verified(DOMAIN)
    operation = "SetIdentityFeedbackForwardingEnabled"
    found = world.refused(1, operation, Identity="x.test", ForwardingEnabled=False)
    text = "Identity x.test is invalid. Must be a verified email address or domain."
    assert found == ("InvalidParameterValue", text)
    world.v1(operation, Identity=DOMAIN, ForwardingEnabled=False)
    asked = {"Identities": [DOMAIN, "x.test"]}
    found = world.v1("GetIdentityNotificationAttributes", **asked)["NotificationAttributes"]
    assert found == {
        DOMAIN: {
            "ForwardingEnabled": False,
            "HeadersInBounceNotificationsEnabled": False,
            "HeadersInComplaintNotificationsEnabled": False,
            "HeadersInDeliveryNotificationsEnabled": False,
        }
    }
