"""The service's own names in DNS."""

from __future__ import annotations

from typing import Any

import pytest

from mailstead.mail.service import SPF, ServiceNames, ensure_service_key
from mailstead.wire.lookup import Question, Status
from support.world import World


def answer(world: World, name: str, kind: str, names: ServiceNames | None = None) -> Any:
    return world.run((names or ServiceNames()).answer(Question(name, kind), world.store))


def test_the_names_of_the_first_region_carry_none() -> None:
    names = ServiceNames()
    assert names.own_sender == "mailstead.test"
    assert names.mail_from("us-east-1") == "amazonses.com"
    assert names.mail_from("eu-west-1") == "eu-west-1.amazonses.com"
    assert names.message_id_domain("us-east-1") == "email.amazonses.com"
    assert names.message_id_domain("eu-west-1") == "eu-west-1.amazonses.com"
    assert names.feedback_host("eu-west-1") == "feedback-smtp.eu-west-1.amazonses.com"
    assert names.dkim_target("t") == "t.dkim.amazonses.com"
    assert ServiceNames("mail.example").own_sender == "mail.example"


@pytest.mark.parametrize(
    ("name", "held"),
    [("amazonses.com", True), ("x.amazonses.com", True), ("mailstead.test", True),
     ("notamazonses.com", False), ("com", False)],
)  # fmt: skip
def test_which_names_are_ours(name: str, held: bool) -> None:
    assert ServiceNames().holds(name) is held


@pytest.mark.parametrize(
    ("name", "kind", "records"),
    [("amazonses.com", "TXT", (SPF,)),
     ("amazonses.com", "MX", ((10, "feedback-smtp.us-east-1.amazonses.com"),)),
     ("mailstead.test", "A", ("127.0.0.1",)),
     ("eu-west-1.amazonses.com", "MX", ((10, "feedback-smtp.eu-west-1.amazonses.com"),)),
     ("us-gov-east-1.amazonses.com", "TXT", (SPF,)),
     ("feedback-smtp.eu-west-1.amazonses.com", "AAAA", ("::1",)),
     ("_dmarc.amazonses.com", "TXT", (b"v=DMARC1; p=none",))],
)  # fmt: skip
def test_fixed_records(world: World, name: str, kind: str, records: Any) -> None:
    found = answer(world, name, kind)
    assert (found.status, found.records) == (Status.OK, records)


@pytest.mark.parametrize(
    "name",
    ["www.amazonses.com", "_dmarc.x.amazonses.com", "token.dkim.amazonses.com",
     "x._domainkey.amazonses.com", "feedback-smtp.amazonses.com"],
)  # fmt: skip
def test_what_does_not_exist(world: World, name: str) -> None:
    assert answer(world, name, "TXT").status is Status.NXDOMAIN


def test_a_name_without_records_of_the_type(world: World) -> None:
    assert answer(world, "amazonses.com", "NS").status is Status.NODATA


def test_easy_dkim_names_come_and_go_with_their_identity(world: World) -> None:
    identity = world.verified("example.com")
    assert identity.dkim.key is not None
    names = [f"{token}.dkim.amazonses.com" for token in identity.dkim.key.selectors]
    for name in names:
        assert answer(world, name, "TXT").texts == (identity.dkim.key.public.encode(),)
        assert answer(world, name, "A").status is Status.NODATA
    world.run(world.identities.delete(identity.scope, identity.name))
    assert answer(world, names[0], "TXT").status is Status.NXDOMAIN


def test_the_services_own_key_is_made_once(world: World) -> None:
    parts = (world.store, world.clock, world.dice)
    made = world.run(ensure_service_key(*parts))
    assert world.run(ensure_service_key(*parts)) == made
    [selector] = made.key.selectors
    for owner in ("amazonses.com", "mailstead.test"):
        found = answer(world, f"{selector}._domainkey.{owner}", "TXT")
        assert found.texts == (made.key.public.encode(),)
    assert answer(world, "other._domainkey.amazonses.com", "TXT").status is Status.NXDOMAIN
    elsewhere = f"{selector}._domainkey.x.amazonses.com"
    assert answer(world, elsewhere, "TXT").status is Status.NXDOMAIN
