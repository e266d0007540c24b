"""SES v1's operations on identities, over the same domain calls as version 2's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mailstead.api.operation import Call, operation
from mailstead.api.ses.paging import page
from mailstead.mail import dkim
from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.identities import ask_token, is_verified, set_mail_from, status_of
from mailstead.mail.model import Identity, VerificationStatus

Params = dict[str, Any]
MOST_ASKED = 100
KEPT, REJECTED = "UseDefaultValue", "RejectMessage"


async def found(call: Call, name: str) -> Identity | None:
    """The identity of that name; None also for what can be no name."""
    try:
        return await call.ports.identities.get(call.scope, name)
    except Invalid:
        return None


async def certain(call: Call, name: str) -> Identity:
    """The identity of that name, or NotFound in version 1's words."""
    identity = await found(call, name)
    if identity is None:
        raise NotFound(f"Identity <{name}> does not exist.", resource="identity", name=name)
    return identity


async def known(call: Call, names: Sequence[str]) -> dict[str, Identity]:
    """Those of the identities asked for that exist, by the names they were asked by."""
    if len(names) > MOST_ASKED:
        raise Invalid(f"Up to {MOST_ASKED} identities can be asked for.", resource="page")
    pairs = [(name, await found(call, name)) for name in names]
    return {name: identity for name, identity in pairs if identity is not None}


def shown(status: VerificationStatus) -> str:
    """A status in version 1's spelling."""
    return "".join(word.capitalize() for word in status.value.split("_"))


# Verifying


@operation("ses", "VerifyEmailIdentity")
@operation("ses", "VerifyEmailAddress")
async def verify_email_identity(call: Call, p: Params) -> None:
    await call.ports.letters.verify_address(call.scope, p["EmailAddress"])


@operation("ses", "VerifyDomainIdentity")
async def verify_domain_identity(call: Call, p: Params) -> Params:
    identity = await ask_token(call.ports.identities, call.scope, p["Domain"])
    return {"VerificationToken": identity.token}


@operation("ses", "VerifyDomainDkim")
async def verify_domain_dkim(call: Call, p: Params) -> Params:
    identity = await dkim.tokens(call.ports.identities, call.scope, p["Domain"])
    assert identity.dkim.key is not None
    return {"DkimTokens": list(identity.dkim.key.selectors)}


@operation("ses", "GetIdentityVerificationAttributes")
async def get_identity_verification_attributes(call: Call, p: Params) -> Params:
    return {
        "VerificationAttributes": {
            name: {
                "VerificationStatus": shown(status_of(identity)),
                "VerificationToken": identity.token or None,
            }
            for name, identity in (await known(call, p["Identities"])).items()
        }
    }


# Listing, deleting


@operation("ses", "ListIdentities")
async def list_identities(call: Call, p: Params) -> Params:
    kind = p.get("IdentityType")
    matching = [
        identity
        for identity in await call.ports.store.select(Identity, call.scope)
        if kind is None or identity.is_address == (kind == "EmailAddress")
    ]
    names, token = page(matching, p.get("MaxItems"), p.get("NextToken"))
    return {"Identities": [identity.name for identity in names], "NextToken": token}


@operation("ses", "ListVerifiedEmailAddresses")
async def list_verified_email_addresses(call: Call, p: Params) -> Params:
    every = await call.ports.store.select(Identity, call.scope)
    addresses = [one.name for one in every if one.is_address and is_verified(one)]
    return {"VerifiedEmailAddresses": addresses}


@operation("ses", "DeleteIdentity")
async def delete_identity(call: Call, p: Params) -> None:
    await _delete(call, p["Identity"])


@operation("ses", "DeleteVerifiedEmailAddress")
async def delete_verified_email_address(call: Call, p: Params) -> None:
    await _delete(call, p["EmailAddress"])


async def _delete(call: Call, name: str) -> None:
    if await found(call, name) is not None:
        await call.ports.identities.delete(call.scope, name)


# DKIM


@operation("ses", "GetIdentityDkimAttributes")
async def get_identity_dkim_attributes(call: Call, p: Params) -> Params:
    attributes: Params = {}
    for name, identity in (await known(call, p["Identities"])).items():
        state = await dkim.shown(call.ports.identities, identity)
        attributes[name] = {
            "DkimEnabled": state.enabled,
            "DkimVerificationStatus": shown(state.proof.status),
            "DkimTokens": list(state.key.selectors) if state.key is not None else None,
        }
    return {"DkimAttributes": attributes}


@operation("ses", "SetIdentityDkimEnabled")
async def set_identity_dkim_enabled(call: Call, p: Params) -> None:
    enabled = p["DkimEnabled"]
    await dkim.set_signing(call.ports.identities, call.scope, p["Identity"], enabled=enabled)


# Settings


@operation("ses", "SetIdentityMailFromDomain")
async def set_identity_mail_from_domain(call: Call, p: Params) -> None:
    identity = await certain(call, p["Identity"])
    reject = p.get("BehaviorOnMXFailure") == REJECTED
    domain = p.get("MailFromDomain", "")
    await set_mail_from(call.ports.identities, identity, domain, reject=reject)


@operation("ses", "GetIdentityMailFromDomainAttributes")
async def get_identity_mail_from_domain_attributes(call: Call, p: Params) -> Params:
    every = (await known(call, p["Identities"])).items()
    return {"MailFromDomainAttributes": {name: _mail_from(identity) for name, identity in every}}


def _mail_from(identity: Identity) -> Params:
    custom = identity.mail_from
    if custom is None:
        return {"BehaviorOnMXFailure": KEPT}
    return {
        "MailFromDomain": custom.domain,
        "MailFromDomainStatus": shown(custom.proof.status),
        "BehaviorOnMXFailure": REJECTED if custom.reject_on_mx_failure else KEPT,
    }


@operation("ses", "SetIdentityFeedbackForwardingEnabled")
async def set_identity_feedback_forwarding_enabled(call: Call, p: Params) -> None:
    identity = await found(call, p["Identity"])
    if identity is None:
        raise NotFound(
            f"Identity {p['Identity']} is invalid. Must be a verified email address or domain.",
            resource="identity",
            name=p["Identity"],
        )
    new = replace(identity, feedback_forwarding=p["ForwardingEnabled"])
    await call.ports.identities.change(identity, new)


@operation("ses", "GetIdentityNotificationAttributes")
async def get_identity_notification_attributes(call: Call, p: Params) -> Params:
    return {
        "NotificationAttributes": {
            name: {
                "ForwardingEnabled": identity.feedback_forwarding,
                "HeadersInBounceNotificationsEnabled": False,
                "HeadersInComplaintNotificationsEnabled": False,
                "HeadersInDeliveryNotificationsEnabled": False,
            }
            for name, identity in (await known(call, p["Identities"])).items()
        }
    }
