"""Replies, parameters, paths in commands, dot-stuffing."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.smtp import (
    Parameters,
    Reply,
    SmtpError,
    UnknownParameter,
    decode_xtext,
    encode_data,
    encode_xtext,
    is_clean,
    make_reply,
    parse_parameters,
    parse_reply_line,
    split_path,
)

ALL = frozenset({"SIZE", "BODY", "SMTPUTF8", "AUTH", "RET", "ENVID", "NOTIFY", "ORCPT"})


def read(raw: bytes) -> Reply:
    parts = [parse_reply_line(line) for line in raw.split(b"\r\n")[:-1]]
    assert [more for _, more, _ in parts] == [True] * (len(parts) - 1) + [False]
    return make_reply(parts[-1][0], [text for _, _, text in parts])


def test_reply_on_the_wire() -> None:
    reply = Reply.of(550, "no such", "user", enhanced="5.1.1")
    assert reply.encode() == b"550-5.1.1 no such\r\n550 5.1.1 user\r\n"
    assert str(reply) == "550-5.1.1 no such\n550 5.1.1 user"
    assert reply.text == "no such user"
    assert reply.plain().encode() == b"550-no such\r\n550 user\r\n"
    assert not reply.accepted
    assert Reply.of(250).encode() == b"250\r\n"
    assert Reply.of(250).plain().accepted
    assert Reply.of(250, "", "").encode() == b"250-\r\n250\r\n"
    assert Reply.of(334).encode() == b"334 \r\n"
    assert Reply.of(553, "<\xfc>").encode() == b"553 <\\xfc>\r\n"


def test_reply_cannot_forge_a_line() -> None:
    assert Reply.of(250, "a\r\n550 b\0").encode() == b"250 a\\x0d\\x0a550 b\\x00\r\n"


def test_status_is_found_also_in_the_first_line_only() -> None:
    assert read(b"550-5.1.1 a\r\n550 b\r\n") == Reply(550, None, ("5.1.1 a", "b"))
    assert read(b"550-5.1.1 a\r\n550 b\r\n").status == "5.1.1"
    assert read(b"550 5.1.1\r\n") == Reply(550, "5.1.1", ("",))
    assert read(b"550 5.1.1 x\r\n").status == "5.1.1"
    assert read(b"250 5.1.1 x\r\n") == Reply(250, None, ("5.1.1 x",))
    assert read(b"250 5.1.1 x\r\n").status is None
    assert read(b"250\r\n").status is None


@pytest.mark.parametrize("line", [b"", b"25", b"650 x", b"250x", b"\xff\xff\xff"])
def test_not_a_reply(line: bytes) -> None:
    with pytest.raises(SmtpError):
        parse_reply_line(line)


texts = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(
    st.integers(200, 599),
    st.booleans(),
    st.lists(texts, min_size=1, max_size=4),
)
def test_reply_round_trip(code: int, enhanced: bool, lines: list[str]) -> None:
    status = f"{code // 100}.1.23" if enhanced and code // 100 in {2, 4, 5} else None
    reply = Reply(code, status, tuple(lines))
    back = read(reply.encode())
    assert str(back) == str(reply)
    assert status is None or back == reply


@given(st.binary(max_size=30))
def test_any_reply_line(line: bytes) -> None:
    with suppress(SmtpError):
        code, _, text = parse_reply_line(line)
        make_reply(code, [text])


def test_parameters() -> None:
    text = (
        "SIZE=123 body=8bitmime SMTPUTF8 AUTH=a+40b RET=hdrs ENVID=QQ+2B1"
        " NOTIFY=success,FAILURE ORCPT=rfc822;a+3Db@c"
    )
    assert parse_parameters(text, ALL) == Parameters(
        size=123,
        body="8BITMIME",
        smtputf8=True,
        auth="a@b",
        ret="HDRS",
        envid="QQ+1",
        notify=("SUCCESS", "FAILURE"),
        orcpt="rfc822;a=b@c",
    )
    assert parse_parameters(" ", ALL) == Parameters()
    assert parse_parameters("AUTH=<>", ALL).auth == "<>"


@pytest.mark.parametrize(
    "text",
    [
        "SIZE", "SIZE=", "SIZE=x", "SIZE=123456789012345678901", "SIZE=1 SIZE=1", "=1", "BODY=9BIT",
        "SMTPUTF8=1", "NOTIFY=NEVER,DELAY", "RET=some", "ORCPT=x", "AUTH=+zz", "\x01",
    ],
)  # fmt: skip
def test_parameters_refused(text: str) -> None:
    with pytest.raises(SmtpError):
        parse_parameters(text, ALL)


def test_parameter_that_was_not_offered() -> None:
    with pytest.raises(UnknownParameter):
        parse_parameters("RET=FULL", frozenset({"SIZE"}))


@given(st.text(st.characters(max_codepoint=126), max_size=20))
def test_xtext_round_trip(text: str) -> None:
    assert decode_xtext(encode_xtext(text)) == text


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("FROM:<a@b.c>", ("a@b.c", "")),
        ("from:<>", ("", "")),
        ("From: a@b.c", ("a@b.c", "")),
        ("FROM: <a@b.c>  SIZE=1 BODY=7BIT", ("a@b.c", "SIZE=1 BODY=7BIT")),
        ('FROM:<"a> b"@c.d> SIZE=1', ('"a> b"@c.d', "SIZE=1")),
        ('FROM:"a b"@c.d SIZE=1', ('"a b"@c.d', "SIZE=1")),
        ("FROM:postmaster", ("postmaster", "")),
        ("FROM:<a@b.c> ", ("a@b.c", "")),
        ("FROM:<a b>", ("a b", "")),
    ],
)
def test_path_argument(argument: str, expected: tuple[str, str]) -> None:
    assert split_path(argument, "FROM") == expected


@pytest.mark.parametrize(
    "argument", ["", "FROM", "FROM<a@b>", "TO:<a@b>", "FROM:", "FROM:<a@b", "FROM:<a@b>x", "FROM: "]
)
def test_path_argument_refused(argument: str) -> None:
    with pytest.raises(SmtpError):
        split_path(argument, "FROM")


def test_data_is_stuffed_and_ended() -> None:
    assert encode_data(b"") == b".\r\n"
    assert encode_data(b"a") == b"a\r\n.\r\n"
    assert encode_data(b".\r\n..\r\n.x\r\na.\r\n") == b"..\r\n...\r\n..x\r\na.\r\n.\r\n"


@pytest.mark.parametrize("text", [b"a\rb", b"a\nb", b"a\0", b"\r\n\n", b"\r\r\n", b"x\r"])
def test_dirty_data_is_not_sent(text: bytes) -> None:
    assert not is_clean(text)
    with pytest.raises(SmtpError):
        encode_data(text)
