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
    Dkim,
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
from mailstead.wire.dkim_key import DkimKeyError, load_private_key, public_record

DAY = 24 * 60 * 60 * 1000
TAG_LIMIT = 50
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

    async def create(self, identity: Identity) -> Identity:
        """Keep a new identity, with an Easy DKIM key where it is a domain without one.

        A new domain's proofs begin; what they are at first is the caller's to say.
        """
        if await self.get(identity.scope, identity.name) is not None:
            raise Conflict(
                f"Email identity {identity.name} already exist.",
                resource="identity",
                name=identity.name,
                reason="exists",
            )
        if not identity.is_address and identity.dkim.key is None:
            identity = replace(
                identity, dkim=replace(identity.dkim, key=await self.easy_key(identity.dkim))
            )
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

    async def easy_key(self, dkim: Dkim) -> SigningKey:
        """A new Easy DKIM key of the length that comes next, with three tokens."""
        private = await self.randomness.rsa_key(dkim.next_bits)
        record = public_record(load_private_key(private))
        tokens = tuple(self._token() for _ in range(3))
        return SigningKey(tokens, Secret(private), record, dkim.next_bits, self.clock.now())

    def _token(self) -> str:
        """32 characters of a-z and 2-7, as SES's are."""
        return b32encode(self.randomness.token(20)).decode().lower()

    def domain_token(self) -> str:
        """The v1 TXT record's token: 44 characters of base64, as SES's are."""
        return b64encode(self.randomness.token(32)).decode()

    def _begun(self, identity: Identity) -> Identity:
        now = self.clock.now()
        if self.automatic:
            done = Proof(VerificationStatus.SUCCESS, since=now, proven=now)
            return replace(
                identity,
                proof=done,
                dkim=replace(identity.dkim, proof=done) if identity.dkim.key else identity.dkim,
            )
        return replace(
            identity,
            proof=pending(now) if identity.proof == Proof() else identity.proof,
            dkim=replace(identity.dkim, proof=pending(now))
            if identity.dkim.key and identity.dkim.proof == Proof()
            else identity.dkim,
        )

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


def canonical(name: str) -> str:
    """How an identity is kept: a domain as lower-case A-labels, an address as written.

    Invalid in SES's words for what is neither.
    """
    name = name.strip()
    local, at, domain = name.rpartition("@")
    try:
        if at:
            return f"{local}@{domain_key(parse_mailbox(name).address.domain)}"
        key = domain_key(domain.rstrip("."))
    except AddressError:
        key = ""
    if not _DOMAIN.fullmatch(key):
        what = "email address" if at else "domain name"
        raise Invalid(
            f"Invalid {what}<{name}>.", resource="identity", name=name, reason="malformed"
        )
    return key


def cover_names(address: Address) -> list[str]:
    """Names of the identities that cover an address, the most specific first.

    The address itself, without its ``+label``, then its domain and every parent.
    """
    domain = domain_key(address.domain)
    plain = address.local.partition("+")[0]
    names = [f"{address.local}@{domain}"]
    if plain and plain != address.local:
        names.append(f"{plain}@{domain}")
    labels = domain.split(".")
    names += [".".join(labels[start:]) for start in range(len(labels))]
    return names


def is_verified(identity: Identity) -> bool:
    """Whether mail may be sent from it."""
    return identity.proof.holds or identity.token_proof.holds


def signs(identity: Identity) -> bool:
    """Whether its own key signs: a records' loss stops it only when final."""
    return identity.dkim.enabled and identity.dkim.key is not None and identity.dkim.proof.holds


def external_dkim(private_key: str, selector: str, clock: Clock) -> Dkim:
    """BYODKIM: the owner's key, base64 of PKCS#1 or PKCS#8 without the PEM frame."""
    if not selector or "." in selector:
        raise Invalid(
            "the selector is one label, without dots", resource="identity", reason="selector"
        )
    try:
        key = load_private_key(private_key)
    except DkimKeyError as error:
        raise Invalid(str(error), resource="identity", reason="private-key") from None
    bits = getattr(key, "key_size", 0)
    if not 1024 <= bits <= 2048:
        raise Invalid(
            "the private key is RSA of 1024 to 2048 bits, base64 without header and line breaks",
            resource="identity",
            reason="private-key",
        )
    now = clock.now()
    private = Secret("".join(private_key.split()).encode())
    held = SigningKey((selector,), private, public_record(key), bits, now)
    return Dkim(enabled=True, origin="EXTERNAL", proof=pending(now), key=held, next_bits=bits)


def mail_from(identity: Identity, domain: str, *, reject: bool, now: int) -> MailFrom | None:
    """A custom MAIL FROM domain: a subdomain of the identity's; empty takes it away."""
    if not domain:
        return None
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
    return MailFrom(name, reject_on_mx_failure=reject, proof=pending(now))


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
