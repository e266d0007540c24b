"""Folding, encoded words, parameters, transfer encodings; the stdlib reads them back."""

from __future__ import annotations

import base64
import quopri
import re
from email import message_from_bytes, policy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.message import decode_words, parse_headers
from mailstead.wire.mime_text import (
    ComposeError,
    as_base64,
    as_quoted_printable,
    crlf,
    encode_body,
    encode_text,
    encoded_words,
    parameter,
    structured_field,
    text_field,
)

no_controls = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])


def lines_of(field: bytes) -> list[bytes]:
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert all(line.strip() for line in lines)
    assert all(len(line) <= 998 for line in lines)
    assert field.isascii()
    return lines


def read_back(field: bytes) -> str:
    return str(message_from_bytes(field + b"\r\n", policy=policy.default)["Subject"])


@given(st.text(no_controls, max_size=200))
@settings(max_examples=60)
def test_a_subject_is_read_back(text: str) -> None:
    text = text.replace("=?", "= ?")
    field = text_field("Subject", text)
    shown = re.sub(r"[\u202a-\u202e\u2066-\u2069]", "", text)
    assert decode_words(parse_headers(field).get("subject") or b"").split() == shown.split()
    if not text.isascii():
        assert all(len(line) <= 76 for line in lines_of(field))


def test_a_subject_of_five_thousand_emoji() -> None:
    text = "\U0001f600" * 5000
    field = text_field("Subject", text, "utf-8")
    for number, line in enumerate(lines_of(field)):
        assert len(line) <= 76
        assert number or line.startswith(b"Subject: =?utf-8?B?")
        word = line.split()[-1]
        assert len(word) <= 75
        # Split between characters: each word stands alone.
        assert set(decode_words(word)) == {"\U0001f600"}
    assert read_back(field) == text


@pytest.mark.parametrize(
    "charset", ["ISO-8859-1", "utf8", "windows-1252", "shift_jis", "nonsense", ""]
)
def test_charsets(charset: str) -> None:
    for text in ("Grüße", "日本語のテキスト", "plain"):
        field = text_field("Subject", text, charset)
        assert read_back(field) == text
        name, octets = encode_text(text, charset)
        assert octets.decode(name) == text


def test_ascii_stays_as_given() -> None:
    given = '=?utf-8?q?=C3=BC?=  two  blanks\tand "a tab"'
    assert text_field("Subject", given) == b"Subject: " + given.encode() + b"\r\n"
    assert text_field("X", "") == b"X:\r\n"
    assert text_field("X", "  a ") == b"X: a\r\n"


def test_folds_at_blanks_only_and_keeps_them() -> None:
    value = "  ".join(["word" * 5] * 20)
    lines = lines_of(text_field("Subject", value))
    assert all(len(line) <= 78 for line in lines)
    assert b"".join(lines).decode() == f"Subject: {value}"


def test_a_word_too_long_to_fold_is_encoded() -> None:
    assert lines_of(text_field("X" * 16, "x" * 980)) == [b"X" * 16 + b": " + b"x" * 980]
    assert text_field("X" * 16, "x" * 981).startswith(b"X" * 16 + b": =?US-ASCII?Q?xx")
    assert read_back(text_field("Subject", "x" * 5000)) == "x" * 5000


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("", "x", "Empty header names are illegal."),
        ("a b", "x", "Illegal header 'a b'."),
        ("a:", "x", "Illegal header 'a:'."),
        ("Ä", "x", "Illegal header 'Ä'."),
        ("Subject", "a\r\nBcc: x", "Illegal header 'Subject'."),
        ("Subject", "a\n b", "Illegal header 'Subject'."),
        ("Subject", "a\0", "Illegal header 'Subject'."),
        ("Subject", "\udc80", "Illegal header 'Subject'."),
    ],
)
def test_fields_that_would_forge_another(name: str, value: str, text: str) -> None:
    for write in (lambda: text_field(name, value), lambda: structured_field(name, [value])):
        with pytest.raises(ComposeError) as caught:
            write()
        assert caught.value.text == str(caught.value) == text


def test_structured_fields_never_fold_inside_quotes() -> None:
    names = [f'"{"name and, name " * 5}{number}" <a@b.c>' for number in range(5)]
    field = structured_field("To", names)
    assert b"".join(lines_of(field)).decode() == "To: " + ", ".join(names)
    for line in lines_of(field):
        assert line.count(b'"') % 2 == 0
    for value in ("ü", '"' + "x " * 600 + '"'):
        with pytest.raises(ComposeError):
            structured_field("To", [value])


def test_words_of_a_narrow_limit() -> None:
    words = encoded_words("ü" * 40, limit=0)
    assert all(len(word) <= 40 for word in words)
    assert decode_words(" ".join(words).encode()) == "ü" * 40


@pytest.mark.parametrize(
    "value",
    ["a.pdf", "two words.pdf", 'q"u\\o.pdf', "ü.pdf", "日本語" * 60, "x" * 255, "a%20'*.pdf", ""],
)
def test_parameters_are_read_back(value: str) -> None:
    field = structured_field("Content-Disposition", ["attachment" + parameter("filename", value)])
    lines_of(field)
    assert message_from_bytes(field + b"\r\n", policy=policy.default).get_filename() == (
        value or ""
    )


@given(st.binary(max_size=300))
def test_transfer_encodings_are_read_back(octets: bytes) -> None:
    assert base64.b64decode(as_base64(octets)) == octets
    coded = as_quoted_printable(octets, text=False)
    assert quopri.decodestring(coded) == octets
    text = crlf(octets)
    coded = as_quoted_printable(text)
    assert quopri.decodestring(coded) == text
    for line in (coded + b"\r\n" + as_base64(octets)).split(b"\r\n"):
        assert len(line) <= 76
        assert not line.endswith((b" ", b"\t"))


@pytest.mark.parametrize(
    ("octets", "encoding"),
    [
        (b"plain\r\n", "7bit"),
        (b"", "7bit"),
        (b"x" * 998 + b"\r\n", "7bit"),
        (b"x" * 999 + b"\r\n", "quoted-printable"),
        (b"a\0b\r\n", "quoted-printable"),
        ("Grüße".encode(), "quoted-printable"),
        ("日本語のテキスト".encode(), "base64"),
    ],
)
def test_the_encoding_that_fits(octets: bytes, encoding: str) -> None:
    name, coded = encode_body(octets)
    assert name == encoding
    assert coded.isascii()
