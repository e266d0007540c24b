"""Secrets Manager operations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mailstead.api.bucket_policies import is_public
from mailstead.api.operation import Call, operation
from mailstead.api.secrets import (
    CURRENT,
    Given,
    PasswordRules,
    Secret,
    Secrets,
    Version,
    version_of,
)
from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.policies import PolicyKind, parse_policy

Params = dict[str, Any]
PAGE = 100


def secrets(call: Call) -> Secrets:
    """What is done with secrets."""
    return call.ports.secrets


async def required(call: Call, action: str, p: Params, *, deleted: bool = False) -> Secret:
    """The secret, once the caller may do that to it.

    Who may nothing is refused before being told whether there is one.
    """
    named = p["SecretId"]
    found = await secrets(call).find(call.scope, named)
    start = f"arn:aws:secretsmanager:{call.scope.region}:{call.scope.account}:secret:"
    arn = found.arn if found else named if named.startswith("arn:") else f"{start}{named}-??????"
    policies = found.policies if found else ()
    if call.principal.is_root and action.endswith("ResourcePolicy"):
        # No policy keeps the root user from taking it away.
        policies = ()
    call.authorise(f"secretsmanager:{action}", [arn], policies=policies)
    return await secrets(call).require(call.scope, named, deleted=deleted)


def new_arn(call: Call, p: Params) -> list[str]:
    """The ARN that a secret of this name will have, but for its end."""
    start = f"arn:aws:secretsmanager:{call.scope.region}:{call.scope.account}:secret:"
    return [f"{start}{p['Name']}-??????"]


def given_value(p: Params) -> Given | None:
    """The value of a request, if it has one."""
    text, binary = p.get("SecretString"), p.get("SecretBinary")
    if text is not None and binary is not None:
        raise Invalid(
            "You can't specify both a binary secret value and a string secret value in the same "
            "secret.",
            resource="secret",
        )
    if binary is not None:
        return Given(bytes(binary), binary=True)
    return Given(str(text).encode()) if text is not None else None


def tags(p: Params) -> dict[str, str]:
    """Tags as a mapping."""
    return {one["Key"]: one.get("Value", "") for one in p.get("Tags", [])}


def named(secret: Secret, version: Version | None = None) -> Params:
    """What most answers say about a secret."""
    found: Params = {"ARN": secret.arn, "Name": secret.name}
    return found | ({"VersionId": version.version_id} if version is not None else {})


def described(secret: Secret) -> Params:
    """A secret without its values."""
    found: Params = named(secret) | {
        "LastChangedDate": secret.changed_at / 1000,
        "CreatedDate": secret.created_at / 1000,
        "RotationEnabled": False,
    }
    if secret.description:
        found["Description"] = secret.description
    if secret.key_id:
        found["KmsKeyId"] = secret.key_id
    if secret.tags:
        found["Tags"] = [{"Key": key, "Value": value} for key, value in secret.tags.items()]
    if secret.deleted_at:
        found["DeletedDate"] = secret.deleted_at / 1000
    return found


def stages(secret: Secret) -> dict[str, list[str]]:
    """Stages by version, for versions that have some."""
    return {one.version_id: list(one.stages) for one in secret.versions if one.stages}


def opened(secret: Secret, version: Version) -> Params:
    """A secret with a value."""
    key = "SecretBinary" if version.binary else "SecretString"
    value = bytes(version.value) if version.binary else version.value.decode()
    return named(secret, version) | {
        key: value,
        "VersionStages": list(version.stages),
        "CreatedDate": version.at / 1000,
    }


@operation("secretsmanager", "CreateSecret", resources=new_arn)
async def create_secret(call: Call, p: Params) -> Params:
    if p.get("AddReplicaRegions"):
        raise Invalid("Replica Regions are not served by mailstead", resource="secret")
    made = await secrets(call).create(
        call.scope,
        p["Name"],
        given_value(p),
        token=p.get("ClientRequestToken", ""),
        description=p.get("Description", ""),
        key_id=p.get("KmsKeyId", ""),
        tags=tags(p),
    )
    return named(made, made.versions[-1] if made.versions else None)


@operation("secretsmanager", "GetSecretValue", open_=True)
async def get_secret_value(call: Call, p: Params) -> Params:
    secret = await required(call, "GetSecretValue", p)
    call.authorise_decryption("alias/aws/secretsmanager")
    version_id, stage = p.get("VersionId", ""), p.get("VersionStage", "")
    version = version_of(secret, version_id, stage)
    if version is None:
        label = version_id or f"staging label: {stage or CURRENT}"
        raise NotFound(
            f"Secrets Manager can't find the specified secret value for {label}",
            resource="version",
            name=secret.name,
        )
    return opened(secret, version)


@operation("secretsmanager", "BatchGetSecretValue")
async def batch_get_secret_value(call: Call, p: Params) -> Params:
    if p.get("Filters") or not p.get("SecretIdList"):
        raise Invalid("Filters are not served by mailstead: give SecretIdList", resource="secret")
    values: list[Params] = []
    errors: list[Params] = []
    for one in p["SecretIdList"]:
        secret = await secrets(call).find(call.scope, one)
        version = version_of(secret) if secret is not None and not secret.deleted_at else None
        if secret is None or version is None:
            text = "Secrets Manager can't find the specified secret."
            code = "ResourceNotFoundException"
            errors.append({"SecretId": one, "ErrorCode": code, "Message": text})
            continue
        call.authorise("secretsmanager:GetSecretValue", [secret.arn], policies=secret.policies)
        call.authorise_decryption("alias/aws/secretsmanager")
        values.append(opened(secret, version))
    return {"SecretValues": values, "Errors": errors}


@operation("secretsmanager", "PutSecretValue", open_=True)
async def put_secret_value(call: Call, p: Params) -> Params:
    secret = await required(call, "PutSecretValue", p)
    value = given_value(p)
    if value is None:
        raise Invalid("You must provide either SecretString or SecretBinary.", resource="secret")
    secret, version = await secrets(call).put(
        secret, value, p.get("ClientRequestToken", ""), p.get("VersionStages") or (CURRENT,)
    )
    return named(secret, version) | {"VersionStages": list(version.stages)}


@operation("secretsmanager", "UpdateSecret", open_=True)
async def update_secret(call: Call, p: Params) -> Params:
    secret = await required(call, "UpdateSecret", p)
    changes = {
        field: p[name]
        for name, field in (("Description", "description"), ("KmsKeyId", "key_id"))
        if name in p
    }
    value, version = given_value(p), None
    # The value comes last: done again, a change is the same, and another value is not.
    if changes:
        secret = await secrets(call).change(secret, **changes)
    if value is not None:
        secret, version = await secrets(call).put(secret, value, p.get("ClientRequestToken", ""))
    return named(secret, version)


@operation("secretsmanager", "UpdateSecretVersionStage", open_=True)
async def update_secret_version_stage(call: Call, p: Params) -> Params:
    secret = await required(call, "UpdateSecretVersionStage", p)
    moved = await secrets(call).move(
        secret, p["VersionStage"], p.get("RemoveFromVersionId", ""), p.get("MoveToVersionId", "")
    )
    return named(moved)


@operation("secretsmanager", "DescribeSecret", open_=True)
async def describe_secret(call: Call, p: Params) -> Params:
    secret = await required(call, "DescribeSecret", p, deleted=True)
    return described(secret) | {"VersionIdsToStages": stages(secret)}


@operation("secretsmanager", "ListSecretVersionIds", open_=True)
async def list_secret_version_ids(call: Call, p: Params) -> Params:
    secret = await required(call, "ListSecretVersionIds", p, deleted=True)
    shown = [one for one in secret.versions if one.stages or p.get("IncludeDeprecated")]
    return named(secret) | {
        "Versions": [
            {
                "VersionId": one.version_id,
                "CreatedDate": one.at / 1000,
                **({"VersionStages": list(one.stages)} if one.stages else {}),
            }
            for one in shown
        ]
    }


@operation("secretsmanager", "ListSecrets")
async def list_secrets(call: Call, p: Params) -> Params:
    found = [
        one
        for one in await secrets(call).listed(call.scope)
        if (p.get("IncludePlannedDeletion") or not one.deleted_at) and _matches(one, p)
    ]
    after, size = p.get("NextToken", ""), p.get("MaxResults", PAGE)
    if p.get("SortOrder") == "desc":
        found.reverse()
    begin = next((place + 1 for place, one in enumerate(found) if one.name == after), 0)
    if after and not begin:
        raise Invalid("The NextToken value is invalid.", resource="token")
    page = found[begin : begin + size]
    result: Params = {
        "SecretList": [described(one) | {"SecretVersionsToStages": stages(one)} for one in page]
    }
    if begin + size < len(found):
        result["NextToken"] = page[-1].name
    return result


def _matches(secret: Secret, p: Params) -> bool:
    every = {
        "name": [secret.name],
        "description": [secret.description],
        "tag-key": list(secret.tags),
        "tag-value": list(secret.tags.values()),
    }
    every["all"] = [text for texts in every.values() for text in texts]
    for wanted in p.get("Filters", []):
        texts = every.get(wanted["Key"], [])
        if not any(_begins(text, value) for value in wanted["Values"] for text in texts):
            return False
    return True


def _begins(text: str, value: str) -> bool:
    """Filters match beginnings of words; a leading ``!`` means the opposite."""
    wanted = value.removeprefix("!").lower()
    return text.lower().startswith(wanted) != value.startswith("!")


@operation("secretsmanager", "DeleteSecret", open_=True)
async def delete_secret(call: Call, p: Params) -> Params:
    force = bool(p.get("ForceDeleteWithoutRecovery"))
    call_secret = await required(call, "DeleteSecret", p, deleted=force)
    gone = await secrets(call).delete(call_secret, p.get("RecoveryWindowInDays"), now=force)
    return named(call_secret) | {"DeletionDate": gone / 1000}


@operation("secretsmanager", "RestoreSecret", open_=True)
async def restore_secret(call: Call, p: Params) -> Params:
    secret = await required(call, "RestoreSecret", p, deleted=True)
    return named(await secrets(call).change(secret, deleted_at=0, gone_at=0))


@operation("secretsmanager", "TagResource", open_=True)
async def tag_resource(call: Call, p: Params) -> None:
    await secrets(call).tag(await required(call, "TagResource", p), tags(p))


@operation("secretsmanager", "UntagResource", open_=True)
async def untag_resource(call: Call, p: Params) -> None:
    secret = await required(call, "UntagResource", p)
    kept = {key: value for key, value in secret.tags.items() if key not in p["TagKeys"]}
    await secrets(call).change(secret, tags=kept)


@operation("secretsmanager", "GetResourcePolicy", open_=True)
async def get_resource_policy(call: Call, p: Params) -> Params:
    secret = await required(call, "GetResourcePolicy", p, deleted=True)
    return named(secret) | ({"ResourcePolicy": secret.policy} if secret.policy else {})


@operation("secretsmanager", "PutResourcePolicy", open_=True)
async def put_resource_policy(call: Call, p: Params) -> Params:
    secret = await required(call, "PutResourcePolicy", p)
    policy = parse_policy(p["ResourcePolicy"], PolicyKind.RESOURCE)
    if p.get("BlockPublicPolicy") and is_public(policy):
        raise Invalid(
            "You can't attach a resource policy that allows broad access to the secret.",
            resource="policy",
            reason="public",
        )
    return named(await secrets(call).change(secret, policy=p["ResourcePolicy"]))


@operation("secretsmanager", "DeleteResourcePolicy", open_=True)
async def delete_resource_policy(call: Call, p: Params) -> Params:
    secret = await required(call, "DeleteResourcePolicy", p)
    return named(await secrets(call).change(secret, policy=""))


@operation("secretsmanager", "ValidateResourcePolicy")
async def validate_resource_policy(call: Call, p: Params) -> Params:
    try:
        parse_policy(p["ResourcePolicy"], PolicyKind.RESOURCE)
    except Invalid as error:
        problem = {"CheckName": "SYNTAX", "ErrorMessage": error.text}
        return {"PolicyValidationPassed": False, "ValidationErrors": [problem]}
    return {"PolicyValidationPassed": True, "ValidationErrors": []}


@operation("secretsmanager", "GetRandomPassword")
async def get_random_password(call: Call, p: Params) -> Params:
    return {"RandomPassword": secrets(call).drawn(rules_of(p))}


def rules_of(p: Params) -> PasswordRules:
    """The rules of GetRandomPassword and of ``GenerateSecretString``, which have the same names."""
    rules = PasswordRules(
        length=int(p.get("PasswordLength", 32)),
        excluded=str(p.get("ExcludeCharacters", "")),
    )
    return replace(
        rules,
        no_numbers=bool(p.get("ExcludeNumbers")),
        no_punctuation=bool(p.get("ExcludePunctuation")),
        no_upper=bool(p.get("ExcludeUppercase")),
        no_lower=bool(p.get("ExcludeLowercase")),
        space=bool(p.get("IncludeSpace")),
        every_kind=bool(p.get("RequireEachIncludedType", True)),
    )
