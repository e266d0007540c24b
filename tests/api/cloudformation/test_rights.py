"""As whom stacks act: nobody gets by a stack what IAM does not allow them otherwise."""

import json
from typing import Any

from support.cloud import ACCOUNT, CAPABILITIES, Cloud, policy, resource, template, trust

STACKS = {"Action": "cloudformation:*"}


def made_by(cloud: Cloud, keys: dict[str, Any], body: Any, name: str = "S") -> str:
    """A stack's status after somebody's CreateStack."""
    mine = cloud.client("cloudformation", **keys)
    mine.create_stack(StackName=name, TemplateBody=template(body), Capabilities=CAPABILITIES)
    return cloud.status(name)


def test_what_is_denied_under_conditions_is_denied_to_stacks_too(cloud: Cloud) -> None:
    own = {"Action": ["cloudformation:*", "ssm:*"]}
    for number, (operator, key, value) in enumerate(
        (
            ("StringEquals", "aws:username", "dev3"),
            ("StringEquals", "aws:RequestedRegion", "us-east-1"),
            ("DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"),
            ("StringEquals", "aws:username", "dev3"),
            ("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{ACCOUNT}:user/dev4"),
            ("Bool", "aws:ViaAWSService", "true"),
            ("StringEquals", "aws:CalledViaFirst", "cloudformation.amazonaws.com"),
            ("ForAnyValue:StringEquals", "aws:CalledVia", "cloudformation.amazonaws.com"),
        )
    ):
        denial = {"Effect": "Deny", "Action": "ssm:*", "Condition": {operator: {key: value}}}
        keys = cloud.user(f"dev{number}", own, denial)
        name = f"S{number}"
        body = resource("SSM::Parameter", Name=f"mine{number}", Type="String", Value="x")
        expected = "CREATE_COMPLETE" if number == 0 else "ROLLBACK_COMPLETE"
        assert made_by(cloud, keys, body, name) == expected, key


def test_a_principals_tags_count(cloud: Cloud) -> None:
    tagged = {"Condition": {"StringEquals": {"aws:PrincipalTag/team": "mail"}}}
    keys = cloud.user("dev", STACKS, {"Action": "ssm:*", **tagged})
    body = resource("SSM::Parameter", Name="mine", Type="String", Value="x")
    assert made_by(cloud, keys, body, "A") == "ROLLBACK_COMPLETE"
    cloud.root("iam").tag_user(UserName="dev", Tags=[{"Key": "team", "Value": "mail"}])
    assert made_by(cloud, keys, body, "B") == "CREATE_COMPLETE"


def test_a_session_acts_with_its_own_policies(cloud: Cloud) -> None:
    """Not with those of another session of the same name."""
    iam = cloud.root("iam")
    iam.create_role(
        RoleName="ci",
        AssumeRolePolicyDocument=json.dumps(trust(AWS=f"arn:aws:iam::{ACCOUNT}:root")),
    )
    iam.attach_role_policy(RoleName="ci", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    user = cloud.user("dev", {"Action": "sts:AssumeRole"})
    assume = cloud.client("sts", **user).assume_role
    arn = f"arn:aws:iam::{ACCOUNT}:role/ci"
    small = assume(RoleArn=arn, RoleSessionName="build", Policy=policy(STACKS))["Credentials"]
    assume(RoleArn=arn, RoleSessionName="build", DurationSeconds=3600)
    keys = {
        "key": small["AccessKeyId"],
        "secret": small["SecretAccessKey"],
        "token": small["SessionToken"],
    }
    body = resource("SSM::Parameter", Name="mine", Type="String", Value="x")
    assert made_by(cloud, keys, body) == "ROLLBACK_COMPLETE"
    assert "no session policy allows" in cloud.failures()[0][1]
