"""A world with mailboxes: reception, the outside, deliveries and people over one store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mailstead.mail.authentication import Authentication, Client
from mailstead.mail.delivery import Deliveries
from mailstead.mail.demo import Demo
from mailstead.mail.domains import Domains
from mailstead.mail.inbox import Inbox
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.message_ids import ReturnPaths
from mailstead.mail.messages import Email, EmailFilter
from mailstead.mail.outside import Outside
from mailstead.mail.reception import Destination, Reception
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.routing import CaptureRouter
from mailstead.mail.service import ServiceNames
from mailstead.mail.verification import Verification
from mailstead.mail.zones import Zones
from mailstead.roles.resolver import CaptureResolver
from mailstead.wire.addresses import Address, parse_path
from mailstead.wire.smtp import Reply
from support.world import SCOPE, World

HOST = "mx.mailstead.test"
ABROAD = Client("192.0.2.9", 25, "mail.sender.example", "s@sender.example", "TLSv1.3")
"""Somebody else's server."""
LOCAL = Client("127.0.0.1", 4000, "laptop", "s@sender.example")
"""A program on this machine."""
SPF = RecordChange("CREATE", "sender.example", "TXT", 300, ('"v=spf1 ip4:192.0.2.0/24 -all"',))


class Threads:
    """The Workers port without threads."""

    async def run(self, work: Callable[..., Any], *args: Any) -> Any:
        return work(*args)


class Post:
    """Everything that receives and sends, in one world."""

    def __init__(self, world: World, *, capture: bool = True) -> None:
        self.world = world
        self.names = ServiceNames()
        store, clock, dice, wakeups = world.store, world.clock, world.dice, world.wakeups
        self.zones = Zones(store, wakeups, dice, clock)
        self.resolver = CaptureResolver(self.zones, self.names, store)
        self.mailboxes = Mailboxes(store, clock, dice, Threads(), self.zones, SCOPE)
        self.paths = ReturnPaths(b"paths")
        self.reception = Reception(
            store,
            clock,
            dice,
            wakeups,
            self.mailboxes,
            Authentication(self.resolver, clock, HOST),
            self.paths,
            HOST,
            capture=capture,
        )
        self.outside = Outside(
            store,
            clock,
            dice,
            wakeups,
            Authentication(self.resolver, clock, "outside.test"),
            SCOPE,
            "outside.test",
        )
        self.deliveries = Deliveries(store, clock, dice, Threads(), self.paths, self.names, HOST)
        self.router = CaptureRouter(self.mailboxes, self.names, lambda: 1025, lambda: 9999)
        self.inbox = Inbox(store, wakeups, clock)
        domains = Domains(
            self.zones,
            world.identities,
            self.mailboxes,
            self.resolver,
            self.names,
            SCOPE,
            capture=True,
        )
        verification = Verification(world.identities, self.resolver, HOST)
        self.demo = Demo(domains, self.mailboxes, world.outbound, verification)

    def host(self, domain: str, *records: RecordChange) -> None:
        """Host a domain."""
        self.world.run(self.zones.create(SCOPE, domain, domain, records=list(records)))

    def mailbox(self, *addresses: str) -> None:
        """Make mailboxes, one after another."""
        for address in addresses:
            self.world.clock.time += 1
            self.world.run(self.mailboxes.add(address, "secret"))

    def rcpt(self, path: str, *, loopback: bool = False) -> Destination | Reply:
        """What RCPT answers."""
        domainless = "@" not in path
        address = Address(path, HOST) if domainless else parse_path(path, utf8=True)
        return self.world.run(self.reception.recipient(address, loopback=loopback))

    def receive(self, raw: bytes, *paths: str, client: Client = ABROAD, own: bool = False) -> Reply:
        """Take a message for recipients that RCPT accepted."""
        loopback = client.address.startswith("127.")
        found = [self.rcpt(path, loopback=loopback) for path in paths]
        refused = [one for one in found if isinstance(one, Reply)]
        assert not refused, refused
        return self.world.run(self.reception.content(client, raw, found, own=own))

    def abroad(self, raw: bytes, *paths: str, client: Client = LOCAL) -> Reply:
        """What the outside makes of a message."""
        addresses: Sequence[Address] = [parse_path(path, utf8=True) for path in paths]
        return self.world.run(self.outside.content(client, addresses, raw))

    def emails(self, **wanted: Any) -> list[Email]:
        """What is seen, newest first."""
        return self.world.run(self.world.store.emails(EmailFilter(**wanted)))

    def raw(self, email: Email) -> bytes:
        """A message with the fields in front of it."""
        return email.prefix + self.world.run(self.world.store.body(email.body))
