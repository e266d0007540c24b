"""The local CA, the leaf certificate of all TLS ports, and their contexts.

Made once at the first start, ECDSA P-256, since a handshake with RSA costs
twice as much. Clients that check get the CA's path; nobody else has to do
anything. Installing it is the user's own act.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailstead.roles import certificates

RENEW_DAYS = 30


class CertificateError(Exception):
    """The configured certificate can't be used."""


@dataclass(frozen=True, slots=True)
class KeyFolder:
    """Where CA and leaf are kept, and how they are made."""

    path: Path
    write: Callable[[str, bytes], Path]
    """Writes a file that only we may read, whole or not at all."""
    new_key: Callable[[], bytes]


def server_context(
    folder: KeyFolder, configured: str, names: Sequence[str], now: int
) -> ssl.SSLContext:
    """The context of every TLS port. ``now`` is in milliseconds since 1970. CertificateError."""
    path = Path(configured) if configured else _leaf(folder, names, now)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(path)
    except (OSError, ssl.SSLError) as error:
        raise CertificateError(
            f"tls.certificate {path} can't be read as PEM of chain and key: {error}"
        ) from None
    return context


def client_context() -> ssl.SSLContext:
    """Opportunistic TLS to a receiver: encrypts, and checks nobody (RFC 7435)."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _leaf(folder: KeyFolder, names: Sequence[str], now: int) -> Path:
    today = datetime.fromtimestamp(now / 1000, UTC)
    path = folder.path / "tls.pem"
    ca = certificates.authority(_content(folder.path / "ca.pem"), _content(folder.path / "ca.key"))
    if ca is None or not ca.serves(names, today):
        ca = certificates.new_authority(names, folder.new_key(), today)
        folder.write("ca.key", ca.key_pem)
        folder.write("ca.pem", ca.pem)
    renewal = today + timedelta(days=RENEW_DAYS)
    if not certificates.leaf_serves(_content(path), ca, names, renewal):
        folder.write(path.name, certificates.new_leaf(ca, names, folder.new_key(), today))
    return path


def _content(path: Path) -> bytes:
    """A file's bytes; none where it is missing."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
