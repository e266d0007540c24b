"""Sending authorisation: the policies of identities, which let others send as them.

They are kept with the identity, and read at the sends that name its ARN. Source:
the Amazon SES Developer Guide, "Using sending authorization".
"""

from __future__ import annotations

import re
from dataclasses import replace

from mailstead.mail.access import Policy
from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.identities import Identities
from mailstead.mail.model import Identity, Scope
from mailstead.mail.policies import PolicyKind, malformed, parse_policy

MOST = 20
"""Policies that an identity may have."""
LARGEST = 4096
"""Characters of a policy."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ACTION = re.compile(r"ses:send[a-z*?]*", re.IGNORECASE)


def identity_arn(scope: Scope, name: str) -> str:
    """An identity's ARN."""
    return f"arn:aws:ses:{scope.region}:{scope.account}:identity/{name}"


async def put(
    parts: Identities, identity: Identity, name: str, document: str, *, exists: bool | None = None
) -> None:
    """Keep a policy. ``exists``: whether it must be there already, or must not."""
    if not _NAME.fullmatch(name):
        raise Invalid(
            f"Invalid policy name <{name}>: only alphanumeric ASCII characters, '_' and '-' are "
            "allowed.",
            resource="policy-name",
            name=name,
        )
    if exists and name not in identity.policies:
        raise NotFound(f"Policy <{name}> does not exist", resource="policy", name=name)
    if exists is False and name in identity.policies:
        raise Conflict(f"Policy <{name}> already exists", resource="policy", name=name)
    _check(identity, document)
    policies = {**identity.policies, name: document}
    if len(policies) > MOST:
        raise Limit(
            f"Number of policies for <{identity.name}> exceeds max allowed number of policies per "
            "resource",
            resource="policy",
            name=identity.name,
        )
    await parts.change(identity, replace(identity, policies=policies))


async def remove(parts: Identities, identity: Identity, name: str) -> None:
    """Take a policy away, if it is there."""
    kept = {key: text for key, text in identity.policies.items() if key != name}
    await parts.change(identity, replace(identity, policies=kept))


def policies_of(identity: Identity) -> tuple[Policy, ...]:
    """An identity's policies, ready to be evaluated."""
    return tuple(parse_policy(text, PolicyKind.RESOURCE) for text in identity.policies.values())


def _check(identity: Identity, document: str) -> None:
    if len(document) > LARGEST:
        raise malformed(f"Policy exceeds the maximum of {LARGEST} characters.")
    arn = identity_arn(identity.scope, identity.name)
    for statement in parse_policy(document, PolicyKind.RESOURCE).statements:
        if statement.not_resources or statement.resources != (arn,):
            raise malformed(f"The Resource of a statement is this identity: {arn}")
        if statement.not_actions or not all(map(_ACTION.fullmatch, statement.actions)):
            raise malformed("The actions of a statement are those that send, such as ses:SendEmail")
