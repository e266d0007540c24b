"""One outgoing SMTP connection: the sans-IO client on a socket."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field

from mailstead.mail.delivery import Hop
from mailstead.roles.net import Connection, OwnPeers, PeerGone
from mailstead.wire.smtp import Need
from mailstead.wire.smtp_client import ClientSession, Envelope, Stage, TlsUse, Transaction

_TLS = {"opportunistic": TlsUse.IF_OFFERED, "none": TlsUse.NEVER}
_REPLY_SECONDS: Mapping[Stage, float] = {
    Stage.CONNECT: 300.0,
    Stage.HELO: 300.0,
    Stage.TLS: 120.0,
    Stage.MAIL: 300.0,
    Stage.RCPT: 300.0,
    Stage.DATA: 120.0,
    Stage.DOT: 600.0,
}
"""RFC 5321 4.5.3.2."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a host may take. Seconds."""

    connect: float = 30.0
    replies: Mapping[Stage, float] = field(default_factory=lambda: _REPLY_SECONDS)
    quit: float = 5.0


class ConnectFailed(Exception):
    """The host can't be reached; the text says why."""


class Sender:
    """Sends envelopes to one host, one after another."""

    def __init__(
        self,
        hop: Hop,
        connection: Connection,
        session: ClientSession,
        context: ssl.SSLContext,
        patience: Patience,
    ) -> None:
        self.hop = hop
        self._connection = connection
        self._session = session
        self._context = context
        self._patience = patience
        self._now = asyncio.get_running_loop().time
        self.sent = 0
        """Envelopes so far."""

    @classmethod
    async def connect(
        cls,
        hop: Hop,
        hostname: str,
        context: ssl.SSLContext,
        own: OwnPeers,
        patience: Patience,
    ) -> Sender:
        """Open a connection, known to ``own`` while it stands. ConnectFailed without answer."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(patience.connect):
                _, connection = await loop.create_connection(
                    lambda: Connection(own=own), hop.address, hop.port
                )
        except TimeoutError:
            raise ConnectFailed(f"no answer within {patience.connect:.0f} s") from None
        except OSError as error:
            raise ConnectFailed(os.strerror(error.errno) if error.errno else str(error)) from None
        session = ClientSession(hostname, tls=_TLS[hop.tls])
        return cls(hop, connection, session, context, patience)

    @property
    def tls(self) -> str | None:
        """The TLS version in use."""
        return self._connection.tls_version

    @property
    def usable(self) -> bool:
        """Whether another envelope can be tried."""
        return not self._connection.closed

    async def send(self, envelope: Envelope, dot_by: float) -> Transaction:
        """Send one message; what became of its recipients. `SmtpError` for what can't be sent.

        ``dot_by`` is the event loop's time until which the final dot must be out;
        where it is not, the connection is given up.
        """
        self._session.start(envelope)
        self.sent += 1
        while True:
            event = self._session.next_event()
            if isinstance(event, Transaction):
                return event
            stage = self._session.stage
            seconds, left = self._patience.replies[stage], max(0.0, dot_by - self._now())
            flush = min(seconds, left)
            await self._serve(event, flush, seconds if stage is Stage.DOT else flush)

    async def quit(self) -> None:
        """Take leave, politely and briefly."""
        self._session.quit()
        try:
            while self.usable:
                event = self._session.next_event()
                if event is Need.CLOSE or isinstance(event, Transaction):
                    break
                await self._serve(event, self._patience.quit, self._patience.quit)
        finally:
            self._connection.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._connection.abort()

    async def _serve(self, need: Need, flush: float, reply: float) -> None:
        """Do what the session needs: ``flush`` seconds to write, then ``reply`` to be answered."""
        connection, session = self._connection, self._session
        connection.write(session.data_to_send())
        try:
            if need is Need.TLS:
                await connection.start_tls(self._context, server_side=False)
                session.tls_started()
            elif need is Need.DATA:
                await connection.drain(flush)
                session.receive_data(await connection.read(reply))
            else:
                session.receive_eof()
        except PeerGone:
            session.receive_eof()
