"""Policy documents, and the question whether they allow something."""

from __future__ import annotations

import json
from typing import Any

from mailstead.mail.access import Decision, Principal, Request, decide
from mailstead.mail.policies import parse_policy

ACCOUNT = "111122223333"
USER = f"arn:aws:iam::{ACCOUNT}:user/u"
IDENTITY = f"arn:aws:ses:eu-west-1:{ACCOUNT}:identity/example.com"


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def rule(**more: Any) -> dict[str, Any]:
    """A statement that allows everything but for what is given; None takes a field away."""
    whole = {"Effect": "Allow", "Action": "*", "Resource": "*", **more}
    return {name: value for name, value in whole.items() if value is not None}


def user(*documents: str, **more: Any) -> Principal:
    policies = tuple(parse_policy(text) for text in documents)
    return Principal(ACCOUNT, USER, user_name="u", policies=policies, **more)


def asked(
    principal: Principal, action: str = "ses:SendEmail", resource: str = IDENTITY, **context: Any
) -> Decision:
    keys = {name.replace("__", ":").lower(): value for name, value in context.items()}
    return decide(principal, Request(action, (resource,), keys))
