"""STS operations: who am I, and temporary credentials."""

from __future__ import annotations

from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.mail import iam_users
from mailstead.mail.errors import Refused
from mailstead.mail.iam import Role, Session
from mailstead.mail.iam_roles import HOUR, Asked, packed, trust_of

Params = dict[str, Any]
SECONDS = 43_200
"""How long a session lives where the caller does not say."""


def _credentials(session: Session) -> dict[str, Any]:
    return {
        "AccessKeyId": session.name,
        "SecretAccessKey": session.secret.decode(),
        "SessionToken": session.token.decode(),
        "Expiration": session.expires_at // 1000,
    }


@operation("sts", "GetCallerIdentity", open_=True)
async def get_caller_identity(call: Call, p: Params) -> Params:
    # It needs no permission, and works even where a policy denies it.
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


@operation("sts", "GetSessionToken", open_=True)
async def get_session_token(call: Call, p: Params) -> Params:
    if call.temporary:
        raise _refused("Cannot call GetSessionToken with session credentials")
    user = (call.principal.user_name or iam_users.ROOT).lower()
    session = await iam_users.open_session(
        call.ports.iam, call.scope.everywhere(), user, p.get("DurationSeconds", SECONDS)
    )
    return {"Credentials": _credentials(session)}


@operation("sts", "AssumeRole", open_=True)
async def assume_role(call: Call, p: Params) -> Params:
    # AWS lets no root user assume a role; here its key is the one that everybody begins with.
    if "SerialNumber" in p or "TokenCode" in p:
        raise _refused("MultiFactorAuthentication failed with invalid MFA one time pass code.")
    role = await call.ports.roles.by_arn(p["RoleArn"])
    if role is None:
        raise _refused(
            f"User: {call.principal.arn} is not authorized to perform: sts:AssumeRole "
            f"on resource: {p['RoleArn']}"
        )
    _authorise(call, p, role)
    asked = Asked(
        p["RoleSessionName"],
        p.get("DurationSeconds", HOUR),
        call.principal.role_arn is not None,
        p.get("Policy", ""),
        tuple(one["arn"] for one in p.get("PolicyArns", ()) if "arn" in one),
        {tag["Key"]: tag["Value"] for tag in p.get("Tags", ())},
    )
    session = await call.ports.roles.assume(role, asked)
    account, name = role.scope.account, asked.session_name
    return {
        "Credentials": _credentials(session),
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role.role_id}:{name}",
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role.role_name}/{name}",
        },
        "PackedPolicySize": packed(asked),
        "SourceIdentity": p.get("SourceIdentity"),
    }


def _authorise(call: Call, p: Params, role: Role) -> None:
    """Both the role's trust and, where that trusts the account only, the caller's policies."""
    context = {"sts:rolesessionname": [p["RoleSessionName"]]}
    for member, key in (("ExternalId", "sts:externalid"), ("SourceIdentity", "sts:sourceidentity")):
        if member in p:
            context[key] = [p[member]]
    tags = {tag["Key"]: tag["Value"] for tag in p.get("Tags", ())}
    if tags:
        context["aws:tagkeys"] = list(tags)
        context |= {f"aws:requesttag/{key}": [value] for key, value in tags.items()}
    actions = ["sts:AssumeRole"]
    actions += ["sts:TagSession"] if tags else []
    actions += ["sts:SetSourceIdentity"] if "SourceIdentity" in p else []
    for action in actions:
        call.authorise(
            action,
            [role.arn],
            context,
            [trust_of(role)],
            owner=role.scope.account,
            mandatory=True,
        )


def _refused(text: str) -> Refused:
    return Refused(text, resource="session", reason="access-denied")


@operation("sts", "GetAccessKeyInfo")
async def get_access_key_info(call: Call, p: Params) -> Params:
    account = await iam_users.account_of(call.ports.iam, p["AccessKeyId"])
    return {"Account": account}
