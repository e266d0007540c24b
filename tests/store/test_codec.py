"""Resources as text: whole, sealed, and readable by later versions."""

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Union

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mail.model import Scope, Secret
from mailstead.store import codec
from mailstead.store.sealing import Seal, WrongKey

SCOPE = Scope("000000000000", "us-east-1")


def token(size: int) -> bytes:
    return bytes(range(size))


SEAL = Seal(b"k" * 32, token)
EMPTY = Secret(b"")


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    number: int = 0
    secret: Secret | None = None


@dataclass(frozen=True, slots=True)
class Thing:
    KIND: ClassVar[str] = "thing"
    scope: Scope
    name: str
    text: str = ""
    number: float = 1.5
    flag: bool = False
    raw: bytes = b""
    secret: Secret = EMPTY
    colour: Colour = Colour.RED
    inner: Inner = Inner()
    maybe: Inner | None = None
    inners: tuple[Inner, ...] = ()
    pair: tuple[str, Secret] = ("", EMPTY)
    secrets: dict[str, Secret] = field(default_factory=dict[str, Secret])
    either: Union[int, str] = 0  # noqa: UP007 - both spellings are read
    many: list[int] = field(default_factory=list[int])


texts = st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=20)
secrets = st.binary(max_size=20).map(Secret)
inners = st.builds(Inner, st.integers(), st.none() | secrets)
things = st.builds(
    Thing,
    scope=st.just(SCOPE),
    name=texts,
    text=texts,
    number=st.floats(allow_nan=False),
    flag=st.booleans(),
    raw=st.binary(max_size=20),
    secret=secrets,
    colour=st.sampled_from(Colour),
    inner=inners,
    maybe=st.none() | inners,
    inners=st.lists(inners, max_size=3).map(tuple),
    pair=st.tuples(texts, secrets),
    secrets=st.dictionaries(texts, secrets, max_size=3),
    either=st.integers() | texts,
    many=st.lists(st.integers(), max_size=3),
)


@given(things)
def test_what_goes_in_comes_out(thing: Thing) -> None:
    text = codec.encode(thing, SEAL)
    found = codec.decode(Thing, SCOPE, thing.name, text, SEAL)
    assert found == thing
    assert isinstance(found.secret, Secret)


def test_no_secret_stands_in_the_text() -> None:
    hidden = Secret(b"hidden-hidden")
    thing = Thing(
        SCOPE,
        "n",
        secret=hidden,
        inner=Inner(1, hidden),
        pair=("a", hidden),
        secrets={"b": hidden},
    )
    text = codec.encode(thing, SEAL)
    assert "hidden" not in text
    assert "aGlkZGVu" not in text
    assert "hidden" not in repr(thing)
    assert set(json.loads(text)).isdisjoint({"scope", "name"})


def test_fields_that_an_older_text_lacks_take_their_defaults() -> None:
    found = codec.decode(Thing, SCOPE, "n", '{"text": "old", "inner": {}}', SEAL)
    assert found == Thing(SCOPE, "n", text="old")


def test_fields_that_a_newer_version_knew_are_left_out() -> None:
    found = codec.decode(Thing, SCOPE, "n", '{"text": "new", "later": [1]}', SEAL)
    assert found == Thing(SCOPE, "n", text="new")


def test_a_secret_is_bound_to_its_key_and_its_place() -> None:
    sealed = SEAL.close(b"secret", "thing n")
    assert SEAL.open(sealed, "thing n") == b"secret"
    for seal, place in ((SEAL, "thing m"), (Seal(b"K" * 32, token), "thing n")):
        with pytest.raises(WrongKey, match=f"the secret in {place} was sealed under another"):
            seal.open(sealed, place)
    text = codec.encode(Thing(SCOPE, "n", secret=Secret(b"s")), SEAL)
    with pytest.raises(WrongKey):
        codec.decode(Thing, SCOPE, "other", text, SEAL)


def test_each_sealing_takes_a_new_nonce() -> None:
    tokens = iter((b"a" * 12, b"b" * 12))
    seal = Seal(b"k" * 32, lambda _: next(tokens))
    assert seal.close(b"x", "p") != seal.close(b"x", "p")
