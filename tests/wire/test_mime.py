"""Parts of messages, as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.mime import DEPTH, PARTS, parse_mime, read_message


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode("latin-1")


MIXED = crlf(
    """From: a@b
Content-Type: multipart/mixed;
 boundary="out er"

prologue
--out er
Content-Type: multipart/alternative; boundary=in

--in
Content-Type: text/plain; charset=iso-8859-1
Content-Transfer-Encoding: quoted-printable

Gr=FC=DFe, see https://example.test/a?b=1).
--in
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: base64

PHA+PGEgaHJlZj0iaHR0cHM6Ly9leGFtcGxlLnRlc3QvYSI+Q2xpY2sgPGI+aGVyZTwvYj48L2E+
--in--
--out er
Content-Type: application/pdf; name="x.pdf"
Content-Disposition: attachment; filename*0*=utf-8''na%C3%AF; filename*1=ve.pdf
Content-Transfer-Encoding: base64

AAEC
--out er--
epilogue
"""
)


def test_a_mixed_message_is_read() -> None:
    said = read_message(MIXED)
    assert said.text == "Grüße, see https://example.test/a?b=1)."
    assert said.html == '<p><a href="https://example.test/a">Click <b>here</b></a>'
    assert said.links == (
        ("https://example.test/a", "Click here"),
        ("https://example.test/a?b=1", "https://example.test/a?b=1"),
    )
    [attachment] = said.attachments
    assert (attachment.filename, attachment.kind) == ("naïve.pdf", "application/pdf")
    assert attachment.content == b"\0\1\2"


def test_the_line_end_before_a_boundary_belongs_to_it() -> None:
    raw = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n\n--b\n--b\n\ntwo")
    parts = parse_mime(raw).children
    assert [part.content for part in parts] == [b"one\r\n", b"", b"two"]


def test_a_message_in_a_digest_is_a_message() -> None:
    inner = "Subject: x\nContent-Type: text/plain\n\nhello"
    raw = crlf(f"Content-Type: multipart/digest; boundary=b\n\n--b\n\n{inner}\n--b--\n")
    [part] = parse_mime(raw).children
    assert part.kind == "message/rfc822"
    assert [one.kind for one in part.walk()] == ["message/rfc822", "text/plain"]
    assert read_message(raw).text == "hello"


@pytest.mark.parametrize(
    ("header", "body", "text"),
    [
        ("Content-Type: text/plain; charset=no-such", "caf\xc3\xa9", "café"),
        ("Content-Type: text", "plain", "plain"),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: base64", "aGk*=", "hi"),
        ("Content-Type: text/plain\nContent-Transfer-Encoding: base64", "aGkxa", "hi1"),
        ("Subject: x", "no type", "no type"),
        ("Content-Disposition: inline", "shown", "shown"),
    ],
)
def test_text_is_read_leniently(header: str, body: str, text: str) -> None:
    assert read_message(crlf(f"{header}\n\n{body}")).text == text


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("filename=plain.txt", "plain.txt"),
        ('filename="quo\\"ted.txt"', 'quo"ted.txt'),
        ("filename==?utf-8?q?=C3=A9?=", "é"),
        ("filename*=iso-8859-1'en'%E9", "é"),
        ("filename*=nonsense''%C3%A9", "é"),
        ("filename*0=a; filename*9999=b", "ab"),
        ("filename*=plain", "plain"),
    ],
)
def test_file_names(parameter: str, name: str) -> None:
    raw = crlf(f"Content-Disposition: attachment; {parameter}\n\nx")
    [attachment] = read_message(raw).attachments
    assert attachment.filename == name


def test_a_bomb_of_parts_ends_early() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 5_000
    assert len(list(parse_mime(raw).walk())) <= PARTS + 1


def test_a_bomb_of_depth_ends_early() -> None:
    raw = b"x"
    for _ in range(200):
        raw = b"Content-Type: message/rfc822\r\n\r\n" + raw
    deepest = list(parse_mime(raw).walk())
    assert len(deepest) == DEPTH + 1


def test_many_segments_of_a_parameter_are_cut() -> None:
    segments = "; ".join(f"filename*{place}=x" for place in range(300))
    [attachment] = read_message(
        crlf(f"Content-Disposition: attachment; {segments}\n\nx")
    ).attachments
    assert len(attachment.filename) == 100


def test_a_header_over_its_limits_is_one_opaque_part() -> None:
    raw = b"X: y\r\n" * 2_000 + b"\r\nbody"
    part = parse_mime(raw)
    assert part.content == raw
    assert not part.children


def test_links_of_broken_html() -> None:
    page = '<a>none</a><a href="">empty</a><a href="u1">one<a href="u2">two'
    raw = crlf(f"Content-Type: text/html\n\n{page}")
    assert read_message(raw).links == (("u1", "one"), ("u2", "two"))


@given(st.binary(max_size=400))
def test_any_bytes_give_a_tree(raw: bytes) -> None:
    read_message(raw)
    read_message(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + raw)


def test_a_multipart_without_its_boundary_has_no_parts() -> None:
    raw = crlf("Content-Type: multipart/mixed; boundary=b\n\nnothing of the kind\n")
    assert parse_mime(raw).children == ()
    assert read_message(raw).attachments == ()
