"""Looking in DNS, and at links, for the proofs that identities need.

One pass over an identity asks every record at once and judges each proof by
itself: DKIM, the v1 token, the MAIL FROM domain's MX. A proof that is not found
within 72 hours fails; one that is lost again is a temporary failure for 72
hours before it fails, since records come and go by accident.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import replace

from mailstead.mail.errors import Conflict, NotFound
from mailstead.mail.identities import Identities, canonical
from mailstead.mail.model import (
    Confirmation,
    Dkim,
    Identity,
    MailFrom,
    Proof,
    Scope,
    VerificationStatus,
)
from mailstead.mail.ports import Create, Remove, Replace, Resolver
from mailstead.wire.dkim_key import DkimKeyError, parse_key_record, public_record
from mailstead.wire.lookup import Answer, Question, Status

HOUR = 60 * 60 * 1000
GIVE_UP = 72 * HOUR
LINK_LIFE = 24 * HOUR
_INTERVALS = tuple(minutes * 60_000 for minutes in (1, 2, 5, 10, 20, 30, 60))

S = VerificationStatus


def judged(proof: Proof, found: bool | None, now: int) -> Proof:
    """A proof after a look: found, not found, or None when DNS gave no answer."""
    if proof.status is S.NOT_STARTED or proof.status is S.FAILED:
        return proof
    looked = replace(proof, checked=now, checks=proof.checks + 1)
    if found:
        since = proof.since if proof.status is S.SUCCESS else now
        return replace(looked, status=S.SUCCESS, since=since, proven=now)
    if proof.status is S.SUCCESS:
        if found is None:
            return looked
        return Proof(S.TEMPORARY_FAILURE, since=now, checked=now, proven=proof.proven)
    if now - proof.since >= GIVE_UP:
        return replace(looked, status=S.FAILED, since=now)
    return looked


def next_look(identity: Identity) -> int:
    """When DNS should be asked about an identity again; 0 for never."""
    times = [
        proof.checked + _INTERVALS[min(proof.checks, len(_INTERVALS) - 1)]
        if proof.status is not S.SUCCESS
        else proof.checked + HOUR
        for proof in proofs(identity)
        if proof.status in (S.PENDING, S.SUCCESS, S.TEMPORARY_FAILURE)
    ]
    return min(times, default=0)


def proofs(identity: Identity) -> list[Proof]:
    """The proofs that DNS or time can change."""
    found = [identity.proof, identity.token_proof, identity.dkim.proof]
    if identity.mail_from is not None:
        found.append(identity.mail_from.proof)
    return found


def questions(identity: Identity) -> tuple[list[Question], list[Question], list[Question]]:
    """What to ask: DKIM names, the v1 token's name, the MAIL FROM domain's MX."""
    dkim: list[Question] = []
    token: list[Question] = []
    exchange: list[Question] = []
    if identity.dkim.key is not None and not identity.granted:
        dkim = [
            Question(f"{selector}._domainkey.{identity.name}", "TXT")
            for selector in identity.dkim.key.selectors
        ]
    if identity.token:
        token = [Question(f"_amazonses.{identity.name}", "TXT")]
    if identity.mail_from is not None:
        exchange = [Question(identity.mail_from.domain, "MX")]
    return dkim, token, exchange


def dkim_found(dkim: Dkim, answers: Sequence[Answer]) -> bool | None:
    """Whether the key found at all its names is ours."""
    if dkim.key is None:
        return False
    if any(answer.status is Status.FAILED for answer in answers):
        return None
    ours = dkim.key.public
    return all(any(_publishes(text, ours) for text in answer.texts) for answer in answers)


def _publishes(text: bytes, ours: str) -> bool:
    try:
        return public_record(parse_key_record(text).key) == ours
    except DkimKeyError:
        return False


def exchange_found(answer: Answer, exchange: str) -> bool | None:
    """Whether the domain has exactly the one MX it should."""
    if answer.status is Status.FAILED:
        return None
    return [host for _, host in answer.exchanges] == [exchange]


def _sending(identity: Identity, found: bool | None, now: int) -> Proof:
    """The right to send of a domain, which its DKIM key proves.

    It outlasts an exchange of the key: only the loss of records that were found
    takes it away.
    """
    exchanging = identity.proof.holds and identity.dkim.proof.status is S.PENDING
    return identity.proof if exchanging and not found else judged(identity.proof, found, now)


class Verification:
    """Looks for proofs, and takes the click on a link."""

    def __init__(self, identities: Identities, resolver: Resolver, exchange_host: str) -> None:
        """``exchange_host`` stands for the MX of MAIL FROM domains without service names."""
        self._identities = identities
        self._resolver = resolver
        self._exchange_host = exchange_host

    async def look(self, identity: Identity) -> Identity:
        """Ask DNS about an identity and keep what it says."""
        if self._identities.automatic:
            return identity
        now = self._identities.clock.now()
        if identity.is_address:
            return await self._address(identity, now)
        dkim, token, exchange = questions(identity)
        answers = await self._resolver.ask([*dkim, *token, *exchange])
        new = identity
        if dkim:
            found = dkim_found(identity.dkim, answers[: len(dkim)])
            new = replace(
                identity,
                dkim=replace(identity.dkim, proof=judged(identity.dkim.proof, found, now)),
                proof=_sending(identity, found, now),
            )
        new = replace(
            new,
            token_proof=self._token(identity, answers[len(dkim) : len(dkim) + len(token)], now),
            mail_from=self._mail_from(identity, answers[len(dkim) + len(token) :], now),
        )
        return await self._kept(identity, new)

    async def _address(self, identity: Identity, now: int) -> Identity:
        answers = await self._resolver.ask(questions(identity)[2])
        new = replace(identity, mail_from=self._mail_from(identity, answers, now))
        if identity.proof.status is S.PENDING and now - identity.proof.since >= LINK_LIFE:
            new = replace(new, proof=replace(identity.proof, status=S.FAILED, since=now))
        return await self._kept(identity, new)

    async def _kept(self, old: Identity, new: Identity) -> Identity:
        if old == new:
            return old
        try:
            await self._identities.store.apply(Replace(old, new))
        except Conflict:
            # Somebody changed it while DNS was asked: the next look sees that.
            return old
        return new

    def _token(self, identity: Identity, answers: Sequence[Answer], now: int) -> Proof:
        if not answers:
            return identity.token_proof
        [answer] = answers
        found = None if answer.status is Status.FAILED else identity.token.encode() in answer.texts
        return judged(identity.token_proof, found, now)

    def _mail_from(
        self, identity: Identity, answers: Sequence[Answer], now: int
    ) -> MailFrom | None:
        if identity.mail_from is None or not answers:
            return identity.mail_from
        names = self._identities.names
        host = names.feedback_host(identity.scope.region) if names else self._exchange_host
        found = exchange_found(answers[0], host)
        return replace(identity.mail_from, proof=judged(identity.mail_from.proof, found, now))

    async def grant(self, scope: Scope, name: str) -> Identity:
        """Verify an identity without any proof, made where it is missing: for tests."""
        parts = self._identities
        now = parts.clock.now()
        done = Proof(S.SUCCESS, since=now, checked=now, proven=now)
        identity = await parts.get(scope, name)
        if identity is None:
            identity = await parts.create(Identity(scope, canonical(name), created_at=now))
        dkim = identity.dkim
        if dkim.key is not None:
            dkim = replace(dkim, proof=done, enabled=True)
        return await parts.change(identity, replace(identity, proof=done, dkim=dkim, granted=True))

    async def new_link(self, scope: Scope, address: str) -> str:
        """A secret for a verification mail's link; valid once, for 24 hours."""
        parts = self._identities
        now = parts.clock.now()
        secret = urlsafe_b64encode(parts.randomness.token(32)).decode().rstrip("=")
        stale = [
            Remove(link)
            for link in await parts.store.select(Confirmation, scope)
            if link.expires_at <= now
        ]
        link = Confirmation(scope, link_name(secret), address, now + LINK_LIFE)
        await parts.store.apply(Create(link), *stale)
        return secret

    async def confirm(self, secret: str) -> Identity:
        """Take the click on a link. NotFound when unknown, used or too old."""
        parts = self._identities
        link = await parts.store.find(Confirmation, link_name(secret))
        if link is None:
            raise NotFound("this link was used already, or never given", resource="link")
        identity = await parts.get(link.scope, link.identity)
        now = parts.clock.now()
        if link.expires_at <= now or identity is None:
            await parts.store.apply(Remove(link))
            raise NotFound(
                "this link is older than 24 hours: ask for the verification again",
                resource="link",
            )
        new = replace(identity, proof=Proof(S.SUCCESS, since=now, proven=now))
        await parts.store.apply(Remove(link), Replace(identity, new))
        return new


def link_name(secret: str) -> str:
    """Under which name a link is kept: the store never holds its secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
