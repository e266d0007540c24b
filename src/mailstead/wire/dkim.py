"""Sign messages with DKIM (RFC 6376, RFC 8463); `mailstead.wire.dkim_verify` verifies.

``l=`` is never written: it lets anyone append to a signed message.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256

from mailstead.wire.dkim_canon import BodyHashes, Canon, header_data, relaxed_field
from mailstead.wire.message import Headers, parse_headers

if TYPE_CHECKING:
    from collections.abc import Collection

    from mailstead.wire.dkim_key import PrivateKey

# Named once more than present, so that one added later breaks the signature
# (RFC 6376 sections 5.4.2 and 8.15).
_OVERSIGNED = (
    b"From", b"To", b"Cc", b"Subject", b"Date", b"Message-ID", b"Reply-To", b"MIME-Version",
    b"Content-Type", b"Content-Transfer-Encoding", b"Content-Disposition", b"Content-ID",
    b"Content-Description", b"List-Unsubscribe", b"List-Unsubscribe-Post",
)  # fmt: skip
# Named as often as present.
_SIGNED = (
    b"Sender", b"In-Reply-To", b"References", b"List-Id", b"List-Help", b"List-Subscribe",
    b"List-Post", b"List-Owner", b"List-Archive", b"Auto-Submitted", b"Feedback-ID",
    b"Resent-Date", b"Resent-From", b"Resent-Sender", b"Resent-To", b"Resent-Cc",
    b"Resent-Message-ID",
)  # fmt: skip
# Changed or removed on the way (RFC 6376 section 5.4).
_NEVER = frozenset(
    {b"received", b"return-path", b"bcc", b"resent-bcc", b"authentication-results", b"comments",
     b"keywords", b"dkim-signature", b"delivered-to"}
)  # fmt: skip
_TOKEN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?")
# A field name may hold a semicolon, which would end h=; those are left unsigned.
_SIGNABLE = re.compile(rb"[A-Za-z0-9-]{1,60}")
_IDENTITY = re.compile(r"[!#-:<>?A-~]*@[A-Za-z0-9_.-]+")
_WIDTH = 76


class Unsigned:
    """A message read once, for any number of signatures over it.

    The choice of fields, the canonical header and the body hash are made at the
    first signature and shared by the next ones.
    """

    def __init__(self, message: bytes | Headers, *, extra: Collection[str] = ()) -> None:
        """``extra`` names further fields to sign, as often as present."""
        self.headers = message if isinstance(message, Headers) else parse_headers(message)
        self.bodies = BodyHashes(self.headers)
        self.names = _names(self.headers, extra)
        self._data: dict[Canon, bytes] = {}

    def data(self, canon: Canon) -> bytes:
        """The chosen fields in canonical form."""
        if canon not in self._data:
            names = [name.lower() for name in self.names]
            self._data[canon] = header_data(self.headers, names, canon)
        return self._data[canon]


def sign(
    message: bytes | Unsigned,
    *,
    domain: str,
    selector: str,
    key: PrivateKey,
    signed_at: int,
    header_canon: Canon = "relaxed",
    body_canon: Canon = "simple",
    identity: str | None = None,
    expires_at: int | None = None,
) -> bytes:
    """One ``DKIM-Signature`` field with its CRLF, to prepend to the message.

    ``domain`` and ``selector`` are A-labels, times are seconds since 1970,
    ``identity`` is ``i=`` (``@domain`` or an address in or below the domain).
    For several signatures make one `Unsigned` and pass that. Raises
    `MessageError` where the header has no end within its limits, ValueError for
    a domain, selector or identity that would break the field.
    """
    if not (_TOKEN.fullmatch(domain) and _TOKEN.fullmatch(selector)):
        raise ValueError("domain and selector are A-labels")
    if identity is not None and not _IDENTITY.fullmatch(identity):
        raise ValueError("an identity is local@domain in visible ASCII")
    unsigned = message if isinstance(message, Unsigned) else Unsigned(message)
    algorithm = "rsa-sha256" if isinstance(key, RSAPrivateKey) else "ed25519-sha256"
    optional = {"i": identity, "t": signed_at, "x": expires_at}
    tags = "".join(f" {tag}={value};" for tag, value in optional.items() if value is not None)
    names = _fold([name + b":" for name in unsigned.names])[:-1]
    body_hash = base64.b64encode(unsigned.bodies.digest(body_canon))
    start = (
        f" v=1; a={algorithm}; q=dns/txt; c={header_canon}/{body_canon};\r\n"
        f"\ts={selector}; d={domain};\r\n\t{tags[1:]}\r\n"
    )
    value = b"%b\th=%b;\r\n\tbh=%b;\r\n\tb=" % (start.encode(), names, body_hash)
    if header_canon == "relaxed":
        own = relaxed_field(b"dkim-signature", value).removesuffix(b"\r\n")
    else:
        own = b"DKIM-Signature:" + value
    signature = base64.b64encode(_signature(key, unsigned.data(header_canon) + own))
    pieces = [signature[at : at + _WIDTH - 4] for at in range(0, len(signature), _WIDTH - 4)]
    return b"DKIM-Signature:" + value + b"\r\n\t ".join(pieces) + b"\r\n"


def _signature(key: PrivateKey, data: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(data, PKCS1v15(), SHA256())
    # RFC 8463 section 3: PureEdDSA over the SHA-256 digest.
    return key.sign(hashlib.sha256(data).digest())


def _names(headers: Headers, extra: Collection[str]) -> list[bytes]:
    """What ``h=`` lists, each name as often as it is signed."""
    count = {name: len(fields) for name, fields in headers.by_name.items()}
    names: list[bytes] = []
    listed = set(_NEVER)
    for name in _OVERSIGNED:
        names += [name] * (count.get(name.lower(), 0) + 1)
        listed.add(name.lower())
    others = [name for name in headers.by_name if name.startswith(b"content-")]
    for name in (*_SIGNED, *others, *(text.encode() for text in extra)):
        key = name.lower()
        if key not in listed and _SIGNABLE.fullmatch(name):
            names += [name] * (count.get(key, 0) + key.startswith(b"content-"))
            listed.add(key)
    return names


def _fold(words: list[bytes]) -> bytes:
    """The words in lines of at most 76 octets, where no word is longer itself."""
    lines = [b""]
    for word in words:
        if len(lines[-1]) + len(word) > _WIDTH - 4:
            lines.append(b"")
        lines[-1] += word
    return b"\r\n\t ".join(lines)
