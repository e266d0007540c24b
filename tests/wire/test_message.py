"""The header index, splicing, line ends, decoding for people."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.message import (
    FIELD_LIMIT,
    HEADER_LIMIT,
    Headers,
    MessageError,
    decode_words,
    field_bytes,
    longest_line,
    normalise_line_ends,
    parse_headers,
    splice,
)

MAIL = (
    b"Received: from a\r\n\tby b; now\r\n"
    b"From: A <a@a.example>\r\n"
    b"received : second\r\n"
    b"Subject:\r\n =?utf-8?q?caf=C3=A9?=\r\n"
    b"\r\n"
    b"Body: not a field\r\n"
)


def joined(headers: Headers) -> bytes:
    raw = headers.raw
    return b"".join(raw[field.start : field.end] for field in headers)


def test_index_of_ranges():
    headers = parse_headers(MAIL)
    assert [field.name for field in headers] == [b"Received", b"From", b"received", b"Subject"]
    assert joined(headers) + b"\r\n" + headers.body == MAIL
    assert headers.body == b"Body: not a field\r\n"
    assert [MAIL[field.colon : field.colon + 1] for field in headers.fields] == [b":"] * 4
    assert headers.get("RECEIVED") == b"from a\tby b; now"
    assert headers.all(b"Received") == [b"from a\tby b; now", b"second"]
    assert headers.get("To") is None
    assert headers.text("to") is None
    assert headers.all("to") == []
    assert headers.text("subject") == "caf\xe9"
    assert "from" in headers
    assert b"to" not in headers
    assert len(headers) == 4


@pytest.mark.parametrize(
    ("raw", "names", "body"),
    [
        (b"", [], b""),
        (b"\r\n", [], b""),
        (b"\r\n\r\n", [], b"\r\n"),
        (b"A: 1", [b"A"], b""),
        (b"A: 1\r\n", [b"A"], b""),
        (b"A: 1\r\n b", [b"A"], b""),
        (b"A:\r\n\r\n", [b"A"], b""),
        (b" A: 1\r\n\r\n", [], b" A: 1\r\n\r\n"),
        (b"A: 1\r\nno field\r\nB: 2\r\n", [b"A"], b"no field\r\nB: 2\r\n"),
        (b"A: 1\r\n: no name\r\n", [b"A"], b": no name\r\n"),
        (b"A: bare\rCR and\nLF\r\nB: 2\r\n\r\nx", [b"A", b"B"], b"x"),
        (b"A: 1\r\n \r\nB: 2\r\n", [b"A", b"B"], b""),
        ("\xe4: 1\r\n".encode(), [], "\xe4: 1\r\n".encode()),
    ],
)
def test_where_the_header_ends(raw: bytes, names: list[bytes], body: bytes):
    headers = parse_headers(raw)
    assert [field.name for field in headers] == names
    assert headers.body == body


def test_caps():
    assert len(parse_headers(b"A: 1\r\n" * FIELD_LIMIT)) == FIELD_LIMIT
    with pytest.raises(MessageError):
        parse_headers(b"A: 1\r\n" * (FIELD_LIMIT + 1))
    parse_headers(b"A:" + b"x" * (HEADER_LIMIT - 4) + b"\r\n\r\n" + b"y" * 9)
    with pytest.raises(MessageError):
        parse_headers(b"A:" + b"x" * (HEADER_LIMIT - 3) + b"\r\n\r\n")


@given(st.text("Aa:\r\n \t\xe4", max_size=60).map(str.encode))
def test_the_index_joined_is_the_input(raw: bytes):
    headers = parse_headers(raw)
    between = headers.raw[headers.header_end : headers.body_start]
    assert joined(headers) + between + headers.body == raw
    assert between in (b"", b"\r\n")
    assert splice(raw) in (raw, raw + b"\r\n")
    for field in headers:
        assert b"\r\n" not in headers.value(field)


def test_splice():
    changed = splice(
        MAIL,
        remove={"received"},
        replace={"SUBJECT": b"new", "Date": b"today"},
        prepend=[(b"X-First", b"1"), (b"X-Second", b"2\r\n folded")],
        append=[(b"X-Last", b"9")],
    )
    assert changed == (
        b"X-First: 1\r\nX-Second: 2\r\n folded\r\n"
        b"From: A <a@a.example>\r\n"
        b"SUBJECT: new\r\n"
        b"Date: today\r\n"
        b"X-Last: 9\r\n"
        b"\r\n"
        b"Body: not a field\r\n"
    )
    assert splice(parse_headers(MAIL)) == MAIL


def test_splice_replaces_once():
    raw = b"A: 1\r\nB: 2\r\nA: 3\r\n\r\n"
    assert splice(raw, replace={"a": b"x"}) == b"a: x\r\nB: 2\r\n\r\n"
    assert splice(raw, remove={"a"}, replace={"a": b"x"}) == b"a: x\r\nB: 2\r\n\r\n"


def test_splice_ends_a_cut_field():
    assert splice(b"A: 1", append=[(b"B", b"2")]) == b"A: 1\r\nB: 2\r\n"


@pytest.mark.parametrize(
    "value", [b"a\r\nBcc: b", b"a\nb", b"a\rb", b"a\r\n", b"a\0", b"\n", b"a\r\n\r\n b"]
)
def test_no_value_forges_a_field(value: bytes):
    with pytest.raises(MessageError):
        field_bytes(b"A", value)
    with pytest.raises(MessageError):
        splice(MAIL, replace={"A": value})


@pytest.mark.parametrize("name", [b"", b"A B", b"A:", b"A\r\n", "\xe4".encode()])
def test_no_name_forges_a_field(name: bytes):
    with pytest.raises(MessageError):
        field_bytes(name, b"x")


def test_line_ends():
    assert normalise_line_ends(b"a\nb\rc\r\nd\n\re\r\r\n") == b"a\r\nb\r\nc\r\nd\r\n\r\ne\r\n\r\n"
    assert normalise_line_ends(MAIL) is MAIL
    with pytest.raises(MessageError):
        normalise_line_ends(b"a\0\n")


@given(st.text("a\r\n", max_size=40).map(str.encode))
def test_line_ends_are_pairs_afterwards(raw: bytes):
    clean = normalise_line_ends(raw)
    assert re.sub(rb"\r\n", b"", clean).strip(b"a") == b""
    assert clean == re.sub(rb"\r\n|\r|\n", b"\r\n", raw)
    assert normalise_line_ends(clean) is clean


@given(st.text("abcd\r\n", max_size=60).map(str.encode))
def test_longest_line(raw: bytes):
    assert longest_line(raw) == max(len(line) for line in raw.split(b"\r\n"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"plain", "plain"),
        (b"=?utf-8?b?w6Q=?=", "\xe4"),
        (b"=?utf-8?B?w6Q?= x", "\xe4 x"),
        (b"=?utf-8*de?Q?a_b=C3=A4?=", "a b\xe4"),
        (b"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
        (b"=?utf-8?b?ww==?=\r\n =?utf-8?b?pA==?=", "\xe4"),
        (b"=?utf-8?q?a?= x =?latin1?q?=E4?=", "a x \xe4"),
        (b'"=?utf-8?q?a?=" <a@b>', '"a" <a@b>'),
        ("gr\xfcn".encode(), "gr\xfcn"),
        ("gr\xfcn".encode("latin-1"), "gr\xfcn"),
        (b"=?no-such-set?q?=E4?=", "\xe4"),
        (b"=?idna?q?xn--a?=", "xn--a"),
        (b"=?utf-16?b?AA==?=", "\ufffd"),
        (b"=?utf-8?b?A?=", ""),
        (b"=?utf-8?b?%%%?=", ""),
        (b"=?utf-7?q?+2AA-x?=", "x"),
        (b"=?utf-8?q?a=0D=0ABcc=3A_b=1B[2J?=", "a Bcc: b[2J"),
        ("a\u202eb\u2028c".encode(), "abc"),
        (b"=?utf-8?q?not closed", "=?utf-8?q?not closed"),
        (b"=?\x00?q?a?=", "a"),
    ],
)
def test_words_for_people(value: bytes, text: str):
    assert decode_words(value) == text


@given(
    st.lists(
        st.sampled_from(
            [b"=?", b"utf-8", b"utf-7", b"?q?", b"?b?", b"?=", b" ", b"=E4", b"w6Q=", b"+2AA-"]
        )
        | st.binary(max_size=3)
    ).map(b"".join)
)
def test_words_never_raise(value: bytes):
    text = decode_words(value)
    assert text.isprintable() or all(c.isprintable() or c not in "\r\n\x1b" for c in text)
    text.encode()
