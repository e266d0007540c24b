"""Identities: who may send, how that was proven, and with which key mail is signed.

A domain is proven by DKIM records or by the v1 TXT record, an address by the
link in a verification mail. What DNS says is looked at when an identity is made
or changed, when a zone hosted here changes, and at growing intervals else.
"""

from __future__ import annotations

import re
from base64 import b32encode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace

from mailstead.mail.errors import Conflict, DomainError, Invalid, NotFound
from mailstead.mail.model import (
    Identity,
    MailFrom,
    Proof,
    Scope,
    Secret,
    SigningKey,
    VerificationStatus,
)
from mailstead.mail.ports import Change, Clock, Create, Randomness, Remove, Replace, Store, Wakeups
from mailstead.mail.service import DkimName, ServiceNames
from mailstead.wire.addresses import Address, AddressError, domain_key, parse_mailbox
from mailstead.wire.dkim_key import load_private_key, public_record

DAY = 24 * 60 * 60 * 1000
TAG_LIMIT = 50
_BEST_FIRST = (
    VerificationStatus.SUCCESS,
    VerificationStatus.TEMPORARY_FAILURE,
    VerificationStatus.PENDING,
    VerificationStatus.FAILED,
    VerificationStatus.NOT_STARTED,
)
_DOMAIN = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}")


@dataclass(frozen=True, slots=True)
class Identities:
    """What the functions on identities need of the outside."""

    store: Store
    clock: Clock
    randomness: Randomness
    wakeups: Wakeups
    names: ServiceNames | None
    """None in an installation without names of its own."""
    automatic: bool = False
    """``identities.verification = "automatic"``: everything verifies at once."""

    async def get(self, scope: Scope, name: str) -> Identity | None:
        """The identity of that name, or None."""
        return await self.store.get(Identity, scope, canonical(name))

    async def require(self, scope: Scope, name: str) -> Identity:
        """The identity of that name; NotFound in SES's words."""
        found = await self.get(scope, name)
        if found is None:
            raise missing(name)
        return found

    async def covering(self, scope: Scope, address: Address) -> list[Identity]:
        """The identities that cover an address, the most specific first."""
        found: list[Identity] = []
        for name in cover_names(address):
            identity = await self.store.get(Identity, scope, name)
            if identity is not None:
                found.append(identity)
        return found

    async def parents(self, scope: Scope, domain: str) -> list[Identity]:
        """The identities of a domain and of those above it, the nearest first."""
        found = [await self.store.get(Identity, scope, name) for name in _parent_names(domain)]
        return [identity for identity in found if identity is not None]

    async def create(self, identity: Identity, *, easy_dkim: bool = True) -> Identity:
        """Keep a new identity, with an Easy DKIM key where it is a domain without one.

        Its proofs begin. Without ``easy_dkim`` a domain has the v1 token alone.
        """
        if await self.get(identity.scope, identity.name) is not None:
            raise exists(identity.name)
        if easy_dkim and not identity.is_address and identity.dkim.key is None:
            key = await self.easy_key(identity.dkim.next_bits)
            identity = replace(identity, dkim=replace(identity.dkim, enabled=True, key=key))
        identity = self._begun(identity)
        await self.store.apply(Create(identity), *published(identity))
        self.wakeups.wake("identities")
        return identity

    async def change(self, old: Identity, new: Identity) -> Identity:
        """Replace an identity, and publish or withdraw its Easy DKIM names with it."""
        if old == new:
            return new
        await self.store.apply(Replace(old, new), *await self._republished(old, new))
        self.wakeups.wake("identities")
        return new

    async def delete(self, scope: Scope, name: str) -> None:
        """Delete an identity; NotFound where there is none."""
        identity = await self.require(scope, name)
        withdrawn = await self._withdrawn(identity)
        await self.store.apply(Remove(identity), *withdrawn)

    async def easy_key(self, bits: int) -> SigningKey:
        """A new Easy DKIM key with three tokens."""
        private = await self.randomness.rsa_key(bits)
        record = public_record(load_private_key(private))
        tokens = tuple(self._token() for _ in range(3))
        return SigningKey(tokens, Secret(private), record, bits, self.clock.now())

    def fresh_proof(self) -> Proof:
        """A proof that begins to be looked for; proven where all verifies at once."""
        now = self.clock.now()
        if self.automatic:
            return Proof(VerificationStatus.SUCCESS, since=now, proven=now)
        return pending(now)

    def _token(self) -> str:
        """32 characters of a-z and 2-7, as SES's are."""
        return b32encode(self.randomness.token(20)).decode().lower()

    def domain_token(self) -> str:
        """The v1 TXT record's token: 44 characters of base64, as SES's are."""
        return b64encode(self.randomness.token(32)).decode()

    def _begun(self, identity: Identity) -> Identity:
        dkim = identity.dkim
        if dkim.key is not None and dkim.proof == Proof():
            dkim = replace(dkim, proof=self.fresh_proof())
        begins = identity.proof == Proof() and (identity.is_address or dkim.key is not None)
        proof = self.fresh_proof() if begins else identity.proof
        return replace(identity, proof=proof, dkim=dkim)

    async def _republished(self, old: Identity, new: Identity) -> list[Change]:
        if old.dkim.key == new.dkim.key:
            return []
        return [*await self._withdrawn(old), *published(new)]

    async def _withdrawn(self, identity: Identity) -> list[Change]:
        stands = [await self.store.find(DkimName, name.name) for name in dkim_names(identity)]
        return [Remove(name) for name in stands if name is not None]


def dkim_names(identity: Identity) -> list[DkimName]:
    """Where the service publishes an Easy DKIM key."""
    key = identity.dkim.key
    if key is None or identity.dkim.origin != "AWS_SES":
        return []
    return [DkimName(identity.scope, token, identity.name, key.public) for token in key.selectors]


def published(identity: Identity) -> list[Change]:
    """What makes the service answer for an identity's Easy DKIM names."""
    return [Create(name) for name in dkim_names(identity)]


def pending(now: int) -> Proof:
    """A proof that begins to be looked for."""
    return Proof(VerificationStatus.PENDING, since=now)


def missing(name: str) -> NotFound:
    """SES's words for an identity that is not there."""
    return NotFound(f"Email identity {name} does not exist.", resource="identity", name=name)


def exists(name: str) -> Conflict:
    """SES's words for one that is there already."""
    text = f"Email identity {name} already exist."
    return Conflict(text, resource="identity", name=name, reason="exists")


def missing_set(name: str) -> NotFound:
    """SES's words for a configuration set that is not there."""
    text = f"Configuration set <{name}> does not exist."
    return NotFound(text, resource="configuration-set", name=name)


def canonical(name: str) -> str:
    """How an identity is kept: a domain as lower-case A-labels, an address as written.

    Invalid in SES's words for what is neither.
    """
    name = name.strip()
    local, at, _ = name.rpartition("@")
    if at:
        try:
            found = parse_mailbox(name)
        except AddressError:
            raise _malformed("email address", name) from None
        if found.written != str(found.address):
            raise _malformed("email address", name)
        return f"{local}@{domain_key(found.address.domain)}"
    try:
        key = domain_key(name.rstrip("."))
    except AddressError:
        key = ""
    if not _DOMAIN.fullmatch(key):
        raise _malformed("domain name", name)
    return key


def email_address(name: str) -> str:
    """The address that a call names, or Invalid in SES's words."""
    if "@" not in name:
        raise _malformed("email address", name)
    return canonical(name)


def domain_name(name: str) -> str:
    """The domain that a call names, or Invalid in SES's words."""
    if "@" in name:
        raise _malformed("domain name", name)
    return canonical(name)


def _malformed(what: str, name: str) -> Invalid:
    text = f"Invalid {what}<{name}>."
    return Invalid(text, resource="identity", name=name, reason="malformed")


def cover_names(address: Address) -> list[str]:
    """Names of the identities that cover an address, the most specific first.

    The address itself, without its ``+label``, then its domain and every parent.
    """
    domain = domain_key(address.domain)
    plain = address.local.partition("+")[0]
    names = [f"{address.local}@{domain}"]
    if plain and plain != address.local:
        names.append(f"{plain}@{domain}")
    return [*names, *_parent_names(domain)]


def _parent_names(domain: str) -> list[str]:
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(len(labels))]


def is_verified(identity: Identity) -> bool:
    """Whether mail may be sent from it."""
    return identity.proof.holds or identity.token_proof.holds


def signs(identity: Identity) -> bool:
    """Whether its own key signs: a records' loss stops it only when final."""
    return identity.dkim.enabled and identity.dkim.key is not None and identity.dkim.proof.holds


def status_of(identity: Identity) -> VerificationStatus:
    """How far it is: a domain's two proofs are independent, and the better one counts."""
    held = (identity.proof.status, identity.token_proof.status)
    return next(status for status in _BEST_FIRST if status in held)


async def ask_token(parts: Identities, scope: Scope, domain: str) -> Identity:
    """The identity of a domain with the token of the v1 proof, made where it is missing.

    The token stays; a proof that failed begins anew.
    """
    name = domain_name(domain)
    identity = await parts.get(scope, name)
    if identity is None:
        token, proof = parts.domain_token(), parts.fresh_proof()
        made = Identity(scope, name, parts.clock.now(), token=token, token_proof=proof)
        return await parts.create(made, easy_dkim=False)
    new = identity
    if not identity.token:
        new = replace(identity, token=parts.domain_token(), token_proof=parts.fresh_proof())
    elif identity.token_proof.status is VerificationStatus.FAILED:
        new = replace(identity, token_proof=parts.fresh_proof())
    return await parts.change(identity, new)


async def set_mail_from(
    parts: Identities, identity: Identity, domain: str, *, reject: bool
) -> Identity:
    """Give an identity a custom MAIL FROM domain; an empty one takes it away.

    Invalid unless it is a subdomain of the identity's domain. One that failed is
    looked for anew when it is set again.
    """
    if not domain:
        return await parts.change(identity, replace(identity, mail_from=None))
    name = canonical(domain)
    parent = identity.name.rpartition("@")[2]
    if "@" in name or not name.endswith(f".{parent}"):
        raise Invalid(
            f"Provided MAIL-FROM domain <{domain}> is not subdomain of the domain of the identity "
            f"<{identity.name}>.",
            resource="identity",
            name=identity.name,
            reason="mail-from",
        )
    old = identity.mail_from
    same = old is not None and old.domain == name
    lost = old is not None and old.proof.status is VerificationStatus.FAILED
    proof = old.proof if old is not None and same and not lost else parts.fresh_proof()
    new = MailFrom(name, reject_on_mx_failure=reject, proof=proof)
    return await parts.change(identity, replace(identity, mail_from=new))


def check_tags(tags: Mapping[str, str]) -> None:
    """SES's rules for tags; Invalid names the first that breaks them."""
    problem: DomainError | None = None
    for key, value in tags.items():
        if not 1 <= len(key) <= 128 or len(value) > 256:
            problem = Invalid(
                f"Tag key must be 1 to 128 characters and its value at most 256: {key}",
                resource="tag",
                name=key,
            )
        elif key.lower().startswith("aws:"):
            problem = Invalid(
                "Tag keys that begin with aws: are reserved", resource="tag", name=key
            )
    if len(tags) > TAG_LIMIT:
        problem = Invalid(f"An identity has at most {TAG_LIMIT} tags", resource="tag")
    if problem is not None:
        raise problem
