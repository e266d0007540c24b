"""Sending through both versions of SES's API: what is taken, what is refused, in which words."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mailstead.mail.model import Scope
from mailstead.wire.dkim import Unsigned, sign
from mailstead.wire.dkim_key import load_private_key
from support.sending import SIMPLE, raw, v1, v2
from support.world import ACCOUNT, World, rsa_key

ADDRESS_TEXTS = [
    ("ab", "Missing final '@domain'"),
    ("@example.com", "Missing local name"),
    ("a@", "Missing domain"),
    ("a b@example.com", "Local address contains control or whitespace"),
    ("ä@example.com", "Local address contains control or whitespace"),
    ("a(b@example.com", "Local address contains illegal character"),
    ("a: b <a@example.com>", "Local address contains illegal character"),
    ("a@exa mple.com", "Domain contains control or whitespace"),
    ("a@exa\u200bmple.com", "Domain contains control or whitespace"),
    ("a@exa_mple.com", "Domain contains illegal character"),
    ("a, b <a@example.com>", "Illegal address"),
    ('"a\r\nb"@example.com', 'Invalid email address "a\r\nb"@example.com.'),
    (
        "n" * 320 + " <a@example.com>",
        "Address length is more than 320 characters long: '" + "n" * 320 + " <a@example.com>'.",
    ),
]


# Addresses


@pytest.mark.parametrize(("address", "text"), ADDRESS_TEXTS)
def test_a_bad_recipient_in_both_versions(sender: World, address: str, text: str) -> None:
    code, found = sender.refused(1, "SendEmail", **v1(address))
    assert (code, found.replace("\n", "\r\n").replace("\r\r", "\r")) == (
        "InvalidParameterValue",
        text,
    )
    assert sender.refused(2, "SendEmail", **v2(address)) == ("BadRequestException", text)
    assert sender.mail() == []


@pytest.mark.parametrize("place", ["Source", "ReturnPath", "ReplyToAddresses"])
def test_a_bad_address_anywhere_refuses_the_message(sender: World, place: str) -> None:
    bad: Any = ["a@"] if place == "ReplyToAddresses" else "a@"
    refusal = ("InvalidParameterValue", "Missing domain")
    assert sender.refused(1, "SendEmail", **{**v1(), place: bad}) == refusal


def test_an_empty_address_in_version_2(sender: World) -> None:
    refusal = ("BadRequestException", "Invalid email address .")
    assert sender.refused(2, "SendEmail", **v2("")) == refusal
    assert sender.refused(2, "SendEmail", **v2(ReplyToAddresses=[""])) == refusal
    code, text = sender.refused(1, "SendEmail", **v1(""))
    assert (code, text) == ("InvalidParameterValue", "Missing final '@domain'")


@pytest.mark.parametrize(
    ("header", "text"),
    [("From: a b@example.com", "Local address contains control or whitespace"),
     ("From: a@example.com\nReply-To: @x", "Missing local name"),
     ("From: a@example.com\nSender: x", "Missing final '@domain'"),
     ("From: a@example.com\nReturn-Path: x@", "Missing domain")],
)  # fmt: skip
def test_a_bad_address_in_a_raw_header(sender: World, header: str, text: str) -> None:
    found = sender.refused(1, "SendRawEmail", **raw(f"{header}\nTo: b@example.com\n\nx"))
    assert found == ("InvalidParameterValue", text)


def test_a_malformed_to_header_does_not_matter_beside_request_recipients(world: World) -> None:
    """What nodemailer's verify() sends: it must end in one of the two errors it knows."""
    content = {"Raw": {"Data": b"From: invalid@invalid\nTo: invalid\n\nx"}}
    code, _ = world.refused(
        2,
        "SendEmail",
        FromEmailAddress="invalid@invalid",
        Destination={"ToAddresses": ["invalid@invalid"]},
        Content=content,
    )
    assert code == "MessageRejected"


# Recipients


def test_fifty_recipients_at_most(sender: World) -> None:
    many = [f"u{n}@example.com" for n in range(51)]
    destination = {"ToAddresses": many[:20], "CcAddresses": many[20:40], "BccAddresses": many[40:]}
    text = "Recipient count exceeds 50."
    assert sender.refused(2, "SendEmail", **{**v2(), "Destination": destination}) == (
        "BadRequestException",
        text,
    )
    destination["BccAddresses"].pop()
    sender.v2("SendEmail", **{**v2(), "Destination": destination})
    assert len(sender.mail()) == 50


def test_members_of_a_group_count(sender: World) -> None:
    group = "To: people: " + ", ".join(f"u{n}@example.com" for n in range(51)) + ";"
    found = sender.refused(1, "SendRawEmail", **raw(f"From: a@example.com\n{group}\n\nx"))
    assert found == ("InvalidParameterValue", "Recipient count exceeds 50.")


def test_bcc_alone_is_enough_and_never_in_the_bytes(sender: World) -> None:
    sender.v1("SendEmail", **{**v1(), "Destination": {"BccAddresses": ["c@example.com"]}})
    sender.v1("SendRawEmail", **raw("From: a@example.com\nBcc: c@example.com\n\nx"))
    first, second = sender.mail()
    assert [one.recipient.address for one in (first, second)] == ["c@example.com"] * 2
    assert b"c@example.com" not in sender.body(first) + sender.body(second)
    assert b"\r\nTo:" not in sender.body(first)


@pytest.mark.parametrize(
    ("header", "text"),
    [("From: a@example.com", "Missing required header 'To'."),
     ("From: a@example.com\nTo: ", "Empty required header 'To'."),
     ("To: b@example.com", "Missing required header 'From'.")],
)  # fmt: skip
def test_headers_that_a_raw_message_needs(sender: World, header: str, text: str) -> None:
    found = sender.refused(1, "SendRawEmail", **raw(f"{header}\n\nx"))
    assert found == ("InvalidParameterValue", text)


def test_version_2_without_a_sender_says_null(sender: World) -> None:
    params = v2()
    del params["FromEmailAddress"]
    reply = sender.call("sesv2", "SendEmail", params)
    assert (reply.status, json.loads(reply.body)) == (400, {"message": None})
    assert reply.headers["x-amzn-errortype"] == "BadRequestException"


# Identities


def test_the_sandbox_names_all_that_are_not_verified_as_they_were_written(world: World) -> None:
    text = (
        "Email address is not verified. The following identities failed the check in region "
        "US-EAST-1: Ann <a@b.c>, Dan <d@e.f>"
    )
    params = {"to": "Dan <d@e.f>", "source": "Ann <a@b.c>"}
    assert world.refused(1, "SendEmail", **v1(**params)) == ("MessageRejected", text)
    assert world.refused(2, "SendEmail", **v2(**params)) == ("MessageRejected", text)


@pytest.mark.parametrize(
    ("address", "sends"),
    [("u@a.b.example.com", True), ("u@EXAMPLE.com", True), ("u@badexample.com", False),
     ("u@com", False), ("u@example.com.test", False)],
)  # fmt: skip
def test_a_verified_domain_covers_what_is_in_it(sender: World, address: str, sends: bool) -> None:
    status = sender.call("sesv2", "SendEmail", v2(source=address)).status
    assert status == (200 if sends else 400)


def test_return_path_and_sender_are_verified_too(sender: World) -> None:
    code, text = sender.refused(1, "SendEmail", **v1(ReturnPath="r@other.test"))
    assert (code, text[-12:]) == ("MessageRejected", "r@other.test")
    message = "From: a@example.com\nSender: s@other.test\nReturn-Path: <p@third.test>\n\nx"
    code, text = sender.refused(
        1, "SendRawEmail", **raw(message, Destinations=["b@x.test"], Source="a@fourth.test")
    )
    assert text.endswith(": a@fourth.test, s@other.test, <p@third.test>")


def test_identities_of_another_region_do_not_count(sender: World) -> None:
    sender.production(Scope(ACCOUNT, "eu-west-1"))
    code, text = sender.refused(2, "SendEmail", region="eu-west-1", **v2())
    assert code == "MessageRejected"
    assert "EU-WEST-1: a@example.com" in text


def test_the_simulator_works_in_the_sandbox(world: World) -> None:
    world.verified("a@example.com")
    world.v2("SendEmail", **v2("bounce+label@simulator.amazonses.com"))
    assert len(world.mail()) == 1


# What SES does to a message


def test_a_raw_message_keeps_its_bytes_but_for_what_is_ours(sender: World) -> None:
    kept = "Subject: =?utf-8?q?h=C3=A9?=\r\nX-Odd :  two  blanks\r\n"
    body = "first\r\n\r\n  last, without an end"
    gone = (
        "Date: Mon, 1 Jan 2001 00:00:00 -0500\r\nMessage-ID: <mine@x>\r\n"
        "Return-Path: <r@example.com>\r\nBcc: secret@example.com\r\n"
        "X-SES-MESSAGE-TAGS: a=b, c=d\r\nx-ses-tenant: t\r\nFeedback-ID: x\r\n"
    )
    message = f"From: A <a@example.com>\r\n{gone}To: b@example.com\r\n{kept}\r\n{body}"
    answer = sender.v1("SendRawEmail", **raw(message))
    leased = sender.mail()[0]
    found = sender.body(leased).decode()
    identifier = answer["MessageId"]
    assert found.startswith(
        "From: A <a@example.com>\r\nDate: Wed, 10 Aug 2022 16:04:45 +0000\r\n"
        f"Message-ID: <{identifier}@email.amazonses.com>\r\nTo: b@example.com\r\n{kept}"
    )
    assert found.endswith(f"\r\n\r\n{body}")
    assert not re.search(r"(?im)^(bcc|return-path|x-ses-(message|tenant)|.*mine@x)", found)
    assert re.search(
        r"\r\nFeedback-ID: ::1\.us-east-1\.[A-Za-z0-9+/=]{44}:AmazonSES"
        r"\r\nX-SES-Outgoing: 2022\.08\.10-127\.0\.0\.1\r\n\r\n",
        found,
    )
    assert leased.message.tags == (("a", "b"), ("c", "d"))


def test_the_message_id_says_where_and_when(sender: World) -> None:
    here = sender.v2("SendEmail", **v2())["MessageId"]
    assert here.startswith("0100018288804c9f-")
    assert here.endswith("-000000")
    region = Scope(ACCOUNT, "eu-central-1")
    sender.production(region)
    sender.verified("example.com", region)
    there = sender.v2("SendEmail", region="eu-central-1", **v2())["MessageId"]
    assert there.startswith("0107018288804c9f-")
    leased = sender.mail()[-1]
    assert f"<{there}@eu-central-1.amazonses.com>".encode() in sender.body(leased)
    assert leased.message.mail_from == "eu-central-1.amazonses.com"


def test_line_feeds_of_the_samples_become_crlf(sender: World) -> None:
    content = {"Raw": {"Data": b"From: a@example.com\nTo: b@example.com\n\none\ntwo\n"}}
    sender.v2("SendEmail", Content=content)
    found = sender.body(sender.mail()[0])
    assert found.endswith(b"\r\n\r\none\r\ntwo\r\n")
    assert b"\n" not in found.replace(b"\r\n", b"")


def test_a_senders_own_signature_stays_and_two_are_refused(sender: World) -> None:
    message = b"From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\n\r\nHi\r\n"
    field = sign(
        Unsigned(message),
        domain="example.com",
        selector="own",
        key=load_private_key(rsa_key(1024, 0)),
        signed_at=1,
    )
    sender.v1("SendRawEmail", RawMessage={"Data": field + message})
    assert field in sender.body(sender.mail()[0])
    twice = {"RawMessage": {"Data": field + field + message}}
    assert sender.refused(1, "SendRawEmail", **twice) == (
        "InvalidParameterValue",
        "Duplicate header 'DKIM-Signature'.",
    )


def test_both_bodies_headers_and_attachments(sender: World) -> None:
    simple = {
        "Subject": {"Data": "Grüße", "Charset": "UTF-8"},
        "Body": {"Text": {"Data": "text"}, "Html": {"Data": "<p>html</p><img src='cid:i'>"}},
        "Headers": [{"Name": "X-Mine", "Value": "1"}, {"Name": "X-SES-TENANT", "Value": "2"}],
        "Attachments": [
            {"RawContent": b"\x00\x01", "FileName": "a.bin", "ContentDescription": "d"},
            {
                "RawContent": b"png",
                "FileName": "i.png",
                "ContentDisposition": "INLINE",
                "ContentId": "i",
                "ContentType": "image/png",
                "ContentTransferEncoding": "SEVEN_BIT",
            },
        ],
    }
    sender.v2("SendEmail", **v2(Content={"Simple": simple}, ReplyToAddresses=["R <r@x.test>"]))
    found = sender.body(sender.mail()[0]).decode()
    for part in (
        "multipart/mixed", "multipart/alternative", "multipart/related", "X-Mine: 1\r\n",
        "filename=a.bin", "Content-Description: d", "Content-ID: <i>", "AAE=", "\r\npng",
        "Reply-To: R <r@x.test>", "Subject: =?UTF-8?B?R3LDvMOfZQ==?=",
    ):  # fmt: skip
        assert part in found
    assert "TENANT" not in found


def test_where_bounces_go(sender: World) -> None:
    sender.v1("SendEmail", **v1(ReturnPath="back@example.com"))
    sender.v2("SendEmail", **v2(FeedbackForwardingEmailAddress="v2@example.com"))
    header = "From: a@example.com\nReturn-Path: <path@example.com>\nTo: b@example.com\n\nx"
    sender.v1("SendRawEmail", **raw(header))
    sender.v1("SendRawEmail", **raw(header, Source="source@example.com"))
    sender.v2("SendEmail", **v2())
    assert [one.message.reverse_path for one in sender.mail()] == [
        "back@example.com", "v2@example.com", "path@example.com", "source@example.com",
        "a@example.com",
    ]  # fmt: skip


# Refusals of content


@pytest.mark.parametrize(
    ("headers", "text"),
    [([("Subject", "x")], "Duplicate header 'Subject'."),
     ([("X", "v" * 995), ("X" * 100, "v" * 900)], "Header 'XX")],
)  # fmt: skip
def test_header_fields_that_are_refused(
    sender: World, headers: list[tuple[str, str]], text: str
) -> None:
    given = [{"Name": name, "Value": value} for name, value in headers]
    simple = {**SIMPLE["Simple"], "Headers": given}
    code, found = sender.refused(2, "SendEmail", **v2(Content={"Simple": simple}))
    assert code == "BadRequestException"
    assert found.startswith(text)


def test_attachments_that_ses_does_not_take(sender: World) -> None:
    attachment = {"RawContent": b"x", "FileName": "run.EXE"}
    simple = {**SIMPLE["Simple"], "Attachments": [attachment]}
    found = sender.refused(2, "SendEmail", **v2(Content={"Simple": simple}))
    assert found == ("BadRequestException", "Unsupported attachment file extension '.EXE'.")
    attachment["FileName"] = "bad\nname"
    found = sender.refused(2, "SendEmail", **v2(Content={"Simple": simple}))
    assert found == ("BadRequestException", "Illegal header 'Content-Disposition'.")


@pytest.mark.parametrize(
    ("tag", "text"),
    [(("", ""), "The tag name must be specified."),
     (("n", ""), "The tag value must be specified."),
     (("n" * 256, "v"), "Tag name cannot exceed 255 characters."),
     (("n", "v" * 256), "Tag value cannot exceed 255 characters."),
     (("a:b", "v"), "Invalid tag name <a:b>: only alphanumeric ASCII characters, '_',  '-' "
      "are allowed."),
     (("n", "a:b"), "Invalid tag value <a:b>: only alphanumeric ASCII characters, '_',  '-' , "
      "'.', '@' are allowed.")],
)  # fmt: skip
def test_message_tags(sender: World, tag: tuple[str, str], text: str) -> None:
    tags = [{"Name": "fine", "Value": "v@1.x"}, {"Name": tag[0], "Value": tag[1]}]
    assert sender.refused(1, "SendEmail", **v1(Tags=tags)) == ("InvalidParameterValue", text)
    found = sender.refused(2, "SendEmail", **v2(EmailTags=tags))
    assert found == ("BadRequestException", text)
    assert sender.v1("GetSendQuota")["SentLast24Hours"] == 0


def test_tags_that_fill_feedback_id(sender: World) -> None:
    tags = [{"Name": "ses:feedback-id-a", "Value": "one"}, {"Name": "x", "Value": "y"}]
    sender.v2("SendEmail", **v2(EmailTags=tags))
    assert b"\r\nFeedback-ID: one::1.us-east-1." in sender.body(sender.mail()[0])


@pytest.mark.slow
def test_sizes(sender: World) -> None:
    line = b"x" * 98 + b"\r\n"
    data = b"From: a@example.com\r\nTo: b@example.com\r\n\r\n" + line * 110_000
    code, text = sender.refused(1, "SendRawEmail", RawMessage={"Data": data})
    assert (code, text) == (
        "InvalidParameterValue",
        f"Message length is more than 10485760 bytes long: '{len(data)}'.",
    )
    sender.v2("SendEmail", Content={"Raw": {"Data": data}})


@pytest.mark.parametrize(
    ("message", "text"),
    [("no header\n\nx", "Illegal header 'no header'."),
     ("From: a@example.com\nTo: b@example.com\n\n" + "x" * 999, "Lines may have at most 998"),
     ("From: a@example.com\0\n\nx", "The message can't be read: a NUL"),
     ("From: a@example.com\n" + "X: y\n" * 1000 + "\nx", "Header section too long.")],
)  # fmt: skip
def test_raw_messages_that_are_none(sender: World, message: str, text: str) -> None:
    code, found = sender.refused(1, "SendRawEmail", **raw(message, Destinations=["b@x.test"]))
    assert code == "InvalidParameterValue"
    assert found.startswith(text)


@pytest.mark.parametrize("member", ["ListManagementOptions", "TenantName", "EndpointId"])
def test_what_is_not_served_says_so(sender: World, member: str) -> None:
    given: Any = {"ContactListName": "l"} if member == "ListManagementOptions" else "x"
    reply = sender.call("sesv2", "SendEmail", v2(**{member: given}))
    assert (reply.status, reply.error[0]) == (501, "NotImplementedException")
    assert member in reply.error[1]
    assert "docs/operations.md" in reply.error[1]


def test_content_is_one_of_three(sender: World) -> None:
    reply = sender.call("sesv2", "SendEmail", v2(Content={"Template": {"TemplateName": "t"}}))
    assert (reply.status, reply.error[0]) == (501, "NotImplementedException")
    both = {**SIMPLE, "Raw": {"Data": b"x"}}
    for content in (both, {}):
        assert sender.refused(2, "SendEmail", **v2(Content=content))[0] == "BadRequestException"
