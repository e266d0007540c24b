"""PLAIN and LOGIN."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.sasl import (
    MECHANISMS,
    Credentials,
    SaslError,
    SaslServer,
    client_responses,
    decode_response,
    encode_challenge,
)


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("initial", [True, False])
def test_exchange(mechanism: str, initial: bool) -> None:
    server = SaslServer(mechanism.lower())
    challenges: list[bytes] = []
    responses: list[bytes | None] = [*client_responses(mechanism, "ü@x", "p w")]
    result: bytes | Credentials = b""
    for response in responses if initial else [None, *responses]:
        result = server.step(response)
        if isinstance(result, bytes):
            challenges.append(result)
    assert result == Credentials(mechanism, "ü@x", "p w")
    assert "p w" not in repr(result)
    expected = {"PLAIN": [b""], "LOGIN": [b"Username:", b"Password:"]}[mechanism]
    assert challenges == expected[initial:]


def test_prompts_as_clients_know_them() -> None:
    assert encode_challenge(b"Username:") == "VXNlcm5hbWU6"
    assert encode_challenge(b"Password:") == "UGFzc3dvcmQ6"


def test_authorization_identity() -> None:
    assert SaslServer("PLAIN").step(b"z\0u\0p") == Credentials("PLAIN", "u", "p", "z")


@pytest.mark.parametrize("response", [b"", b"u\0p", b"\0\0p", b"a\0b\0c\0d", b"\0\xff\0p"])
def test_plain_refused(response: bytes) -> None:
    with pytest.raises(SaslError):
        SaslServer("PLAIN").step(response)


def test_login_refused() -> None:
    server = SaslServer("LOGIN")
    server.step(b"u\0")
    with pytest.raises(SaslError):
        server.step(b"p")


def test_unknown_mechanism() -> None:
    with pytest.raises(SaslError):
        SaslServer("CRAM-MD5")
    with pytest.raises(SaslError):
        client_responses("CRAM-MD5", "u", "p")


def test_base64_lines() -> None:
    assert decode_response(b"=") == b""
    assert decode_response(b"") == b""
    assert decode_response(b"AHUAcA==") == b"\0u\0p"
    for bad in (b"*", b"A", b"AHUA cA==", b"\xff"):
        with pytest.raises(SaslError):
            decode_response(bad)


@given(st.sampled_from(MECHANISMS), st.lists(st.binary(max_size=12), max_size=3))
def test_garbage(mechanism: str, responses: list[bytes]) -> None:
    server = SaslServer(mechanism)
    with suppress(SaslError):
        for response in responses:
            if isinstance(server.step(response), Credentials):
                break
