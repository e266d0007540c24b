"""DMARC: records, walks, policies, alignment, several authors."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.dmarc import AuthorError, DmarcResult, author_domains, check
from mailstead.wire.dmarc_record import is_dmarc, parse_dmarc
from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Status
from mailstead.wire.message import parse_headers

Zone = dict[str, str | list[str] | Answer]


@pytest.fixture(scope="module")
def judge(drive: Callable[..., Any]):
    """``{domain: its DMARC record}``, and ``{"=name": Answer}`` for the name itself."""

    def run(
        zone: Zone, *authors: str, spf: str | None = None, dkim: tuple[str, ...] = ()
    ) -> DmarcResult:
        def lookup(question: Question) -> Answer:
            if question.type == "A":
                found = zone.get("=" + question.name, NXDOMAIN)
            else:
                assert question.name.startswith("_dmarc.")
                found = zone.get(question.name.removeprefix("_dmarc."), NXDOMAIN)
            if isinstance(found, Answer):
                return found
            texts = found if isinstance(found, list) else [found]
            return Answer(Status.OK, tuple(text.encode() for text in texts))

        return drive(check(authors, spf_domain=spf, dkim_domains=dkim), lookup)

    return run


def test_np_needs_a_name_that_does_not_exist(judge: Any):
    zone = {"a.example": "v=DMARC1; p=quarantine; sp=none; np=reject"}
    assert judge(zone, "x.a.example").policy == "reject"
    # An MX alone, and an empty non-terminal, are NODATA for an address: they exist.
    assert judge(zone | {"=x.a.example": NODATA}, "x.a.example").policy == "none"
    assert judge(zone | {"=x.a.example": FAILED}, "x.a.example").result == "temperror"
    assert judge(zone, "a.example").policy == "quarantine"


@pytest.mark.parametrize(
    ("tags", "exists", "policy"),
    [
        ("p=reject", False, "reject"),
        ("p=reject; sp=quarantine", False, "quarantine"),
        ("p=none; np=reject", True, "none"),
        ("p=none; np=reject; t=y", False, "quarantine"),
    ],
)
def test_policy_below(judge: Any, tags: str, exists: bool, policy: str):
    zone: Zone = {"a.example": f"v=DMARC1; {tags}"}
    if exists:
        zone["=x.a.example"] = NODATA
    assert judge(zone, "x.a.example").policy == policy


def test_flawed_records(judge: Any):
    with_rua = judge({"a.example": "v=DMARC1; p=bogus; rua=mailto:r@a.example"}, "a.example")
    assert (with_rua.result, with_rua.policy, with_rua.disposition) == ("fail", "none", "none")
    assert judge({"a.example": "v=DMARC1; p=bogus"}, "a.example").result == "none"
    assert judge({"a.example": "v=DMARC1; p=reject; sp=x"}, "a.example").result == "none"
    bad_rua = {"a.example": "v=DMARC1; p=bogus; rua=nowhere"}
    assert judge(bad_rua, "a.example").result == "none"


def test_testing_and_trouble(judge: Any):
    result = judge({"a.example": "v=DMARC1; p=reject; t=y"}, "a.example")
    assert (result.result, result.policy, result.disposition) == (
        "fail",
        "quarantine",
        "quarantine",
    )
    trouble = judge({"a.example": FAILED}, "a.example")
    assert (trouble.result, trouble.disposition) == ("temperror", "none")
    # What lies above a psd= is not looked at, not even its trouble.
    stopped = judge({"a.example": "v=DMARC1; p=reject; psd=n", "example": FAILED}, "a.example")
    assert stopped.result == "fail"


def test_alignment(judge: Any):
    relaxed = {"a.example": "v=DMARC1; p=reject"}
    assert judge(relaxed, "x.a.example", spf="y.a.example").spf_aligned == "y.a.example"
    assert judge(relaxed, "x.a.example", dkim=("b.example", "a.example")).result == "pass"
    assert judge(relaxed, "x.a.example", dkim=("xa.example",)).result == "fail"
    assert judge(relaxed, "x.a.example", spf="\u2024").result == "fail"
    own = relaxed | {"y.a.example": "v=DMARC1; p=none; psd=n"}
    both = judge(own, "x.a.example", spf="y.a.example", dkim=("y.a.example",))
    assert both.result == "fail"
    strict = {"a.example": "v=DMARC1; p=reject; adkim=s; aspf=s"}
    assert judge(strict, "a.example", dkim=("x.a.example",), spf="x.a.example").result == "fail"
    assert judge(strict, "a.example", dkim=("A.example.",)).dkim_aligned == "a.example"


def test_trouble_matters_only_without_a_pass(judge: Any):
    zone = {"a.example": "v=DMARC1; p=reject", "y.a.example": FAILED}
    both = judge(zone, "x.a.example", dkim=("y.a.example", "a.example"))
    assert (both.result, both.dkim_aligned) == ("pass", "a.example")
    assert judge(zone, "x.a.example", dkim=("y.a.example",)).result == "temperror"


def test_public_suffix(judge: Any):
    zone = {"bank.example": "v=DMARC1; p=reject; psd=y"}
    result = judge(zone, "www.giant.bank.example", dkim=("giant.bank.example",))
    assert (result.organizational_domain, result.record_domain) == (
        "giant.bank.example",
        "bank.example",
    )
    assert result.result == "pass"
    assert judge(zone, "bank.example").organizational_domain == "bank.example"


def test_several_records(judge: Any):
    two = ["v=DMARC1; p=reject", "v=DMARC1; p=none"]
    assert judge({"a.example": two, "example": "v=DMARC1; p=none"}, "a.example").result == "none"
    above = judge({"a.example": two, "example": "v=DMARC1; p=none"}, "x.a.example")
    assert (above.result, above.record_domain) == ("fail", "example")


def test_several_authors(judge: Any):
    zone = {"a.example": "v=DMARC1; p=quarantine", "b.example": "v=DMARC1; p=reject"}
    both = judge(zone, "a.example", "b.example")
    assert (both.domain, both.disposition) == ("b.example", "reject")
    assert judge(zone, "a.example", "b.example", dkim=("b.example",)).disposition == "quarantine"
    assert judge(zone, "a.example", dkim=("a.example",)).result == "pass"
    assert judge(zone, "a.example", "c.example", dkim=("a.example",)).result == "none"
    assert judge(zone, *[f"{n}.example" for n in range(6)]).result == "permerror"
    assert judge(zone).result == "permerror"
    assert judge(zone, "[192.0.2.1]").result == "permerror"
    assert judge(zone, "\u2024\u2024").result == "permerror"


def test_a_name_is_walked_once():
    asking = check(["a.b.c.example"], spf_domain=None, dkim_domains=[])
    assert [question.name for question in next(asking)] == [
        "_dmarc.a.b.c.example",
        "_dmarc.b.c.example",
        "_dmarc.c.example",
        "_dmarc.example",
    ]


@pytest.mark.parametrize(
    ("field", "domains"),
    [
        (b"From: A <a@A.example>", ("a.example",)),
        (b"From: a@a.example,\r\n b@b.example, c@a.example", ("a.example", "b.example")),
        (b'From: "x@y.example" <a@a.example>', ("a.example",)),
        (b"From: =?utf-8?q?x?= (c) <a@a.example>", ("a.example",)),
        ("From: a@\xe4.example".encode(), ("xn--4ca.example",)),
        (b"From: A. B <a@a.example>", ("a.example",)),
        (b"From: \r\n\ta@a.example", ("a.example",)),
    ],
)
def test_author_domains(field: bytes, domains: tuple[str, ...]):
    assert author_domains(parse_headers(field + b"\r\n\r\n")) == domains


@pytest.mark.parametrize(
    "fields",
    [b"", b"From: a@a.example\r\nFrom: b@b.example\r\n", b"From:\r\n", b"From: nobody\r\n",
     b"From: a@a.example, nobody\r\n", "From: a@\u2024\u2024\r\n".encode()],
)  # fmt: skip
def test_no_author_domain(fields: bytes):
    with pytest.raises(AuthorError):
        author_domains(parse_headers(fields + b"\r\n"))


def test_record():
    record = parse_dmarc(
        b" v = DMARC1 ; P=Reject; p=none; garbage; x=1; psd=N; np=quarantine;"
        b" rua=mailto:A@a.example!10m, https://b.example/x , nothing; ruf=mailto:f@a.example; fo=1;"
    )
    assert dataclasses.asdict(record) | {"text": ""} == {
        "text": "", "policy": "reject", "subdomain_policy": None,
        "nonexistent_policy": "quarantine", "flawed": False, "strict_dkim": False,
        "strict_spf": False, "testing": False, "psd": "n",
        "aggregate": ("mailto:A@a.example", "https://b.example/x"),
        "failure": ("mailto:f@a.example",), "failure_options": "1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        (b"v=DMARC1", True),
        (b"v=DMARC1;p=none", True),
        (b"V=DMARC1; p=none", False),
        (b"v=dmarc1; p=none", False),
        (b"v=DMARC10; p=none", False),
        (b"p=none; v=DMARC1", False),
        (b"v=DMARC1 p=none", False),
        (b"", False),
    ],
)
def test_version(text: bytes, yes: bool):
    assert is_dmarc(text) is yes


@given(st.binary(max_size=60))
def test_any_record_parses(text: bytes):
    assert parse_dmarc(b"v=DMARC1;" + text).policy in {None, "none", "quarantine", "reject"}
