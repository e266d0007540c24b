"""SMTP servers: a session on a socket, and what our kinds of port decide.

A conversation answers one event at a time, so replies keep their order and a
client that pipelines is back-pressured by itself. Content is answered after
the commit, never before.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mailstead.mail.authentication import Client
from mailstead.mail.errors import Unavailable
from mailstead.mail.outside import Outside
from mailstead.mail.reception import Destination, Reception, is_loopback
from mailstead.roles.net import Connection, OwnPeers, PeerGone
from mailstead.wire.smtp import Need, Reply
from mailstead.wire.smtp_commands import Auth, Content, Event, Hello, Mail, Rcpt, StartTls
from mailstead.wire.smtp_profile import Profile, mx_profile
from mailstead.wire.smtp_server import SmtpServer

log = logging.getLogger("mailstead.smtpd")

WRITE_SECONDS = 60.0
"""How long a client may take to read what it was told."""
PART_SECONDS = 1.0
"""How long a client may take to close its side."""
UNFINISHED = 512 * 1024 * 1024
"""Octets of unfinished messages at one time, over all connections."""
CROWDED = b"421 Too many concurrent SMTP connections\r\n"


class Conversation(Protocol):
    """What one connection's events come to."""

    async def decide(self, session: SmtpServer, event: Event) -> None:
        """Answer the event by ``session.accept`` or ``session.send``."""
        ...


class Budget:
    """The octets of unfinished messages that all connections may hold together."""

    def __init__(self, limit: int = UNFINISHED) -> None:
        self._limit = limit
        self._held: dict[SmtpServer, int] = {}
        self._sum = 0

    def allows(self, session: SmtpServer) -> bool:
        """Note what a session holds; False where that is too much for all of them."""
        now = session.held
        self._sum += now - self._held.get(session, 0)
        self._held[session] = now
        return self._sum <= self._limit

    def forget(self, session: SmtpServer) -> None:
        """Its connection has ended."""
        self._sum -= self._held.pop(session, 0)


@dataclass(frozen=True, slots=True)
class SmtpSettings:
    """What all SMTP ports share. Times are in seconds."""

    context: ssl.SSLContext
    timeout: float
    """How long a client may be silent."""
    login_timeout: float
    """How long a client may take to log in, all in all."""
    write_timeout: float = WRITE_SECONDS
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True, slots=True)
class SmtpPort:
    """One kind of port: how its sessions speak, and who decides."""

    settings: SmtpSettings
    profile: Callable[[Connection], Profile]
    conversation: Callable[[Connection], Conversation]
    tag: Callable[[], str] = lambda: ""
    """What follows the banner, as SES's id does."""
    implicit_tls: bool = False

    async def serve(self, connection: Connection) -> None:
        """Carry one connection to its end."""
        session = SmtpServer(self.profile(connection), tls=self.implicit_tls)
        conversation = self.conversation(connection)
        session.greet(self.tag())
        login_end = asyncio.get_running_loop().time() + self.settings.login_timeout
        try:
            await self._converse(connection, session, conversation, login_end)
        finally:
            self.settings.budget.forget(session)

    async def _converse(
        self,
        connection: Connection,
        session: SmtpServer,
        conversation: Conversation,
        login_end: float,
    ) -> None:
        while True:
            step = session.next_event()
            match step:
                case Need.DATA:
                    connection.write(session.data_to_send())
                    await connection.drain(self.settings.write_timeout)
                    await self._read(connection, session, login_end)
                case Need.TLS:
                    connection.write(session.data_to_send())
                    await connection.start_tls(self.settings.context, server_side=True)
                    session.tls_started()
                case Need.CLOSE | Need.REPLY:
                    # Every event was answered, so a reply is never missing.
                    connection.write(session.data_to_send())
                    await connection.part(PART_SECONDS)
                    return
                case _:
                    await self._decide(conversation, session, step)

    async def _read(self, connection: Connection, session: SmtpServer, login_end: float) -> None:
        profile, seconds = session.profile, self.settings.timeout
        if profile.demand_auth and not session.username:
            # Dribbling does not help who has not logged in.
            seconds = max(0.0, min(seconds, login_end - asyncio.get_running_loop().time()))
        try:
            session.receive_data(await connection.read(seconds))
        except PeerGone as gone:
            if gone.leaving:
                session.close(_reply(profile, 421, "4.3.2", "The server is ending"))
            elif gone.silent:
                session.time_out()
            else:
                raise
            return
        budget = self.settings.budget
        if not budget.allows(session):
            budget.forget(session)
            session.close(_reply(profile, 421, "4.3.2", "Too much mail at once, try again later"))

    async def _decide(self, conversation: Conversation, session: SmtpServer, event: Event) -> None:
        try:
            await conversation.decide(session, event)
        except Unavailable as error:
            log.error("mail can't be taken now: %s", error)
            session.send(_unavailable(session.profile, full=error.full))
        except Exception:
            log.exception("%s failed", type(event).__name__)
            session.send(_trouble(session.profile))


def _unavailable(profile: Profile, *, full: bool) -> Reply:
    if full:
        return _reply(profile, 452, "4.3.1", "Not enough space here now, try again later")
    return _trouble(profile)


def _trouble(profile: Profile) -> Reply:
    return _reply(profile, 451, "4.3.0", "Temporary service failure")


def _reply(profile: Profile, code: int, enhanced: str, text: str) -> Reply:
    reply = Reply.of(code, text, enhanced=enhanced)
    return reply if profile.enhanced else reply.plain()


def mx_port(settings: SmtpSettings, reception: Reception, own: OwnPeers) -> SmtpPort:
    """The port where other servers deliver."""

    def profile(connection: Connection) -> Profile:
        # In capture mode a loopback client is a mail catcher's: it needs no TLS.
        loopback = is_loopback(connection.peer[0])
        return mx_profile(
            reception.hostname,
            starttls=not (loopback and reception.capture),
            early_talkers=loopback,
        )

    return SmtpPort(settings, profile, lambda connection: _Receiving(reception, own, connection))


@dataclass(slots=True)
class _Receiving:
    """Mail from other servers, and from catcher clients."""

    reception: Reception
    own: OwnPeers
    connection: Connection
    ours: bool = False
    """Our own MTA is the client; asked early, since it may be gone when the content is in."""
    destinations: dict[str, Destination] = field(default_factory=dict[str, Destination])

    async def decide(self, session: SmtpServer, event: Event) -> None:
        match event:
            case Hello():
                self.ours = self.connection.peer in self.own
                session.accept()
            case StartTls():
                session.accept()
            case Mail():
                self.destinations.clear()
                session.accept()
            case Rcpt():
                found = await self.reception.recipient(
                    event.address, loopback=is_loopback(self.connection.peer[0])
                )
                if isinstance(found, Reply):
                    session.send(found)
                else:
                    self.destinations[event.path] = found
                    session.accept()
            case Content():
                client = client_of(self.connection, session, event)
                # A recipient named twice gets one copy.
                taken = dict.fromkeys(self.destinations[one.path] for one in event.recipients)
                session.send(
                    await self.reception.content(client, event.message, [*taken], own=self.ours)
                )
            case Auth():
                session.send(Reply.of(502, "AUTH is not offered here", enhanced="5.5.1"))


def outside_port(settings: SmtpSettings, outside: Outside) -> SmtpPort:
    """The outside's port, on loopback, published nowhere."""
    profile = mx_profile(outside.hostname, early_talkers=True)
    return SmtpPort(settings, lambda _: profile, lambda connection: _Capturing(outside, connection))


@dataclass(slots=True)
class _Capturing:
    """Mail to everybody else."""

    outside: Outside
    connection: Connection

    async def decide(self, session: SmtpServer, event: Event) -> None:
        match event:
            case Rcpt():
                refusal = self.outside.recipient(event.address)
                if refusal is not None:
                    session.send(refusal)
                else:
                    session.accept()
            case Content():
                client = client_of(self.connection, session, event)
                addresses = [*dict.fromkeys(one.address for one in event.recipients)]
                session.send(await self.outside.content(client, addresses, event.message))
            case Hello() | StartTls() | Mail() | Auth():
                session.accept()


def client_of(connection: Connection, session: SmtpServer, content: Content) -> Client:
    """Who hands a message over."""
    reverse_path = content.mail.address
    return Client(
        address=connection.peer[0],
        port=connection.peer[1],
        helo=_text(session.hello.name) if session.hello is not None else "",
        reverse_path=str(reverse_path) if reverse_path is not None else "",
        tls=connection.tls_version,
    )


def _text(name: str) -> str:
    """A client's name as text that can be kept: octets that are no UTF-8 become ``?``."""
    return name.encode("utf-8", "replace").decode()
