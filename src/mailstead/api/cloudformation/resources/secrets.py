"""``AWS::SecretsManager::Secret``."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
    tags_of,
    truth,
)
from mailstead.api.secrets import CURRENT, PREVIOUS, Given, Secret, version_of
from mailstead.api.secretsmanager import rules_of
from mailstead.mail.errors import Conflict, Invalid

LONGEST_PASSWORD = 4096
_FLAGS = (
    "ExcludeLowercase",
    "ExcludeNumbers",
    "ExcludePunctuation",
    "ExcludeUppercase",
    "IncludeSpace",
)


class SecretsManagerSecret:
    """A secret, its value given or generated once."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::SecretsManager::Secret",
        properties={
            "Description": None,
            "GenerateSecretString": {
                "ExcludeCharacters": None,
                **dict.fromkeys(_FLAGS),
                "GenerateStringKey": None,
                "PasswordLength": None,
                "RequireEachIncludedType": None,
                "SecretStringTemplate": None,
            },
            "KmsKeyId": None,
            "Name": None,
            "ReplicaRegions": ANY,
            "SecretString": None,
            "Tags": ANY,
        },
        create_only=("Name",),
        attributes=("Id",),
        name="Name",
        recorded=("KmsKeyId",),
        refused=("ReplicaRegions",),
        secret=("SecretString",),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        at.authorise("secretsmanager:CreateSecret", f"{_start(at)}{name}-??????")
        secrets = at.ports.secrets
        text = self._value(at, given)
        try:
            made = await secrets.create(
                at.scope,
                name,
                Given(text.encode()) if text is not None else None,
                description=str(given.get("Description", "")),
                key_id=str(given.get("KmsKeyId", "")),
                tags=tags_of(given),
            )
        except Conflict:
            if not (at.resuming or at.importing):
                raise
            made = await secrets.require(at.scope, name)
            if at.importing:
                return await self.update(at, made.arn, {}, given)
        return Made(made.arn, {"Id": made.arn})

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        at.authorise("secretsmanager:UpdateSecret", physical_id)
        secrets = at.ports.secrets
        secret = await secrets.require(at.scope, physical_id)
        removed = set(tags_of(old)) - set(tags_of(new))
        tags = {key: value for key, value in secret.tags.items() if key not in removed}
        secret = await secrets.change(
            secret,
            description=str(new.get("Description", "")),
            key_id=str(new.get("KmsKeyId", "")),
            tags=tags | tags_of(new),
        )
        keys = ("SecretString", "GenerateSecretString")
        if any(old.get(key) != new.get(key) for key in keys):
            await self._renew(at, secret, new)
        return Made(physical_id, {"Id": physical_id})

    async def _renew(self, at: Context, secret: Secret, given: Properties) -> None:
        """Give a secret its new value; an undone one that was generated is the one before."""
        current, previous = version_of(secret), version_of(secret, stage=PREVIOUS)
        if at.undoing and "GenerateSecretString" in given:
            if at.undoing == "COMPLETE" and current is not None and previous is not None:
                await at.ports.secrets.move(
                    secret, CURRENT, current.version_id, previous.version_id
                )
            return
        text = self._value(at, given)
        if text is not None:
            await at.ports.secrets.put(secret, Given(text.encode()))

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("secretsmanager:DeleteSecret", physical_id)
        secret = await at.ports.secrets.find(at.scope, physical_id)
        if secret is not None:
            await at.ports.secrets.delete(secret, None, now=True)

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        secret: Secret | None = await at.ports.secrets.find(at.scope, physical_id)
        if secret is None or secret.deleted_at:
            return None
        found = dict(given)
        if "Description" in given:
            found["Description"] = secret.description
        version = version_of(secret)
        if "SecretString" in given and version is not None:
            found["SecretString"] = version.value.decode()
        return found

    def _value(self, at: Context, given: Properties) -> str | None:
        generate: dict[str, Any] | None = given.get("GenerateSecretString")
        if generate is None:
            text = given.get("SecretString")
            return str(text) if text is not None else None
        if "SecretString" in given:
            raise Invalid(
                "You can't specify both SecretString and GenerateSecretString", resource="secret"
            )
        flags = {name: truth(generate.get(name)) for name in _FLAGS}
        flags["RequireEachIncludedType"] = truth(generate.get("RequireEachIncludedType"), True)
        length = str(generate.get("PasswordLength", 32))
        if not length.isdecimal() or not 1 <= int(length) <= LONGEST_PASSWORD:
            raise Invalid(
                f"PasswordLength is a number of 1 to {LONGEST_PASSWORD}, not {length}",
                resource="secret",
            )
        password = at.ports.secrets.drawn(rules_of(generate | flags | {"PasswordLength": length}))
        key, template = generate.get("GenerateStringKey"), generate.get("SecretStringTemplate")
        if key is None and template is None:
            return password
        try:
            members = json.loads(str(template))
            members[str(key)] = password
        except (ValueError, TypeError):
            raise Invalid(
                "SecretStringTemplate must be a JSON object, with GenerateStringKey beside it",
                resource="secret",
            ) from None
        return json.dumps(members)


def _start(at: Context) -> str:
    return f"arn:aws:secretsmanager:{at.scope.region}:{at.scope.account}:secret:"
