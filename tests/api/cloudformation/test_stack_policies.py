"""Stack policies: what an update may do to which resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailstead.api.cloudformation.stack_policies import denial, parse_stack_policy
from mailstead.mail.errors import Invalid
from support.cloud import Cloud, refusal, resource

ALLOW = {"Effect": "Allow", "Action": "Update:*", "Principal": "*", "Resource": "*"}


def deny(action: Any = "Update:*", logical: Any = "LogicalResourceId/R", **more: Any) -> Any:
    return {"Effect": "Deny", "Action": action, "Principal": "*", "Resource": logical, **more}


def document(*statements: Any) -> str:
    return json.dumps({"Statement": list(statements)})


def denied(*statements: Any, action: str = "Update:Modify", name: str = "R") -> str:
    return denial(document(*statements), action, name, "AWS::S3::Bucket")


def test_without_one_all_is_allowed() -> None:
    assert denial("", "Update:Delete", "R", "T") == ""
    assert denial("{}", "Update:Delete", "R", "T") == ""


def test_what_no_statement_allows_is_denied() -> None:
    assert denied(ALLOW) == ""
    only = {**ALLOW, "Resource": "LogicalResourceId/Other*"}
    assert denied(only, name="Others") == ""
    assert denied(only) == "Action not allowed by stack policy"
    assert denied({**ALLOW, "Action": ["Update:Replace"]}) == "Action not allowed by stack policy"


def test_what_one_denies_stays_denied() -> None:
    assert denied(ALLOW, deny()) == (
        "Action denied by stack policy: Statement [#1] does not allow [Update:*] for resource "
        "[LogicalResourceId/R];"
    )
    both = ["Update:Replace", "Update:Delete"]
    assert denied(deny(both, "*"), ALLOW, action="Update:Delete") == (
        "Action denied by stack policy: Statement [#0] does not allow "
        "[Update:Replace, Update:Delete] for resource [*];"
    )
    assert denied(deny(both), ALLOW) == ""
    assert denied(ALLOW, deny(), name="Other") == ""


def test_by_exclusion() -> None:
    others = {**ALLOW, "NotResource": "LogicalResourceId/R"}
    del others["Resource"]
    assert denied(others, name="Other") == ""
    assert denied(others) == "Action not allowed by stack policy"
    kept = {**ALLOW, "NotAction": "Update:Delete"}
    del kept["Action"]
    assert denied(kept) == ""
    assert denied(kept, action="Update:Delete") == "Action not allowed by stack policy"


@pytest.mark.parametrize(
    ("test", "kinds", "matches"),
    [
        ("StringEquals", "AWS::S3::Bucket", True),
        ("StringEquals", ["AWS::IAM::User", "AWS::S3::Bucket"], True),
        ("StringEquals", "AWS::S3::*", False),
        ("StringLike", "AWS::S3::*", True),
        ("StringLike", ["AWS::IAM::*"], False),
    ],
)
def test_by_type(test: str, kinds: Any, matches: bool) -> None:
    rule = deny(logical="*", Condition={test: {"ResourceType": kinds}})
    assert bool(denied(ALLOW, rule)) is matches


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "[]",
        "[" * 10_000,
        '{"Statement": []}',
        '{"Statement": ["x"]}',
        '{"Other": 1}',
        document({}),
        document({**ALLOW, "Effect": "Maybe"}),
        document({**ALLOW, "Principal": "x"}),
        document({**ALLOW, "Action": "Delete:*"}),
        document({**ALLOW, "Action": []}),
        document({**ALLOW, "Action": [1]}),
        document({**ALLOW, "NotAction": "Update:*"}),
        document({**ALLOW, "Resource": "R"}),
        document({**ALLOW, "Colour": "red"}),
        document({**ALLOW, "Condition": "x"}),
        document({**ALLOW, "Condition": {"StringLike": "x"}}),
        document({**ALLOW, "Condition": {"StringLike": {"aws:SourceIp": "x"}}}),
        document({**ALLOW, "Condition": {"Bool": {"ResourceType": "x"}}}),
    ],
)
def test_what_is_no_policy(text: str) -> None:
    with pytest.raises(Invalid, match="Error validating stack policy: Invalid stack policy"):
        parse_stack_policy(text)


# In stacks


def parameter(name: str = "/a", value: str = "v") -> dict[str, Any]:
    return resource("SSM::Parameter", Name=name, Type="String", Value=value)


def two(name: str = "/a", value: str = "v") -> dict[str, Any]:
    template = parameter(name, value)
    other = {"Type": "String", "Name": "/other", "Value": value}
    template["Resources"]["Other"] = {"Type": "AWS::SSM::Parameter", "Properties": other}
    return template


def values(cloud: Cloud) -> dict[str, str]:
    found = cloud.root("ssm").get_parameters(Names=["/a", "/b", "/other"])["Parameters"]
    return {one["Name"]: one["Value"] for one in found}


def test_updates_that_are_denied(cloud: Cloud) -> None:
    rule = deny(["Update:Replace", "Update:Delete"])
    cloud.create(two(), StackPolicyBody=document(ALLOW, rule))
    words = (
        "Action denied by stack policy: Statement [#1] does not allow "
        "[Update:Replace, Update:Delete] for resource [LogicalResourceId/R];"
    )
    assert cloud.update(two("/b", "w")) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.failures() == [("R", words)]
    assert values(cloud) == {"/a": "v", "/other": "v"}
    gone = two(value="w")
    del gone["Resources"]["R"], gone["Outputs"]
    assert cloud.update(gone) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.failures()[-1] == ("R", words)
    assert values(cloud) == {"/a": "v", "/other": "v"}
    assert cloud.update(two(value="w")) == "UPDATE_COMPLETE"
    assert values(cloud) == {"/a": "w", "/other": "w"}
    # A stack's deletion is not asked about.
    assert cloud.delete() == "DELETE_COMPLETE"
    assert values(cloud) == {}


def test_what_is_not_allowed_is_denied_in_change_sets_too(cloud: Cloud) -> None:
    cloud.create(two())
    rule = {**ALLOW, "Resource": "LogicalResourceId/Other"}
    cloud.stacks.set_stack_policy(StackName="S", StackPolicyBody=document(rule))
    body = json.dumps(two(value="w"))
    cloud.stacks.create_change_set(StackName="S", ChangeSetName="c", TemplateBody=body)
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="c")
    assert cloud.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.failures() == [("R", "Action not allowed by stack policy")]
    assert values(cloud) == {"/a": "v", "/other": "v"}
    # New resources are no updates.
    added = two()
    added["Resources"]["New"] = parameter("/b")["Resources"]["R"]
    assert cloud.update(added) == "UPDATE_COMPLETE"


def test_a_policy_during_one_update(cloud: Cloud) -> None:
    cloud.create(parameter(), StackPolicyBody=document(deny(logical="*")))
    assert cloud.update(parameter(value="w")) == "UPDATE_ROLLBACK_COMPLETE"
    during = {"StackPolicyDuringUpdateBody": document(ALLOW)}
    assert cloud.update(parameter(value="w"), **during) == "UPDATE_COMPLETE"
    kept = cloud.stacks.get_stack_policy(StackName="S")["StackPolicyBody"]
    assert kept == document(deny(logical="*"))
    assert cloud.update(parameter(value="x")) == "UPDATE_ROLLBACK_COMPLETE"


def test_a_policy_that_comes_with_an_update_counts_after_it(cloud: Cloud) -> None:
    cloud.create(parameter())
    new = document(deny(logical="*"))
    assert cloud.update(parameter(value="w"), StackPolicyBody=new) == "UPDATE_COMPLETE"
    assert cloud.update(parameter(value="x")) == "UPDATE_ROLLBACK_COMPLETE"
    loose = {"StackPolicyBody": document(ALLOW)}
    assert cloud.update(parameter(value="x"), **loose) == "UPDATE_ROLLBACK_COMPLETE"
    assert cloud.stacks.get_stack_policy(StackName="S")["StackPolicyBody"] == new


def test_policies_are_set_and_taken_away(cloud: Cloud) -> None:
    cloud.create(parameter())
    stacks = cloud.stacks
    assert "StackPolicyBody" not in stacks.get_stack_policy(StackName="S")
    for given, words in (
        ({"StackPolicyBody": "x"}, "Error validating stack policy: Invalid stack policy"),
        (
            {"StackPolicyBody": "{}", "StackPolicyURL": "http://localhost/b/p"},
            "You cannot specify both StackPolicyURL and StackPolicyBody",
        ),
        (
            {"StackPolicyURL": "http://localhost/none/p"},
            "S3 error: The specified bucket does not exist",
        ),
    ):
        answer = refusal(stacks.set_stack_policy, StackName="S", **given)
        assert answer == ("ValidationError", 400, words)
    s3 = cloud.root("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="p", Body=document(ALLOW).encode())
    stacks.set_stack_policy(StackName="S", StackPolicyURL="http://localhost/bucket/p")
    assert stacks.get_stack_policy(StackName="S")["StackPolicyBody"] == document(ALLOW)
    stacks.set_stack_policy(StackName="S", StackPolicyBody="{}")
    assert stacks.get_stack_policy(StackName="S")["StackPolicyBody"] == "{}"
    assert cloud.update(parameter("/b")) == "UPDATE_COMPLETE"


def test_denials_through_crashes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.create(two(), StackPolicyBody=document(deny(["Update:Replace", "Update:Delete"]), ALLOW))
    gone = two(value="w")
    del gone["Resources"]["R"], gone["Outputs"]

    def check(_place: int) -> None:
        assert cloud.status() == "UPDATE_ROLLBACK_COMPLETE"
        assert values(cloud) == {"/a": "v", "/other": "v"}

    steps = [lambda: cloud.update(gone), lambda: cloud.update(two("/b", "w"))]
    assert cloud.through_crashes(monkeypatch, steps, check) > 5
