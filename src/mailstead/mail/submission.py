"""The one door out: every way to send builds a `Submission` and calls `submit`.

Nothing else writes recipients. The checks come in SES's order; the first that
fails is the answer, and nothing is kept. After the commit the message has a
MessageId, and the queue is woken.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from functools import lru_cache

from mailstead.mail import accounts
from mailstead.mail.acceptance import recipient_rows
from mailstead.mail.access import Policy
from mailstead.mail.access_conditions import Context
from mailstead.mail.accounts import SendingLimits
from mailstead.mail.errors import Invalid, Refused
from mailstead.mail.identities import Identities, is_verified, missing_set, signs
from mailstead.mail.message_ids import new_message_id
from mailstead.mail.messages import (
    Accepted,
    OutboundMessage,
    Signer,
    Step,
    digest,
)
from mailstead.mail.model import Account, Identity, Scope, VerificationStatus
from mailstead.mail.outgoing import (
    RECIPIENTS,
    REMOVED,
    Authorise,
    Draft,
    Submission,
    check_tags,
    each_once,
    read,
)
from mailstead.mail.ports import Clock, Randomness, Store, Wakeups
from mailstead.mail.queue import LIFE
from mailstead.mail.sending_policies import identity_arn, policies_of
from mailstead.mail.service import ServiceNames, service_signer
from mailstead.wire.addresses import Address, Mailbox, domain_key
from mailstead.wire.message import splice

__all__ = ["Authorise", "Outbound", "Submission", "ask_nobody", "is_simulator", "submit"]

SIMULATOR = "simulator.amazonses.com"


def ask_nobody(
    action: str, resources: Sequence[str], context: Context, policies: Sequence[Policy] = ()
) -> None:
    """The `Authorise` of our own mail."""


@dataclass(frozen=True, slots=True)
class Outbound:
    """What `submit` needs of the outside and of the installation."""

    store: Store
    clock: Clock
    randomness: Randomness
    wakeups: Wakeups
    identities: Identities
    limits: SendingLimits
    names: ServiceNames | None
    feedback_key: bytes
    """Makes the constant part of Feedback-ID."""
    address: str = "127.0.0.1"
    """From which mail leaves, for X-SES-Outgoing."""


@dataclass(frozen=True, slots=True)
class _Envelope:
    """A draft with the identities that stand behind its addresses."""

    draft: Draft
    account: Account
    behind: dict[Address, Identity | None]
    """Under which verified identity each address that is checked sends; None for none."""

    @property
    def recipients(self) -> tuple[Mailbox, ...]:
        """Each once."""
        return each_once(self.draft.recipients)

    @property
    def identity(self) -> Identity | None:
        """Whose settings count: that of the header From."""
        return self.behind[self.draft.senders[0].address]

    @property
    def sender(self) -> Identity:
        """`identity`, once it was checked that there is one."""
        found = self.identity
        assert found is not None
        return found

    @property
    def configuration_set(self) -> str:
        """The one that was named, else the identity's own."""
        default = self.identity.configuration_set if self.identity is not None else ""
        return self.draft.configuration_set or default

    @property
    def named(self) -> list[Identity]:
        """The senders' identities whose ARNs were given."""
        behind = [self.behind[mailbox.address] for mailbox in self.draft.senders]
        return [one for one in behind if one is not None and _is_named(self.draft, one)]


def _is_named(draft: Draft, identity: Identity) -> bool:
    return bool(draft.arns) and identity_arn(identity.scope, identity.name) in draft.arns


async def submit(parts: Outbound, submission: Submission) -> str:
    """Accept a message for delivery; its MessageId. Raises a DomainError in SES's words."""
    account = await accounts.account(parts.store, submission.scope)
    draft: Draft | None = None
    problem: Invalid | None = None
    try:
        draft = read(submission, parts.randomness.token(16).hex())
    except Invalid as error:
        problem = error
    envelope: _Envelope | None = None
    if draft is not None:
        # Only what can be read says on which identity it would be: so IAM is asked
        # before the pause, and a bad address is refused after it.
        envelope = _Envelope(draft, account, await _behind(parts, account, draft))
        _authorise(submission, envelope)
    if not account.sending:
        raise Refused(
            "Email sending has been disabled.",
            resource="account",
            name=submission.scope.account,
            reason="paused",
        )
    if envelope is None:
        assert problem is not None
        raise problem
    _check(submission, envelope)
    mail_from = _mail_from(parts, envelope)
    recipients = envelope.recipients
    counted = 0 if submission.demo else sum(not is_simulator(one) for one in recipients)
    if not submission.demo:
        await parts.limits.take(account, len(recipients), counted)
    accepted = await _accepted(parts, submission, envelope, mail_from, counted)
    try:
        await parts.store.enqueue([accepted])
    except BaseException:
        if counted:
            parts.limits.give_back(account, counted)
        raise
    parts.wakeups.wake("queue")
    return accepted.message.message_id


def is_simulator(mailbox: Mailbox) -> bool:
    """Whether it is an address of SES's mailbox simulator."""
    return domain_key(mailbox.address.domain) == SIMULATOR


def _checked(account: Account, draft: Draft) -> list[Mailbox]:
    """Whose identities are looked for: in the sandbox the recipients' too."""
    checked = [*draft.senders, *draft.return_paths]
    if not account.production:
        checked += [one for one in draft.recipients[:RECIPIENTS] if not is_simulator(one)]
    return checked


async def _behind(
    parts: Outbound, account: Account, draft: Draft
) -> dict[Address, Identity | None]:
    """The nearest verified identity of each address, before it one whose ARN was given."""
    found: dict[Address, Identity | None] = {}
    for mailbox in _checked(account, draft):
        if mailbox.address not in found:
            covering = await parts.identities.covering(account.scope, mailbox.address)
            verified = [one for one in covering if is_verified(one)]
            named = [one for one in verified if _is_named(draft, one)]
            found[mailbox.address] = next(iter(named or verified), None)
    return found


def _authorise(submission: Submission, envelope: _Envelope) -> None:
    """Ask IAM about every identity that the message would be sent on."""
    draft, scope = envelope.draft, submission.scope
    asked: list[Mailbox] = list(draft.senders)
    if not envelope.account.production:
        asked += [one for one in draft.recipients[:RECIPIENTS] if not is_simulator(one)]
    resources = list(dict.fromkeys(_arn(scope, envelope, mailbox) for mailbox in asked))
    if envelope.configuration_set:
        name = envelope.configuration_set
        resources.append(f"arn:aws:ses:{scope.region}:{scope.account}:configuration-set/{name}")
    submission.authorise(
        submission.action,
        resources,
        {
            "ses:FromAddress": str(draft.senders[0].address),
            "ses:FromDisplayName": draft.senders[0].display_name,
            "ses:Recipients": tuple(str(one.address) for one in draft.recipients),
            "ses:FeedbackAddress": str(draft.feedback.address),
            "ses:ApiVersion": submission.api_version,
        },
        [policy for identity in envelope.named for policy in policies_of(identity)],
    )


def _arn(scope: Scope, envelope: _Envelope, mailbox: Mailbox) -> str:
    identity = envelope.behind[mailbox.address]
    if identity is not None:
        return identity_arn(scope, identity.name)
    address = mailbox.address
    return identity_arn(scope, f"{address.local}@{domain_key(address.domain)}")


def _check(submission: Submission, envelope: _Envelope) -> None:
    """SES's checks that need nothing but what was read, in SES's order."""
    draft = envelope.draft
    draft.check_recipients()
    if envelope.configuration_set:
        raise missing_set(envelope.configuration_set)
    draft.check_lengths()
    draft.check(submission.size_limit)
    check_tags(draft.tags)
    _check_identities(envelope)


def _check_identities(envelope: _Envelope) -> None:
    """Everybody who sends is verified, and in the sandbox everybody who receives too."""
    draft, scope = envelope.draft, envelope.account.scope
    failed = [
        mailbox.written
        for mailbox in _checked(envelope.account, draft)
        if envelope.behind[mailbox.address] is None
    ]
    if not failed and len({identity.name for identity in envelope.named}) < len(draft.arns):
        # An ARN of an identity that is not there, or that does not cover the sender.
        failed = [draft.senders[0].written]
    if failed:
        listed = ", ".join(dict.fromkeys(failed))
        raise Refused(
            "Email address is not verified. The following identities failed the check in region "
            f"{scope.region.upper()}: {listed}",
            resource="identity",
            name=failed[0],
            reason="unverified",
        )


def _mail_from(parts: Outbound, envelope: _Envelope) -> str:
    """The domain of the reverse paths: the identity's own, else the service's."""
    custom = envelope.sender.mail_from
    if custom is not None and custom.proof.status is VerificationStatus.SUCCESS:
        return custom.domain
    if custom is not None and custom.reject_on_mx_failure:
        raise Refused(
            "DNS setup for MAIL FROM domain is invalid.",
            resource="mail-from",
            name=custom.domain,
            reason="mail-from",
        )
    if parts.names is None:
        return domain_key(envelope.draft.senders[0].address.domain)
    return parts.names.mail_from(envelope.account.scope.region)


async def _accepted(
    parts: Outbound, submission: Submission, envelope: _Envelope, mail_from: str, counted: int
) -> Accepted:
    scope, now = submission.scope, parts.clock.now()
    draft, identity = envelope.draft, envelope.sender
    message_id = new_message_id(scope.region, now, parts.randomness.uuid())
    raw = _stamped(parts, draft, scope, message_id, now)
    first = parts.randomness.serial()
    addresses = [str(mailbox.address) for mailbox in envelope.recipients]
    message = OutboundMessage(
        id=first,
        scope=scope,
        message_id=message_id,
        door=submission.door,
        # With forwarding off and no topic SES mails all the same: there are no topics yet.
        reverse_path=str(draft.feedback.address),
        mail_from=mail_from,
        header_from=draft.senders[0].written,
        subject=draft.subject,
        body=digest(raw),
        size=len(raw),
        signers=await _signers(parts, identity),
        accepted_at=now,
        expires_at=now + LIFE,
        configuration_set=envelope.configuration_set,
        tags=draft.tags,
        demo=submission.demo,
    )
    step = Step(
        now,
        "accepted",
        {
            "door": submission.door.value,
            "from": draft.senders[0].written,
            "recipients": addresses,
            "identity": identity.name,
            "size": len(raw),
        },
    )
    recipients = recipient_rows(parts.randomness, addresses, now)
    return Accepted(message, recipients, raw, (step,), counted)


async def _signers(parts: Outbound, identity: Identity) -> tuple[Signer, ...]:
    found: list[Signer] = []
    owner = await _signing_identity(parts, identity)
    if owner is not None:
        key = owner.dkim.key
        assert key is not None
        found.append(Signer(owner.name, key.selectors[0], f"identity:{owner.name}"))
    if parts.names is not None:
        found += await service_signer(parts.store, parts.names.domain)
    return tuple(found)


async def _signing_identity(parts: Outbound, identity: Identity) -> Identity | None:
    """The domain whose key signs: an address verified on its own inherits its domain's."""
    if not identity.is_address:
        return identity if signs(identity) else None
    domain = identity.name.rpartition("@")[2]
    parents = await parts.identities.parents(identity.scope, domain)
    return next((parent for parent in parents if signs(parent)), None)


def _stamped(parts: Outbound, draft: Draft, scope: Scope, message_id: str, now: int) -> bytes:
    """The message as it is stored: our Date, Message-ID and Feedback-ID, no control fields."""
    if parts.names is not None:
        domain = parts.names.message_id_domain(scope.region)
        added = _service_fields(parts, draft, scope, now)
    else:
        domain = domain_key(draft.senders[0].address.domain)
        added = ()
    return splice(
        draft.headers,
        remove=REMOVED,
        replace={
            "Date": formatdate(now // 1000).replace("-0000", "+0000").encode(),
            "Message-ID": f"<{message_id}@{domain}>".encode(),
        },
        append=added,
    )


def _service_fields(
    parts: Outbound, draft: Draft, scope: Scope, now: int
) -> Iterable[tuple[bytes, bytes]]:
    """What SES adds last: whom feedback is about, and when and from where mail left."""
    constant = _account_constant(parts.feedback_key, scope.account)
    tags = dict(draft.tags)
    own = f"{tags.get('ses:feedback-id-a', '')}:{tags.get('ses:feedback-id-b', '')}"
    feedback_id = f"{own}:1.{scope.region}.{constant}:AmazonSES"
    day = datetime.fromtimestamp(now // 1000, UTC).strftime("%Y.%m.%d")
    return (
        (b"Feedback-ID", feedback_id.encode()),
        (b"X-SES-Outgoing", f"{day}-{parts.address}".encode()),
    )


@lru_cache(maxsize=1024)
def _account_constant(key: bytes, account: str) -> str:
    """The part of Feedback-ID that stays the same for an account: 44 characters of base64."""
    return b64encode(hmac.digest(key, account.encode(), "sha256")).decode()
