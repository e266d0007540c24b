"""SPF's limits and corners, and pyspf judging the same records."""

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Record, Status
from mailstead.wire.spf import SpfResult, check
from mailstead.wire.spf_record import SpfSyntaxError, parse_spf

with warnings.catch_warnings():
    # Its own source has an escape that Python warns of when it compiles it.
    warnings.simplefilter("ignore")
    import spf as pyspf

Zone = dict[str, Any]
IP = "192.0.2.1"


def zone_of(data: Zone) -> Callable[[Question], Answer]:
    """``{"name TYPE": record or records or Answer}``; other types of a known name: NODATA."""
    names = {key.partition(" ")[0] for key in data}

    def lookup(question: Question) -> Answer:
        assert question.name == question.name.lower()
        found = data.get(f"{question.name} {question.type}")
        if found is None:
            return NODATA if question.name in names else NXDOMAIN
        if isinstance(found, Answer):
            return found
        records: list[Record] = found if isinstance(found, list) else [found]
        return Answer(
            Status.OK, tuple(r.encode() if question.type == "TXT" else r for r in records)
        )

    return lookup


@pytest.fixture(scope="module")
def judge(drive: Callable[..., Any]):
    def run(data: Zone, mail_from: str = "user@a.example", ip: str = IP, **more: Any) -> SpfResult:
        asking = check(ip, **({"helo": "mx.a.example", "mail_from": mail_from} | more))
        return drive(asking, zone_of(data))

    return run


def record(text: str) -> Zone:
    return {"a.example TXT": f"v=spf1 {text}"}


@pytest.mark.parametrize(
    ("terms", "result"),
    [
        ("a:void1.example a:void2.example -all", "fail"),
        ("a:void1.example a:void2.example a:void3.example", "permerror"),
        ("a:void1.example mx exists:void3.example", "permerror"),
        ("a:void1.example mx ?ptr", "permerror"),
        ("exists:v1.example exists:v2.example exp=v3.example -all", "fail"),
    ],
)
def test_void_lookups(judge: Any, terms: str, result: str):
    assert judge(record(terms)).result == result


def test_terms(judge: Any):
    ten = " ".join(["a:other.example"] * 10)
    data = {"other.example A": "203.0.113.1", "a.example TXT": f"v=spf1 {ten} -all"}
    assert judge(data).result == "fail"
    assert judge(data | {"a.example TXT": f"v=spf1 {ten} redirect=b.example"}).result == "permerror"
    data["b.example TXT"] = "v=spf1 " + " ".join(["a:other.example"] * 9) + " -all"
    assert judge(data | record("include:b.example -all")).result == "fail"
    data["b.example TXT"] = "v=spf1 " + " ".join(["a:other.example"] * 10) + " -all"
    result = judge(data | record("include:b.example -all"))
    assert (result.result, result.problem) == ("permerror", "over 10 terms that look up")


def test_eleven_mx_hosts(judge: Any):
    data = record("mx") | {"a.example MX": [(n, "h.example") for n in range(11)], "h.example A": IP}
    assert judge(data).result == "permerror"
    assert judge(data | {"a.example MX": [(n, "h.example") for n in range(10)]}).result == "pass"
    assert judge(data | {"a.example MX": [(0, "")]}).result == "neutral"


def test_mx_in_order(judge: Any):
    data = record("mx") | {"a.example MX": [(1, "x.example"), (2, "y.example")]}
    answers = {"x.example A": IP, "y.example A": FAILED}
    assert judge(data | answers).result == "pass"
    assert judge(data | {"x.example A": FAILED, "y.example A": IP}).result == "temperror"


def test_ptr(judge: Any):
    back = {"1.2.0.192.in-addr.arpa PTR": ["other.example", "MX.A.example"], "mx.a.example A": IP}
    assert judge(record("ptr -all") | back).result == "pass"
    assert judge(record("ptr:mx.a.example -all") | back).result == "pass"
    assert judge(record("ptr:other.example -all") | back).result == "fail"
    late = {"1.2.0.192.in-addr.arpa PTR": ["x.example"] * 10 + ["mx.a.example"]}
    assert judge(record("ptr -all") | back | late).result == "fail"
    assert judge(record("ptr -all") | {"1.2.0.192.in-addr.arpa PTR": FAILED}).result == "fail"


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (["other.example", "mx.a.example", "a.example"], "a.example"),
        (["other.example", "mx.a.example"], "mx.a.example"),
        (["other.example"], "other.example"),
        ([], "unknown"),
    ],
)
def test_name_of_the_client(judge: Any, names: list[str], value: str):
    data = record("-all exp=exp.example") | {"exp.example TXT": "%{p} %{S}|%{r}|%{t}|%{c}"}
    data |= {"1.2.0.192.in-addr.arpa PTR": names} if names else {}
    data |= {f"{name} A": IP for name in names}
    result = judge(data, receiver="mx.here.example", now=99)
    assert result.explanation == f"{value} user%40a.example|mx.here.example|99|192.0.2.1"


def test_network_mechanisms(judge: Any):
    assert judge(record("ip4:192.0.2.0/24")).mechanism == "ip4:192.0.2.0/24"
    assert judge(record("ip4:192.0.2.0/24"), ip="::ffff:192.0.2.9").result == "pass"
    assert judge(record("ip6:2001:db8::/32"), ip="2001:db8::1").result == "pass"
    assert judge(record("ip6:2001:db8::/32"), ip=IP).result == "neutral"
    v6 = record("a:h.example//64 -all") | {"h.example AAAA": "2001:db8::ffff"}
    assert judge(v6, ip="2001:db8::1").result == "pass"
    assert judge(v6, ip="2001:db8:1::1").result == "fail"


def test_null_sender_is_postmaster_at_helo(judge: Any):
    data = {"mx.a.example TXT": "v=spf1 exists:%{l}.%{o} -all", "postmaster.mx.a.example A": IP}
    result = judge(data, "")
    assert (result.result, result.sender) == ("pass", "postmaster@mx.a.example")


def test_senders_that_are_not_checked(judge: Any):
    for sender in ("a@[192.0.2.1]", "a@localhost", "a@a..example", "a@-a.example", "a@\u2024.\xe4"):
        assert judge({}, sender).result == "none"
    data = {"xn--4ca.example TXT": "v=spf1 -all"}
    assert judge(data, "a@\xe4.example").result == "fail"
    assert judge(data, "a@xn--4ca.example.").result == "fail"


def test_errors_of_the_record(judge: Any):
    assert judge({"a.example TXT": ["v=spf1 -all", "v=spf1 ?all"]}).result == "permerror"
    assert judge({"a.example TXT": FAILED}).result == "temperror"
    assert judge({}).result == "none"
    assert judge(record("include:none.example")).result == "permerror"
    assert judge(record("redirect=none.example")).result == "permerror"
    assert judge(record("a") | {"a.example A": FAILED}).result == "temperror"
    assert judge({"a.example TXT": Answer(Status.OK, (b"v=spf1 \xff",))}).result == "permerror"


@pytest.mark.parametrize(
    ("text", "explanation"),
    [
        ("plain", "plain"),
        ("100%% of%_%-", "100% of %20"),
        ("%{x}", "default"),
        (["one", "two"], "default"),
        ("\xe4", "default"),
    ],
)
def test_explanations(judge: Any, text: Any, explanation: str):
    data = record("-all exp=exp.example") | {"exp.example TXT": text}
    assert judge(data, default_explanation="default").explanation == explanation


def test_a_long_name_is_cut_from_the_left(judge: Any):
    long = ".".join(["x" * 49] * 6)
    data = record("exists:%{l}.b.example -all")
    shorter = f"{long}.b.example".partition(".")[2].partition(".")[2]
    assert judge(data | {f"{shorter} A": IP}, f"{long}@a.example").result == "pass"


def test_the_null_sender_of_a_literal(judge: Any):
    assert judge({}, "", helo="[192.0.2.1]").result == "none"


@pytest.mark.parametrize(
    "terms",
    [
        "a:", "a:/24", "a/33", "a//129", "a/01", "mx:foo", "ptr/24", "ptr:", "all:x", "all/8",
        "include", "include:", "exists", "exists/24", "ip4", "ip4:", "ip4:1.2.3", "ip4:::1",
        "ip4:192.0.2.1/33", "ip4:192.0.2.1/08", "ip4:192.0.2.1/255.0.0.0", "ip4/192.0.2.1",
        "ip6:192.0.2.1", "ip6:fe80::1%eth0", "ip6:::1/129", "redirect=", "exp=", "redirect=a.b.1",
        "redirect=x.example redirect=x.example", "exp=x.example EXP=x.example",
        "redirect:x.example",
        "x=%{", "x=%{q}", "x=%{c}", "x=%", "a:%{d0}.example", "a:%{d 1}.example", "-", "+", "=x",
        "unknown", "unknown:x", "a:x.example-", "a:x.-example", "a:x.example\x7f", "\ta",
    ],
)  # fmt: skip
def test_syntax_errors(terms: str):
    with pytest.raises(SpfSyntaxError):
        parse_spf(f"v=spf1 ip4:192.0.2.1 {terms}".encode())


@given(st.text("amxipr:/%{}dl.019-+~?= ex", max_size=30))
def test_garbage_is_a_syntax_error_at_most(terms: str):
    with contextlib.suppress(SpfSyntaxError):
        parse_spf(f"v=spf1 {terms}".encode())


TERMS = st.lists(
    st.tuples(
        st.sampled_from(["", "-", "~", "?"]),
        st.sampled_from(
            ["a", "mx", "ptr", "a:h.example", "a:h.example/24", "mx:b.example", "include:b.example",
             "include:c.example", "ip4:192.0.2.0/30", "ip4:203.0.113.1", "exists:%{l}.b.example",
             "a:%{d1r}.example", "include:none.example", "exists:%{ir}.b.example", "ptr:b.example"]
        ),
    ).map("".join),
    max_size=4,
)  # fmt: skip
TAILS = st.sampled_from(["", " -all", " ~all", " redirect=b.example", " redirect=none.example"])
RECORDS = st.tuples(TERMS.map(" ".join), TAILS).map("".join)
HOSTS: Zone = {
    "h.example A": "192.0.2.77",
    "b.example MX": [(1, "h.example"), (2, "mx.b.example")],
    "mx.b.example A": IP,
    "user.b.example A": "127.0.0.2",
    "1.2.0.192.in-addr.arpa PTR": ["mx.b.example"],
    "a.example A": "203.0.113.1",
}


@settings(
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much],
)
@given(first=RECORDS, second=RECORDS, third=RECORDS)
def test_pyspf_agrees(judge: Any, first: str, second: str, third: str):
    # pyspf calls a record that names itself an error before it looks at the rest.
    assume("include:b" not in second and "redirect=b" not in second and "include:c" not in third)
    data = HOSTS | {
        "a.example TXT": f"v=spf1 {first}",
        "b.example TXT": f"v=spf1 {second}",
        "c.example TXT": f"v=spf1 {third}",
    }

    def lookup(name: str, kind: str, *_: Any) -> list[Any]:
        found = data.get(f"{name.lower()} {kind}", [])
        values = found if isinstance(found, list) else [found]
        return [((name, kind), (v.encode(),) if kind == "TXT" else v) for v in values]

    original = pyspf.DNSLookup
    pyspf.DNSLookup = lookup
    try:
        theirs, why = pyspf.check2(IP, "user@a.example", "mx.a.example")
    finally:
        pyspf.DNSLookup = original
    # It counts a redirect where a mechanism matched before it.
    assume("Too many DNS" not in why)
    assert judge(data).result == theirs
