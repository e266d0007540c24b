"""The local CA, its leaf, and when they are made anew."""

from __future__ import annotations

import os
import ssl
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from mailstead.roles import certificates
from mailstead.roles.tls import CertificateError, KeyFolder, client_context, server_context
from mailstead.store.disk import write_whole
from support.tls import tls_key

NOW = 1_760_000_000_000
DAY = 86_400_000
NAMES = ("127.0.0.1", "::1", "localhost", "*.localhost", "mail.example", "*.mail.example")


class Folder:
    """A folder of keys that counts what is written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written: list[str] = []
        self.keys = KeyFolder(path, self.write, tls_key)

    def write(self, name: str, content: bytes) -> Path:
        self.written.append(name)
        write_whole(self.path / name, content)
        return self.path / name

    def start(self, names: tuple[str, ...] = NAMES, now: int = NOW) -> list[str]:
        """What a start at that time writes."""
        self.written.clear()
        assert isinstance(server_context(self.keys, "", names, now), ssl.SSLContext)
        return list(self.written)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path)
    assert made.start() == ["ca.key", "ca.pem", "tls.pem"]
    return made


def test_both_are_kept(folder: Folder) -> None:
    assert folder.start() == []
    assert folder.start(now=NOW + 300 * DAY) == []


def test_the_leaf_is_renewed_before_it_ends_and_the_ca_stays(folder: Folder) -> None:
    ca = (folder.path / "ca.pem").read_bytes()
    assert folder.start(now=NOW + 380 * DAY) == ["tls.pem"]
    assert (folder.path / "ca.pem").read_bytes() == ca
    assert folder.start(now=NOW + 380 * DAY) == []
    # A CA that would end before its leaf is made anew.
    assert folder.start(now=NOW + 3400 * DAY) == ["ca.key", "ca.pem", "tls.pem"]


def test_new_names_get_a_new_leaf_and_where_needed_a_new_ca(folder: Folder) -> None:
    assert folder.start((*NAMES, "smtp.mail.example")) == ["tls.pem"]
    assert folder.start((*NAMES, "127.0.0.9")) == ["tls.pem"]
    # What the CA may not vouch for.
    assert folder.start((*NAMES, "notmail.example")) == ["ca.key", "ca.pem", "tls.pem"]
    assert folder.start((*NAMES, "other.example")) == ["ca.key", "ca.pem", "tls.pem"]
    assert folder.start((*NAMES, "192.0.2.1")) == ["ca.key", "ca.pem", "tls.pem"]
    assert folder.start(NAMES) == ["tls.pem"]


@pytest.mark.parametrize("name", ["ca.key", "ca.pem", "tls.pem"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\xff"])
def test_what_is_lost_or_damaged_is_made_anew(
    folder: Folder, name: str, content: bytes | None
) -> None:
    path = folder.path / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    expected = ["tls.pem"] if name == "tls.pem" else ["ca.key", "ca.pem", "tls.pem"]
    assert folder.start() == expected


def test_a_key_of_another_ca_is_noticed(folder: Folder) -> None:
    (folder.path / "ca.key").write_bytes(tls_key())
    assert folder.start() == ["ca.key", "ca.pem", "tls.pem"]


def test_a_ca_without_bounds_is_replaced(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        certificates.x509.Extensions,
        "get_extension_for_class",
        lambda *_: (_ for _ in ()).throw(x509.ExtensionNotFound("none", None)),
    )
    ca = certificates.authority(
        (folder.path / "ca.pem").read_bytes(), (folder.path / "ca.key").read_bytes()
    )
    assert ca is not None
    assert not ca.serves(NAMES, datetime.fromtimestamp(NOW / 1000, UTC))


def test_the_files_are_ours_alone(folder: Folder) -> None:
    for name in ("ca.key", "tls.pem"):
        assert (folder.path / name).stat().st_mode & 0o077 == 0


def test_a_strict_client_verifies_each_name_and_no_other(folder: Folder) -> None:
    chain = x509.load_pem_x509_certificates((folder.path / "tls.pem").read_bytes())
    leaf, ca = chain
    assert leaf.issuer == ca.subject
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    (folder.path / "leaf.pem").write_bytes((folder.path / "tls.pem").read_bytes())
    at = str(NOW // 1000)

    def verify(kind: str, name: str) -> int:
        line = ["openssl", "verify", "-x509_strict", "-attime", at, "-CAfile", "ca.pem"]
        done = subprocess.run(
            [*line, f"-verify_{kind}", name, "leaf.pem"],
            check=False,
            cwd=folder.path,
            capture_output=True,
        )
        return done.returncode

    if not any(os.access(Path(part) / "openssl", os.X_OK) for part in os.get_exec_path()):
        pytest.skip("no openssl command")
    for name in ("localhost", "mail.example", "x.mail.example"):
        assert verify("hostname", name) == 0, name
    for address in ("127.0.0.1", "::1"):
        assert verify("ip", address) == 0, address
    assert verify("hostname", "other.example") != 0


def test_a_certificate_of_ones_own(folder: Folder, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    own.write_bytes((folder.path / "tls.pem").read_bytes())
    assert server_context(folder.keys, str(own), NAMES, NOW)
    own.write_bytes(b"not PEM")
    for path in (own, tmp_path / "missing.pem"):
        with pytest.raises(CertificateError, match=r"tls\.certificate .* can't be read as PEM"):
            server_context(folder.keys, str(path), NAMES, NOW)


def test_towards_receivers_nobody_is_checked() -> None:
    context = client_context()
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname
