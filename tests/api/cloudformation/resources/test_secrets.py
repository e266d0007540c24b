"""``AWS::SecretsManager::Secret`` in stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cloud import Cloud, refusal, resource


@pytest.fixture
def manager(cloud: Cloud) -> Any:
    return cloud.root("secretsmanager")


def secret(**properties: Any) -> dict[str, Any]:
    return resource("SecretsManager::Secret", ["Id"], **{"Name": "db", **properties})


def value(manager: Any, name: str = "db") -> str:
    return manager.get_secret_value(SecretId=name)["SecretString"]


def names(manager: Any) -> list[str]:
    return [one["Name"] for one in manager.list_secrets()["SecretList"]]


def test_a_secret(cloud: Cloud, manager: Any) -> None:
    given = {"Description": "d", "SecretString": "one", "Tags": [{"Key": "k", "Value": "1"}]}
    assert cloud.create(secret(**given)) == "CREATE_COMPLETE"
    outputs = cloud.outputs()
    found = manager.describe_secret(SecretId="db")
    assert outputs == {"Ref": found["ARN"], "Id": found["ARN"]}
    assert (found["Description"], found["Tags"]) == ("d", given["Tags"])
    assert value(manager) == "one"
    changed = {"SecretString": "two", "Tags": [{"Key": "l", "Value": "2"}]}
    assert cloud.update(secret(**changed)) == "UPDATE_COMPLETE"
    assert value(manager) == "two"
    found = manager.describe_secret(SecretId="db")
    assert (found.get("Description", ""), found["Tags"]) == ("", changed["Tags"])
    assert cloud.update(secret(**changed, Description="e")) == "UPDATE_COMPLETE"
    assert len(manager.list_secret_version_ids(SecretId="db")["Versions"]) == 2
    assert cloud.update(secret(**{**changed, "Name": "other"})) == "UPDATE_COMPLETE"
    assert names(manager) == ["other"]
    assert cloud.delete() == "DELETE_COMPLETE"
    assert names(manager) == []


def test_a_generated_secret(cloud: Cloud, manager: Any) -> None:
    rules = {"PasswordLength": 20, "ExcludePunctuation": "true"}
    assert cloud.create(secret(GenerateSecretString=rules)) == "CREATE_COMPLETE"
    first = value(manager)
    assert len(first) == 20
    assert first.isalnum()
    keyed = {**rules, "SecretStringTemplate": '{"user": "u"}', "GenerateStringKey": "password"}
    assert cloud.update(secret(GenerateSecretString=keyed)) == "UPDATE_COMPLETE"
    found = json.loads(value(manager))
    assert found["user"] == "u"
    assert len(found["password"]) == 20
    # A change of anything else draws no other one.
    assert cloud.update(secret(GenerateSecretString=keyed, Description="d")) == "UPDATE_COMPLETE"
    assert json.loads(value(manager)) == found


def test_a_generated_secret_is_the_same_after_a_rollback(cloud: Cloud, manager: Any) -> None:
    cloud.create(secret(GenerateSecretString={"PasswordLength": 20}))
    first = value(manager)
    broken = secret(GenerateSecretString={"PasswordLength": 30})
    failing = resource("S3::Bucket", BucketName="X")["Resources"]["R"]
    broken["Resources"]["Z"] = {**failing, "DependsOn": "R"}
    assert cloud.update(broken) == "UPDATE_ROLLBACK_COMPLETE"
    assert value(manager) == first
    refused = secret(GenerateSecretString={"PasswordLength": 5000}, Description="d")
    assert cloud.update(refused) == "UPDATE_ROLLBACK_COMPLETE"
    assert value(manager) == first
    assert "Description" not in manager.describe_secret(SecretId="db")


def test_a_given_secret_is_the_same_after_a_rollback(cloud: Cloud, manager: Any) -> None:
    cloud.create(secret(SecretString="one"))
    broken = secret(SecretString="two")
    failing = resource("S3::Bucket", BucketName="X")["Resources"]["R"]
    broken["Resources"]["Z"] = {**failing, "DependsOn": "R"}
    assert cloud.update(broken) == "UPDATE_ROLLBACK_COMPLETE"
    assert value(manager) == "one"


def test_a_secret_without_a_value(cloud: Cloud, manager: Any) -> None:
    assert cloud.create(secret()) == "CREATE_COMPLETE"
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    assert cloud.update(secret(SecretString="one")) == "UPDATE_COMPLETE"
    # Without one given the value stays.
    assert cloud.update(secret(Description="d")) == "UPDATE_COMPLETE"
    assert value(manager) == "one"


def test_drift_of_a_secret_shows_no_secret(cloud: Cloud, manager: Any) -> None:
    cloud.create(secret(Description="d", SecretString="hunter2"))
    manager.update_secret(SecretId="db", Description="e", SecretString="hunter3")
    assert cloud.drift() == {"R": ("MODIFIED", [("/Description", "NOT_EQUAL")])}
    found = cloud.stacks.describe_stack_resource_drifts(StackName="S")
    assert "hunter" not in json.dumps(found, default=str)
    manager.delete_secret(SecretId="db", RecoveryWindowInDays=7)
    assert cloud.drift() == {"R": ("DELETED", [])}


def test_somebody_elses_secret_stays(cloud: Cloud, manager: Any) -> None:
    manager.create_secret(Name="db", SecretString="theirs")
    assert cloud.create(secret(SecretString="ours")) == "ROLLBACK_COMPLETE"
    assert "already exists" in cloud.failures()[0][1]
    assert value(manager) == "theirs"


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"SecretString": "x", "GenerateSecretString": {}}, "can't specify both"),
        ({"GenerateSecretString": {"PasswordLength": "x"}}, "PasswordLength is a number"),
        ({"GenerateSecretString": {"PasswordLength": 0}}, "PasswordLength is a number"),
        ({"GenerateSecretString": {"GenerateStringKey": "k"}}, "must be a JSON object"),
        (
            {"GenerateSecretString": {"GenerateStringKey": "k", "SecretStringTemplate": "[]"}},
            "must be a JSON object",
        ),
        ({"GenerateSecretString": "x"}, "#/GenerateSecretString: expected type: JSONObject"),
        ({"Name": "a b"}, ""),
    ],
)
def test_secrets_that_are_refused(
    cloud: Cloud, manager: Any, properties: dict[str, Any], words: str
) -> None:
    assert cloud.create(secret(**properties)) == "ROLLBACK_COMPLETE"
    reason = cloud.failures()[0][1]
    assert words in reason
    assert reason != "Internal Failure"
    assert names(manager) == []


def test_properties_that_are_not_served(cloud: Cloud) -> None:
    answer = refusal(cloud.create, secret(ReplicaRegions=[{"Region": "us-west-2"}]))
    assert "The property ReplicaRegions of AWS::SecretsManager::Secret is not served" in answer[2]


def test_a_secret_is_adopted(cloud: Cloud, manager: Any) -> None:
    manager.create_secret(Name="db", SecretString="theirs")
    cloud.stacks.create_change_set(
        StackName="S", ChangeSetName="c", ChangeSetType="CREATE", ImportExistingResources=True,
        TemplateBody=json.dumps(secret(SecretString="ours")),
    )  # fmt: skip
    cloud.stacks.execute_change_set(StackName="S", ChangeSetName="c")
    assert cloud.status() == "CREATE_COMPLETE"
    assert value(manager) == "ours"


def test_a_secret_through_crashes(
    cloud: Cloud, manager: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.create(secret(GenerateSecretString={"PasswordLength": 20}))

    def check(place: int) -> None:
        assert cloud.status() == "UPDATE_COMPLETE"
        assert len(value(manager)) == (30, 20)[place]
        assert names(manager) == ["db"]

    steps = [
        lambda: cloud.update(secret(GenerateSecretString={"PasswordLength": 30})),
        lambda: cloud.update(secret(GenerateSecretString={"PasswordLength": 20})),
    ]
    assert cloud.through_crashes(monkeypatch, steps, check) > 5


def test_a_key_kept_as_a_secret(cloud: Cloud, manager: Any) -> None:
    """What CDK makes for SMTP: a user's key, its secret half in Secrets Manager."""
    resources = {
        "U": {"Type": "AWS::IAM::User"},
        "K": {"Type": "AWS::IAM::AccessKey", "Properties": {"UserName": {"Ref": "U"}}},
        "R": {
            "Type": "AWS::SecretsManager::Secret",
            "Properties": {"SecretString": {"Fn::GetAtt": ["K", "SecretAccessKey"]}},
        },
    }
    assert cloud.create(resources) == "CREATE_COMPLETE"
    given = value(manager, cloud.physical())
    assert cloud.client("sts", cloud.physical("K"), given).get_caller_identity()["Account"]
