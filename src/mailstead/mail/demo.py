"""The demo of a new data folder: a domain, a mailbox, and a message through the whole system.

So that the first look shows the product working. It counts in no quota, rate
or statistic, and goes away whole.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailstead.mail.domains import Domains
from mailstead.mail.errors import NotFound
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.messages import Door
from mailstead.mail.model import HostedZone, Identity
from mailstead.mail.submission import Outbound, Submission, ask_nobody, submit
from mailstead.mail.verification import Verification
from mailstead.wire.compose import Draft, Text

DOMAIN = "example.test"
ADDRESS = f"you@{DOMAIN}"
SENDER = f"mailstead <welcome@{DOMAIN}>"
WELCOME = """\
Welcome to mailstead.

This message went the way that every message goes here: it was accepted, queued,
signed with the DKIM key of example.test, handed over by SMTP, checked for SPF,
DKIM and DMARC, and put into this mailbox.

Send one yourself, in a second shell:

    eval "$(mailstead env)"
    aws ses send-email --from hello@example.test --to you@example.test \\
        --subject Hi --text "It works"
    mailstead mailbox read you@example.test

`mailstead demo remove` takes this domain, mailbox and message away.
"""


@dataclass(frozen=True, slots=True)
class Demo:
    """Makes and removes the demo."""

    domains: Domains
    mailboxes: Mailboxes
    outbound: Outbound
    verification: Verification

    async def make(self) -> tuple[str, str]:
        """Make it: the mailbox's password and the welcome's MessageId."""
        await self.domains.add(DOMAIN, demo=True)
        password = await self.mailboxes.add(ADDRESS, None, demo=True)
        identities = self.outbound.identities
        identity = await identities.require(self.mailboxes.home, DOMAIN)
        await self.verification.look(identity)
        message_id = await submit(
            self.outbound,
            Submission(
                scope=self.mailboxes.home,
                door=Door.SYSTEM,
                authorise=ask_nobody,
                source=SENDER,
                to=(ADDRESS,),
                simple=Draft(
                    sender=SENDER,
                    to=(ADDRESS,),
                    subject=Text("Welcome to mailstead"),
                    text=Text(WELCOME),
                ),
                demo=True,
            ),
        )
        return password or "", message_id

    async def remove(self) -> int:
        """Take away all that `make` made; how many things went."""
        store = self.outbound.store
        removed = await store.remove_demo()
        for zone in await store.select(HostedZone, None):
            if zone.demo:
                await self.domains.delete(zone.domain)
                removed += 1
        for identity in await store.select(Identity, None):
            if identity.demo:
                await self.outbound.identities.delete(identity.scope, identity.name)
                removed += 1
        if not removed:
            raise NotFound("there is no demo here", resource="demo")
        return removed
