"""SES's SMTP interface: log in with a key, hand over a message, get a MessageId.

Everything that SES refuses by identity, quota or content it refuses after the
data, in its own words; clients parse ``250 Ok`` and the bare MessageId.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address

from mailstead.mail.errors import DomainError, Invalid, Limit, NotFound, Refused
from mailstead.mail.messages import Door
from mailstead.mail.model import Scope
from mailstead.mail.ports import Randomness
from mailstead.mail.reception import is_loopback
from mailstead.mail.submission import Authorise, Outbound, Submission, submit
from mailstead.roles.net import Connection
from mailstead.roles.smtpd import SmtpPort, SmtpSettings
from mailstead.wire.sasl import Credentials
from mailstead.wire.smtp import Reply
from mailstead.wire.smtp_commands import Auth, Content, Event
from mailstead.wire.smtp_profile import Profile, ses_profile
from mailstead.wire.smtp_server import SmtpServer

BAD_LOGIN = Reply.of(535, "Authentication Credentials Invalid")
NO_LOGIN = Reply.of(530, "Authentication required")


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who sends, once logged in."""

    scope: Scope
    authorise: Authorise


@dataclass(frozen=True, slots=True)
class SubmissionDoor:
    """What the SMTP interface needs."""

    outbound: Outbound
    randomness: Randomness
    login: Callable[[Credentials], Awaitable[Submitter | None]]
    root: Callable[[], Submitter]
    """As whom trusted networks submit."""
    trusted: tuple[IPv4Network | IPv6Network, ...]

    def trusts(self, address: str) -> bool:
        """Whether a client may submit without TLS and log-in."""
        return any(ip_address(address) in network for network in self.trusted)


def submission_port(
    settings: SmtpSettings, door: SubmissionDoor, *, implicit_tls: bool = False
) -> SmtpPort:
    """A port of SES's SMTP interface."""

    def profile(connection: Connection) -> Profile:
        address = connection.peer[0]
        trusted = not implicit_tls and door.trusts(address)
        return ses_profile(trusted=trusted, early_talkers=is_loopback(address))

    def tag() -> str:
        node = b32encode(door.randomness.token(5)).decode()
        return f"-d-{node} {door.randomness.token(10).hex()}"

    return SmtpPort(
        settings,
        profile,
        lambda connection: _Submitting(door, connection),
        tag=tag,
        implicit_tls=implicit_tls,
    )


@dataclass(slots=True)
class _Submitting:
    """One client of the SMTP interface."""

    door: SubmissionDoor
    connection: Connection
    submitter: Submitter | None = None

    async def decide(self, session: SmtpServer, event: Event) -> None:
        match event:
            case Auth():
                self.submitter = await self.door.login(event.credentials)
                if self.submitter is None:
                    session.send(BAD_LOGIN)
                else:
                    session.accept()
            case Content():
                session.send(await self._submit(session, event))
            case _:
                session.accept()

    async def _submit(self, session: SmtpServer, content: Content) -> Reply:
        submitter = self.submitter
        if submitter is None and not session.profile.demand_auth:
            submitter = self.door.root()
        if submitter is None:
            return NO_LOGIN
        submission = Submission(
            scope=submitter.scope,
            door=Door.SMTP,
            authorise=submitter.authorise,
            action="ses:SendRawEmail",
            source=content.mail.path,
            to=tuple(one.path for one in content.recipients),
            raw=content.message,
            size_limit=session.profile.limits.message_size,
        )
        try:
            message_id = await submit(self.door.outbound, submission)
        except DomainError as error:
            return refusal(error)
        return Reply.of(250, f"Ok {message_id}")


_REPLIES: dict[tuple[type[DomainError], str], tuple[int, str]] = {
    (Limit, ""): (454, "Throttling failure: {}"),
    (Refused, ""): (554, "Access denied: {}"),
    (Refused, "unverified"): (554, "Message rejected: {}"),
    (Refused, "paused"): (554, "Message rejected: {}"),
    (Refused, "mail-from"): (554, "MAIL FROM domain not verified: {}"),
    (Invalid, ""): (554, "Transaction failed: {}"),
    (Invalid, "size"): (552, "Message is too long."),
    (NotFound, ""): (554, "Transaction failed: {}"),
}


def refusal(error: DomainError) -> Reply:
    """What SES's SMTP interface answers where its API would raise an error."""
    kind = type(error)
    code, text = (
        _REPLIES.get((kind, error.reason))
        or _REPLIES.get((kind, ""))
        or (554, "Transaction failed: {}")
    )
    return Reply.of(code, text.format(error.text or kind.__name__))
