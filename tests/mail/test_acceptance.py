"""The rows that one message becomes."""

import pytest

from mailstead.mail.acceptance import PassedOn, passed_on, recipient_rows
from mailstead.mail.messages import Door
from support.world import SCOPE, START, Dice


def test_recipients_are_numbered_and_their_domains_alike() -> None:
    first, second = recipient_rows(Dice(), ["a@Example.COM", "b@münchen.test"], 7)
    assert (first.number, first.address, first.destination) == (0, "a@example.com", "example.com")
    assert (second.number, second.destination) == (1, "xn--mnchen-3ya.test")
    assert first.id < second.id
    assert first.due == second.due == 7


@pytest.mark.parametrize(
    ("raw", "header_from", "subject"),
    [(b"From: Ann <a@x.test>\r\nSubject: =?utf-8?q?h=C3=A9?=\r\n\r\nbody", "Ann <a@x.test>", "hé"),
     (b"X: y\r\n" * 1001 + b"\r\n", "", "")],
)  # fmt: skip
def test_what_is_passed_on_goes_as_it_is(raw: bytes, header_from: str, subject: str) -> None:
    given = PassedOn(
        SCOPE, Door.MX, "r@x.test", ("b@y.test",), raw, detail=(("peer", "127.0.0.1"),), demo=True
    )
    accepted = passed_on(Dice(), START, given)
    message = accepted.message
    assert (message.header_from, message.subject) == (header_from, subject)
    assert (message.reverse_path, message.mail_from) == ("r@x.test", "r@x.test")
    assert message.message_id.startswith("0100018288804c9f-")
    assert (accepted.raw, message.size, accepted.counted) == (raw, len(raw), 0)
    assert message.demo
    [step] = accepted.steps
    assert step.detail == {
        "door": "mx",
        "from": "r@x.test",
        "recipients": ["b@y.test"],
        "size": len(raw),
        "peer": "127.0.0.1",
    }


def test_a_message_id_may_be_given() -> None:
    given = PassedOn(SCOPE, Door.SYSTEM, "", ("b@y.test",), b"\r\n", message_id="mine")
    assert passed_on(Dice(), START, given).message.message_id == "mine"
