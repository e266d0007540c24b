"""SES v2's operations on identities."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mailstead.mail.model import Scope
from mailstead.wire.dkim_key import load_private_key
from support.world import ACCOUNT, HOUR, SCOPE, START, World, rsa_key

DOMAIN = "example.com"
ADDRESS_DKIM = {
    "SigningEnabled": False,
    "Status": "NOT_STARTED",
    "SigningAttributesOrigin": "AWS_SES",
    "NextSigningKeyLength": "RSA_1024_BIT",
}


def key_text(form: PrivateFormat, bits: int = 1024) -> str:
    """A private key as BYODKIM takes it."""
    key = load_private_key(rsa_key(bits, 0))
    return b64encode(key.private_bytes(Encoding.DER, form, NoEncryption())).decode()


def own_key(**more: str) -> dict[str, str]:
    text = key_text(PrivateFormat.PKCS8)
    return {"DomainSigningSelector": "own", "DomainSigningPrivateKey": text, **more}


# Making and showing


def test_a_domain_from_its_beginning_to_success(world: World) -> None:
    made = world.v2("CreateEmailIdentity", EmailIdentity="Example.COM")
    attributes = made["DkimAttributes"]
    tokens = attributes.pop("Tokens")
    assert made["IdentityType"] == "DOMAIN"
    assert made["VerifiedForSendingStatus"] is False
    assert attributes == {
        "SigningEnabled": True,
        "Status": "NOT_STARTED",
        "SigningHostedZone": "dkim.amazonses.com",
        "SigningAttributesOrigin": "AWS_SES",
        "NextSigningKeyLength": "RSA_2048_BIT",
        "CurrentSigningKeyLength": "RSA_2048_BIT",
        "LastKeyGenerationTimestamp": attributes["LastKeyGenerationTimestamp"],
    }
    assert attributes["LastKeyGenerationTimestamp"].timestamp() == START // 1000
    assert len(set(tokens)) == 3
    assert all(len(token) == 32 and not set(token) - set("abcdefghijklmnopqrstuvwxyz234567")
               for token in tokens)  # fmt: skip
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)
    assert found["DkimAttributes"] == {**attributes, "Status": "PENDING", "Tokens": tokens}
    assert found["VerificationStatus"] == "PENDING"
    assert found["VerificationInfo"] == {}

    world.clock.time += HOUR
    world.look(DOMAIN)
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)
    moment = datetime.fromtimestamp((START + HOUR) // 1000, UTC)
    assert found["VerificationInfo"] == {"LastCheckedTimestamp": moment}

    world.dns.publish(world.identity(DOMAIN))
    world.look(DOMAIN)
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)
    assert found["VerifiedForSendingStatus"] is True
    assert found["VerificationStatus"] == found["DkimAttributes"]["Status"] == "SUCCESS"
    assert found["VerificationInfo"]["LastSuccessTimestamp"] == moment


def test_a_new_address_as_it_is_shown(world: World) -> None:
    made = world.v2("CreateEmailIdentity", EmailIdentity="A@Example.com")
    assert made == {"IdentityType": "EMAIL_ADDRESS", "VerifiedForSendingStatus": False}
    found = world.v2("GetEmailIdentity", EmailIdentity="A@example.com")
    assert found == {
        "IdentityType": "EMAIL_ADDRESS",
        "FeedbackForwardingStatus": True,
        "VerifiedForSendingStatus": False,
        "DkimAttributes": ADDRESS_DKIM,
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
        "Policies": {},
        "Tags": [],
        "VerificationStatus": "PENDING",
        "VerificationInfo": {},
    }
    # Addresses differ by case, domains do not.
    assert world.refused(2, "GetEmailIdentity", EmailIdentity="a@example.com")[0] == (
        "NotFoundException"
    )


def test_an_address_shows_its_domains_dkim(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity="a@mail.example.com")
    world.v1("VerifyDomainIdentity", Domain="mail.example.com")
    found = world.v2("GetEmailIdentity", EmailIdentity="a@mail.example.com")
    assert found["DkimAttributes"] == ADDRESS_DKIM
    made = world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    found = world.v2("GetEmailIdentity", EmailIdentity="a@mail.example.com")
    expected = {**made["DkimAttributes"], "Status": "PENDING"}
    assert found["DkimAttributes"] == expected


def test_the_order_in_which_create_refuses(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    bad_tags = [{"Key": "aws:x", "Value": "v"}]
    rest = {"Tags": bad_tags, "ConfigurationSetName": "c"}
    assert world.refused(2, "CreateEmailIdentity", EmailIdentity=DOMAIN, **rest) == (
        "AlreadyExistsException",
        "Email identity example.com already exist.",
    )
    code, text = world.refused(2, "CreateEmailIdentity", EmailIdentity="x.test", **rest)
    assert (code, text) == ("BadRequestException", "Tag keys that begin with aws: are reserved")
    rest["Tags"] = [{"Key": "k", "Value": "v"}]
    reply = world.call("sesv2", "CreateEmailIdentity", {"EmailIdentity": "x.test", **rest})
    assert (reply.status, reply.error[1]) == (404, "Configuration set <c> does not exist.")
    assert world.call("sesv2", "GetEmailIdentity", {"EmailIdentity": "x.test"}).status == 404


@pytest.mark.parametrize(
    ("name", "text"),
    [("a b@x.test", "Invalid email address<a b@x.test>."),
     ("Ann <a@x.test>", "Invalid email address<Ann <a@x.test>>."),
     ("nodot", "Invalid domain name<nodot>."), ("ä" * 300, "Invalid domain name<"),
     ("a_b..c", "Invalid domain name<a_b..c>.")],
)  # fmt: skip
def test_names_that_are_none(world: World, name: str, text: str) -> None:
    code, found = world.refused(2, "CreateEmailIdentity", EmailIdentity=name)
    assert code == "BadRequestException"
    assert found.startswith(text)


def test_a_domain_may_be_written_in_unicode(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity="bücher.test.")
    [found] = world.v2("ListEmailIdentities")["EmailIdentities"]
    assert found["IdentityName"] == "xn--bcher-kva.test"


def test_automatic_verification_asks_nobody(new_world: Callable[..., World]) -> None:
    world = new_world(automatic=True)
    made = world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    assert made["VerifiedForSendingStatus"] is True
    assert made["DkimAttributes"]["Status"] == "SUCCESS"
    world.v2("CreateEmailIdentity", EmailIdentity="a@x.test")
    world.v1("VerifyEmailIdentity", EmailAddress="b@x.test")
    world.v1("VerifyDomainIdentity", Domain="v1.test")
    assert world.mail() == []
    world.look(DOMAIN)
    every = world.v2("ListEmailIdentities")["EmailIdentities"]
    assert [one["VerificationStatus"] for one in every] == ["SUCCESS"] * 4


def test_without_service_names_there_is_no_hosted_zone(new_world: Callable[..., World]) -> None:
    world = new_world(names=None)
    made = world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    assert "SigningHostedZone" not in made["DkimAttributes"]


def test_deleting(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    world.v2("DeleteEmailIdentity", EmailIdentity=DOMAIN)
    reply = world.call("sesv2", "DeleteEmailIdentity", {"EmailIdentity": DOMAIN})
    assert (reply.status, reply.error) == (
        404,
        ("NotFoundException", "Email identity example.com does not exist."),
    )
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)


def test_identities_belong_to_a_region(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    world.v2("CreateEmailIdentity", region="eu-west-1", EmailIdentity="b.test")
    for region, name in (("us-east-1", DOMAIN), ("eu-west-1", "b.test")):
        [found] = world.v2("ListEmailIdentities", region=region)["EmailIdentities"]
        assert found["IdentityName"] == name
    assert world.identity("b.test", Scope(ACCOUNT, "eu-west-1")).scope != SCOPE


# Listing


@pytest.fixture
def many(world: World) -> World:
    """Five identities, one of them verified."""
    world.verified("b.test")
    for name in ("a@x.test", "c.test", "d.test", "e@X.test"):
        world.v2("CreateEmailIdentity", EmailIdentity=name)
    return world


def test_pages(many: World) -> None:
    first = many.v2("ListEmailIdentities", PageSize=2)
    second = many.v2("ListEmailIdentities", PageSize=2, NextToken=first["NextToken"])
    third = many.v2("ListEmailIdentities", PageSize=2, NextToken=second["NextToken"])
    assert "NextToken" not in third
    pages = [page["EmailIdentities"] for page in (first, second, third)]
    names = [[one["IdentityName"] for one in page] for page in pages]
    assert names == [["a@x.test", "b.test"], ["c.test", "d.test"], ["e@x.test"]]
    assert pages[0][1] == {
        "IdentityType": "DOMAIN",
        "IdentityName": "b.test",
        "SendingEnabled": True,
        "VerificationStatus": "SUCCESS",
    }
    assert "b.test" not in first["NextToken"]


def test_pages_that_are_refused(many: World) -> None:
    assert many.refused(2, "ListEmailIdentities", PageSize=1001)[0] == "BadRequestException"
    assert many.refused(2, "ListEmailIdentities", NextToken="nonsense!")[0] == (
        "InvalidNextTokenException"
    )
    assert len(many.v2("ListEmailIdentities", PageSize=0)["EmailIdentities"]) == 5


@pytest.mark.parametrize(
    ("wanted", "names"),
    [({"IDENTITY_NAME_CONTAINS": "X."}, ["a@x.test", "e@x.test"]),
     ({"IDENTITY_TYPE": "DOMAIN", "VERIFICATION_STATUS": "PENDING"}, ["c.test", "d.test"])],
)  # fmt: skip
def test_filters(many: World, wanted: dict[str, str], names: list[str]) -> None:
    found = many.v2("ListEmailIdentities", Filter=wanted)["EmailIdentities"]
    assert [one["IdentityName"] for one in found] == names


# DKIM


def test_signing_on_and_off(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    world.v2("PutEmailIdentityDkimAttributes", EmailIdentity=DOMAIN)
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)["DkimAttributes"]
    assert (found["SigningEnabled"], found["Status"]) == (False, "PENDING")
    # No effect on the domain, whether the address is known or not.
    world.v2("PutEmailIdentityDkimAttributes", EmailIdentity=f"a@{DOMAIN}", SigningEnabled=True)
    assert world.identity(DOMAIN).dkim.enabled is False


@pytest.mark.parametrize("name", ["other.test", "a@other.test"])
def test_signing_of_what_is_unknown(world: World, name: str) -> None:
    found = world.refused(
        2, "PutEmailIdentityDkimAttributes", EmailIdentity=name, SigningEnabled=True
    )
    text = "Domain other.test is not verified for DKIM signing."
    assert found == ("BadRequestException", text)


def signing(world: World, name: str = DOMAIN, origin: str = "AWS_SES", **given: str) -> Any:
    params = {"EmailIdentity": name, "SigningAttributesOrigin": origin}
    if given:
        params["SigningAttributes"] = given
    return world.call("sesv2", "PutEmailIdentityDkimSigningAttributes", params)


def test_a_new_length_makes_new_tokens_and_sending_stays(world: World) -> None:
    world.verified(DOMAIN)
    old = world.identity(DOMAIN).dkim.key
    answer = signing(world, NextSigningKeyLength="RSA_1024_BIT").value
    assert answer["DkimStatus"] == "PENDING"
    assert answer["SigningHostedZone"] == "dkim.amazonses.com"
    assert old is not None
    assert not set(answer["DkimTokens"]) & set(old.selectors)
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)
    assert found["VerifiedForSendingStatus"] is True
    assert found["VerificationStatus"] == "SUCCESS"
    assert found["DkimAttributes"]["CurrentSigningKeyLength"] == "RSA_1024_BIT"


def test_lengths_change_once_in_24_hours_but_for_the_first_way_down(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    assert "2048 bits already" in signing(world, NextSigningKeyLength="RSA_2048_BIT").error[1]
    assert signing(world, NextSigningKeyLength="RSA_1024_BIT").status == 200
    text = "The length of a DKIM key can be changed once in 24 hours."
    refusal = ("BadRequestException", text)
    assert signing(world, NextSigningKeyLength="RSA_2048_BIT").error == refusal
    world.clock.time += 24 * HOUR
    assert signing(world, NextSigningKeyLength="RSA_2048_BIT").status == 200
    assert signing(world, NextSigningKeyLength="RSA_1024_BIT").error == refusal


def test_dkim_signing_refusals(world: World) -> None:
    text = "The EmailIdentity value must be a valid domain."
    assert signing(world, f"a@{DOMAIN}").error == ("BadRequestException", text)
    text = "Email identity example.com does not exist."
    assert signing(world).error == ("NotFoundException", text)
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    reply = signing(world, origin="AWS_SES_US_EAST_1")
    assert (reply.status, reply.error[0]) == (501, "NotImplementedException")
    reply = signing(world, origin="EXTERNAL", DomainSigningSelector="s")
    assert reply.error[1].startswith("DomainSigningPrivateKey is missing")


@pytest.mark.parametrize("form", [PrivateFormat.TraditionalOpenSSL, PrivateFormat.PKCS8])
def test_a_key_of_the_owners_signs(world: World, form: PrivateFormat) -> None:
    given = {"DomainSigningSelector": "own", "DomainSigningPrivateKey": key_text(form)}
    made = world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN, DkimSigningAttributes=given)
    assert made["DkimAttributes"] == {
        "SigningEnabled": True,
        "Status": "NOT_STARTED",
        "Tokens": ["own"],
        "SigningAttributesOrigin": "EXTERNAL",
    }
    identity = world.identity(DOMAIN)
    world.dns.publish(identity)
    world.look(DOMAIN)
    world.production()
    content = {"Raw": {"Data": b"From: a@example.com\nTo: b@x.test\n\nx"}}
    world.v2("SendEmail", Content=content)
    [signer] = world.mail()[0].message.signers
    assert (signer.domain, signer.selector) == (DOMAIN, "own")


@pytest.mark.parametrize(
    "given",
    [{"DomainSigningSelector": "a.b"}, {"DomainSigningPrivateKey": "AAAA"},
     {"DomainSigningPrivateKey": "-----BEGIN PRIVATE KEY-----"},
     {"NextSigningKeyLength": "RSA_1024_BIT"}, {"DomainSigningPrivateKey": "A" * 43 + "="}],
)  # fmt: skip
def test_keys_that_are_refused(world: World, given: dict[str, str]) -> None:
    attributes = own_key(**given)
    params = {"EmailIdentity": DOMAIN, "DkimSigningAttributes": attributes}
    assert world.refused(2, "CreateEmailIdentity", **params)[0] == "BadRequestException"
    params = {"EmailIdentity": f"a@{DOMAIN}", "DkimSigningAttributes": own_key()}
    text = "The EmailIdentity value must be a valid domain."
    assert world.refused(2, "CreateEmailIdentity", **params) == ("BadRequestException", text)


def test_between_easy_and_own_keys(world: World) -> None:
    length = {"NextSigningKeyLength": "RSA_1024_BIT"}
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN, DkimSigningAttributes=length)
    assert world.identity(DOMAIN).dkim.key.bits == 1024
    answer = signing(world, origin="EXTERNAL", **own_key()).value
    assert answer == {"DkimStatus": "PENDING", "DkimTokens": ["own"]}
    answer = signing(world).value
    assert len(answer["DkimTokens"]) == 3
    assert signing(world).value["DkimTokens"] == answer["DkimTokens"]


# Settings


def mail_from(world: World, name: str = DOMAIN, **given: str) -> Any:
    params = {"EmailIdentity": name, **given}
    return world.call("sesv2", "PutEmailIdentityMailFromAttributes", params)


def test_mail_from_is_a_subdomain(world: World) -> None:
    assert mail_from(world, MailFromDomain="m.x.test").error[0] == "NotFoundException"
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    for bad in ("example.com", "m.other.test", "a@m.example.com"):
        text = (
            f"Provided MAIL-FROM domain <{bad}> is not subdomain of the domain of the identity "
            "<example.com>."
        )
        assert mail_from(world, MailFromDomain=bad).error == ("BadRequestException", text)
    reply = mail_from(world, MailFromDomain="M.example.com", BehaviorOnMxFailure="REJECT_MESSAGE")
    assert reply.status == 200
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)["MailFromAttributes"]
    assert found == {
        "MailFromDomain": "m.example.com",
        "MailFromDomainStatus": "PENDING",
        "BehaviorOnMxFailure": "REJECT_MESSAGE",
    }
    mail_from(world)
    found = world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)["MailFromAttributes"]
    assert found == {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"}


def test_feedback_forwarding_and_the_default_set(world: World) -> None:
    name = {"EmailIdentity": DOMAIN}
    world.v2("CreateEmailIdentity", **name)
    world.v2("PutEmailIdentityFeedbackAttributes", **name)
    assert world.v2("GetEmailIdentity", **name)["FeedbackForwardingStatus"] is False
    world.v2("PutEmailIdentityFeedbackAttributes", EmailForwardingEnabled=True, **name)
    assert world.v2("GetEmailIdentity", **name)["FeedbackForwardingStatus"] is True
    operation = "PutEmailIdentityConfigurationSetAttributes"
    found = world.refused(2, operation, ConfigurationSetName="c", **name)
    assert found == ("NotFoundException", "Configuration set <c> does not exist.")
    world.v2(operation, **name)
    assert "ConfigurationSetName" not in world.v2("GetEmailIdentity", **name)


def test_iam_is_asked_about_the_identity(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN)
    arn = f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/example.com"
    statement = f'{{"Effect": "Allow", "Action": "ses:*", "Resource": "{arn}"}}'
    key = world.user("ann", f'{{"Statement": [{statement}]}}')
    world.v2("GetEmailIdentity", key=key, EmailIdentity="EXAMPLE.com")
    reply = world.call("sesv2", "GetEmailIdentity", {"key": key, "EmailIdentity": "b.test"})
    assert (reply.status, reply.error) == (
        403,
        (
            "AccessDeniedException",
            f"User: arn:aws:iam::{ACCOUNT}:user/ann is not authorized to perform: "
            f"ses:GetEmailIdentity on resource: {arn.replace(DOMAIN, 'b.test')} because no "
            "identity-based policy allows the ses:GetEmailIdentity action",
        ),
    )
