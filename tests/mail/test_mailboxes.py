"""Mailboxes of people: made, opened, found by what is written."""

from __future__ import annotations

import re

import pytest

from mailstead.mail.errors import Conflict, Invalid, NotFound
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.passwords import hash_password, matches
from support.post import Post


@pytest.fixture
def boxes(post: Post) -> Mailboxes:
    post.host("example.test")
    return post.mailboxes


def test_a_mailbox_is_made_and_opened(post: Post, boxes: Mailboxes) -> None:
    run = post.world.run
    made = run(boxes.add("You@Example.test", None))
    assert re.fullmatch("[a-z2-7]{20}", made)
    user = run(boxes.opens("YOU@example.TEST", made))
    assert user.address == "you@example.test"
    for wrong in (made[:-1], "", made.upper()):
        assert run(boxes.opens("you@example.test", wrong)) is None
    for nobody in ("me@example.test", "no address", ""):
        assert run(boxes.opens(nobody, made)) is None
    assert run(boxes.set_password("you@example.test", "my own")) is None
    assert run(boxes.opens("you@example.test", made)) is None
    assert run(boxes.opens("you@example.test", "my own")) is not None
    other = run(boxes.set_password("you@example.test", None))
    assert other
    assert run(boxes.opens("you@example.test", other)) is not None
    assert run(boxes.add("second@example.test", "given")) is None


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("you@elsewhere.test", NotFound, "`mailstead domain add elsewhere.test` first"),
        ("you", Invalid, "you: Missing final"),
        ("a b@example.test", Invalid, "illegal character"),
        ("you@example.test", Conflict, "exists already"),
        ("YOU@EXAMPLE.test", Conflict, "exists already"),
    ],
)
def test_what_is_no_mailbox(
    post: Post, boxes: Mailboxes, address: str, error: type[Exception], words: str
) -> None:
    post.mailbox("you@example.test")
    with pytest.raises(error, match=words):
        post.world.run(boxes.add(address, "x"))


@pytest.mark.parametrize(
    ("written", "owner"),
    [
        ("you@example.test", "you@example.test"),
        ("you+a+b@example.test", "you@example.test"),
        ("You+@example.test", "you@example.test"),
        ("you+own@example.test", "you+own@example.test"),
        ("+you@example.test", None),
        ('"you+x"@example.test', None),
        ('"two words"@example.test', '"two words"@example.test'),
        ("me@example.test", None),
    ],
)
def test_whose_an_address_is(post: Post, boxes: Mailboxes, written: str, owner: str | None) -> None:
    post.mailbox("you@example.test", "you+own@example.test", '"two words"@example.test')
    found = post.world.run(boxes.owner(written))
    assert (found.address if found else None) == owner


def test_a_domain_receives_once_it_has_a_mailbox(post: Post, boxes: Mailboxes) -> None:
    run = post.world.run
    assert not run(boxes.receives("example.test"))
    assert run(boxes.eldest()) is None
    assert run(boxes.eldest("example.test")) is None
    post.mailbox("b@example.test", "a@example.test")
    assert run(boxes.receives("example.test"))
    assert not run(boxes.receives("elsewhere.test"))
    assert run(boxes.eldest()).address == "b@example.test"
    assert run(boxes.eldest("example.test")).address == "b@example.test"


def test_passwords_are_hashed_slowly_and_compared_whole() -> None:
    hashed = hash_password("pass\ud800wörd", b"0123456789abcdef")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert matches(hashed, "pass\ud800wörd")
    assert not matches(hashed, "passwörd")
    for broken in ("", "$argon2id$", "plain", hashed[:-4]):
        assert not matches(broken, "x")
