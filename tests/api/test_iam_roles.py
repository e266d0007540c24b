"""Roles and AssumeRole through boto3: trust, limits, session policies, and what grants nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from mailstead.mail.iam import AWS_POLICIES, Session
from mailstead.mail.iam_roles import trusts_service
from mailstead.mail.model import GLOBAL, Scope
from mailstead.mail.ports import Replace
from support.refusal import refused

ACCOUNT = "111122223333"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


def trust(principal: Any = None, action: Any = "sts:AssumeRole", **condition: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": principal or {"AWS": ROOT},
        "Action": action,
        **({"Condition": condition} if condition else {}),
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy(action: Any = "iam:*", resource: Any = "*", effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def iam(door: Any) -> Any:
    return door.client("iam")


def role(iam: Any, name: str = "r", document: str = "", **more: Any) -> str:
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document or trust(), **more)
    return made["Role"]["Arn"]


def user(door: Any, iam: Any, action: Any = (), name: str = "u") -> Any:
    """Client maker of a new user with these rights."""
    iam.create_user(UserName=name)
    if action:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(action))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return lambda service: door.client(service, key["AccessKeyId"], key["SecretAccessKey"])


def assumed(door: Any, sts: Any, arn: str, **more: Any) -> Any:
    """Client maker of a role's session."""
    found = sts.assume_role(RoleArn=arn, RoleSessionName="me", **more)["Credentials"]
    keys = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    return lambda service: door.client(service, *keys)


def test_the_life_of_a_role(iam: Any) -> None:
    made = iam.create_role(
        RoleName="Reader",
        Path="/team/",
        AssumeRolePolicyDocument=trust(),
        Description="reads",
        MaxSessionDuration=7200,
        Tags=[{"Key": "a", "Value": "b"}],
    )["Role"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/team/Reader"
    assert made["RoleId"].startswith("AROA")
    assert made["AssumeRolePolicyDocument"] == json.loads(trust())
    found = iam.get_role(RoleName="reader")["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("reads", 7200)
    assert found["RoleLastUsed"] == {}
    assert found["Tags"] == [{"Key": "a", "Value": "b"}]
    assert refused(role, iam=iam, name="READER") == (
        "EntityAlreadyExists",
        409,
        "Role with name READER already exists.",
    )
    iam.update_role(RoleName="Reader", Description="x")
    assert iam.get_role(RoleName="Reader")["Role"]["MaxSessionDuration"] == 7200
    iam.update_role(RoleName="Reader", MaxSessionDuration=3600)
    changed = iam.update_role_description(RoleName="Reader", Description="y")["Role"]
    assert (changed["Description"], changed["MaxSessionDuration"]) == ("y", 3600)
    only = trust({"Service": "cloudformation.amazonaws.com"})
    iam.update_assume_role_policy(RoleName="Reader", PolicyDocument=only)
    assert iam.get_role(RoleName="Reader")["Role"]["AssumeRolePolicyDocument"] == json.loads(only)
    iam.tag_role(RoleName="Reader", Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_role(RoleName="Reader", TagKeys=["a", "zz"])
    assert iam.list_role_tags(RoleName="Reader")["Tags"] == [{"Key": "c", "Value": "d"}]
    assert [one["RoleName"] for one in iam.list_roles()["Roles"]] == ["Reader"]
    assert iam.list_roles(PathPrefix="/other/")["Roles"] == []
    assert iam.list_instance_profiles_for_role(RoleName="Reader")["InstanceProfiles"] == []
    iam.delete_role(RoleName="Reader")
    assert refused(iam.get_role, RoleName="Reader") == (
        "NoSuchEntity",
        404,
        "The role with name Reader cannot be found.",
    )


def test_a_roles_policies(iam: Any) -> None:
    role(iam)
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=policy())
    assert iam.get_role_policy(RoleName="r", PolicyName="p")["PolicyDocument"] == json.loads(
        policy()
    )
    assert iam.get_role_policy(RoleName="r", PolicyName="p")["RoleName"] == "r"
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["p"]
    assert refused(iam.delete_role, RoleName="r") == (
        "DeleteConflict",
        409,
        "Cannot delete entity, must delete policies first.",
    )
    large = policy("iam:" + "x" * 10_240)
    assert refused(iam.put_role_policy, RoleName="r", PolicyName="q", PolicyDocument=large) == (
        "LimitExceeded",
        409,
        "Maximum policy size of 10240 bytes exceeded for role r",
    )
    assert refused(iam.get_role_policy, RoleName="r", PolicyName="no")[2] == (
        "The role policy with name no cannot be found."
    )
    iam.delete_role_policy(RoleName="r", PolicyName="p")
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMIN)
    assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"] == [
        {"PolicyName": "AdministratorAccess", "PolicyArn": ADMIN}
    ]
    users = iam.list_entities_for_policy(PolicyArn=ADMIN)
    assert [one["RoleName"] for one in users["PolicyRoles"]] == ["r"]
    assert iam.list_entities_for_policy(PolicyArn=ADMIN, EntityFilter="User")["PolicyRoles"] == []
    assert iam.get_policy(PolicyArn=ADMIN)["Policy"]["AttachmentCount"] == 1
    assert refused(iam.delete_role, RoleName="r")[2] == (
        "Cannot delete entity, must detach all policies first."
    )
    iam.detach_role_policy(RoleName="r", PolicyArn=ADMIN)
    for arn in list(AWS_POLICIES)[:10]:
        iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    last = list(AWS_POLICIES)[10]
    assert refused(iam.attach_role_policy, RoleName="r", PolicyArn=last)[2] == (
        "Cannot exceed quota for PoliciesPerRole: 10"
    )


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (policy(), "MalformedPolicyDocument"),
        ("{", "MalformedPolicyDocument"),
        (trust({"AWS": "nobody"}), "MalformedPolicyDocument"),
        (trust({"AWS": [ROOT] * 60}), "LimitExceeded"),
    ],
)
def test_what_is_no_trust_policy(iam: Any, document: str, code: str) -> None:
    assert refused(role, iam=iam, document=document)[0] == code
    role(iam)
    assert refused(iam.update_assume_role_policy, RoleName="r", PolicyDocument=document)[0] == code


def test_names(iam: Any) -> None:
    assert refused(role, iam=iam, name="a b")[0] == "ValidationError"


def test_a_session_of_a_role(door: Any, iam: Any) -> None:
    arn = role(iam)
    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=policy("iam:ListUsers"))
    sts = door.client("sts")
    found = sts.assume_role(RoleArn=arn, RoleSessionName="me")
    role_id = iam.get_role(RoleName="r")["Role"]["RoleId"]
    session = {
        "AssumedRoleId": f"{role_id}:me",
        "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/me",
    }
    assert found["AssumedRoleUser"] == session
    assert "PackedPolicySize" not in found
    keys = found["Credentials"]
    assert keys["AccessKeyId"].startswith("ASIA")
    triple = (keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])
    who = door.client("sts", *triple).get_caller_identity()
    assert (who["UserId"], who["Account"], who["Arn"]) == (
        session["AssumedRoleId"],
        ACCOUNT,
        session["Arn"],
    )
    assert door.client("iam", *triple).list_users()["Users"] == []
    assert refused(door.client("iam", *triple).list_roles) == (
        "AccessDenied",
        403,
        f"User: {session['Arn']} is not authorized to perform: iam:ListRoles on resource: "
        f"arn:aws:iam::{ACCOUNT}:role/ because no identity-based policy allows the "
        "iam:ListRoles action",
    )
    for token in (None, "x" * 160):
        without = door.client("sts", *triple[:2], token)
        assert refused(without.get_caller_identity)[0] == "InvalidClientTokenId"
    assert refused(door.client("sts", *triple).get_session_token)[0] == "AccessDenied"
    kept = door.run(door.store.find(Session, triple[0]))
    door.run(door.iam.apply(Replace(kept, replace(kept, expires_at=1))))
    assert refused(door.client("sts", *triple).get_caller_identity)[:2] == ("ExpiredToken", 403)
    assert refused(door.client("ssm", *triple).describe_parameters)[0] == "ExpiredTokenException"


def test_a_session_is_no_user(door: Any, iam: Any) -> None:
    arn = role(iam)
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMIN)
    own = assumed(door, door.client("sts"), arn)("iam")
    for call in (own.create_access_key, own.list_access_keys, own.get_user):
        assert refused(call) == (
            "ValidationError",
            400,
            "Must specify userName when calling with non-User credentials",
        )


def test_trust_in_the_account_grants_nothing(door: Any, iam: Any) -> None:
    arn = role(iam)
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMIN)
    sts = user(door, iam, "ses:SendRawEmail")("sts")
    code, status, text = refused(sts.assume_role, RoleArn=arn, RoleSessionName="me")
    assert (code, status) == ("AccessDenied", 403)
    assert text.startswith(
        f"User: arn:aws:iam::{ACCOUNT}:user/u is not authorized to perform: sts:AssumeRole "
        f"on resource: {arn}"
    )
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=policy("sts:*", arn))
    assert assumed(door, sts, arn)("sts").get_caller_identity()["Account"] == ACCOUNT


def test_a_trust_that_names_the_user_is_enough(door: Any, iam: Any) -> None:
    sts = user(door, iam)("sts")
    arn = role(iam, document=trust({"AWS": f"arn:aws:iam::{ACCOUNT}:user/u"}))
    assert assumed(door, sts, arn)
    other = user(door, iam, "sts:*", "v")("sts")
    text = refused(other.assume_role, RoleArn=arn, RoleSessionName="me")[2]
    assert text.endswith("because no resource-based policy allows the sts:AssumeRole action")


def test_a_role_that_is_not_there(door: Any, iam: Any) -> None:
    role(iam)
    sts = door.client("sts")
    for arn in (
        f"arn:aws:iam::{ACCOUNT}:role/none",
        f"arn:aws:iam::{ACCOUNT}:role/path/r",
        "arn:aws:iam::999900001111:role/r",
        f"arn:aws:iam::{ACCOUNT}:user/r",
        "r" * 20,
    ):
        code, _, text = refused(sts.assume_role, RoleArn=arn, RoleSessionName="me")
        assert code == "AccessDenied"
        assert arn in text


def test_another_accounts_role_needs_both_sides(door: Any, iam: Any) -> None:
    other = Scope("999900001111", GLOBAL)
    made = door.run(door.roles.create(other, "r", trust()))
    sts = user(door, iam)("sts")
    assert refused(sts.assume_role, RoleArn=made.arn, RoleSessionName="me")[0] == "AccessDenied"
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=policy("sts:AssumeRole"))
    who = assumed(door, sts, made.arn)("sts").get_caller_identity()
    assert who["Arn"] == "arn:aws:sts::999900001111:assumed-role/r/me"


def test_conditions_of_trust(door: Any, iam: Any) -> None:
    arn = role(iam, document=trust(StringEquals={"sts:ExternalId": "42"}))
    sts = door.client("sts")
    assert refused(sts.assume_role, RoleArn=arn, RoleSessionName="me")[0] == "AccessDenied"
    assert assumed(door, sts, arn, ExternalId="42")
    by_name = role(iam, "n", trust(StringLike={"sts:RoleSessionName": "m*"}))
    assert assumed(door, sts, by_name)


def test_session_tags_need_a_right_of_their_own(door: Any, iam: Any) -> None:
    sts = door.client("sts")
    tags = [{"Key": "Team", "Value": "mail"}]
    plain = role(iam)
    assert refused(sts.assume_role, RoleArn=plain, RoleSessionName="me", Tags=tags)[2] == (
        f"User: {ROOT} is not authorized to perform: sts:TagSession on resource: {plain} "
        "because no resource-based policy allows the sts:TagSession action"
    )
    both = ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"]
    arn = role(iam, "t", trust(action=both, StringEqualsIfExists={"aws:RequestTag/Team": "mail"}))
    mine = f"arn:aws:iam::{ACCOUNT}:user/${{aws:PrincipalTag/Team}}"
    iam.put_role_policy(RoleName="t", PolicyName="p", PolicyDocument=policy("iam:GetUser", mine))
    iam.create_user(UserName="mail")
    own = assumed(door, sts, arn, Tags=tags)("iam")
    assert own.get_user(UserName="mail")["User"]["UserName"] == "mail"
    assert refused(own.get_user, UserName="other")[0] == "AccessDenied"
    found = sts.assume_role(RoleArn=arn, RoleSessionName="me", Tags=tags, SourceIdentity="boss")
    assert found["SourceIdentity"] == "boss"
    assert found["PackedPolicySize"] == 1


def test_session_policies_only_take_away(door: Any, iam: Any) -> None:
    arn = role(iam)
    iam.put_role_policy(
        RoleName="r", PolicyName="p", PolicyDocument=policy(["iam:ListUsers", "iam:ListRoles"])
    )
    sts = door.client("sts")
    own = assumed(door, sts, arn, Policy=policy(["iam:ListUsers", "iam:ListGroups"]))("iam")
    assert own.list_users()["Users"] == []
    assert "no session policy allows" in refused(own.list_roles)[2]
    assert refused(own.list_groups)[0] == "AccessDenied"
    made = iam.create_policy(PolicyName="m", PolicyDocument=policy("iam:ListRoles"))["Policy"]
    own = assumed(door, sts, arn, PolicyArns=[{"arn": made["Arn"]}])("iam")
    assert len(own.list_roles()["Roles"]) == 1
    assert refused(own.list_users)[0] == "AccessDenied"
    iam.delete_policy(PolicyArn=made["Arn"])
    assert refused(own.list_roles)[0] == "AccessDenied"


def test_session_policies_that_are_none(door: Any, iam: Any) -> None:
    arn = role(iam)
    sts = door.client("sts")

    def asked(**more: Any) -> str:
        return refused(sts.assume_role, RoleArn=arn, RoleSessionName="me", **more)[0]

    assert asked(Policy="{") == "MalformedPolicyDocument"
    assert asked(Policy=policy("iam:" + "x" * 2048)) == "PackedPolicyTooLarge"
    assert asked(PolicyArns=[{"arn": ADMIN}] * 11) in {"PackedPolicyTooLarge", "ValidationError"}
    assert asked(PolicyArns=[{"arn": ADMIN + "x"}]) == "ValidationError"


def test_how_long_a_session_lives(door: Any, iam: Any) -> None:
    arn = role(iam, MaxSessionDuration=7200)
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMIN)
    sts = door.client("sts")
    assert refused(sts.assume_role, RoleArn=arn, RoleSessionName="me", DurationSeconds=7201) == (
        "ValidationError",
        400,
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
    )
    chained = assumed(door, sts, arn, DurationSeconds=7200)("sts")
    text = refused(chained.assume_role, RoleArn=arn, RoleSessionName="me", DurationSeconds=3601)[2]
    assert text.startswith("The requested DurationSeconds exceeds the 1 hour session limit")
    assert assumed(door, chained, arn)("sts").get_caller_identity()["Account"] == ACCOUNT


def test_no_code_of_a_device_is_right(door: Any, iam: Any) -> None:
    arn = role(iam)
    more = {"SerialNumber": f"arn:aws:iam::{ACCOUNT}:mfa/u", "TokenCode": "123456"}
    found = refused(door.client("sts").assume_role, RoleArn=arn, RoleSessionName="me", **more)
    assert found[0] == "AccessDenied"


def test_a_role_made_anew_takes_no_sessions_over(door: Any, iam: Any) -> None:
    own = assumed(door, door.client("sts"), role(iam))("sts")
    iam.delete_role(RoleName="r")
    assert refused(own.get_caller_identity)[0] == "InvalidClientTokenId"
    role(iam)
    assert refused(own.get_caller_identity)[0] == "InvalidClientTokenId"


def test_smtp_takes_no_temporary_keys(door: Any, iam: Any) -> None:
    from mailstead.wire.sigv4 import smtp_password

    arn = role(iam)
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMIN)
    keys = door.client("sts").assume_role(RoleArn=arn, RoleSessionName="me")["Credentials"]
    password = smtp_password(keys["SecretAccessKey"], "us-east-1")
    login = door.credentials.smtp_login(keys["AccessKeyId"], password, "us-east-1")
    assert door.run(login) is None


def test_who_an_arn_stands_for(door: Any, iam: Any) -> None:
    def principal(arn: str, session: str = "") -> Any:
        return door.run(door.credentials.principal(arn, session))

    arn = role(iam, Tags=[{"Key": "a", "Value": "b"}])
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMIN)
    user(door, iam, "ses:*")
    assert principal(ROOT).is_root
    assert principal(f"arn:aws:iam::{ACCOUNT}:user/u").user_name == "u"
    found = principal(arn)
    assert (found.role_arn, found.session, found.tags) == (arn, (), (("a", "b"),))
    assert len(found.policies) == 1
    sts = door.client("sts")
    session = sts.assume_role(RoleArn=arn, RoleSessionName="me", Policy=policy())
    key = session["Credentials"]["AccessKeyId"]
    limited = principal(session["AssumedRoleUser"]["Arn"], key)
    assert len(limited.session) == 1
    assert principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/r/other", key) is None
    for gone in (
        f"arn:aws:iam::{ACCOUNT}:user/none",
        f"arn:aws:iam::{ACCOUNT}:role/none",
        f"arn:aws:sts::{ACCOUNT}:assumed-role/r/none",
        f"arn:aws:s3::{ACCOUNT}:x",
        "garbage",
    ):
        assert principal(gone) is None


@pytest.mark.parametrize(
    ("principal", "action", "condition", "trusted"),
    [
        ({"Service": "cloudformation.amazonaws.com"}, "sts:AssumeRole", {}, True),
        ({"Service": ["a", "cloudformation.amazonaws.com"]}, "sts:*", {}, True),
        ({"Service": "lambda.amazonaws.com"}, "sts:AssumeRole", {}, False),
        ({"AWS": ROOT}, "sts:AssumeRole", {}, False),
        ("*", "sts:AssumeRole", {}, True),
        ({"Service": "cloudformation.amazonaws.com"}, "sts:TagSession", {}, False),
        (
            {"Service": "cloudformation.amazonaws.com"},
            "sts:AssumeRole",
            {"StringEquals": {"aws:SourceAccount": "1"}},
            False,
        ),
    ],
)
def test_trust_in_a_service(
    door: Any, principal: Any, action: str, condition: Any, trusted: bool
) -> None:
    service = "cloudformation.amazonaws.com"
    scope = Scope(ACCOUNT, GLOBAL)
    made = door.run(door.roles.create(scope, "r", trust(principal, action, **condition)))
    assert trusts_service(made, service) is trusted
    assert door.run(door.roles.require(scope, made.arn)) == made
    if not trusted:
        with pytest.raises(Exception, match="is invalid or cannot be assumed"):
            door.run(door.roles.require(scope, made.arn, service))
    with pytest.raises(Exception, match="is invalid or cannot be assumed"):
        door.run(door.roles.require(Scope("1", GLOBAL), made.arn))
