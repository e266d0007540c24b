"""Sending authorisation policies of identities."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailstead.mail import sending_policies
from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from support.world import SCOPE, World

ARN = sending_policies.identity_arn(SCOPE, "example.com")


def document(**changes: Any) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ses:SendEmail", "Resource": ARN}
    kept = {name: value for name, value in {**statement, **changes}.items() if value is not None}
    return json.dumps({"Statement": [kept]})


@pytest.fixture
def domain(world: World) -> World:
    world.verified("example.com")
    return world


def put(world: World, name: str, text: str, *, exists: bool | None = None) -> None:
    identity = world.identity("example.com")
    world.run(sending_policies.put(world.identities, identity, name, text, exists=exists))


def test_policies_are_kept_and_read(domain: World) -> None:
    put(domain, "p", document(), exists=False)
    with pytest.raises(Conflict, match="Policy <p> already exists"):
        put(domain, "p", document(), exists=False)
    with pytest.raises(NotFound, match="Policy <q> does not exist"):
        put(domain, "q", document(), exists=True)
    put(domain, "p", document(Effect="Deny"), exists=True)
    put(domain, "q", document())
    identity = domain.identity("example.com")
    effects = [one.statements[0].allow for one in sending_policies.policies_of(identity)]
    assert effects == [False, True]
    for name in ("p", "nobody"):
        identity = domain.identity("example.com")
        domain.run(sending_policies.remove(domain.identities, identity, name))
    assert set(domain.identity("example.com").policies) == {"q"}


@pytest.mark.parametrize(
    "text",
    ["x", document(Sid="s" * 4096), document(Resource="*"), document(Resource=[ARN, ARN + "x"]),
     document(Resource=None, NotResource=ARN), document(Action="ses:GetAccount"),
     document(Action=["ses:SendEmail", "*"]), document(Action=None, NotAction="ses:SendEmail")],
)  # fmt: skip
def test_policies_that_are_refused(domain: World, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        put(domain, "p", text)
    assert caught.value.resource == "policy"


def test_names_and_number(domain: World) -> None:
    for name in ("", "a b", "n" * 65):
        with pytest.raises(Invalid, match="Invalid policy name"):
            put(domain, name, document())
    for number in range(20):
        put(domain, f"p{number}", document())
    put(domain, "p0", document())
    with pytest.raises(Limit, match="exceeds max allowed number"):
        put(domain, "p20", document())
