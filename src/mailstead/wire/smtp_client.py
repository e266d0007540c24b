"""The sending side of SMTP as a machine without I/O (RFC 5321, 1870, 2920, 3207, 6152, 6531).

The driver connects, calls `start` with an envelope, then moves bytes as
`next_event` says until it gives the `Transaction`: what became of each
recipient. Further envelopes may follow on the same connection, then `quit`.
Whether a reply means retry or bounce is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from enum import Enum, StrEnum

from mailstead.wire.addresses import Address, AddressError, domain_key, quote_local
from mailstead.wire.smtp import Need, Reply, ReplyReader, SmtpError, encode_data


class Stage(StrEnum):
    """Where in the conversation a reply came."""

    CONNECT = "connect"
    """The greeting."""
    HELO = "helo"
    TLS = "tls"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    DOT = "dot"


class TlsUse(Enum):
    """What the routing policy says about STARTTLS."""

    NEVER = "never"
    IF_OFFERED = "if offered"
    ALWAYS = "always"


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message to send. `reverse_path` None is the null sender."""

    reverse_path: Address | None
    recipients: tuple[Address, ...]
    message: bytes = field(repr=False)
    smtputf8: bool = False
    """Whether its header needs SMTPUTF8 (RFC 6531 section 3.4)."""


@dataclass(frozen=True, slots=True)
class RecipientOutcome:
    """What became of one recipient: accepted where `reply` is 2xx, which is at `Stage.DOT`.

    `remote` is False where the reply is our own: nothing was asked, or nothing
    was answered.
    """

    address: Address
    reply: Reply
    stage: Stage
    remote: bool = True


@dataclass(frozen=True, slots=True)
class Transaction:
    """The end of one envelope. `outcomes` are in the order of its recipients.

    `replies` are all that the host said since the last one, as written, lines
    joined by LF. `reusable` says whether the connection takes another envelope.
    """

    outcomes: tuple[RecipientOutcome, ...]
    replies: tuple[str, ...]
    reusable: bool


def _own(code: int, status: str, text: str) -> Reply:
    return Reply.of(code, text, enhanced=status)


LOST = _own(421, "4.4.2", "Connection lost")
NO_TLS = _own(451, "4.7.4", "TLS is required and was not to be had")
UNREADABLE = _own(451, "4.5.0", "The host's answer makes no sense")
TOO_LARGE = _own(552, "5.3.4", "The message is larger than the host takes")
NO_UTF8 = _own(553, "5.6.7", "The host does not take non-ASCII addresses")
NO_8BIT = _own(554, "5.6.3", "The host does not take 8-bit mail")


class _OverError(Exception):
    """The connection ends; whoever has no outcome yet gets this one."""

    def __init__(self, reply: Reply, stage: Stage, *, remote: bool) -> None:
        super().__init__(reply)
        self.reply = reply
        self.stage = stage
        self.remote = remote


def _refused(reply: Reply, stage: Stage) -> _OverError:
    """The end by a reply of the host, where it is one that can mean so."""
    if reply.code < 400:
        return _OverError(UNREADABLE, stage, remote=False)
    return _OverError(reply, stage, remote=True)


class _Running:
    """The transaction on its way. Recipients are known by their number."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.data = encode_data(envelope.message)
        self.accepted: list[int] = []
        self._outcomes: dict[int, RecipientOutcome] = {}

    def settle(self, number: int, reply: Reply, stage: Stage, *, remote: bool = True) -> None:
        """The first outcome of a recipient stands."""
        address = self.envelope.recipients[number]
        outcome = RecipientOutcome(address, reply, stage, remote)
        self._outcomes.setdefault(number, outcome)

    def settle_rest(self, reply: Reply, stage: Stage, *, remote: bool = True) -> None:
        for number in range(len(self.envelope.recipients)):
            self.settle(number, reply, stage, remote=remote)

    def outcomes(self) -> tuple[RecipientOutcome, ...]:
        return tuple(self._outcomes[number] for number in range(len(self.envelope.recipients)))


_Steps = Generator["Transaction | Need", None, None]
_Asking = Generator["Transaction | Need", None, Reply]


class ClientSession:
    """One connection to one host."""

    def __init__(
        self, hostname: str, *, tls: TlsUse = TlsUse.IF_OFFERED, tls_active: bool = False
    ) -> None:
        """`hostname` is what we say in EHLO; `tls_active`: TLS is there from the first byte."""
        self.hostname = hostname
        self.tls = tls
        self.tls_active = tls_active
        self.extensions: dict[str, str] = {}
        """Keywords in capitals and their arguments, of the last EHLO."""
        self.stage = Stage.CONNECT
        """Whose reply is waited for, for time-outs (RFC 5321 section 4.5.3.2)."""
        self._reader = ReplyReader()
        self._replies: list[str] = []
        self._output: list[bytes] = []
        self._running: _Running | None = None
        self._handshaking = False
        self._reset_due = False
        self._leaving = False
        self._lost = False
        self._steps = self._run()

    # The driver's side.

    def start(self, envelope: Envelope) -> None:
        """Send this one, as soon as the host is ready; also before its greeting.

        Raises `SmtpError` for bare CR, bare LF or NUL in the message, and for
        an address that no command can carry.
        """
        if self._running:
            raise RuntimeError("a transaction is running")
        for address in (envelope.reverse_path, *envelope.recipients):
            if address and re.search(
                r"[\x00-\x1f\x7f]|@[^@]*[ <>]", f"{address.local}@{address.domain}"
            ):
                raise SmtpError("an address that no command can carry")
        self._running = _Running(envelope)

    def quit(self) -> None:
        """Take leave when the host is idle; `Need.CLOSE` follows its answer."""
        self._leaving = True

    def receive_data(self, data: bytes) -> None:
        """Octets of the host. What comes in clear when TLS is due is dropped (RFC 3207)."""
        if not self._handshaking:
            self._reader.feed(data)

    def receive_eof(self) -> None:
        """The connection is gone, or the driver gives it up."""
        self._lost = True
        self._handshaking = False

    def data_to_send(self) -> bytes:
        """What to write now."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def tls_started(self) -> None:
        """The handshake is done."""
        self.tls_active = True
        self._handshaking = False

    def next_event(self) -> Transaction | Need:
        """The result, or what is needed to go on; `Need.REPLY` asks for `start` or `quit`."""
        return next(self._steps)

    # The conversation, from greeting to end.

    def _run(self) -> _Steps:
        try:
            yield from self._open()
            while True:
                while not self._running:
                    yield from self._idle()
                yield from self._deliver(self._running)
                yield self._finish(self._running, reusable=True)
        except _OverError as over:
            end = over
        while True:
            if self._running:
                self._running.settle_rest(end.reply, end.stage, remote=end.remote)
                yield self._finish(self._running, reusable=False)
            yield Need.CLOSE

    def _finish(self, running: _Running, *, reusable: bool) -> Transaction:
        self._running = None
        replies, self._replies = self._replies, []
        return Transaction(running.outcomes(), tuple(replies), reusable)

    def _idle(self) -> _Steps:
        if self._leaving:
            yield from self._ask(b"QUIT", Stage.CONNECT)
        if self._lost or self._leaving:
            raise _OverError(LOST, Stage.CONNECT, remote=False)
        if unasked := self._read(Stage.MAIL):
            # Nobody asked: an end announced, or two sides out of step.
            raise _refused(unasked, Stage.MAIL)
        yield Need.REPLY

    def _write(self, line: bytes) -> None:
        self._output.append(line + b"\r\n")

    def _ask(self, line: bytes, stage: Stage) -> _Asking:
        self._write(line)
        return (yield from self._reply(stage))

    def _reply(self, stage: Stage) -> _Asking:
        self.stage = stage
        while not (reply := self._read(stage)):
            if self._lost:
                raise _OverError(LOST, stage, remote=False)
            yield Need.DATA
        if reply.code == 421:
            # RFC 5321 section 3.8: it may come at any time, and ends only this connection.
            raise _refused(reply, stage)
        return reply

    def _read(self, stage: Stage) -> Reply | None:
        try:
            found = self._reader.next_reply()
        except SmtpError as error:
            raise _OverError(UNREADABLE, stage, remote=False) from error
        if not found:
            return None
        self._replies.append(found[1])
        return found[0]

    def _open(self) -> _Steps:
        greeting = yield from self._reply(Stage.CONNECT)
        if not greeting.accepted:
            raise _refused(greeting, Stage.CONNECT)
        yield from self._say_hello()
        if self.tls_active or self.tls is TlsUse.NEVER:
            return
        if "STARTTLS" in self.extensions:
            reply = yield from self._ask(b"STARTTLS", Stage.TLS)
            if reply.code == 220:
                yield from self._shake_hands()
                yield from self._say_hello()
                return
        if self.tls is TlsUse.ALWAYS:
            raise _OverError(NO_TLS, Stage.TLS, remote=False)

    def _shake_hands(self) -> _Steps:
        self._reader.clear()
        self.extensions = {}
        self._handshaking = True
        while self._handshaking:
            yield Need.TLS
        if not self.tls_active:
            raise _OverError(LOST, Stage.TLS, remote=False)

    def _say_hello(self) -> _Steps:
        name = self.hostname.encode("ascii", "replace")
        reply = yield from self._ask(b"EHLO " + name, Stage.HELO)
        if reply.accepted:
            words = [line.upper().partition(" ") for line in reply.lines[1:]]
            self.extensions = {keyword: arguments for keyword, _, arguments in words}
            return
        if reply.code >= 500:
            # RFC 5321 section 3.2: a host that does not know EHLO.
            reply = yield from self._ask(b"HELO " + name, Stage.HELO)
        if not reply.accepted:
            raise _refused(reply, Stage.HELO)

    # One transaction.

    def _deliver(self, running: _Running) -> _Steps:
        mail = self._mail_command(running)
        recipients = list(self._rcpt_commands(running))
        if not mail or not recipients:
            return
        commands = [*([b"RSET"] if self._reset_due else []), mail]
        commands += [line for _, line in recipients] + [b"DATA"]
        pipelined = "PIPELINING" in self.extensions
        if pipelined:
            self._write(b"\r\n".join(commands))

        def answered(line: bytes, stage: Stage) -> _Asking:
            reply = yield from (self._reply(stage) if pipelined else self._ask(line, stage))
            if reply.code < 400 and not reply.accepted and stage is not Stage.DATA:
                raise _refused(reply, stage)
            return reply

        if self._reset_due:
            yield from answered(b"RSET", Stage.MAIL)
        self._reset_due = True
        reply = yield from answered(mail, Stage.MAIL)
        known_sender = reply.accepted
        if not known_sender:
            running.settle_rest(reply, Stage.MAIL)
            recipients = recipients if pipelined else []
        for number, line in recipients:
            reply = yield from answered(line, Stage.RCPT)
            if not reply.accepted:
                running.settle(number, reply, Stage.RCPT)
            elif known_sender:
                running.accepted.append(number)
        if pipelined or running.accepted:
            reply = yield from answered(b"DATA", Stage.DATA)
            yield from self._send_content(running, reply)

    def _send_content(self, running: _Running, reply: Reply) -> _Steps:
        if reply.code < 400 and reply.code != 354:
            raise _refused(reply, Stage.DATA)
        if reply.code != 354:
            running.settle_rest(reply, Stage.DATA)
            return
        # RFC 2920 section 3.1: nobody was accepted and yet content is asked for.
        self._output.append(running.data if running.accepted else b".\r\n")
        reply = yield from self._reply(Stage.DOT)
        if reply.code < 400 and not reply.accepted:
            raise _refused(reply, Stage.DOT)
        running.settle_rest(reply, Stage.DOT)
        self._reset_due = False

    def _mail_command(self, running: _Running) -> bytes | None:
        """MAIL with what the host offers, or None where it cannot take this message."""
        envelope = running.envelope
        size, eight_bit = len(envelope.message), not envelope.message.isascii()
        limit = self.extensions.get("SIZE", "")
        sender = b"" if envelope.reverse_path is None else self._path(envelope.reverse_path)
        refusal = None
        if limit.isdecimal() and 0 < int(limit) < size:
            refusal = TOO_LARGE
        elif sender is None or (envelope.smtputf8 and "SMTPUTF8" not in self.extensions):
            refusal = NO_UTF8
        elif eight_bit and "8BITMIME" not in self.extensions:
            refusal = NO_8BIT
        if refusal or sender is None:
            running.settle_rest(refusal or NO_UTF8, Stage.MAIL, remote=False)
            return None
        paths = [sender, *(self._path(address) or b"" for address in envelope.recipients)]
        command = b"MAIL FROM:<" + sender + b">"
        if "SIZE" in self.extensions:
            command += b" SIZE=%d" % size
        if eight_bit:
            command += b" BODY=8BITMIME"
        if envelope.smtputf8 or not all(path.isascii() for path in paths):
            command += b" SMTPUTF8"
        return command

    def _rcpt_commands(self, running: _Running) -> Generator[tuple[int, bytes]]:
        for number, address in enumerate(running.envelope.recipients):
            path = self._path(address)
            if path is None:
                running.settle(number, NO_UTF8, Stage.RCPT, remote=False)
            else:
                yield number, b"RCPT TO:<" + path + b">"

    def _path(self, address: Address) -> bytes | None:
        """The path as this host can read it: A-labels where they do, else UTF-8, else None."""
        text = str(address)
        if not text.isascii() and address.local.isascii():
            try:
                text = f"{quote_local(address.local)}@{domain_key(address.domain)}"
            except AddressError:
                return None
        if not text.isascii() and "SMTPUTF8" not in self.extensions:
            return None
        return text.encode("utf-8", "replace")
