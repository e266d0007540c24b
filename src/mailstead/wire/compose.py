"""Building the message of SendEmail: header fields, bodies and attachments to bytes.

What is built is 7-bit with CRLF line ends. Date, Message-ID and what else the
service adds come later, spliced in front. The boundary is the caller's, who
alone has randomness. RFC 5322, 2045 to 2047, 2183, 2231, 2387, 2392.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import assert_never

from mailstead.wire.addresses import parse_mailbox
from mailstead.wire.mime_text import (
    SOFT_LINE,
    ComposeError,
    as_base64,
    as_quoted_printable,
    check_field,
    crlf,
    encode_body,
    encode_text,
    encoded_words,
    is_seven_bit,
    parameter,
    structured_field,
    text_field,
)

__all__ = ["Attachment", "ComposeError", "Draft", "Text", "TransferEncoding", "compose"]


class TransferEncoding(StrEnum):
    """SES's names."""

    BASE64 = "BASE64"
    QUOTED_PRINTABLE = "QUOTED_PRINTABLE"
    SEVEN_BIT = "SEVEN_BIT"


@dataclass(frozen=True, slots=True)
class Text:
    """A text and the character set to send it in; empty: US-ASCII or UTF-8."""

    data: str
    charset: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An attachment as SES v2 takes it. `inline` ones belong to the HTML body."""

    content: bytes = field(repr=False)
    file_name: str
    content_type: str = ""
    """Empty: by the extension of `file_name`."""
    inline: bool = False
    content_id: str = ""
    """With or without angle brackets."""
    description: str = ""
    transfer_encoding: TransferEncoding = TransferEncoding.BASE64


@dataclass(frozen=True, slots=True)
class Draft:
    """What SendEmail gives. Addresses are texts such as ``Name <a@b>``."""

    sender: str
    subject: Text
    to: tuple[str, ...] = ()
    cc: tuple[str, ...] = ()
    reply_to: tuple[str, ...] = ()
    text: Text | None = None
    html: Text | None = None
    headers: tuple[tuple[str, str], ...] = ()
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True, slots=True)
class _Leaf:
    fields: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class _Multipart:
    kind: str
    parts: tuple[_Leaf | _Multipart, ...]


_TYPES = {
    "csv": "text/csv", "gif": "image/gif", "gz": "application/gzip",
    "htm": "text/html", "html": "text/html", "ics": "text/calendar", "jpeg": "image/jpeg",
    "jpg": "image/jpeg", "json": "application/json", "md": "text/markdown", "mp3": "audio/mpeg",
    "mp4": "video/mp4", "pdf": "application/pdf", "png": "image/png", "svg": "image/svg+xml",
    "txt": "text/plain", "vcf": "text/vcard", "webp": "image/webp", "xml": "application/xml",
    "zip": "application/zip", "doc": "application/msword", "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}  # fmt: skip


def compose(draft: Draft, boundary: str) -> bytes:
    """The message's bytes.

    `boundary`: up to 60 letters and digits that nobody could have foreseen.
    Raises `ComposeError`, or `mailstead.wire.addresses.AddressError`.
    """
    fields = [_address_field("From", (draft.sender,))]
    for name, addresses in (("To", draft.to), ("Cc", draft.cc), ("Reply-To", draft.reply_to)):
        if addresses:
            fields.append(_address_field(name, addresses))
    fields.append(text_field("Subject", draft.subject.data, draft.subject.charset))
    fields += [text_field(name, value) for name, value in draft.headers]
    fields.append(b"MIME-Version: 1.0\r\n")
    tree = _tree(draft)
    message = b"".join(fields) + _write(tree, _free_boundary(tree, boundary))
    return message if message.endswith(b"\r\n") else message + b"\r\n"


def _address_field(name: str, addresses: tuple[str, ...]) -> bytes:
    return structured_field(name, (_written(name, text) for text in addresses))


def _written(name: str, text: str) -> str:
    """A mailbox as it stands in the header: as given, or its name in encoded words."""
    mailbox = parse_mailbox(text)
    if mailbox.written.isascii():
        return mailbox.written
    words = encoded_words(mailbox.display_name, limit=SOFT_LINE - 2 - len(name))
    return f"{' '.join(words)} <{mailbox.address}>"


def _tree(draft: Draft) -> _Leaf | _Multipart:
    """mixed(alternative(text, related(html, inline ...)), attachment ...), as far as needed."""
    inline = [_attachment(a) for a in draft.attachments if a.inline and draft.html]
    others = [_attachment(a) for a in draft.attachments if not (a.inline and draft.html)]
    bodies: list[_Leaf | _Multipart] = []
    if draft.text or not draft.html:
        bodies.append(_text_part("plain", draft.text or Text("")))
    if draft.html:
        html = _text_part("html", draft.html)
        bodies.append(_Multipart('related; type="text/html"', (html, *inline)) if inline else html)
    body = bodies[0] if len(bodies) == 1 else _Multipart("alternative", tuple(bodies))
    return _Multipart("mixed", (body, *others)) if others else body


def _text_part(subtype: str, text: Text) -> _Leaf:
    charset, octets = encode_text(text.data, text.charset)
    encoding, body = encode_body(crlf(octets))
    return _Leaf(_part_fields(f"text/{subtype}; charset={charset}", encoding), body)


def _part_fields(content_type: str, encoding: str) -> bytes:
    return structured_field(
        "Content-Type", (content_type,)
    ) + f"Content-Transfer-Encoding: {encoding}\r\n".encode("ascii")


def _attachment(attachment: Attachment) -> _Leaf:
    _, _, extension = attachment.file_name.rpartition(".")
    known = _TYPES.get(extension.lower(), "application/octet-stream")
    content_type = attachment.content_type or known
    if not re.match(r"[!-.0-~]+/[!-.0-~]+", content_type):
        raise ComposeError("Illegal header 'Content-Type'.")
    encoding, body = _coded(attachment, content_type)
    disposition = "inline" if attachment.inline else "attachment"
    check_field("Content-Disposition", attachment.file_name)
    fields = _part_fields(content_type, encoding) + structured_field(
        "Content-Disposition", (disposition + parameter("filename", attachment.file_name),)
    )
    if attachment.content_id:
        content_id = attachment.content_id.removeprefix("<").removesuffix(">")
        if not re.fullmatch(r"[!-;=?-~]+", content_id):
            raise ComposeError("Illegal header 'Content-ID'.")
        fields += structured_field("Content-ID", (f"<{content_id}>",))
    if attachment.description:
        fields += text_field("Content-Description", attachment.description)
    return _Leaf(fields, body)


def _coded(attachment: Attachment, content_type: str) -> tuple[str, bytes]:
    content = attachment.content
    match attachment.transfer_encoding:
        case TransferEncoding.BASE64:
            return "base64", as_base64(content)
        case TransferEncoding.QUOTED_PRINTABLE:
            text = content_type.lower().startswith("text/")
            octets = crlf(content) if text else content
            return "quoted-printable", as_quoted_printable(octets, text=text)
        case TransferEncoding.SEVEN_BIT:
            if not is_seven_bit(crlf(content)):
                raise ComposeError(
                    f"Attachment '{attachment.file_name}' is not 7-bit text: use BASE64."
                )
            return "7bit", crlf(content)
        case _:
            assert_never(attachment.transfer_encoding)


def _free_boundary(tree: _Leaf | _Multipart, boundary: str) -> str:
    """A boundary that occurs in no part; levels add one letter, so none begins another."""
    if not re.fullmatch(r"[A-Za-z0-9]{1,60}", boundary):
        raise ValueError("a boundary is 1 to 60 letters and digits")
    texts = [text for leaf in _leaves(tree) for text in (leaf.fields, leaf.body)]
    number = 0
    while any(f"{boundary}_{number}".encode() in text for text in texts):
        number += 1
    return f"{boundary}_{number}"


def _leaves(part: _Leaf | _Multipart) -> list[_Leaf]:
    if isinstance(part, _Leaf):
        return [part]
    return [leaf for inner in part.parts for leaf in _leaves(inner)]


def _write(part: _Leaf | _Multipart, boundary: str, level: str = "a") -> bytes:
    if isinstance(part, _Leaf):
        return part.fields + b"\r\n" + part.body
    own = f"{boundary}{level}"
    fields = structured_field("Content-Type", (f'multipart/{part.kind}; boundary="{own}"',))
    inner = chr(ord(level) + 1)
    delimiter = f"\r\n--{own}".encode("ascii")
    # The CRLF before a delimiter belongs to it (RFC 2046 section 5.1.1): bodies keep theirs.
    parts = b"".join(delimiter + b"\r\n" + _write(each, boundary, inner) for each in part.parts)
    return fields + parts + delimiter + b"--"
