"""Routers: where mail for a destination goes, one class a delivery mode.

Capture mode has a whole internet on the laptop: domains with mailboxes here go
to our own MX listener, as in every mode, and all else to the outside role, a
receiver on loopback that stands for everybody.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailstead.mail.delivery import Hop, Route, Unroutable
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.message_ids import parse_return_path
from mailstead.mail.messages import Door
from mailstead.mail.service import ServiceNames
from mailstead.wire.smtp import Reply

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class CaptureRouter:
    """Nothing leaves this machine."""

    mailboxes: Mailboxes
    names: ServiceNames
    mx_port: Callable[[], int]
    """Our MX listener's port, known once it listens."""
    outside_port: Callable[[], int]

    async def route(self, recipient: str, door: Door) -> Route | Unroutable:
        """To our own MX, to the outside, or nowhere for names under ``.invalid`` (RFC 6761)."""
        domain = recipient.rpartition("@")[2]
        if domain == "invalid" or domain.endswith(".invalid"):
            return Unroutable(
                Reply.of(550, f"The domain {domain} does not exist", enhanced="5.1.2")
            )
        if await self.mailboxes.receives(domain) or self._returns_here(recipient):
            hop = Hop(f"mx.{domain}", LOOPBACK, self.mx_port(), "none")
            return Route((hop,), own=True)
        hop = Hop(f"mx.{domain}", LOOPBACK, self.outside_port(), "opportunistic")
        return Route((hop,), own=True)

    def _returns_here(self, recipient: str) -> bool:
        """Whether it is a return path of ours: bounces and automatic replies come home."""
        local, _, domain = recipient.rpartition("@")
        if parse_return_path(local) is None:
            return False
        return self.names.holds(domain) or self.mailboxes.zones.zone_of(domain) is not None
