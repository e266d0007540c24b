"""The DKIM keys of identities: Easy DKIM, made here, and keys that owners bring.

A new key is looked for in DNS before it signs; until then mail goes out without
the identity's signature, while its right to send stays as it was.
"""

from __future__ import annotations

from dataclasses import replace

from mailstead.mail.errors import Invalid
from mailstead.mail.identities import DAY, Identities, canonical, domain_name
from mailstead.mail.model import Dkim, Identity, Scope, Secret, SigningKey, VerificationStatus
from mailstead.wire.dkim_key import DkimKeyError, load_private_key, public_record

EASY = "AWS_SES"
EXTERNAL = "EXTERNAL"
SHORT, LONG = 1024, 2048
"""The lengths of Easy DKIM's keys, in bits."""


async def shown(parts: Identities, identity: Identity) -> Dkim:
    """The DKIM state that an identity shows: an address shows its domain's."""
    if identity.is_address:
        domain = identity.name.rpartition("@")[2]
        for parent in await parts.parents(identity.scope, domain):
            if parent.dkim.key is not None:
                return parent.dkim
    return identity.dkim


async def tokens(parts: Identities, scope: Scope, domain: str) -> Identity:
    """The identity of a domain with its DKIM selectors, made where they are missing."""
    name = domain_name(domain)
    identity = await parts.get(scope, name)
    if identity is None:
        return await parts.create(Identity(scope, name, created_at=parts.clock.now()))
    if identity.dkim.key is None:
        return await _exchanged(parts, identity, replace(identity.dkim, enabled=True), LONG)
    return await _restarted(parts, identity)


async def set_signing(parts: Identities, scope: Scope, name: str, *, enabled: bool) -> None:
    """Let an identity's own key sign, or not; of an address under a known domain: no effect."""
    key = canonical(name)
    domain = key.rpartition("@")[2]
    if domain != key and await parts.parents(scope, domain):
        return
    identity = None if domain != key else await parts.get(scope, key)
    if identity is None or (enabled and identity.dkim.key is None):
        raise Invalid(
            f"Domain {domain} is not verified for DKIM signing.",
            resource="identity",
            name=domain,
            reason="dkim",
        )
    await parts.change(identity, replace(identity, dkim=replace(identity.dkim, enabled=enabled)))


async def use_easy(parts: Identities, identity: Identity, bits: int | None) -> Identity:
    """Sign with a key made here, of another length or instead of the owner's.

    Without a length the key stays, and is looked for anew where that failed.
    """
    dkim = identity.dkim
    if dkim.key is None or dkim.origin != EASY:
        new = replace(dkim, origin=EASY, enabled=dkim.enabled or dkim.key is None)
        return await _exchanged(parts, identity, new, bits or LONG)
    if bits is None:
        return await _restarted(parts, identity)
    now = parts.clock.now()
    if bits == dkim.key.bits:
        raise _refused(f"The DKIM key of {identity.name} has {bits} bits already.")
    first_downgrade = bits == SHORT and not dkim.switched
    if now - dkim.key.made_at < DAY and not first_downgrade:
        raise _refused("The length of a DKIM key can be changed once in 24 hours.")
    return await _exchanged(parts, identity, replace(dkim, switched=now), bits)


async def bring_key(
    parts: Identities, identity: Identity, selector: str, private_key: str
) -> Identity:
    """Sign with a key of the owner's (BYODKIM)."""
    dkim = replace(external(parts, selector, private_key), proof=parts.fresh_proof())
    return await _kept(parts, identity, dkim)


def external(parts: Identities, selector: str, private_key: str) -> Dkim:
    """BYODKIM: the owner's key, base64 of PKCS#1 or PKCS#8 without the PEM frame."""
    if not selector or "." in selector:
        raise _refused("The DKIM selector is one label, without dots.")
    try:
        key = load_private_key(private_key)
    except DkimKeyError as error:
        raise _refused(f"The DKIM private key can't be used: {error}.") from None
    bits = getattr(key, "key_size", 0)
    if not SHORT <= bits <= LONG or "-" in private_key:
        raise _refused(
            "The DKIM private key is RSA of 1024 to 2048 bits, in base64 without header, footer "
            "and line breaks."
        )
    private = Secret("".join(private_key.split()).encode())
    held = SigningKey((selector,), private, public_record(key), bits, parts.clock.now())
    return Dkim(enabled=True, origin=EXTERNAL, key=held)


async def _exchanged(parts: Identities, identity: Identity, dkim: Dkim, bits: int) -> Identity:
    key = await parts.easy_key(bits)
    new = replace(dkim, key=key, next_bits=bits, proof=parts.fresh_proof())
    return await _kept(parts, identity, new)


async def _kept(parts: Identities, identity: Identity, dkim: Dkim) -> Identity:
    proof = identity.proof if identity.proof.holds else parts.fresh_proof()
    new = replace(identity, dkim=dkim, proof=proof, granted=False)
    return await parts.change(identity, new)


async def _restarted(parts: Identities, identity: Identity) -> Identity:
    if identity.dkim.proof.status is not VerificationStatus.FAILED:
        return identity
    return await _kept(parts, identity, replace(identity.dkim, proof=parts.fresh_proof()))


def _refused(text: str) -> Invalid:
    return Invalid(text, resource="identity", reason="dkim")
