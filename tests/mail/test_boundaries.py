"""Permissions boundaries: what they take away, what is beyond them, and their words."""

from __future__ import annotations

from typing import Any

import pytest

from mailstead.mail.access import Principal, Request, Source, decide, refusal
from mailstead.mail.policies import PolicyKind, parse_policy
from support.policies import ACCOUNT, IDENTITY, USER, asked, document, rule, user


def bounded(allowed: list[dict[str, Any]], bound: list[dict[str, Any]], **more: Any) -> Principal:
    boundary = parse_policy(document(*bound))
    return user(document(*allowed), boundary=boundary, **more)


@pytest.mark.parametrize(
    ("allowed", "bound", "source"),
    [
        ([rule()], [rule()], None),
        ([rule(Action="ses:*")], [rule(Action="ses:Send*")], None),
        ([rule()], [rule(Action="iam:*")], Source.BOUNDARY),
        ([rule(Action="iam:*")], [rule()], Source.IDENTITY),
        ([rule(Action="iam:*")], [rule(Action="s3:*")], Source.IDENTITY),
    ],
)
def test_a_boundary_takes_away(
    allowed: list[dict[str, Any]], bound: list[dict[str, Any]], source: Source | None
) -> None:
    decision = asked(bounded(allowed, bound))
    assert decision.allowed is (source is None)
    assert source is None or (decision.source, decision.explicit) == (source, False)


def test_what_a_boundary_denies_is_denied() -> None:
    who = bounded([rule()], [rule(), rule(Effect="Deny", Action="ses:*")])
    decision = asked(who)
    assert (decision.allowed, decision.explicit) == (False, True)
    assert refusal(who, decision).endswith("with an explicit deny in a permissions boundary")
    # Whatever the resource says.
    grant = parse_policy(
        document(rule(Principal={"AWS": USER}, Resource=IDENTITY)), PolicyKind.RESOURCE
    )
    assert not decide(who, Request("ses:SendEmail", (IDENTITY,)), [grant]).allowed


def test_the_words_of_a_boundary() -> None:
    who = bounded([rule()], [rule(Action="iam:*")])
    assert refusal(who, asked(who)) == (
        f"User: {USER} is not authorized to perform: ses:SendEmail on resource: {IDENTITY} "
        "because no permissions boundary allows the ses:SendEmail action"
    )


def test_what_a_resource_grants_to_a_user_by_name_is_beyond_its_boundary() -> None:
    none = [rule(Action="iam:*")]
    who = bounded(none, none)
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    session = Principal(
        ACCOUNT,
        f"arn:aws:sts::{ACCOUNT}:assumed-role/r/me",
        role_arn=role,
        boundary=parse_policy(document(*none)),
    )
    for principal, name, allowed in (
        (who, USER, True),
        (session, session.arn, True),
        # Through the role it is within the role's boundary.
        (session, role, False),
        # Through the account it is up to the account's own policies.
        (who, f"arn:aws:iam::{ACCOUNT}:root", False),
    ):
        text = document(rule(Principal={"AWS": name}, Resource=IDENTITY))
        grant = parse_policy(text, PolicyKind.RESOURCE)
        found = decide(principal, Request("ses:SendEmail", (IDENTITY,)), [grant])
        assert found.allowed is allowed, name


def test_a_boundary_counts_in_another_account() -> None:
    grant = parse_policy(
        document(rule(Principal={"AWS": USER}, Resource=IDENTITY)), PolicyKind.RESOURCE
    )
    request = Request("ses:SendEmail", (IDENTITY,))
    inside, outside = bounded([rule()], [rule()]), bounded([rule()], [rule(Action="iam:*")])
    assert decide(inside, request, [grant], owner="999900001111").allowed
    assert not decide(outside, request, [grant], owner="999900001111").allowed


def test_a_boundary_and_a_session_both_count() -> None:
    narrow = (parse_policy(document(rule(Action="s3:*"))),)
    decision = asked(bounded([rule()], [rule()], session=narrow))
    assert (decision.allowed, decision.source) == (False, Source.SESSION)
    decision = asked(bounded([rule()], [rule(Action="iam:*")], session=narrow))
    assert (decision.allowed, decision.source) == (False, Source.BOUNDARY)
