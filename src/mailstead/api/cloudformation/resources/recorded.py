"""Types that `cdk bootstrap` names and mail needs nothing of: recorded, and nothing more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    create_only_changed,
)

_REPOSITORY = (
    "EmptyOnDelete",
    "EncryptionConfiguration",
    "ImageScanningConfiguration",
    "ImageTagMutability",
    "LifecyclePolicy",
    "RepositoryPolicyText",
    "Tags",
)
_KEY = (
    "BypassPolicyLockoutSafetyCheck",
    "Description",
    "EnableKeyRotation",
    "Enabled",
    "KeyPolicy",
    "KeySpec",
    "KeyUsage",
    "PendingWindowInDays",
    "Tags",
)


class _Recorded(ABC):
    """What the stack keeps is all there is."""

    schema: ClassVar[Schema]

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        return

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        return given

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        return self.made(at, name, given)

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        return self.made(at, physical_id, new)

    @abstractmethod
    def made(self, at: Context, name: str, given: Properties) -> Made:
        """What it gives to Ref and GetAtt."""


class EcrRepository(_Recorded):
    """A repository of images, which mailstead has none of."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::ECR::Repository",
        properties={"RepositoryName": None, **dict.fromkeys(_REPOSITORY, ANY)},
        create_only=("RepositoryName",),
        attributes=("Arn", "RepositoryUri"),
        name="RepositoryName",
        lower_case=True,
        recorded=("RepositoryName", *_REPOSITORY),
    )

    def made(self, at: Context, name: str, given: Properties) -> Made:
        where = f"{at.scope.account}.dkr.ecr.{at.scope.region}.amazonaws.com"
        arn = f"arn:aws:ecr:{at.scope.region}:{at.scope.account}:repository/{name}"
        return Made(name, {"Arn": arn, "RepositoryUri": f"{where}/{name}"})


class KmsKey(_Recorded):
    """A key; mailstead seals its secrets under its own."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::KMS::Key",
        properties=dict.fromkeys(_KEY, ANY),
        attributes=("Arn", "KeyId"),
        recorded=_KEY,
    )

    def made(self, at: Context, name: str, given: Properties) -> Made:
        arn = f"arn:aws:kms:{at.scope.region}:{at.scope.account}:key/{name}"
        return Made(name, {"Arn": arn, "KeyId": name})


class KmsAlias(_Recorded):
    """Another name of a key."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::KMS::Alias",
        properties={"AliasName": None, "TargetKeyId": None},
        required=("AliasName", "TargetKeyId"),
        create_only=("AliasName",),
        name="AliasName",
        recorded=("AliasName", "TargetKeyId"),
    )

    def made(self, at: Context, name: str, given: Properties) -> Made:
        return Made(name)
