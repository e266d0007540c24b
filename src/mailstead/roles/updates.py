"""The Primary port: asks a zone's primary name server and sends it updates, over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from mailstead.mail.errors import UpdateRefused
from mailstead.mail.ports import Clock
from mailstead.wire.name_server import NameServer
from mailstead.wire.tsig_key import TsigKey

if TYPE_CHECKING:
    from dns.message import Message

TIMEOUT_SECONDS = 10.0
"""How long one exchange may take."""
_REASONS = {
    "FORMERR": "it does not understand the message (FORMERR)",
    "SERVFAIL": "it failed (SERVFAIL): its log says why",
    "NOTIMP": "it takes no updates (NOTIMP): they go to the zone's primary server",
    "REFUSED": (
        "it refuses (REFUSED): it must allow updates with this key, and some servers want a mail "
        "exchanger's name to have an address first; its log says which"
    ),
    "NOTAUTH": "it is not the zone's primary server, or does not take the key (NOTAUTH)",
    "NOTZONE": "a name is not within the zone (NOTZONE)",
}


class TcpPrimary:
    """A name server, spoken to as one key's owner, or nobody's."""

    def __init__(
        self,
        server: NameServer,
        key: TsigKey | None,
        clock: Clock,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._server = server
        self._key = key
        self._clock = clock
        self._timeout_seconds = timeout_seconds

    async def zone_of(self, name: str) -> str:
        """The owner of the SOA record that comes with the answer, or with its absence."""
        import dns.rdatatype

        reply = await self._ask(name, "SOA")
        for rrset in (*reply.answer, *reply.authority):
            if rrset.rdtype == dns.rdatatype.SOA:
                return rrset.name.to_text(omit_final_dot=True).lower()
        raise UpdateRefused(f"it has no zone with {name} in it")

    async def records(self, name: str, record_type: str) -> Sequence[bytes]:
        """What stands under a name and type."""
        import dns.name
        import dns.rdatatype

        reply = await self._ask(name, record_type)
        owner, wanted = dns.name.from_text(name), dns.rdatatype.from_text(record_type)
        found: list[bytes] = []
        for rrset in reply.answer:
            if (rrset.name, rrset.rdtype) == (owner, wanted):
                found += [one.to_digestable() for one in rrset]
        return found

    async def update(
        self, zone: str, name: str, record_type: str, gone: Sequence[bytes], ttl: int, new: bytes
    ) -> None:
        """One message: delete, then add."""
        import dns.name
        import dns.rdata
        import dns.update

        message = dns.update.UpdateMessage(zone)
        owner = dns.name.from_text(name)
        for data in gone:
            message.delete(owner, dns.rdata.from_wire("IN", record_type, data, 0, len(data)))
        message.add(owner, ttl, dns.rdata.from_wire("IN", record_type, new, 0, len(new)))
        await self._exchange(message)

    async def _ask(self, name: str, record_type: str) -> Message:
        import dns.flags
        import dns.message

        query = dns.message.make_query(name, record_type)
        query.flags &= ~dns.flags.RD
        return await self._exchange(query, absent="NXDOMAIN")

    async def _exchange(self, message: Message, absent: str = "") -> Message:
        """The answer to a message. UpdateRefused for none, and for all codes but success."""
        # Imported at the first use: most servers never publish anything.
        import dns.exception
        import dns.message
        import dns.rcode

        from mailstead.wire.tsig import TsigError, check, sign

        now = self._clock.real() // 1000
        sent, mac = message.to_wire(), b""
        if self._key is not None:
            sent, mac = sign(sent, self._key, now)
        received = await self._over_tcp(sent)
        try:
            if self._key is not None:
                received = check(received, self._key, mac, now)
            reply = dns.message.from_wire(received, ignore_trailing=True)
        except TsigError as error:
            raise UpdateRefused(str(error)) from None
        except dns.exception.DNSException:
            raise UpdateRefused("its answer makes no sense: is it a name server?") from None
        if reply.id != message.id:
            raise UpdateRefused("its answer is to another question")
        code = dns.rcode.to_text(reply.rcode())
        if code not in ("NOERROR", absent):
            raise UpdateRefused(_REASONS.get(code, f"it answers {code}"))
        return reply

    async def _over_tcp(self, message: bytes) -> bytes:
        host, port = self._server
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(len(message).to_bytes(2) + message)
                    await writer.drain()
                    size = int.from_bytes(await reader.readexactly(2))
                    return await reader.readexactly(size)
                finally:
                    writer.close()
                    with suppress(OSError):
                        await writer.wait_closed()
        except TimeoutError:
            raise UpdateRefused(
                f"it does not answer within {self._timeout_seconds:g} seconds"
            ) from None
        except asyncio.IncompleteReadError:
            raise UpdateRefused("it closes the connection without an answer") from None
        except OSError as error:
            raise UpdateRefused(
                f"it can't be reached over TCP: {error.strerror or error}"
            ) from None
