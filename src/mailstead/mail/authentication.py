"""Who a received message really is from: SPF, DKIM and DMARC looked at together.

Used wherever mail is received, by our MX and by the outside. The checks are
generators; here they are asked through the Resolver port.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

from mailstead.mail.ports import Clock, Resolver
from mailstead.wire import authres, dkim_verify, dmarc, spf
from mailstead.wire.dkim_verify import DkimResult
from mailstead.wire.dmarc import AuthorError, DmarcResult
from mailstead.wire.lookup import Answer, Question
from mailstead.wire.message import Headers
from mailstead.wire.spf import SpfResult

T = TypeVar("T")


async def asked(
    check: Generator[tuple[Question, ...], tuple[Answer, ...], T], resolver: Resolver
) -> T:
    """Run a check to its end, with the resolver's answers."""
    try:
        questions = next(check)
        while True:
            questions = check.send(tuple(await resolver.ask(questions)))
    except StopIteration as done:
        return done.value


@dataclass(frozen=True, slots=True)
class Client:
    """Who hands a message over, and with which envelope sender."""

    address: str
    port: int
    helo: str
    reverse_path: str
    """Empty for the null reverse path."""
    tls: str | None = None


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was found out about a received message."""

    spf: SpfResult
    dkim: tuple[DkimResult, ...]
    dmarc: DmarcResult | None
    """None where the message has no one author domain; ``problem`` says why."""
    problem: str = ""

    @property
    def summary(self) -> dict[str, str]:
        """``spf``, ``dkim`` of the aligned signature (else the best), ``dmarc``."""
        results = [one.result for one in self.dkim]
        aligned = self.dmarc.dkim_aligned if self.dmarc is not None else ""
        if aligned:
            shown = next((one.result for one in self.dkim if one.domain == aligned), "pass")
        elif results:
            shown = "pass" if "pass" in results else results[0]
        else:
            shown = "none"
        return {
            "spf": self.spf.result,
            "dkim": shown,
            "dmarc": self.dmarc.result if self.dmarc is not None else "permerror",
        }

    @property
    def sender_proven(self) -> bool:
        """Whether an automatic answer may go to the sender: SPF or aligned DKIM passed."""
        aligned = self.dmarc is not None and bool(self.dmarc.dkim_aligned)
        return self.spf.result == "pass" or aligned

    @property
    def rejected(self) -> bool:
        """Whether the author domain's owner asks to refuse it."""
        found = self.dmarc
        return found is not None and found.result == "fail" and found.policy == "reject"

    def field(self, authserv_id: str, client: Client) -> bytes:
        """The Authentication-Results field (RFC 8601) that says all this."""
        results = [
            authres.spf_result(self.spf, null_sender=not client.reverse_path),
            *authres.dkim_results(self.dkim),
        ]
        if self.dmarc is not None:
            results.append(authres.dmarc_result(self.dmarc))
        return authres.authentication_results(authserv_id, results)


@dataclass(frozen=True, slots=True)
class Authentication:
    """Checks received messages."""

    resolver: Resolver
    clock: Clock
    hostname: str

    async def check(self, headers: Headers, client: Client) -> Verdicts:
        """SPF of the client, DKIM of the bytes, DMARC of the author."""
        found_spf = await asked(
            spf.check(
                client.address,
                helo=client.helo,
                mail_from=client.reverse_path,
                receiver=self.hostname,
                now=self.clock.now() // 1000,
            ),
            self.resolver,
        )
        found_dkim = await asked(
            dkim_verify.verify(headers, self.clock.now() // 1000), self.resolver
        )
        try:
            authors = dmarc.author_domains(headers)
        except AuthorError as error:
            return Verdicts(found_spf, tuple(found_dkim), None, str(error))
        found_dmarc = await asked(
            dmarc.check(
                authors,
                spf_domain=found_spf.domain if found_spf.result == "pass" else None,
                dkim_domains=[one.domain for one in found_dkim if one.result == "pass"],
            ),
            self.resolver,
        )
        return Verdicts(found_spf, tuple(found_dkim), found_dmarc)
