"""IAM and STS through boto3: users, keys, groups, policies, limits and IAM's texts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.mail.iam import Session
from mailstead.mail.ports import Replace

ACCOUNT = "111122223333"
SES_FULL = "arn:aws:iam::aws:policy/AmazonSESFullAccess"


def policy(action: str = "ses:*", resource: str = "*") -> str:
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def refused(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Code, status and text of a call that is refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"]["Message"],
    )


def test_the_life_of_a_user(door: Any) -> None:
    iam = door.client("iam")
    made = iam.create_user(UserName="Ann", Path="/team/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/team/Ann"
    assert len(made["UserId"]) == 20
    assert made["UserId"].startswith("AIDA")
    assert refused(iam.create_user, UserName="ANN") == (
        "EntityAlreadyExists",
        409,
        "User with name ANN already exists.",
    )
    assert iam.get_user(UserName="ann")["User"]["UserName"] == "Ann"
    assert iam.list_user_tags(UserName="Ann")["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.tag_user(UserName="Ann", Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_user(UserName="Ann", TagKeys=["a", "x"])
    assert iam.get_user(UserName="Ann")["User"]["Tags"] == [{"Key": "c", "Value": "d"}]
    key = iam.create_access_key(UserName="Ann")["AccessKey"]
    iam.update_user(UserName="Ann", NewUserName="Bob")
    iam.update_user(UserName="Bob", NewPath="/")
    assert (
        iam.list_access_keys(UserName="Bob")["AccessKeyMetadata"][0]["AccessKeyId"]
        == (key["AccessKeyId"])
    )
    assert [user["UserName"] for user in iam.list_users()["Users"]] == ["Bob"]
    assert iam.list_users(PathPrefix="/team/")["Users"] == []
    iam.create_user(UserName="Cat")
    assert refused(iam.update_user, UserName="Cat", NewUserName="bob")[0] == "EntityAlreadyExists"
    assert refused(iam.get_user, UserName="Ann") == (
        "NoSuchEntity",
        404,
        "The user with name Ann cannot be found.",
    )


def test_pages(door: Any) -> None:
    iam = door.client("iam")
    for name in "abcde":
        iam.create_user(UserName=name)
    pages = iam.get_paginator("list_users").paginate(PaginationConfig={"PageSize": 2})
    assert [[u["UserName"] for u in page["Users"]] for page in pages] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]


def test_a_third_key_and_a_user_with_keys(door: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    keys = [iam.create_access_key(UserName="u")["AccessKey"] for _ in range(2)]
    assert refused(iam.create_access_key, UserName="u") == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    assert refused(iam.delete_user, UserName="u") == (
        "DeleteConflict",
        409,
        "Cannot delete entity, must delete access keys first.",
    )
    first = keys[0]["AccessKeyId"]
    iam.update_access_key(UserName="u", AccessKeyId=first, Status="Inactive")
    listed = iam.list_access_keys(UserName="u")["AccessKeyMetadata"]
    assert sorted(key["Status"] for key in listed) == ["Active", "Inactive"]
    sts = door.client("sts", first, keys[0]["SecretAccessKey"])
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    iam.delete_access_key(UserName="u", AccessKeyId=first)
    assert refused(iam.delete_access_key, UserName="u", AccessKeyId=first) == (
        "NoSuchEntity",
        404,
        f"The Access Key with id {first} cannot be found.",
    )
    iam.delete_access_key(UserName="u", AccessKeyId=keys[1]["AccessKeyId"])
    iam.delete_user(UserName="u")
    assert iam.list_users()["Users"] == []


def test_what_a_user_may(door: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    own = door.client("iam", key["AccessKeyId"], key["SecretAccessKey"])
    assert refused(own.list_users) == (
        "AccessDenied",
        403,
        f"User: arn:aws:iam::{ACCOUNT}:user/u is not authorized to perform: iam:ListUsers on "
        f"resource: arn:aws:iam::{ACCOUNT}:user/ because no identity-based policy allows the "
        "iam:ListUsers action",
    )
    mine = "arn:aws:iam::*:user/${aws:username}"
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=policy("iam:Get*", mine))
    assert own.get_user()["User"]["UserName"] == "u"
    assert refused(own.get_user, UserName="v")[0] == "AccessDenied"
    used = iam.get_access_key_last_used(AccessKeyId=key["AccessKeyId"])
    assert used["UserName"] == "u"
    assert used["AccessKeyLastUsed"]["ServiceName"] == "iam"
    assert used["AccessKeyLastUsed"]["Region"] == "us-east-1"


def test_inline_policies(door: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    iam.create_group(GroupName="g")
    for kind, name in (("user", "u"), ("group", "g")):
        who = {f"{kind.capitalize()}Name": name}
        put = getattr(iam, f"put_{kind}_policy")
        get = getattr(iam, f"get_{kind}_policy")
        put(**who, PolicyName="p", PolicyDocument=policy())
        found = get(**who, PolicyName="p")
        assert found["PolicyDocument"] == json.loads(policy())
        assert found[f"{kind.capitalize()}Name"] == name
        assert getattr(iam, f"list_{kind}_policies")(**who)["PolicyNames"] == ["p"]
        assert refused(put, **who, PolicyName="q", PolicyDocument="{") == (
            "MalformedPolicyDocument",
            400,
            "Syntax errors in policy.",
        )
        delete = getattr(iam, f"delete_{kind}")
        assert refused(delete, **who)[2] == "Cannot delete entity, must delete policies first."
        getattr(iam, f"delete_{kind}_policy")(**who, PolicyName="p")
        assert refused(get, **who, PolicyName="p") == (
            "NoSuchEntity",
            404,
            f"The {kind} policy with name p cannot be found.",
        )
        delete(**who)
    iam.create_user(UserName="u")
    padded = policy(resource="arn:aws:s3:::" + "x" * 2000) + " " * 3000
    assert refused(iam.put_user_policy, UserName="u", PolicyName="p", PolicyDocument=padded) == (
        "LimitExceeded",
        409,
        "Maximum policy size of 2048 bytes exceeded for user u",
    )
    blanks = policy() + " " * 3000
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=blanks)


def test_managed_policies(door: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    made = iam.create_policy(
        PolicyName="P", PolicyDocument=policy(), Description="d", Tags=[{"Key": "a", "Value": "b"}]
    )["Policy"]
    arn = made["Arn"]
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/P"
    assert refused(iam.create_policy, PolicyName="p", PolicyDocument=policy()) == (
        "EntityAlreadyExists",
        409,
        "A policy called p already exists. Duplicate names are not allowed.",
    )
    iam.attach_user_policy(UserName="u", PolicyArn=arn)
    iam.attach_user_policy(UserName="u", PolicyArn=arn)
    iam.attach_user_policy(UserName="u", PolicyArn=SES_FULL)
    attached = iam.list_attached_user_policies(UserName="u")["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [arn, SES_FULL]
    assert iam.get_policy(PolicyArn=arn)["Policy"]["AttachmentCount"] == 1
    assert iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"][0]["UserName"] == "u"
    assert iam.list_attached_user_policies(UserName="u", PathPrefix="/x/")["AttachedPolicies"] == []
    iam.create_policy(PolicyName="Q", PolicyDocument=policy(), Path="/q/")
    assert [one["PolicyName"] for one in iam.list_policies(PathPrefix="/q/")["Policies"]] == ["Q"]
    aws = {one["Arn"] for one in iam.list_policies(Scope="AWS")["Policies"]}
    assert SES_FULL in aws
    assert arn not in aws
    local = iam.list_policies(Scope="Local", OnlyAttached=True)["Policies"]
    assert [one["PolicyName"] for one in local] == ["P"]
    assert len(iam.list_policies()["Policies"]) > 3
    assert refused(iam.delete_policy, PolicyArn=arn) == (
        "DeleteConflict",
        409,
        "Cannot delete a policy attached to entities.",
    )
    assert refused(iam.delete_user, UserName="u")[2] == (
        "Cannot delete entity, must detach all policies first."
    )
    iam.detach_user_policy(UserName="u", PolicyArn=arn)
    assert refused(iam.detach_user_policy, UserName="u", PolicyArn=arn)[:2] == ("NoSuchEntity", 404)
    assert refused(iam.attach_user_policy, UserName="u", PolicyArn=arn + "x") == (
        "NoSuchEntity",
        404,
        f"Policy {arn}x does not exist or is not attachable.",
    )
    assert refused(iam.delete_policy, PolicyArn=SES_FULL)[0] == "AccessDenied"
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.get_policy, PolicyArn=arn)[0] == "NoSuchEntity"


def test_ten_managed_policies_at_most(door: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    for number in range(11):
        iam.create_policy(PolicyName=f"p{number}", PolicyDocument=policy())
    arns = [f"arn:aws:iam::{ACCOUNT}:policy/p{number}" for number in range(11)]
    for arn in arns[:10]:
        iam.attach_user_policy(UserName="u", PolicyArn=arn)
    assert refused(iam.attach_user_policy, UserName="u", PolicyArn=arns[10]) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for PoliciesPerUser: 10",
    )
    big = policy(resource="arn:aws:s3:::" + "x" * 6144)
    assert refused(iam.create_policy, PolicyName="big", PolicyDocument=big) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for PolicySize: 6144",
    )


def test_versions(door: Any) -> None:
    iam = door.client("iam")
    arn = iam.create_policy(PolicyName="P", PolicyDocument=policy())["Policy"]["Arn"]
    for number in range(2, 6):
        made = iam.create_policy_version(
            PolicyArn=arn, PolicyDocument=policy(f"ses:A{number}"), SetAsDefault=number == 3
        )
        assert made["PolicyVersion"]["VersionId"] == f"v{number}"
    assert refused(iam.create_policy_version, PolicyArn=arn, PolicyDocument=policy()) == (
        "LimitExceeded",
        409,
        "A managed policy can have up to 5 versions. Before you create a new version, you must "
        "delete an existing version.",
    )
    assert iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"] == "v3"
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v3") == (
        "DeleteConflict",
        409,
        "Cannot delete the default version of a policy.",
    )
    assert refused(iam.get_policy_version, PolicyArn=arn, VersionId="v9")[0] == "NoSuchEntity"
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    found = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert (found["Document"], found["IsDefaultVersion"]) == (json.loads(policy("ses:A2")), True)
    assert refused(iam.delete_policy, PolicyArn=arn)[0] == "DeleteConflict"
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy())
    assert made["PolicyVersion"]["VersionId"] == "v6"


def test_groups_give_their_policies(door: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    iam.create_group(GroupName="Admins", Path="/x/")
    assert refused(iam.create_group, GroupName="admins")[0] == "EntityAlreadyExists"
    iam.attach_group_policy(
        GroupName="Admins", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    key = iam.create_access_key(UserName="u")["AccessKey"]
    own = door.client("iam", key["AccessKeyId"], key["SecretAccessKey"])
    assert refused(own.list_groups)[0] == "AccessDenied"
    iam.add_user_to_group(GroupName="admins", UserName="u")
    iam.add_user_to_group(GroupName="admins", UserName="u")
    assert [group["GroupName"] for group in own.list_groups()["Groups"]] == ["Admins"]
    assert iam.get_group(GroupName="Admins")["Users"][0]["UserName"] == "u"
    assert iam.list_groups_for_user(UserName="u")["Groups"][0]["GroupName"] == "Admins"
    attached = iam.list_attached_group_policies(GroupName="Admins")["AttachedPolicies"]
    assert attached[0]["PolicyName"] == "AdministratorAccess"
    assert refused(iam.delete_group, GroupName="Admins")[2] == (
        "Cannot delete entity, must remove users from group first."
    )
    iam.remove_user_from_group(GroupName="Admins", UserName="u")
    assert refused(own.list_groups)[0] == "AccessDenied"
    iam.detach_group_policy(
        GroupName="Admins", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
    )
    iam.delete_group(GroupName="Admins")
    for number in range(11):
        iam.create_group(GroupName=f"g{number}")
    for number in range(10):
        iam.add_user_to_group(GroupName=f"g{number}", UserName="u")
    assert refused(iam.add_user_to_group, GroupName="g10", UserName="u")[2] == (
        "Cannot exceed quota for GroupsPerUser: 10"
    )


def test_names_and_tags_are_checked(door: Any) -> None:
    iam = door.client("iam")
    code, status, text = refused(iam.create_user, UserName="a b")
    assert (code, status) == ("ValidationError", 400)
    assert "userName" in text
    assert refused(iam.create_user, UserName="x" * 65)[0] == "ValidationError"
    tags = [{"Key": "aws:x", "Value": ""}]
    assert refused(iam.create_user, UserName="u", Tags=tags)[0] == "InvalidInput"


def test_the_root_user(door: Any) -> None:
    iam = door.client("iam")
    assert iam.get_user()["User"]["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    iam.create_access_key()
    assert refused(iam.create_access_key)[0] == "LimitExceeded"
    assert refused(iam.list_user_policies, UserName="nobody")[0] == "NoSuchEntity"
    keys = iam.list_access_keys()["AccessKeyMetadata"]
    assert len(keys) == 2
    new = next(key for key in keys if key["AccessKeyId"] != "AKIAROOTROOTROOTROOT")
    used = iam.get_access_key_last_used(AccessKeyId=new["AccessKeyId"])
    assert used["AccessKeyLastUsed"] == {"ServiceName": "N/A", "Region": "N/A"}
    iam.delete_access_key(AccessKeyId=new["AccessKeyId"])
    assert refused(iam.list_groups_for_user, UserName="x")[0] == "NoSuchEntity"


def test_what_the_root_user_cannot_have(door: Any) -> None:
    iam = door.client("iam")

    def unnamed(params: dict[str, Any], **_: Any) -> None:
        del params["body"]["UserName"]

    iam.meta.events.register("before-call.iam.ListGroupsForUser", unnamed)
    code, status, text = refused(iam.list_groups_for_user, UserName="x")
    # The model itself demands a name here, and in most calls.
    assert (code, status) == ("ValidationError", 400)
    assert "Value at 'userName' failed to satisfy constraint: Member must not be null" in text


def test_who_am_i_and_sessions(door: Any) -> None:
    sts = door.client("sts")
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:root"
    iam = door.client("iam")
    iam.create_user(UserName="u")
    key = iam.create_access_key(UserName="u")["AccessKey"]
    own = door.client("sts", key["AccessKeyId"], key["SecretAccessKey"])
    assert own.get_caller_identity()["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/u"
    given = own.get_session_token(DurationSeconds=900)["Credentials"]
    assert given["AccessKeyId"].startswith("ASIA")
    parts = (given["AccessKeyId"], given["SecretAccessKey"])
    session = door.client("sts", *parts, given["SessionToken"])
    assert session.get_caller_identity()["Account"] == ACCOUNT
    assert refused(session.get_session_token)[0] == "AccessDenied"
    for token in (None, "wrong"):
        assert refused(door.client("sts", *parts, token).get_caller_identity) == (
            "InvalidClientTokenId",
            403,
            "The security token included in the request is invalid.",
        )
    extra = door.client("sts", key["AccessKeyId"], key["SecretAccessKey"], "extra")
    assert refused(extra.get_caller_identity)[0] == "InvalidClientTokenId"
    info = sts.get_access_key_info(AccessKeyId=given["AccessKeyId"])
    assert info["Account"] == ACCOUNT
    assert refused(sts.get_access_key_info, AccessKeyId="A" * 20)[0] == "ValidationError"
    root = sts.get_session_token()["Credentials"]
    assert (root["Expiration"].timestamp() - door.clock.real() / 1000) < 3601


def test_an_expired_session(door: Any) -> None:
    iam, sts = door.client("iam"), door.client("sts")
    given = sts.get_session_token(DurationSeconds=900)["Credentials"]
    session = door.client(
        "sts", given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"]
    )
    # Nine hundred seconds on the server are still within the skew of the client.
    door.clock.off = 899.0
    assert session.get_caller_identity()["Account"] == ACCOUNT
    kept = door.run(door.store.find(Session, given["AccessKeyId"]))
    ended = replace(kept, expires_at=door.clock.real() - 1)
    door.run(door.iam.apply(Replace(kept, ended)))
    assert refused(session.get_caller_identity) == (
        "ExpiredToken",
        403,
        "The security token included in the request is expired",
    )
    assert iam.get_user()["User"]["Path"] == "/"
