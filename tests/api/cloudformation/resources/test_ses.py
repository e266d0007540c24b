"""``AWS::SES::EmailIdentity`` in stacks."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.cloud import Cloud, refusal, resource

TOKENS = [f"DkimDNSToken{kind}{number}" for number in (1, 2, 3) for kind in ("Name", "Value")]


@pytest.fixture
def ses(cloud: Cloud) -> Any:
    return cloud.root("sesv2")


@pytest.fixture(scope="module")
def private_key() -> str:
    key = generate_private_key(65537, 2048)
    return b64encode(
        key.private_bytes(Encoding.DER, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    ).decode()


def identity(name: str = "a.test", attributes: Any = TOKENS, **properties: Any) -> dict[str, Any]:
    return resource("SES::EmailIdentity", attributes, EmailIdentity=name, **properties)


def got(ses: Any, name: str = "a.test") -> Any:
    return ses.get_email_identity(EmailIdentity=name)


def names(ses: Any) -> list[str]:
    return [one["IdentityName"] for one in ses.list_email_identities()["EmailIdentities"]]


def test_a_domain(cloud: Cloud, ses: Any) -> None:
    given = {
        "DkimAttributes": {"SigningEnabled": "true"},
        "DkimSigningAttributes": {"NextSigningKeyLength": "RSA_1024_BIT"},
        "FeedbackAttributes": {"EmailForwardingEnabled": False},
        "MailFromAttributes": {
            "MailFromDomain": "mail.a.test", "BehaviorOnMxFailure": "REJECT_MESSAGE",
        },
        "Tags": [{"Key": "k", "Value": "1"}],
    }  # fmt: skip
    assert cloud.create(identity("A.Test", **given)) == "CREATE_COMPLETE"
    found = got(ses)
    assert found["FeedbackForwardingStatus"] is False
    assert found["MailFromAttributes"]["MailFromDomain"] == "mail.a.test"
    assert found["MailFromAttributes"]["BehaviorOnMxFailure"] == "REJECT_MESSAGE"
    assert found["DkimAttributes"]["NextSigningKeyLength"] == "RSA_1024_BIT"
    assert found["Tags"] == given["Tags"]
    outputs = cloud.outputs()
    assert outputs["Ref"] == "a.test"
    for number, token in enumerate(found["DkimAttributes"]["Tokens"], 1):
        assert outputs[f"DkimDNSTokenName{number}"] == f"{token}._domainkey.a.test"
        assert outputs[f"DkimDNSTokenValue{number}"] == f"{token}.dkim.amazonses.com"
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    changed = {
        "DkimAttributes": {"SigningEnabled": False},
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
    }
    assert cloud.update(identity("A.Test", **changed)) == "UPDATE_COMPLETE"
    found = got(ses)
    assert found["DkimAttributes"]["SigningEnabled"] is False
    assert found["FeedbackForwardingStatus"] is True
    assert "MailFromDomain" not in found["MailFromAttributes"]
    assert found["Tags"] == []
    assert cloud.outputs() == outputs
    assert cloud.update(identity("b.test")) == "UPDATE_COMPLETE"
    assert names(ses) == ["b.test"]
    told = [(logical, status) for logical, status, _ in cloud.told()]
    assert told.index(("R", "DELETE_COMPLETE")) > told.index(
        ("S", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    )
    ses.delete_email_identity(EmailIdentity="b.test")
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_the_seeds_way_of_saying_little(cloud: Cloud, ses: Any) -> None:
    """A behaviour without a MAIL FROM domain sets none."""
    given = {
        "DkimAttributes": {"SigningEnabled": True},
        "DkimSigningAttributes": {"NextSigningKeyLength": "RSA_2048_BIT"},
        "MailFromAttributes": {"BehaviorOnMxFailure": "USE_DEFAULT_VALUE"},
    }
    assert cloud.create(identity(**given)) == "CREATE_COMPLETE"
    assert "MailFromDomain" not in got(ses)["MailFromAttributes"]
    assert cloud.drift() == {"R": ("IN_SYNC", [])}


def test_an_address_gets_its_letter(cloud: Cloud, ses: Any) -> None:
    assert cloud.create(identity("me@a.test", ())) == "CREATE_COMPLETE"
    assert cloud.outputs() == {"Ref": "me@a.test"}
    assert got(ses, "me@a.test")["IdentityType"] == "EMAIL_ADDRESS"
    now = cloud.ports.clock.now()
    assert len(cloud.run(cloud.store.lease(now, now + 60_000, ["a.test"], 5))) == 1
    assert cloud.delete() == "DELETE_COMPLETE"


def test_drift_of_an_identity(cloud: Cloud, ses: Any) -> None:
    given = {
        "DkimAttributes": {"SigningEnabled": True},
        "FeedbackAttributes": {"EmailForwardingEnabled": True},
        "MailFromAttributes": {"MailFromDomain": "mail.a.test"},
        "Tags": [{"Key": "k", "Value": "1"}],
    }
    cloud.create(identity(**given))
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    ses.put_email_identity_dkim_attributes(EmailIdentity="a.test", SigningEnabled=False)
    ses.put_email_identity_feedback_attributes(EmailIdentity="a.test", EmailForwardingEnabled=False)
    ses.put_email_identity_mail_from_attributes(
        EmailIdentity="a.test", MailFromDomain="other.a.test"
    )
    status, found = cloud.drift()["R"]
    assert status == "MODIFIED"
    assert sorted(found) == [
        ("/DkimAttributes/SigningEnabled", "NOT_EQUAL"),
        ("/FeedbackAttributes/EmailForwardingEnabled", "NOT_EQUAL"),
        ("/MailFromAttributes/MailFromDomain", "NOT_EQUAL"),
    ]
    ses.put_email_identity_mail_from_attributes(EmailIdentity="a.test")
    assert ("/MailFromAttributes/MailFromDomain", "REMOVE") in cloud.drift()["R"][1]


def byodkim(key: str, selector: str = "s1") -> dict[str, Any]:
    signing = {"DomainSigningPrivateKey": key, "DomainSigningSelector": selector}
    return identity(DkimSigningAttributes=signing)


def test_an_own_key_is_shown_nowhere(cloud: Cloud, ses: Any, private_key: str) -> None:
    cloud.root("secretsmanager").create_secret(Name="dkim", SecretString=private_key)
    template = byodkim("{{resolve:secretsmanager:dkim}}")
    template["Parameters"] = {"Key": {"Type": "String", "NoEcho": True}}
    direct = byodkim("x")
    signing = direct["Resources"]["R"]["Properties"]["DkimSigningAttributes"]
    signing["DomainSigningPrivateKey"] = {"Ref": "Key"}
    direct["Parameters"] = template["Parameters"]
    values = [{"ParameterKey": "Key", "ParameterValue": private_key}]
    assert cloud.create(direct, Parameters=values) == "CREATE_COMPLETE"
    assert got(ses)["DkimAttributes"]["SigningAttributesOrigin"] == "EXTERNAL"
    assert cloud.outputs()["DkimDNSTokenName1"] == ""
    cloud.stacks.detect_stack_drift(StackName="S")
    stacks = cloud.stacks
    shown = [
        stacks.describe_stacks(StackName="S"), stacks.describe_stack_events(StackName="S"),
        stacks.describe_stack_resource_drifts(StackName="S"), stacks.get_template(StackName="S"),
        stacks.describe_events(StackName="S"), stacks.list_stack_resources(StackName="S"),
    ]  # fmt: skip
    assert private_key[-200:-150] not in json.dumps(shown, default=str)
    parameters = stacks.describe_stacks(StackName="S")["Stacks"][0]["Parameters"]
    assert parameters == [{"ParameterKey": "Key", "ParameterValue": "****"}]
    assert cloud.update(template, Parameters=values) == "UPDATE_COMPLETE"
    content = b"".join(path.read_bytes() for path in cloud.store.path.parent.glob("mailstead.db*"))
    assert private_key[-200:-150].encode() not in content


def test_a_key_that_stays_is_not_looked_for_anew(cloud: Cloud, ses: Any, private_key: str) -> None:
    cloud.root("secretsmanager").create_secret(Name="dkim", SecretString=private_key)
    template = byodkim("{{resolve:secretsmanager:dkim}}")
    cloud.create(template)
    found = cloud.run(cloud.ports.identities.require(cloud.domain.home, "a.test"))
    template["Resources"]["R"]["Properties"]["Tags"] = [{"Key": "k", "Value": "1"}]
    assert cloud.update(template) == "UPDATE_COMPLETE"
    again = cloud.run(cloud.ports.identities.require(cloud.domain.home, "a.test"))
    assert again.dkim == found.dkim
    # What the old properties named may be gone.
    cloud.root("secretsmanager").delete_secret(SecretId="dkim", ForceDeleteWithoutRecovery=True)
    assert cloud.update(byodkim(private_key, "s2")) == "UPDATE_COMPLETE"
    easy = identity(DkimSigningAttributes={"NextSigningKeyLength": "RSA_2048_BIT"})
    assert cloud.update(easy) == "UPDATE_COMPLETE"
    assert len(got(ses)["DkimAttributes"]["Tokens"]) == 3


def test_the_length_of_a_key(cloud: Cloud, ses: Any) -> None:
    def length(name: str) -> dict[str, Any]:
        return identity(DkimSigningAttributes={"NextSigningKeyLength": name})

    cloud.create(length("RSA_2048_BIT"))
    assert cloud.update(length("RSA_1024_BIT")) == "UPDATE_COMPLETE"
    tokens = got(ses)["DkimAttributes"]["Tokens"]
    assert cloud.update(length("RSA_2048_BIT")) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.failures()[0][1] == ("The length of a DKIM key can be changed once in 24 hours.")
    assert got(ses)["DkimAttributes"]["Tokens"] == tokens
    assert cloud.update(identity()) == "UPDATE_COMPLETE"
    assert got(ses)["DkimAttributes"]["Tokens"] == tokens


@pytest.mark.parametrize(
    ("name", "properties", "words"),
    [
        ("a b", {}, ""),
        ("mine.test", {}, "already exist"),
        (
            "a.test",
            {"ConfigurationSetAttributes": {"ConfigurationSetName": "none"}},
            "Configuration set <none> does not exist.",
        ),
        (
            "a.test",
            {"MailFromAttributes": {"MailFromDomain": "mail.b.test"}},
            "Provided MAIL-FROM domain <mail.b.test> is not subdomain of the domain of the "
            "identity <a.test>.",
        ),
        ("a.test", {"DkimSigningAttributes": {"NextSigningKeyLength": "RSA_1_BIT"}}, "can't be"),
        (
            "a.test",
            {"DkimSigningAttributes": {"DomainSigningSelector": "s"}},
            "DomainSigningPrivateKey is missing: your own key needs it.",
        ),
        (
            "me@a.test",
            {"DkimSigningAttributes": {"NextSigningKeyLength": "RSA_2048_BIT"}},
            "The EmailIdentity value must be a valid domain.",
        ),
        ("a.test", {"Tags": [{"Key": "aws:x", "Value": ""}]}, "reserved"),
        ("a.test", {"DkimAttributes": "x"}, "#/DkimAttributes: expected type: JSONObject"),
    ],
)
def test_identities_that_fail_leave_nothing(
    cloud: Cloud, ses: Any, name: str, properties: dict[str, Any], words: str
) -> None:
    ses.create_email_identity(EmailIdentity="mine.test")
    assert cloud.create(identity(name, (), **properties)) == "ROLLBACK_COMPLETE"
    reason = cloud.failures()[0][1]
    assert words in reason
    assert reason != "Internal Failure"
    assert names(ses) == ["mine.test"]


def test_an_update_that_fails_gives_everything_back(
    cloud: Cloud, ses: Any, private_key: str
) -> None:
    before = {
        "MailFromAttributes": {"MailFromDomain": "mail.a.test"},
        "Tags": [{"Key": "k", "Value": "1"}],
    }
    cloud.create(identity(**before))
    tokens = got(ses)["DkimAttributes"]["Tokens"]
    signing = {"DomainSigningPrivateKey": private_key, "DomainSigningSelector": "a.b"}
    broken = identity(
        MailFromAttributes={"MailFromDomain": "other.a.test"}, DkimSigningAttributes=signing
    )
    assert cloud.update(broken) == "UPDATE_ROLLBACK_COMPLETE"
    found = got(ses)
    assert found["MailFromAttributes"]["MailFromDomain"] == "mail.a.test"
    assert found["Tags"] == before["Tags"]
    assert found["DkimAttributes"]["Tokens"] == tokens
    ses.create_email_identity(EmailIdentity="b.test")
    assert cloud.update(identity("b.test")) == "UPDATE_ROLLBACK_COMPLETE"
    assert names(ses) == ["a.test", "b.test"]


def test_properties_that_are_unknown(cloud: Cloud) -> None:
    answer = refusal(cloud.create, identity(DkimAttributes={"Signing": True}))
    assert answer[2] == (
        "Encountered unsupported property DkimAttributes.Signing of AWS::SES::EmailIdentity"
    )


@pytest.mark.parametrize("name", ["a.test", "me@a.test"])
def test_an_identity_through_crashes(
    cloud: Cloud, ses: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tagged(value: str) -> dict[str, Any]:
        return identity(name, (), Tags=[{"Key": "k", "Value": value}])

    def check(place: int) -> None:
        assert names(ses) == ([name] if place < 2 else [])
        if place < 2:
            assert got(ses, name)["Tags"] == [{"Key": "k", "Value": str(place)}]

    steps = [
        lambda: cloud.create(tagged("0")), lambda: cloud.update(tagged("1")), cloud.delete,
    ]  # fmt: skip
    assert cloud.through_crashes(monkeypatch, steps, check) > 8


def test_an_identity_is_adopted(cloud: Cloud, ses: Any) -> None:
    ses.create_email_identity(EmailIdentity="a.test")
    tokens = got(ses)["DkimAttributes"]["Tokens"]
    cloud.stacks.create_change_set(
        StackName="S", ChangeSetName="c", ChangeSetType="CREATE", ImportExistingResources=True,
        TemplateBody=json.dumps(identity(Tags=[{"Key": "k", "Value": "1"}])),
    )  # fmt: skip
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="c")
    assert cloud.status() == "CREATE_COMPLETE"
    found = got(ses)
    assert found["DkimAttributes"]["Tokens"] == tokens
    assert found["Tags"] == [{"Key": "k", "Value": "1"}]


def test_a_replaced_identity_stays_where_something_later_fails(cloud: Cloud, ses: Any) -> None:
    cloud.create(identity())
    tokens = got(ses)["DkimAttributes"]["Tokens"]
    broken = identity("b.test")
    failing = resource("S3::Bucket", BucketName="X")["Resources"]["R"]
    broken["Resources"]["Z"] = {**failing, "DependsOn": "R"}
    assert cloud.update(broken) == "UPDATE_ROLLBACK_COMPLETE"
    assert names(ses) == ["a.test"]
    assert got(ses)["DkimAttributes"]["Tokens"] == tokens
    assert cloud.physical() == "a.test"
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
