"""Reading what somebody wants to send."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.mail.errors import Invalid
from mailstead.mail.messages import Door
from mailstead.mail.outgoing import Draft, Submission, check_tags, read
from mailstead.mail.submission import ask_nobody
from mailstead.wire import compose
from mailstead.wire.compose import Attachment, Text
from support.world import SCOPE


def submission(**given: Any) -> Submission:
    return Submission(SCOPE, Door.API, ask_nobody, **given)


def raw(message: str | bytes, **given: Any) -> Draft:
    octets = message if isinstance(message, bytes) else message.encode()
    return read(submission(raw=octets, **given), "b")


def simple(source: str | None = "a@b.test", **given: Any) -> Draft:
    parts = {name: given.pop(name) for name in ("headers", "attachments", "reply_to", "text")
             if name in given}  # fmt: skip
    draft = compose.Draft(sender=source or "", subject=Text("S"), **parts)
    return read(submission(source=source, simple=draft, **given), "b")


def refusal(work: Any) -> str | None:
    with pytest.raises(Invalid) as caught:
        work()
    return caught.value.text


def texts(mailboxes: Any) -> list[str]:
    return [str(one.address) for one in mailboxes]


# Raw


def test_who_is_who_in_a_raw_message() -> None:
    draft = raw(
        "From: A <a@x.test>, b@x.test\nSender: s@x.test\nReply-To: r@x.test\n"
        "Return-Path: <p@x.test>\nTo: t@x.test\nCc: c@x.test\nBcc: u@x.test\n\nx",
        source="e@x.test",
    )
    assert texts(draft.senders) == ["a@x.test", "b@x.test", "e@x.test", "s@x.test"]
    assert texts(draft.return_paths) == ["e@x.test", "p@x.test", "a@x.test"]
    assert str(draft.feedback.address) == "e@x.test"
    assert texts(draft.recipients) == ["t@x.test", "c@x.test", "u@x.test"]
    assert texts(draft.reply_to) == ["r@x.test"]


@pytest.mark.parametrize(
    ("given", "feedback"),
    [({}, "p@x.test"), ({"source": "s@x.test"}, "s@x.test"),
     ({"source": "s@x.test", "feedback": "f@x.test"}, "f@x.test")],
)  # fmt: skip
def test_where_bounces_of_a_raw_message_go(given: dict[str, str], feedback: str) -> None:
    draft = raw("From: a@x.test\nReturn-Path: <p@x.test>\nTo: t@x.test\n\nx", **given)
    assert str(draft.feedback.address) == feedback


def test_a_null_return_path_is_none() -> None:
    draft = raw("From: a@x.test\nReturn-Path: <>\nTo: t@x.test\n\nx")
    assert str(draft.feedback.address) == "a@x.test"


def test_request_recipients_stand_for_the_headers() -> None:
    draft = raw("From: a@x.test\nTo: nonsense\nCc: @@\n\nx", to=("b@x.test",), bcc=("c@x.test",))
    assert texts(draft.recipients) == ["b@x.test", "c@x.test"]


def test_control_fields_and_parameters() -> None:
    fields = (
        "X-SES-CONFIGURATION-SET: h\nX-Ses-Configuration-Set: second\n"
        "X-SES-MESSAGE-TAGS: a=b , c = d=e\nX-SES-SOURCE-ARN: s\nX-SES-FROM-ARN: f\n"
    )
    draft = raw(f"From: a@x.test\n{fields}To: t@x.test\n\nx")
    assert draft.configuration_set == "h"
    assert draft.tags == (("a", "b"), ("c", "d=e"))
    assert draft.arns == {"s", "f"}
    draft = raw(
        f"From: a@x.test\n{fields}To: t@x.test\n\nx",
        configuration_set="p",
        tags=(("k", "v"),),
        source_arn="S",
        from_arn="F",
    )
    assert (draft.configuration_set, draft.tags, draft.arns) == ("p", (("k", "v"),), {"S", "F"})


@pytest.mark.parametrize(
    ("message", "text"),
    [("", "Missing required header 'From'."),
     ("From: group:;\n\nx", "Missing required header 'From'."),
     ("From: a@x.test\nno field\n\nx", "Illegal header 'no field'."),
     ("From: a@x.test\n\0\n\nx", "The message can't be read: a NUL inside the message."),
     ("X: y\n" * 1001, "Header section too long."),
     (b"From: \xff <a@x.test>\n\nx", "Local address contains control or whitespace")],
)  # fmt: skip
def test_raw_messages_that_are_none(message: str | bytes, text: str) -> None:
    assert refusal(lambda: raw(message)) == text


def test_a_header_alone_is_a_message() -> None:
    assert raw("From: a@x.test\nTo: b@x.test").raw == b"From: a@x.test\r\nTo: b@x.test"


@pytest.mark.parametrize(
    ("fields", "text"),
    [("", "Missing required header 'To'."), ("To:\n", "Empty required header 'To'."),
     ("Bcc: " + ", ".join(["a@x.test"] * 51) + "\n", "Recipient count exceeds 50.")],
)  # fmt: skip
def test_recipients_that_are_missing_or_too_many(fields: str, text: str) -> None:
    draft = raw(f"From: a@x.test\n{fields}\nx")
    assert refusal(draft.check_recipients) == text


def test_fifty_recipients_are_fine() -> None:
    raw("From: a@x.test\nTo: " + ", ".join(["a@x.test"] * 50) + "\n\nx").check_recipients()


@pytest.mark.parametrize("field", ["From", "To", "Reply-To", "Return-Path"])
def test_lengths_everywhere(field: str) -> None:
    fields = {"From": "a@x.test", "To": "b@x.test", field: "n" * 320 + " <a@x.test>"}
    draft = raw("".join(f"{name}: {value}\n" for name, value in fields.items()) + "\nx")
    assert str(refusal(draft.check_lengths)).startswith("Address length is more than 320")


def test_lengths_within_the_limit() -> None:
    raw("From: " + "n" * 309 + " <a@x.test>\nTo: b@x.test\n\nx").check_lengths()


def test_size_lines_and_fields_that_may_stand_once() -> None:
    message = "From: a@x.test\r\nReceived: 1\r\nReceived: 2\r\n\r\n" + "x" * 998
    raw(message).check(len(message))
    text = f"Message length is more than {len(message) - 1} bytes long: '{len(message)}'."
    assert refusal(lambda: raw(message).check(len(message) - 1)) == text
    assert str(refusal(lambda: raw(message + "x").check(9999))).startswith("Lines may have")
    twice = raw("from: a@x.test\nFROM: b@x.test\n\nx")
    assert refusal(lambda: twice.check(9999)) == "Duplicate header 'from'."


def test_the_subject_for_people() -> None:
    assert raw("From: a@x.test\nSubject: =?utf-8?q?h=C3=A9?=\n\nx").subject == "hé"
    assert raw("From: a@x.test\n\nx").subject == ""


@settings(max_examples=150)
@given(st.binary(max_size=200))
def test_any_bytes_are_a_draft_or_invalid(octets: bytes) -> None:
    for message in (octets, b"From: a@x.test\nTo: " + octets, b"From: " + octets):
        try:
            draft = raw(message, to=("b@x.test",))
        except Invalid:
            continue
        assert b"\n" not in draft.raw.replace(b"\r\n", b"")
        assert draft.senders


# Simple


def test_who_is_who_in_a_simple_message() -> None:
    draft = simple(to=("t@x.test",), cc=("c@x.test",), bcc=("u@x.test",), reply_to=("r@x.test",))
    assert texts(draft.senders) == texts(draft.return_paths) == ["a@b.test"]
    assert texts(draft.recipients) == ["t@x.test", "c@x.test", "u@x.test"]
    assert texts(draft.reply_to) == ["r@x.test"]
    draft = simple(feedback="f@x.test", source_arn="s", from_arn="f", configuration_set="c")
    assert texts(draft.return_paths) == ["f@x.test", "a@b.test"]
    assert (draft.arns, draft.configuration_set) == ({"s", "f"}, "c")


def test_the_order_in_which_addresses_are_looked_at() -> None:
    bad = {
        "to": ("t@",),
        "cc": ("@c",),
        "bcc": ("u u@x.test",),
        "feedback": "f",
        "reply_to": ("a(@x",),
    }
    seen: list[str | None] = []
    for name in tuple(bad):
        seen.append(refusal(lambda: simple(**bad)))
        del bad[name]
    assert seen == [
        "Missing domain",
        "Missing local name",
        "Local address contains control or whitespace",
        "Missing final '@domain'",
        "Local address contains illegal character",
    ]
    assert simple().senders


def test_without_a_sender_there_are_no_words() -> None:
    assert refusal(lambda: simple(None)) is None


@pytest.mark.parametrize(("version", "text"), [
    ("2", "Invalid email address ."), ("1", "Missing final '@domain'")])  # fmt: skip
def test_an_empty_address(version: str, text: str) -> None:
    assert refusal(lambda: simple(to=("",), api_version=version)) == text


def test_parts_that_are_refused() -> None:
    text = "Header 'X-Long' exceeds 996 characters."
    simple(headers=(("X-Long", "v" * 900),))
    assert refusal(lambda: simple(headers=(("X-Long", "v " * 500),))) == text
    simple(attachments=(Attachment(b"x", "exe"),))
    text = "Unsupported attachment file extension '.Exe'."
    assert refusal(lambda: simple(attachments=(Attachment(b"x", "a.Exe"),))) == text
    assert refusal(lambda: simple(headers=(("a b", "c"),))) == "Illegal header 'a b'."


@pytest.mark.parametrize(
    ("tag", "text"),
    [(("", ""), "The tag name must be specified."), (("n", ""), "The tag value must be specified."),
     (("n" * 256, ""), "Tag name cannot exceed 255 characters."),
     (("n", "v" * 256), "Tag value cannot exceed 255 characters.")],
)  # fmt: skip
def test_names_of_tags_come_before_values(tag: tuple[str, str], text: str) -> None:
    assert refusal(lambda: check_tags([("fine", "v"), tag])) == text


def test_tags_of_two_parts() -> None:
    check_tags([("ses:caller-identity", "x"), ("a_-9", "a_-9.@")])
    for tag in (("a:b", "v"), ("ä", "v"), ("a", "b c")):
        assert "only alphanumeric ASCII" in str(refusal(lambda tag=tag: check_tags([tag])))
