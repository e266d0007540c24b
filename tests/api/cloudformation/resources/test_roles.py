"""``AWS::IAM::Role`` in stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cloud import ACCOUNT, Cloud, policy, refusal, resource, trust

SEND = {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"}
LOCAL = f"arn:aws:iam::{ACCOUNT}"
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


def role(**properties: Any) -> dict[str, Any]:
    given = {"AssumeRolePolicyDocument": trust(AWS=ACCOUNT), "RoleName": "r", **properties}
    return resource("IAM::Role", ["Arn", "RoleId"], **given)


@pytest.fixture
def iam(cloud: Cloud) -> Any:
    return cloud.root("iam")


def roles(iam: Any) -> set[str]:
    names = {one["RoleName"] for one in iam.list_roles()["Roles"]}
    return {name for name in names if not name.startswith("cdk-")}


def test_a_role(cloud: Cloud, iam: Any) -> None:
    given = {
        "Path": "/a/", "Description": "d", "MaxSessionDuration": "7200",
        "ManagedPolicyArns": [READ_ONLY], "Tags": [{"Key": "k", "Value": "1"}],
        "Policies": [{"PolicyName": "send", "PolicyDocument": json.loads(policy(SEND))}],
    }  # fmt: skip
    assert cloud.create(role(**given)) == "CREATE_COMPLETE"
    outputs = cloud.outputs()
    assert (outputs["Ref"], outputs["Arn"]) == ("r", f"{LOCAL}:role/a/r")
    assert outputs["RoleId"].startswith("AROA")
    found = iam.get_role(RoleName="r")["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("d", 7200)
    assert found["Tags"] == [{"Key": "k", "Value": "1"}]
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["send"]
    other = trust(Service="cloudformation.amazonaws.com")
    changed = {"Path": "/a/", "AssumeRolePolicyDocument": json.dumps(other)}
    assert cloud.update(role(**changed)) == "UPDATE_COMPLETE"
    found = iam.get_role(RoleName="r")["Role"]
    assert (found.get("Description"), found["MaxSessionDuration"]) == (None, 3600)
    assert found["AssumeRolePolicyDocument"] == other
    assert "Tags" not in found
    assert iam.list_attached_role_policies(RoleName="r")["AttachedPolicies"] == []
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == []
    assert cloud.update(role(**{**changed, "RoleName": "s"})) == "UPDATE_COMPLETE"
    assert roles(iam) == {"s"}
    assert cloud.delete() == "DELETE_COMPLETE"
    assert roles(iam) == set()


def test_drift_of_a_role(cloud: Cloud, iam: Any) -> None:
    cloud.create(role(Description="d", ManagedPolicyArns=[READ_ONLY]))
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    iam.detach_role_policy(RoleName="r", PolicyArn=READ_ONLY)
    iam.update_role(RoleName="r", Description="e")
    other = json.dumps(trust(AWS="999900001111"))
    iam.update_assume_role_policy(RoleName="r", PolicyDocument=other)
    status, found = cloud.drift()["R"]
    assert status == "MODIFIED"
    assert {path.split("/")[1] for path, _ in found} == {
        "AssumeRolePolicyDocument", "Description", "ManagedPolicyArns",
    }  # fmt: skip
    iam.delete_role(RoleName="r")
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"ManagedPolicyArns": ["arn:aws:iam::aws:policy/None"]}, "not attachable"),
        ({"Policies": [{"PolicyName": "p"}]}, "required key [PolicyDocument] not found"),
        ({"MaxSessionDuration": "long"}, "#/MaxSessionDuration: expected type: Integer"),
        ({"AssumeRolePolicyDocument": "{}"}, "Syntax errors in policy."),
        ({"RoleName": "taken"}, "Role with name taken already exists."),
    ],
)
def test_roles_that_fail_leave_nothing(
    cloud: Cloud, iam: Any, properties: dict[str, Any], words: str
) -> None:
    iam.create_role(RoleName="taken", AssumeRolePolicyDocument=json.dumps(trust(AWS=ACCOUNT)))
    assert cloud.create(role(**properties)) == "ROLLBACK_COMPLETE"
    assert words in cloud.failures()[0][1]
    assert roles(iam) == {"taken"}


def test_a_role_that_needs_another_name(cloud: Cloud, iam: Any) -> None:
    cloud.create(role())
    assert cloud.update(role(Path="/b/")) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Rename r and update the stack again." in cloud.failures()[0][1]
    assert iam.get_role(RoleName="r")["Role"]["Path"] == "/"


def test_an_update_that_fails_gives_everything_back(cloud: Cloud, iam: Any) -> None:
    cloud.create(role(Description="d", Tags=[{"Key": "k", "Value": "1"}]))
    other = trust(Service="cloudformation.amazonaws.com")
    broken = role(AssumeRolePolicyDocument=other, ManagedPolicyArns=["arn:aws:iam::aws:policy/No"])
    assert cloud.update(broken) == "UPDATE_ROLLBACK_COMPLETE"
    found = iam.get_role(RoleName="r")["Role"]
    assert found["Description"] == "d"
    assert found["AssumeRolePolicyDocument"] == trust(AWS=ACCOUNT)
    assert found["Tags"] == [{"Key": "k", "Value": "1"}]


def test_a_role_through_crashes(cloud: Cloud, iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = role(
        ManagedPolicyArns=[READ_ONLY],
        Policies=[{"PolicyName": "send", "PolicyDocument": json.loads(policy(SEND))}],
    )

    def check(place: int) -> None:
        assert roles(iam) == ({"r"} if place == 0 else set())

    steps = [lambda: cloud.create(given), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 8


# The stack's own role


STACK_ROLE = f"{LOCAL}:role/deployer"


def deployer(iam: Any, service: str = "cloudformation.amazonaws.com") -> None:
    document = json.dumps(trust(Service=service))
    iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=document)
    allowed = policy({"Action": ["iam:CreateRole", "iam:DeleteRole"]})
    iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=allowed)


def test_a_stack_acts_as_its_role(cloud: Cloud, iam: Any) -> None:
    deployer(iam)
    assert cloud.create(role(), RoleARN=STACK_ROLE) == "CREATE_COMPLETE"
    assert cloud.shown()["RoleARN"] == STACK_ROLE
    # Its role stays the stack's role, and may no more than its policies say.
    assert cloud.update(role(Description="d")) == "UPDATE_ROLLBACK_FAILED"
    assert "is not authorized to perform: iam:UpdateRole" in cloud.failures()[0][1]
    allowed = policy({"Action": "iam:*"})
    iam.put_role_policy(RoleName="deployer", PolicyName="p", PolicyDocument=allowed)
    cloud.stacks.continue_update_rollback(StackName="S")
    assert cloud.status() == "UPDATE_ROLLBACK_COMPLETE"
    iam.delete_role_policy(RoleName="deployer", PolicyName="p")
    iam.delete_role(RoleName="deployer")
    assert cloud.delete() == "DELETE_FAILED"
    assert f"{STACK_ROLE} does not exist any more" in cloud.failures()[-1][1]
    deployer(iam)
    assert cloud.delete(RoleARN=STACK_ROLE) == "DELETE_COMPLETE"


@pytest.mark.parametrize("service", ["ses.amazonaws.com", ""])
def test_a_role_that_cloudformation_may_not_assume(cloud: Cloud, iam: Any, service: str) -> None:
    if service:
        deployer(iam, service)
    answer = refusal(cloud.create, role(), RoleARN=STACK_ROLE)
    assert answer == (
        "ValidationError", 400, f"Role {STACK_ROLE} is invalid or cannot be assumed",
    )  # fmt: skip
    body = json.dumps(role())
    given = {"StackName": "S", "ChangeSetName": "c", "ChangeSetType": "CREATE"}
    answer = refusal(cloud.stacks.create_change_set, **given, TemplateBody=body, RoleARN=STACK_ROLE)
    assert answer[2].endswith("is invalid or cannot be assumed")
    assert refusal(cloud.status)[2] == "Stack with id S does not exist"


def test_who_may_not_pass_the_role(cloud: Cloud, iam: Any) -> None:
    deployer(iam)
    keys = cloud.user("dev", {"Action": "cloudformation:*"})
    mine = cloud.client("cloudformation", **keys)
    code, status, text = refusal(
        mine.create_stack, StackName="S", TemplateBody=json.dumps(role()), RoleARN=STACK_ROLE
    )
    assert (code, status) == ("AccessDenied", 403)
    assert f"is not authorized to perform: iam:PassRole on resource: {STACK_ROLE}" in text
