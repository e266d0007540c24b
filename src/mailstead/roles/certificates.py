"""Makes the local CA and its leaf (RFC 5280), ECDSA P-256."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_YEARS = 10
LEAF_DAYS = 397
"""What clients accept at most for a leaf."""
_CA_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    crl_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


def expiry(pem: bytes) -> datetime:
    """When the first certificate of a chain ends."""
    return x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc


def make(folder: Path, names: Sequence[str], new_key: Callable[[], bytes], today: datetime) -> None:
    """Write ``tls.pem`` (leaf, CA, key), under a CA that is made where it is missing."""
    ca_path, key_path = folder / "ca.pem", folder / "ca.key"
    if not (ca_path.exists() and key_path.exists()):
        ca_pem = new_key()
        _private(key_path, ca_pem)
        ca_path.write_bytes(_pem(_ca(_load(ca_pem), today)))
    ca = x509.load_pem_x509_certificate(ca_path.read_bytes())
    leaf_pem = new_key()
    leaf = _leaf(ca, _load(key_path.read_bytes()), _load(leaf_pem), names, today)
    _private(folder / "tls.pem", _pem(leaf) + ca_path.read_bytes() + leaf_pem)


def _ca(key: EllipticCurvePrivateKey, today: datetime) -> x509.Certificate:
    name = _subject("mailstead local CA")
    return (
        _builder(key, today, days=365 * CA_YEARS)
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _leaf(
    ca: x509.Certificate,
    ca_key: EllipticCurvePrivateKey,
    key: EllipticCurvePrivateKey,
    names: Sequence[str],
    today: datetime,
) -> x509.Certificate:
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return (
        _builder(key, today, days=LEAF_DAYS)
        .subject_name(_subject(names[0]))
        .issuer_name(ca.subject)
        .add_extension(x509.SubjectAlternativeName(map(_general_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=False)
        .add_extension(issuer, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(key: EllipticCurvePrivateKey, today: datetime, days: int) -> x509.CertificateBuilder:
    # A day back, for clients whose clock is behind.
    return (
        x509.CertificateBuilder()
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=days))
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _subject(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _load(pem: bytes) -> EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, EllipticCurvePrivateKey)
    return key


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
