"""What `cdk bootstrap` would make, made beforehand: CDK deploys into an account at once.

The parameter with the version, the bucket for templates, and the five roles that
the CLI assumes or passes. An account gets them once a region: what its owner deletes
stays deleted. Source: CDK's bootstrap template, version 33.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from mailstead.api.bucket_model import EVERYWHERE, Bucket
from mailstead.api.parameters import Parameter, Value
from mailstead.mail.credentials import REGIONS
from mailstead.mail.errors import Conflict
from mailstead.mail.iam import Iam, Role, new_id
from mailstead.mail.model import Scope, Secret
from mailstead.mail.ports import Create

QUALIFIER = "hnb659fds"
VERSION = "33"
SERVICES = frozenset({"cloudformation", "s3", "ssm", "sts"})
"""Whose first call in a region finds it bootstrapped."""
_AWS = "arn:aws:iam::aws:policy/"


@dataclass(frozen=True, slots=True)
class Bootstrapped:
    """That an account has been bootstrapped in a region."""

    KIND: ClassVar[str] = "bootstrapped"
    scope: Scope
    name: str
    made_at: int


class Bootstrap:
    """Bootstraps accounts."""

    def __init__(self, iam: Iam, regions: Sequence[str] = REGIONS) -> None:
        self._iam = iam
        self._regions = frozenset(regions)
        self._known: set[Scope] = set()

    async def arrive(self, service: str, scope: Scope) -> None:
        """Bootstrap a region before the first call of a service that looks for it."""
        if scope not in self._known and service in SERVICES and scope.region in self._regions:
            await self.ensure(scope)

    async def ensure(self, scope: Scope) -> None:
        """Bootstrap an account in a region, unless that was done before."""
        store, now = self._iam.store, self._iam.clock.now()
        if await store.get(Bootstrapped, scope, QUALIFIER) is None:
            marker = Bootstrapped(scope, QUALIFIER, now)
            wanted = [marker, *self._roles(scope), bucket(scope, now), parameter(scope, now)]
            missing = [
                one for one in wanted if await store.get(type(one), one.scope, one.name) is None
            ]
            try:
                await self._iam.apply(*map(Create, missing))
            except Conflict:
                # Somebody made some of it in this moment: the next call looks again.
                return
        self._known.add(scope)

    def _roles(self, scope: Scope) -> list[Role]:
        made: list[Role] = []
        for purpose, (trust, inline, attached) in role_policies(scope).items():
            name = role_name(purpose, scope)
            made.append(
                Role(
                    scope.everywhere(),
                    name.lower(),
                    name,
                    new_id("AROA", self._iam.randomness),
                    "/",
                    self._iam.clock.now(),
                    _document(trust),
                    inline={policy: _document(*rules) for policy, rules in inline.items()},
                    attached=tuple(_AWS + policy for policy in attached),
                    tags={"aws-cdk:bootstrap-role": purpose},
                )
            )
        return made


def role_name(purpose: str, scope: Scope) -> str:
    """A bootstrap role's name: ``purpose`` is ``deploy``, ``lookup``, ``cfn-exec`` and so on."""
    return f"cdk-{QUALIFIER}-{purpose}-role-{scope.account}-{scope.region}"


def bucket_name(scope: Scope) -> str:
    """The name of the bucket for templates and other files."""
    return f"cdk-{QUALIFIER}-assets-{scope.account}-{scope.region}"


def bucket(scope: Scope, now: int) -> Bucket:
    """The bucket for templates and other files."""
    blocked = (
        "BlockPublicAcls",
        "BlockPublicPolicy",
        "IgnorePublicAcls",
        "RestrictPublicBuckets",
    )
    settings: dict[str, Any] = {
        "encryption": {
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]
        },
        "ownership": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "public-access-block": dict.fromkeys(blocked, True),
        "versioning": {"Status": "Enabled"},
    }
    texts = {name: json.dumps(value) for name, value in settings.items()}
    return Bucket(EVERYWHERE, bucket_name(scope), scope.account, scope.region, now, texts)


def parameter(scope: Scope, now: int) -> Parameter:
    """The parameter that says which version of the bootstrap template this is."""
    value = Value(1, Secret(VERSION.encode()), "String", now)
    return Parameter(scope, f"/cdk-bootstrap/{QUALIFIER}/version", (value,))


Rule = dict[str, Any]
Policies = dict[str, list[Rule]]


def role_policies(scope: Scope) -> dict[str, tuple[Rule, Policies, tuple[str, ...]]]:
    """Trust, inline policies and AWS's policies of each role, by its purpose."""
    account, region = scope
    own: Rule = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    service: Rule = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudformation.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    files = f"arn:aws:s3:::{bucket_name(scope)}"
    version = f"arn:aws:ssm:{region}:{account}:parameter/cdk-bootstrap/{QUALIFIER}/version"
    executing = f"arn:aws:iam::{account}:role/{role_name('cfn-exec', scope)}"
    images = f"arn:aws:ecr:{region}:{account}:repository/cdk-{QUALIFIER}-container-assets"
    publishing = _allow(
        ("s3:GetObject*", "s3:GetBucket*", "s3:GetEncryptionConfiguration", "s3:List*",
         "s3:DeleteObject*", "s3:PutObject*", "s3:Abort*"),
        files, f"{files}/*",
    )  # fmt: skip
    image_publishing = _allow(
        ("ecr:PutImage", "ecr:InitiateLayerUpload", "ecr:UploadLayerPart",
         "ecr:CompleteLayerUpload", "ecr:BatchCheckLayerAvailability", "ecr:DescribeRepositories",
         "ecr:DescribeImages", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        f"{images}-{account}-{region}",
    )  # fmt: skip
    no_secrets: Rule = {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*"}
    deploying = [
        _allow(
            ("cloudformation:CreateChangeSet", "cloudformation:DeleteChangeSet",
             "cloudformation:DescribeChangeSet", "cloudformation:DescribeStacks",
             "cloudformation:ExecuteChangeSet", "cloudformation:CreateStack",
             "cloudformation:UpdateStack", "cloudformation:RollbackStack",
             "cloudformation:ContinueUpdateRollback"),
            "*",
        ),
        _allow(("iam:PassRole",), executing),
        _allow(
            ("cloudformation:DescribeStackEvents", "cloudformation:DescribeStackResources",
             "cloudformation:DescribeStackDriftDetectionStatus",
             "cloudformation:DescribeStackResourceDrifts", "cloudformation:DetectStackDrift",
             "cloudformation:DetectStackResourceDrift", "cloudformation:GetTemplate",
             "cloudformation:GetTemplateSummary", "cloudformation:ListStackResources",
             "cloudformation:ListChangeSets", "cloudformation:DeleteStack",
             "cloudformation:UpdateTerminationProtection", "sts:GetCallerIdentity"),
            "*",
        ),
        _allow(("s3:GetObject*", "s3:GetBucket*", "s3:List*"), files, f"{files}/*"),
        _allow(("ssm:GetParameter", "ssm:GetParameters"), version),
    ]  # fmt: skip
    default = "default"
    return {
        "deploy": (own, {default: deploying}, ()),
        "lookup": (own, {"LookupRolePolicy": [no_secrets]}, ("ReadOnlyAccess",)),
        "file-publishing": (own, {default: [publishing]}, ()),
        "image-publishing": (
            own,
            {default: [image_publishing, _allow(("ecr:GetAuthorizationToken",), "*")]},
            (),
        ),
        "cfn-exec": (service, {}, ("AdministratorAccess",)),
    }


def _allow(actions: tuple[str, ...], *resources: str) -> Rule:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}


def _document(*rules: Rule) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(rules)})
