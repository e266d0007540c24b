"""The local CA, the leaf certificate of all TLS ports, and their contexts.

Made once at the first start, ECDSA P-256, since a handshake with RSA costs
twice as much. Clients that check get the CA's path; nobody else has to do
anything. Installing it is the user's own act.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mailstead.roles import certificates

RENEW_DAYS = 30


class CertificateError(Exception):
    """The configured certificate can't be used."""


def server_context(
    folder: Path, configured: str, names: Sequence[str], new_key: Callable[[], bytes], now: int
) -> ssl.SSLContext:
    """The context of every TLS port. ``now`` is in milliseconds since 1970."""
    path = Path(configured) if configured else _leaf(folder, names, new_key, now)
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


def _leaf(folder: Path, names: Sequence[str], new_key: Callable[[], bytes], now: int) -> Path:
    path = folder / "tls.pem"
    today = datetime.fromtimestamp(now / 1000, UTC)
    if path.exists() and (folder / "ca.pem").exists():
        due = certificates.expiry(path.read_bytes()) - timedelta(days=RENEW_DAYS)
        if today < due:
            return path
    certificates.make(folder, names, new_key, today)
    return path
