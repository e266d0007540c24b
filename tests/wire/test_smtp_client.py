"""The sending session: against scripted hosts, and against our own receiving session."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.addresses import Address
from mailstead.wire.smtp import Need, Reply, ReplyReader, SmtpError, is_clean
from mailstead.wire.smtp_client import ClientSession, Envelope, Stage, TlsUse, Transaction
from mailstead.wire.smtp_commands import Content, Mail, Rcpt
from mailstead.wire.smtp_profile import Limits, mx_profile
from mailstead.wire.smtp_server import SmtpServer

GREETING = b"220 host ESMTP\r\n"
EHLO = b"250-host\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1000\r\n"
OK = b"250 2.0.0 ok\r\n"
START = b"354 go\r\n"
SENDER = Address("a", "b.c")


def to(*names: str, message: bytes = b"x\r\n", sender: Address | None = SENDER) -> Envelope:
    return Envelope(sender, tuple(Address(name, "x.y") for name in names), message)


@dataclass
class Host:
    """Says its lines one reply at a time, and keeps what it was sent before each."""

    session: ClientSession
    heard: list[bytes] = field(default_factory=list[bytes])
    events: list[Transaction | Need] = field(default_factory=list[Transaction | Need])

    def say(self, *replies: bytes) -> Transaction | Need:
        event = self.turn()
        for reply in replies:
            self.session.receive_data(reply)
            event = self.turn()
        return event

    def turn(self) -> Transaction | Need:
        event = self.session.next_event()
        if sent := self.session.data_to_send():
            self.heard.append(sent)
        return event


def host(envelope: Envelope, tls: TlsUse = TlsUse.IF_OFFERED) -> Host:
    session = ClientSession("me.test", tls=tls)
    session.start(envelope)
    return Host(session)


def done(event: Transaction | Need) -> Transaction:
    assert isinstance(event, Transaction)
    return event


def seen(event: Transaction | Need) -> list[tuple[int, str, bool]]:
    return [(o.reply.code, str(o.stage), o.remote) for o in done(event).outcomes]


def test_pipelined_in_one_write() -> None:
    peer = host(to("d", "e"))
    event = peer.say(GREETING, EHLO, OK, OK, OK, START, b"250 2.0.0 queued\r\n")
    assert peer.heard == [
        b"EHLO me.test\r\n",
        b"MAIL FROM:<a@b.c> SIZE=3\r\nRCPT TO:<d@x.y>\r\nRCPT TO:<e@x.y>\r\nDATA\r\n",
        b"x\r\n.\r\n",
    ]
    result = done(event)
    assert seen(event) == [(250, "dot", True), (250, "dot", True)]
    assert result.outcomes[0].reply == Reply.of(250, "queued", enhanced="2.0.0")
    assert result.replies[1] == EHLO.decode().replace("\r\n", "\n")[:-1]
    assert [line[:3] for line in result.replies] == [
        "220", "250", "250", "250", "250", "354", "250",
    ]  # fmt: skip
    assert result.reusable
    assert peer.turn() is Need.REPLY


def test_one_by_one_where_pipelining_is_not_offered() -> None:
    peer = host(to("d", sender=None))
    peer.say(GREETING, b"250 host\r\n", OK, OK, START, OK)
    assert peer.heard[1:] == [
        b"MAIL FROM:<>\r\n", b"RCPT TO:<d@x.y>\r\n", b"DATA\r\n", b"x\r\n.\r\n",
    ]  # fmt: skip


def test_helo_where_ehlo_is_unknown() -> None:
    peer = host(to("d"))
    peer.say(GREETING, b"502 what\r\n", b"250 host\r\n")
    assert peer.heard == [b"EHLO me.test\r\n", b"HELO me.test\r\n", b"MAIL FROM:<a@b.c>\r\n"]


REFUSED = b"550 5.1.1 no\r\n"
LATER = b"452 4.5.3 later\r\n"
GONE = b"421 4.3.2 closing\r\n"


@pytest.mark.parametrize(
    ("replies", "expected", "reusable"),
    [
        ([b"554 no\r\n"], [(554, "connect", True)] * 3, False),
        ([b"354 no\r\n"], [(451, "connect", False)] * 3, False),
        ([b"nonsense\r\n"], [(451, "connect", False)] * 3, False),
        ([GREETING, LATER], [(452, "helo", True)] * 3, False),
        ([GREETING, REFUSED, REFUSED], [(550, "helo", True)] * 3, False),
        ([GREETING, GONE], [(421, "helo", True)] * 3, False),
        ([GREETING, EHLO, *[REFUSED] * 5], [(550, "mail", True)] * 3, True),
        ([GREETING, EHLO, START], [(451, "mail", False)] * 3, False),
        ([GREETING, EHLO, OK, OK, GONE], [(421, "rcpt", True)] * 3, False),
        (
            [GREETING, EHLO, OK, OK, REFUSED, LATER, START, OK],
            [(250, "dot", True), (550, "rcpt", True), (452, "rcpt", True)],
            True,
        ),
        (
            [GREETING, EHLO, OK, OK, REFUSED, OK, REFUSED],
            [(550, "data", True), (550, "rcpt", True), (550, "data", True)],
            True,
        ),
        ([GREETING, EHLO, OK, OK, OK, OK, OK], [(451, "data", False)] * 3, False),
        ([GREETING, EHLO, OK, OK, OK, OK, START, LATER], [(452, "dot", True)] * 3, True),
        ([GREETING, EHLO, OK, OK, OK, OK, START, START], [(451, "dot", False)] * 3, False),
        ([GREETING, EHLO, OK, REFUSED, REFUSED, REFUSED, REFUSED], [(550, "rcpt", True)] * 3, True),
    ],
)  # fmt: skip
def test_outcome_of_each_stage(
    replies: list[bytes], expected: list[tuple[int, str, bool]], reusable: bool
) -> None:
    peer = host(to("d", "e", "f"))
    event = peer.say(*replies)
    assert seen(event) == expected
    assert done(event).reusable == reusable
    assert peer.turn() is (Need.REPLY if reusable else Need.CLOSE)


@pytest.mark.parametrize("said", range(8))
def test_lost_at_any_stage_is_retried(said: int) -> None:
    stages = ["connect", "helo", "mail", "rcpt", "rcpt", "data", "dot", "dot"]
    replies = [GREETING, EHLO, OK, OK, REFUSED, START, b"250"]
    peer = host(to("d", "e"))
    peer.say(*replies[:said])
    peer.session.receive_eof()
    outcomes = seen(peer.turn())
    assert outcomes[0] == (421, stages[said], False)
    assert outcomes[1] == ((550, "rcpt", True) if said > 4 else outcomes[0])
    assert peer.turn() is Need.CLOSE
    peer.session.start(to("d"))
    assert seen(peer.turn()) == [outcomes[0]]


def test_content_asked_for_without_a_recipient_is_a_lone_dot() -> None:
    for mail in (OK, REFUSED):
        peer = host(to("d"))
        event = peer.say(GREETING, EHLO, mail, REFUSED, START, b"554 nobody\r\n")
        assert peer.heard[-1] == b".\r\n"
        assert seen(event) == [(550, "rcpt" if mail is OK else "mail", True)]
    peer = host(to("d"))
    assert seen(peer.say(GREETING, EHLO, REFUSED, OK, START, OK)) == [(550, "mail", True)]
    assert peer.heard[-1] == b".\r\n"


def test_no_data_without_a_recipient_one_by_one() -> None:
    for replies in ([OK, REFUSED], [REFUSED]):
        peer = host(to("d"))
        peer.say(GREETING, b"250 host\r\n", *replies)
        assert not any(b"DATA" in sent for sent in peer.heard)
        assert peer.turn() is Need.REPLY


def test_several_messages_and_quit() -> None:
    peer = host(to("d"))
    peer.say(GREETING, EHLO, OK, OK, START, OK)
    peer.session.start(to("e", message=b".\r\n"))
    with pytest.raises(RuntimeError):
        peer.session.start(to("f"))
    event = peer.say(OK, REFUSED, REFUSED)
    assert peer.heard[-1].startswith(b"MAIL FROM:<a@b.c> SIZE=3\r\nRCPT TO:<e@x.y>\r\n")
    assert done(event).replies == ("250 2.0.0 ok", "550 5.1.1 no", "550 5.1.1 no")
    peer.session.start(to("f"))
    event = peer.say(OK, OK, OK, START, OK)
    assert peer.heard[-2].startswith(b"RSET\r\nMAIL FROM:<a@b.c> SIZE=3\r\nRCPT TO:<f@x.y>\r\n")
    assert seen(event) == [(250, "dot", True)]
    peer.session.quit()
    assert peer.turn() is Need.DATA
    assert peer.heard[-1] == b"QUIT\r\n"
    assert peer.say(b"221 bye\r\n") is Need.CLOSE
    peer.session.start(to("g"))
    assert seen(peer.turn()) == [(421, "connect", False)]


@pytest.mark.parametrize(
    ("said", "expected"), [(GONE, (421, "mail", True)), (OK, (451, "mail", False))]
)
def test_an_idle_host_that_speaks_is_left(said: bytes, expected: tuple[int, str, bool]) -> None:
    peer = host(to("d"))
    peer.say(GREETING, EHLO, OK, OK, START, OK)
    assert peer.say(said) is Need.CLOSE
    peer.session.start(to("e"))
    assert seen(peer.turn()) == [expected]


def test_an_idle_host_that_hangs_up() -> None:
    peer = Host(ClientSession("me"))
    assert peer.say(GREETING, EHLO) is Need.REPLY
    peer.session.receive_eof()
    assert peer.turn() is Need.CLOSE


# What the host offers.


@pytest.mark.parametrize(
    ("offer", "envelope", "expected"),
    [
        ("SIZE 2", to("d"), (552, "5.3.4")),
        ("X", to("d", message=b"\xc3\xbc\r\n"), (554, "5.6.3")),
        ("8BITMIME", to("ü"), (553, "5.6.7")),
        ("8BITMIME", to("d", sender=Address("ü", "b.c")), (553, "5.6.7")),
        ("8BITMIME", to("d", sender=Address("a", "ü..c")), (553, "5.6.7")),
        ("8BITMIME", Envelope(None, (SENDER,), b"", smtputf8=True), (553, "5.6.7")),
    ],
)
def test_what_the_host_cannot_take_is_not_sent(
    offer: str, envelope: Envelope, expected: tuple[int, str]
) -> None:
    peer = host(envelope)
    event = peer.say(GREETING, f"250-host\r\n250 {offer}\r\n".encode())
    (outcome,) = done(event).outcomes
    assert (outcome.reply.code, outcome.reply.enhanced) == expected
    assert not outcome.remote
    assert len(peer.heard) == 1
    assert done(event).reusable


@pytest.mark.parametrize(
    ("envelope", "mail", "rcpt"),
    [
        (to("d"), b"SIZE=3", b"d@x.y"),
        (to("d", message=b"\xc3\xbc\r\n"), b"SIZE=4 BODY=8BITMIME", b"d@x.y"),
        (to("ü"), b"SIZE=3 SMTPUTF8", b"\xc3\xbc@x.y"),
        (Envelope(SENDER, (Address("a b", "ü.c"),), b""), b"SIZE=0", b'"a b"@xn--tda.c'),
        (Envelope(SENDER, (SENDER,), b"", smtputf8=True), b"SIZE=0 SMTPUTF8", b"a@b.c"),
    ],
)
def test_parameters(envelope: Envelope, mail: bytes, rcpt: bytes) -> None:
    peer = host(envelope)
    peer.say(GREETING, EHLO)
    assert peer.heard[1] == (
        b"MAIL FROM:<a@b.c> " + mail + b"\r\nRCPT TO:<" + rcpt + b">\r\nDATA\r\n"
    )


def test_one_recipient_that_needs_utf8_does_not_stop_the_others() -> None:
    peer = host(to("ü", "d"))
    event = peer.say(GREETING, b"250 host\r\n", OK, OK, START, OK)
    assert seen(event) == [(553, "rcpt", False), (250, "dot", True)]


def test_no_recipients_no_transaction() -> None:
    peer = host(to())
    assert done(peer.say(GREETING, EHLO)).outcomes == ()


@pytest.mark.parametrize("message", [b"a\nb", b"a\rb", b"\0"])
def test_dirty_messages_are_refused(message: bytes) -> None:
    with pytest.raises(SmtpError):
        host(to("d", message=message))


@pytest.mark.parametrize(
    "address",
    [Address("a\r\nRSET", "b"), Address("a", "b>\r\n"), Address("a", "b> X"), Address("a\0", "b")],
)
def test_no_address_ends_its_command(address: Address) -> None:
    with pytest.raises(SmtpError):
        host(Envelope(address, (SENDER,), b""))
    with pytest.raises(SmtpError):
        host(Envelope(None, (address,), b""))


# TLS.

TLS_EHLO = b"250-host\r\n250 STARTTLS\r\n"


def test_starttls_forgets_what_was_said_in_clear() -> None:
    peer = host(to("d"))
    event = peer.say(GREETING, TLS_EHLO, b"220 go\r\n250-evil\r\n250 8BITMIME\r\n", b"250 evil\r\n")
    assert event is Need.TLS
    assert peer.heard[-1] == b"STARTTLS\r\n"
    assert peer.session.extensions == {}
    peer.session.tls_started()
    assert peer.turn() is Need.DATA
    assert peer.heard[-1] == b"EHLO me.test\r\n"
    assert peer.session.tls_active
    peer.say(b"250-host\r\n250 SIZE\r\n")
    assert peer.heard[-1] == b"MAIL FROM:<a@b.c> SIZE=3\r\n"


def test_handshake_failed() -> None:
    peer = host(to("d"))
    peer.say(GREETING, TLS_EHLO, b"220 go\r\n")
    peer.session.receive_eof()
    assert seen(peer.turn()) == [(421, "tls", False)]


@pytest.mark.parametrize(
    ("use", "replies", "goes_on"),
    [
        (TlsUse.NEVER, [TLS_EHLO], True),
        (TlsUse.IF_OFFERED, [EHLO], True),
        (TlsUse.IF_OFFERED, [TLS_EHLO, REFUSED], True),
        (TlsUse.ALWAYS, [EHLO], False),
        (TlsUse.ALWAYS, [TLS_EHLO, REFUSED], False),
    ],
)
def test_tls_policy(use: TlsUse, replies: list[bytes], goes_on: bool) -> None:
    peer = host(to("d"), use)
    event = peer.say(GREETING, *replies)
    if goes_on:
        assert event is Need.DATA
        assert peer.heard[-1].startswith(b"MAIL")
    else:
        assert seen(event) == [(451, "tls", False)]


def test_tls_from_the_first_byte_is_not_started_again() -> None:
    session = ClientSession("me", tls=TlsUse.ALWAYS, tls_active=True)
    session.start(to("d"))
    peer = Host(session)
    peer.say(GREETING, TLS_EHLO)
    assert peer.heard[-1].startswith(b"MAIL")


# Replies from octets.


def test_replies_are_bounded() -> None:
    for flood in (b"x" * 5000, b"250-" + b"x" * 5000 + b"\r\n", b"250-x\r\n" * 200):
        reader = ReplyReader()
        reader.feed(flood)
        with pytest.raises(SmtpError):
            reader.next_reply()


@given(st.lists(st.sampled_from([b"250-a\r\n", b"250 b\n", b"550 c\r\n", b"2", b"\xff\r\n"])))
def test_replies_in_any_chunking(lines: list[bytes]) -> None:
    data = b"".join(lines)

    def read(chunks: list[bytes]) -> list[object]:
        reader, found = ReplyReader(), list[object]()
        try:
            for chunk in chunks:
                reader.feed(chunk)
                while reply := reader.next_reply():
                    found.append(reply)
        except SmtpError:
            found.append("error")
        return found

    assert read([data]) == read([bytes([byte]) for byte in data])


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([GREETING, EHLO, OK, START, REFUSED, GONE]) | st.binary(max_size=9))
)
def test_any_host_gets_every_recipient_an_outcome(said: list[bytes]) -> None:
    peer = host(to("d", "e"))
    event = peer.say(*said)
    if not isinstance(event, Transaction):
        peer.session.receive_eof()
        event = peer.turn()
        while event is Need.TLS:
            event = peer.turn()
    if isinstance(event, Transaction):
        assert all(o.reply.code >= 400 or o.stage is Stage.DOT for o in event.outcomes)


# Our own receiving session on the other side.


def converse(
    client: ClientSession, server: SmtpServer, cut: int
) -> tuple[Transaction, list[Content]]:
    """Client and server engines back to back, bytes in pieces of `cut`."""
    kept: list[Content] = []
    server.greet()
    while True:
        event = client.next_event()
        if isinstance(event, Transaction):
            return event, kept
        if event is Need.TLS:
            client.tls_started()
            server.tls_started()
            continue
        sent = client.data_to_send()
        for place in range(0, max(len(sent), 1), cut):
            server.receive_data(sent[place : place + cut])
            while not isinstance(asked := server.next_event(), Need):
                if isinstance(asked, Content):
                    kept.append(asked)
                server.accept()
            client.receive_data(server.data_to_send())


bodies = st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\r\n.", b".\r\n", b"x", b"\xff"])).map(
    b"".join
)


@settings(max_examples=60)
@given(bodies, st.sampled_from([1, 3, 10**6]))
def test_bytes_pass_both_engines_unchanged(message: bytes, cut: int) -> None:
    assert is_clean(message)
    client = ClientSession("me.test")
    client.start(to("d", "ü", message=message))
    result, kept = converse(client, SmtpServer(mx_profile("mx.test")), cut)
    assert seen(result) == [(250, "dot", True)] * 2
    (content,) = kept
    complete = message if message.endswith(b"\r\n") or not message else message + b"\r\n"
    assert content.message == complete
    assert isinstance(content.mail, Mail)
    assert content.mail.address == SENDER
    assert [rcpt.address.local for rcpt in content.recipients if isinstance(rcpt, Rcpt)] == [
        "d",
        "ü",
    ]
    assert client.tls_active


def test_our_own_limits_are_understood() -> None:
    client = ClientSession("me.test", tls=TlsUse.NEVER)
    client.start(to("d", message=b"x" * 20))
    profile = mx_profile("mx", starttls=False, limits=Limits(message_size=10))
    result, _ = converse(client, SmtpServer(profile), 10**6)
    assert seen(result) == [(552, "mail", False)]
    client = ClientSession("me.test")
    client.start(to(*"abc"))
    result, _ = converse(client, SmtpServer(mx_profile("mx", limits=Limits(recipients=2))), 1)
    assert seen(result) == [(250, "dot", True), (250, "dot", True), (452, "rcpt", True)]
