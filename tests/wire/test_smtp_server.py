"""The receiving session: dialogues in any chunking, limits, smuggling, garbage."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.addresses import Address
from mailstead.wire.smtp import Need, Reply
from mailstead.wire.smtp_commands import Auth, Content, Event, Hello, Mail, Rcpt, StartTls
from mailstead.wire.smtp_profile import Limits, Profile, mx_profile, ses_profile
from mailstead.wire.smtp_server import SmtpServer

DIALOGUES = sorted((Path(__file__).parent.parent / "dialogues").glob("smtp_*.txt"))
SES_TAG = "-d-TAG"
PATIENT = Limits(errors=100)


@dataclass
class Driver:
    """Feeds a session, decides by simple rules, keeps what happened."""

    session: SmtpServer
    output: bytes = b""
    events: list[Event] = field(default_factory=list[Event])
    messages: list[bytes] = field(default_factory=list[bytes])
    need: Need = Need.DATA

    def feed(self, chunks: Iterable[bytes]) -> None:
        self.turn()
        for chunk in chunks:
            self.session.receive_data(chunk)
            self.turn()

    def turn(self) -> None:
        while not isinstance(event := self.session.next_event(), Need):
            self.events.append(event)
            assert self.session.next_event() is Need.REPLY
            self.decide(event)
        self.need = event
        self.output += self.session.data_to_send()

    def decide(self, event: Event) -> None:
        match event:
            case Auth(credentials) if credentials.password != "p":
                self.session.send(Reply.of(535, "Authentication Credentials Invalid"))
            case Rcpt(address=Address("unknown")):
                self.session.send(Reply.of(550, "No such user", enhanced="5.1.1"))
            case Mail(address=Address("refused")):
                self.session.send(Reply.of(550, "Not you", enhanced="5.7.1"))
            case Content():
                self.messages.append(event.message)
                self.session.accept(f"Ok {len(self.messages)}")
            case Hello() | StartTls() | Auth() | Mail() | Rcpt():
                self.session.accept()


def start(profile: Profile, *, tls: bool = False, tag: str = "") -> Driver:
    driver = Driver(SmtpServer(profile, tls=tls))
    driver.session.greet(tag)
    return driver


def mx(**limits: int) -> Driver:
    driver = start(mx_profile("mx.example.test", limits=Limits(**limits)))
    driver.feed([b"EHLO c\r\n"])
    driver.output = b""
    return driver


ENVELOPE = b"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n"


def codes(output: bytes) -> list[str]:
    lines = output.decode().split("\r\n")
    assert lines[-1] == ""
    return [line[:3] for line in lines[:-1] if line[3:4] != "-"]


# Dialogues.


@dataclass
class Dialogue:
    """Client octets and server octets up to each handshake."""

    profile: Profile
    tag: str
    client: list[bytes]
    server: list[bytes]
    closed: bool


def read_dialogue(file: Path) -> Dialogue:
    client, server, profile, tag, closed = [b""], [b""], mx_profile("mx.example.test"), "", False
    for line in file.read_text(encoding="utf-8").splitlines():
        kind, _, text = line.partition(": ") if ": " in line else line.partition(":")
        match kind:
            case "port":
                profile = {
                    "ses": ses_profile(limits=PATIENT),
                    "trusted": ses_profile(trusted=True),
                    "mx": profile,
                    "plain-mx": mx_profile("mx.example.test", starttls=False),
                }[text]
                tag = "" if "mx" in text else SES_TAG
            case "C":
                client[-1] += text.encode() + b"\r\n"
            case "R":
                client[-1] += text.encode().decode("unicode_escape").encode("latin-1")
            case "S":
                server[-1] += text.encode() + b"\r\n"
            case "T":
                client.append(b"")
                server.append(b"")
            case "X":
                closed = True
            case _:
                assert line.startswith("#")
    return Dialogue(profile, tag, client, server, closed)


def cut(data: bytes, sizes: Iterable[int]) -> list[bytes]:
    chunks: list[bytes] = []
    for size in sizes:
        chunks.append(data[:size])
        data = data[size:]
    return [*chunks, data]


def play(dialogue: Dialogue, sizes: list[int]) -> list[Event]:
    driver = start(dialogue.profile, tag=dialogue.tag)
    for number, (client, server) in enumerate(zip(dialogue.client, dialogue.server, strict=True)):
        if number:
            assert driver.need is Need.TLS
            driver.session.tls_started()
            driver.output = b""
        driver.feed(cut(client, sizes or [1] * len(client)))
        assert driver.output.decode() == server.decode()
    assert (driver.need is Need.CLOSE) == dialogue.closed
    return driver.events


@pytest.mark.parametrize("file", DIALOGUES, ids=lambda file: file.stem)
def test_dialogue_at_once_and_byte_by_byte(file: Path) -> None:
    dialogue = read_dialogue(file)
    assert play(dialogue, [10**6]) == play(dialogue, [])


@settings(max_examples=15)
@given(st.sampled_from(DIALOGUES), st.lists(st.integers(0, 200), min_size=1, max_size=30))
def test_dialogue_in_any_chunking(file: Path, sizes: list[int]) -> None:
    play(read_dialogue(file), sizes)


# Events.


def test_events_carry_what_policy_needs() -> None:
    driver = start(ses_profile(), tls=True)
    driver.feed(
        [b"EHLO client\r\nAUTH PLAIN egB1AHA=\r\nMAIL FROM:<a@B.c> SIZE=3 AUTH=<>\r\n"
         b"RCPT TO:<d@e.f>\r\nRCPT TO:<unknown@e.f>\r\nDATA\r\n..x\r\n.\r\n"]
    )  # fmt: skip
    hello, auth, mail, rcpt, refused, content = driver.events
    assert hello == Hello("client", extended=True) == driver.session.hello
    assert isinstance(auth, Auth)
    assert (auth.credentials.authorization, auth.credentials.username) == ("z", "u")
    assert driver.session.username == "u"
    assert isinstance(mail, Mail)
    assert mail.address == Address("a", "B.c")
    assert mail.parameters.size == 3
    assert isinstance(refused, Rcpt)
    assert isinstance(rcpt, Rcpt)
    assert content == Content(mail, (rcpt,), b".x\r\n")


def test_nothing_is_read_before_the_greeting_and_before_the_answer() -> None:
    session = SmtpServer(mx_profile("mx", early_talkers=True))
    session.receive_data(b"EHLO a\r\nEHLO b\r\n")
    assert session.next_event() is Need.REPLY
    session.greet()
    assert session.next_event() == Hello("a", extended=True)
    session.receive_data(b"NOOP\r\n" * 100)
    assert session.next_event() is Need.REPLY
    assert session.data_to_send() == b"220 mx ESMTP\r\n"
    session.accept()
    assert session.next_event() == Hello("b", extended=True)
    session.send(Reply.of(550, "No", enhanced="5.7.1"))
    assert session.hello == Hello("a", extended=True)
    assert session.next_event() is Need.DATA
    with pytest.raises(RuntimeError):
        session.accept()


def test_pipelined_replies_keep_their_order() -> None:
    driver = mx()
    driver.feed([ENVELOPE + b"RCPT TO:<unknown@e.f>\r\nDATA\r\nx\r\n.\r\nQUIT\r\n"])
    assert codes(driver.output) == ["250", "250", "550", "354", "250", "221"]
    assert driver.messages == [b"x\r\n"]


def test_early_talker_is_turned_away() -> None:
    driver = Driver(SmtpServer(mx_profile("mx")))
    driver.session.receive_data(b"EHLO a\r\n")
    driver.session.greet()
    driver.turn()
    assert driver.output == b"554 5.5.0 Data before the greeting\r\n"
    assert driver.need is Need.CLOSE


def test_starttls_drops_what_was_said_in_clear_and_resets() -> None:
    driver = mx()
    driver.feed([ENVELOPE, b"STARTTLS\r\nRSET\r\n", b"QUIT\r\n"])
    assert driver.need is Need.TLS
    driver.session.tls_started()
    driver.turn()
    assert codes(driver.output) == ["250", "250", "220"]
    driver.feed([b"DATA\r\n"])
    assert codes(driver.output)[3:] == ["503"]
    assert driver.session.hello is None
    assert driver.session.tls_active


def test_starttls_refused_goes_on_in_clear() -> None:
    session = SmtpServer(mx_profile("mx"))
    session.greet()
    session.receive_data(b"STARTTLS\r\nNOOP\r\n")
    assert session.next_event() == StartTls()
    session.send(Reply.of(454, "Not now", enhanced="4.7.0"))
    assert session.next_event() is Need.DATA
    assert codes(session.data_to_send()) == ["220", "454", "250"]


def test_time_out_and_shutdown() -> None:
    for profile, line in (
        (ses_profile(), b"451 4.4.2 Timeout waiting for data from client.\r\n"),
        (mx_profile("mx"), b"421 4.4.2 Timeout waiting for data from client.\r\n"),
    ):
        driver = start(profile)
        driver.session.data_to_send()
        driver.session.time_out()
        driver.feed([b"NOOP\r\n"])
        assert (driver.output, driver.need) == (line, Need.CLOSE)
    driver = mx()
    driver.session.close(Reply.of(421, "Shutting down", enhanced="4.3.2"))
    driver.feed([b"NOOP\r\n"])
    assert driver.output == b"421 4.3.2 Shutting down\r\n"


def test_421_ends_the_connection() -> None:
    session = SmtpServer(mx_profile("mx"))
    session.greet()
    session.receive_data(b"EHLO a\r\nNOOP\r\n")
    session.next_event()
    session.send(Reply.of(421, "Too busy", enhanced="4.3.2"))
    assert session.next_event() is Need.CLOSE
    assert codes(session.data_to_send()) == ["220", "421"]


# Limits.


def test_errors_are_limited() -> None:
    driver = mx(errors=3)
    driver.feed([b"X\r\n" * 10])
    assert codes(driver.output) == ["500", "500", "500", "421"]
    assert driver.need is Need.CLOSE


def test_refused_log_ins_are_errors_and_success_forgives() -> None:
    driver = start(ses_profile(limits=Limits(errors=1)), tls=True)
    driver.feed([b"EHLO c\r\nAUTH PLAIN AHUAeA==\r\nAUTH PLAIN AHUAeA==\r\nNOOP\r\n"])
    assert codes(driver.output) == ["220", "250", "535", "535", "421"]
    driver = mx(errors=1)
    for _ in range(3):
        driver.feed([b"X\r\n", ENVELOPE, b"BDAT 0 LAST\r\n"])
    assert "421" not in codes(driver.output)


def test_recipients_are_limited() -> None:
    driver = mx(recipients=2)
    driver.feed([ENVELOPE, b"RCPT TO:<d@e.f>\r\n" * 3, b"BDAT 0 LAST\r\n"])
    assert codes(driver.output) == ["250", "250", "250", "452", "452", "250"]
    assert b"452 4.5.3" in driver.output


def test_a_long_line_is_refused_at_the_limit() -> None:
    driver = mx()
    driver.feed(bytes([byte]) for byte in b"NOOP " + b"x" * 2041 + b"\r\n")
    assert codes(driver.output) == ["250"]
    session = driver.session
    fed = 0
    while session.next_event() is Need.DATA:
        session.receive_data(b"x")
        fed += 1
    assert fed == 2048
    session.receive_data(b"x" * 2**20)
    assert codes(session.data_to_send()) == ["500"]
    driver = mx()
    driver.feed([b"x" * 2047 + b"\r\n"])
    assert codes(driver.output) == ["500"]


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_size_is_counted_without_the_added_dots(chunk: int) -> None:
    for body, code in ((b"..\r\n..\r\n..\r\n", "250"), (b"..\r\n..\r\n..x\r\n", "552")):
        driver = mx(message_size=9)
        data = ENVELOPE + b"DATA\r\n" + body + b".\r\nNOOP\r\n"
        driver.feed(cut(data, [chunk] * (len(data) // chunk)))
        assert codes(driver.output) == ["250", "250", "354", code, "250"]


@pytest.mark.parametrize("chunk", [1, 3, 5, 10**6])
def test_too_long_is_read_to_its_end_and_forgotten(chunk: int) -> None:
    driver = mx(message_size=50)
    body = b".\r\nx\r\n" * 30
    stuffed = body.replace(b"\r\n.", b"\r\n..")
    data = ENVELOPE + b"DATA\r\n." + stuffed + b".\r\nRCPT TO:<d@e.f>\r\n"
    data += ENVELOPE + b"BDAT 40\r\n" + b"y" * 40 + b"BDAT 40\r\n" + b"y" * 40
    data += b"BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"
    driver.feed(cut(data, [chunk] * (len(data) // chunk)))
    assert codes(driver.output) == [
        "250", "250", "354", "552", "503", "250", "250", "250", "552", "503", "250",
    ]  # fmt: skip
    assert driver.messages == []


def test_a_long_line_of_content_takes_linear_time() -> None:
    driver = mx()
    driver.feed([ENVELOPE, b"DATA\r\n"])
    driver.feed(b"x" for _ in range(2**14))
    driver.feed([b"\r\n.\r\n"])
    assert driver.messages == [b"x" * 2**14 + b"\r\n"]


def test_endless_data_stays_small() -> None:
    driver = mx(message_size=1000)
    driver.feed([ENVELOPE + b"DATA\r\n"])
    for _ in range(100):
        driver.session.receive_data(b"x" * 10_000)
        driver.turn()
    reader = vars(driver.session)["_data"]
    assert len(vars(reader)["_text"]) < 10
    driver.feed([b"\n\r\n.\r\n"])
    assert codes(driver.output)[-1] == "550"


@pytest.mark.parametrize("line", [b"BDAT", b"BDAT x", b"BDAT -1", b"BDAT 1 2", b"BDAT 1 LAST x"])
def test_a_chunk_of_unknown_size_ends_the_connection(line: bytes) -> None:
    driver = mx()
    driver.feed([ENVELOPE, line, b"\r\nNOOP\r\n"])
    assert codes(driver.output) == ["250", "250", "501"]
    assert driver.need is Need.CLOSE


def test_a_chunk_may_end_between_cr_and_lf() -> None:
    driver = mx()
    driver.feed([ENVELOPE, b"BDAT 2\r\nx\rBDAT 1\r\n\nBDAT 1 LAST\r\n."])
    assert driver.messages == [b"x\r\n."]


@pytest.mark.parametrize("chunk", [b"x\rx", b"\n", b"\0", b"\r\n\n"])
def test_a_dirty_chunk_ends_the_connection_at_once(chunk: bytes) -> None:
    driver = mx()
    driver.feed([ENVELOPE, b"BDAT %d\r\n" % len(chunk), chunk, b"NOOP\r\n"])
    assert codes(driver.output) == ["250", "250", "550"]


# Smuggling.


def sequences(suites: Path) -> list[bytes]:
    file = suites / "smuggling" / "smuggling-sequences.json"
    if not file.is_file():
        pytest.skip(f"no smuggling sequences at {file}")
    return [text.encode() for text in json.loads(file.read_text())["smuggling_end_sequences"]]


PORTS = [(mx_profile("mx"), False), (ses_profile(trusted=True), False), (ses_profile(), True)]
SMUGGLED = b"MAIL FROM:<evil@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nevil\r\n.\r\nQUIT\r\n"


@pytest.mark.parametrize(("profile", "tls"), PORTS)
@pytest.mark.parametrize("bdat", [False, True])
def test_smuggling(suites: Path, profile: Profile, tls: bool, bdat: bool) -> None:
    hello = b"EHLO c\r\n" + (b"AUTH PLAIN AHUAcA==\r\n" if tls else b"")
    found = sequences(suites)
    assert len(found) == 12
    for sequence in found:
        body = b"Subject: x\r\n\r\nx" + sequence + SMUGGLED.removesuffix(b".\r\nQUIT\r\n")
        data_form = b"DATA\r\n" + body + b".\r\n"
        content = b"BDAT %d LAST\r\n" % len(body) + body if bdat else data_form
        data = hello + ENVELOPE + content + b"QUIT\r\n"
        first = len(data) - len(content) - 6
        for place in range(first, len(data)):
            driver = start(profile, tls=tls)
            driver.feed([data[:place], data[place:]])
            expected = ["220", "250", *(["235"] if tls else []), "250", "250"]
            assert codes(driver.output) == [*expected, *([] if bdat else ["354"]), "550"]
            assert (b"550 5.5.2" in driver.output) == profile.enhanced
            assert driver.messages == []
            assert driver.need is Need.CLOSE


@pytest.mark.parametrize(("profile", "tls"), PORTS)
@pytest.mark.parametrize("end", [b"\n", b"\r\r\n", b"\0\r\n", b" \rx\r\n"])
def test_no_command_ends_otherwise_than_by_crlf(profile: Profile, tls: bool, end: bytes) -> None:
    for line in (b"NOOP", b"", b"EHLO x"):
        driver = start(profile, tls=tls)
        driver.feed([line + end + b"NOOP\r\n"])
        assert codes(driver.output) == ["220", "550"]
        assert driver.need is Need.CLOSE


# Garbage.

WORDS = st.sampled_from(
    [b"EHLO x\r\n", ENVELOPE, b"DATA\r\n", b".\r\n", b"BDAT 3\r\n", b"BDAT 2 LAST\r\n", b"RSET\r\n",
     b"STARTTLS\r\n", b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n", b"MAIL FROM:", b"x", b"\r\n", b"<>"]
)  # fmt: skip


@settings(max_examples=100)
@given(st.sampled_from(PORTS), st.lists(WORDS | st.binary(max_size=8), max_size=20))
def test_garbage(port: tuple[Profile, bool], chunks: list[bytes]) -> None:
    profile, tls = port
    driver = start(profile, tls=tls)
    driver.feed(chunks)
    whole = start(profile, tls=tls)
    whole.feed([b"".join(chunks)])
    assert whole.output == driver.output
    assert whole.messages == driver.messages
