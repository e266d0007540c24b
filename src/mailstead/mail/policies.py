"""IAM policy documents: JSON to `mailstead.mail.access.Policy`, refused in IAM's words.

Three kinds are told apart by what they may hold: identity-based policies name
resources and no principal, resource policies both, a role's trust policy a
principal and no resource. Source: the IAM User Guide, "Grammar of the IAM JSON
policy language"; the texts are those that IAM sends with MalformedPolicyDocument.
"""

from __future__ import annotations

import json
import re
from enum import Enum
from functools import lru_cache
from typing import Any

from mailstead.mail.access import Policy, Principals, Statement
from mailstead.mail.access_conditions import Condition, operator_parts
from mailstead.mail.errors import Invalid

SYNTAX = "Syntax errors in policy."
VERSIONS = frozenset({"2008-10-17", "2012-10-17"})
LARGEST = 131_072
_PARTITIONS = frozenset({"aws", "aws-cn", "aws-us-gov", "*"})
_SID = re.compile(r"[0-9A-Za-z]*", re.ASCII)
_FREE_SID = re.compile(r"[\w .,:;/()*-]*", re.ASCII)
_VENDOR = re.compile(r"[\w*-]+", re.ASCII)
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_PRINCIPAL = re.compile(r"arn:aws[a-z-]*:(iam|sts)::\d{12}:[^*?]+", re.ASCII)
_TOP = frozenset({"Version", "Id", "Statement"})
_STATEMENT = frozenset(
    {
        "Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource",
        "NotResource", "Condition",
    }
)  # fmt: skip
_KINDS = frozenset({"AWS", "Service", "Federated", "CanonicalUser"})


class PolicyKind(Enum):
    """What a policy is attached to."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    TRUST = "trust"


def malformed(text: str = SYNTAX) -> Invalid:
    """The error of a document that is no policy."""
    return Invalid(text, resource="policy", reason="malformed")


@lru_cache(maxsize=1024)
def parse_policy(document: str, kind: PolicyKind = PolicyKind.IDENTITY) -> Policy:
    """The policy in a document; Invalid (reason ``malformed``) with IAM's text if it is none."""
    if len(document) > LARGEST:
        raise malformed()
    try:
        parsed = json.loads(document, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise malformed() from None
    if not isinstance(parsed, dict) or not parsed.keys() <= _TOP:
        raise malformed()
    version = parsed.get("Version", "2008-10-17")
    if not isinstance(version, str) or version not in VERSIONS:
        raise malformed()
    found: Any = parsed.get("Statement")
    items: list[Any] = found if isinstance(found, list) else [found]
    if not items:
        raise malformed()
    statements = tuple(_statement(item, kind) for item in items)
    sids = [statement.sid for statement in statements if statement.sid]
    if len(sids) != len(set(sids)):
        raise malformed("Statement IDs (SID) in a single policy must be unique.")
    return Policy(statements)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose names stand once each."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _statement(item: Any, kind: PolicyKind) -> Statement:
    if not isinstance(item, dict) or not item.keys() <= _STATEMENT:
        raise malformed()
    effect = item.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise malformed()
    if any(name in item and f"Not{name}" in item for name in ("Action", "Resource", "Principal")):
        raise malformed()
    return Statement(
        allow=effect == "Allow",
        actions=_actions(item),
        resources=_resources(item, kind),
        not_actions="NotAction" in item,
        not_resources="NotResource" in item,
        principals=_principals(item, kind),
        conditions=_conditions(item.get("Condition", {})),
        sid=_sid(item.get("Sid", ""), kind),
    )


def _texts(value: Any) -> tuple[str, ...]:
    items: list[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in items):
        raise malformed()
    return tuple(items)


def _sid(value: Any, kind: PolicyKind) -> str:
    if not isinstance(value, str):
        raise malformed()
    allowed = _FREE_SID if kind is PolicyKind.RESOURCE else _SID
    if not allowed.fullmatch(value):
        raise malformed(
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
            "regular expression [0-9A-Za-z]*"
        )
    return value


def _actions(item: dict[str, Any]) -> tuple[str, ...]:
    actions = _texts(item.get("Action", item.get("NotAction", [])))
    if not actions:
        raise malformed("Policy statement must contain actions.")
    for action in actions:
        vendor, colon, _ = action.partition(":")
        if action == "*":
            continue
        if not colon:
            raise malformed(
                "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
            )
        if not _VENDOR.fullmatch(vendor):
            raise malformed(f"Vendor {vendor} is not valid")
    return actions


def _resources(item: dict[str, Any], kind: PolicyKind) -> tuple[str, ...]:
    named = "Resource" in item or "NotResource" in item
    if kind is PolicyKind.TRUST:
        if named:
            raise malformed("Has prohibited field Resource")
        return ("*",)
    resources = _texts(item.get("Resource", item.get("NotResource", [])))
    if not resources:
        raise malformed("Policy statement must contain resources.")
    for resource in resources:
        _check_arn(resource)
    return resources


def _check_arn(resource: str) -> None:
    if resource == "*":
        return
    if ":" not in resource:
        raise malformed(f'Resource {resource} must be in ARN format or "*".')
    parts = resource.split(":", 5)
    if parts[0] != "arn":
        shown = ":".join(["arn", *parts[1:], *["*"] * (6 - len(parts))])
        partition = parts[1]
        raise malformed(f'Partition "{partition}" is not valid for resource "{shown}".')
    if len(parts) < 6:
        raise malformed("The policy failed legacy parsing")
    if parts[1] not in _PARTITIONS and "${" not in parts[1]:
        raise malformed(f'Partition "{parts[1]}" is not valid for resource "{resource}".')


def _principals(item: dict[str, Any], kind: PolicyKind) -> Principals | None:
    negated = "NotPrincipal" in item
    written = item.get("NotPrincipal" if negated else "Principal")
    if kind is PolicyKind.IDENTITY:
        if written is not None:
            raise malformed("Policy document should not specify a principal.")
        return None
    if written == "*":
        return Principals({"AWS": ("*",)}, negated)
    if not isinstance(written, dict) or not written or not written.keys() <= _KINDS:
        raise malformed()
    names = {side: _texts(value) for side, value in written.items()}
    for name in names.get("AWS", ()):
        if name != "*" and not _ACCOUNT.fullmatch(name) and not _PRINCIPAL.fullmatch(name):
            raise malformed(f'Invalid principal in policy: "AWS":"{name}"')
    return Principals(names, negated)


def _conditions(block: Any) -> tuple[Condition, ...]:
    if not isinstance(block, dict):
        raise malformed()
    found: list[Condition] = []
    for written, tests in block.items():
        parts = operator_parts(written)
        if parts is None or not isinstance(tests, dict):
            raise malformed()
        operator, if_exists, every = parts
        for key, values in tests.items():
            if ":" not in key:
                raise malformed(
                    "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
                )
            found.append(
                Condition(operator, key.lower(), _condition_values(values), if_exists, every)
            )
    return tuple(found)


def _condition_values(value: Any) -> tuple[str, ...]:
    items: list[Any] = value if isinstance(value, list) else [value]
    texts: list[str] = []
    for item in items:
        if isinstance(item, bool):
            texts.append("true" if item else "false")
        elif isinstance(item, (str, int, float)):
            texts.append(str(item))
        else:
            raise malformed()
    return tuple(texts)
