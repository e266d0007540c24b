"""Reports written are read by the stdlib and by us; real bounces are read without harm."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailstead.wire.message import normalise_line_ends
from mailstead.wire.mime_text import ComposeError
from mailstead.wire.reports import (
    Delivery,
    Report,
    automatic_reply,
    complaint_report,
    compose_report,
    parse_report,
)

ORIGINAL = b"From: a@b.c\r\nSubject: hi\r\nMessage-ID: <m1@b.c>\r\n"
FAILED = Delivery("d@e.f", "failed", "5.1.1", "550 5.1.1 no such\nuser", "mx.e.f")


def write(
    *deliveries: Delivery, to: str = "a@b.c", headers: bytes = ORIGINAL, message: bytes = b""
) -> bytes:
    raw = compose_report(
        sender="MAILER-DAEMON@mx.test",
        to=to,
        message_id="<r1@mx.test>",
        date=1_760_000_000,
        reporting_mta="mx.test",
        boundary="B0und",
        arrival_date=1_759_990_000,
        deliveries=deliveries or (FAILED,),
        original_headers=headers,
        original_message=message,
        envelope_id="QQ1",
    )
    assert normalise_line_ends(raw) is raw
    return raw


def parts(raw: bytes) -> tuple[EmailMessage, list[EmailMessage]]:
    message = message_from_bytes(raw, policy=policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message, [part for part in message.iter_parts() if isinstance(part, EmailMessage)]


def test_the_stdlib_reads_a_report() -> None:
    message, (text, status, returned) = parts(write())
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["From"] == "MAILER-DAEMON@mx.test"
    assert message["To"] == "a@b.c"
    assert message["Subject"] == "Delivery Status Notification (Failure)"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Message-ID"] == "<r1@mx.test>"
    assert message["Date"] == "Thu, 09 Oct 2025 08:53:20 +0000"
    assert "could not be delivered to d@e.f" in str(text.get_content())
    groups = status.get_payload()
    assert isinstance(groups, list)
    first, second = groups
    assert first.items() == [
        ("Reporting-MTA", "dns; mx.test"),
        ("Original-Envelope-Id", "QQ1"),
        ("Arrival-Date", "Thu, 09 Oct 2025 06:06:40 +0000"),
    ]
    assert second.items() == [
        ("Final-Recipient", "rfc822; d@e.f"),
        ("Action", "failed"),
        ("Status", "5.1.1"),
        ("Remote-MTA", "dns; mx.e.f"),
        ("Diagnostic-Code", "smtp; 550 5.1.1 no such user"),
    ]
    assert returned.get_content_type() == "text/rfc822-headers"
    assert returned.get_payload(decode=True) == ORIGINAL


def test_we_read_a_report() -> None:
    other = Delivery("ü x@y.z", "delayed", "4.4.1", "x-unix; 75", "", "alias+1@y.z")
    assert parse_report(write(FAILED, other)) == Report(
        "mx.test",
        (
            Delivery("d@e.f", "failed", "5.1.1", "smtp; 550 5.1.1 no such user", "mx.e.f"),
            other,
        ),
        "m1@b.c",
        "QQ1",
    )


def test_a_whole_message_is_returned() -> None:
    for body in (b"text\r\n", "ü\r\n".encode()):
        raw = write(message=ORIGINAL + b"\r\n" + body)
        report = parse_report(raw)
        assert report is not None
        assert report.original_message_id == "m1@b.c"
        assert body in raw
        _, (_, _, returned) = parts(raw)
        assert returned["Content-Transfer-Encoding"] == ("7bit" if body.isascii() else "8bit")


def test_headers_that_are_not_ascii_and_an_address_that_is_not() -> None:
    raw = write(to="grün@b.c", headers="Subject: ü\r\n".encode())
    assert "\r\nTo: grün@b.c\r\n".encode() in raw
    report = parse_report(raw)
    assert report is not None
    assert report.original_message_id == ""


@pytest.mark.parametrize("action", ["failed", "delayed", "delivered", "relayed", "expanded"])
def test_each_action_has_words(action: str) -> None:
    message, (text, _, _) = parts(write(Delivery("ü@e.f", action, "2.0.0")))
    assert "Delivery Status Notification" in message["Subject"]
    assert "ü@e.f" in str(text.get_content())


def test_nothing_forges_a_field() -> None:
    bad = Delivery("d@e.f\r\nX: y", "failed", "5.1.1\r\nX: y", "550 a\r\nX: y", "h\r\nX: y")
    _, (_, status, _) = parts(write(bad))
    groups = status.get_payload()
    assert isinstance(groups, list)
    assert all("X" not in group for group in groups)
    for to in ("a@b.c\r\nX: y", "ü@b.c\r\nX: y"):
        with pytest.raises(ComposeError):
            write(to=to)
    with pytest.raises(ComposeError):
        write(headers=b"X: --B0und\r\n")


def test_a_complaint() -> None:
    raw = complaint_report(
        sender="complaints@simulator.test",
        to="a@b.c",
        date=1_760_000_000,
        complainer="d@e.f",
        source_ip="192.0.2.1",
        boundary="B0und",
        original=ORIGINAL + b"\r\nbody\r\n",
    )
    message, (_, report, returned) = parts(raw)
    assert message.get_param("report-type") == "feedback-report"
    fields = message_from_bytes(bytes(report).partition(b"\n\n")[2])
    assert fields["Feedback-Type"] == "abuse"
    assert fields["Original-Rcpt-To"] == "<d@e.f>"
    assert fields["Source-IP"] == "192.0.2.1"
    assert returned.get_content_type() == "message/rfc822"
    assert b"<m1@b.c>" in bytes(returned)
    assert parse_report(raw) is None


def test_an_automatic_reply() -> None:
    raw = automatic_reply(
        sender="ooto@simulator.test", to="a@b.c", date=1_760_000_000, original=ORIGINAL + b"\r\n"
    )
    message, _ = parts(raw)
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["Subject"] == "Automatic reply: hi"
    assert message["In-Reply-To"] == message["References"] == "<m1@b.c>"
    assert "out of the office" in message.get_content()
    plain, _ = parts(automatic_reply(sender="x@y.z", to="a@b.c", date=0, original=b"", text="ü"))
    assert plain["In-Reply-To"] is None
    assert plain.get_content() == "ü\r\n"


# Reading what others write.

LOOSE = (
    b"Content-Type: multipart/report; boundary=x\n\n--x\n\nhello\n"
    b"--x\nContent-Type: message/delivery-status\n\n"
    b"Reporting-MTA: dns;mx.far\nnot a field\n \n"
    b"Original-Recipient: rfc822;<o@e.f>\nAction: Failed (no luck)\nStatus: 5.0.0 (odd)\n"
    b"Diagnostic-Code: smtp;\n 550\n\tno\nStatus: 4.0.0\n\nX-Only: this\n\n"
    b"Final-Recipient: utf-8; \\x{FC}\\x{D800}\\x{7}\\x{FFFFFF}@e.f\n"
    b"--x\nContent-Type: text/rfc822-headers\n\nSubject: no id\n"
    b"--x\nContent-Type: message/rfc822\n\nMessage-Id: noise <id@far> noise\n\nbody\n--x--\n"
)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_reading_is_lenient(end: bytes) -> None:
    assert parse_report(LOOSE.replace(b"\n", end)) == Report(
        "mx.far",
        (
            Delivery("o@e.f", "failed", "5.0.0", "smtp; 550 no", "", "o@e.f"),
            Delivery("ü\\x{D800}\\x{7}\\x{FFFFFF}@e.f", "", ""),
        ),
        "id@far",
    )


def test_what_is_no_report() -> None:
    assert parse_report(b"") is None
    assert parse_report(ORIGINAL + b"\r\nbody") is None
    carried = b"Content-Type: message/rfc822\r\n\r\n" + write()
    assert parse_report(carried) is None


def test_an_empty_or_monstrous_report_has_no_message_id() -> None:
    assert parse_report(b"Content-Type: message/delivery-status\n\n\n") == Report("", (), "")
    report = parse_report(write(headers=b"X: y\r\n" * 1100))
    assert report is not None
    assert report.original_message_id == ""


def test_real_bounces(suites: Path) -> None:
    folder = suites / "bounces" / "sisimai"
    if not folder.is_dir():
        pytest.skip(f"no bounce samples at {folder}")
    files = sorted(folder.iterdir())
    reports = [parse_report(file.read_bytes()) for file in files]
    found = [report for report in reports if report]
    assert len(files) == 418
    # 235 are multipart/report, complaints and automatic replies among them.
    assert len(found) >= 200
    named = [report for report in found if report.deliveries]
    assert len(named) >= 200
    assert all(d.recipient for report in named for d in report.deliveries)
    assert sum(bool(report.original_message_id) for report in found) >= 150


@settings(max_examples=60)
@given(st.lists(st.sampled_from(LOOSE.splitlines(keepends=True)) | st.binary(max_size=9)))
def test_garbage(lines: list[bytes]) -> None:
    parse_report(b"".join(lines))
