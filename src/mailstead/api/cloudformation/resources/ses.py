"""``AWS::SES::EmailIdentity``: an address or a domain that may send."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar

from mailstead.api.cloudformation.resources import (
    ANY,
    Context,
    Made,
    Properties,
    Schema,
    changed,
    create_only_changed,
    tags_of,
    truth,
    whole,
)
from mailstead.api.ses.identities import BITS
from mailstead.mail import dkim
from mailstead.mail.errors import Conflict, Invalid, NotFound
from mailstead.mail.identities import canonical, check_tags, missing_set, set_mail_from
from mailstead.mail.model import Dkim, Identity
from mailstead.mail.sending_policies import identity_arn

_LENGTHS = {bits: name for name, bits in BITS.items()}


class EmailIdentity:
    """An identity with its DKIM, MAIL FROM and feedback settings."""

    schema: ClassVar[Schema] = Schema(
        type="AWS::SES::EmailIdentity",
        properties={
            "EmailIdentity": None,
            "ConfigurationSetAttributes": {"ConfigurationSetName": None},
            "DkimAttributes": {"SigningEnabled": None},
            "DkimSigningAttributes": {
                "DomainSigningPrivateKey": None,
                "DomainSigningSelector": None,
                "NextSigningKeyLength": None,
            },
            "FeedbackAttributes": {"EmailForwardingEnabled": None},
            "MailFromAttributes": {"BehaviorOnMxFailure": None, "MailFromDomain": None},
            "Tags": ANY,
        },
        required=("EmailIdentity",),
        create_only=("EmailIdentity",),
        attributes=tuple(
            f"DkimDNSToken{kind}{number}" for kind in ("Name", "Value") for number in (1, 2, 3)
        ),
        name="EmailIdentity",
        secret=("DkimSigningAttributes.DomainSigningPrivateKey",),
    )

    def replaces(self, old: Properties, new: Properties) -> bool:
        return create_only_changed(self.schema, old, new)

    async def create(self, at: Context, name: str, given: Properties) -> Made:
        key = canonical(name)
        at.authorise("ses:CreateEmailIdentity", identity_arn(at.scope, key))
        _authorise_settings(at, key, [name for name in given if name != "DkimSigningAttributes"])
        identities = at.ports.identities
        check_tags(tags_of(given))
        _check_set(given)
        try:
            identity = await identities.create(
                Identity(
                    at.scope,
                    key,
                    created_at=at.ports.clock.now(),
                    dkim=_first_dkim(at, key, given),
                    tags=tags_of(given),
                )
            )
            fresh = True
        except Conflict:
            if not (at.resuming or at.importing):
                raise
            identity, fresh = await identities.require(at.scope, key), False
        if identity.is_address and (fresh or at.resuming):
            await at.ports.letters.ask(identity)
        async with whole(at, lambda: self.delete(at, name, given)):
            identity = await _mail_from(at, identity, given)
            identity = await self._settings(at, identity, given)
        return Made(identity.name, _attributes(at, identity))

    async def update(self, at: Context, physical_id: str, old: Properties, new: Properties) -> Made:
        _authorise_settings(at, canonical(physical_id), changed(self.schema, old, new))
        check_tags(tags_of(new))
        _check_set(new)
        identity = await at.ports.identities.require(at.scope, physical_id)
        identity = await _mail_from(at, identity, new)
        # A change of the key that failed has changed nothing, and need not be undone.
        if "DkimSigningAttributes" in changed(self.schema, old, new) and at.undoing != "FAILED":
            identity = await _signing(at, identity, new.get("DkimSigningAttributes") or {})
        identity = await self._settings(at, identity, new)
        return Made(identity.name, _attributes(at, identity))

    async def _settings(self, at: Context, identity: Identity, given: Properties) -> Identity:
        identities = at.ports.identities
        feedback = given.get("FeedbackAttributes") or {}
        enabled = (given.get("DkimAttributes") or {}).get("SigningEnabled")
        new = replace(
            identity,
            tags=tags_of(given),
            feedback_forwarding=truth(feedback.get("EmailForwardingEnabled"), True),
        )
        if enabled is not None and not identity.is_address:
            new = replace(new, dkim=replace(new.dkim, enabled=truth(enabled)))
        return await identities.change(identity, new)

    async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
        at.authorise("ses:DeleteEmailIdentity", identity_arn(at.scope, canonical(physical_id)))
        try:
            await at.ports.identities.delete(at.scope, physical_id)
        except NotFound:
            return

    async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
        identity = await at.ports.identities.get(at.scope, physical_id)
        if identity is None:
            return None
        # Written in another way it is the same name.
        found: dict[str, Any] = {"EmailIdentity": given.get("EmailIdentity", identity.name)}
        if "DkimAttributes" in given:
            found["DkimAttributes"] = {"SigningEnabled": identity.dkim.enabled}
        if "FeedbackAttributes" in given:
            found["FeedbackAttributes"] = {"EmailForwardingEnabled": identity.feedback_forwarding}
        if "Tags" in given:
            tags = identity.tags
            found["Tags"] = [{"Key": key, "Value": value} for key, value in tags.items()]
        length = (given.get("DkimSigningAttributes") or {}).get("NextSigningKeyLength")
        if length is not None:
            found["DkimSigningAttributes"] = {
                "NextSigningKeyLength": _LENGTHS.get(identity.dkim.next_bits)
            }
        if "MailFromAttributes" in given:
            found["MailFromAttributes"] = _mail_from_shown(identity, given["MailFromAttributes"])
        return found


_ACTIONS = {
    "DkimAttributes": "ses:PutEmailIdentityDkimAttributes",
    "DkimSigningAttributes": "ses:PutEmailIdentityDkimSigningAttributes",
    "FeedbackAttributes": "ses:PutEmailIdentityFeedbackAttributes",
    "MailFromAttributes": "ses:PutEmailIdentityMailFromAttributes",
    "Tags": "ses:TagResource",
}


def _authorise_settings(at: Context, name: str, properties: Iterable[str]) -> None:
    """Each setting is asked for by its own action, as the API has it."""
    for one in properties:
        if one in _ACTIONS:
            at.authorise(_ACTIONS[one], identity_arn(at.scope, name))


async def _mail_from(at: Context, identity: Identity, given: Properties) -> Identity:
    mail_from = given.get("MailFromAttributes") or {}
    # Without a domain it says what would happen with one: nothing is set.
    domain = str(mail_from.get("MailFromDomain") or "")
    reject = mail_from.get("BehaviorOnMxFailure") == "REJECT_MESSAGE"
    if not domain and identity.mail_from is None:
        return identity
    return await set_mail_from(at.ports.identities, identity, domain, reject=reject)


def _mail_from_shown(identity: Identity, given: Properties) -> Properties:
    custom = identity.mail_from
    if custom is None:
        return {name: value for name, value in given.items() if name == "BehaviorOnMxFailure"}
    behaviour = "REJECT_MESSAGE" if custom.reject_on_mx_failure else "USE_DEFAULT_VALUE"
    shown = {"MailFromDomain": custom.domain, "BehaviorOnMxFailure": behaviour}
    return {name: shown[name] for name in shown if name in given}


def _check_set(given: Properties) -> None:
    name = (given.get("ConfigurationSetAttributes") or {}).get("ConfigurationSetName")
    if name:
        raise missing_set(str(name))


def _first_dkim(at: Context, name: str, given: Properties) -> Dkim:
    signing = given.get("DkimSigningAttributes") or {}
    if not signing:
        return Dkim()
    if "@" in name:
        raise Invalid("The EmailIdentity value must be a valid domain.", resource="identity")
    length = signing.get("NextSigningKeyLength")
    if length is not None:
        return Dkim(next_bits=_bits(length))
    return dkim.external(at.ports.identities, *_brought(signing))


def _brought(signing: Properties) -> tuple[str, str]:
    try:
        return str(signing["DomainSigningSelector"]), str(signing["DomainSigningPrivateKey"])
    except KeyError as error:
        raise Invalid(
            f"{error.args[0]} is missing: your own key needs it.", resource="identity"
        ) from None


def _bits(length: Any) -> int:
    if length not in BITS:
        raise Invalid(
            f"NextSigningKeyLength can't be {length}: it is one of {', '.join(BITS)}",
            resource="identity",
        )
    return BITS[length]


async def _signing(at: Context, identity: Identity, signing: Properties) -> Identity:
    length = signing.get("NextSigningKeyLength")
    if length is not None:
        if identity.dkim.origin == dkim.EASY and identity.dkim.next_bits == _bits(length):
            return identity
        return await dkim.use_easy(at.ports.identities, identity, _bits(length))
    if signing:
        return await dkim.bring_key(at.ports.identities, identity, *_brought(signing))
    return identity


def _attributes(at: Context, identity: Identity) -> dict[str, Any]:
    key = identity.dkim.key
    names = at.ports.identities.names
    found: dict[str, Any] = {}
    tokens = key.selectors if key is not None and identity.dkim.origin == dkim.EASY else ()
    for number in (1, 2, 3):
        token = tokens[number - 1] if len(tokens) >= number else ""
        owner = f"{token}._domainkey.{identity.name}" if token else ""
        found[f"DkimDNSTokenName{number}"] = owner
        found[f"DkimDNSTokenValue{number}"] = names.dkim_target(token) if token and names else ""
    return found
