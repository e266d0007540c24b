"""A mail, and what signs and checks it."""

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mailstead.wire.dkim import sign
from mailstead.wire.dkim_key import (
    PrivateKey,
)

NOW = 1_700_000_000
MAIL = (
    b"Received: by mx.example; now\r\n"
    b"From: A <a@example.com>\r\n"
    b"To: b@b.example,\r\n  c@c.example\r\n"
    b"Subject:  two   blanks\t\r\n"
    b"Content-ID: <x>\r\n"
    b"Content-Language: en\r\n"
    b"Content-;bh: a name that would end h=\r\n"
    b"Feedback-ID: 1:2:3\r\n"
    b"X-Own: 1\r\n"
    b"\r\n"
    b"Hello  \t world \r\n\r\n .\r\n\r\n\r\n"
)


def signed(key: PrivateKey, raw: bytes = MAIL, **changes: Any) -> bytes:
    selector = "rsa" if isinstance(key, RSAPrivateKey) else "ed"
    arguments = {"domain": "example.com", "selector": selector, "signed_at": NOW, "key": key}
    return sign(raw, **(arguments | changes)) + raw


def seed_of(key: PrivateKey) -> bytes:
    if isinstance(key, Ed25519PrivateKey):
        return base64.b64encode(key.private_bytes_raw())
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
