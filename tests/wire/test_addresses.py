"""Addresses: SMTP paths by the public suite, mailboxes by SES's texts."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.addresses import (
    Address,
    AddressError,
    Mailbox,
    check_length,
    domain_key,
    parse_address_list,
    parse_mailbox,
    parse_path,
    read_address_list,
)

ENVELOPE = {"VALID_CATEGORY", "DNSWARN", "RFC5321"}


def cases(suites: Path) -> list[tuple[str, str]]:
    file = suites / "address" / "tests.xml"
    if not file.is_file():
        pytest.skip(f"no address suite at {file}")
    found: list[tuple[str, str]] = []
    for test in ElementTree.parse(file).iter("test"):
        category = (test.findtext("category") or "").removeprefix("ISEMAIL_")
        text = test.findtext("address") or ""
        controls = {0x2400 + code: chr(code) for code in range(32)}
        found.append((category, text.translate(controls)))
    return found


@pytest.mark.parametrize("utf8", [False, True])
def test_address_suite(suites: Path, utf8: bool) -> None:
    counts = {"ERR": 0, "envelope": 0}
    for category, text in cases(suites):
        if category in ENVELOPE:
            assert str(parse_path(text, utf8=utf8)).endswith(text.rpartition("@")[2])
            counts["envelope"] += 1
            continue
        counts["ERR"] += category == "ERR"
        with pytest.raises(AddressError):
            parse_path(text, utf8=utf8)
    assert counts == {"ERR": 66, "envelope": 38}


def test_no_error_of_the_suite_passes_as_a_mailbox(suites: Path) -> None:
    for category, text in cases(suites):
        if category == "ERR":
            with pytest.raises(AddressError):
                parse_mailbox(text)
        elif category in {"VALID_CATEGORY", "DNSWARN"}:
            assert parse_mailbox(text).address == parse_path(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<a@b.c>", Address("a", "b.c")),
        (b"a@B.c", Address("a", "B.c")),
        ("<@one.example,@two.example:a@b.c>", Address("a", "b.c")),
        ('"a"@b.c', Address("a", "b.c")),
        (r'"a\ b\"c"@b.c', Address('a b"c', "b.c")),
        ("a@[192.0.2.1]", Address("a", "[192.0.2.1]")),
    ],
)
def test_path(text: str | bytes, expected: Address) -> None:
    assert parse_path(text) == expected
    assert parse_path(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["grün@example.com", "a@exämple.com", '"ü x"@b.c', "用户@例え.jp", "grün@example.com".encode()],
)
def test_utf8_only_where_allowed(text: str | bytes) -> None:
    assert not parse_path(text, utf8=True).is_ascii
    with pytest.raises(AddressError):
        parse_path(text)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff@b.c",
        "a@b\u200b.c",
        "a@" + "ü" * 60 + ".c",
        "a@xn\u00ad--.c",
        "\x85@b.c",
        "a\ud800@b.c",
        "a@" + "ü" * 300,
        "a@[fe80::1]",
        "a@[IPv6:fe80::1%eth0]",
        "a@[1.2.3.4",
        "a@ex_mple.com",
    ],
)
def test_path_refused(text: str | bytes) -> None:
    with pytest.raises(AddressError):
        parse_path(text, utf8=True)


def test_domain_key() -> None:
    assert domain_key("EXAMPLE.com.") == "example.com"
    assert domain_key("Exämple.COM") == "xn--exmple-cua.com"
    assert domain_key("XN--EXMPLE-CUA.com") == "xn--exmple-cua.com"
    assert domain_key("[192.0.2.1]") == "[192.0.2.1]"
    for bad in ("ü" * 300, "\u200d.c", "ü..c"):
        with pytest.raises(AddressError):
            domain_key(bad)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc", "Missing final '@domain'"),
        ("", "Missing final '@domain'"),
        (" ", "Missing final '@domain'"),
        ("()", "Missing final '@domain'"),
        ("Name <abc>", "Missing final '@domain'"),
        ("<>", "Missing final '@domain'"),
        ("@b.c", "Missing local name"),
        ("a@", "Missing domain"),
        ("a b@c.d", "Local address contains control or whitespace"),
        ("a\tb@c.d", "Local address contains control or whitespace"),
        ("a\x07@c.d", "Local address contains control or whitespace"),
        ("grün@c.d", "Local address contains control or whitespace"),
        ('"grün"@c.d', "Local address contains control or whitespace"),
        ("Na\x00me <a@c.d>", "Local address contains control or whitespace"),
        ('"Na\r\nme" <a@c.d>', "Local address contains control or whitespace"),
        ("a\r\nBcc: x@y <a@c.d>", "Local address contains illegal character"),
        ("a(b)c@d.e", "Local address contains illegal character"),
        ("a[b@d.e", "Local address contains illegal character"),
        ("(a@d.e", "Local address contains illegal character"),
        ('a"b"@d.e', "Local address contains illegal character"),
        ('"a"b@d.e', "Local address contains illegal character"),
        ("a\\b@d.e", "Local address contains illegal character"),
        ("a;b@d.e", "Local address contains illegal character"),
        ("Re: me <a@d.e>", "Local address contains illegal character"),
        ("group: a@d.e;", "Local address contains illegal character"),
        ("a@b c.d", "Domain contains control or whitespace"),
        ("a@b\u200b.d", "Domain contains control or whitespace"),
        ("a@exämple.com", "Domain contains control or whitespace"),
        ("a@b_c.d", "Domain contains illegal character"),
        ("a@b@c.d", "Domain contains illegal character"),
        ("a@[1.2.3.4]", "Domain contains illegal character"),
        ("a@-b.c", "Domain contains illegal character"),
        ("Doe, John <a@b.c>", "Illegal address"),
        ("a@b.c, d@e.f", "Illegal address"),
        ("<a@b.c> x", "Illegal address"),
        ("<a@b.c> <d@e.f>", "Illegal address"),
        (".a@b.c", "Local address starts with dot"),
        ("a..b@b.c", "Local address contains dot-dot"),
        ("a.@b.c", "Local address ends with dot"),
        ("a@.b.c", "Domain starts with dot"),
        ("a@b..c", "Domain contains dot-dot"),
        ("a@b.c.", "Domain ends with dot"),
        ('"a@b.c', "Unterminated quote"),
        ("Name <a@b.c", "Missing '>'"),
        ('"a\nb"@c.d', 'Invalid email address "a\nb"@c.d.'),
    ],
)
def test_mailbox_refused_in_the_words_of_ses(text: str, expected: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox(text)
    assert caught.value.text == str(caught.value) == expected


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("a@b", "", Address("a", "b")),
        (" a@b.c ", "", Address("a", "b.c")),
        ("a@b.c,", "", Address("a", "b.c")),
        ("Ünal  Name <a@b.c>", "Ünal Name", Address("a", "b.c")),
        ('"Doe, J. @ x" <a@b.example>', "Doe, J. @ x", Address("a", "b.example")),
        (r'"a \"q\" b" < a@b.c >', 'a "q" b', Address("a", "b.c")),
        ("Name (remark (nested \\) )) <a@b.c> (more)", "Name", Address("a", "b.c")),
        ("a@b.c (Old Name)", "Old Name", Address("a", "b.c")),
        ('"a b"@c.d', "", Address("a b", "c.d")),
        ('x <"a>b"@c.d>', "x", Address("a>b", "c.d")),
        ("=?utf-8?q?=C3=BC?= <a@b.c>", "=?utf-8?q?=C3=BC?=", Address("a", "b.c")),
    ],
)
def test_mailbox(text: str, name: str, address: Address) -> None:
    mailbox = parse_mailbox(text)
    assert mailbox == Mailbox(name, address)
    assert mailbox.written == text.strip()[: len(mailbox.written)]


def test_length_is_in_utf16_units() -> None:
    check_length(parse_mailbox("x" * 312 + " <a@b.c>"[:8]))
    text = "\U0001f600" * 157 + " <a@b.c>"
    with pytest.raises(AddressError) as caught:
        check_length(parse_mailbox(text))
    assert caught.value.text == f"Address length is more than 320 characters long: '{text}'."


def test_list_flattens_groups() -> None:
    value = 'A <a@x.y>,\r\n team: b@x.y, "C, c" <c@x.y>; , d@x.y (D), none:;'
    assert [str(m.address) for m in parse_address_list(value)] == [
        "a@x.y", "b@x.y", "c@x.y", "d@x.y",
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["g: a@b.c", "g: h: a@b.c;", "a@b.c;", "Doe, J <a@b.c>"])
def test_list_refused(value: str) -> None:
    with pytest.raises(AddressError):
        parse_address_list(value)


def test_reading_for_display_keeps_what_is_wrong() -> None:
    boxes = read_address_list('Grün <grün@ü.x>, nobody, "q q"@x.y, <"open@x.y, z@y.x')
    assert [(m.display_name, str(m.address)) for m in boxes] == [
        ("Grün", "grün@ü.x"),
        ("nobody", "nobody"),
        ("", '"q q"@x.y'),
        ("", '"<\\"open@x.y, z"@y.x'),
    ]
    assert read_address_list("undisclosed-recipients:;") == []
    assert [str(m.address) for m in read_address_list("g: h: a@b.c")] == ["a@b.c"]


@given(st.text(st.sampled_from('ab"\\<>()[],:;@. \r\n\tü\x00'), max_size=30))
def test_any_text_is_an_address_or_its_own_error(text: str) -> None:
    for parse in (parse_path, parse_mailbox, parse_address_list):
        with suppress(AddressError):
            parse(text)
    read_address_list(text)


@settings(max_examples=50)
@given(st.text(max_size=20), st.booleans())
def test_any_unicode(text: str, utf8: bool) -> None:
    with suppress(AddressError):
        assert parse_path(str(parse_path(text + "@b.c", utf8=utf8)), utf8=utf8)
    with suppress(AddressError):
        assert domain_key(domain_key(text)).isascii()


@pytest.mark.parametrize("text", ['"\\' * 50_000, "<" * 100_000, "(" * 100_000, "a," * 10_000])
def test_hostile_lists_take_linear_time(text: str) -> None:
    with pytest.raises(AddressError):
        parse_address_list(text)
    read_address_list(text)
