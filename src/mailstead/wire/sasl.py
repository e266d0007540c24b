"""SASL exchanges without a network: PLAIN (RFC 4616) and LOGIN.

The protocol around (SMTP, IMAP, POP3) carries base64 lines; here are the octets
inside. Whether a password is right is decided elsewhere.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass, field


class SaslError(ValueError):
    """An exchange that cannot be read, or that the client gave up."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client claims. `authorization` is the identity to act as, mostly empty."""

    mechanism: str
    username: str
    password: str = field(repr=False)
    authorization: str = ""


_PROMPTS = {"PLAIN": (b"",), "LOGIN": (b"Username:", b"Password:")}

MECHANISMS = tuple(_PROMPTS)
"""The names of the mechanisms, in the order to announce."""


class SaslServer:
    """The server's side of one exchange.

    `step` takes the initial response, or None where there was none, then each
    further one, and gives the next challenge or the credentials.
    """

    def __init__(self, mechanism: str) -> None:
        """`mechanism` is one of `MECHANISMS`, in any case; else `SaslError`."""
        self.mechanism = mechanism.upper()
        if self.mechanism not in _PROMPTS:
            raise SaslError("unknown mechanism")
        self._responses: list[bytes] = []

    def step(self, response: bytes | None) -> bytes | Credentials:
        """Raises `SaslError` for what is no response of the mechanism."""
        prompts = _PROMPTS[self.mechanism]
        if response is not None:
            self._responses.append(response)
        if len(self._responses) < len(prompts):
            return prompts[len(self._responses)]
        parts = self._responses
        if self.mechanism == "PLAIN":
            parts = parts[0].split(b"\0")
            if len(parts) != 3:
                raise SaslError("not three parts")
        try:
            *authorization, username, password = (part.decode("utf-8") for part in parts)
        except UnicodeDecodeError as error:
            raise SaslError("not UTF-8") from error
        if not username or "\0" in username + password:
            raise SaslError("no user name, or a NUL in it")
        return Credentials(self.mechanism, username, password, "".join(authorization))


def decode_response(line: bytes) -> bytes:
    """The octets of a base64 line; ``=`` alone is the empty response (RFC 4954 section 4).

    Raises `SaslError`, also for ``*``, with which the client gives up.
    """
    if line == b"=":
        return b""
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error as error:
        raise SaslError("given up" if line == b"*" else "not base64") from error


def encode_challenge(challenge: bytes) -> str:
    """The base64 text of a challenge."""
    return binascii.b2a_base64(challenge, newline=False).decode("ascii")


def client_responses(mechanism: str, username: str, password: str) -> tuple[bytes, ...]:
    """What a client answers in turn, the first as initial response where it may.

    Raises `SaslError` for an unknown mechanism.
    """
    if mechanism.upper() == "PLAIN":
        return (f"\0{username}\0{password}".encode(),)
    if mechanism.upper() == "LOGIN":
        return (username.encode(), password.encode())
    raise SaslError("unknown mechanism")
