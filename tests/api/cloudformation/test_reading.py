"""What a stack reads of parameters and secrets, who acts for it must be allowed to read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cloud import ACCOUNT, Cloud, policy, refusal, resource, template

STACKS = ["cloudformation:*", "ssm:PutParameter", "ssm:DeleteParameter", "ssm:AddTagsToResource"]
HERE = f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter"


@pytest.fixture(autouse=True)
def values(cloud: Cloud) -> Any:
    """What there is to read; the root user's client of Secrets Manager."""
    ssm, vault = cloud.root("ssm"), cloud.root("secretsmanager")
    ssm.put_parameter(Name="/plain", Value="p", Type="String")
    ssm.put_parameter(Name="/secure", Value="s", Type="SecureString")
    vault.create_secret(Name="smtp", SecretString="hidden")
    return vault


def copy(reference: Any) -> dict[str, Any]:
    """A template whose resource shows what a reference stands for to who may read it."""
    return resource("SSM::Parameter", Name="/copy", Type="String", Value=reference)


def copied(cloud: Cloud) -> str:
    return cloud.root("ssm").get_parameter(Name="/copy")["Parameter"]["Value"]


@pytest.mark.parametrize(
    ("reference", "action", "value"),
    [
        ("{{resolve:ssm:/plain}}", "ssm:GetParameters", "p"),
        ("{{resolve:ssm:/plain:1}}", "ssm:GetParameters", "p"),
        ("{{resolve:ssm-secure:/secure}}", "ssm:GetParameters", "s"),
        ("{{resolve:secretsmanager:smtp}}", "secretsmanager:GetSecretValue", "hidden"),
    ],
)
def test_dynamic_references(cloud: Cloud, reference: str, action: str, value: str) -> None:
    keys = cloud.user("dev", {"Action": STACKS})
    stacks = cloud.client("cloudformation", **keys)
    stacks.create_stack(StackName="S", TemplateBody=template(copy(reference)))
    assert cloud.status() == "ROLLBACK_COMPLETE"
    [(logical, reason)] = cloud.failures()
    assert logical == "R"
    assert f"is not authorized to perform: {action}" in reason
    cloud.delete()
    allowed = policy({"Action": action})
    cloud.root("iam").put_user_policy(UserName="dev", PolicyName="read", PolicyDocument=allowed)
    stacks.create_stack(StackName="S", TemplateBody=template(copy(reference)))
    assert cloud.status() == "CREATE_COMPLETE"
    assert copied(cloud) == value


def test_a_secrets_own_policy_denies_a_stack_too(cloud: Cloud, values: Any) -> None:
    denial = {
        "Effect": "Deny", "Principal": "*", "Resource": "*",
        "Action": "secretsmanager:GetSecretValue",
    }  # fmt: skip
    document = json.dumps({"Version": "2012-10-17", "Statement": denial})
    values.put_resource_policy(SecretId="smtp", ResourcePolicy=document)
    assert cloud.create(copy("{{resolve:secretsmanager:smtp}}")) == "ROLLBACK_COMPLETE"


def test_parameters_that_take_their_values_from_ssm(cloud: Cloud) -> None:
    keys = cloud.user("dev", {"Action": STACKS})
    stacks = cloud.client("cloudformation", **keys)
    whole = copy({"Ref": "P"}) | {
        "Parameters": {"P": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/plain"}}
    }
    asked = {"StackName": "S", "TemplateBody": template(whole)}
    for call, more in (
        (stacks.create_stack, {}),
        (stacks.create_change_set, {"ChangeSetName": "c", "ChangeSetType": "CREATE"}),
    ):
        code, _, text = refusal(call, **asked, **more)
        assert code == "AccessDenied"
        assert f"ssm:GetParameters on resource: {HERE}/plain" in text
    allowed = policy({"Action": "ssm:GetParameters", "Resource": f"{HERE}/plain"})
    cloud.root("iam").put_user_policy(UserName="dev", PolicyName="read", PolicyDocument=allowed)
    stacks.create_stack(**asked)
    assert cloud.status() == "CREATE_COMPLETE"
    assert copied(cloud) == "p"
    # Another name is another parameter.
    other = [{"ParameterKey": "P", "ParameterValue": "/other"}]
    assert refusal(stacks.update_stack, **asked, Parameters=other)[0] == "AccessDenied"
