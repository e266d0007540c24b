"""Keys, and a verifier that finds them published."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    generate_private_key as generate_rsa_key,
)

from mailstead.wire.dkim_key import (
    PrivateKey,
    public_record,
)
from mailstead.wire.dkim_verify import DkimResult, verify
from mailstead.wire.lookup import NXDOMAIN, Answer, Question, Status
from support.dkim import NOW


@pytest.fixture(scope="module")
def rsa_key() -> RSAPrivateKey:
    return generate_rsa_key(65537, 2048)


@pytest.fixture(scope="module")
def keys(rsa_key: RSAPrivateKey) -> dict[str, PrivateKey]:
    return {"rsa": rsa_key, "ed": Ed25519PrivateKey.from_private_bytes(bytes(range(32)))}


@pytest.fixture(scope="module")
def check(keys: dict[str, PrivateKey], drive: Callable[..., Any]):
    """Verify with both keys published, or with other records."""
    published = {
        f"{selector}._domainkey.example.com": public_record(key).encode()
        for selector, key in keys.items()
    }

    def run(raw: bytes, now: int = NOW, **others: bytes | Answer) -> list[DkimResult]:
        def zone(question: Question) -> Answer:
            assert question.type == "TXT"
            selector = question.name.partition(".")[0]
            found = others.get(selector) or published.get(question.name)
            if isinstance(found, Answer):
                return found
            return Answer(Status.OK, (found,)) if found else NXDOMAIN

        return drive(verify(raw, now), zone)

    return run
