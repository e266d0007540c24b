"""SES v2's operations on identities; version 1's are `mailstead.api.ses.identities_v1`'."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from mailstead.api.errors import NOT_SERVED
from mailstead.api.operation import Call, operation
from mailstead.api.ses.paging import page
from mailstead.mail import dkim
from mailstead.mail.errors import Invalid
from mailstead.mail.identities import (
    canonical,
    check_tags,
    exists,
    is_verified,
    missing_set,
    set_mail_from,
    status_of,
)
from mailstead.mail.model import Dkim, Identity, VerificationStatus
from mailstead.mail.sending_policies import identity_arn

Params = dict[str, Any]
BITS = {"RSA_1024_BIT": dkim.SHORT, "RSA_2048_BIT": dkim.LONG}
KEPT, REJECTED = "USE_DEFAULT_VALUE", "REJECT_MESSAGE"


def arn(call: Call, p: Params) -> Sequence[str]:
    """The identity that a call is about."""
    return (identity_arn(call.scope, canonical(p["EmailIdentity"])),)


def tags_in(p: Params) -> dict[str, str]:
    """Tags as SES reads them."""
    return {tag["Key"]: tag["Value"] for tag in p.get("Tags", ())}


def tags_out(identity: Identity) -> list[dict[str, str]]:
    """Tags as SES writes them."""
    return [{"Key": key, "Value": value} for key, value in identity.tags.items()]


async def named(call: Call, p: Params) -> Identity:
    """The identity that a call names, or NotFound."""
    return await call.ports.identities.require(call.scope, p["EmailIdentity"])


# Making, showing, deleting


@operation("sesv2", "CreateEmailIdentity", resources=arn)
async def create_email_identity(call: Call, p: Params) -> Params:
    identities, given = call.ports.identities, p["EmailIdentity"]
    if await identities.get(call.scope, given) is not None:
        raise exists(given)
    check_tags(tags := tags_in(p))
    if p.get("ConfigurationSetName"):
        raise missing_set(p["ConfigurationSetName"])
    name = canonical(given)
    made = await identities.create(
        Identity(
            call.scope,
            name,
            created_at=call.ports.clock.now(),
            dkim=_new_dkim(call, name, p.get("DkimSigningAttributes", {})),
            tags=tags,
        )
    )
    result: Params = {"IdentityType": _type(made), "VerifiedForSendingStatus": is_verified(made)}
    if made.is_address:
        await call.ports.letters.ask(made)
        return result
    attributes = _dkim_attributes(call, made, made.dkim)
    if not made.dkim.proof.holds:
        # SES says so in this answer alone: at the next look it is pending.
        attributes["Status"] = VerificationStatus.NOT_STARTED.value
    return {**result, "DkimAttributes": attributes}


@operation("sesv2", "GetEmailIdentity", resources=arn)
async def get_email_identity(call: Call, p: Params) -> Params:
    identity = await named(call, p)
    shown = await dkim.shown(call.ports.identities, identity)
    return {
        "IdentityType": _type(identity),
        "FeedbackForwardingStatus": identity.feedback_forwarding,
        "VerifiedForSendingStatus": is_verified(identity),
        "DkimAttributes": _dkim_attributes(call, identity, shown),
        "MailFromAttributes": _mail_from_attributes(identity),
        "Policies": identity.policies,
        "Tags": tags_out(identity),
        "ConfigurationSetName": identity.configuration_set or None,
        "VerificationStatus": status_of(identity).value,
        "VerificationInfo": _verification_info(identity),
    }


@operation("sesv2", "ListEmailIdentities")
async def list_email_identities(call: Call, p: Params) -> Params:
    wanted: Params = p.get("Filter", {})
    found = await call.ports.store.select(Identity, call.scope)
    matching = [one for one in found if all(_FILTERS[k](one, v) for k, v in wanted.items())]
    shown, token = page(matching, p.get("PageSize"), p.get("NextToken"))
    return {
        "EmailIdentities": [
            {
                "IdentityType": _type(identity),
                "IdentityName": identity.name,
                "SendingEnabled": is_verified(identity),
                "VerificationStatus": status_of(identity).value,
            }
            for identity in shown
        ],
        "NextToken": token,
    }


@operation("sesv2", "DeleteEmailIdentity", resources=arn)
async def delete_email_identity(call: Call, p: Params) -> None:
    await call.ports.identities.delete(call.scope, p["EmailIdentity"])


# DKIM


@operation("sesv2", "PutEmailIdentityDkimAttributes", resources=arn)
async def put_dkim_attributes(call: Call, p: Params) -> None:
    enabled = p.get("SigningEnabled", False)
    await dkim.set_signing(call.ports.identities, call.scope, p["EmailIdentity"], enabled=enabled)


@operation("sesv2", "PutEmailIdentityDkimSigningAttributes", resources=arn)
async def put_dkim_signing_attributes(call: Call, p: Params) -> Params:
    identities = call.ports.identities
    _check_domain(canonical(p["EmailIdentity"]))
    identity = await named(call, p)
    origin, given = p["SigningAttributesOrigin"], p.get("SigningAttributes", {})
    _check_origin(origin)
    if origin == dkim.EXTERNAL:
        selector, private_key = _brought(given)
        identity = await dkim.bring_key(identities, identity, selector, private_key)
    else:
        bits = BITS.get(given.get("NextSigningKeyLength", ""))
        identity = await dkim.use_easy(identities, identity, bits)
    attributes = _dkim_attributes(call, identity, identity.dkim)
    return {
        "DkimStatus": attributes["Status"],
        "DkimTokens": attributes["Tokens"],
        "SigningHostedZone": attributes["SigningHostedZone"],
    }


def _new_dkim(call: Call, name: str, given: Params) -> Dkim:
    if not given:
        return Dkim()
    _check_domain(name)
    _check_origin(given.get("DomainSigningAttributesOrigin", dkim.EASY))
    length = given.get("NextSigningKeyLength")
    if length is None:
        return dkim.external(call.ports.identities, *_brought(given))
    if "DomainSigningSelector" in given or "DomainSigningPrivateKey" in given:
        raise _bad("The length of a key is for Easy DKIM, a selector and a key are for your own.")
    return Dkim(next_bits=BITS[length])


def _brought(given: Params) -> tuple[str, str]:
    """The selector and private key of BYODKIM."""
    try:
        return given["DomainSigningSelector"], given["DomainSigningPrivateKey"]
    except KeyError as error:
        raise _bad(f"{error.args[0]} is missing: your own key needs it.") from None


def _check_domain(name: str) -> None:
    if "@" in name:
        raise _bad("The EmailIdentity value must be a valid domain.")


def _check_origin(origin: str) -> None:
    if origin not in (dkim.EASY, dkim.EXTERNAL):
        raise Invalid(
            f"Deterministic Easy DKIM ({origin}) is not served by mailstead. docs/operations.md "
            "lists what is.",
            resource="identity",
            reason=NOT_SERVED,
        )


def _bad(text: str) -> Invalid:
    return Invalid(text, resource="identity")


# Settings


@operation("sesv2", "PutEmailIdentityMailFromAttributes", resources=arn)
async def put_mail_from_attributes(call: Call, p: Params) -> None:
    reject = p.get("BehaviorOnMxFailure") == REJECTED
    identity = await named(call, p)
    domain = p.get("MailFromDomain", "")
    await set_mail_from(call.ports.identities, identity, domain, reject=reject)


@operation("sesv2", "PutEmailIdentityFeedbackAttributes", resources=arn)
async def put_feedback_attributes(call: Call, p: Params) -> None:
    identity = await named(call, p)
    forwarding = p.get("EmailForwardingEnabled", False)
    await call.ports.identities.change(identity, replace(identity, feedback_forwarding=forwarding))


@operation("sesv2", "PutEmailIdentityConfigurationSetAttributes", resources=arn)
async def put_configuration_set_attributes(call: Call, p: Params) -> None:
    identity = await named(call, p)
    if p.get("ConfigurationSetName"):
        raise missing_set(p["ConfigurationSetName"])
    await call.ports.identities.change(identity, replace(identity, configuration_set=""))


# How an identity is shown


def _type(identity: Identity) -> str:
    return "EMAIL_ADDRESS" if identity.is_address else "DOMAIN"


def _dkim_attributes(call: Call, identity: Identity, shown: Dkim) -> Params:
    names = call.ports.identities.names
    key, easy = shown.key, shown.origin == dkim.EASY
    # A new address without a known domain shows 1024, as SES does.
    next_bits = dkim.SHORT if identity.is_address and key is None else shown.next_bits
    made = key if easy else None
    return {
        "SigningEnabled": shown.enabled,
        "Status": shown.proof.status.value,
        "Tokens": list(key.selectors) if key is not None else None,
        "SigningHostedZone": names.signing_zone if names is not None and made else None,
        "SigningAttributesOrigin": shown.origin,
        "NextSigningKeyLength": f"RSA_{next_bits}_BIT" if easy else None,
        "CurrentSigningKeyLength": f"RSA_{made.bits}_BIT" if made else None,
        "LastKeyGenerationTimestamp": made.made_at // 1000 if made else None,
    }


def _mail_from_attributes(identity: Identity) -> Params:
    custom = identity.mail_from
    if custom is None:
        return {"BehaviorOnMxFailure": KEPT}
    return {
        "MailFromDomain": custom.domain,
        "MailFromDomainStatus": custom.proof.status.value,
        "BehaviorOnMxFailure": REJECTED if custom.reject_on_mx_failure else KEPT,
    }


def _verification_info(identity: Identity) -> Params:
    held = (identity.proof, identity.token_proof)
    checked = max(proof.checked for proof in held)
    if identity.is_address or not checked:
        return {}
    proven = max(proof.proven for proof in held)
    return {
        "LastCheckedTimestamp": checked // 1000,
        "LastSuccessTimestamp": proven // 1000 if proven else None,
    }


_FILTERS: dict[str, Callable[[Identity, str], bool]] = {
    "IDENTITY_NAME_CONTAINS": lambda identity, text: text.lower() in identity.name.lower(),
    "IDENTITY_TYPE": lambda identity, kind: _type(identity) == kind,
    "VERIFICATION_STATUS": lambda identity, status: status_of(identity).value == status,
}
