"""The receiving side of SMTP as a machine without I/O (RFC 5321, 2920, 3030, 3207, 4954).

The driver feeds `receive_data`, asks `next_event`, decides, answers by `accept`
or `send`, and writes `data_to_send`. One event is outstanding at a time: until
it is answered, later commands stay buffered, so replies keep their order. The
session answers by itself what the protocol decides; an event is what policy
decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, assert_never

from mailstead.wire.sasl import (
    MECHANISMS,
    Credentials,
    SaslError,
    SaslServer,
    decode_response,
    encode_challenge,
)
from mailstead.wire.smtp import Need, Reply
from mailstead.wire.smtp_commands import (
    Auth,
    Content,
    Event,
    Hello,
    Mail,
    Rcpt,
    Refusal,
    StartTls,
    read_chunk,
    read_hello,
    read_mail,
    read_rcpt,
)
from mailstead.wire.smtp_data import ChunkReader, DataReader
from mailstead.wire.smtp_profile import Case, Profile

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(slots=True)
class _Transaction:
    mail: Mail
    recipients: list[Rcpt] = field(default_factory=list[Rcpt])
    refused_some: bool = False
    chunks: ChunkReader | None = None


@dataclass(slots=True)
class _Chunk:
    """A BDAT chunk on its way in; `refusal` answers it where it is only swallowed."""

    reader: ChunkReader
    size: int
    last: bool
    refusal: Case | None


@dataclass(frozen=True, slots=True)
class _Command:
    """`guarded`: needs EHLO, and TLS where it is demanded; `of_mail`: a log-in likewise."""

    run: Callable[[SmtpServer, str], None]
    guarded: bool = False
    of_mail: bool = False
    bare: bool = False


class SmtpServer:
    """One connection."""

    def __init__(self, profile: Profile, *, tls: bool = False) -> None:
        """`tls`: TLS is there from the first byte (RFC 8314 section 3.3)."""
        self.profile = profile
        self.tls_active = tls
        self.hello: Hello | None = None
        self.username = ""
        """Who logged in, or empty."""
        self._input = bytearray()
        self._scanned = 0
        self._output: list[bytes] = []
        self._greeted = False
        self._closing = False
        self._tls_pending = False
        self._event: Event | None = None
        self._errors = 0
        self._sasl: SaslServer | None = None
        self._transaction: _Transaction | None = None
        self._data: DataReader | None = None
        self._chunk: _Chunk | None = None

    # The driver's side.

    def greet(self, tag: str = "") -> None:
        """Send the greeting, once; `tag` follows the banner, as SES's id does.

        A client that talked before it is turned away, unless the profile forgives.
        """
        self._greeted = True
        if self._input and not self.profile.early_talkers:
            self._end(Case.EARLY)
            return
        profile = self.profile
        self._write(Reply.of(220, f"{profile.hostname} {profile.banner}{tag}"))

    def receive_data(self, data: bytes) -> None:
        """Octets of the client. What comes in clear while TLS is due is dropped (RFC 3207)."""
        if not (self._closing or self._tls_pending):
            self._input += data

    @property
    def held(self) -> int:
        """Octets of the client that it keeps: unread ones, and content on its way."""
        chunks = self._transaction.chunks if self._transaction else None
        content = self._data or chunks
        return len(self._input) + (content.size if content else 0)

    def data_to_send(self) -> bytes:
        """What to write now."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def next_event(self) -> Event | Need:
        """What happened, or what is needed to go on."""
        while not self._closing:
            if self._event or not self._greeted:
                return Need.REPLY
            if self._tls_pending:
                return Need.TLS
            if not self._step():
                return Need.DATA
            if self._event:
                return self._event
        return Need.CLOSE

    def accept(self, text: str | None = None) -> None:
        """Answer the outstanding event positively, in `text` or the profile's words."""
        event = self._event
        if event is None or isinstance(event, Hello):
            self.send(self._hello_reply(event))
            return
        reply = self.profile.words[_ACCEPTANCE[type(event)]]
        if text is not None:
            reply = Reply.of(reply.code, text, enhanced=reply.enhanced)
        self.send(reply)

    def send(self, reply: Reply) -> None:
        """Answer the outstanding event; a positive `reply` makes it happen.

        421 also ends the connection (RFC 5321 section 3.8). A refused log-in
        counts as an error.
        """
        event, self._event = self._event, None
        if event is None:
            raise RuntimeError("no event waits for a reply")
        self._write(reply)
        self._settle(event, accepted=reply.accepted)
        self._closing = self._closing or reply.code == 421

    def time_out(self) -> None:
        """Say that the client was silent for too long, and close."""
        self._end(Case.IDLE)

    def close(self, reply: Reply) -> None:
        """Say `reply` unasked and close, as at shutdown (RFC 5321 section 3.8)."""
        self._write(reply)
        self._closing = True

    def tls_started(self) -> None:
        """The handshake is done. Nothing said before it counts (RFC 3207 section 4.2)."""
        self._input.clear()
        self._scanned = 0
        self._tls_pending = False
        self.tls_active = True
        self.hello = None
        self.username = ""
        self._transaction = None

    # What the decisions mean.

    def _settle(self, event: Event, *, accepted: bool) -> None:
        match event:
            case Hello():
                self.hello = event if accepted else self.hello
            case StartTls():
                self._tls_pending = accepted
                if accepted:
                    self._input.clear()
            case Auth():
                if accepted:
                    self.username = event.credentials.username
                elif self._count_error():
                    self._end(Case.TOO_MANY_ERRORS)
            case Mail():
                self._transaction = _Transaction(event) if accepted else None
            case Rcpt():
                assert self._transaction
                if accepted:
                    self._transaction.recipients.append(event)
                else:
                    self._transaction.refused_some = True
            case Content():
                self._transaction = None
                self._errors = 0
            case _:
                assert_never(event)

    def _hello_reply(self, event: Hello | None) -> Reply:
        profile = self.profile
        lines = [profile.hostname]
        if event and event.extended:
            lines += profile.keywords
            lines.append(f"SIZE {profile.limits.message_size}")
            if profile.starttls and not self.tls_active:
                lines.append("STARTTLS")
            if profile.auth and self.tls_active:
                lines.append(f"AUTH {' '.join(MECHANISMS)}")
            if profile.closing_keyword:
                lines.append(profile.closing_keyword)
        return Reply.of(250, *lines)

    # What the session says by itself.

    def _write(self, reply: Reply) -> None:
        self._output.append((reply if self.profile.enhanced else reply.plain()).encode())

    def _say(self, case: Case, path: str = "") -> None:
        reply = self.profile.words[case]
        text = reply.lines[0].replace("{path}", path[:320])
        self._write(Reply.of(reply.code, text, enhanced=reply.enhanced))

    def _refuse(self, case: Case, path: str = "") -> None:
        """An error of the client; after too many the connection ends."""
        if self._count_error():
            self._end(Case.TOO_MANY_ERRORS)
        else:
            self._say(case, path)

    def _count_error(self) -> bool:
        self._errors += 1
        return self._errors > self.profile.limits.errors

    def _end(self, case: Case) -> None:
        self._say(case)
        self._closing = True
        self._input.clear()

    # Reading.

    def _step(self) -> bool:
        """Take one line or piece of content; False when more octets are needed."""
        if self._data:
            return self._read_data(self._data)
        if self._chunk:
            return self._read_chunk(self._chunk)
        line = self._take_line()
        if line is None:
            return self._closing
        if self._sasl:
            self._read_response(self._sasl, line)
        else:
            self._execute(line.decode("utf-8", "surrogateescape"))
        return True

    def _take_line(self) -> bytes | None:
        end = self._input.find(b"\n", self._scanned)
        if (end if end >= 0 else len(self._input)) >= self.profile.limits.line:
            self._end(Case.LONG_LINE)
            return None
        if end < 0:
            self._scanned = len(self._input)
            return None
        line = bytes(self._input[:end])
        # A bare LF ends no command: two readers that disagree are how mail is smuggled.
        if line.find(b"\r") != end - 1 or not end or b"\0" in line:
            self._end(Case.LINE_ENDS)
            return None
        del self._input[: end + 1]
        self._scanned = 0
        return line[:-1]

    def _read_data(self, reader: DataReader) -> bool:
        if not reader.feed(self._input):
            return False
        self._data = None
        if reader.dirty:
            self._end(Case.LINE_ENDS)
        elif reader.too_long:
            self._transaction = None
            self._say(Case.TOO_LONG)
        else:
            self._complete(reader.content())
        return True

    def _read_chunk(self, chunk: _Chunk) -> bool:
        reader = chunk.reader
        if not reader.feed(self._input):
            return False
        self._chunk = None
        if chunk.refusal:
            self._refuse(chunk.refusal)
        elif reader.broken or (chunk.last and reader.dirty):
            self._end(Case.LINE_ENDS)
        elif reader.too_long:
            self._transaction = None
            self._say(Case.TOO_LONG)
        elif chunk.last:
            self._complete(reader.content())
        else:
            reply = self.profile.words[Case.CONTENT]
            self._write(Reply.of(250, f"{chunk.size} octets received", enhanced=reply.enhanced))
        return True

    def _complete(self, message: bytes) -> None:
        assert self._transaction
        transaction = self._transaction
        self._event = Content(transaction.mail, tuple(transaction.recipients), message)

    # Commands.

    def _execute(self, line: str) -> None:
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        command = self._commands.get(verb)
        if command is None:
            # A browser or proxy made to talk to us must get no word in.
            if verb in _FOREIGN:
                self._end(Case.FOREIGN)
            else:
                self._refuse(Case.UNKNOWN)
            return
        obstacle = self._obstacle(command, argument)
        if verb == "BDAT":
            self._bdat(argument, obstacle)
        elif obstacle:
            self._refuse(obstacle)
        else:
            command.run(self, argument)

    def _obstacle(self, command: _Command, argument: str) -> Case | None:
        profile = self.profile
        if command.guarded and profile.demand_tls and not self.tls_active:
            return Case.TLS_REQUIRED
        if command.of_mail and profile.demand_auth and not self.username:
            return Case.AUTH_REQUIRED
        if command.guarded and not self.hello:
            return Case.SEQUENCE
        if command.bare and argument.strip():
            return Case.SYNTAX
        return None

    def _hello(self, argument: str, *, extended: bool) -> None:
        hello = read_hello(argument, extended=extended)
        if hello:
            self._transaction = None
            self._event = hello
        else:
            self._refuse(Case.SYNTAX)

    def _starttls(self, _argument: str) -> None:
        if not self.profile.starttls:
            self._refuse(Case.NOT_HERE)
        elif self.tls_active:
            self._refuse(Case.SEQUENCE)
        else:
            self._event = StartTls()

    def _auth(self, argument: str) -> None:
        words = argument.split()
        if not self.profile.auth:
            self._refuse(Case.NOT_HERE)
        elif not self.tls_active:
            self._refuse(Case.TLS_REQUIRED)
        elif self.username or self._transaction:
            self._refuse(Case.SEQUENCE)
        elif not 1 <= len(words) <= 2:
            self._refuse(Case.SYNTAX)
        elif words[0].upper() not in MECHANISMS:
            self._refuse(Case.MECHANISM)
        else:
            initial = words[1].encode("utf-8", "surrogateescape") if words[1:] else None
            self._read_response(SaslServer(words[0]), initial)

    def _read_response(self, exchange: SaslServer, line: bytes | None) -> None:
        self._sasl = None
        try:
            result = exchange.step(None if line is None else decode_response(line))
        except SaslError:
            self._refuse(Case.BAD_RESPONSE)
            return
        if isinstance(result, Credentials):
            self._event = Auth(result)
        else:
            self._sasl = exchange
            self._write(Reply.of(334, encode_challenge(result)))

    def _mail(self, argument: str) -> None:
        if self._transaction:
            self._refuse(Case.SEQUENCE)
            return
        result = read_mail(argument, self.profile)
        if isinstance(result, Refusal):
            self._turn_down(result)
        else:
            self._event = result

    def _rcpt(self, argument: str) -> None:
        transaction = self._transaction
        if not transaction or transaction.chunks:
            self._refuse(Case.SEQUENCE)
            return
        result = read_rcpt(argument, self.profile, utf8=transaction.mail.parameters.smtputf8)
        if len(transaction.recipients) >= self.profile.limits.recipients:
            result = Refusal(Case.TOO_MANY_RECIPIENTS, error=False)
        if isinstance(result, Refusal):
            transaction.refused_some = True
            self._turn_down(result)
        else:
            self._event = result

    def _turn_down(self, refusal: Refusal) -> None:
        if refusal.error:
            self._refuse(refusal.case, refusal.path)
        else:
            self._say(refusal.case)

    def _content_obstacle(self) -> Case | None:
        transaction = self._transaction
        if not transaction or not (transaction.recipients or transaction.refused_some):
            return Case.SEQUENCE
        return None if transaction.recipients else Case.NO_RECIPIENTS

    def _data_command(self, _argument: str) -> None:
        obstacle = self._content_obstacle()
        if self._transaction and self._transaction.chunks:
            obstacle = Case.SEQUENCE
        if obstacle:
            self._refuse(obstacle)
            return
        self._data = DataReader(self.profile.limits.message_size)
        self._say(Case.START)

    def _bdat(self, argument: str, obstacle: Case | None) -> None:
        chunk = read_chunk(argument)
        if chunk is None:
            # How much follows is not known, and none of it may run as a command.
            self._end(Case.SYNTAX)
            return
        size, last = chunk
        refusal = obstacle or self._content_obstacle()
        if refusal or not self._transaction:
            # RFC 3030 section 2: the octets come all the same.
            reader = ChunkReader(0)
        else:
            reader = self._transaction.chunks or ChunkReader(self.profile.limits.message_size)
            self._transaction.chunks = reader
        reader.begin(size)
        self._chunk = _Chunk(reader, size, last, refusal)

    def _rset(self, _argument: str) -> None:
        self._transaction = None
        self._say(Case.OK)

    def _quit(self, _argument: str) -> None:
        self._end(Case.BYE)

    _commands: ClassVar[dict[str, _Command]] = {
        "EHLO": _Command(lambda self, name: self._hello(name, extended=True)),
        "HELO": _Command(lambda self, name: self._hello(name, extended=False)),
        "STARTTLS": _Command(_starttls, bare=True),
        "AUTH": _Command(_auth, guarded=True),
        "MAIL": _Command(_mail, guarded=True, of_mail=True),
        "RCPT": _Command(_rcpt, guarded=True, of_mail=True),
        "DATA": _Command(_data_command, guarded=True, of_mail=True, bare=True),
        "BDAT": _Command(_rset, guarded=True, of_mail=True),
        "RSET": _Command(_rset, bare=True),
        "NOOP": _Command(lambda self, _: self._say(Case.OK)),
        "HELP": _Command(lambda self, _: self._say(Case.HELP)),
        "VRFY": _Command(lambda self, _: self._say(Case.VERIFY), guarded=True),
        "EXPN": _Command(lambda self, _: self._refuse(Case.NOT_HERE), guarded=True),
        "QUIT": _Command(_quit),
    }


_FOREIGN = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT"})
_ACCEPTANCE = {
    StartTls: Case.TLS,
    Auth: Case.AUTHENTICATED,
    Mail: Case.SENDER,
    Rcpt: Case.RECIPIENT,
    Content: Case.CONTENT,
}
