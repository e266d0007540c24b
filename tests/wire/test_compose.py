"""Messages of SendEmail, read back by the stdlib."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.addresses import AddressError
from mailstead.wire.compose import (
    Attachment,
    ComposeError,
    Draft,
    Text,
    TransferEncoding,
    compose,
)
from mailstead.wire.message import longest_line, normalise_line_ends, parse_headers

PLAIN = Draft("a@b.c", Text("Hi"), to=("d@e.f",), text=Text("Hello\n"))


def read(draft: Draft, boundary: str = "B0und") -> EmailMessage:
    raw = compose(draft, boundary)
    assert raw.isascii()
    assert normalise_line_ends(raw) is raw
    assert longest_line(raw) <= 998
    assert raw.endswith(b"\r\n")
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def shape(message: EmailMessage) -> object:
    if message.is_multipart():
        return message.get_content_subtype(), [
            shape(part) for part in message.iter_parts() if isinstance(part, EmailMessage)
        ]
    return message.get_content_type()


def octets(message: EmailMessage, number: int) -> bytes:
    payload = leaf(message, number).get_payload(decode=True)
    assert isinstance(payload, bytes)
    return payload


def leaf(message: EmailMessage, number: int) -> EmailMessage:
    part = [part for part in message.walk() if not part.is_multipart()][number]
    assert isinstance(part, EmailMessage)
    return part


def test_plain_text_to_the_byte() -> None:
    assert compose(PLAIN, "x") == (
        b"From: a@b.c\r\nTo: d@e.f\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=US-ASCII\r\nContent-Transfer-Encoding: 7bit\r\n"
        b"\r\nHello\r\n"
    )


def test_all_fields() -> None:
    message = read(
        Draft(
            'Jürgen "J" Größe <a@b.c>',
            Text("Grüße", "ISO-8859-1"),
            to=('"Doe, J." <d@e.f>', "x@y.z"),
            cc=("用户 <c@e.f>",),
            reply_to=("r@e.f",),
            html=Text("<p>ü</p>"),
            headers=(("List-Id", "<l.b.c>"), ("X-Empty", "")),
        )
    )
    assert message["Subject"] == "Grüße"
    assert [a.display_name for a in message["From"].addresses] == ["Jürgen J Größe"]
    assert [a.addr_spec for a in message["To"].addresses] == ["d@e.f", "x@y.z"]
    assert [a.display_name for a in message["Cc"].addresses] == ["用户"]
    assert message["Reply-To"] == "r@e.f"
    assert message["List-Id"] == "<l.b.c>"
    assert message["X-Empty"] == ""
    assert message.get_content_type() == "text/html"
    assert message.get_content() == "<p>ü</p>\r\n"


def test_order_is_that_of_ses() -> None:
    raw = compose(PLAIN, "x")
    assert [field.name for field in parse_headers(raw)][:4] == [
        b"From", b"To", b"Subject", b"MIME-Version",
    ]  # fmt: skip
    assert b"\r\nTo:" not in compose(Draft("a@b.c", Text("")), "x")


def test_two_bodies_are_alternatives() -> None:
    message = read(Draft("a@b.c", Text(""), text=Text("t ü", "utf-8"), html=Text("<b>h</b>")))
    assert shape(message) == ("alternative", ["text/plain", "text/html"])
    assert leaf(message, 0).get_content() == "t ü"
    assert leaf(message, 1).get_content() == "<b>h</b>"


IMAGE = Attachment(b"\x89PNG\r\n\x00", "logo.PNG", inline=True, content_id="logo", description="Ü")
FILE = Attachment(bytes(range(256)), "日本.bin")


def test_attachments_are_nested() -> None:
    draft = Draft("a@b.c", Text(""), text=Text("t"), html=Text("h"), attachments=(FILE, IMAGE))
    message = read(draft)
    assert shape(message) == (
        "mixed",
        [
            ("alternative", ["text/plain", ("related", ["text/html", "image/png"])]),
            "application/octet-stream",
        ],
    )
    image, file = leaf(message, 2), leaf(message, 3)
    assert image["Content-ID"] == "<logo>"
    assert image["Content-Description"] == "Ü"
    assert image.get_content_disposition() == "inline"
    assert image.get_content() == IMAGE.content
    assert file.get_filename() == "日本.bin"
    assert file.get_content_disposition() == "attachment"
    assert file.get_content() == FILE.content


def test_inline_without_html_is_mixed() -> None:
    message = read(Draft("a@b.c", Text(""), attachments=(IMAGE,)))
    assert shape(message) == ("mixed", ["text/plain", "image/png"])


@pytest.mark.parametrize("encoding", TransferEncoding)
def test_transfer_encodings(encoding: TransferEncoding) -> None:
    file = Attachment(b"a,b\nc,d\n", "x.csv", transfer_encoding=encoding)
    message = read(Draft("a@b.c", Text(""), text=Text("t"), attachments=(file,)))
    part = leaf(message, 1)
    assert part.get_content_type() == "text/csv"
    assert octets(message, 1).replace(b"\r", b"") == file.content
    binary = Attachment(b"a \r\n\n=\xff", "x", "a/b; c=d", transfer_encoding=encoding)
    draft = Draft("a@b.c", Text(""), text=Text("t"), attachments=(binary,))
    if encoding is TransferEncoding.SEVEN_BIT:
        with pytest.raises(ComposeError):
            compose(draft, "x")
    else:
        assert octets(read(draft), 1) == binary.content


@pytest.mark.parametrize(
    "attachment",
    [
        Attachment(b"", "a\r\nb"),
        Attachment(b"", "a", content_type="nonsense"),
        Attachment(b"", "a", content_type="a/b\r\nX: y"),
        Attachment(b"", "a", content_id="a b"),
        Attachment(b"", "a", content_id="a>\r\nX: <y"),
        Attachment(b"", "a", description="a\nb"),
    ],
)
def test_attachments_forge_no_field(attachment: Attachment) -> None:
    with pytest.raises(ComposeError):
        compose(Draft("a@b.c", Text(""), attachments=(attachment,)), "x")


@pytest.mark.parametrize("bad", ["a\r\nb", "a\nb", "a\rb", "a\0b"])
def test_no_field_takes_a_line_end(bad: str) -> None:
    for draft in (
        Draft("a@b.c", Text(bad)),
        Draft("a@b.c", Text(""), headers=(("X", bad),)),
        Draft("a@b.c", Text(""), headers=((bad, "x"),)),
    ):
        with pytest.raises(ComposeError):
            compose(draft, "x")
    for draft in (
        Draft(f"{bad} <a@b.c>", Text("")),
        Draft("a@b.c", Text(""), to=(f'"{bad}" <a@b.c>',)),
        Draft("a@b.c", Text(""), reply_to=(f"a@b.c{bad}",)),
    ):
        with pytest.raises(AddressError):
            compose(draft, "x")


def test_the_boundary_is_in_no_part() -> None:
    text = "--B_0a\n--B_0\nB_1\nB_2"
    message = read(Draft("a@b.c", Text(""), text=Text(text), html=Text("h")), "B")
    assert message.get_boundary() == "B_3a"
    assert octets(message, 0) == text.replace("\n", "\r\n").encode()
    for bad in ("", "a b", "x" * 61):
        with pytest.raises(ValueError, match="boundary"):
            compose(PLAIN, bad)


texts = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=80)


@settings(max_examples=40)
@given(texts, texts, st.lists(texts, max_size=3), st.booleans())
def test_any_text_is_read_back(subject: str, name: str, lines: list[str], html: bool) -> None:
    body = "\n".join(lines)
    sender = '"' + name.replace("\\", "").replace('"', "").replace("=?", "") + '" <a@b.c>'
    draft = Draft(sender, Text(subject), text=Text(body), html=Text(body) if html else None)
    if len(sender) > 320:
        return
    message = read(draft)
    first = leaf(message, 0)
    assert octets(message, 0).decode(first.get_content_charset("")).removesuffix("\r\n") == (
        body.replace("\n", "\r\n").removesuffix("\r\n")
    )


def test_a_large_attachment_is_quick() -> None:
    file = Attachment(b"\xff" * 2**20, "x.bin")
    assert len(compose(Draft("a@b.c", Text(""), attachments=(file,)), "x")) > 2**20
