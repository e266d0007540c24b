"""The one door out: every way to send builds a `Submission` and calls `submit`.

Nothing else writes recipients. The checks come in SES's order; the first that
fails is the answer, and nothing is kept. After the commit the message has a
MessageId, and the queue is woken.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import formatdate
from typing import Protocol

from mailstead.mail import accounts
from mailstead.mail.acceptance import recipient_rows
from mailstead.mail.access_conditions import Context
from mailstead.mail.accounts import SendingLimits
from mailstead.mail.errors import Invalid, NotFound, Refused
from mailstead.mail.identities import Identities, is_verified, signs
from mailstead.mail.message_ids import new_message_id
from mailstead.mail.messages import (
    Accepted,
    Door,
    OutboundMessage,
    Signer,
    Step,
    digest,
)
from mailstead.mail.model import Account, Identity, Scope
from mailstead.mail.outgoing import Draft, checked_tags, draft_simple, read_raw
from mailstead.mail.ports import Clock, Randomness, Store, Wakeups
from mailstead.mail.queue import LIFE
from mailstead.mail.service import HOME, ServiceKey, ServiceNames
from mailstead.wire import compose
from mailstead.wire.addresses import (
    AddressError,
    Mailbox,
    check_length,
    domain_key,
    parse_mailbox,
)
from mailstead.wire.message import splice

RECIPIENTS = 50
SIMULATOR = "simulator.amazonses.com"


class Authorise(Protocol):
    """Asks whether the submitter may: raises Refused in SES's words."""

    def __call__(self, action: str, resources: Sequence[str], context: Context) -> None: ...


@dataclass(frozen=True, slots=True)
class Submission:
    """What somebody wants to send, before anything was checked."""

    scope: Scope
    door: Door
    authorise: Authorise
    action: str = "ses:SendEmail"
    api_version: str = "2"
    source: str | None = None
    """The API's Source or FromEmailAddress; SMTP's MAIL FROM."""
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    bcc: tuple[str, ...] = ()
    """Envelope recipients: all that the request or the SMTP session names."""
    reply_to: tuple[str, ...] = ()
    feedback: str | None = None
    """v1 ReturnPath, v2 FeedbackForwardingEmailAddress."""
    simple: compose.Draft | None = None
    raw: bytes | None = None
    configuration_set: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
    source_arn: str | None = None
    feedback_arn: str | None = None
    size_limit: int = 40 * 1024 * 1024
    demo: bool = False


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


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who sends, once the addresses are read."""

    draft: Draft
    recipients: tuple[Mailbox, ...]
    identity: Identity | None
    """The most specific verified identity of the header From."""


async def submit(parts: Outbound, submission: Submission) -> str:
    """Accept a message for delivery; its MessageId. Raises a DomainError in SES's words."""
    account = await accounts.account(parts.store, submission.scope)
    if not account.sending:
        raise Refused(
            "Email sending has been disabled.",
            resource="account",
            name=submission.scope.account,
            reason="paused",
        )
    draft = _draft(parts, submission)
    recipients = _recipients(submission, draft)
    _check_configuration_set(submission, draft)
    for mailbox in (*recipients, *draft.senders, *draft.reply_to):
        _length(mailbox)
    draft.check(submission.size_limit)
    _authorise(submission, draft, recipients, await _resources(parts, submission, draft))
    identity = await _check_identities(parts, submission, draft, account, recipients)
    sender = _Sender(draft, recipients, identity)
    mail_from = _mail_from(parts, sender)
    counted = 0 if submission.demo else sum(not is_simulator(one) for one in recipients)
    if not submission.demo:
        await parts.limits.take(account, len(recipients), counted)
    accepted = await _accepted(parts, submission, sender, mail_from, counted)
    try:
        await parts.store.enqueue([accepted])
    except BaseException:
        parts.limits.give_back(account, counted)
        raise
    parts.wakeups.wake("queue")
    return accepted.message.message_id


def is_simulator(mailbox: Mailbox) -> bool:
    """Whether it is an address of SES's mailbox simulator."""
    return domain_key(mailbox.address.domain) == SIMULATOR


def _draft(parts: Outbound, submission: Submission) -> Draft:
    try:
        if submission.simple is not None:
            return draft_simple(submission, parts.randomness.token(16).hex())
        return read_raw(submission)
    except AddressError as error:
        raise bad_address(error.text) from None


def bad_address(text: str) -> Invalid:
    """SES's refusal of an address."""
    return Invalid(text, resource="address", reason="address")


def _recipients(submission: Submission, draft: Draft) -> tuple[Mailbox, ...]:
    named = (*submission.to, *submission.cc, *submission.bcc)
    try:
        mailboxes = [parse_mailbox(text) if text else _empty() for text in named]
    except AddressError as error:
        raise bad_address(error.text) from None
    if not mailboxes:
        mailboxes = list(draft.recipients)
    if not mailboxes:
        draft.refuse_missing_recipients()
    if len(mailboxes) > RECIPIENTS:
        raise Invalid(
            f"Recipient count exceeds {RECIPIENTS}.", resource="message", reason="recipients"
        )
    unique = {(one.address.local, domain_key(one.address.domain)): one for one in mailboxes}
    return tuple(unique.values())


def _empty() -> Mailbox:
    raise AddressError("Invalid email address .")


def _length(mailbox: Mailbox) -> None:
    try:
        check_length(mailbox)
    except AddressError as error:
        raise bad_address(error.text) from None


def _check_configuration_set(submission: Submission, draft: Draft) -> None:
    name = submission.configuration_set or draft.configuration_set
    if name:
        raise NotFound(
            f"Configuration set <{name}> does not exist.", resource="configuration-set", name=name
        )


async def _resources(parts: Outbound, submission: Submission, draft: Draft) -> list[str]:
    """The ARNs that the submitter must be allowed to send from."""
    arn = submission.source_arn or draft.source_arn
    if arn:
        return [arn]
    found: list[str] = []
    for mailbox in draft.senders[:1]:
        covering = await parts.identities.covering(submission.scope, mailbox.address)
        verified = next((one.name for one in covering if is_verified(one)), None)
        found.append(identity_arn(submission.scope, verified or str(mailbox.address)))
    return found


def identity_arn(scope: Scope, name: str) -> str:
    """An identity's ARN."""
    return f"arn:aws:ses:{scope.region}:{scope.account}:identity/{name}"


def _authorise(
    submission: Submission, draft: Draft, recipients: Sequence[Mailbox], resources: list[str]
) -> None:
    sender = draft.senders[0]
    submission.authorise(
        submission.action,
        resources,
        {
            "ses:FromAddress": str(sender.address),
            "ses:FromDisplayName": draft.display_name,
            "ses:Recipients": tuple(str(one.address) for one in recipients),
            "ses:FeedbackAddress": str(draft.feedback.address),
            "ses:ApiVersion": submission.api_version,
        },
    )


async def _check_identities(
    parts: Outbound,
    submission: Submission,
    draft: Draft,
    account: Account,
    recipients: Sequence[Mailbox],
) -> Identity | None:
    """Everybody who sends is verified, and in the sandbox everybody who receives too."""
    checked = list(draft.senders)
    if not account.production:
        checked += [one for one in recipients if not is_simulator(one)]
    failed: list[str] = []
    sender: Identity | None = None
    for place, mailbox in enumerate(checked):
        covering = await parts.identities.covering(submission.scope, mailbox.address)
        verified = [identity for identity in covering if is_verified(identity)]
        if place == 0:
            sender = verified[0] if verified else None
        if not verified and mailbox.written not in failed:
            failed.append(mailbox.written)
    if failed:
        raise Refused(
            "Email address is not verified. The following identities failed the check in region "
            f"{submission.scope.region.upper()}: {', '.join(failed)}",
            resource="identity",
            name=failed[0],
            reason="unverified",
        )
    return sender


def _mail_from(parts: Outbound, sender: _Sender) -> str:
    """The domain of the reverse paths: the identity's own, else the service's."""
    identity = sender.identity
    custom = identity.mail_from if identity is not None else None
    if custom is not None and custom.proof.holds:
        return custom.domain
    if custom is not None and custom.reject_on_mx_failure:
        raise Refused(
            "DNS setup for MAIL FROM domain is invalid.",
            resource="mail-from",
            name=custom.domain,
            reason="mail-from",
        )
    if parts.names is None:
        return domain_key(sender.draft.senders[0].address.domain)
    assert identity is not None
    return parts.names.mail_from(identity.scope.region)


async def _accepted(
    parts: Outbound, submission: Submission, sender: _Sender, mail_from: str, counted: int
) -> Accepted:
    scope, now = submission.scope, parts.clock.now()
    message_id = new_message_id(scope.region, now, parts.randomness.uuid())
    raw = _stamped(parts, sender.draft, scope, message_id, now)
    first = parts.randomness.serial()
    addresses = [str(mailbox.address) for mailbox in sender.recipients]
    recipients = recipient_rows(parts.randomness, addresses, now)
    draft = sender.draft
    feedback = sender.identity is None or sender.identity.feedback_forwarding
    message = OutboundMessage(
        id=first,
        scope=scope,
        message_id=message_id,
        door=submission.door,
        reverse_path=str(draft.feedback.address) if feedback else "",
        mail_from=mail_from,
        header_from=draft.senders[0].written,
        subject=draft.subject,
        body=digest(raw),
        size=len(raw),
        signers=await _signers(parts, sender.identity),
        accepted_at=now,
        expires_at=now + LIFE,
        configuration_set=draft.configuration_set,
        tags=checked_tags(submission.tags or draft.tags),
        demo=submission.demo,
    )
    step = Step(
        now,
        "accepted",
        {
            "door": submission.door.value,
            "from": draft.senders[0].written,
            "recipients": addresses,
            "identity": sender.identity.name if sender.identity else None,
            "size": len(raw),
        },
    )
    return Accepted(message, recipients, raw, (step,), counted)


async def _signers(parts: Outbound, identity: Identity | None) -> tuple[Signer, ...]:
    found: list[Signer] = []
    if identity is not None:
        owner = await _signing_identity(parts, identity)
        if owner is not None and owner.dkim.key is not None:
            name = owner.name
            found.append(Signer(name, owner.dkim.key.selectors[0], f"identity:{name}"))
    service = await parts.store.get(ServiceKey, HOME, "service")
    if parts.names is not None and service is not None:
        found.append(Signer(parts.names.domain, service.key.selectors[0], "service"))
    return tuple(found)


async def _signing_identity(parts: Outbound, identity: Identity) -> Identity | None:
    """The domain whose key signs: an address verified on its own inherits its domain's."""
    if not identity.is_address:
        return identity if signs(identity) else None
    domain = identity.name.rpartition("@")[2].split(".")
    for start in range(len(domain)):
        parent = await parts.store.get(Identity, identity.scope, ".".join(domain[start:]))
        if parent is not None and signs(parent):
            return parent
    return None


def _stamped(parts: Outbound, draft: Draft, scope: Scope, message_id: str, now: int) -> bytes:
    """The message as it is stored: our Date, Message-ID and Feedback-ID, no control fields."""
    domain = (
        parts.names.message_id_domain(scope.region)
        if parts.names is not None
        else domain_key(draft.senders[0].address.domain)
    )
    added: list[tuple[bytes, bytes]] = []
    if parts.names is not None:
        constant = b64encode(
            hmac.digest(parts.feedback_key, scope.account.encode(), "sha256")
        ).decode()
        feedback_id = f"::1.{scope.region}.{constant}:AmazonSES"
        added.append((b"Feedback-ID", feedback_id.encode()))
    return splice(
        draft.raw,
        remove=draft.removed,
        replace={
            "Date": formatdate(now // 1000).replace("-0000", "+0000").encode(),
            "Message-ID": f"<{message_id}@{domain}>".encode(),
        },
        append=added,
    )
