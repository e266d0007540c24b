"""Reception on the MX port: whom we take mail for, and what is recorded of it.

Recipients are decided before the message comes, so that nothing is ever
bounced to a forged sender; after 250 the message lies in its mailbox. In
capture mode a client on loopback may send from anyone to anyone: what is not
for a mailbox here is submitted to the queue, as with a mail catcher.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailstead.mail.acceptance import PassedOn, passed_on
from mailstead.mail.arrival import Landing, Received, arrive, received_field
from mailstead.mail.authentication import Authentication, Client, Verdicts
from mailstead.mail.errors import NotFound
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.message_ids import ReturnPath, ReturnPaths, new_message_id, parse_return_path
from mailstead.mail.messages import Arrival, Door, MailUser
from mailstead.mail.model import Scope
from mailstead.mail.ports import Clock, Randomness, Store, Wakeups
from mailstead.wire.addresses import Address, domain_key, quote_local
from mailstead.wire.message import Headers, MessageError, parse_headers
from mailstead.wire.smtp import Reply

RECEIVED_LIMIT = 50
"""More Received fields than this are a loop (RFC 5321 6.3)."""

NO_MAILBOX = Reply.of(550, "There is no such mailbox here", enhanced="5.1.1")
NO_RELAY = Reply.of(550, "Mail for that domain is not taken here", enhanced="5.7.1")
LOOP = Reply.of(550, "The message is in a loop", enhanced="5.4.6")


@dataclass(frozen=True, slots=True)
class Hosted:
    """A recipient with a mailbox here."""

    address: str
    owner: str


@dataclass(frozen=True, slots=True)
class Passing:
    """A recipient elsewhere, of a loopback client in capture mode."""

    address: str


@dataclass(frozen=True, slots=True)
class Returning:
    """The return path of a message that was sent from here."""

    message_id: str
    scope: Scope
    reverse_path: str
    """Where the submitter wants bounces; empty for nowhere."""


Destination = Hosted | Passing | Returning


@dataclass(frozen=True, slots=True)
class Reception:
    """Takes mail for mailboxes here."""

    store: Store
    clock: Clock
    randomness: Randomness
    wakeups: Wakeups
    mailboxes: Mailboxes
    authentication: Authentication
    return_paths: ReturnPaths
    hostname: str
    capture: bool
    """Whether loopback clients may send from anyone to anyone."""

    async def recipient(self, address: Address, *, loopback: bool) -> Destination | Reply:
        """Whether mail for an address is taken: its destination, or the refusal."""
        domain = domain_key(address.domain)
        written = f"{quote_local(address.local)}@{domain}"
        path = parse_return_path(address.local)
        returning = await self._returning(path) if path is not None else None
        if returning is not None:
            return returning
        owner = await self._owner(address.local, domain)
        if owner is not None:
            return Hosted(written, owner.address)
        catcher = self.capture and loopback
        if self.mailboxes.zones.zone_of(domain) is None:
            return Passing(written) if catcher else NO_RELAY
        if catcher and not await self.mailboxes.receives(domain):
            return Passing(written)
        return NO_MAILBOX

    async def _owner(self, local: str, domain: str) -> MailUser | None:
        """Whose mailbox takes it. A host's ``postmaster`` is somebody (RFC 5321 4.5.1).

        Of a hosted domain without such a mailbox, and of this host itself, it is
        the eldest mailbox there is.
        """
        here = self.mailboxes.zones.zone_of(domain) is not None
        if here:
            owner = await self.mailboxes.owner(f"{quote_local(local)}@{domain}")
            if owner is not None:
                return owner
        if local.lower() != "postmaster" or not (here or domain == self.hostname.lower()):
            return None
        return await self.mailboxes.eldest(domain if here else "")

    async def content(
        self, client: Client, raw: bytes, destinations: Sequence[Destination], *, own: bool
    ) -> Reply:
        """Keep a message for its destinations; the reply comes after the commit.

        ``own`` tells that our own MTA hands it over.
        """
        try:
            headers = parse_headers(raw)
        except MessageError as error:
            return Reply.of(554, f"The message can't be read: {error}", enhanced="5.6.0")
        if _loops(headers, destinations):
            return LOOP
        now = self.clock.now()
        name = new_message_id(self.mailboxes.home.region, now, self.randomness.uuid())
        hosted = [one for one in destinations if isinstance(one, Hosted)]
        arrivals: list[Arrival] = []
        if hosted:
            verdicts = await self.authentication.check(headers, client)
            if verdicts.rejected and not self._forgives(client):
                return _dmarc_refusal(verdicts)
            received = Received(name, now, client, raw, verdicts, own)
            arrivals = [
                arrive(
                    received,
                    Landing(one.address, one.owner, "hosted", self.mailboxes.home),
                    self.hostname,
                )
                for one in hosted
            ]
        onward = [
            passed_on(self.randomness, now, one)
            for one in self._onward(client, raw, name, destinations)
        ]
        try:
            if arrivals or onward:
                await self.store.deliver(arrivals, onward)
        except NotFound:
            # A mailbox that was deleted since its recipient was accepted.
            return NO_MAILBOX
        if arrivals:
            self.wakeups.wake("emails")
        if onward:
            self.wakeups.wake("queue")
        return Reply.of(250, f"Ok {name}", enhanced="2.0.0")

    def _forgives(self, client: Client) -> bool:
        """Verdicts on a loopback client's mail in capture mode refuse nothing."""
        return self.capture and is_loopback(client.address)

    def _onward(
        self, client: Client, raw: bytes, name: str, destinations: Sequence[Destination]
    ) -> Iterator[PassedOn]:
        """What goes elsewhere: bounces to their submitter, and a catcher's mail."""
        traced = received_field(self.hostname, client, name, self.clock.now()) + raw
        for one in destinations:
            if isinstance(one, Returning) and one.reverse_path:
                yield PassedOn(
                    one.scope,
                    Door.SYSTEM,
                    "",
                    (one.reverse_path,),
                    traced,
                    detail=(("about", one.message_id),),
                )
        passing = tuple(one.address for one in destinations if isinstance(one, Passing))
        if passing:
            yield PassedOn(
                self.mailboxes.home,
                Door.MX,
                client.reverse_path,
                passing,
                traced,
                message_id=name,
                detail=(("client", client.address), ("helo", client.helo)),
            )

    async def _returning(self, path: ReturnPath) -> Returning | None:
        """The message whose return path this is; None for a forged one."""
        for message_id, scope, reverse_path, recipients in await self.store.outbound(path.start):
            if path.number < len(recipients) and self.return_paths.matches(
                path, message_id, recipients[path.number]
            ):
                return Returning(message_id, scope, reverse_path)
        return None


def _loops(headers: Headers, destinations: Sequence[Destination]) -> bool:
    if len(headers.by_name.get(b"received", ())) > RECEIVED_LIMIT:
        return True
    owners = {one.owner for one in destinations if isinstance(one, Hosted)}
    return any(
        value.decode("utf-8", "replace").lower() in owners for value in headers.all("delivered-to")
    )


def _dmarc_refusal(verdicts: Verdicts) -> Reply:
    domain = verdicts.dmarc.domain if verdicts.dmarc is not None else ""
    return Reply.of(550, f"DMARC of {domain} asks to refuse this message", enhanced="5.7.1")


def is_loopback(address: str) -> bool:
    """Whether a client is on this machine."""
    return address == "::1" or address.startswith("127.")
