"""SES operations on an account's sending in one region."""

from __future__ import annotations

from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.mail import accounts
from mailstead.mail.accounts import DAY
from mailstead.mail.model import Account, AccountDetails

Params = dict[str, Any]
STATISTICS = 14 * DAY
"""How far GetSendStatistics looks back."""


async def _account(call: Call) -> Account:
    return await accounts.account(call.ports.store, call.scope)


async def _quota(call: Call, account: Account) -> Params:
    return {
        "Max24HourSend": account.daily_quota,
        "MaxSendRate": account.max_rate,
        "SentLast24Hours": float(await call.ports.outbound.limits.sent_last_day(call.scope)),
    }


async def _set_sending(call: Call, *, enabled: bool) -> None:
    await accounts.change(call.ports.store, call.scope, sending=enabled)


@operation("sesv2", "GetAccount")
async def get_account(call: Call, p: Params) -> Params:
    account = await _account(call)
    return {
        "DedicatedIpAutoWarmupEnabled": account.warmup,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": account.production,
        "SendQuota": await _quota(call, account),
        "SendingEnabled": account.sending,
        "SuppressionAttributes": {"SuppressedReasons": list(account.suppressed_reasons)},
        "Details": _details(account.details),
    }


def _details(details: AccountDetails | None) -> Params | None:
    if details is None:
        return None
    review = {"Status": details.review, "CaseId": details.case_id} if details.review else None
    return {
        "MailType": details.mail_type,
        "WebsiteURL": details.website_url,
        "ContactLanguage": details.language or None,
        "UseCaseDescription": details.use_case or None,
        "AdditionalContactEmailAddresses": list(details.contacts) or None,
        "ReviewDetails": review,
    }


@operation("sesv2", "PutAccountDetails")
async def put_account_details(call: Call, p: Params) -> None:
    details = AccountDetails(
        mail_type=p["MailType"],
        website_url=p["WebsiteURL"],
        use_case=p.get("UseCaseDescription", ""),
        language=p.get("ContactLanguage", ""),
        contacts=tuple(p.get("AdditionalContactEmailAddresses", ())),
    )
    ports = call.ports
    await accounts.put_details(
        ports.store,
        ports.randomness,
        call.scope,
        details,
        review=ports.review if p.get("ProductionAccessEnabled", False) else "",
    )


@operation("sesv2", "PutAccountSendingAttributes")
async def put_account_sending_attributes(call: Call, p: Params) -> None:
    await _set_sending(call, enabled=p.get("SendingEnabled", False))


@operation("sesv2", "PutAccountSuppressionAttributes")
async def put_account_suppression_attributes(call: Call, p: Params) -> None:
    reasons = tuple(dict.fromkeys(p.get("SuppressedReasons", ())))
    await accounts.change(call.ports.store, call.scope, suppressed_reasons=reasons)


@operation("ses", "GetSendQuota")
async def get_send_quota(call: Call, p: Params) -> Params:
    return await _quota(call, await _account(call))


@operation("ses", "GetSendStatistics")
async def get_send_statistics(call: Call, p: Params) -> Params:
    since = call.ports.clock.now() - STATISTICS
    slots = await call.ports.store.statistics(call.scope, since)
    return {
        "SendDataPoints": [
            {
                "Timestamp": slot.at // 1000,
                "DeliveryAttempts": slot.attempts,
                "Bounces": slot.bounces,
                "Complaints": slot.complaints,
                "Rejects": slot.rejects,
            }
            for slot in slots
        ]
    }


@operation("ses", "GetAccountSendingEnabled")
async def get_account_sending_enabled(call: Call, p: Params) -> Params:
    return {"Enabled": (await _account(call)).sending}


@operation("ses", "UpdateAccountSendingEnabled")
async def update_account_sending_enabled(call: Call, p: Params) -> None:
    await _set_sending(call, enabled=p.get("Enabled", False))
