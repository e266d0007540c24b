"""What both ends of SMTP share: replies, parameters, paths in commands, dot-stuffing.

RFC 5321 for the forms, RFC 3463 and 2034 for enhanced status codes, RFC 1870,
6152, 6531, 4954 and 3461 for the parameters. Sessions are in
`mailstead.wire.smtp_server` and `mailstead.wire.smtp_client`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_SIZE_DIGITS = 20
"""RFC 1870 section 3: a size has 20 digits at most."""

_STATUS = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_REPLY_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])([^\r\0]*))?")


class SmtpError(ValueError):
    """Bytes or values that SMTP cannot carry, or that are no SMTP."""


class Need(Enum):
    """What a session waits for before it can go on."""

    DATA = "data"
    """Bytes of the peer: flush, read, `receive_data`."""
    REPLY = "reply"
    """The caller's decision."""
    TLS = "tls"
    """Flush, a TLS handshake, then `tls_started`."""
    CLOSE = "close"
    """Flush and close: nothing more is read."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply: `code`, enhanced status such as ``5.1.1`` or None, and its lines of text."""

    code: int
    enhanced: str | None
    lines: tuple[str, ...]

    @classmethod
    def of(cls, code: int, *lines: str, enhanced: str | None = None) -> Reply:
        """A reply, its text last."""
        return cls(code, enhanced, lines or ("",))

    def __str__(self) -> str:
        """As on the wire, lines joined by LF, without the last line end."""
        last = len(self.lines) - 1
        return "\n".join(
            self._line(" " if number == last else "-", line)
            for number, line in enumerate(self.lines)
        )

    def _line(self, separator: str, line: str) -> str:
        text = " ".join(part for part in (self.enhanced, line) if part)
        # An empty challenge keeps its blank: "334" SP [base64] (RFC 4954 section 8).
        if text or separator == "-" or self.code == 334:
            return f"{self.code}{separator}{text}"
        return f"{self.code}"

    @property
    def text(self) -> str:
        """The lines joined by blanks, without codes."""
        return " ".join(self.lines)

    @property
    def status(self) -> str | None:
        """The enhanced status, also where only the first line carries it."""
        if self.enhanced:
            return self.enhanced
        found = _STATUS.match(self.lines[0])
        return found[1] if found and found[1][0] == str(self.code)[0] else None

    @property
    def accepted(self) -> bool:
        """Whether it is a positive completion (RFC 5321 section 4.2.1)."""
        return 200 <= self.code < 300

    def plain(self) -> Reply:
        """The same without the enhanced status."""
        return Reply(self.code, None, self.lines) if self.enhanced else self

    def encode(self) -> bytes:
        """The bytes of the reply.

        Controls, and what is not ASCII, are written as escapes: no text forges a
        line, and the client may not have agreed to UTF-8 (RFC 6531 section 3.7.4.2).
        """
        if len(self.lines) == 1 and self.lines[0].isprintable():
            return str(self).encode("ascii", "backslashreplace") + b"\r\n"
        lines = tuple(_CONTROL.sub(lambda c: f"\\x{ord(c[0]):02x}", line) for line in self.lines)
        text = str(Reply(self.code, self.enhanced, lines)).replace("\n", "\r\n")
        return text.encode("ascii", "backslashreplace") + b"\r\n"


class ReplyReader:
    """Puts replies together from octets, within bounds."""

    def __init__(self, *, max_line: int = 4096, max_lines: int = 128) -> None:
        """A line may have `max_line` octets (RFC 5321 section 4.5.3.1.5 asks for 512)."""
        self._max_line = max_line
        self._max_lines = max_lines
        self._input = bytearray()
        self._scanned = 0
        self._lines: list[str] = []

    def feed(self, data: bytes) -> None:
        """Octets of the host."""
        self._input += data

    def clear(self) -> None:
        """Forget what was not read yet."""
        self._input.clear()
        self._scanned = 0
        self._lines.clear()

    def next_reply(self) -> tuple[Reply, str] | None:
        """The next whole reply, and how it was written, lines joined by LF; or None.

        Raises `SmtpError` for what is no reply, or too much of one.
        """
        while (end := self._input.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._input[:end]).removesuffix(b"\r")
            del self._input[: end + 1]
            self._scanned = 0
            code, more, _ = parse_reply_line(line)
            self._lines.append(line.decode("utf-8", "backslashreplace"))
            if len(line) > self._max_line or len(self._lines) > self._max_lines:
                raise SmtpError("a reply that is too long")
            if not more:
                written, self._lines = self._lines, []
                return make_reply(code, [text[4:] for text in written]), "\n".join(written)
        self._scanned = len(self._input)
        if self._scanned > self._max_line:
            raise SmtpError("a reply that is too long")
        return None


def parse_reply_line(line: bytes) -> tuple[int, bool, str]:
    """Code, whether another line follows, and text of one reply line without its end.

    Raises `SmtpError`.
    """
    found = _REPLY_LINE.fullmatch(line)
    if not found:
        raise SmtpError(f"not a reply: {line[:80]!r}")
    text = (found[3] or b"").decode("utf-8", "backslashreplace")
    return int(found[1]), found[2] == b"-", text


def make_reply(code: int, lines: Sequence[str]) -> Reply:
    """A reply received. The enhanced status is taken out where every line has it."""
    found = _STATUS.match(lines[0])
    if not found or found[1][0] != str(code)[0]:
        return Reply(code, None, tuple(lines))
    status = found[1]
    if not all(line == status or line.startswith(f"{status} ") for line in lines):
        return Reply(code, None, tuple(lines))
    return Reply(code, status, tuple(line[len(status) + 1 :] for line in lines))


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of MAIL and RCPT that we know.

    `size` in octets, or None. `body` is ``7BIT``, ``8BITMIME`` or None. `auth`,
    `envid` and `orcpt` are decoded from xtext (RFC 3461 section 4).
    """

    size: int | None = None
    body: str | None = None
    smtputf8: bool = False
    auth: str | None = None
    ret: str | None = None
    envid: str | None = None
    notify: tuple[str, ...] = ()
    orcpt: str | None = None


_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([!-<>-~\xa1-\U0010ffff]+))?")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*")
_FORMS = {
    "SIZE": re.compile(rf"[0-9]{{1,{MAX_SIZE_DIGITS}}}"),
    "BODY": re.compile(r"7BIT|8BITMIME", re.IGNORECASE),
    "AUTH": _XTEXT,
    "RET": re.compile(r"FULL|HDRS", re.IGNORECASE),
    "ENVID": _XTEXT,
    "NOTIFY": re.compile(
        r"NEVER|(?:SUCCESS|FAILURE|DELAY)(?:,(?:SUCCESS|FAILURE|DELAY)){0,2}", re.IGNORECASE
    ),
    "ORCPT": re.compile(r"[A-Za-z0-9-]+;.+"),
}


class UnknownParameter(SmtpError):
    """A parameter that was not offered (555, RFC 5321 section 4.1.1.11)."""


def parse_parameters(text: str, allowed: frozenset[str]) -> Parameters:
    """The parameters after a path; `allowed` are the keywords offered, in capitals.

    Raises `UnknownParameter`, or `SmtpError` for a bad or doubled one.
    """
    found: dict[str, str | None] = {}
    for word in text.split():
        match = _PARAMETER.fullmatch(word)
        if not match:
            raise SmtpError("a parameter that cannot be read")
        keyword, value = match[1].upper(), match[2]
        if keyword not in allowed:
            raise UnknownParameter(f"{keyword} is not known here")
        form = _FORMS.get(keyword)
        if keyword in found or not (value is None if form is None else form.fullmatch(value or "")):
            raise SmtpError(f"bad value of {keyword}")
        found[keyword] = value
    return _as_parameters(found) if found else _NO_PARAMETERS


_NO_PARAMETERS = Parameters()


def _as_parameters(found: dict[str, str | None]) -> Parameters:
    def capitals(keyword: str) -> str | None:
        value = found.get(keyword)
        return value.upper() if value else None

    def opened(keyword: str) -> str | None:
        value = found.get(keyword)
        return None if value is None else decode_xtext(value)

    size, notify = found.get("SIZE"), capitals("NOTIFY")
    return Parameters(
        size=int(size) if size else None,
        body=capitals("BODY"),
        smtputf8="SMTPUTF8" in found,
        auth=opened("AUTH"),
        ret=capitals("RET"),
        envid=opened("ENVID"),
        notify=tuple(notify.split(",")) if notify else (),
        orcpt=opened("ORCPT"),
    )


def decode_xtext(text: str) -> str:
    """xtext opened (RFC 3461 section 4); what is no xtext stays."""
    return re.sub(r"\+([0-9A-F]{2})", lambda code: chr(int(code[1], 16)), text)


def encode_xtext(text: str) -> str:
    """ASCII text as xtext (RFC 3461 section 4)."""
    return re.sub(r"[^!-~]|[+=]", lambda char: f"+{ord(char[0]):02X}", text)


_PATH_ARGUMENT = re.compile(
    r"""[ ]*
    (?P<path><(?:"(?:[^"\\]++|\\.)*+"|[^">])*+>
      |(?:"(?:[^"\\]++|\\.)*+")?[^ <>"]*)
    (?:[ ]+(?P<parameters>.*))?""",
    re.VERBOSE | re.DOTALL,
)


def split_path(argument: str, keyword: str) -> tuple[str, str]:
    """Path without its brackets, and parameters, of ``FROM:<a@b> SIZE=1``.

    `keyword` is ``FROM`` or ``TO``. A blank after the colon and a path without
    brackets are taken, as SES takes them. Raises `SmtpError`.
    """
    head, colon, rest = argument.partition(":")
    if not colon or head.strip().upper() != keyword:
        raise SmtpError(f"{keyword}: is missing")
    found = _PATH_ARGUMENT.fullmatch(rest)
    if not found or not found["path"]:
        raise SmtpError("a path that cannot be read")
    return found["path"].removeprefix("<").removesuffix(">"), found["parameters"] or ""


def is_clean(text: bytes) -> bool:
    """Whether every CR and LF is part of a CRLF, and no NUL is there."""
    pairs = text.count(b"\r\n")
    return text.count(b"\r") == pairs == text.count(b"\n") and b"\0" not in text


def encode_data(message: bytes) -> bytes:
    """A message as DATA sends it: dots stuffed, the ending line included.

    Raises `SmtpError` for bare CR, bare LF or NUL, with which a message could
    end early for some receivers.
    """
    if not is_clean(message):
        raise SmtpError("a bare CR, bare LF or NUL in a message to send")
    # RFC 5321 section 4.5.2: one dot more where a line begins with one.
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if not stuffed or stuffed.endswith(b"\r\n") else b"\r\n.\r\n")
