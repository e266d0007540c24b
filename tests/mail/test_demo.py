"""The demo: made whole, counted nowhere, gone whole."""

from __future__ import annotations

import pytest

from mailstead.mail.demo import ADDRESS, DOMAIN
from mailstead.mail.errors import Conflict, NotFound
from mailstead.mail.model import HostedZone, Identity
from support.post import LOCAL, Post
from support.world import SCOPE


@pytest.fixture
def shown(post: Post) -> Post:
    post.world.with_service_key()
    post.password, post.welcome = post.world.run(post.demo.make())
    return post


def test_the_welcome_waits_signed_for_its_mailbox(shown: Post) -> None:
    run = shown.world.run
    [leased] = shown.world.mail()
    assert leased.recipient.address == ADDRESS
    assert {signer.domain for signer in leased.message.signers} == {DOMAIN, "amazonses.com"}
    prepared = run(shown.deliveries.prepare(leased))
    reply = shown.receive(prepared.data, ADDRESS, client=LOCAL)
    assert reply.code == 250
    [email] = shown.emails()
    assert email.authentication["dkim"] == "pass"
    assert run(shown.mailboxes.opens(ADDRESS, shown.password)) is not None
    assert run(shown.world.store.counted(SCOPE, 0)) == []
    assert run(shown.world.store.statistics(SCOPE, 0)) == []


def test_it_is_made_once_and_goes_whole(shown: Post) -> None:
    run, store = shown.world.run, shown.world.store
    shown.receive(b"Subject: x\r\n\r\n", ADDRESS)
    shown.host("own.test")
    shown.mailbox("me@own.test")
    shown.receive(b"Subject: y\r\n\r\n", "me@own.test")
    with pytest.raises(Conflict):
        run(shown.demo.make())
    assert run(shown.demo.remove()) >= 3
    assert [zone.domain for zone in run(store.select(HostedZone, None))] == ["own.test"]
    assert run(store.select(Identity, None)) == []
    assert [email.mailbox for email in shown.emails()] == ["me@own.test"]
    assert shown.world.mail() == []
    with pytest.raises(NotFound):
        run(shown.demo.remove())


def test_what_is_left_of_it_goes_too(shown: Post) -> None:
    """The identity alone, where somebody deleted the zone."""
    run, store = shown.world.run, shown.world.store
    [zone] = run(store.select(HostedZone, None))
    run(shown.demo.domains.delete(zone.domain))
    if not run(store.select(Identity, None)):
        run(shown.world.identities.create(Identity(SCOPE, DOMAIN, 1, demo=True)))
    assert run(shown.demo.remove()) >= 1
    assert run(store.select(Identity, None)) == []
