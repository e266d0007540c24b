"""Identities: names, coverage, making, MAIL FROM, tags."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mail.errors import Conflict, Invalid, NotFound
from mailstead.mail.identities import (
    Identities,
    ask_token,
    canonical,
    check_tags,
    cover_names,
    dkim_names,
    domain_name,
    email_address,
    is_verified,
    set_mail_from,
    signs,
    status_of,
)
from mailstead.mail.model import Dkim, Identity, MailFrom, Proof, VerificationStatus
from mailstead.mail.service import DkimName
from mailstead.wire.addresses import Address
from support.world import HOUR, SCOPE, START, World

S = VerificationStatus


@pytest.mark.parametrize(
    ("given", "kept"),
    [("Example.COM", "example.com"), (" example.com. ", "example.com"),
     ("A.B@Example.COM", "A.B@example.com"), ("bücher.test", "xn--bcher-kva.test"),
     ("_x.example.com", "_x.example.com")],
)  # fmt: skip
def test_names_are_kept_in_one_form(given: str, kept: str) -> None:
    assert canonical(given) == kept


@pytest.mark.parametrize(
    "given",
    ["", "com", "a b.test", "a@", "@b.test", "Ann <a@b.test>", '"a"@b.test', "-x.test",
     "x" * 64 + ".test", "\udc80.test"],
)  # fmt: skip
def test_what_is_no_name(given: str) -> None:
    with pytest.raises(Invalid, match=r"Invalid (email address|domain name)<"):
        canonical(given)


@given(st.text(max_size=40))
def test_any_text_is_a_name_or_invalid(text: str) -> None:
    try:
        kept = canonical(text)
    except Invalid:
        return
    assert canonical(kept) == kept


def test_addresses_and_domains_are_told_apart() -> None:
    assert email_address("a@b.test") == "a@b.test"
    assert domain_name("b.test") == "b.test"
    for function, bad in ((email_address, "b.test"), (domain_name, "a@b.test")):
        with pytest.raises(Invalid):
            function(bad)


@pytest.mark.parametrize(
    ("address", "names"),
    [(Address("a+x+y", "M.Example.com"),
      ["a+x+y@m.example.com", "a@m.example.com", "m.example.com", "example.com", "com"]),
     (Address("+x", "b.test"), ["+x@b.test", "b.test", "test"]),
     (Address("a", "b"), ["a@b", "b"])],
)  # fmt: skip
def test_what_covers_an_address(address: Address, names: list[str]) -> None:
    assert cover_names(address) == names


def test_covering_gives_the_most_specific_first(world: World) -> None:
    for name in ("example.com", "m.example.com", "a@m.example.com"):
        world.verified(name)
    found = world.run(world.identities.covering(SCOPE, Address("a+l", "m.example.com")))
    assert [one.name for one in found] == ["a@m.example.com", "m.example.com", "example.com"]


def test_making_one_twice(world: World) -> None:
    identity = Identity(SCOPE, "example.com", START)
    made = world.run(world.identities.create(identity))
    assert made.dkim.enabled
    assert len(dkim_names(made)) == 3
    with pytest.raises(Conflict, match=r"Email identity example\.com already exist\."):
        world.run(world.identities.create(identity))
    with pytest.raises(NotFound, match=r"Email identity x\.test does not exist\."):
        world.run(world.identities.delete(SCOPE, "x.test"))


def test_a_change_moves_the_published_names(world: World) -> None:
    old = world.verified("example.com")
    assert old.dkim.key is not None
    key = world.run(world.identities.easy_key(1024))
    new = world.change("example.com", lambda one: replace(one, dkim=replace(one.dkim, key=key)))

    def names(identity: Identity) -> list[object]:
        return [world.run(world.store.find(DkimName, one.name)) for one in dkim_names(identity)]

    assert names(old) == [None] * 3
    assert all(names(new))
    unchanged = world.change("example.com", lambda one: one)
    assert unchanged == new
    external = replace(new, dkim=replace(new.dkim, origin="EXTERNAL"))
    assert dkim_names(external) == []


def test_a_change_of_what_somebody_changed(world: World) -> None:
    old = world.verified("example.com")
    world.change("example.com", lambda one: replace(one, feedback_forwarding=False))
    with pytest.raises(Conflict):
        world.run(world.identities.change(old, replace(old, tags={"a": "b"})))


def test_what_is_woken(world: World) -> None:
    async def scene() -> bool:
        waiting = asyncio.ensure_future(world.wakeups.watch("identities").wait(5))
        await asyncio.sleep(0)
        await world.identities.create(Identity(SCOPE, "example.com", START))
        return await waiting

    assert world.run(scene())


@pytest.mark.parametrize(
    ("proof", "token", "status", "verified"),
    [(S.NOT_STARTED, S.NOT_STARTED, S.NOT_STARTED, False),
     (S.FAILED, S.PENDING, S.PENDING, False),
     (S.PENDING, S.SUCCESS, S.SUCCESS, True),
     (S.TEMPORARY_FAILURE, S.PENDING, S.TEMPORARY_FAILURE, True),
     (S.FAILED, S.NOT_STARTED, S.FAILED, False)],
)  # fmt: skip
def test_the_better_proof_counts(proof: S, token: S, status: S, verified: bool) -> None:
    identity = Identity(SCOPE, "x.test", 0, proof=Proof(proof), token_proof=Proof(token))
    assert status_of(identity) is status
    assert is_verified(identity) is verified


def test_what_signs(world: World) -> None:
    identity = world.verified("example.com")
    assert signs(identity)
    for dkim in (
        replace(identity.dkim, enabled=False),
        replace(identity.dkim, proof=Proof(S.PENDING)),
        Dkim(enabled=True, proof=Proof(S.SUCCESS)),
    ):
        assert not signs(replace(identity, dkim=dkim))
    lost = replace(identity.dkim, proof=Proof(S.TEMPORARY_FAILURE))
    assert signs(replace(identity, dkim=lost))


def test_tokens_of_the_first_version(world: World) -> None:
    def ask(name: str) -> Identity:
        return world.run(ask_token(world.identities, SCOPE, name))

    with pytest.raises(Invalid, match=r"Invalid domain name<a@b\.test>\."):
        ask("a@b.test")
    made = ask("example.com")
    assert made.dkim.key is None
    assert (made.proof.status, made.token_proof.status) == (S.NOT_STARTED, S.PENDING)
    assert ask("example.com") == made
    world.verified("b.test")
    added = ask("b.test")
    assert added.token
    assert added.token_proof.status is S.PENDING
    assert ask("b.test") == added
    world.clock.time += 72 * HOUR
    assert world.look("b.test").token_proof.status is S.FAILED
    assert ask("b.test").token_proof == Proof(S.PENDING, since=world.clock.time)


# MAIL FROM


def set_domain(world: World, domain: str, *, reject: bool = False) -> MailFrom | None:
    identity = world.identity("example.com")
    done = set_mail_from(world.identities, identity, domain, reject=reject)
    return world.run(done).mail_from


def test_mail_from_keeps_its_proof_until_it_failed(world: World) -> None:
    world.verified("example.com")
    made = set_domain(world, "m.example.com")
    assert made == MailFrom("m.example.com", proof=Proof(S.PENDING, since=START))
    world.clock.time += HOUR
    kept = set_domain(world, "M.example.com.", reject=True)
    assert kept == replace(made, reject_on_mx_failure=True)
    world.clock.time += 71 * HOUR
    failed = world.look("example.com").mail_from
    assert failed is not None
    assert failed.proof.status is S.FAILED
    again = set_domain(world, "m.example.com")
    assert again is not None
    assert again.proof == Proof(S.PENDING, since=world.clock.time)
    other = set_domain(world, "n.example.com")
    assert other is not None
    assert other.domain == "n.example.com"
    assert set_domain(world, "") is None
    for bad in ("example.com", "m.other.test", "a@m.example.com"):
        with pytest.raises(Invalid, match="is not subdomain of the domain of the identity"):
            set_domain(world, bad)


def test_mail_from_of_an_address_lies_under_its_domain(world: World) -> None:
    identity = world.verified("a@example.com")
    done = set_mail_from(world.identities, identity, "m.example.com", reject=False)
    assert world.run(done).mail_from is not None


def test_mail_from_where_all_verifies_at_once(world: World) -> None:
    parts: Identities = replace(world.identities, automatic=True)
    identity = world.verified("example.com")
    found = world.run(set_mail_from(parts, identity, "m.example.com", reject=True)).mail_from
    assert found is not None
    assert found.proof.status is S.SUCCESS


# Tags


def test_tags_within_their_limits() -> None:
    check_tags({str(number): "v" * 256 for number in range(50)})
    check_tags({"k" * 128: ""})


@pytest.mark.parametrize(
    "tags", [{"": "v"}, {"k" * 129: "v"}, {"k": "v" * 257}, {"Aws:k": "v"},
             {str(number): "" for number in range(51)}]
)  # fmt: skip
def test_tags_beyond_them(tags: dict[str, str]) -> None:
    with pytest.raises(Invalid):
        check_tags(tags)
