"""Secrets Manager through boto3: versions and stages, deletion, passwords, policies."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.api import iam as iam_handlers
from mailstead.api import iam_policies, secretsmanager
from mailstead.wire.template import TemplateError


def code(call: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


@pytest.fixture
def vault(tmp_path: Path, door: Any) -> Iterator[Any]:
    (tmp_path / "vault").mkdir()
    made = type(door)(tmp_path / "vault", [secretsmanager, iam_handlers, iam_policies])
    yield made
    made.close()


def test_a_secret_and_its_stages(vault: Any, tmp_path: Path) -> None:
    client = vault.client("secretsmanager")
    made = client.create_secret(Name="smtp/password", SecretString="first-value")
    assert code(client.create_secret, Name="smtp/password") == "ResourceExistsException"
    found = client.get_secret_value(SecretId="smtp/password")
    assert (found["SecretString"], found["VersionStages"]) == ("first-value", ["AWSCURRENT"])
    assert found["ARN"] == made["ARN"]
    client.put_secret_value(SecretId=made["ARN"], SecretBinary=b"\x00\x01")
    assert client.get_secret_value(SecretId=made["ARN"][:-7])["SecretBinary"] == b"\x00\x01"
    previous = client.get_secret_value(SecretId=made["ARN"], VersionStage="AWSPREVIOUS")
    assert previous["SecretString"] == "first-value"
    client.update_secret_version_stage(
        SecretId="smtp/password",
        VersionStage="AWSCURRENT",
        RemoveFromVersionId=client.get_secret_value(SecretId="smtp/password")["VersionId"],
        MoveToVersionId=made["VersionId"],
    )
    assert client.get_secret_value(SecretId="smtp/password")["SecretString"] == "first-value"
    described = client.describe_secret(SecretId="smtp/password")
    stages = sorted(tuple(sorted(one)) for one in described["VersionIdsToStages"].values())
    assert stages == [("AWSCURRENT",), ("AWSPREVIOUS",)]
    content = b"".join(path.read_bytes() for path in (tmp_path / "vault").glob("mailstead.db*"))
    assert b"first-value" not in content


def test_the_same_token_makes_one_version(vault: Any) -> None:
    client = vault.client("secretsmanager")
    token = "t" * 32
    client.create_secret(Name="s", SecretString="a", ClientRequestToken=token)
    client.create_secret(Name="s", SecretString="a", ClientRequestToken=token)
    client.put_secret_value(SecretId="s", SecretString="a", ClientRequestToken=token)
    assert len(client.list_secret_version_ids(SecretId="s")["Versions"]) == 1
    again = code(
        client.put_secret_value, SecretId="s", SecretString="other", ClientRequestToken=token
    )
    assert again == "ResourceExistsException"


def test_deletion_waits_and_can_be_taken_back(vault: Any) -> None:
    client = vault.client("secretsmanager")
    client.create_secret(Name="s", SecretString="a")
    client.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    assert code(client.get_secret_value, SecretId="s") == "InvalidRequestException"
    assert code(client.create_secret, Name="s") == "InvalidRequestException"
    assert client.list_secrets()["SecretList"] == []
    client.restore_secret(SecretId="s")
    assert client.get_secret_value(SecretId="s")["SecretString"] == "a"
    client.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    assert code(client.describe_secret, SecretId="s") == "ResourceNotFoundException"
    wrong = code(client.delete_secret, SecretId="s", RecoveryWindowInDays=7)
    assert wrong == "ResourceNotFoundException"


def test_a_window_that_is_over(vault: Any) -> None:
    client = vault.client("secretsmanager")
    client.create_secret(Name="s", SecretString="a")
    assert code(client.delete_secret, SecretId="s", RecoveryWindowInDays=3) == (
        "InvalidParameterException"
    )
    client.delete_secret(SecretId="s", RecoveryWindowInDays=7)
    vault.clock.now = lambda: vault.clock.real() + 8 * 24 * 3600 * 1000
    assert code(client.describe_secret, SecretId="s") == "ResourceNotFoundException"


def test_lists_tags_and_changes(vault: Any) -> None:
    client = vault.client("secretsmanager")
    for name in ("a/1", "a/2", "b/1"):
        client.create_secret(Name=name, SecretString=name, Tags=[{"Key": "k", "Value": name}])
    listed = client.list_secrets(Filters=[{"Key": "name", "Values": ["a/"]}], MaxResults=1)
    assert [one["Name"] for one in listed["SecretList"]] == ["a/1"]
    more = client.list_secrets(NextToken=listed["NextToken"], SortOrder="asc")["SecretList"]
    assert [one["Name"] for one in more] == ["a/2", "b/1"]
    client.tag_resource(SecretId="b/1", Tags=[{"Key": "x", "Value": "y"}])
    client.untag_resource(SecretId="b/1", TagKeys=["k"])
    client.update_secret(SecretId="b/1", Description="ours", SecretString="new")
    described = client.describe_secret(SecretId="b/1")
    assert (described["Description"], described["Tags"]) == (
        "ours",
        [{"Key": "x", "Value": "y"}],
    )
    several = client.batch_get_secret_value(SecretIdList=["b/1", "none"])
    assert [one["SecretString"] for one in several["SecretValues"]] == ["new"]
    assert [one["ErrorCode"] for one in several["Errors"]] == ["ResourceNotFoundException"]


def test_passwords_have_what_is_asked_for(vault: Any) -> None:
    client = vault.client("secretsmanager")
    for length in (4, 5, 32):
        text = client.get_random_password(PasswordLength=length)["RandomPassword"]
        assert len(text) == length
        for kind in (string.ascii_lowercase, string.ascii_uppercase, string.digits):
            assert set(kind) & set(text)
    text = client.get_random_password(
        PasswordLength=64, ExcludePunctuation=True, ExcludeCharacters="abc", ExcludeNumbers=True
    )["RandomPassword"]
    assert set(text) <= set(string.ascii_letters) - set("abc")
    assert code(client.get_random_password, PasswordLength=2) == "InvalidParameterException"


def test_dynamic_references(vault: Any) -> None:
    client = vault.client("secretsmanager")
    arn = client.create_secret(Name="s", SecretString='{"user": "u", "port": 25}')["ARN"]
    secrets = vault.gateway._ports.secrets
    told: list[Any] = []
    for reference, wanted in (
        ("s:SecretString:user", "u"),
        ("s:SecretString:port:AWSCURRENT", "25"),
        (f"{arn}:SecretString:user::", "u"),
        ("s", '{"user": "u", "port": 25}'),
    ):
        assert vault.run(secrets.resolved(vault.scope, reference, told.append)) == wanted
    for reference in ("none", "s:SecretString:nothing", "s:SecretBinary", "s:SecretString::OTHER"):
        with pytest.raises(TemplateError):
            vault.run(secrets.resolved(vault.scope, reference, told.append))
    assert {one.arn for one in told} == {arn}


def test_who_may_not_is_told_nothing(vault: Any) -> None:
    root, iam = vault.client("secretsmanager"), vault.client("iam")
    root.create_secret(Name="ours", SecretString="x")
    root.create_secret(Name="theirs", SecretString="x")
    iam.create_user(UserName="u")
    iam.put_user_policy(
        UserName="u",
        PolicyName="p",
        PolicyDocument='{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":'
        '"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:*:*:secret:ours-??????"}}',
    )
    key = iam.create_access_key(UserName="u")["AccessKey"]
    client = vault.client("secretsmanager", key["AccessKeyId"], key["SecretAccessKey"])
    assert client.get_secret_value(SecretId="ours")["SecretString"] == "x"
    for name in ("theirs", "nothing"):
        assert code(client.get_secret_value, SecretId=name) == "AccessDeniedException"


def rule(effect: str, action: str, **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": action, "Resource": "*", **more}


def document(*rules: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(rules)})


def test_policies_of_secrets(vault: Any) -> None:
    client = vault.client("secretsmanager")
    client.create_secret(Name="s", SecretString="a")
    iam = vault.client("iam")
    arn = iam.create_user(UserName="u")["User"]["Arn"]
    key = iam.create_access_key(UserName="u")["AccessKey"]
    user = vault.client("secretsmanager", key["AccessKeyId"], key["SecretAccessKey"])
    assert "ResourcePolicy" not in client.get_resource_policy(SecretId="s")
    text = document(rule("Allow", "secretsmanager:GetSecretValue", Principal={"AWS": arn}))
    client.put_resource_policy(SecretId="s", ResourcePolicy=text, BlockPublicPolicy=True)
    assert client.get_resource_policy(SecretId="s")["ResourcePolicy"] == text
    assert user.get_secret_value(SecretId="s")["SecretString"] == "a"
    assert code(user.describe_secret, SecretId="s") == "AccessDeniedException"
    nobody = document(rule("Deny", "secretsmanager:*", Principal="*"))
    client.put_resource_policy(SecretId="s", ResourcePolicy=nobody)
    assert code(client.get_secret_value, SecretId="s") == "AccessDeniedException"
    client.delete_resource_policy(SecretId="s")
    assert code(user.get_secret_value, SecretId="s") == "AccessDeniedException"
    assert client.get_secret_value(SecretId="s")["SecretString"] == "a"


def test_policies_that_are_none(vault: Any) -> None:
    client = vault.client("secretsmanager")
    client.create_secret(Name="s", SecretString="a")
    put = client.put_resource_policy
    assert code(put, SecretId="s", ResourcePolicy="{") == "MalformedPolicyDocumentException"
    public = document(rule("Allow", "secretsmanager:*", Principal="*"))
    assert (
        code(put, SecretId="s", ResourcePolicy=public, BlockPublicPolicy=True)
        == "PublicPolicyException"
    )
    assert client.validate_resource_policy(ResourcePolicy=public)["PolicyValidationPassed"]
    found = client.validate_resource_policy(ResourcePolicy="{")
    assert (found["PolicyValidationPassed"], len(found["ValidationErrors"])) == (False, 1)


def test_who_may_not_decrypt(vault: Any) -> None:
    client = vault.client("secretsmanager")
    client.create_secret(Name="s", SecretString="a")
    iam = vault.client("iam")
    iam.create_user(UserName="u")
    text = document(rule("Allow", "secretsmanager:*"), rule("Deny", "kms:Decrypt"))
    iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=text)
    key = iam.create_access_key(UserName="u")["AccessKey"]
    user = vault.client("secretsmanager", key["AccessKeyId"], key["SecretAccessKey"])
    assert user.describe_secret(SecretId="s")["Name"] == "s"
    assert code(user.get_secret_value, SecretId="s") == "AccessDeniedException"
    assert code(user.batch_get_secret_value, SecretIdList=["s"]) == "AccessDeniedException"
