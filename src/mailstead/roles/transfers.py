"""What other name servers ask: signed queries, and whole zones.

Who may have a zone is in the configuration: a secondary that is named there, or,
where keys are, whoever signs with one of them. Else nobody may, loopback included.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from typing import TYPE_CHECKING

from mailstead.mail.ports import Clock
from mailstead.mail.zones import Zones
from mailstead.wire.dns import AXFR, Query, failure, refusal, truncated
from mailstead.wire.domain_name import name_to_text
from mailstead.wire.name_server import NameServer
from mailstead.wire.transfer import is_current, version_only, whole_zone
from mailstead.wire.tsig_key import TsigKey

if TYPE_CHECKING:
    from mailstead.wire.tsig import Signer

log = logging.getLogger("mailstead.dns")

_FORMERR, _NOTAUTH = 1, 9

Plainly = Callable[[bytes], Awaitable[bytes | None]]
"""Answers a query that is no transfer, its signature taken off."""


class Transfers:
    """Answers other name servers."""

    def __init__(
        self,
        zones: Zones,
        clock: Clock,
        secondaries: Iterable[NameServer] = (),
        keys: Iterable[TsigKey] = (),
    ) -> None:
        self._zones = zones
        self._clock = clock
        self._hosts = frozenset(one.host for one in secondaries)
        self._keys = {key.name: key for key in keys}

    async def replies(
        self, packet: bytes, query: Query, client: str, plainly: Plainly, *, stream: bool
    ) -> AsyncIterator[bytes]:
        """The replies to a query that is signed, or asks for a zone; each is one message."""
        if not query.signed:
            async for reply in self._zone(query, client, signed=False, stream=stream):
                yield reply
            return
        # Most servers are never asked so: what it imports takes a twentieth of a second.
        from mailstead.wire.tsig import Rejected, verify

        now = self._clock.real() // 1000
        found = verify(packet, self._keys, now)
        if isinstance(found, Rejected):
            yield found.finish(failure(query, found.rcode), now)
            return
        signer = found.signer()
        if query.transfer:
            async for reply in self._zone(query, client, signed=True, stream=stream):
                yield self._signed(query, reply, signer)
            return
        answered = await plainly(found.plain)
        if answered is not None:
            yield self._signed(query, answered, signer)

    def _signed(self, query: Query, reply: bytes, signer: Signer) -> bytes:
        if len(reply) + signer.size > query.limit:
            reply = truncated(reply)
        return signer.sign(reply, self._clock.real() // 1000)

    async def _zone(
        self, query: Query, client: str, *, signed: bool, stream: bool
    ) -> AsyncIterator[bytes]:
        if query.type == AXFR and not stream:
            # RFC 5936 4.2: over TCP only.
            yield failure(query, _FORMERR)
            return
        if not self._may(client, signed=signed):
            log.info("a transfer of %s was refused to %s", name_to_text(query.name), client)
            yield refusal(query)
            return
        zone = self._zones.compiled.at(query.name)
        if zone is None:
            # RFC 5936 2.2.1.
            yield failure(query, _NOTAUTH)
        elif query.type == AXFR:
            async for message in _one_by_one(whole_zone(query, zone)):
                yield message
        elif query.serial is None:
            yield failure(query, _FORMERR)
        elif not stream or is_current(query.serial, zone.serial):
            yield version_only(query, zone)
        else:
            async for message in _one_by_one(whole_zone(query, zone)):
                yield message

    def _may(self, client: str, *, signed: bool) -> bool:
        return signed if self._keys else client in self._hosts


async def _one_by_one(messages: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Messages with a turn for everybody else between them."""
    for message in messages:
        yield message
        await _Turn()


class _Turn:
    """One turn of the event loop."""

    def __await__(self) -> Generator[None, None, None]:
        yield
