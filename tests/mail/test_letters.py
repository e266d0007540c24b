"""Mail that the service itself writes."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from mailstead.mail.model import Identity, Proof, VerificationStatus
from mailstead.wire.message import parse_headers
from support.world import ACCOUNT, CONSOLE, HOUR, SCOPE, START, World


def link_in(body: bytes) -> str:
    """The one line that is a link."""
    lines = body.decode().split("\r\n")
    [found] = [line for line in lines if line.startswith("http")]
    number = lines.index(found)
    assert lines[number - 1] == lines[number + 1] == ""
    return found


def test_the_mail_with_the_link(world: World) -> None:
    world.with_service_key()
    identity = world.run(world.letters.verify_address(SCOPE, "A+b@X.test"))
    assert identity.name == "A+b@x.test"
    assert identity.proof == Proof(VerificationStatus.PENDING, since=START)
    [leased] = world.mail()
    message, raw = leased.message, world.body(leased)
    assert (message.reverse_path, message.mail_from) == ("no-reply@mailstead.test",) * 2
    assert [one.domain for one in message.signers] == ["mailstead.test"]
    headers = parse_headers(raw)
    assert headers.get("from") == b"no-reply@mailstead.test"
    assert headers.get("message-id") == f"<{message.message_id}@mailstead.test>".encode()
    assert headers.get("auto-submitted") == b"auto-generated"
    assert b"amazon" not in raw.lower()
    for fact in ("A+b@x.test", ACCOUNT, "us-east-1", "24 hours"):
        assert fact in raw.decode()

    link = link_in(raw)
    parts = urlsplit(link)
    assert link.startswith(f"{CONSOLE}/verify?")
    query = parse_qs(parts.query)
    token = query.pop("Token")[0]
    assert query == {
        "Context": [ACCOUNT],
        "Identity.IdentityName": ["A+b@x.test"],
        "Identity.IdentityType": ["EmailAddress"],
        "Operation": ["ConfirmVerification"],
        "Namespace": ["Bacon"],
    }
    confirmed: Identity = world.run(world.verification.confirm(token))
    assert confirmed.proof.holds


def test_it_counts_nowhere_and_passes_the_sandbox(world: World) -> None:
    world.run(world.letters.verify_address(SCOPE, "a@x.test"))
    assert world.v1("GetSendQuota")["SentLast24Hours"] == 0
    assert world.v1("GetSendStatistics")["SendDataPoints"] == []


def test_asking_again_after_it_failed(world: World) -> None:
    world.run(world.letters.verify_address(SCOPE, "a@x.test"))
    world.clock.time += 24 * HOUR
    assert world.look("a@x.test").proof.status is VerificationStatus.FAILED
    again = world.run(world.letters.verify_address(SCOPE, "a@x.test"))
    assert again.proof == Proof(VerificationStatus.PENDING, since=world.clock.time)
    assert len(world.mail()) == 2


def test_what_is_proven_is_not_asked(world: World, new_world: Callable[..., World]) -> None:
    world.verified("a@x.test")
    world.run(world.letters.verify_address(SCOPE, "a@x.test"))
    assert world.mail() == []
    automatic = new_world(automatic=True)
    assert automatic.run(automatic.letters.verify_address(SCOPE, "a@x.test")).proof.holds
    assert automatic.mail() == []


def test_without_a_service_key_a_letter_is_unsigned(world: World) -> None:
    message_id = world.run(world.letters.send(SCOPE, "a@x.test", "Grüße", "text"))
    [leased] = world.mail()
    assert (leased.message.message_id, leased.message.signers) == (message_id, ())
