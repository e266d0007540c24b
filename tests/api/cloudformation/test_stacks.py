"""Operations on stacks, as clients call them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from mailstead.api.cloudformation.model import Caller
from mailstead.mail.model import Scope
from support.cloud import ACCOUNT, Cloud, policy, refusal, resource


def parameter(value: Any = "v", name: str = "/a", **more: Any) -> dict[str, Any]:
    return {**resource("SSM::Parameter", Name=name, Type="String", Value=value), **more}


def with_parameters(**declared: Any) -> dict[str, Any]:
    first = next(iter(declared))
    return parameter({"Ref": first}, Parameters=declared)


def value(cloud: Cloud, name: str = "/a") -> str | None:
    found = cloud.root("ssm").get_parameters(Names=[name])["Parameters"]
    return found[0]["Value"] if found else None


# Describing


def test_what_is_shown(cloud: Cloud) -> None:
    template = parameter({"Ref": "P"}, Description="about", Parameters={
        "P": {"Type": "String", "Default": "d"},
        "Q": {"Type": "CommaDelimitedList", "Default": "a,b"},
        "N": {"Type": "String", "NoEcho": True, "Default": "secret"},
    })  # fmt: skip
    tags = [{"Key": "k", "Value": "1"}]
    cloud.create(template, Tags=tags, EnableTerminationProtection=True)
    shown = cloud.shown()
    assert (shown["Description"], shown["Tags"]) == ("about", tags)
    assert shown["EnableTerminationProtection"] is True
    assert shown["DisableRollback"] is False
    assert shown["Parameters"] == [
        {"ParameterKey": "P", "ParameterValue": "d"},
        {"ParameterKey": "Q", "ParameterValue": "a,b"},
        {"ParameterKey": "N", "ParameterValue": "****"},
    ]
    assert cloud.shown(shown["StackId"]) == shown
    stacks = cloud.stacks
    [summary] = stacks.list_stacks()["StackSummaries"]
    assert summary["TemplateDescription"] == "about"
    detail = stacks.describe_stack_resource(StackName="S", LogicalResourceId="R")
    assert detail["StackResourceDetail"]["ResourceStatus"] == "CREATE_COMPLETE"
    for asked in ({"StackName": "S"}, {"StackName": "S", "LogicalResourceId": "R"}):
        [found] = stacks.describe_stack_resources(**asked)["StackResources"]
        assert found["PhysicalResourceId"] == "/a"
    asked = {"StackName": "S", "LogicalResourceId": "X"}
    assert stacks.describe_stack_resources(**asked)["StackResources"] == []
    assert refusal(stacks.describe_stack_resource, **asked) == (
        "ValidationError", 400, "Resource X does not exist for stack S",
    )  # fmt: skip
    [found] = stacks.list_stack_resources(StackName="S")["StackResourceSummaries"]
    assert found["LogicalResourceId"] == "R"
    body = stacks.get_template(StackName="S")["TemplateBody"]
    assert json.loads(json.dumps(body)) == template


def test_stacks_are_listed(cloud: Cloud) -> None:
    for number in range(3):
        cloud.create(parameter(name=f"/{number}"), f"S{number}")
    cloud.delete("S1")
    stacks = cloud.stacks
    names = [one["StackName"] for one in stacks.describe_stacks()["Stacks"]]
    assert names == ["S2", "S0"]
    listed = stacks.list_stacks()["StackSummaries"]
    assert {one["StackName"]: one["StackStatus"] for one in listed} == {
        "S0": "CREATE_COMPLETE", "S1": "DELETE_COMPLETE", "S2": "CREATE_COMPLETE",
    }  # fmt: skip
    gone = stacks.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
    assert [one["StackName"] for one in gone] == ["S1"]
    assert gone[0]["DeletionTime"]
    answer = refusal(stacks.list_stacks, NextToken="x")
    assert answer == ("ValidationError", 400, "The NextToken is not valid.")


def test_events_come_in_pages(cloud: Cloud) -> None:
    resources = {
        f"R{number}": parameter(name=f"/{number}")["Resources"]["R"] for number in range(40)
    }
    cloud.create(resources)
    first = cloud.stacks.describe_stack_events(StackName="S")
    assert len(first["StackEvents"]) == 100
    pages = cloud.stacks.get_paginator("describe_stack_events").paginate(StackName="S")
    events = [one for page in pages for one in page["StackEvents"]]
    assert len(events) == len({one["EventId"] for one in events}) == 122
    stamps = [one["Timestamp"] for one in events]
    assert stamps == sorted(set(stamps), reverse=True)


def test_nobodys_stack(cloud: Cloud) -> None:
    words = ("ValidationError", 400, "Stack with id none does not exist")
    stacks = cloud.stacks
    for call in (
        stacks.describe_stacks, stacks.describe_stack_resources,
        stacks.list_stack_resources, stacks.get_template, stacks.get_stack_policy,
        stacks.list_change_sets, stacks.detect_stack_drift, stacks.rollback_stack,
        stacks.continue_update_rollback,
    ):  # fmt: skip
        assert refusal(call, StackName="none") == words
    bracketed = (*words[:2], "Stack [none] does not exist")
    assert refusal(stacks.describe_stack_events, StackName="none") == bracketed
    stacks.delete_stack(StackName="none")


def test_templates_are_read(cloud: Cloud) -> None:
    whole = {
        "Description": "about",
        "Parameters": {"P": {"Type": "Number", "Default": 5, "Description": "d", "NoEcho": True}},
        "Resources": {"U": {"Type": "AWS::IAM::User", "Properties": {"UserName": "u"}}},
    }
    body = json.dumps(whole)
    summary = cloud.stacks.get_template_summary(TemplateBody=body)
    assert summary["Parameters"][0] == {
        "ParameterKey": "P", "DefaultValue": "5", "ParameterType": "Number", "NoEcho": True,
        "Description": "d",
    }  # fmt: skip
    assert summary["ResourceTypes"] == ["AWS::IAM::User"]
    assert summary["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    valid = cloud.stacks.validate_template(TemplateBody=body)
    assert valid["Description"] == "about"
    assert valid["Parameters"][0]["ParameterKey"] == "P"
    cloud.create(whole)
    of_stack = cloud.stacks.get_template_summary(StackName="S")
    assert of_stack["ResourceTypes"] == ["AWS::IAM::User"]
    for given, words in (
        ({"TemplateBody": "{"}, "Template format error"),
        ({"TemplateBody": "{}"}, "At least one Resources member must be defined."),
        ({}, "Either Template URL or Template Body must be specified."),
    ):
        answer = refusal(cloud.stacks.validate_template, **given)
        assert answer[:2] == ("ValidationError", 400)
        assert words in answer[2]


# Beginning


def test_values_that_stay(cloud: Cloud) -> None:
    template = with_parameters(P={"Type": "String", "Default": "d"}, Q={"Type": "String"})
    given = [
        {"ParameterKey": "P", "ParameterValue": "p"}, {"ParameterKey": "Q", "ParameterValue": "q"},
    ]  # fmt: skip
    cloud.create(template, Parameters=given)
    assert value(cloud) == "p"
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in "PQ"]
    body = {"StackName": "S", "UsePreviousTemplate": True}
    answer = refusal(cloud.stacks.update_stack, **body, Parameters=kept)
    assert answer[2] == "No updates are to be performed."
    # What is not named has its default again.
    cloud.stacks.update_stack(**body, Parameters=kept[1:])
    assert value(cloud) == "d"
    kept = [{"ParameterKey": name, "UsePreviousValue": True} for name in "PQ"]
    answer = refusal(cloud.stacks.update_stack, **body, Parameters=kept)
    assert answer[2] == "No updates are to be performed."
    answer = refusal(cloud.stacks.update_stack, **body, Parameters=[])
    assert answer[2] == "Parameters: [Q] must have values"


def test_tags_stay_unless_they_are_given(cloud: Cloud) -> None:
    cloud.create(parameter(), Tags=[{"Key": "k", "Value": "1"}])
    cloud.update(parameter("w"))
    assert cloud.shown()["Tags"] == [{"Key": "k", "Value": "1"}]
    assert cloud.update(parameter("w"), Tags=[]) == "UPDATE_COMPLETE"
    assert cloud.shown()["Tags"] == []


def test_tokens_make_calls_the_same(cloud: Cloud) -> None:
    body = {"StackName": "S", "TemplateBody": json.dumps(parameter())}
    first = cloud.stacks.create_stack(**body, ClientRequestToken="t")
    again = cloud.stacks.create_stack(**body, ClientRequestToken="t")
    assert first["StackId"] == again["StackId"]
    answer = refusal(cloud.stacks.create_stack, **body, ClientRequestToken="u")
    assert answer == ("AlreadyExistsException", 400, "Stack [S] already exists")
    events = cloud.stacks.describe_stack_events(StackName="S")["StackEvents"]
    assert {one["ClientRequestToken"] for one in events} == {"t"}


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, "ROLLBACK_COMPLETE"),
        ({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE"),
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED"),
        ({"DisableRollback": True}, "CREATE_FAILED"),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE"),
    ],
)
def test_a_failed_creation(cloud: Cloud, given: dict[str, Any], status: str) -> None:
    template = parameter()
    broken = parameter(name="//x y")["Resources"]["R"]
    template["Resources"]["Z"] = {**broken, "DependsOn": "R"}
    made = cloud.stacks.create_stack(StackName="S", TemplateBody=json.dumps(template), **given)
    assert cloud.status(made["StackId"]) == status
    assert value(cloud) == ("v" if status == "CREATE_FAILED" else None)


def test_a_failed_update_stands_where_it_shall(cloud: Cloud) -> None:
    cloud.create(parameter())
    template = parameter("w")
    broken = parameter(name="//x y")["Resources"]["R"]
    template["Resources"]["Z"] = {**broken, "DependsOn": "R"}
    assert cloud.update(template, DisableRollback=True) == "UPDATE_FAILED"
    assert value(cloud) == "w"
    answer = refusal(cloud.update, template)
    arn = cloud.shown()["StackId"]
    assert answer == (
        "ValidationError", 400, f"Stack:{arn} is in UPDATE_FAILED state and can not be updated.",
    )  # fmt: skip
    cloud.stacks.rollback_stack(StackName="S")
    assert cloud.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert value(cloud) == "v"
    answer = refusal(cloud.stacks.rollback_stack, StackName="S")
    assert answer[0] == "ValidationError"


# Protection, exports


def test_protection(cloud: Cloud) -> None:
    cloud.create(parameter())
    guard = cloud.stacks.update_termination_protection
    guard(StackName="S", EnableTerminationProtection=True)
    answer = refusal(cloud.stacks.delete_stack, StackName="S")
    assert answer == (
        "ValidationError", 400,
        "Stack [S] cannot be deleted while TerminationProtection is enabled",
    )  # fmt: skip
    guard(StackName="S", EnableTerminationProtection=False)
    assert cloud.delete() == "DELETE_COMPLETE"


def exporting(own: str, /, **values: str) -> dict[str, Any]:
    outputs = {
        f"O{number}": {"Value": text, "Export": {"Name": name}}
        for number, (name, text) in enumerate(values.items())
    }
    return parameter(name=own, Outputs=outputs)


def test_exports(cloud: Cloud) -> None:
    cloud.create(exporting("/e", one="1", two="2"), "E")
    cloud.create(parameter({"Fn::ImportValue": "one"}), "U")
    assert value(cloud) == "1"
    found = cloud.stacks.list_exports()["Exports"]
    assert [(one["Name"], one["Value"]) for one in found] == [("one", "1"), ("two", "2")]
    assert cloud.stacks.list_imports(ExportName="one")["Imports"] == ["U"]
    answer = refusal(cloud.stacks.list_imports, ExportName="two")
    assert answer == ("ValidationError", 400, "Export 'two' is not imported by any stack.")
    words = "Export one cannot be deleted as it is in use by U"
    assert refusal(cloud.stacks.delete_stack, StackName="E") == ("ValidationError", 400, words)
    assert cloud.update(exporting("/e", two="2"), "E") == "UPDATE_ROLLBACK_COMPLETE"
    assert words in [reason for _, _, reason in cloud.told("E")]
    assert cloud.create(exporting("/f", two="3"), "F") == "ROLLBACK_COMPLETE"
    assert any("already exported by stack E" in reason for _, _, reason in cloud.told("F"))
    assert cloud.create(parameter({"Fn::ImportValue": "none"}, "/n"), "N") == "ROLLBACK_COMPLETE"
    assert cloud.failures("N") == [("R", "No export named none found.")]
    cloud.delete("U")
    assert cloud.delete("E") == "DELETE_COMPLETE"
    assert cloud.stacks.list_exports()["Exports"] == []


# Templates in buckets


def upload(cloud: Cloud, template: Any) -> str:
    cloud.root("s3").create_bucket(Bucket="bucket")
    cloud.root("s3").put_object(Bucket="bucket", Key="t", Body=json.dumps(template).encode())
    return "http://localhost:4566/bucket/t"


def test_a_template_in_a_bucket(cloud: Cloud) -> None:
    url = upload(cloud, parameter())
    cloud.stacks.create_stack(StackName="S", TemplateURL=url)
    assert cloud.status() == "CREATE_COMPLETE"
    assert cloud.stacks.validate_template(TemplateURL=url)


def test_a_template_that_the_caller_may_not_read(cloud: Cloud) -> None:
    url = upload(cloud, parameter())
    statements = [{"Action": ["cloudformation:*", "ssm:*"]}]
    mine = cloud.client("cloudformation", **cloud.user("dev", *statements))
    given = {"StackName": "S", "TemplateURL": url}
    for call, arguments in (
        (mine.create_stack, given),
        (mine.validate_template, {"TemplateURL": url}),
        (mine.get_template_summary, {"TemplateURL": url}),
        (mine.create_change_set, {**given, "ChangeSetName": "c", "ChangeSetType": "CREATE"}),
    ):
        code, status, text = refusal(call, **arguments)
        assert (code, status) == ("AccessDenied", 403)
        assert (
            "is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::bucket/t" in text
        )
    statements.append({"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/*"})
    document = policy(*statements)
    cloud.root("iam").put_user_policy(UserName="dev", PolicyName="own", PolicyDocument=document)
    mine.create_stack(**given)
    assert cloud.status() == "CREATE_COMPLETE"
    other = Scope("999900001111", "us-east-1")
    cloud.run(cloud.ports.buckets.create(other, "theirs"))
    answer = refusal(mine.validate_template, TemplateURL="http://localhost/theirs/t")
    assert answer == ("ValidationError", 400, "S3 error: Access Denied")


# Side by side


def test_two_clients_at_once(cloud: Cloud) -> None:
    """One of two begins; the other is told that it can't, in AWS's words, and may then."""
    cloud.create(parameter())
    stacks, scope = cloud.ports.stacks, cloud.domain.home
    stack = cloud.run(stacks.journal.stack(scope, "S"))
    caller = Caller(scope, f"arn:aws:iam::{ACCOUNT}:root")

    async def both(*work: Any) -> list[Any]:
        return await asyncio.gather(*work, return_exceptions=True)

    updates = [
        stacks.update(caller, stack, replace(stack.current, template=json.dumps(parameter(text))))
        for text in ("one", "two")
    ]
    done = cloud.run(both(*updates))
    [failed] = [one for one in done if isinstance(one, Exception)]
    assert str(failed.text).endswith("is in UPDATE_IN_PROGRESS state and can not be updated.")
    cloud.standing = False
    answer = refusal(cloud.update, parameter("three"))
    assert answer[0] == "ValidationError"
    assert "is in UPDATE_IN_PROGRESS state and can not be updated." in answer[2]
    cloud.settle()
    assert value(cloud) in ("one", "two")
    cloud.standing = True
    assert cloud.update(parameter("three")) == "UPDATE_COMPLETE"
    creations = [
        stacks.create(
            caller, "N", replace(stack.current, template=json.dumps(parameter(name="/n")))
        )
        for _ in "ab"
    ]
    done = cloud.run(both(*creations))
    assert [one.text for one in done if isinstance(one, Exception)] == ["Stack [N] already exists"]
    cloud.settle()
    assert cloud.delete("N") == "DELETE_COMPLETE"
    assert cloud.create(parameter(name="/n"), "N") == "CREATE_COMPLETE"


def test_a_stack_on_its_way_is_not_deleted(cloud: Cloud) -> None:
    cloud.standing = False
    cloud.create(parameter())
    answer = refusal(cloud.stacks.delete_stack, StackName="S")
    assert answer[0] == "ValidationError"
    assert "cannot be deleted while in status CREATE_IN_PROGRESS" in answer[2]
    cloud.settle()
    cloud.stacks.delete_stack(StackName="S")
    # Once more does no harm.
    cloud.stacks.delete_stack(StackName="S")
    cloud.settle()
    cloud.stacks.delete_stack(StackName="S")


def test_who_may_do_what_to_which_stack(cloud: Cloud) -> None:
    cloud.create(parameter())
    arn = f"arn:aws:cloudformation:us-east-1:{ACCOUNT}:stack/Other/*"
    rule = {"Action": "cloudformation:*", "Resource": arn}
    mine = cloud.client("cloudformation", **cloud.user("dev", rule))
    code, status, _ = refusal(mine.describe_stacks, StackName="S")
    assert (code, status) == ("AccessDenied", 403)
    assert refusal(mine.describe_stacks, StackName="Other")[0] == "ValidationError"
