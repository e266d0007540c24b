"""Domain names: text, wire form and back."""

import dns.name
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.domain_name import (
    ROOT,
    DomainNameError,
    canonical_name,
    labels_of,
    name_to_text,
    name_to_wire,
    parent_of,
)

NAMES = {
    "example.test": b"\x07example\x04test\0",
    "Example.TEST.": b"\x07example\x04test\0",
    "*.example.test": b"\x01*\x07example\x04test\0",
    "\\052.example.test": b"\x01*\x07example\x04test\0",
    "_dmarc.example.test": b"\x06_dmarc\x07example\x04test\0",
    "a\\.b.test": b"\x03a.b\x04test\0",
    "a\\056b.test": b"\x03a.b\x04test\0",
    "\\000.test": b"\x01\0\x04test\0",
    "a/b.test": b"\x03a/b\x04test\0",
    "": ROOT,
    ".": ROOT,
}


@pytest.mark.parametrize("text", NAMES)
def test_text_to_wire(text: str) -> None:
    assert name_to_wire(text) == NAMES[text]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Example.TEST.", "example.test"),
        ("example.test", "example.test"),
        ("*.Example.test.", "\\052.example.test"),
        ("a/b.test", "a\\057b.test"),
        (".", ""),
    ],
)
def test_names_are_kept_in_one_form(text: str, kept: str) -> None:
    assert canonical_name(text) == kept


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a..test", "DomainLabelEmpty (Domain label is empty)"),
        (".test", "DomainLabelEmpty (Domain label is empty)"),
        ("..", "DomainLabelEmpty (Domain label is empty)"),
        ("a" * 64 + ".test", "DomainLabelTooLong (Domain label is too long)"),
        (".".join(["a" * 60] * 5), "DomainTooLong (Domain name is too long)"),
        (".".join(["a" * 49] * 5) + ".bbbb", "DomainTooLong (Domain name is too long)"),
        ("a b.test", "UnsupportedCharacter (Value contains unsupported characters)"),
        ("münchen.test", "UnsupportedCharacter (Value contains unsupported characters)"),
        ("a\\08.test", "UnsupportedCharacter (Value contains unsupported characters)"),
        ("a\\", "UnsupportedCharacter (Value contains unsupported characters)"),
    ],
)
def test_what_is_no_name(text: str, problem: str) -> None:
    with pytest.raises(DomainNameError) as caught:
        name_to_wire(text)
    assert caught.value.text == f"FATAL problem: {problem} encountered with '{text}'"


def test_the_longest_name() -> None:
    text = ".".join(["a" * 49] * 5) + ".bbb"
    assert len(name_to_wire(text)) == 255
    assert canonical_name(text) == text


def test_labels_and_parents() -> None:
    wire = name_to_wire("mx.example.test")
    assert labels_of(wire) == [b"mx", b"example", b"test"]
    assert name_to_text(parent_of(wire)) == "example.test"


@given(st.lists(st.binary(min_size=1, max_size=63), max_size=3))
def test_every_label_comes_back(labels: list[bytes]) -> None:
    wire = b"".join(bytes((len(label),)) + label for label in labels) + ROOT
    text = name_to_text(wire)
    assert name_to_wire(text) == dns.name.from_wire(wire, 0)[0].canonicalize().to_wire()
    assert canonical_name(text + ".") == text


@given(st.text())
def test_garbage_is_a_name_or_an_error(text: str) -> None:
    try:
        wire = name_to_wire(text)
    except DomainNameError:
        return
    assert name_to_wire(name_to_text(wire)) == wire
