"""Permissions boundaries of users and roles, through boto3 and in stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cloud import ACCOUNT, CAPABILITIES, Cloud, policy, refusal, resource, trust

LOCAL = f"arn:aws:iam::{ACCOUNT}"
BOUND = f"{LOCAL}:policy/bound"
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"
SHOWN = {"PermissionsBoundaryType": "PermissionsBoundaryPolicy", "PermissionsBoundaryArn": BOUND}


@pytest.fixture
def iam(cloud: Cloud) -> Any:
    """A client, with a policy that lets users be listed only."""
    client = cloud.root("iam")
    client.create_policy(PolicyName="bound", PolicyDocument=policy({"Action": "iam:ListUsers"}))
    return client


def keys(iam: Any, name: str) -> dict[str, str]:
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def test_a_bounded_user(cloud: Cloud, iam: Any) -> None:
    made = iam.create_user(UserName="ann", PermissionsBoundary=BOUND)["User"]
    assert made["PermissionsBoundary"] == SHOWN
    iam.attach_user_policy(UserName="ann", PolicyArn=ADMIN)
    mine = cloud.client("iam", **keys(iam, "ann"))
    assert mine.list_users()["Users"]
    code, status, text = refusal(mine.list_roles)
    assert (code, status) == ("AccessDenied", 403)
    assert text.endswith("because no permissions boundary allows the iam:ListRoles action")
    assert "PermissionsBoundary" not in iam.list_users()["Users"][0]
    iam.delete_user_permissions_boundary(UserName="ann")
    assert "PermissionsBoundary" not in iam.get_user(UserName="ann")["User"]
    assert "Roles" in mine.list_roles()
    iam.delete_user_permissions_boundary(UserName="ann")
    iam.put_user_permissions_boundary(UserName="ann", PermissionsBoundary=BOUND)
    assert iam.get_user(UserName="ann")["User"]["PermissionsBoundary"] == SHOWN
    assert refusal(mine.list_roles)[0] == "AccessDenied"


def test_a_bounded_role(cloud: Cloud, iam: Any) -> None:
    document = json.dumps(trust(AWS=f"{LOCAL}:root"))
    made = iam.create_role(
        RoleName="r", AssumeRolePolicyDocument=document, PermissionsBoundary=BOUND
    )["Role"]
    assert made["PermissionsBoundary"] == SHOWN
    iam.attach_role_policy(RoleName="r", PolicyArn=ADMIN)
    found = cloud.root("sts").assume_role(RoleArn=made["Arn"], RoleSessionName="me")["Credentials"]
    given = {"key": found["AccessKeyId"], "secret": found["SecretAccessKey"]}
    mine = cloud.client("iam", **given, token=found["SessionToken"])
    assert "Users" in mine.list_users()
    assert refusal(mine.list_roles)[0] == "AccessDenied"
    iam.delete_role_permissions_boundary(RoleName="r")
    assert mine.list_roles()["Roles"]
    iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=BOUND)
    assert iam.get_role(RoleName="r")["Role"]["PermissionsBoundary"] == SHOWN
    assert refusal(mine.list_roles)[0] == "AccessDenied"


def test_a_policy_that_is_a_boundary(cloud: Cloud, iam: Any) -> None:
    iam.create_user(UserName="ann", PermissionsBoundary=BOUND)
    iam.create_user(UserName="bob")
    iam.attach_user_policy(UserName="bob", PolicyArn=BOUND)
    found = iam.get_policy(PolicyArn=BOUND)["Policy"]
    assert (found["AttachmentCount"], found["PermissionsBoundaryUsageCount"]) == (1, 1)
    for use, names in (
        ({}, ["bob", "ann"]),
        ({"PolicyUsageFilter": "PermissionsBoundary"}, ["ann"]),
        ({"PolicyUsageFilter": "PermissionsPolicy"}, ["bob"]),
    ):
        users = iam.list_entities_for_policy(PolicyArn=BOUND, **use)["PolicyUsers"]
        assert [one["UserName"] for one in users] == names
    iam.detach_user_policy(UserName="bob", PolicyArn=BOUND)
    assert refusal(iam.delete_policy, PolicyArn=BOUND)[0] == "DeleteConflict"
    iam.delete_user_permissions_boundary(UserName="ann")
    iam.delete_policy(PolicyArn=BOUND)
    gone = {"UserName": "ann", "PermissionsBoundary": BOUND}
    words = f"Scope ARN: {BOUND} does not exist or is not attachable."
    assert refusal(iam.put_user_permissions_boundary, **gone) == ("NoSuchEntity", 404, words)
    answer = refusal(iam.create_user, UserName="new", PermissionsBoundary=BOUND)
    assert answer == ("NoSuchEntity", 404, words)
    nobody = {"UserName": "nobody"}
    assert refusal(iam.delete_user_permissions_boundary, **nobody)[0] == "NoSuchEntity"
    assert refusal(iam.delete_role_permissions_boundary, RoleName="nobody")[0] == "NoSuchEntity"


def test_who_may_make_bounded_users_only(cloud: Cloud, iam: Any) -> None:
    """The delegation of the IAM User Guide: what is made stays within the boundary."""
    condition = {"StringEquals": {"iam:PermissionsBoundary": BOUND}}
    actions = [
        "iam:CreateUser", "iam:CreateRole", "iam:PutUserPermissionsBoundary",
        "iam:PutRolePermissionsBoundary", "iam:AttachUserPolicy", "iam:DetachUserPolicy",
        "iam:PutUserPolicy", "iam:DeleteUserPolicy", "iam:PutRolePolicy",
    ]  # fmt: skip
    rule = {"Action": actions, "Condition": condition}
    mine = cloud.client("iam", **cloud.user("chief", rule))
    iam.create_user(UserName="free")
    document = policy({"Action": "*"})
    role = {"RoleName": "r", "AssumeRolePolicyDocument": json.dumps(trust(AWS=ACCOUNT))}
    for call, given in (
        (mine.create_user, {"UserName": "ann"}),
        (mine.create_user, {"UserName": "ann", "PermissionsBoundary": ADMIN}),
        (mine.create_role, role),
        (mine.put_user_permissions_boundary, {"UserName": "free", "PermissionsBoundary": ADMIN}),
        (mine.attach_user_policy, {"UserName": "free", "PolicyArn": ADMIN}),
        (
            mine.put_user_policy,
            {"UserName": "free", "PolicyName": "p", "PolicyDocument": document},
        ),
        (mine.put_user_policy, {"UserName": "no", "PolicyName": "p", "PolicyDocument": document}),
        (mine.delete_user_permissions_boundary, {"UserName": "free"}),
        (mine.delete_role_permissions_boundary, {"RoleName": "r"}),
        (
            mine.put_group_policy,
            {"GroupName": "g", "PolicyName": "p", "PolicyDocument": document},
        ),
    ):
        assert refusal(call, **given)[0] == "AccessDenied", given
    mine.create_user(UserName="ann", PermissionsBoundary=BOUND)
    mine.attach_user_policy(UserName="ann", PolicyArn=ADMIN)
    mine.put_user_policy(UserName="ann", PolicyName="p", PolicyDocument=document)
    mine.delete_user_policy(UserName="ann", PolicyName="p")
    mine.detach_user_policy(UserName="ann", PolicyArn=ADMIN)
    mine.create_role(**role, PermissionsBoundary=BOUND)
    mine.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=document)
    mine.put_user_permissions_boundary(UserName="free", PermissionsBoundary=BOUND)
    mine.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=BOUND)
    # The boundary can't be laid down, as that is not allowed at all.
    assert refusal(mine.delete_user_permissions_boundary, UserName="ann")[0] == "AccessDenied"


def test_which_policies_may_be_attached(cloud: Cloud, iam: Any) -> None:
    rule = {
        "Action": ["iam:AttachUserPolicy", "iam:DetachUserPolicy"],
        "Condition": {"ArnEquals": {"iam:PolicyARN": BOUND}},
    }
    mine = cloud.client("iam", **cloud.user("chief", rule))
    iam.create_user(UserName="ann")
    mine.attach_user_policy(UserName="ann", PolicyArn=BOUND)
    mine.detach_user_policy(UserName="ann", PolicyArn=BOUND)
    answer = refusal(mine.attach_user_policy, UserName="ann", PolicyArn=ADMIN)
    assert answer[0] == "AccessDenied"


# In stacks


def test_a_boundary_can_not_be_written_over_by_another_spelling(cloud: Cloud, iam: Any) -> None:
    """An administrator who may not change the policy that bounds everybody."""
    denied = {"Effect": "Deny", "Action": "iam:*", "Resource": BOUND}
    mine = cloud.client("iam", **cloud.user("dev", {"Action": "*"}, denied))
    free = policy({"Action": "*"})
    given = {"PolicyDocument": free, "SetAsDefault": True}
    assert refusal(mine.create_policy_version, PolicyArn=BOUND, **given)[0] == "AccessDenied"
    for other in (f"{LOCAL}:policy/BOUND", f"{LOCAL}:policy/x/bound"):
        assert refusal(mine.create_policy_version, PolicyArn=other, **given)[0] == "NoSuchEntity"
    assert iam.get_policy(PolicyArn=BOUND)["Policy"]["DefaultVersionId"] == "v1"


def test_users_have_one_arn_in_any_case_and_with_their_path(cloud: Cloud, iam: Any) -> None:
    iam.create_user(UserName="Boss", Path="/top/")
    iam.create_group(GroupName="Staff", Path="/top/")
    iam.create_role(
        RoleName="Chief",
        Path="/top/",
        AssumeRolePolicyDocument=json.dumps(trust(AWS=f"{LOCAL}:root")),
    )
    denials = [
        {"Effect": "Deny", "Action": "iam:*", "Resource": f"{LOCAL}:{kind}/top/*"}
        for kind in ("user", "group", "role")
    ]
    mine = cloud.client("iam", **cloud.user("dev", {"Action": "*"}, *denials))
    free = policy({"Action": "*"})
    for call, arguments in (
        (mine.create_access_key, {"UserName": "boss"}),
        (mine.put_user_policy, {"UserName": "Boss", "PolicyName": "p", "PolicyDocument": free}),
        (mine.delete_user_permissions_boundary, {"UserName": "BOSS"}),
        (mine.add_user_to_group, {"GroupName": "staff", "UserName": "dev"}),
        (mine.put_group_policy, {"GroupName": "Staff", "PolicyName": "p", "PolicyDocument": free}),
        (mine.update_assume_role_policy, {"RoleName": "chief", "PolicyDocument": free}),
        (mine.attach_role_policy, {"RoleName": "CHIEF", "PolicyArn": ADMIN}),
        (mine.put_role_permissions_boundary, {"RoleName": "Chief", "PermissionsBoundary": BOUND}),
        (mine.update_user, {"UserName": "dev", "NewPath": "/top/"}),
        (mine.update_user, {"UserName": "boss", "NewPath": "/"}),
    ):
        assert refusal(call, **arguments)[:2] == ("AccessDenied", 403), call
    mine.update_user(UserName="dev", NewPath="/else/")
    assert iam.get_user(UserName="dev")["User"]["Path"] == "/else/"


def user(**properties: Any) -> dict[str, Any]:
    return resource("IAM::User", UserName="ann", **properties)


def role(**properties: Any) -> dict[str, Any]:
    document = trust(AWS=ACCOUNT)
    return resource("IAM::Role", RoleName="r", AssumeRolePolicyDocument=document, **properties)


@pytest.mark.parametrize("kind", ["user", "role"])
def test_a_stacks_boundary(cloud: Cloud, iam: Any, kind: str) -> None:
    template = user if kind == "user" else role

    def boundary() -> str | None:
        if kind == "user":
            found = iam.get_user(UserName="ann")["User"]
        else:
            found = iam.get_role(RoleName="r")["Role"]
        return found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")

    assert cloud.create(template(PermissionsBoundary=BOUND)) == "CREATE_COMPLETE"
    assert boundary() == BOUND
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    if kind == "user":
        iam.delete_user_permissions_boundary(UserName="ann")
    else:
        iam.delete_role_permissions_boundary(RoleName="r")
    assert cloud.drift() == {"R": ("MODIFIED", [("/PermissionsBoundary", "REMOVE")])}
    assert cloud.update(template(PermissionsBoundary=ADMIN)) == "UPDATE_COMPLETE"
    assert boundary() == ADMIN
    broken = template(PermissionsBoundary=f"{LOCAL}:policy/none")
    assert cloud.update(broken) == "UPDATE_ROLLBACK_COMPLETE"
    assert "does not exist or is not attachable" in cloud.failures()[0][1]
    assert boundary() == ADMIN
    assert cloud.update(template()) == "UPDATE_COMPLETE"
    assert boundary() is None
    assert cloud.delete() == "DELETE_COMPLETE"
    assert cloud.create(broken) == "ROLLBACK_COMPLETE"


def test_a_stack_of_who_may_make_bounded_users_only(cloud: Cloud, iam: Any) -> None:
    rules = [
        {"Action": ["cloudformation:*", "iam:DeleteUser"]},
        {
            "Action": ["iam:CreateUser", "iam:AttachUserPolicy"],
            "Condition": {"StringEquals": {"iam:PermissionsBoundary": BOUND}},
        },
    ]
    mine = cloud.client("cloudformation", **cloud.user("chief", *rules))
    admin = {"ManagedPolicyArns": [ADMIN]}
    for name, template, status in (
        ("A", user(), "ROLLBACK_COMPLETE"),
        ("B", user(PermissionsBoundary=BOUND, **admin), "CREATE_COMPLETE"),
    ):
        body = json.dumps(template)
        mine.create_stack(StackName=name, TemplateBody=body, Capabilities=CAPABILITIES)
        assert cloud.status(name) == status
