"""Mail that the service itself writes: verification links, the welcome.

In our own words and from our own sender: Amazon's name and address are never
sent. It passes the sandbox and counts nowhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import formatdate
from urllib.parse import urlencode

from mailstead.mail.acceptance import PassedOn, passed_on
from mailstead.mail.identities import Identities, canonical, email_address
from mailstead.mail.message_ids import new_message_id
from mailstead.mail.messages import Door
from mailstead.mail.model import Identity, Scope
from mailstead.mail.service import service_signer
from mailstead.mail.verification import Verification
from mailstead.wire import compose
from mailstead.wire.compose import Text
from mailstead.wire.message import splice

VERIFICATION = """\
Somebody asked to send mail as {address} from mailstead, account {account} in {region}.

If that was you, open this link within 24 hours:

{link}

If it was not you, do nothing: without the link nobody can send as you.
"""


@dataclass(frozen=True, slots=True)
class Letters:
    """Writes and enqueues the service's own mail."""

    identities: Identities
    verification: Verification
    sender_domain: str
    console_url: Callable[[], str]
    """Where the page is that takes the click on a link."""

    async def verify_address(self, scope: Scope, address: str) -> Identity:
        """Make an address an identity, or begin its proof anew, and send the link."""
        parts = self.identities
        identity = await parts.get(scope, email_address(address))
        if identity is None:
            name = canonical(address)
            identity = await parts.create(Identity(scope, name, created_at=parts.clock.now()))
        elif not identity.proof.holds:
            new = replace(identity, proof=parts.fresh_proof())
            identity = await parts.change(identity, new)
        await self.ask(identity)
        return identity

    async def ask(self, identity: Identity) -> None:
        """Send the mail with the link that proves an address, unless it is proven."""
        if identity.proof.holds:
            return
        scope, address = identity.scope, identity.name
        secret = await self.verification.new_link(scope, address)
        query = urlencode(
            {
                "Context": scope.account,
                "Identity.IdentityName": address,
                "Identity.IdentityType": "EmailAddress",
                "Operation": "ConfirmVerification",
                "Namespace": "Bacon",
                "Token": secret,
            }
        )
        text = VERIFICATION.format(
            address=address,
            account=scope.account,
            region=scope.region,
            link=f"{self.console_url().rstrip('/')}/verify?{query}",
        )
        await self.send(scope, address, "Confirm your address for sending", text)

    async def send(self, scope: Scope, to: str, subject: str, text: str) -> str:
        """Enqueue a letter; its MessageId."""
        parts = self.identities
        now = parts.clock.now()
        message_id = new_message_id(scope.region, now, parts.randomness.uuid())
        sender = f"no-reply@{self.sender_domain}"
        draft = compose.Draft(sender=sender, subject=Text(subject), to=(to,), text=Text(text))
        raw = splice(
            compose.compose(draft, parts.randomness.token(16).hex()),
            replace={
                "Date": formatdate(now // 1000).replace("-0000", "+0000").encode(),
                "Message-ID": f"<{message_id}@{self.sender_domain}>".encode(),
                "Auto-Submitted": b"auto-generated",
            },
        )
        signers = await service_signer(parts.store, self.sender_domain)
        letter = PassedOn(
            scope, Door.SYSTEM, sender, (to,), raw, message_id=message_id, signers=signers
        )
        await parts.store.enqueue([passed_on(parts.randomness, now, letter)])
        parts.wakeups.wake("queue")
        return message_id
