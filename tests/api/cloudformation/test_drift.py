"""Drift shows nothing that the asker may not see."""

from __future__ import annotations

import json
from typing import Any

from support.cloud import ACCOUNT, Cloud, resource, template


def drifts(client: Any) -> list[dict[str, Any]]:
    client.detect_stack_drift(StackName="S")
    return client.describe_stack_resource_drifts(StackName="S")["StackResourceDrifts"]


def test_values_of_noecho_parameters_are_masked(cloud: Cloud) -> None:
    whole = resource("SSM::Parameter", Name="/p", Type="String", Value={"Fn::Sub": "a ${P}"})
    whole["Parameters"] = {"P": {"Type": "String", "NoEcho": True}}
    given = [{"ParameterKey": "P", "ParameterValue": "hush-hush"}]
    assert cloud.create(whole, Parameters=given) == "CREATE_COMPLETE"
    [shown] = drifts(cloud.stacks)
    assert json.loads(shown["ExpectedProperties"])["Value"] == "a ****"
    cloud.root("ssm").put_parameter(Name="/p", Value="hush-hush, more", Overwrite=True)
    [shown] = drifts(cloud.stacks)
    assert shown["StackResourceDriftStatus"] == "MODIFIED"
    assert "hush" not in json.dumps(shown, default=str)
    one = cloud.stacks.detect_stack_resource_drift(StackName="S", LogicalResourceId="R")
    assert "hush" not in json.dumps(one, default=str)


def test_who_may_not_read_a_resource_is_not_shown_it(cloud: Cloud) -> None:
    resources = {
        "Parameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/p", "Type": "String", "Value": "ours"},
        },
        "User": {"Type": "AWS::IAM::User", "Properties": {"UserName": "u", "Path": "/a/"}},
        "Identity": {
            "Type": "AWS::SES::EmailIdentity",
            "Properties": {"EmailIdentity": "a.test"},
        },
        "Zone": {"Type": "AWS::Route53::HostedZone", "Properties": {"Name": "a.test"}},
    }
    assert cloud.create(template(resources)) == "CREATE_COMPLETE"
    cloud.root("ssm").put_parameter(Name="/p", Value="theirs", Overwrite=True)
    keys = cloud.user("dev", {"Action": "cloudformation:*"})
    asked = drifts(cloud.client("cloudformation", **keys))
    assert "theirs" not in json.dumps(asked, default=str)
    assert {one["LogicalResourceId"]: one["StackResourceDriftStatus"] for one in asked} == {
        "Zone": "IN_SYNC"
    }
    reading = {
        "Action": ["ssm:GetParameters", "iam:GetUser", "ses:GetEmailIdentity"],
        "Resource": [
            f"arn:aws:ssm:us-east-1:{ACCOUNT}:parameter/p",
            f"arn:aws:iam::{ACCOUNT}:user/a/u",
            f"arn:aws:ses:us-east-1:{ACCOUNT}:identity/a.test",
        ],
    }
    keys = cloud.user("reader", {"Action": "cloudformation:*"}, reading)
    asked = drifts(cloud.client("cloudformation", **keys))
    assert {one["LogicalResourceId"]: one["StackResourceDriftStatus"] for one in asked} == {
        "Zone": "IN_SYNC",
        "User": "IN_SYNC",
        "Identity": "IN_SYNC",
        "Parameter": "MODIFIED",
    }
