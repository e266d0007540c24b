"""Change sets through the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cloud import Cloud, refusal, resource


def parameter(value: str = "v", name: str = "/a") -> dict[str, Any]:
    return resource("SSM::Parameter", Name=name, Type="String", Value=value)


def make(cloud: Cloud, template: Any, kind: str = "UPDATE", name: str = "c", **more: Any) -> Any:
    given = {"StackName": "S", "ChangeSetName": name, "ChangeSetType": kind, **more}
    return cloud.stacks.create_change_set(**given, TemplateBody=json.dumps(template))


def described(cloud: Cloud, name: str = "c", stack: str = "S") -> Any:
    return cloud.stacks.describe_change_set(StackName=stack, ChangeSetName=name)


def test_what_cdk_does(cloud: Cloud) -> None:
    made = make(cloud, parameter(), "CREATE", Description="d", Tags=[{"Key": "k", "Value": "1"}])
    found = described(cloud)
    assert (found["Status"], found["ExecutionStatus"]) == ("CREATE_COMPLETE", "AVAILABLE")
    assert (found["ChangeSetId"], found["Description"]) == (made["Id"], "d")
    assert cloud.status() == "REVIEW_IN_PROGRESS"
    body = cloud.stacks.get_template(StackName="S")["TemplateBody"]
    assert not body or body == parameter()
    [listed] = cloud.stacks.list_change_sets(StackName="S")["Summaries"]
    assert (listed["ChangeSetName"], listed["Status"]) == ("c", "CREATE_COMPLETE")
    # By its ARN it is found without the stack.
    assert cloud.stacks.describe_change_set(ChangeSetName=made["Id"])["StackName"] == "S"
    cloud.stacks.execute_change_set(ChangeSetName=made["Id"])
    assert cloud.status() == "CREATE_COMPLETE"
    assert cloud.shown()["ChangeSetId"] == made["Id"]
    assert refusal(described, cloud)[:2] == ("ChangeSetNotFound", 404)
    make(cloud, parameter("w"))
    [change] = described(cloud)["Changes"]
    assert change["ResourceChange"]["Details"][0]["Target"] == {
        "Attribute": "Properties", "Name": "Value", "RequiresRecreation": "Never",
    }  # fmt: skip
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="c")
    assert cloud.status() == "UPDATE_COMPLETE"


def test_change_sets_are_deleted(cloud: Cloud) -> None:
    delete = cloud.stacks.delete_change_set
    delete(StackName="none", ChangeSetName="c")
    made = make(cloud, parameter(), "CREATE")
    make(cloud, parameter(), "CREATE", "d")
    delete(StackName="S", ChangeSetName="none")
    delete(ChangeSetName=made["Id"])
    delete(StackName="S", ChangeSetName="d")
    delete(StackName="S", ChangeSetName="d")
    assert cloud.stacks.list_change_sets(StackName="S")["Summaries"] == []
    assert refusal(delete, ChangeSetName=made["Id"])[:2] == ("ChangeSetNotFound", 404)
    assert cloud.delete() == "DELETE_COMPLETE"


def test_names_and_tokens(cloud: Cloud) -> None:
    made = make(cloud, parameter(), "CREATE", ClientToken="t")
    assert make(cloud, parameter(), "CREATE", ClientToken="t")["Id"] == made["Id"]
    code, _, text = refusal(make, cloud, parameter(), "CREATE")
    assert (code, text.startswith("ChangeSet c already exists")) == ("AlreadyExistsException", True)
    assert refusal(make, cloud, parameter(), "UPDATE", "d")[2] == "Stack [S] does not exist"
    assert "is not served by mailstead" in refusal(make, cloud, parameter(), "IMPORT", "d")[2]
    answer = refusal(
        cloud.stacks.create_change_set, StackName="9", ChangeSetName="c", ChangeSetType="CREATE",
        TemplateBody=json.dumps(parameter()),
    )  # fmt: skip
    assert "[a-zA-Z][-a-zA-Z0-9]*" in answer[2]


def test_sets_of_one_name_on_two_stacks_stay_apart(cloud: Cloud) -> None:
    for name in ("A", "B"):
        cloud.stacks.create_change_set(
            StackName=name, ChangeSetName="c", ChangeSetType="CREATE",
            TemplateBody=json.dumps(parameter(name, f"/{name}")),
        )  # fmt: skip
    cloud.stacks.execute_change_set(StackName="B", ChangeSetName="c")
    assert (cloud.status("A"), cloud.status("B")) == ("REVIEW_IN_PROGRESS", "CREATE_COMPLETE")
    assert described(cloud, stack="A")["Changes"]
    cloud.stacks.execute_change_set(StackName="A", ChangeSetName="c")
    assert cloud.root("ssm").get_parameter(Name="/A")["Parameter"]["Value"] == "A"
    for name in ("A", "B"):
        body = json.dumps(parameter("x", f"/{name}"))
        cloud.stacks.create_change_set(StackName=name, ChangeSetName="c", TemplateBody=body)
    cloud.stacks.delete_change_set(StackName="A", ChangeSetName="c")
    assert described(cloud, stack="B")["ExecutionStatus"] == "AVAILABLE"


def test_sets_that_can_not_be_executed(cloud: Cloud) -> None:
    cloud.create(parameter())
    made = make(cloud, parameter())
    found = described(cloud)
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert found["StatusReason"].startswith("The submitted information didn't contain changes.")
    code, status, text = refusal(cloud.stacks.execute_change_set, StackName="S", ChangeSetName="c")
    assert (code, status) == ("InvalidChangeSetStatus", 400)
    assert text == f"ChangeSet [{made['Id']}] cannot be executed in its current status of [FAILED]"
    assert make(cloud, "{", name="d")["Id"]
    assert described(cloud, "d")["StatusReason"].startswith("Template format error")


@pytest.mark.parametrize("given", [{"OnStackFailure": "DO_NOTHING"}, {"DisableRollback": True}])
def test_failures_that_stand(cloud: Cloud, given: dict[str, Any]) -> None:
    at_creation = {name: value for name, value in given.items() if name == "OnStackFailure"}
    at_execution = {name: value for name, value in given.items() if name == "DisableRollback"}
    make(cloud, parameter(name="//x y"), "CREATE", **at_creation)
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="c", **at_execution)
    assert cloud.status() == "CREATE_FAILED"


def test_a_failure_that_deletes(cloud: Cloud) -> None:
    made = make(cloud, parameter(name="//x y"), "CREATE", OnStackFailure="DELETE")
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="c")
    assert cloud.status(made["StackId"]) == "DELETE_COMPLETE"


# Importing


def test_what_another_stack_has_is_not_adopted(cloud: Cloud) -> None:
    cloud.create(parameter(), "Owner")
    arn = cloud.shown("Owner")["StackId"]
    words = f"/a already exists in stack {arn}"
    make(cloud, parameter("w"), "CREATE", ImportExistingResources=True)
    found = described(cloud)
    assert (found["Status"], found["StatusReason"]) == ("FAILED", words)
    # Nor created, whoever asks how.
    assert cloud.create(parameter("w"), "T") == "ROLLBACK_COMPLETE"
    assert cloud.failures("T") == [("R", words)]
    assert cloud.root("ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "v"
    # What it let go may be had.
    template = parameter("x")
    template["Resources"]["R"]["DeletionPolicy"] = "Retain"
    cloud.update(template, "Owner")
    cloud.delete("Owner")
    make(cloud, parameter("w"), "CREATE", "again", ImportExistingResources=True)
    [change] = described(cloud, "again")["Changes"]
    assert change["ResourceChange"]["Action"] == "Import"
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="again")
    assert cloud.root("ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "w"


def test_of_two_that_would_adopt_one_gets_it(cloud: Cloud) -> None:
    cloud.root("ssm").put_parameter(Name="/a", Value="theirs", Type="String")
    for name in ("A", "B"):
        cloud.stacks.create_change_set(
            StackName=name, ChangeSetName="c", ChangeSetType="CREATE",
            TemplateBody=json.dumps(parameter(name)), ImportExistingResources=True,
        )  # fmt: skip
    for name in ("A", "B"):
        cloud.stacks.execute_change_set(StackName=name, ChangeSetName="c")
    assert (cloud.status("A"), cloud.status("B")) == ("CREATE_COMPLETE", "ROLLBACK_COMPLETE")
    arn = cloud.shown("A")["StackId"]
    assert cloud.failures("B") == [("R", f"/a already exists in stack {arn}")]
    assert cloud.root("ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "A"
    cloud.delete("B")
    assert cloud.root("ssm").get_parameter(Name="/a")["Parameter"]["Value"] == "A"
