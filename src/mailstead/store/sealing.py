"""Secrets on their way to the database: AES-256-GCM under ``DIR/secret.key``."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailstead.mail.model import Secret

NONCE = 12


class WrongKey(Exception):
    """The database was written under another ``secret.key``."""


class Seal:
    """Seals and opens secrets; each is bound to the resource that holds it."""

    def __init__(self, key: bytes, token: Callable[[int], bytes]) -> None:
        self._cipher = AESGCM(key)
        self._token = token

    def close(self, secret: bytes, place: str) -> str:
        """The sealed form, base64."""
        nonce = self._token(NONCE)
        return b64encode(nonce + self._cipher.encrypt(nonce, secret, place.encode())).decode()

    def open(self, sealed: str, place: str) -> Secret:
        """The secret again; WrongKey when key or place differ."""
        raw = b64decode(sealed)
        try:
            return Secret(self._cipher.decrypt(raw[:NONCE], raw[NONCE:], place.encode()))
        except InvalidTag:
            text = f"the secret in {place} was sealed under another secret.key"
            raise WrongKey(text) from None
