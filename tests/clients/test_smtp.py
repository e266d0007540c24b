"""The SMTP ports with Python's smtplib: SES's interface, and the mail catcher."""

import re
import smtplib
import socket
import ssl
from email.message import EmailMessage
from email.policy import SMTP

import dkim
import pytest

from support.running import Mailstead, Start


def note(to: str, subject: str, sender: str = "hello@example.test") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message.set_content("It works\n.with a dot\n")
    return message


def submit(server: Mailstead, message: EmailMessage, port: int | None = None) -> None:
    context = ssl.create_default_context(cafile=server.facts["ca"])
    number = port or server.ports["submission"][0]
    with smtplib.SMTP("127.0.0.1", number, timeout=20) as client:
        client.starttls(context=context)
        client.login(server.facts["access_key_id"], server.facts["smtp_password"])
        client.send_message(message)


def test_a_submitted_message_arrives_signed_and_verifies(server: Mailstead) -> None:
    submit(server, note("someone@elsewhere.example", "signed"))
    [message] = server.wait_for("subject=signed&mailbox=someone@elsewhere.example")
    assert message["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    raw = server.raw(message)
    assert raw.count(b"DKIM-Signature:") == 2
    assert b"\r\n.with a dot\r\n" in raw
    trace = server.call(f"trace/{message['message_id']}")
    [attempt] = trace["attempts"]
    assert (attempt["tls"], attempt["outcome"]) == ("TLSv1.3", "delivered")
    assert attempt["replies"][-1].startswith("250 ")
    assert {"accepted", "signed", "routed", "received"} <= {one["step"] for one in trace["steps"]}


def test_the_bytes_verify_with_another_library(server: Mailstead) -> None:
    """dkimpy finds the keys where ``dig`` would: at our DNS port."""
    import dns.message
    import dns.query
    import dns.rdatatype

    def txt(name: bytes, timeout: int = 5) -> bytes:
        query = dns.message.make_query(name.decode(), "TXT")
        reply = dns.query.udp(query, "127.0.0.1", timeout, server.ports["dns"])
        for answer in reply.answer:
            if answer.rdtype == dns.rdatatype.TXT:
                return b"".join(answer[0].strings)
        raise AssertionError(f"no TXT at {name!r}: {reply}")

    submit(server, note("other@elsewhere.example", "for dkimpy"))
    [message] = server.wait_for("subject=dkimpy")
    raw = server.raw(message)
    service = dkim.DKIM(raw)
    # The lower of the two signatures is the service's, whose key our DNS publishes.
    assert service.verify(idx=1, dnsfunc=txt)


def test_a_catcher_client_sends_from_anyone_to_anyone(server: Mailstead) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["mx"], timeout=20) as client:
        assert not client.has_extn("starttls")
        client.send_message(note("any@where.example", "caught", sender="who@ever.example"))
    [message] = server.wait_for("subject=caught")
    assert message["from"] == "who@ever.example"
    assert message["to"] == ["any@where.example"]


def test_implicit_tls_and_the_second_port(server: Mailstead) -> None:
    context = ssl.create_default_context(cafile=server.facts["ca"])
    with smtplib.SMTP_SSL(
        "127.0.0.1", server.ports["submissions"], context=context, timeout=20
    ) as client:
        client.login(server.facts["access_key_id"], server.facts["smtp_password"])
        client.send_message(note("tls@elsewhere.example", "implicit"))
    submit(server, note("tls@elsewhere.example", "second"), server.ports["submission"][1])
    server.wait_for("mailbox=tls@elsewhere.example", count=2)


def test_the_reply_carries_the_bare_message_id(server: Mailstead) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"][0], timeout=20) as client:
        client.starttls()
        client.login(server.facts["access_key_id"], server.facts["smtp_password"])
        client.mail("hello@example.test")
        client.rcpt("id@elsewhere.example")
        code, text = client.data(note("id@elsewhere.example", "id").as_bytes(policy=SMTP))
    assert code == 250
    found = re.fullmatch(rb"Ok (0100[0-9a-f]{12}-[0-9a-f-]{36}-000000)", text)
    assert found, text
    [message] = server.wait_for(f"message_id={found[1].decode()}")
    assert message["to"] == ["id@elsewhere.example"]


def test_refusals_in_ses_words(server: Mailstead) -> None:
    with smtplib.SMTP("127.0.0.1", server.ports["submission"][0], timeout=20) as client:
        client.ehlo()
        assert client.docmd("AUTH", "PLAIN AHgAeQ==") == (
            530,
            b"Must issue a STARTTLS command first",
        )
        client.starttls()
        with pytest.raises(smtplib.SMTPAuthenticationError) as wrong:
            client.login(server.facts["access_key_id"], "BLBM" + "A" * 40)
        assert wrong.value.smtp_error == b"Authentication Credentials Invalid"
        assert client.mail("hello@example.test")[0] == 530
        client.login(server.facts["access_key_id"], server.facts["smtp_password"])
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.send_message(note("x@elsewhere.example", "no", sender="a@unverified.example"))
    assert refused.value.smtp_code == 554
    assert refused.value.smtp_error == (
        b"Message rejected: Email address is not verified. The following identities failed the "
        b"check in region US-EAST-1: a@unverified.example"
    )


def test_a_bounce_comes_back_as_a_report(server: Mailstead) -> None:
    submit(server, note("bounce+x@simulator.amazonses.com", "will bounce"))
    [report] = server.wait_for("mailbox=hello@example.test&subject=Delivery%20Status")
    shown = server.call(f"messages/{report['id']}")
    assert "bounce+x@simulator.amazonses.com" in shown["text"]
    assert report["authentication"]["dkim"] == "pass"


def test_the_simulator_answers_and_complains(server: Mailstead) -> None:
    sender = "simulated@example.test"
    submit(server, note("ooto@simulator.amazonses.com", "away", sender=sender))
    submit(server, note("complaint@simulator.amazonses.com", "annoying", sender=sender))
    found = server.wait_for(f"mailbox={sender}", count=2)
    raw = b"".join(server.raw(message) for message in found)
    assert b"Auto-Submitted: auto-replied" in raw
    assert b"Feedback-Type: abuse" in raw


@pytest.mark.parametrize("ending", ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r"])
def test_nothing_is_smuggled_through_a_port(server: Mailstead, ending: str) -> None:
    with socket.create_connection(("127.0.0.1", server.ports["mx"]), 10) as raw:
        talk = (
            "EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<smuggled@c.example>\r\nDATA\r\n"
            f"Subject: one\r\n\r\none{ending}MAIL FROM:<z@z.example>\r\n"
            "RCPT TO:<smuggled@c.example>\r\nDATA\r\nSubject: two\r\n\r\ntwo\r\n.\r\nQUIT\r\n"
        )
        raw.sendall(talk.encode())
        answers = b""
        while part := raw.recv(65536):
            answers += part
    assert b"550 5.5.2" in answers
    assert answers.count(b"354 ") == 1
    assert not server.call("messages?mailbox=smuggled@c.example")["messages"]


def test_a_trusted_network_needs_neither_tls_nor_login(start: Start) -> None:
    trusting = start(
        "--ephemeral",
        "--root-key",
        "AKIATESTTESTTESTTEST:test",
        "--production",
        "--verified",
        "example.test",
        environment={"MAILSTEAD__SMTP__TRUSTED_NETWORKS": "127.0.0.0/8"},
    )
    with smtplib.SMTP("127.0.0.1", trusting.ports["submission"][0], timeout=20) as client:
        client.send_message(note("t@elsewhere.example", "trusted"))
        with pytest.raises(smtplib.SMTPDataError):
            client.send_message(note("t@elsewhere.example", "no", sender="a@unverified.example"))
    [message] = trusting.wait_for("subject=trusted")
    assert message["authentication"]["dkim"] == "pass"
    assert trusting.stop() == 0
