"""The outside: everybody whose domain is not hosted here, in capture mode.

A receiver as others are: it looks at SPF, DKIM and DMARC, records what it
found, and keeps the message in a capture mailbox of the recipient. It refuses
only for addresses of SES's mailbox simulator, which also answer and complain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailstead.mail.acceptance import PassedOn, passed_on
from mailstead.mail.arrival import Landing, Received, arrive
from mailstead.mail.authentication import Authentication, Client
from mailstead.mail.message_ids import new_message_id
from mailstead.mail.messages import Door
from mailstead.mail.model import Scope
from mailstead.mail.ports import Clock, Randomness, Store, Wakeups
from mailstead.mail.submission import SIMULATOR
from mailstead.wire.addresses import Address, domain_key
from mailstead.wire.message import MessageError, parse_headers
from mailstead.wire.reports import automatic_reply, complaint_report
from mailstead.wire.smtp import Reply

BOUNCE = Reply.of(550, "Requested action not taken: mailbox unavailable", enhanced="5.1.1")
"""How the simulator's ``bounce`` refuses."""
REFUSING = ("bounce", "suppressionlist")
ANSWERING = ("ooto", "complaint")
KNOWN = ("success", *REFUSING, *ANSWERING)


def simulated(address: Address) -> str | None:
    """The simulator's name for an address, its label left out; None for other domains."""
    if domain_key(address.domain) != SIMULATOR:
        return None
    return address.local.lower().partition("+")[0]


@dataclass(frozen=True, slots=True)
class Outside:
    """Receives for everybody else."""

    store: Store
    clock: Clock
    randomness: Randomness
    wakeups: Wakeups
    authentication: Authentication
    home: Scope
    hostname: str

    def recipient(self, address: Address) -> Reply | None:
        """The refusal of a recipient, or None: nearly everybody is taken."""
        name = simulated(address)
        if name is None or name in KNOWN:
            return BOUNCE if name in REFUSING else None
        return Reply.of(550, f"The simulator has no {name}", enhanced="5.1.1")

    async def content(self, client: Client, addresses: Sequence[Address], raw: bytes) -> Reply:
        """Keep a message; the reply, with its id, comes after the commit."""
        try:
            headers = parse_headers(raw)
        except MessageError as error:
            return Reply.of(554, f"The message can't be read: {error}", enhanced="5.6.0")
        now = self.clock.now()
        name = new_message_id(self.home.region, now, self.randomness.uuid())
        verdicts = await self.authentication.check(headers, client)
        received = Received(name, now, client, raw, verdicts, own=True)
        written = [
            f"{str(address).rpartition('@')[0]}@{domain_key(address.domain)}"
            for address in addresses
        ]
        landings = [Landing(one, one.lower(), "capture", self.home) for one in written]
        answers = [
            PassedOn(self.home, Door.SYSTEM, "", (client.reverse_path,), answer)
            for answer in self._answers(client, zip(addresses, written, strict=True), raw)
            if verdicts.sender_proven
        ]
        await self.store.deliver(
            [arrive(received, one, self.hostname) for one in landings],
            [passed_on(self.randomness, now, answer) for answer in answers],
        )
        if answers:
            self.wakeups.wake("queue")
        return Reply.of(250, f"Ok {name}", enhanced="2.0.0")

    def _answers(
        self, client: Client, recipients: Iterable[tuple[Address, str]], raw: bytes
    ) -> Iterator[bytes]:
        """What the simulator's addresses send back; nothing to the null sender."""
        for address, written in recipients:
            answer = _ANSWERS.get(simulated(address) or "")
            if answer is not None and client.reverse_path:
                yield answer(self, client, written, raw)


def _out_of_office(parts: Outside, client: Client, address: str, raw: bytes) -> bytes:
    return automatic_reply(
        sender=address,
        to=client.reverse_path,
        date=parts.clock.now() // 1000,
        original=raw,
    )


def _complaint(parts: Outside, client: Client, address: str, raw: bytes) -> bytes:
    return complaint_report(
        sender=f"complaints@{SIMULATOR}",
        to=client.reverse_path,
        date=parts.clock.now() // 1000,
        complainer=address,
        source_ip=client.address,
        boundary=parts.randomness.token(16).hex(),
        original=raw,
    )


_ANSWERS: dict[str, Callable[[Outside, Client, str, bytes], bytes]] = {
    "ooto": _out_of_office,
    "complaint": _complaint,
}
