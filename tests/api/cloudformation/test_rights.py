"""As whom stacks act: nobody gets by a stack what IAM does not allow them otherwise."""

import json
from typing import Any

from support.cloud import ACCOUNT, CAPABILITIES, Cloud, policy, refusal, resource, template, trust

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


def identity(**properties: Any) -> dict[str, Any]:
    return resource("SES::EmailIdentity", EmailIdentity="example.test", **properties)


def test_each_setting_needs_its_own_right(cloud: Cloud) -> None:
    cloud.create(identity())
    own = {"Action": ["cloudformation:*", "ses:PutEmailIdentityDkimAttributes"]}
    mine = cloud.client("cloudformation", **cloud.user("dev", own))
    for properties, action in (
        ({"MailFromAttributes": {"MailFromDomain": "b.example.test"}}, "MailFromAttributes"),
        ({"FeedbackAttributes": {"EmailForwardingEnabled": False}}, "FeedbackAttributes"),
        (
            {"DkimSigningAttributes": {"NextSigningKeyLength": "RSA_1024_BIT"}},
            "DkimSigningAttributes",
        ),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "TagResource"),
    ):
        mine.update_stack(StackName="S", TemplateBody=template(identity(**properties)))
        assert cloud.status() in {"UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"}
        name = action if action == "TagResource" else f"PutEmailIdentity{action}"
        assert f"not authorized to perform: ses:{name}" in cloud.failures()[-1][1]
        if cloud.status() == "UPDATE_ROLLBACK_FAILED":
            cloud.stacks.continue_update_rollback(StackName="S")
    body = identity(DkimAttributes={"SigningEnabled": False})
    mine.update_stack(StackName="S", TemplateBody=template(body))
    assert cloud.status() == "UPDATE_COMPLETE"


def test_who_may_update_a_role_does_not_say_who_takes_it(cloud: Cloud) -> None:
    body = {"RoleName": "ci", "AssumeRolePolicyDocument": trust(Service="lambda.amazonaws.com")}
    cloud.create(resource("IAM::Role", **body))
    mine = cloud.client(
        "cloudformation", **cloud.user("dev", {"Action": ["cloudformation:*", "iam:UpdateRole"]})
    )
    for changed, action in (
        ({"AssumeRolePolicyDocument": trust(AWS=ACCOUNT)}, "UpdateAssumeRolePolicy"),
        ({"Tags": [{"Key": "a", "Value": "b"}]}, "TagRole"),
    ):
        whole = template(resource("IAM::Role", **body | changed))
        mine.update_stack(StackName="S", TemplateBody=whole, Capabilities=CAPABILITIES)
        assert f"not authorized to perform: iam:{action}" in cloud.failures()[-1][1]
    whole = template(resource("IAM::Role", **body, Description="new"))
    mine.update_stack(StackName="S", TemplateBody=whole, Capabilities=CAPABILITIES)
    assert cloud.status() == "UPDATE_COMPLETE"


def test_a_denial_by_path_or_group_holds_for_stacks(cloud: Cloud) -> None:
    iam = cloud.root("iam")
    iam.create_group(GroupName="Admins", Path="/top/")
    own = {"Action": ["cloudformation:*", "iam:*"]}
    denial = {
        "Effect": "Deny",
        "Action": "iam:*",
        "Resource": f"arn:aws:iam::{ACCOUNT}:group/top/*",
    }
    keys = cloud.user("dev", own, denial)
    joining = resource("IAM::User", UserName="bob", Groups=["admins"])
    assert made_by(cloud, keys, joining) == "ROLLBACK_COMPLETE"
    assert (
        f"iam:AddUserToGroup on resource: {denial['Resource'][:-1]}Admins" in cloud.failures()[0][1]
    )
    document = json.loads(policy({"Action": "*"}))
    body = resource("IAM::Policy", PolicyName="p", PolicyDocument=document, Groups=["ADMINS"])
    assert made_by(cloud, keys, body, "P") == "ROLLBACK_FAILED"
    assert "iam:PutGroupPolicy" in cloud.failures("P")[0][1]


def test_a_stack_has_one_arn(cloud: Cloud) -> None:
    """What is denied for a stack can't be had under another name of it."""
    cloud.create(resource("SSM::Parameter", Name="/a", Type="String", Value="v"))
    arn = cloud.shown()["StackId"]
    body = template(resource("SSM::Parameter", Name="/a", Type="String", Value="w"))
    made = cloud.stacks.create_change_set(StackName="S", ChangeSetName="C", TemplateBody=body)
    denial = {
        "Effect": "Deny",
        "Action": "cloudformation:*",
        "Resource": f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/S/*",
    }
    mine = cloud.client("cloudformation", **cloud.user("dev", {"Action": "*"}, denial))
    for name in ("S", arn):
        assert refusal(mine.describe_stacks, StackName=name)[:2] == ("AccessDenied", 403)
    other = arn.replace("aws:cloudformation", "aws-cn:cloudformation")
    assert refusal(mine.describe_stacks, StackName=other)[0] == "ValidationError"
    mine.delete_stack(StackName=other)
    assert cloud.status() == "CREATE_COMPLETE"
    for call in (mine.describe_change_set, mine.execute_change_set, mine.delete_change_set):
        assert refusal(call, ChangeSetName=made["Id"])[:2] == ("AccessDenied", 403)
    assert cloud.stacks.describe_change_set(ChangeSetName=made["Id"])["ChangeSetName"] == "C"
