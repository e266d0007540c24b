"""``AWS::IAM::*`` but roles, in stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.cloud import ACCOUNT, CAPABILITIES, Cloud, policy, refusal, resource, trust

SEND = {"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"}
READ = {"Effect": "Allow", "Action": "ses:Get*", "Resource": "*"}
LOCAL = f"arn:aws:iam::{ACCOUNT}"


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return json.loads(policy(*statements))


def inline(name: str, *statements: dict[str, Any]) -> dict[str, Any]:
    return {"PolicyName": name, "PolicyDocument": document(*statements)}


def aws(name: str) -> str:
    return f"arn:aws:iam::aws:policy/{name}"


@pytest.fixture
def iam(cloud: Cloud) -> Any:
    client = cloud.root("iam")
    client.create_group(GroupName="Staff")
    client.create_group(GroupName="Others")
    client.create_user(UserName="ann")
    return client


def users(iam: Any) -> set[str]:
    return {one["UserName"] for one in iam.list_users()["Users"]} - {"ann"}


def attached(iam: Any, user: str) -> set[str]:
    found = iam.list_attached_user_policies(UserName=user)["AttachedPolicies"]
    return {one["PolicyName"] for one in found}


def tags(iam: Any, user: str) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in iam.list_user_tags(UserName=user)["Tags"]}


def user(**properties: Any) -> dict[str, Any]:
    return resource("IAM::User", ["Arn"], **properties)


# Users


def test_a_user(cloud: Cloud, iam: Any) -> None:
    given = {
        "UserName": "Bob", "Path": "/a/", "Groups": ["Staff"],
        "ManagedPolicyArns": [aws("ReadOnlyAccess")], "Policies": [inline("send", SEND)],
        "Tags": [{"Key": "k", "Value": "1"}],
    }  # fmt: skip
    assert cloud.create(user(**given)) == "CREATE_COMPLETE"
    assert cloud.outputs() == {"Ref": "Bob", "Arn": f"{LOCAL}:user/a/Bob"}
    assert attached(iam, "Bob") == {"ReadOnlyAccess"}
    assert iam.get_user_policy(UserName="Bob", PolicyName="send")["PolicyDocument"] == document(
        SEND
    )
    [group] = iam.list_groups_for_user(UserName="Bob")["Groups"]
    assert group["GroupName"] == "Staff"
    assert tags(iam, "Bob") == {"k": "1"}
    changed = {
        "UserName": "Bob", "Path": "/b/", "Groups": ["Others"],
        "ManagedPolicyArns": [aws("AmazonSESFullAccess")], "Policies": [inline("read", READ)],
        "Tags": [{"Key": "l", "Value": "2"}],
    }  # fmt: skip
    assert cloud.update(user(**changed)) == "UPDATE_COMPLETE"
    assert cloud.outputs()["Arn"] == f"{LOCAL}:user/b/Bob"
    assert attached(iam, "Bob") == {"AmazonSESFullAccess"}
    assert iam.list_user_policies(UserName="Bob")["PolicyNames"] == ["read"]
    [group] = iam.list_groups_for_user(UserName="Bob")["Groups"]
    assert group["GroupName"] == "Others"
    assert tags(iam, "Bob") == {"l": "2"}
    assert cloud.update(user(**{**changed, "UserName": "Ben"})) == "UPDATE_COMPLETE"
    assert users(iam) == {"Ben"}
    assert cloud.delete() == "DELETE_COMPLETE"
    assert users(iam) == set()


def test_a_user_without_a_name(cloud: Cloud, iam: Any) -> None:
    cloud.create(user())
    [name] = users(iam)
    assert name.startswith("S-R-")
    assert cloud.outputs()["Ref"] == name
    # What somebody took away already is no obstacle.
    iam.delete_user(UserName=name)
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_drift_of_a_user(cloud: Cloud, iam: Any) -> None:
    cloud.create(user(UserName="bob", Path="/", ManagedPolicyArns=[aws("ReadOnlyAccess")]))
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    iam.detach_user_policy(UserName="bob", PolicyArn=aws("ReadOnlyAccess"))
    iam.update_user(UserName="bob", NewPath="/x/")
    status, found = cloud.drift()["R"]
    expected = [("/ManagedPolicyArns", "NOT_EQUAL"), ("/Path", "NOT_EQUAL")]
    assert (status, sorted(found)) == ("MODIFIED", expected)
    # What is not attached any more is not in the way of an update.
    assert cloud.update(user(UserName="bob", Path="/y/")) == "UPDATE_COMPLETE"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Groups": ["Nobody"]}, "The group with name Nobody cannot be found."),
        ({"Groups": "Staff"}, "#/Groups: expected type: JSONArray, found: str"),
        ({"ManagedPolicyArns": [aws("None")]}, "does not exist or is not attachable"),
        ({"Policies": [{"PolicyName": "p"}]}, "required key [PolicyDocument] not found"),
        ({"Policies": [{"PolicyDocument": {}}]}, "required key [PolicyName] not found"),
        ({"Policies": ["p"]}, "#/Policies: expected type: JSONObject, found: list"),
        ({"Policies": [inline("send", {"Action": "x"})]}, "must be prefaced by a vendor"),
        ({"Tags": [{"Key": "k"}]}, "#/Tags: expected type: JSONArray, found: list"),
        ({"UserName": "a b"}, "The specified value for userName is invalid."),
        ({"UserName": "ann"}, "User with name ann already exists."),
    ],
)
def test_users_that_fail_leave_nothing(
    cloud: Cloud, iam: Any, properties: dict[str, Any], words: str
) -> None:
    assert cloud.create(user(**{"UserName": "bob", **properties})) == "ROLLBACK_COMPLETE"
    assert words in cloud.failures()[0][1]
    assert users(iam) == set()
    assert iam.get_user(UserName="ann")
    cloud.delete()
    assert cloud.create(user(UserName="bob")) == "CREATE_COMPLETE"


def test_a_user_in_the_way_of_a_replacement_stays(cloud: Cloud, iam: Any) -> None:
    cloud.create(user(UserName="bob"))
    assert cloud.update(user(UserName="ann")) == "UPDATE_ROLLBACK_COMPLETE"
    assert users(iam) == {"bob"}
    assert iam.get_user(UserName="ann")
    assert cloud.physical() == "bob"


def test_an_update_that_fails_gives_everything_back(cloud: Cloud, iam: Any) -> None:
    before = {
        "UserName": "bob", "Groups": ["Staff"], "ManagedPolicyArns": [aws("ReadOnlyAccess")],
        "Policies": [inline("send", SEND)], "Tags": [{"Key": "k", "Value": "1"}],
    }  # fmt: skip
    cloud.create(user(**before))
    after = {
        "UserName": "bob", "Groups": ["Others"], "Policies": [inline("read", READ)],
        "ManagedPolicyArns": [aws("AmazonSESFullAccess"), aws("None")],
    }  # fmt: skip
    assert cloud.update(user(**after)) == "UPDATE_ROLLBACK_COMPLETE"
    assert attached(iam, "bob") == {"ReadOnlyAccess"}
    assert iam.list_user_policies(UserName="bob")["PolicyNames"] == ["send"]
    [group] = iam.list_groups_for_user(UserName="bob")["Groups"]
    assert group["GroupName"] == "Staff"
    assert tags(iam, "bob") == {"k": "1"}


def test_a_user_with_more_than_the_stack_gave_stays(cloud: Cloud, iam: Any) -> None:
    cloud.create(user(UserName="bob"))
    iam.create_access_key(UserName="bob")
    assert cloud.delete() == "DELETE_FAILED"
    assert cloud.failures() == [("R", "Cannot delete entity, must delete access keys first.")]
    assert cloud.delete(RetainResources=["R"]) == "DELETE_COMPLETE"
    assert users(iam) == {"bob"}


@pytest.mark.parametrize("refused", ["LoginProfile"])
def test_properties_that_are_not_served(cloud: Cloud, iam: Any, refused: str) -> None:
    answer = refusal(cloud.create, user(**{refused: {"Password": "x"}}))
    assert answer[:2] == ("ValidationError", 400)
    assert f"The property {refused} of AWS::IAM::User is not served (resource R)" in answer[2]


def test_what_the_caller_may_not_the_stack_may_not(cloud: Cloud, iam: Any) -> None:
    keys = cloud.user("dev", {"Action": ["cloudformation:*", "iam:CreateUser"]})
    mine = cloud.client("cloudformation", **keys)

    def attempt(name: str, **properties: Any) -> str:
        body = json.dumps(user(**properties))
        mine.create_stack(StackName=name, TemplateBody=body, Capabilities=CAPABILITIES)
        return cloud.status(name)

    assert attempt("A", UserName="bob") == "CREATE_COMPLETE"
    # What can't be taken back either is said to stand.
    assert attempt("B", UserName="ben", Groups=["Staff"]) == "ROLLBACK_FAILED"
    assert "is not authorized to perform: iam:AddUserToGroup" in cloud.failures("B")[0][1]
    assert "not authorized to perform: iam:DeleteUser" in cloud.shown("B")["StackStatusReason"]
    assert cloud.delete("B") == "DELETE_COMPLETE"
    assert users(iam) == {"bob", "dev"}


def test_a_user_through_crashes(cloud: Cloud, iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "UserName": "bob", "Groups": ["Staff"], "ManagedPolicyArns": [aws("ReadOnlyAccess")],
        "Policies": [inline("send", SEND)],
    }  # fmt: skip

    def check(place: int) -> None:
        assert users(iam) == ({"bob"} if place == 0 else set())
        if place == 0:
            assert cloud.status() == "CREATE_COMPLETE"
            assert attached(iam, "bob") == {"ReadOnlyAccess"}

    steps = [lambda: cloud.create(user(**given)), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 8


def test_a_user_in_the_way_survives_a_crash(
    cloud: Cloud, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made again after a restart, what was there before is not taken for the stack's."""

    def check(place: int) -> None:
        assert iam.get_user(UserName="ann")
        if place == 0:
            assert cloud.status() == "ROLLBACK_COMPLETE"

    steps = [lambda: cloud.create(user(UserName="ann")), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 4


# Keys


def key(serial: int, status: str = "Active", name: str = "ann") -> dict[str, Any]:
    return resource(
        "IAM::AccessKey", ["Id", "SecretAccessKey"], UserName=name, Serial=serial, Status=status
    )


def keys_of(iam: Any, name: str = "ann") -> dict[str, str]:
    found = iam.list_access_keys(UserName=name)["AccessKeyMetadata"]
    return {one["AccessKeyId"]: one["Status"] for one in found}


def works(cloud: Cloud, key_id: str, secret: str) -> bool:
    try:
        arn = cloud.client("sts", key_id, secret).get_caller_identity()["Arn"]
    except ClientError:
        return False
    return arn == f"{LOCAL}:user/ann"


def test_a_key_is_rotated(cloud: Cloud, iam: Any) -> None:
    assert cloud.create(key(1)) == "CREATE_COMPLETE"
    first = cloud.outputs()
    assert first["Ref"] == first["Id"]
    assert works(cloud, first["Id"], first["SecretAccessKey"])
    assert cloud.update(key(2)) == "UPDATE_COMPLETE"
    second = cloud.outputs()
    assert second["Id"] != first["Id"]
    assert works(cloud, second["Id"], second["SecretAccessKey"])
    assert not works(cloud, first["Id"], first["SecretAccessKey"])
    told = [(logical, status) for logical, status, _ in cloud.told()]
    cleanup = told.index(("S", "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS"))
    assert told.index(("R", "DELETE_COMPLETE")) > cleanup
    assert cloud.update(key(2, "Inactive")) == "UPDATE_COMPLETE"
    assert keys_of(iam) == {second["Id"]: "Inactive"}
    assert not works(cloud, second["Id"], second["SecretAccessKey"])
    assert cloud.update(key(2)) == "UPDATE_COMPLETE"
    assert works(cloud, second["Id"], second["SecretAccessKey"])
    assert cloud.delete() == "DELETE_COMPLETE"
    assert keys_of(iam) == {}


def test_keys_of_nobody_and_drift(cloud: Cloud, iam: Any) -> None:
    assert cloud.create(key(1, name="nobody")) == "ROLLBACK_COMPLETE"
    assert cloud.failures() == [("R", "The user with name nobody cannot be found.")]
    cloud.delete()
    cloud.create(key(1, "Inactive"))
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    [key_id] = keys_of(iam)
    iam.update_access_key(UserName="ann", AccessKeyId=key_id, Status="Active")
    assert cloud.drift() == {"R": ("MODIFIED", [("/Status", "NOT_EQUAL")])}
    iam.delete_access_key(UserName="ann", AccessKeyId=key_id)
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_a_third_key_fails_and_the_first_stays(cloud: Cloud, iam: Any) -> None:
    cloud.create(key(1))
    [first] = keys_of(iam)
    iam.create_access_key(UserName="ann")
    assert cloud.update(key(2)) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Cannot exceed quota for AccessKeysPerUser: 2" in cloud.failures()[0][1]
    assert first in keys_of(iam)
    assert cloud.physical() == first


def test_a_key_through_crashes(cloud: Cloud, iam: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.create(key(1))

    def check(_place: int) -> None:
        outputs = cloud.outputs()
        assert list(keys_of(iam)) == [outputs["Id"]]
        assert works(cloud, outputs["Id"], outputs["SecretAccessKey"])

    steps = [lambda: cloud.update(key(2)), lambda: cloud.update(key(1))]
    assert cloud.through_crashes(monkeypatch, steps, check) > 4


# Policies


def test_a_policy_of_several(cloud: Cloud, iam: Any) -> None:
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust(AWS=ACCOUNT)))

    def given(name: str = "p", rule: Any = SEND, **whom: Any) -> dict[str, Any]:
        return resource(
            "IAM::Policy", ["Id"], PolicyName=name, PolicyDocument=document(rule), **whom
        )

    assert cloud.create(given(Users=["ann"], Groups=["Staff"], Roles=["r"])) == "CREATE_COMPLETE"
    assert cloud.outputs() == {"Ref": "p", "Id": "p"}
    assert iam.list_user_policies(UserName="ann")["PolicyNames"] == ["p"]
    assert iam.list_group_policies(GroupName="Staff")["PolicyNames"] == ["p"]
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == ["p"]
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    iam.put_group_policy(GroupName="Staff", PolicyName="p", PolicyDocument=policy(READ))
    differing = [("/PolicyDocument/Statement", "NOT_EQUAL")]
    assert cloud.drift() == {"R": ("MODIFIED", differing)}
    assert cloud.update(given(rule=READ, Users=["ann"], Groups=["Others"])) == "UPDATE_COMPLETE"
    assert iam.list_group_policies(GroupName="Staff")["PolicyNames"] == []
    assert iam.list_group_policies(GroupName="Others")["PolicyNames"] == ["p"]
    assert iam.list_role_policies(RoleName="r")["PolicyNames"] == []
    got = iam.get_user_policy(UserName="ann", PolicyName="p")["PolicyDocument"]
    assert got == document(READ)
    assert cloud.update(given("q", Users=["ann"])) == "UPDATE_COMPLETE"
    assert iam.list_user_policies(UserName="ann")["PolicyNames"] == ["q"]
    iam.delete_user_policy(UserName="ann", PolicyName="q")
    assert cloud.drift() == {"R": ("DELETED", [])}
    iam.delete_user(UserName="ann")
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_policies_that_fail_leave_nothing(cloud: Cloud, iam: Any) -> None:
    def attempt(**properties: Any) -> str:
        given = {"PolicyName": "p", "PolicyDocument": document(SEND), **properties}
        assert cloud.create(resource("IAM::Policy", **given)) == "ROLLBACK_COMPLETE"
        reason = cloud.failures()[0][1]
        cloud.delete()
        return reason

    assert attempt() == "At least one of [Groups,Roles,Users] must be non-empty."
    assert attempt(Users=["ann", "nobody"]) == "The user with name nobody cannot be found."
    assert iam.list_user_policies(UserName="ann")["PolicyNames"] == []
    assert "prefaced by a vendor" in attempt(
        Users=["ann"], PolicyDocument=document({"Action": "x"})
    )


def managed(**properties: Any) -> dict[str, Any]:
    given = {"ManagedPolicyName": "p", "PolicyDocument": document(SEND), **properties}
    return resource("IAM::ManagedPolicy", ["PolicyArn", "PolicyId"], **given)


def test_a_managed_policy(cloud: Cloud, iam: Any) -> None:
    arn = f"{LOCAL}:policy/p"
    assert cloud.create(managed(Users=["ann"], Description="")) == "CREATE_COMPLETE"
    outputs = cloud.outputs()
    assert (outputs["Ref"], outputs["PolicyArn"]) == (arn, arn)
    assert outputs["PolicyId"].startswith("ANPA")
    assert attached(iam, "ann") == {"p"}
    # Each change of the document is a version; the oldest make room.
    for number in range(6):
        rule = {**SEND, "Sid": f"n{number}"}
        given = managed(PolicyDocument=document(rule), Groups=["Staff"], Description="")
        assert cloud.update(given) == "UPDATE_COMPLETE"
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 5
    assert attached(iam, "ann") == set()
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    iam.delete_policy_version(PolicyArn=arn, VersionId="v5")
    made = iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(READ), SetAsDefault=True)
    assert cloud.drift()["R"][0] == "MODIFIED"
    assert made["PolicyVersion"]["IsDefaultVersion"]
    assert cloud.update(managed(Description="other")) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.failures()[-1][1] == (
        "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
        "Rename p and update the stack again."
    )
    assert cloud.update(managed(ManagedPolicyName="q", Users=["ann"])) == "UPDATE_COMPLETE"
    assert attached(iam, "ann") == {"q"}
    assert refusal(iam.get_policy, PolicyArn=arn)[0] == "NoSuchEntity"
    iam.detach_user_policy(UserName="ann", PolicyArn=f"{LOCAL}:policy/q")
    iam.delete_user(UserName="ann")
    assert cloud.delete() == "DELETE_COMPLETE"
    assert iam.list_policies(Scope="Local")["Policies"] == []


def test_managed_policies_that_fail_leave_nothing(cloud: Cloud, iam: Any) -> None:
    assert cloud.create(managed(Users=["ann", "nobody"])) == "ROLLBACK_COMPLETE"
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert attached(iam, "ann") == set()
    cloud.delete()
    iam.create_policy(PolicyName="p", PolicyDocument=policy(READ))
    assert cloud.create(managed(Users=["ann"])) == "ROLLBACK_COMPLETE"
    assert cloud.failures()[0][1].startswith("A policy called p already exists.")
    assert len(iam.list_policies(Scope="Local")["Policies"]) == 1
    cloud.delete()
    cloud.create(managed(ManagedPolicyName="q"))
    iam.delete_policy(PolicyArn=f"{LOCAL}:policy/q")
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_a_managed_policy_is_adopted(cloud: Cloud, iam: Any) -> None:
    iam.create_policy(PolicyName="p", PolicyDocument=policy(READ))
    body = json.dumps(managed(Users=["ann"]))
    cloud.stacks.create_change_set(
        StackName="S", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body,
        Capabilities=CAPABILITIES, ImportExistingResources=True,
    )  # fmt: skip
    [change] = cloud.stacks.describe_change_set(StackName="S", ChangeSetName="c")["Changes"]
    assert change["ResourceChange"]["Action"] == "Import"
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="c")
    assert cloud.status() == "CREATE_COMPLETE"
    assert attached(iam, "ann") == {"p"}


def test_a_managed_policy_through_crashes(
    cloud: Cloud, iam: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(place: int) -> None:
        assert attached(iam, "ann") == ({"p"} if place == 0 else set())
        assert len(iam.list_policies(Scope="Local")["Policies"]) == 1 - place

    steps = [lambda: cloud.create(managed(Users=["ann"])), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 5


def test_iam_needs_a_capability(cloud: Cloud) -> None:
    body = json.dumps(resource("IAM::User"))
    answer = refusal(cloud.stacks.create_stack, StackName="S", TemplateBody=body)
    assert answer == (
        "InsufficientCapabilitiesException", 400, "Requires capabilities : [CAPABILITY_IAM]",
    )  # fmt: skip
