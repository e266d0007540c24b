"""Domain names between their wire form (RFC 1035 3.1) and the text that Route 53 shows.

The text is lower case, without the final dot, and the root is the empty text.
What is not a letter, a digit, ``-`` or ``_`` stands as a backslash and three
**octal** digits, Route 53's form (RFC 1035 5.1 counts in decimal); so ``*`` is
``\\052``. Names from users may carry escapes, upper case and a final dot.
"""

from __future__ import annotations

import re

ROOT = b"\0"
NAME_LIMIT = 255
"""Octets of a name on the wire, length octets and root included (RFC 1035 2.3.4)."""
LABEL_LIMIT = 63
WILDCARD = b"\x01*"

_PLAIN = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_PIECE = re.compile(r"\\([0-3][0-7]{2})|\\([!-/:-~])|([!-\[\]-~])")
_UNESCAPED = b"abcdefghijklmnopqrstuvwxyz0123456789-_"
_SHOWN = [chr(octet) if octet in _UNESCAPED else f"\\{octet:03o}" for octet in range(256)]


class DomainNameError(ValueError):
    """What is no domain name; ``text`` says why, in Route 53's words."""

    def __init__(self, problem: str, name: str) -> None:
        self.text = f"FATAL problem: {problem} encountered with '{name}'"
        super().__init__(self.text)


def name_to_wire(text: str) -> bytes:
    """A name's lower-case wire form. DomainNameError for what is none."""
    plain = text.removesuffix(".")
    if _PLAIN.fullmatch(plain) and len(plain) <= NAME_LIMIT - 2:
        labels = plain.split(".")
        return b"".join(bytes((len(label),)) + label.encode() for label in labels) + ROOT
    if text in ("", "."):
        return ROOT
    return _joined(_labels(text), text)


def name_to_text(wire: bytes) -> str:
    """A wire form as text. The octets must be one whole, uncompressed name."""
    return ".".join("".join(map(_SHOWN.__getitem__, label.lower())) for label in labels_of(wire))


def canonical_name(text: str) -> str:
    """A name as it is kept and shown, but for the final dot. DomainNameError for what is none."""
    plain = text.removesuffix(".")
    if _PLAIN.fullmatch(plain) and len(plain) <= NAME_LIMIT - 2:
        return plain
    return name_to_text(name_to_wire(text))


def labels_of(wire: bytes) -> list[bytes]:
    """The labels of a wire form, the root left out."""
    labels: list[bytes] = []
    at = 0
    while size := wire[at]:
        labels.append(wire[at + 1 : at + 1 + size])
        at += 1 + size
    return labels


def parent_of(wire: bytes) -> bytes:
    """A wire form without its first label. The root has no parent: do not ask."""
    return wire[1 + wire[0] :]


def _labels(text: str) -> list[bytes]:
    labels: list[bytes] = []
    label = bytearray()
    at = 0
    while at < len(text):
        if text[at] == ".":
            labels.append(bytes(label))
            label.clear()
            at += 1
            continue
        piece = _PIECE.match(text, at)
        if piece is None:
            raise DomainNameError(
                "UnsupportedCharacter (Value contains unsupported characters)", text
            )
        octal, escaped, plain = piece.groups()
        label += bytes((int(octal, 8),)) if octal else (escaped or plain).encode()
        at = piece.end()
    if label:
        labels.append(bytes(label))
    return labels


def _joined(labels: list[bytes], text: str) -> bytes:
    wire = bytearray()
    for label in labels:
        if not label:
            raise DomainNameError("DomainLabelEmpty (Domain label is empty)", text)
        if len(label) > LABEL_LIMIT:
            raise DomainNameError("DomainLabelTooLong (Domain label is too long)", text)
        wire.append(len(label))
        wire += label.lower()
    wire += ROOT
    if len(wire) > NAME_LIMIT:
        raise DomainNameError("DomainTooLong (Domain name is too long)", text)
    return bytes(wire)
