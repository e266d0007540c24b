"""What happened to stacks, operation by operation; hooks, of which there are none."""

from __future__ import annotations

import json
from typing import Any

from support.cloud import Cloud, refusal, resource


def parameter(value: str = "v", name: str = "/a") -> dict[str, Any]:
    return resource("SSM::Parameter", Name=name, Type="String", Value=value)


def events(cloud: Cloud, **asked: Any) -> list[dict[str, Any]]:
    """Oldest first."""
    pages = cloud.stacks.get_paginator("describe_events").paginate(**asked)
    return [one for page in pages for one in page["OperationEvents"]][::-1]


def test_a_stacks_operations(cloud: Cloud) -> None:
    body = json.dumps(parameter())
    made = cloud.stacks.create_stack(StackName="S", TemplateBody=body)
    updated = cloud.stacks.update_stack(StackName="S", TemplateBody=json.dumps(parameter("w")))
    found = events(cloud, StackName="S")
    assert {(one["OperationType"], one["OperationId"]) for one in found} == {
        ("CREATE_STACK", made["OperationId"]), ("UPDATE_STACK", updated["OperationId"]),
    }  # fmt: skip
    created = events(cloud, OperationId=made["OperationId"])
    assert [(one["ResourceStatus"], one.get("OperationStatus")) for one in created] == [
        ("CREATE_IN_PROGRESS", "IN_PROGRESS"),
        ("CREATE_IN_PROGRESS", None),
        ("CREATE_IN_PROGRESS", None),
        ("CREATE_COMPLETE", None),
        ("CREATE_COMPLETE", "SUCCEEDED"),
    ]
    assert {one["EventType"] for one in found} == {"STACK_EVENT"}
    assert len({one["EventId"] for one in found}) == len(found)
    assert events(cloud, StackName="S", Filters={"FailedEvents": True}) == []
    assert events(cloud, OperationId="none") == []
    old = cloud.stacks.describe_stack_events(StackName="S")["StackEvents"]
    assert {one["OperationId"] for one in old} == {made["OperationId"], updated["OperationId"]}


def test_failed_events(cloud: Cloud) -> None:
    cloud.create(parameter("v", "//bad name"))
    [failed] = events(cloud, StackName="S", Filters={"FailedEvents": True})
    assert failed["EventType"] == "PROVISIONING_ERROR"
    assert (failed["LogicalResourceId"], failed["ResourceStatus"]) == ("R", "CREATE_FAILED")
    assert failed["ResourceStatusReason"].startswith("Parameter name:")
    assert failed["OperationType"] == "CREATE_STACK"
    last = events(cloud, StackName="S")[-1]
    assert (last["ResourceStatus"], last["OperationStatus"]) == ("ROLLBACK_COMPLETE", "FAILED")
    arn = cloud.shown()["StackId"]
    cloud.delete()
    last = events(cloud, StackName=arn)[-1]
    assert (last["OperationType"], last["OperationStatus"]) == ("DELETE_STACK", "SUCCEEDED")


def test_a_rollback_asked_for_is_an_operation(cloud: Cloud) -> None:
    cloud.create(parameter("v", "//bad name"), OnFailure="DO_NOTHING")
    assert cloud.status() == "CREATE_FAILED"
    assert events(cloud, StackName="S")[-1]["OperationStatus"] == "FAILED"
    begun = cloud.stacks.rollback_stack(StackName="S")
    assert cloud.status() == "ROLLBACK_COMPLETE"
    found = events(cloud, OperationId=begun["OperationId"])
    assert {one["OperationType"] for one in found} == {"ROLLBACK"}
    assert found[-1]["OperationStatus"] == "SUCCEEDED"


def test_a_change_sets_events(cloud: Cloud) -> None:
    def made(name: str, body: Any) -> str:
        return cloud.stacks.create_change_set(
            StackName="S", ChangeSetName=name, ChangeSetType="CREATE", TemplateBody=body
        )["Id"]

    good = made("good", json.dumps(parameter()))
    bad = made("bad", json.dumps({"Resources": {"R": {"Type": "AWS::Lambda::Function"}}}))
    [event] = events(cloud, ChangeSetName=good)
    assert (event["OperationType"], event["OperationStatus"]) == ("CREATE_CHANGESET", "SUCCEEDED")
    assert good.endswith(event["OperationId"])
    [event] = events(cloud, StackName="S", ChangeSetName="bad")
    assert event["OperationStatus"] == "FAILED"
    assert "Unrecognized resource types: [AWS::Lambda::Function]" in event["ResourceStatusReason"]
    # No resource failed, nor a validation of one: CDK then says the change set's own reason.
    assert events(cloud, ChangeSetName=bad, Filters={"FailedEvents": True}) == []
    [event] = events(cloud, StackName="S")
    assert (event["OperationType"], event["ResourceStatus"]) == (
        "CREATE_CHANGESET", "REVIEW_IN_PROGRESS",
    )  # fmt: skip


def test_nothing_named(cloud: Cloud) -> None:
    words = "One of ChangeSetName, OperationId or StackName must be specified"
    for asked in ({}, {"ChangeSetName": "c"}):
        answer = refusal(cloud.stacks.describe_events, **asked)
        assert answer == ("ValidationError", 400, words)
    answer = refusal(cloud.stacks.describe_events, StackName="none")
    assert answer == ("ValidationError", 400, "Stack with id none does not exist")
    answer = refusal(cloud.stacks.describe_events, StackName="none", ChangeSetName="c")
    assert answer[:2] == ("ChangeSetNotFound", 404)


def test_there_are_no_hooks(cloud: Cloud) -> None:
    cloud.create(parameter())
    about = {"TargetType": "STACK", "TargetId": "S"}
    found = cloud.stacks.list_hook_results(**about)
    assert (found["HookResults"], found["TargetId"]) == ([], "S")
    assert cloud.stacks.list_hook_results()["HookResults"] == []
    hook_id = "11112222-3333-4444-5555-666677778888"
    answer = refusal(cloud.stacks.get_hook_result, HookResultId=hook_id)
    assert answer[0] == "HookResultNotFound"
    body = json.dumps(parameter("w"))
    cloud.stacks.create_change_set(StackName="S", ChangeSetName="c", TemplateBody=body)
    found = cloud.stacks.describe_change_set_hooks(StackName="S", ChangeSetName="c")
    assert (found["Hooks"], found["Status"]) == ([], "PLANNED")


def test_limits_of_an_account(cloud: Cloud) -> None:
    found = cloud.stacks.describe_account_limits()["AccountLimits"]
    assert {"Name": "StackLimit", "Value": 2000} in found
