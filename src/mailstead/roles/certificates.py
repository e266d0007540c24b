"""Makes the local CA and its leaf (RFC 5280), ECDSA P-256."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_YEARS = 10
LEAF_DAYS = 397
"""What clients accept at most for a leaf."""
LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
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


class Authority:
    """The local CA: its certificate and key, as PEM."""

    def __init__(self, certificate: bytes, key: bytes) -> None:
        self.pem = certificate
        self.key_pem = key
        self.certificate = x509.load_pem_x509_certificate(certificate)
        self.key = _load(key)

    def serves(self, names: Sequence[str], today: datetime) -> bool:
        """Whether it may sign for all these names, for as long as a leaf lives."""
        if today + timedelta(days=LEAF_DAYS) > self.certificate.not_valid_after_utc:
            return False
        try:
            found = self.certificate.extensions.get_extension_for_class(x509.NameConstraints)
        except x509.ExtensionNotFound:
            return False
        trees = found.value.permitted_subtrees or []
        return all(any(_holds(tree, name) for tree in trees) for name in _trees(names))


def authority(pem: bytes, key: bytes) -> Authority | None:
    """A CA read back; None for what is damaged, or does not belong together."""
    try:
        found = Authority(pem, key)
    except ValueError:
        return None
    return found if found.certificate.public_key() == found.key.public_key() else None


def new_authority(names: Sequence[str], key: bytes, today: datetime) -> Authority:
    """A new CA, which can vouch for these names and loopback addresses and for nothing else."""
    return Authority(_pem(_ca(_load(key), names, today)), key)


def new_leaf(ca: Authority, names: Sequence[str], key: bytes, today: datetime) -> bytes:
    """Leaf, CA and key, as TLS ports read them."""
    return _pem(_leaf(ca.certificate, ca.key, _load(key), names, today)) + ca.pem + key


def leaf_serves(pem: bytes, ca: Authority, names: Sequence[str], until: datetime) -> bool:
    """Whether a leaf is of that CA, for these names, and valid until then."""
    try:
        leaf, issuer, *_ = x509.load_pem_x509_certificates(pem)
        _load(pem)
    except ValueError:
        return False
    if issuer != ca.certificate or leaf.not_valid_after_utc < until:
        return False
    found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return set(found.value) == set(map(_general_name, names))


def _trees(names: Sequence[str]) -> list[x509.GeneralName]:
    """What a CA may vouch for: loopback, and these names with all below them."""
    trees: list[x509.GeneralName] = [x509.IPAddress(network) for network in LOOPBACK]
    for name in names:
        found = _general_name(name.removeprefix("*."))
        if isinstance(found, x509.DNSName):
            trees.append(found)
        else:
            address = ip_address(name)
            if not address.is_loopback:
                trees.append(x509.IPAddress(ip_network(address)))
    return list(dict.fromkeys(trees))


def _holds(tree: x509.GeneralName, other: x509.GeneralName) -> bool:
    """Whether one tree holds all of another (RFC 5280 4.2.1.10)."""
    if isinstance(tree, x509.DNSName) and isinstance(other, x509.DNSName):
        return f".{other.value}".endswith(f".{tree.value}")
    return tree == other


def _ca(key: EllipticCurvePrivateKey, names: Sequence[str], today: datetime) -> x509.Certificate:
    name = _subject("mailstead local CA")
    return (
        _builder(key, today, days=365 * CA_YEARS)
        .subject_name(name)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_CA_USAGE, critical=True)
        .add_extension(x509.NameConstraints(_trees(names), None), critical=True)
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
