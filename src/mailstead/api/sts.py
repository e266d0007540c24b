"""STS operations: who am I, and temporary credentials."""

from __future__ import annotations

from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.mail import iam_users
from mailstead.mail.errors import Refused

Params = dict[str, Any]
SECONDS = 43_200
"""How long a session lives where the caller does not say."""


@operation("sts", "GetCallerIdentity", open_=True)
async def get_caller_identity(call: Call, p: Params) -> Params:
    # It needs no permission, and works even where a policy denies it.
    principal = call.principal
    return {"UserId": principal.user_id, "Account": principal.account, "Arn": principal.arn}


@operation("sts", "GetSessionToken", open_=True)
async def get_session_token(call: Call, p: Params) -> Params:
    if call.temporary:
        raise Refused(
            "Cannot call GetSessionToken with session credentials",
            resource="session",
            reason="access-denied",
        )
    user = (call.principal.user_name or iam_users.ROOT).lower()
    session = await iam_users.open_session(
        call.ports.iam, call.scope.everywhere(), user, p.get("DurationSeconds", SECONDS)
    )
    return {
        "Credentials": {
            "AccessKeyId": session.name,
            "SecretAccessKey": session.secret.decode(),
            "SessionToken": session.token.decode(),
            "Expiration": session.expires_at // 1000,
        }
    }


@operation("sts", "GetAccessKeyInfo")
async def get_access_key_info(call: Call, p: Params) -> Params:
    account = await iam_users.account_of(call.ports.iam, p["AccessKeyId"])
    return {"Account": account}
