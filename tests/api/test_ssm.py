"""Parameter Store through boto3: versions, kinds, paths, tags, policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.api import iam as iam_handlers
from mailstead.api import iam_policies, ssm
from mailstead.wire.template import TemplateError


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def ssm_door(tmp_path: Path, door: Any) -> Iterator[Any]:
    (tmp_path / "ssm").mkdir()
    made = type(door)(tmp_path / "ssm", [ssm, iam_handlers, iam_policies])
    yield made
    made.close()


def test_a_parameter_keeps_its_versions(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    assert client.put_parameter(Name="/a/b", Value="one", Type="String")["Version"] == 1
    assert code(client.put_parameter, Name="/a/b", Value="x") == "ParameterAlreadyExists"
    assert client.put_parameter(Name="/a/b", Value="two", Overwrite=True)["Version"] == 2
    found = client.get_parameter(Name="/a/b")["Parameter"]
    assert (found["Value"], found["Version"], found["Type"]) == ("two", 2, "String")
    assert found["ARN"].endswith(":parameter/a/b")
    assert client.get_parameter(Name="/a/b:1")["Parameter"]["Value"] == "one"
    assert client.get_parameter(Name=found["ARN"])["Parameter"]["Value"] == "two"
    assert code(client.get_parameter, Name="/a/b:9") == "ParameterVersionNotFound"
    client.delete_parameter(Name="/a/b")
    assert code(client.get_parameter, Name="/a/b") == "ParameterNotFound"
    assert code(client.delete_parameter, Name="/a/b") == "ParameterNotFound"


def test_a_secure_string_is_shown_when_asked_for_and_sealed(ssm_door: Any, tmp_path: Path) -> None:
    client = ssm_door.client("ssm")
    client.put_parameter(Name="password", Value="tell-nobody", Type="SecureString")
    assert "tell-nobody" not in client.get_parameter(Name="password")["Parameter"]["Value"]
    shown = client.get_parameter(Name="password", WithDecryption=True)["Parameter"]["Value"]
    assert shown == "tell-nobody"
    content = b"".join(path.read_bytes() for path in (tmp_path / "ssm").glob("mailstead.db*"))
    assert b"tell-nobody" not in content


def test_paths_and_lists(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    for name in ("/x/a", "/x/b", "/x/y/c", "/z"):
        client.put_parameter(Name=name, Value=name, Type="String")
    names = [
        one["Name"]
        for page in client.get_paginator("get_parameters_by_path").paginate(
            Path="/x", PaginationConfig={"PageSize": 1}
        )
        for one in page["Parameters"]
    ]
    assert names == ["/x/a", "/x/b"]
    deep = client.get_parameters_by_path(Path="/x", Recursive=True)["Parameters"]
    assert [one["Name"] for one in deep] == ["/x/a", "/x/b", "/x/y/c"]
    several = client.get_parameters(Names=["/z", "/nothing"])
    assert [one["Name"] for one in several["Parameters"]] == ["/z"]
    assert several["InvalidParameters"] == ["/nothing"]
    described = client.describe_parameters()["Parameters"]
    assert [one["Name"] for one in described] == ["/x/a", "/x/b", "/x/y/c", "/z"]
    assert client.delete_parameters(Names=["/z", "/no"]) | {"ResponseMetadata": None} == {
        "DeletedParameters": ["/z"],
        "InvalidParameters": ["/no"],
        "ResponseMetadata": None,
    }


@pytest.mark.parametrize(
    ("wrong", "wanted"),
    [
        ({"Name": "ssm/x", "Value": "x", "Type": "String"}, "ValidationException"),
        ({"Name": "/aws/x", "Value": "x", "Type": "String"}, "ValidationException"),
        ({"Name": "a b", "Value": "x", "Type": "String"}, "ValidationException"),
        ({"Name": "a", "Value": "x" * 4097, "Type": "String"}, "ValidationException"),
        ({"Name": "a", "Value": "x"}, "ValidationException"),
        (
            {"Name": "a", "Value": "x", "Type": "String", "AllowedPattern": "[0-9]+"},
            "ParameterPatternMismatchException",
        ),
        (
            {"Name": "a", "Value": "x", "Type": "String", "AllowedPattern": "("},
            "InvalidAllowedPatternException",
        ),
        ({"Name": "/a" * 16, "Value": "x", "Type": "String"}, "ParameterLimitExceeded"),
    ],
)
def test_what_is_wrong_is_refused(ssm_door: Any, wrong: dict[str, str], wanted: str) -> None:
    assert code(ssm_door.client("ssm").put_parameter, **wrong) == wanted


def test_tags(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    tags = [{"Key": "a", "Value": "1"}]
    client.put_parameter(Name="p", Value="x", Type="String", Tags=tags)
    client.add_tags_to_resource(
        ResourceType="Parameter", ResourceId="p", Tags=[{"Key": "b", "Value": "2"}]
    )
    client.remove_tags_from_resource(ResourceType="Parameter", ResourceId="p", TagKeys=["a"])
    listed = client.list_tags_for_resource(ResourceType="Parameter", ResourceId="p")["TagList"]
    assert listed == [{"Key": "b", "Value": "2"}]


def test_policies_name_parameters(ssm_door: Any) -> None:
    root, iam = ssm_door.client("ssm"), ssm_door.client("iam")
    root.put_parameter(Name="/ours/a", Value="x", Type="String")
    root.put_parameter(Name="/theirs/a", Value="x", Type="String")
    iam.create_user(UserName="u")
    iam.put_user_policy(
        UserName="u",
        PolicyName="p",
        PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":'
        '"ssm:GetParameter","Resource":"arn:aws:ssm:*:*:parameter/ours/*"}}',
    )
    key = iam.create_access_key(UserName="u")["AccessKey"]
    client = ssm_door.client("ssm", key["AccessKeyId"], key["SecretAccessKey"])
    assert client.get_parameter(Name="/ours/a")["Parameter"]["Value"] == "x"
    assert code(client.get_parameter, Name="/theirs/a") == "AccessDeniedException"


def test_who_may_not_decrypt(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    client.put_parameter(Name="/s/hidden", Value="tell-nobody", Type="SecureString")
    client.put_parameter(Name="/s/plain", Value="x", Type="String")
    iam = ssm_door.client("iam")
    iam.create_user(UserName="u")
    rules = [
        {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"},
    ]
    document = json.dumps({"Version": "2012-10-17", "Statement": rules})
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="u")["AccessKey"]
    user = ssm_door.client("ssm", key["AccessKeyId"], key["SecretAccessKey"])
    opened = {"WithDecryption": True}
    assert user.get_parameter(Name="/s/plain", **opened)["Parameter"]["Value"] == "x"
    assert user.get_parameter(Name="/s/hidden")["Parameter"]["Value"] != "tell-nobody"
    for call, asked in (
        (user.get_parameter, {"Name": "/s/hidden"}),
        (user.get_parameters, {"Names": ["/s/plain", "/s/hidden"]}),
        (user.get_parameters_by_path, {"Path": "/s"}),
        (user.get_parameter_history, {"Name": "/s/hidden"}),
    ):
        assert code(call, **asked, **opened) == "AccessDeniedException"


def test_filters(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    for name in ("/x/a", "/x/y/b", "c"):
        client.put_parameter(
            Name=name, Value="v", Type="String", Tags=[{"Key": "k", "Value": name[-1]}]
        )
    client.put_parameter(Name="/x/s", Value="v", Type="SecureString")

    def names(key: str, *values: str, option: str = "") -> list[str]:
        wanted: dict[str, Any] = {"Key": key}
        if values:
            wanted["Values"] = list(values)
        if option:
            wanted["Option"] = option
        found = client.describe_parameters(ParameterFilters=[wanted])["Parameters"]
        return [one["Name"] for one in found]

    assert names("Name", "c", "d") == ["c"]
    assert names("Name", "/x/", option="BeginsWith") == ["/x/a", "/x/s", "/x/y/b"]
    assert names("Name", "y", option="Contains") == ["/x/y/b"]
    assert names("Type", "SecureString") == ["/x/s"]
    assert names("Path", "/x") == ["/x/a", "/x/s"]
    assert names("Path", "/x", option="Recursive") == ["/x/a", "/x/s", "/x/y/b"]
    assert names("tag:k") == ["/x/a", "/x/y/b", "c"]
    assert names("tag:k", "b") == ["/x/y/b"]
    assert names("tag:other") == []
    wrong = [{"Key": "KeyId", "Values": ["x"]}]
    assert code(client.describe_parameters, ParameterFilters=wrong) == "ValidationException"
    assert code(client.describe_parameters, NextToken="x") == "InvalidNextToken"


def test_arns_of_others(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    client.put_parameter(Name="/a/b", Value="v", Type="String")
    arn = client.get_parameter(Name="/a/b")["Parameter"]["ARN"]
    assert client.get_parameter(Name=arn)["Parameter"]["Value"] == "v"
    for other in (arn.replace("111122223333", "999900001111"), arn.replace("east", "west")):
        assert code(client.get_parameter, Name=other) == "ParameterNotFound"


def test_other_refusals(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    tags = [{"Key": "a", "Value": "1"}]
    given = {"Name": "p", "Value": "x", "Type": "String"}
    assert code(client.put_parameter, **given, Tags=tags, Overwrite=True) == "ValidationException"
    client.put_parameter(**given)
    wrong = {"ResourceType": "Document", "ResourceId": "p"}
    assert code(client.list_tags_for_resource, **wrong) == "ValidationException"
    many = [{"Key": f"k{number}", "Value": ""} for number in range(51)]
    more = {"ResourceType": "Parameter", "ResourceId": "p", "Tags": many}
    assert code(client.add_tags_to_resource, **more) in {
        "ParameterLimitExceeded",
        "ValidationException",
    }


def test_dynamic_references(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    client.put_parameter(Name="/a", Value="1", Type="String")
    client.put_parameter(Name="/a", Value="2", Overwrite=True)
    client.put_parameter(Name="/s", Value="3", Type="SecureString")

    told: list[tuple[str, str]] = []

    def resolved(reference: str, *, secure: bool = False) -> str:
        parameters, scope = ssm_door.ports.parameters, ssm_door.scope

        def may(action: str, arn: str) -> None:
            told.append((action, arn))

        return ssm_door.run(parameters.resolved(scope, reference, may, secure=secure))

    assert [resolved("/a"), resolved("/a:1"), resolved("/s", secure=True)] == ["2", "1", "3"]
    arn = f"arn:aws:ssm:us-east-1:{ssm_door.scope.account}:parameter"
    assert told == [("ssm:GetParameters", f"{arn}/{name}") for name in ("a", "a", "s")]
    for reference, secure in (("/none", False), ("/a:9", False), ("/s", False), ("/a", True)):
        with pytest.raises(TemplateError):
            resolved(reference, secure=secure)
    assert ssm_door.run(ssm_door.ports.parameters.values(ssm_door.scope)) == {"/a": "2"}


def test_a_pattern_that_would_never_end(ssm_door: Any) -> None:
    client = ssm_door.client("ssm")
    wanted = {"Name": "a", "Value": "a" * 4000 + "b", "Type": "String"}
    ends = code(client.put_parameter, **wanted, AllowedPattern="(a+)+$")
    assert ends == "ParameterPatternMismatchException"
    assert (
        code(client.put_parameter, **wanted, AllowedPattern="(") == "InvalidAllowedPatternException"
    )
