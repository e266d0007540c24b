"""A stack's tags are its resources' too."""

from __future__ import annotations

from typing import Any

from support.cloud import Cloud, resource

TAGS = [{"Key": "team", "Value": "mail"}, {"Key": "cost", "Value": "7"}]
TEAM = {"team": "mail", "cost": "7"}


def as_mapping(tags: list[dict[str, str]]) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in tags}


def test_what_can_have_tags_gets_them(cloud: Cloud) -> None:
    resources: dict[str, Any] = {
        "Identity": {
            "Type": "AWS::SES::EmailIdentity",
            "Properties": {
                "EmailIdentity": "a.test",
                "Tags": [{"Key": "own", "Value": "1"}, {"Key": "cost", "Value": "0"}],
            },
        },
        "Zone": {"Type": "AWS::Route53::HostedZone", "Properties": {"Name": "a.test"}},
        "Parameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/p", "Type": "String", "Value": "x", "Tags": {"own": "2"}},
        },
        "User": {"Type": "AWS::IAM::User", "Properties": {"UserName": "u"}},
        "Key": {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "User"}}},
    }
    assert cloud.create(resources, Tags=TAGS) == "CREATE_COMPLETE"
    identity = cloud.root("sesv2").get_email_identity(EmailIdentity="a.test")
    assert as_mapping(identity["Tags"]) == {"own": "1", "cost": "0", "team": "mail"}
    zone = cloud.physical("Zone")
    route53 = cloud.root("route53")
    found = route53.list_tags_for_resource(ResourceType="hostedzone", ResourceId=zone)
    assert as_mapping(found["ResourceTagSet"]["Tags"]) == TEAM
    found = cloud.root("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId="/p")
    assert as_mapping(found["TagList"]) == {**TEAM, "own": "2"}
    iam = cloud.root("iam")
    assert as_mapping(iam.list_user_tags(UserName="u")["Tags"]) == TEAM
    assert {status for status, _ in cloud.drift().values()} <= {"IN_SYNC", "NOT_CHECKED"}
    # Another value is a change of each; the template is the same.
    other = [{"Key": "team", "Value": "post"}]
    assert cloud.update(resources, Tags=other) == "UPDATE_COMPLETE"
    assert as_mapping(iam.list_user_tags(UserName="u")["Tags"]) == {"team": "post"}
    identity = cloud.root("sesv2").get_email_identity(EmailIdentity="a.test")
    assert as_mapping(identity["Tags"]) == {"own": "1", "cost": "0", "team": "post"}


def test_tags_by_an_intrinsic_function_stay_alone(cloud: Cloud) -> None:
    chosen = {"Fn::If": ["Yes", [{"Key": "own", "Value": "1"}], {"Ref": "AWS::NoValue"}]}
    whole = resource("IAM::User", UserName="u", Tags=chosen)
    whole["Conditions"] = {"Yes": {"Fn::Equals": ["a", "a"]}}
    assert cloud.create(whole, Tags=TAGS) == "CREATE_COMPLETE"
    assert as_mapping(cloud.root("iam").list_user_tags(UserName="u")["Tags"]) == {"own": "1"}


def test_wrong_tags_are_refused_with_stack_tags_too(cloud: Cloud) -> None:
    whole = resource("IAM::User", UserName="u", Tags="team")
    assert cloud.create(whole, Tags=TAGS) == "ROLLBACK_COMPLETE"
    [(logical, reason)] = cloud.failures()
    assert logical == "R"
    assert "#/Tags" in reason
