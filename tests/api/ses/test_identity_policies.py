"""Policies and tags of identities, through both versions."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.world import ACCOUNT, World

DOMAIN = "example.com"
ARN = f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/{DOMAIN}"


def policy(**changes: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "444455556666"},
        "Action": ["ses:SendEmail", "SES:SendRaw*"],
        "Resource": ARN,
        **changes,
    }
    kept = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": kept})


@pytest.fixture
def domain(world: World) -> World:
    world.verified(DOMAIN)
    return world


def test_version_2(domain: World) -> None:
    name = {"EmailIdentity": DOMAIN, "PolicyName": "p_1"}
    update = {**name, "Policy": policy()}
    found = domain.refused(2, "UpdateEmailIdentityPolicy", **update)
    assert found == ("NotFoundException", "Policy <p_1> does not exist")
    domain.v2("CreateEmailIdentityPolicy", **update)
    found = domain.refused(2, "CreateEmailIdentityPolicy", **update)
    assert found == ("AlreadyExistsException", "Policy <p_1> already exists")
    update["Policy"] = policy(Effect="Deny")
    domain.v2("UpdateEmailIdentityPolicy", **update)
    expected = {"p_1": policy(Effect="Deny")}
    assert domain.v2("GetEmailIdentityPolicies", EmailIdentity=DOMAIN)["Policies"] == expected
    assert domain.v2("GetEmailIdentity", EmailIdentity=DOMAIN)["Policies"] == expected
    for _ in range(2):
        domain.v2("DeleteEmailIdentityPolicy", **name)
    assert domain.v2("GetEmailIdentityPolicies", EmailIdentity=DOMAIN)["Policies"] == {}
    found = domain.refused(2, "CreateEmailIdentityPolicy", **{**update, "EmailIdentity": "x.test"})
    assert found[0] == "NotFoundException"


def test_version_1(domain: World) -> None:
    name = {"Identity": DOMAIN, "PolicyName": "p"}
    for effect in ("Allow", "Deny"):
        domain.v1("PutIdentityPolicy", **name, Policy=policy(Effect=effect))
    domain.v1("PutIdentityPolicy", Identity=DOMAIN, PolicyName="a", Policy=policy())
    assert domain.v1("ListIdentityPolicies", Identity=DOMAIN) == {"PolicyNames": ["a", "p"]}
    found = domain.v1("GetIdentityPolicies", Identity=DOMAIN, PolicyNames=["p", "nobody"])
    assert found == {"Policies": {"p": policy(Effect="Deny")}}
    domain.v1("DeleteIdentityPolicy", **name)
    assert domain.v1("ListIdentityPolicies", Identity=DOMAIN) == {"PolicyNames": ["a"]}
    found = domain.refused(1, "ListIdentityPolicies", Identity="x.test")
    assert found == ("InvalidParameterValue", "Identity <x.test> does not exist.")


@pytest.mark.parametrize(
    "document",
    ["{", policy(Resource="*"), policy(Resource=ARN + ".test"), policy(Principal=None),
     policy(Action="ses:*"), policy(Action="ses:SendEmail ses:GetAccount"), policy(Sid="x" * 4096),
     policy(Action=None, NotAction="ses:SendEmail"), policy(Resource=None, NotResource=ARN)],
)  # fmt: skip
def test_policies_that_are_none(domain: World, document: str) -> None:
    given = {"PolicyName": "p", "Policy": document}
    assert domain.refused(1, "PutIdentityPolicy", Identity=DOMAIN, **given)[0] == "InvalidPolicy"
    found = domain.refused(2, "CreateEmailIdentityPolicy", EmailIdentity=DOMAIN, **given)
    assert found[0] == "BadRequestException"


def test_names_and_number_of_policies(domain: World) -> None:
    given = {"EmailIdentity": DOMAIN, "Policy": policy()}
    found = domain.refused(2, "CreateEmailIdentityPolicy", PolicyName="a.b", **given)
    assert found[0] == "BadRequestException"
    for number in range(20):
        domain.v2("CreateEmailIdentityPolicy", PolicyName=f"p{number}", **given)
    text = (
        "Number of policies for <example.com> exceeds max allowed number of policies per resource"
    )
    found = domain.refused(2, "CreateEmailIdentityPolicy", PolicyName="p20", **given)
    assert found == ("LimitExceededException", text)
    v1 = {"Identity": DOMAIN, "PolicyName": "p20", "Policy": policy()}
    assert domain.refused(1, "PutIdentityPolicy", **v1) == ("InvalidParameterValue", text)
    domain.v2("DeleteEmailIdentity", EmailIdentity=DOMAIN)
    domain.verified(DOMAIN)
    assert domain.v1("ListIdentityPolicies", Identity=DOMAIN)["PolicyNames"] == []


# Tags


def tags(**pairs: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in pairs.items()]


def test_tags(world: World) -> None:
    world.v2("CreateEmailIdentity", EmailIdentity=DOMAIN, Tags=tags(a="1", b="2"))
    world.v2("TagResource", ResourceArn=ARN, Tags=tags(b="3", c=""))
    world.v2("UntagResource", ResourceArn=ARN, TagKeys=["a", "nobody"])
    expected = tags(b="3", c="")
    assert world.v2("ListTagsForResource", ResourceArn=ARN)["Tags"] == expected
    assert world.v2("GetEmailIdentity", EmailIdentity=DOMAIN)["Tags"] == expected


@pytest.mark.parametrize(
    ("arn", "code", "text"),
    [(ARN + ".test", "NotFoundException", "No EmailIdentity present with name: example.com.test"),
     (ARN.replace("identity", "configuration-set"), "NotFoundException",
      "No ConfigurationSet present with name: example.com"),
     (ARN.replace("us-east-1", "eu-west-1"), "BadRequestException", "Invalid ARN: "),
     (ARN.replace("identity", "other"), "BadRequestException", "Invalid ARN: "),
     ("x", "BadRequestException", "Invalid ARN: x")],
)  # fmt: skip
def test_arns_of_nothing(world: World, arn: str, code: str, text: str) -> None:
    found = world.refused(2, "ListTagsForResource", ResourceArn=arn)
    assert found[0] == code
    assert found[1].startswith(text)


@pytest.mark.parametrize(
    "given",
    [tags(**{"AWS:x": "v"}), tags(**{"k" * 129: "v"}), tags(k="v" * 257),
     tags(**{str(n): "v" for n in range(51)}), tags(**{"": "v"})],
)  # fmt: skip
def test_tags_that_are_refused(world: World, given: list[dict[str, str]]) -> None:
    world.verified(DOMAIN)
    found = world.refused(2, "TagResource", ResourceArn=ARN, Tags=given)
    assert found[0] == "BadRequestException"
    assert world.v2("ListTagsForResource", ResourceArn=ARN)["Tags"] == []
