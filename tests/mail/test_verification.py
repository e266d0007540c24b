"""Looking in DNS, and at links, for the proofs that identities need."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from mailstead.mail import dkim
from mailstead.mail.errors import NotFound
from mailstead.mail.identities import ask_token, set_mail_from
from mailstead.mail.model import Confirmation, Dkim, Identity, Proof, VerificationStatus
from mailstead.mail.verification import dkim_found, exchange_found, judged, link_name, next_look
from mailstead.wire.lookup import FAILED, NXDOMAIN, Answer, Status
from support.world import HOUR, SCOPE, START, World

S = VerificationStatus
DOMAIN = "example.com"
MINUTE = 60_000
MX = "feedback-smtp.us-east-1.amazonses.com"


# The life of one proof


@pytest.mark.parametrize(
    ("status", "found", "hours", "then"),
    [(S.PENDING, True, 1, S.SUCCESS), (S.PENDING, False, 71, S.PENDING),
     (S.PENDING, None, 71, S.PENDING), (S.PENDING, False, 72, S.FAILED),
     (S.PENDING, None, 72, S.FAILED), (S.SUCCESS, True, 500, S.SUCCESS),
     (S.SUCCESS, None, 500, S.SUCCESS), (S.SUCCESS, False, 1, S.TEMPORARY_FAILURE),
     (S.TEMPORARY_FAILURE, False, 71, S.TEMPORARY_FAILURE),
     (S.TEMPORARY_FAILURE, False, 72, S.FAILED), (S.TEMPORARY_FAILURE, True, 71, S.SUCCESS),
     (S.FAILED, True, 1, S.FAILED), (S.NOT_STARTED, True, 1, S.NOT_STARTED)],
)  # fmt: skip
def test_what_a_look_makes_of_a_proof(status: S, found: bool | None, hours: int, then: S) -> None:
    now = START + hours * HOUR
    proof = judged(Proof(status, since=START), found, now)
    assert proof.status is then
    if status not in (S.FAILED, S.NOT_STARTED):
        assert proof.checked == now
    assert (proof.proven == now) is (then is S.SUCCESS and found is True)
    assert proof.since == (START if then is status else now)


def test_looks_become_rarer() -> None:
    def proofs(checks: int, status: S = S.PENDING) -> Identity:
        proof = Proof(status, checked=START, checks=checks)
        return Identity(SCOPE, DOMAIN, START, proof=proof)

    waits = [(next_look(proofs(checks)) - START) // MINUTE for checks in range(9)]
    assert waits == [1, 2, 5, 10, 20, 30, 60, 60, 60]
    assert next_look(proofs(0, S.SUCCESS)) == START + HOUR
    assert next_look(proofs(0, S.FAILED)) == 0


def test_the_soonest_of_several_proofs() -> None:
    late, soon = Proof(S.SUCCESS, checked=START), Proof(S.PENDING, checked=START)
    identity = Identity(SCOPE, DOMAIN, START, proof=late, token_proof=soon)
    assert next_look(identity) == START + MINUTE


@pytest.mark.parametrize(
    ("answer", "found"),
    [(Answer(Status.OK, ((10, MX),)), True), (Answer(Status.OK, ((20, MX),)), True),
     (Answer(Status.OK, ((10, MX), (20, "mx.other"))), False), (NXDOMAIN, False), (FAILED, None)],
)  # fmt: skip
def test_exactly_one_mx(answer: Answer, found: bool | None) -> None:
    assert exchange_found(answer, MX) is found


def test_without_a_key_nothing_is_found() -> None:
    assert dkim_found(Dkim(), []) is False


# A domain


@pytest.fixture
def domain(world: World) -> World:
    """A pending domain whose records are not in DNS."""
    world.run(world.identities.create(Identity(SCOPE, DOMAIN, START)))
    return world


def test_a_domain_by_the_clock(domain: World) -> None:
    assert domain.status(DOMAIN) == (S.PENDING, S.PENDING)
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.PENDING, S.PENDING)
    domain.dns.publish(domain.identity(DOMAIN))
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.SUCCESS, S.SUCCESS)
    domain.dns.records.clear()
    domain.dns.broken = True
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.SUCCESS, S.SUCCESS)
    domain.dns.broken = False
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.TEMPORARY_FAILURE, S.TEMPORARY_FAILURE)
    domain.clock.time += 72 * HOUR
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.FAILED, S.FAILED)
    domain.dns.publish(domain.identity(DOMAIN))
    assert domain.look(DOMAIN) == domain.identity(DOMAIN)
    assert domain.status(DOMAIN) == (S.FAILED, S.FAILED)


def test_it_fails_after_72_hours(domain: World) -> None:
    domain.clock.time += 72 * HOUR
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.FAILED, S.FAILED)


@pytest.mark.parametrize("record", [b"v=DKIM1; p=", b"v=DKIM1; k=rsa; p=AAAA", b"nonsense"])
def test_all_three_names_carry_our_key(domain: World, record: bytes) -> None:
    identity = domain.identity(DOMAIN)
    domain.dns.publish(identity)
    assert identity.dkim.key is not None
    name = f"{identity.dkim.key.selectors[2]}._domainkey.{DOMAIN}"
    domain.dns.records[name, "TXT"] = (record,)
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.PENDING, S.PENDING)


def test_an_exchange_of_keys_leaves_the_right_to_send(domain: World) -> None:
    domain.dns.publish(domain.identity(DOMAIN))
    domain.look(DOMAIN)
    domain.run(dkim.use_easy(domain.identities, domain.identity(DOMAIN), 1024))
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.SUCCESS, S.PENDING)
    domain.dns.publish(domain.identity(DOMAIN))
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.SUCCESS, S.SUCCESS)


def test_an_exchange_that_fails_takes_it_away_like_a_loss(domain: World) -> None:
    domain.dns.publish(domain.identity(DOMAIN))
    domain.look(DOMAIN)
    domain.run(dkim.use_easy(domain.identities, domain.identity(DOMAIN), 1024))
    domain.clock.time += 72 * HOUR
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.SUCCESS, S.FAILED)
    domain.look(DOMAIN)
    assert domain.status(DOMAIN) == (S.TEMPORARY_FAILURE, S.FAILED)


def test_the_token_alone(world: World) -> None:
    identity = world.run(ask_token(world.identities, SCOPE, DOMAIN))
    name = (f"_amazonses.{DOMAIN}", "TXT")
    world.dns.records[name] = (b"other",)
    assert world.look(DOMAIN).token_proof.status is S.PENDING
    world.dns.records[name] = (b"other", identity.token.encode())
    found = world.look(DOMAIN)
    assert found.token_proof.status is S.SUCCESS
    assert (found.proof, found.dkim.proof) == (Proof(), Proof())
    world.dns.broken = True
    assert world.look(DOMAIN).token_proof.status is S.SUCCESS


@pytest.mark.parametrize("name", [DOMAIN, f"a@{DOMAIN}"])
def test_the_mail_from_domain_of_both_kinds(world: World, name: str) -> None:
    world.verified(name)
    identity = world.identity(name)
    identity = world.run(set_mail_from(world.identities, identity, f"m.{DOMAIN}", reject=False))
    assert next_look(replace(identity, proof=Proof())) == MINUTE
    world.dns.records[f"m.{DOMAIN}", "MX"] = ((10, MX),)
    mail_from = world.look(name).mail_from
    assert mail_from is not None
    assert mail_from.proof.status is S.SUCCESS


def test_the_mx_without_service_names(new_world: Callable[..., World]) -> None:
    world = new_world(names=None)
    world.run(set_mail_from(world.identities, world.verified(DOMAIN), "m.example.com", reject=True))
    world.dns.records["m.example.com", "MX"] = ((10, "mail.example"),)
    mail_from = world.look(DOMAIN).mail_from
    assert mail_from is not None
    assert mail_from.proof.status is S.SUCCESS


def test_what_was_granted_is_not_looked_for(world: World) -> None:
    world.verified(DOMAIN)
    world.verified(DOMAIN)
    world.clock.time += 100 * HOUR
    world.look(DOMAIN)
    assert world.dns.asked == []
    assert world.status(DOMAIN) == (S.SUCCESS, S.SUCCESS)


def test_granting_what_has_no_key(world: World) -> None:
    world.run(ask_token(world.identities, SCOPE, DOMAIN))
    world.verified(DOMAIN)
    assert world.status(DOMAIN) == (S.SUCCESS, S.NOT_STARTED)
    assert world.verified("a@x.test").proof.holds


def test_a_change_during_a_look_is_kept(domain: World) -> None:
    old = domain.identity(DOMAIN)
    domain.change(DOMAIN, lambda one: replace(one, feedback_forwarding=False))
    assert domain.run(domain.verification.look(old)) == old
    assert domain.identity(DOMAIN).feedback_forwarding is False


# An address


def link(world: World, address: str = "a@x.test") -> str:
    return world.run(world.verification.new_link(SCOPE, address))


@pytest.fixture
def address(world: World) -> World:
    """A pending address."""
    world.run(world.identities.create(Identity(SCOPE, "a@x.test", START)))
    return world


def test_a_link_works_once(address: World) -> None:
    secret = link(address)
    assert secret not in repr(address.run(address.store.select(Confirmation, SCOPE)))
    found = address.run(address.verification.confirm(secret))
    assert found == address.identity("a@x.test")
    assert found.proof == Proof(S.SUCCESS, since=START, proven=START)
    with pytest.raises(NotFound, match="used already"):
        address.run(address.verification.confirm(secret))


def test_a_link_lives_24_hours(address: World) -> None:
    secret = link(address)
    address.clock.time += 24 * HOUR
    with pytest.raises(NotFound, match="older than 24 hours"):
        address.run(address.verification.confirm(secret))
    with pytest.raises(NotFound, match="used already"):
        address.run(address.verification.confirm(secret))
    assert address.look("a@x.test").proof.status is S.FAILED
    assert address.look("a@x.test").proof.status is S.FAILED


def test_until_then_the_address_waits(address: World) -> None:
    address.clock.time += 24 * HOUR - 1
    assert address.look("a@x.test").proof.status is S.PENDING
    address.run(address.verification.confirm(link(address)))
    address.clock.time += 1000 * HOUR
    assert address.look("a@x.test").proof.status is S.SUCCESS


def test_links_that_nobody_opened_are_swept(address: World) -> None:
    old = link(address)
    address.clock.time += 24 * HOUR
    link(address)
    names = [one.name for one in address.run(address.store.select(Confirmation, SCOPE))]
    assert len(names) == 1
    assert link_name(old) not in names


def test_a_link_of_an_identity_that_is_gone(address: World) -> None:
    secret = link(address)
    address.run(address.identities.delete(SCOPE, "a@x.test"))
    with pytest.raises(NotFound):
        address.run(address.verification.confirm(secret))


def test_nothing_is_looked_for_where_all_verifies_at_once(new_world: Callable[..., World]) -> None:
    world = new_world(automatic=True)
    world.run(world.identities.create(Identity(SCOPE, DOMAIN, START)))
    world.clock.time += 1000 * HOUR
    world.look(DOMAIN)
    assert world.status(DOMAIN) == (S.SUCCESS, S.SUCCESS)
    assert world.dns.asked == []
