"""Policy evaluation: tables of documents and requests, and the words of refusals."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mail.access import (
    Principal,
    Request,
    Source,
    decide,
    refusal,
    sending_refusal,
)
from mailstead.mail.access_conditions import Condition, filled, glob, operator_parts
from mailstead.mail.errors import Invalid
from mailstead.mail.policies import PolicyKind, parse_policy
from support.policies import ACCOUNT, IDENTITY, USER, asked, document, rule, user


@pytest.mark.parametrize(
    ("statements", "allowed", "explicit"),
    [
        ([], False, False),
        ([rule()], True, False),
        ([rule(Action="ses:*")], True, False),
        ([rule(Action="SES:send*")], True, False),
        ([rule(Action="ses:SendEmai?")], True, False),
        ([rule(Action="ses:SendEmail?")], False, False),
        ([rule(Action="iam:*")], False, False),
        ([rule(Action=None, NotAction="iam:*")], True, False),
        ([rule(Action=None, NotAction=["iam:*", "ses:Send*"])], False, False),
        ([rule(Resource=IDENTITY)], True, False),
        ([rule(Resource=f"arn:aws:ses:*:{ACCOUNT}:identity/*")], True, False),
        ([rule(Resource="arn:aws:ses:us-east-1:*:identity/*")], False, False),
        ([rule(Resource=None, NotResource=IDENTITY)], False, False),
        ([rule(Resource=None, NotResource="arn:aws:s3:::*")], True, False),
        ([rule(), rule(Effect="Deny", Action="ses:SendEmail")], False, True),
        ([rule(Effect="Deny", Action="iam:*"), rule()], True, False),
        ([rule(Resource="arn:aws:ses:*:*:identity/${ses:wanted}")], True, False),
        ([rule(Resource="arn:aws:ses:*:*:identity/${ses:absent}")], False, False),
        ([rule(Resource="arn:aws:ses:*:*:identity/${ses:absent, 'example.com'}")], True, False),
    ],
)
def test_statements(statements: list[dict[str, Any]], allowed: bool, explicit: bool) -> None:
    principal = user(document(*statements)) if statements else user()
    decision = asked(principal, ses__wanted="example.com")
    assert (decision.allowed, decision.explicit) == (allowed, explicit)


CONDITIONS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("StringEquals", {"ses:FromAddress": "a@b.c"}, {"ses__FromAddress": "a@b.c"}, True),
    ("StringEquals", {"ses:fromaddress": ["x", "a@b.c"]}, {"ses__FromAddress": "a@b.c"}, True),
    ("StringEquals", {"ses:FromAddress": "A@b.c"}, {"ses__FromAddress": "a@b.c"}, False),
    ("StringEquals", {"ses:FromAddress": "a@b.c"}, {}, False),
    ("StringEqualsIfExists", {"ses:FromAddress": "a@b.c"}, {}, True),
    ("StringNotEquals", {"ses:FromAddress": "a@b.c"}, {}, True),
    ("StringNotEquals", {"ses:FromAddress": "a@b.c"}, {"ses__FromAddress": "a@b.c"}, False),
    ("StringEqualsIgnoreCase", {"ses:x": "ABC"}, {"ses__x": "abc"}, True),
    ("StringNotEqualsIgnoreCase", {"ses:x": "ABC"}, {"ses__x": "abc"}, False),
    ("StringLike", {"ses:x": "*@example.com"}, {"ses__x": "a@example.com"}, True),
    ("StringLike", {"ses:x": "*@example.com"}, {"ses__x": "a@example.org"}, False),
    ("StringNotLike", {"ses:x": "a*"}, {"ses__x": "abc"}, False),
    ("StringLike", {"ses:x": "${*}b"}, {"ses__x": "*b"}, True),
    ("StringLike", {"ses:x": "${*}b"}, {"ses__x": "ab"}, False),
    ("StringEquals", {"ses:x": "${*}${?}${$}"}, {"ses__x": "*?$"}, True),
    ("StringLike", {"ses:x": "${aws:username}/*"}, {"ses__x": "u/1", "aws__username": "u"}, True),
    ("StringLike", {"ses:x": "${aws:username}"}, {"ses__x": "uv", "aws__username": "u*"}, False),
    ("StringEquals", {"ses:x": "${aws:username}"}, {"ses__x": "u*", "aws__username": "u*"}, True),
    ("NumericEquals", {"ses:ApiVersion": "2"}, {"ses__ApiVersion": "2"}, True),
    ("NumericNotEquals", {"ses:ApiVersion": 2}, {"ses__ApiVersion": "2"}, False),
    ("NumericLessThan", {"ses:n": "10"}, {"ses__n": "9"}, True),
    ("NumericLessThanEquals", {"ses:n": "10"}, {"ses__n": "10"}, True),
    ("NumericGreaterThan", {"ses:n": "10"}, {"ses__n": "10"}, False),
    ("NumericGreaterThanEquals", {"ses:n": "10"}, {"ses__n": "x"}, False),
    ("DateLessThan", {"aws:CurrentTime": "2030-01-01T00:00:00Z"},
     {"aws__CurrentTime": "2026-01-01T00:00:00Z"}, True),
    ("DateGreaterThan", {"aws:EpochTime": "2000000000"},
     {"aws__EpochTime": "2026-01-01T00:00:00Z"}, False),
    ("DateEquals", {"aws:CurrentTime": "never"}, {"aws__CurrentTime": "now"}, False),
    ("DateNotEquals", {"aws:CurrentTime": "never"}, {"aws__CurrentTime": "now"}, True),
    ("Bool", {"aws:SecureTransport": "true"}, {"aws__SecureTransport": "true"}, True),
    ("Bool", {"aws:SecureTransport": True}, {"aws__SecureTransport": "false"}, False),
    ("BinaryEquals", {"ses:x": "QQ=="}, {"ses__x": "QQ=="}, True),
    ("IpAddress", {"aws:SourceIp": "127.0.0.0/8"}, {"aws__SourceIp": "127.0.0.1"}, True),
    ("IpAddress", {"aws:SourceIp": ["10.0.0.1", "::1"]}, {"aws__SourceIp": "::1"}, True),
    ("IpAddress", {"aws:SourceIp": "nonsense"}, {"aws__SourceIp": "::1"}, False),
    ("NotIpAddress", {"aws:SourceIp": "127.0.0.0/8"}, {"aws__SourceIp": "127.0.0.1"}, False),
    ("ArnEquals", {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:user/*"},
     {"aws__PrincipalArn": USER}, True),
    ("ArnLike", {"aws:PrincipalArn": "arn:aws:iam::*:user/u"}, {"aws__PrincipalArn": USER}, True),
    ("ArnLike", {"aws:PrincipalArn": "arn:*:user/u"}, {"aws__PrincipalArn": USER}, False),
    ("ArnNotLike", {"aws:x": "arn:aws:iam::*:user/u"}, {"aws__x": USER}, False),
    ("ArnNotEquals", {"aws:x": "arn:aws:iam::*:role/*"}, {"aws__x": USER}, True),
    ("Null", {"ses:FeedbackAddress": "true"}, {}, True),
    ("Null", {"ses:FeedbackAddress": "false"}, {}, False),
    ("Null", {"ses:FeedbackAddress": False}, {"ses__FeedbackAddress": "x"}, True),
    ("ForAllValues:StringLike", {"ses:Recipients": "*@a.b"},
     {"ses__Recipients": ("x@a.b", "y@a.b")}, True),
    ("ForAllValues:StringLike", {"ses:Recipients": "*@a.b"},
     {"ses__Recipients": ("x@a.b", "y@c.d")}, False),
    ("ForAllValues:StringLike", {"ses:Recipients": "*@a.b"}, {}, True),
    ("ForAnyValue:StringLike", {"ses:Recipients": "*@a.b"},
     {"ses__Recipients": ("x@a.b", "y@c.d")}, True),
    ("ForAnyValue:StringLike", {"ses:Recipients": "*@a.b"}, {"ses__Recipients": ()}, False),
    ("ForAnyValue:StringLikeIfExists", {"ses:Recipients": "*@a.b"}, {}, True),
    ("ForAnyValue:StringNotLike", {"ses:Recipients": "*@a.b"},
     {"ses__Recipients": ("x@a.b", "y@c.d")}, True),
    ("StringNotLike", {"ses:Recipients": "*@a.b"}, {"ses__Recipients": ("x@a.b", "y@c.d")}, False),
    ("StringLike", {"ses:Recipients": "*@a.b"}, {"ses__Recipients": ("x@a.b", "y@c.d")}, True),
]  # fmt: skip


@pytest.mark.parametrize(("operator", "test", "context", "holds"), CONDITIONS)
def test_conditions(
    operator: str, test: dict[str, Any], context: dict[str, Any], holds: bool
) -> None:
    principal = user(document(rule(Condition={operator: test})))
    assert asked(principal, **context).allowed is holds


def test_all_conditions_must_hold() -> None:
    both = {"StringEquals": {"ses:a": "1", "ses:b": "2"}}
    principal = user(document(rule(Condition=both)))
    assert asked(principal, ses__a="1", ses__b="2").allowed
    assert not asked(principal, ses__a="1", ses__b="3").allowed


def test_operators_that_do_not_exist() -> None:
    for name in ("Nonsense", "ForEachValue:StringLike", "NullIfExists", "ForAllValues:Null"):
        assert operator_parts(name) is None


def test_root_is_allowed_and_every_resource_must_be() -> None:
    root = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", is_root=True)
    assert asked(root).allowed
    one = user(document(rule(Resource=IDENTITY)))
    other = IDENTITY.replace("example.com", "other.example")
    decision = decide(one, Request("ses:SendEmail", (IDENTITY, other)))
    assert (decision.allowed, decision.resource) == (False, other)
    assert decide(one, Request("ses:SendEmail", ())).allowed


def resource_policy(kind: PolicyKind = PolicyKind.RESOURCE, **more: Any) -> Any:
    if kind is PolicyKind.TRUST:
        more["Resource"] = None
    return parse_policy(document(rule(**more)), kind)


OTHER = "444455556666"


@pytest.mark.parametrize(
    ("named", "own", "owner", "mandatory", "allowed"),
    [
        ({"AWS": USER}, False, ACCOUNT, False, True),
        ("*", False, ACCOUNT, False, True),
        ({"AWS": ACCOUNT}, False, ACCOUNT, False, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, False, ACCOUNT, False, False),
        ({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, True, ACCOUNT, False, True),
        ({"AWS": [OTHER, ACCOUNT]}, True, ACCOUNT, True, True),
        ({"AWS": OTHER}, True, ACCOUNT, True, False),
        ({"AWS": OTHER}, True, ACCOUNT, False, True),
        ({"AWS": USER}, False, OTHER, False, False),
        ({"AWS": USER}, True, OTHER, False, True),
        ({"AWS": ACCOUNT}, True, OTHER, False, True),
        ({"Service": "ses.amazonaws.com"}, True, OTHER, False, False),
    ],
)
def test_resource_policies(
    named: Any, own: bool, owner: str, mandatory: bool, allowed: bool
) -> None:
    principal = user(document(rule())) if own else user()
    policies = [resource_policy(Principal=named)]
    request = Request("ses:SendEmail", (IDENTITY,))
    decision = decide(principal, request, policies, owner=owner, mandatory=mandatory)
    assert decision.allowed is allowed


def test_the_nearest_name_counts() -> None:
    both = [resource_policy(Principal={"AWS": [USER, ACCOUNT]})]
    again = [*both, resource_policy(Principal={"AWS": ACCOUNT})]
    other = [resource_policy(Principal={"AWS": USER}, Action="ses:GetAccount")]
    request = Request("ses:SendEmail", (IDENTITY,))
    assert decide(user(), request, both).allowed
    assert decide(user(), request, again).allowed
    assert not decide(user(), request, other).allowed
    no_principal = [parse_policy(document(rule()))]
    assert not decide(user(), request, no_principal).allowed


def test_a_resource_policy_denies_even_root() -> None:
    root = Principal(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", is_root=True)
    policies = [resource_policy(Effect="Deny", Principal={"AWS": ACCOUNT})]
    decision = decide(root, Request("ses:SendEmail", (IDENTITY,)), policies)
    assert (decision.explicit, decision.source) == (True, Source.RESOURCE)
    others = [resource_policy(Effect="Deny", Principal=None, NotPrincipal={"AWS": ACCOUNT})]
    assert decide(root, Request("ses:SendEmail", (IDENTITY,)), others).allowed
    assert not decide(user(document(rule())), Request("a:b"), [
        resource_policy(Effect="Deny", Principal=None, NotPrincipal={"AWS": OTHER})
    ]).allowed  # fmt: skip


def test_session_policies_only_take_away() -> None:
    some = (parse_policy(document(rule(Action="ses:Get*"))),)
    whole = user(document(rule()), session=some)
    assert asked(whole, "ses:GetAccount").allowed
    decision = asked(whole)
    assert (decision.allowed, decision.source) == (False, Source.SESSION)
    assert "because no session policy allows" in refusal(whole, decision)
    assert asked(user(session=some), "ses:GetAccount").source is Source.IDENTITY
    denying = user(document(rule()), session=(parse_policy(document(rule(Effect="Deny"))),))
    assert asked(denying).source is Source.SESSION


def test_the_words_of_refusals() -> None:
    principal = user()
    decision = asked(principal)
    assert sending_refusal(principal, decision) == (
        f"User `{USER}' is not authorized to perform `ses:SendEmail' on resource `{IDENTITY}'"
    )
    decision = decide(principal, Request("ses:PutSuppressedDestination"))
    assert refusal(principal, decision) == (
        f"User: {USER} is not authorized to perform: ses:PutSuppressedDestination on resource: * "
        "because no identity-based policy allows the ses:PutSuppressedDestination action"
    )
    denied = user(document(rule(Effect="Deny")))
    assert refusal(denied, asked(denied)).endswith(
        " with an explicit deny in an identity-based policy"
    )


# Documents

VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
SYNTAX = "Syntax errors in policy."


def whole(**more: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [rule()], **more})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{not json", SYNTAX),
        ("[" * 100_000, SYNTAX),
        ("[]", SYNTAX),
        ("{}", SYNTAX),
        (" " * 200_000, SYNTAX),
        (whole(Version="2020-01-01"), SYNTAX),
        (whole(Version=["2012-10-17"]), SYNTAX),
        (document(rule(Effect=["Allow"])), SYNTAX),
        (whole(Comment="x"), SYNTAX),
        (whole(Statement=None), SYNTAX),
        (whole(Statement=[]), SYNTAX),
        (whole(Statement="hello"), SYNTAX),
        ('{"Statement":[{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}]}', SYNTAX),
        (document(rule(Effect=None)), SYNTAX),
        (document(rule(Effect="Maybe")), SYNTAX),
        (document(rule(Extra=1)), SYNTAX),
        (document(rule(NotAction="a:b")), SYNTAX),
        (document(rule(NotResource="*")), SYNTAX),
        (document(rule(Action=123)), SYNTAX),
        (document(rule(Sid=1)), SYNTAX),
        (document(rule(Condition=[])), SYNTAX),
        (document(rule(Condition={"Nonsense": {"a:b": "c"}})), SYNTAX),
        (document(rule(Condition={"Bool": "a"})), SYNTAX),
        (document(rule(Condition={"Bool": {"a:b": [None]}})), SYNTAX),
        (document(rule(Condition={"Bool": {"ab": "c"}})), VENDOR),
        (document(rule(Action=None)), "Policy statement must contain actions."),
        (document(rule(Resource=None)), "Policy statement must contain resources."),
        (document(rule(Resource=[])), "Policy statement must contain resources."),
        (document(rule(Action="")), VENDOR),
        (document(rule(Action="SendEmail")), VENDOR),
        (document(rule(Action=":Send")), "Vendor  is not valid"),
        (document(rule(Action="iam :Get")), "Vendor iam  is not valid"),
        (document(rule(Resource="invalid")), 'Resource invalid must be in ARN format or "*".'),
        (
            document(rule(Resource="s3::bucket/*")),
            'Partition "" is not valid for resource "arn::bucket/*:*:*:*".',
        ),
        (document(rule(Resource="arn:awss3::b/*")), "The policy failed legacy parsing"),
        (
            document(rule(Resource="arn:aws2:s3:::b")),
            'Partition "aws2" is not valid for resource "arn:aws2:s3:::b".',
        ),
        (
            document(rule(Sid="A"), rule(Sid="A")),
            "Statement IDs (SID) in a single policy must be unique.",
        ),
        (
            document(rule(Sid="a-b")),
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the "
            "regular expression [0-9A-Za-z]*",
        ),
        (document(rule(Principal="*")), "Policy document should not specify a principal."),
    ],
)
def test_documents_that_are_no_policy(text: str, words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy(text)
    assert (caught.value.text, caught.value.reason) == (words, "malformed")


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        (PolicyKind.TRUST, {"Principal": "*"}, "Has prohibited field Resource"),
        (PolicyKind.RESOURCE, {}, SYNTAX),
        (PolicyKind.RESOURCE, {"Principal": {}}, SYNTAX),
        (PolicyKind.RESOURCE, {"Principal": {"Nobody": "x"}}, SYNTAX),
        (
            PolicyKind.RESOURCE,
            {"Principal": {"AWS": "arn:aws:iam::1:user/*"}},
            'Invalid principal in policy: "AWS":"arn:aws:iam::1:user/*"',
        ),
    ],
)
def test_principals_that_are_none(kind: PolicyKind, more: dict[str, Any], words: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_policy(document(rule(**more)), kind)
    assert caught.value.text == words


def test_what_documents_may_hold() -> None:
    one = parse_policy('{"Statement":{"Effect":"Allow","Action":"a:b","Resource":"*"}}')
    assert len(one.statements) == 1
    trust = rule(Principal={"Service": "ses.amazonaws.com"}, Resource=None)
    parse_policy(document(trust), PolicyKind.TRUST)
    parse_policy(document(rule(Sid="a b", Principal="*")), PolicyKind.RESOURCE)
    parse_policy(document(rule(Resource="arn:${aws:Partition}:ses:*:*:identity/*")))


@given(st.text(alphabet="ab*?", max_size=12), st.text(alphabet="ab", max_size=12))
def test_globs_match_what_a_plain_search_matches(pattern: str, text: str) -> None:
    def matches(i: int, j: int) -> bool:
        if i == len(pattern):
            return j == len(text)
        if pattern[i] == "*":
            return any(matches(i + 1, k) for k in range(j, len(text) + 1))
        return j < len(text) and pattern[i] in ("?", text[j]) and matches(i + 1, j + 1)

    assert (glob(pattern).fullmatch(text) is not None) == matches(0, 0)


def test_a_glob_of_many_stars_ends() -> None:
    assert glob("*a" * 30 + "*").fullmatch("a" * 29 + "b" * 3000) is None


@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["Version", "Statement", "Effect", "Action", "Resource", "Condition", "Sid",
                         "StringLike", "a:b", "2012-10-17", "Principal"]), inner, max_size=4),
    max_leaves=12,
))  # fmt: skip
def test_garbage_is_refused(value: Any) -> None:
    for kind in PolicyKind:
        with suppress(Invalid):
            parse_policy(json.dumps(value), kind)


def test_variables() -> None:
    assert filled("${aws:a}-${aws:b}", {"aws:a": "1", "aws:b": ("2", "3")}) is None
    assert Condition("StringEquals", "a:b", ("${no:such}",)).holds({"a:b": "x"}) is False


@pytest.mark.parametrize(
    ("named", "limits", "allowed"),
    [
        ("role", (), True),
        ("role", ("ses:*",), True),
        ("role", ("iam:*",), False),
        ("session", ("iam:*",), True),
        ("other", (), False),
    ],
)
def test_a_resources_policy_that_names_a_role(
    named: str, limits: tuple[str, ...], allowed: bool
) -> None:
    """The role's ARN gives what the session's policies leave; the session's own gives all."""
    arns = {
        "role": f"arn:aws:iam::{ACCOUNT}:role/r",
        "session": f"arn:aws:sts::{ACCOUNT}:assumed-role/r/s",
        "other": f"arn:aws:iam::{ACCOUNT}:role/other",
    }
    principal = Principal(
        ACCOUNT,
        arns["session"],
        session=tuple(parse_policy(document(rule(Action=action))) for action in limits),
        role_arn=arns["role"],
    )
    own = parse_policy(document(rule(Principal={"AWS": arns[named]})), PolicyKind.RESOURCE)
    decision = decide(principal, Request("ses:SendEmail", (IDENTITY,)), [own])
    assert decision.allowed is allowed
