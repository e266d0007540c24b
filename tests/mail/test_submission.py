"""The one door out: order of checks, identities, signers, what is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from mailstead.mail import accounts
from mailstead.mail.access import Policy
from mailstead.mail.access_conditions import Context
from mailstead.mail.errors import DomainError, Invalid, NotFound, Refused, Unavailable
from mailstead.mail.messages import Door, Signer
from mailstead.mail.model import MailFrom, Proof, VerificationStatus
from mailstead.mail.submission import Submission, ask_nobody, submit
from mailstead.wire.compose import Draft, Text
from mailstead.wire.message import parse_headers
from support.world import SCOPE, World

RAW = b"From: Ann <a@example.com>\r\nTo: b@x.test\r\nSubject: S\r\n\r\nHi\r\n"


def raw(**changes: Any) -> Submission:
    """A raw message by SMTP."""
    given: dict[str, Any] = {
        "scope": SCOPE,
        "door": Door.SMTP,
        "authorise": ask_nobody,
        "action": "ses:SendRawEmail",
        "source": "a@example.com",
        "to": ("b@x.test",),
        "raw": RAW,
    }
    return Submission(**{**given, **changes})


def simple(**changes: Any) -> Submission:
    """A simple message by the API."""
    sender = changes.get("source", "a@example.com")
    draft = Draft(sender=sender or "", subject=Text("S"), to=("b@x.test",), text=Text("Hi"))
    return raw(**{"door": Door.API, "raw": None, "simple": draft, **changes})


def send(world: World, submission: Submission) -> str:
    return world.run(submit(world.outbound, submission))


@pytest.fixture
def sender(world: World) -> World:
    """Production access and a verified example.com."""
    world.production()
    world.verified("example.com")
    return world


def test_what_is_kept(sender: World) -> None:
    sender.with_service_key()
    message_id = send(sender, raw(to=("b@X.test", "c@y.test", "b@x.test"), tags=(("k", "v"),)))
    first, second = sender.mail()
    message = first.message
    assert (first.recipient.address, second.recipient.address) == ("b@x.test", "c@y.test")
    assert (first.recipient.number, second.recipient.number) == (0, 1)
    assert message.message_id == message_id
    assert (message.door, message.header_from, message.subject) == (
        Door.SMTP,
        "Ann <a@example.com>",
        "S",
    )
    assert message.tags == (("k", "v"),)
    assert [one.domain for one in message.signers] == ["example.com", "amazonses.com"]
    trace = sender.run(sender.store.trace(message_id))
    assert [step.step for step in trace.steps] == ["accepted"]
    assert trace.steps[0].detail == {
        "door": "smtp",
        "from": "Ann <a@example.com>",
        "recipients": ["b@X.test", "c@y.test"],
        "identity": "example.com",
        "size": message.size,
    }


def test_nothing_counts_for_the_demo(sender: World) -> None:
    send(sender, simple(demo=True))
    assert sender.run(sender.limits.sent_last_day(SCOPE)) == 0
    assert sender.mail()[0].message.demo


# The order of checks


def refusal(world: World, submission: Submission) -> DomainError:
    with pytest.raises(DomainError) as caught:
        send(world, submission)
    return caught.value


def deny(
    action: str, resources: Sequence[str], context: Context, policies: Sequence[Policy] = ()
) -> None:
    raise Refused("denied", resource="action", name=action, reason="access-denied")


def test_the_first_check_that_fails_is_the_answer(world: World) -> None:
    """Every check is broken; each is mended in turn, and the next one answers."""
    world.run(accounts.change(world.store, SCOPE, sending=False, production=True, daily_quota=0.0))
    many = tuple(f"u{number}@x.test" for number in range(51))
    long = "n" * 330 + " <a@example.com>"
    broken = {
        "authorise": deny,
        "source": long,
        "to": (*many, "a b@x.test"),
        "configuration_set": "c",
        "raw": b"From: a@example.com\r\nTo: x@y.test\r\nTo: x@y.test\r\n\r\n" + b"x" * 2000,
        "size_limit": 100,
        "tags": (("", ""),),
    }
    texts: list[str | None] = []

    def step(**mended: Any) -> None:
        broken.update(mended)
        texts.append(refusal(world, raw(**broken)).text)

    step()
    step(to=many)
    step(authorise=ask_nobody)
    world.run(accounts.change(world.store, SCOPE, sending=True))
    step()
    step(to=("b@x.test",))
    step(configuration_set=None)
    step(source="a@example.com")
    step(size_limit=10_000)
    step(raw=b"From: a@example.com\r\n\r\n" + b"x" * 2000)
    step(raw=RAW)
    step(tags=())
    world.verified("example.com")
    assert isinstance(texts[0], str)
    assert [text.split(":")[0] if text else text for text in texts] == [
        # A bad address says not on which identity it would be, so IAM is not asked.
        "Email sending has been disabled.",
        "denied",
        "Email sending has been disabled.",
        "Recipient count exceeds 50.",
        "Configuration set <c> does not exist.",
        "Address length is more than 320 characters long",
        "Message length is more than 100 bytes long",
        "Duplicate header 'To'.",
        "Lines may have at most 998 octets and CRLF",
        "The tag name must be specified.",
        "Email address is not verified. The following identities failed the check in region "
        "US-EAST-1",
    ]
    assert refusal(world, raw()).text == "Daily message quota exceeded."
    assert world.mail() == []


def test_syntax_comes_before_the_number_of_recipients(sender: World) -> None:
    many = tuple(f"u{number}@x.test" for number in range(51))
    assert refusal(sender, raw(to=(*many, "a b@x.test"))).text == (
        "Local address contains control or whitespace"
    )


def test_a_simple_message_without_a_sender(sender: World) -> None:
    error = refusal(sender, simple(source=None))
    assert isinstance(error, Invalid)
    assert error.text is None


def test_the_default_set_of_an_identity_applies(sender: World) -> None:
    sender.change("example.com", lambda one: replace(one, configuration_set="own"))
    for name, expected in ((None, "own"), ("named", "named")):
        error = refusal(sender, raw(configuration_set=name))
        assert isinstance(error, NotFound)
        assert error.name == expected


# Identities


@pytest.mark.parametrize(
    ("verified", "address", "passes"),
    [("a@example.com", "a@example.com", True), ("a@example.com", "a+l@EXAMPLE.com", True),
     ("a@example.com", "A@example.com", False), ("a+l@example.com", "a@example.com", False),
     ("example.com", "x@a.b.example.com", True), ("b.example.com", "x@example.com", False)],
)  # fmt: skip
def test_who_is_covered(world: World, verified: str, address: str, passes: bool) -> None:
    world.production()
    world.verified(verified)
    submission = raw(raw=b"From: " + address.encode() + b"\r\n\r\nx", source=None)
    if passes:
        assert send(world, submission)
    else:
        assert isinstance(refusal(world, submission), Refused)


def test_an_unverified_address_under_a_verified_domain_falls_through(sender: World) -> None:
    sender.v2("CreateEmailIdentity", EmailIdentity="a@example.com")
    sender.mail()
    send(sender, raw())
    assert [one.domain for one in sender.mail()[0].message.signers] == ["example.com"]


def test_a_broken_domain_for_recipients_does_not_end_the_sandbox(world: World) -> None:
    world.verified("example.com")
    error = refusal(world, raw(to=("b@x.test", "c@y.test", "d@example.com")))
    assert error.text is not None
    assert error.text.endswith("US-EAST-1: b@x.test, c@y.test")


def test_many_recipients_in_the_sandbox_are_refused_by_number(world: World) -> None:
    many = tuple(f"u{number}@x.test" for number in range(80))
    assert refusal(world, raw(to=many)).text == "Recipient count exceeds 50."


def test_arns_name_identities_of_ours_that_cover_the_sender(sender: World) -> None:
    sender.verified("a@example.com")
    start = "arn:aws:ses:us-east-1:111122223333:identity/"
    send(sender, raw(source_arn=start + "example.com"))
    trace = sender.run(sender.store.trace(sender.mail()[0].message.message_id))
    assert trace.steps[0].detail["identity"] == "example.com"
    for arn in (start + "b.test", start.replace("us-east-1", "eu-west-1") + "example.com", "x"):
        error = refusal(sender, raw(source_arn=arn))
        assert error.reason == "unverified"
        assert str(error.text).endswith(": Ann <a@example.com>")


def test_mail_from_that_must_not_be_replaced(sender: World) -> None:
    custom = MailFrom("m.example.com", reject_on_mx_failure=True)
    sender.change("example.com", lambda one: replace(one, mail_from=custom))
    lost = Proof(VerificationStatus.TEMPORARY_FAILURE)
    for proof in (Proof(VerificationStatus.PENDING), lost):
        sender.change(
            "example.com", lambda one, p=proof: replace(one, mail_from=replace(custom, proof=p))
        )
        assert refusal(sender, raw()).text == "DNS setup for MAIL FROM domain is invalid."


# Signers and reverse paths


def signers(world: World, submission: Submission) -> tuple[Signer, ...]:
    send(world, submission)
    return world.mail()[-1].message.signers


def test_an_address_of_its_own_inherits_its_domains_key(world: World) -> None:
    world.production()
    world.verified("a@example.com")
    assert signers(world, raw()) == ()
    domain = world.verified("example.com")
    assert domain.dkim.key is not None
    [signer] = signers(world, raw())
    selector = domain.dkim.key.selectors[0]
    assert signer == Signer("example.com", selector, "identity:example.com")


def test_a_domain_signs_itself_or_not_at_all(sender: World) -> None:
    pending = Proof(VerificationStatus.PENDING)
    sender.change("example.com", lambda one: replace(one, dkim=replace(one.dkim, proof=pending)))
    assert signers(sender, raw()) == ()


def test_mail_from_of_the_most_specific_identity(sender: World) -> None:
    sender.v2(
        "PutEmailIdentityMailFromAttributes",
        EmailIdentity="example.com",
        MailFromDomain="m.example.com",
    )
    sender.dns.records["m.example.com", "MX"] = ((10, "feedback-smtp.us-east-1.amazonses.com"),)
    sender.look("example.com")
    send(sender, raw())
    sender.verified("a@example.com")
    send(sender, raw())
    assert [one.message.mail_from for one in sender.mail()] == ["m.example.com", "amazonses.com"]


def test_without_service_names(new_world: Callable[..., World]) -> None:
    world = new_world(names=None)
    world.production()
    world.verified("Example.com")
    world.with_service_key()
    message_id = send(world, raw(raw=RAW.replace(b"example.com", b"EXAMPLE.com")))
    [leased] = world.mail()
    assert leased.message.mail_from == "example.com"
    assert [one.domain for one in leased.message.signers] == ["example.com"]
    headers = parse_headers(world.body(leased))
    assert headers.get("message-id") == f"<{message_id}@example.com>".encode()
    assert "feedback-id" not in headers
    assert "x-ses-outgoing" not in headers


# What the store does not keep


@pytest.mark.parametrize("demo", [False, True])
def test_what_was_not_kept_does_not_count(
    sender: World, monkeypatch: pytest.MonkeyPatch, demo: bool
) -> None:
    async def full(_accepted: object) -> None:
        raise Unavailable("the disk is full", full=True)

    monkeypatch.setattr(sender.store, "enqueue", full)
    with pytest.raises(Unavailable):
        send(sender, simple(demo=demo))
    assert sender.run(sender.limits.sent_last_day(SCOPE)) == 0
