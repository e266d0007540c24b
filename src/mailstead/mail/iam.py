"""IAM's nouns: users, groups, roles, keys, managed policies, sessions; their names and limits.

All of them belong to an account, in no region. Names differ without regard to
case, so each is kept under its lower-case form; access key ids are unique
everywhere. Source: the IAM API Reference, "IAM and AWS STS quotas".
"""

from __future__ import annotations

import json
import re
from base64 import b32encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

from mailstead.mail.errors import DomainError, Invalid, Limit, NotFound
from mailstead.mail.model import Scope, Secret
from mailstead.mail.ports import Change, Clock, Randomness, Store

KEYS_A_USER = 2
GROUPS_A_USER = 10
ATTACHED = 10
VERSIONS = 5
INLINE_USER = 2048
INLINE_GROUP = 5120
INLINE_ROLE = 10_240
TRUST_SIZE = 2048
POLICY_SIZE = 6144
TAGS = 50
_NAME = re.compile(r"[\w+=,.@-]{1,128}", re.ASCII)
_BLANKS = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class User:
    """An IAM user."""

    KIND: ClassVar[str] = "iam-user"
    scope: Scope
    name: str
    user_name: str
    """As it was written when the user was made."""
    user_id: str
    path: str
    created_at: int
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    inline: dict[str, str] = field(default_factory=dict[str, str])
    attached: tuple[str, ...] = ()
    """ARNs of managed policies."""
    tags: dict[str, str] = field(default_factory=dict[str, str])
    boundary: str = ""
    """The managed policy that is its permissions boundary; "" for none."""

    @property
    def arn(self) -> str:
        """The user's ARN."""
        return f"arn:aws:iam::{self.scope.account}:user{self.path}{self.user_name}"


@dataclass(frozen=True, slots=True)
class Group:
    """A group of users, for the policies that they share."""

    KIND: ClassVar[str] = "iam-group"
    scope: Scope
    name: str
    group_name: str
    group_id: str
    path: str
    created_at: int
    inline: dict[str, str] = field(default_factory=dict[str, str])
    attached: tuple[str, ...] = ()

    @property
    def arn(self) -> str:
        """The group's ARN."""
        return f"arn:aws:iam::{self.scope.account}:group{self.path}{self.group_name}"


@dataclass(frozen=True, slots=True)
class Role:
    """An IAM role: rights for a while, for whom its trust policy names."""

    KIND: ClassVar[str] = "iam-role"
    scope: Scope
    name: str
    role_name: str
    role_id: str
    path: str
    created_at: int
    trust: str
    """The trust policy's document."""
    description: str = ""
    longest_session: int = 3600
    """Seconds that a session may live (``MaxSessionDuration``)."""
    inline: dict[str, str] = field(default_factory=dict[str, str])
    attached: tuple[str, ...] = ()
    tags: dict[str, str] = field(default_factory=dict[str, str])
    boundary: str = ""
    """The managed policy that is its permissions boundary; "" for none."""

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return f"arn:aws:iam::{self.scope.account}:role{self.path}{self.role_name}"


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A long-lived access key; its name is the key's id, its user "" for the root user."""

    KIND: ClassVar[str] = "iam-access-key"
    scope: Scope
    name: str
    user: str
    secret: Secret
    created_at: int
    active: bool = True


@dataclass(frozen=True, slots=True)
class Session:
    """Temporary credentials; its name is the key's id.

    They are a role's where ``role_id`` is set, else a user's.
    """

    KIND: ClassVar[str] = "iam-session"
    scope: Scope
    name: str
    user: str
    secret: Secret
    token: Secret
    expires_at: int
    """Milliseconds of the real clock."""
    role: str = ""
    """The name under which the role is kept."""
    role_id: str = ""
    """Which role of that name: one that is made anew takes no sessions over."""
    session_name: str = ""
    policies: tuple[str, ...] = ()
    """Documents of session policies, which can only take away."""
    policy_arns: tuple[str, ...] = ()
    """Managed policies that are session policies."""
    tags: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Version:
    """One text of a managed policy."""

    document: str
    created_at: int


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """A policy that stands by itself, to be attached."""

    KIND: ClassVar[str] = "iam-policy"
    scope: Scope
    name: str
    policy_name: str
    policy_id: str
    path: str
    created_at: int
    updated_at: int
    versions: dict[str, Version]
    default: str = "v1"
    newest: int = 1
    """The number of the last version made: numbers are not used again."""
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict[str, str])

    @staticmethod
    def key(arn: str) -> str:
        """The name under which the Store keeps the policy of this ARN."""
        return arn.rpartition("/")[2].lower()

    @property
    def arn(self) -> str:
        """The policy's ARN."""
        account = "aws" if not self.scope.account else self.scope.account
        return f"arn:aws:iam::{account}:policy{self.path}{self.policy_name}"

    @property
    def document(self) -> str:
        """The text that counts."""
        return self.versions[self.default].document


def _aws(name: str, number: int, actions: tuple[str, ...], *, but: bool = False) -> ManagedPolicy:
    """One of AWS's policies: these actions on everything; ``but`` them, everything else."""
    side = "NotAction" if but else "Action"
    statement = {"Effect": "Allow", side: list(actions), "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=4)
    created = 1_423_180_800_000
    return ManagedPolicy(
        Scope("", ""), name.lower(), name, f"ANPAMAILSTEADAWS{number:05d}", "/", created, created,
        {"v1": Version(document, created)},
    )  # fmt: skip


_STACK_READS = (
    "cloudformation:Describe*", "cloudformation:Detect*", "cloudformation:EstimateTemplateCost",
    "cloudformation:Get*", "cloudformation:List*", "cloudformation:ValidateTemplate",
)  # fmt: skip
_READS = (
    *_STACK_READS, "iam:Get*", "iam:List*", "route53:Get*", "route53:List*", "route53:Test*",
    "s3:Get*", "s3:List*", "secretsmanager:DescribeSecret", "secretsmanager:GetResourcePolicy",
    "secretsmanager:List*", "ses:BatchGetMetricData", "ses:Describe*", "ses:Get*", "ses:List*",
    "sns:Get*", "sns:List*", "sqs:Get*", "sqs:List*", "ssm:Describe*", "ssm:Get*", "ssm:List*",
    "sts:GetAccessKeyInfo", "sts:GetCallerIdentity",
)  # fmt: skip
"""What ReadOnlyAccess allows of the services that are here: no secret's value is among it."""

AWS_POLICIES: dict[str, ManagedPolicy] = {
    policy.arn: policy
    for policy in (
        _aws("AdministratorAccess", 1, ("*",)),
        _aws("AmazonSESFullAccess", 2, ("ses:*",)),
        _aws("AmazonSESReadOnlyAccess", 3, ("ses:Get*", "ses:List*", "ses:BatchGetMetricData")),
        _aws("AmazonRoute53FullAccess", 4, ("route53:*",)),
        _aws("IAMFullAccess", 5, ("iam:*",)),
        _aws("ReadOnlyAccess", 6, _READS),
        _aws("PowerUserAccess", 7, ("iam:*", "organizations:*", "account:*"), but=True),
        _aws("IAMReadOnlyAccess", 8, ("iam:Get*", "iam:List*", "iam:Simulate*")),
        _aws("AWSCloudFormationFullAccess", 9, ("cloudformation:*",)),
        _aws("AWSCloudFormationReadOnlyAccess", 10, _STACK_READS),
        _aws("AmazonS3FullAccess", 11, ("s3:*",)),
        _aws("AmazonS3ReadOnlyAccess", 12, ("s3:Get*", "s3:List*")),
        _aws("AmazonSSMFullAccess", 13, ("ssm:*",)),
        _aws("AmazonSSMReadOnlyAccess", 14, ("ssm:Describe*", "ssm:Get*", "ssm:List*")),
        _aws("SecretsManagerReadWrite", 15, ("secretsmanager:*",)),
        _aws("AmazonSNSFullAccess", 16, ("sns:*",)),
        _aws("AmazonSNSReadOnlyAccess", 17, ("sns:Get*", "sns:List*")),
        _aws("AmazonSQSFullAccess", 18, ("sqs:*",)),
        _aws("AmazonSQSReadOnlyAccess", 19, ("sqs:Get*", "sqs:List*")),
        _aws("AmazonRoute53ReadOnlyAccess", 20, ("route53:Get*", "route53:List*")),
    )
}
"""AWS's own managed policies that exist here, by ARN."""


class Use(NamedTuple):
    """When and for what a key was used."""

    at: int
    service: str
    region: str


class KeyUses:
    """When each key was last used, since this process started."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._last: dict[str, Use] = {}

    def note(self, key_id: str, at: int, service: str, region: str) -> None:
        """Remember a use."""
        if len(self._last) >= self._most:
            self._last.clear()
        self._last[key_id] = Use(at, service, region)

    def last(self, key_id: str) -> Use | None:
        """A key's last use; None where there was none."""
        return self._last.get(key_id)


@dataclass(frozen=True, slots=True)
class Iam:
    """What the functions on users, groups and policies need of the outside."""

    store: Store
    clock: Clock
    randomness: Randomness
    changed: Callable[[], None]
    """Called after each change, so that nobody goes on with what was known before."""
    uses: KeyUses = field(default_factory=KeyUses)

    async def apply(self, *changes: Change) -> None:
        """Write, and say so."""
        await self.store.apply(*changes)
        self.changed()

    async def user(self, scope: Scope, name: str) -> User:
        """The user of that name; NotFound in IAM's words."""
        found = await self.store.get(User, scope, name.lower())
        if found is None:
            raise NotFound(
                f"The user with name {name} cannot be found.", resource="user", name=name
            )
        return found

    async def group(self, scope: Scope, name: str) -> Group:
        """The group of that name; NotFound in IAM's words."""
        found = await self.store.get(Group, scope, name.lower())
        if found is None:
            raise NotFound(
                f"The group with name {name} cannot be found.", resource="group", name=name
            )
        return found

    async def role(self, scope: Scope, name: str) -> Role:
        """The role of that name; NotFound in IAM's words."""
        found = await self.store.get(Role, scope, name.lower())
        if found is None:
            raise NotFound(
                f"The role with name {name} cannot be found.", resource="role", name=name
            )
        return found

    async def policy(self, scope: Scope, arn: str) -> ManagedPolicy:
        """The managed policy with this ARN, AWS's or the account's own; NotFound in IAM's words."""
        if arn in AWS_POLICIES:
            return AWS_POLICIES[arn]
        found = await self.store.get(ManagedPolicy, scope, ManagedPolicy.key(arn))
        if found is None or found.arn != arn:
            raise NotFound(f"Policy {arn} was not found.", resource="policy", name=arn)
        return found


async def checked_boundary(iam: Iam, scope: Scope, arn: str) -> str:
    """A managed policy that can be a permissions boundary; NotFound in IAM's words."""
    try:
        return (await iam.policy(scope, arn)).arn if arn else ""
    except NotFound:
        raise NotFound(
            f"Scope ARN: {arn} does not exist or is not attachable.", resource="policy", name=arn
        ) from None


def new_id(prefix: str, randomness: Randomness) -> str:
    """A unique id of 20 characters, such as ``AIDA`` and 16 of A-Z and 2-7."""
    return prefix + b32encode(randomness.token(10)).decode()


def checked_name(name: str, member: str, longest: int = 64) -> str:
    """A name of an IAM thing; Invalid (reason ``name``) in IAM's words."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"The specified value for {member} is invalid. It must contain only alphanumeric "
            "characters and/or the following: +=,.@_-",
            resource="name",
            name=name,
            reason="name",
        )
    if len(name) > longest:
        raise Invalid(
            f"1 validation error detected: Value at '{member}' failed to satisfy constraint: "
            f"Member must have length less than or equal to {longest}",
            resource="name",
            name=name,
            reason="name",
        )
    return name


def size(document: str) -> int:
    """A policy's size as the quotas count it: without white space."""
    return len(_BLANKS.sub("", document))


def quota(name: str, limit: int) -> DomainError:
    """IAM's words for a quota that is used up."""
    return Limit(f"Cannot exceed quota for {name}: {limit}", resource="quota", name=name)


def with_tags(present: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """Tags with some more, at most 50; keys that begin with ``aws:`` are reserved."""
    for key in more:
        if key.lower().startswith("aws:"):
            raise Invalid(
                "Tag keys that start with aws: are reserved for system use",
                resource="tag",
                name=key,
            )
    joined = {**present, **more}
    if len(joined) > TAGS:
        raise quota("TagsPerResource", TAGS)
    return joined
