"""The DKIM keys of identities."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mailstead.mail import dkim
from mailstead.mail.errors import Invalid
from mailstead.mail.identities import ask_token
from mailstead.mail.model import Identity, Proof, VerificationStatus
from support.world import HOUR, SCOPE, START, World, rsa_key

S = VerificationStatus
DOMAIN = "example.com"


def text_of(key: ec.EllipticCurvePrivateKey) -> str:
    form = PrivateFormat.PKCS8
    return b64encode(key.private_bytes(Encoding.DER, form, NoEncryption())).decode()


# 512 bits, made for these tests.
SHORT_KEY = (
    "MIIBOQIBAAJBAJqAu1rXz+7Z7bXAUP2sohJ4TUSRMHoBvYrJxDzyZQX63xte8hauGCmeoTWWXG39lpR/m+Vwww1iMa/4"
    "kEqNQekCAwEAAQJAOZYfvuVPeDw8EJFE3rg4lF/IlPT0t5Tse81mWj0SkF5z8NzFEd5iRnd3jSmbJOPau/LtviY0jl/D"
    "mMzNmDqAbQIhAM2/3pcLVQRZFj+VoKRyw4Alzt+7s718GmOeewnNB6HzAiEAwDzBaDC3MtkZB2pEoaSQ64n5UEzI43AY"
    "x9OhyGEJJ7MCIHAicCgWDwHNo+iHngPCYHaJJJSfcjiFWMSObTRMQCqtAiBJCcxiDcBNLXb4/kM9Nw1osG9tNv9Mipaf"
    "taTOQS/9SQIgac378OXD3epYg01WLSUJUUNt8nRn8OSrECvwZxEjXLc="
)


def own(world: World, text: str | None = None, selector: str = "own") -> dkim.Dkim:
    return dkim.external(world.identities, selector, text or rsa_key(1024, 0).decode())


def test_a_key_of_the_owners(world: World) -> None:
    found = own(world)
    assert found.key is not None
    assert (found.enabled, found.origin, found.key.selectors, found.key.bits) == (
        True,
        "EXTERNAL",
        ("own",),
        1024,
    )
    assert found.key.public.startswith("v=DKIM1; k=rsa; p=")


@pytest.mark.parametrize("selector", ["", "a.b"])
def test_selectors_that_are_none(world: World, selector: str) -> None:
    with pytest.raises(Invalid, match="one label"):
        own(world, selector=selector)


@pytest.mark.parametrize(
    "text",
    ["AAAA", b64encode(b"e" * 32).decode(), text_of(ec.generate_private_key(ec.SECP256R1())),
     f"-----BEGIN PRIVATE KEY-----\n{rsa_key(1024, 0).decode()}\n-----END PRIVATE KEY-----"],
    ids=["garbage", "ed25519", "ec", "pem"],
)  # fmt: skip
def test_keys_that_are_refused(world: World, text: str) -> None:
    with pytest.raises(Invalid, match="private key"):
        own(world, text)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [512, 3072])
def test_keys_of_other_lengths(world: World, bits: int) -> None:
    text = SHORT_KEY if bits == 512 else rsa_key(bits, 0).decode()
    with pytest.raises(Invalid, match="private key"):
        own(world, text)


def test_an_address_shows_the_nearest_domain_that_has_a_key(world: World) -> None:
    def shown(name: str) -> dkim.Dkim:
        return world.run(dkim.shown(world.identities, world.identity(name)))

    address = world.verified("a@m.example.com")
    assert shown(address.name) == address.dkim
    world.run(ask_token(world.identities, SCOPE, "m.example.com"))
    parent = world.verified(DOMAIN)
    assert shown(address.name) == parent.dkim
    assert shown(DOMAIN) == parent.dkim
    assert shown("m.example.com").key is None


def tokens(world: World) -> Identity:
    return world.run(dkim.tokens(world.identities, SCOPE, DOMAIN))


def test_tokens_begin_the_proofs_that_had_not_begun(world: World) -> None:
    world.run(ask_token(world.identities, SCOPE, DOMAIN))
    found = tokens(world)
    assert found.dkim.enabled
    assert found.dkim.key is not None
    assert (found.proof.status, found.dkim.proof.status) == (S.PENDING, S.PENDING)
    assert tokens(world) == found


def test_tokens_look_anew_for_what_failed(world: World) -> None:
    made = tokens(world)
    world.clock.time += 72 * HOUR
    world.look(DOMAIN)
    assert world.status(DOMAIN) == (S.FAILED, S.FAILED)
    found = tokens(world)
    assert found.dkim.key == made.dkim.key
    assert found.dkim.proof == found.proof == Proof(S.PENDING, since=world.clock.time)


def easy(world: World, bits: int | None = None) -> Identity:
    return world.run(dkim.use_easy(world.identities, world.identity(DOMAIN), bits))


def bring(world: World) -> Identity:
    identity = world.identity(DOMAIN)
    key = rsa_key(1024, 0).decode()
    return world.run(dkim.bring_key(world.identities, identity, "own", key))


def test_a_new_key_leaves_the_right_to_send(world: World) -> None:
    old = world.verified(DOMAIN)
    world.clock.time += HOUR
    found = easy(world, 1024)
    assert found.proof == old.proof
    assert found.dkim.proof == Proof(S.PENDING, since=world.clock.time)
    assert found.dkim.switched == world.clock.time
    assert not found.granted


def test_the_rule_of_24_hours(world: World) -> None:
    world.verified(DOMAIN)
    with pytest.raises(Invalid, match="2048 bits already"):
        easy(world, 2048)
    easy(world, 1024)
    world.clock.time += 24 * HOUR - 1
    with pytest.raises(Invalid, match="once in 24 hours"):
        easy(world, 2048)
    world.clock.time += 1
    easy(world, 2048)
    with pytest.raises(Invalid, match="once in 24 hours"):
        easy(world, 1024)


def test_from_own_key_to_easy_and_back(world: World) -> None:
    world.verified(DOMAIN)
    assert bring(world).dkim.origin == "EXTERNAL"
    world.change(DOMAIN, lambda one: replace(one, dkim=replace(one.dkim, enabled=False)))
    back = easy(world)
    assert (back.dkim.origin, back.dkim.next_bits, back.dkim.enabled) == ("AWS_SES", 2048, False)
    assert back.dkim.key is not None
    assert back.dkim.key.made_at == START
    assert easy(world) == back


def test_easy_beside_a_token(world: World) -> None:
    world.run(ask_token(world.identities, SCOPE, DOMAIN))
    found = easy(world, 1024)
    assert found.dkim.enabled
    assert found.dkim.key is not None
    assert found.dkim.key.bits == 1024


def test_signing_of_what_is_unknown(world: World) -> None:
    def switch(name: str, *, enabled: bool = True) -> None:
        world.run(dkim.set_signing(world.identities, SCOPE, name, enabled=enabled))

    for name in (DOMAIN, f"a@{DOMAIN}"):
        with pytest.raises(Invalid, match=r"Domain example\.com is not verified for DKIM signing"):
            switch(name)
    world.verified(f"a@{DOMAIN}")
    with pytest.raises(Invalid):
        switch(f"a@{DOMAIN}")
    world.verified(DOMAIN)
    switch(f"a@{DOMAIN}", enabled=False)
    assert world.identity(DOMAIN).dkim.enabled
    switch(DOMAIN, enabled=False)
    assert not world.identity(DOMAIN).dkim.enabled
