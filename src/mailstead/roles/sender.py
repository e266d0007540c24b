"""One outgoing SMTP connection: the sans-IO client on a socket."""

from __future__ import annotations

import asyncio
import ssl

from mailstead.mail.delivery import Hop
from mailstead.roles.net import Connection, OwnPeers, PeerGone
from mailstead.wire.smtp import Need
from mailstead.wire.smtp_client import ClientSession, Envelope, TlsUse, Transaction

CONNECT_SECONDS = 30.0
REPLY_SECONDS = 600.0
"""What a receiver may take after the dot (RFC 5321 4.5.3.2.6)."""
QUIT_SECONDS = 5.0

_TLS = {"opportunistic": TlsUse.IF_OFFERED, "none": TlsUse.NEVER}


class ConnectFailed(Exception):
    """The host can't be reached; the text says why."""


class Sender:
    """Sends envelopes to one host, one after another."""

    def __init__(
        self, hop: Hop, connection: Connection, session: ClientSession, context: ssl.SSLContext
    ) -> None:
        self.hop = hop
        self._connection = connection
        self._session = session
        self._context = context
        self.sent = 0
        """Envelopes so far."""

    @classmethod
    async def connect(
        cls, hop: Hop, hostname: str, context: ssl.SSLContext, own: OwnPeers
    ) -> Sender:
        """Open a connection, known to ``own`` while it stands. ConnectFailed without answer."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await loop.create_connection(
                    lambda: Connection(own=own), hop.address, hop.port
                )
        except TimeoutError:
            raise ConnectFailed(f"no answer within {CONNECT_SECONDS:.0f} s") from None
        except OSError as error:
            raise ConnectFailed(error.strerror or str(error)) from None
        return cls(hop, connection, ClientSession(hostname, tls=_TLS[hop.tls]), context)

    @property
    def tls(self) -> str | None:
        """The TLS version in use."""
        return self._connection.tls_version

    @property
    def usable(self) -> bool:
        """Whether another envelope can be tried."""
        return not self._connection.closed

    async def send(self, envelope: Envelope) -> Transaction:
        """Send one message; what became of each recipient."""
        self._session.start(envelope)
        self.sent += 1
        while True:
            event = self._session.next_event()
            if isinstance(event, Transaction):
                return event
            await self._serve(event, REPLY_SECONDS)

    async def quit(self) -> None:
        """Take leave, politely and briefly."""
        self._session.quit()
        try:
            while self.usable:
                event = self._session.next_event()
                if event is Need.CLOSE or isinstance(event, Transaction):
                    break
                await self._serve(event, QUIT_SECONDS)
        finally:
            self._connection.close()

    def abort(self) -> None:
        """Drop the connection at once."""
        self._connection.abort()

    async def _serve(self, need: Need, seconds: float) -> None:
        connection, session = self._connection, self._session
        connection.write(session.data_to_send())
        try:
            if need is Need.TLS:
                await connection.start_tls(self._context, server_side=False)
                session.tls_started()
            elif need is Need.DATA:
                await connection.drain(seconds)
                session.receive_data(await connection.read(seconds))
            else:
                session.receive_eof()
        except PeerGone:
            session.receive_eof()
