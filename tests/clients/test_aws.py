"""boto3 and the AWS CLI, unchanged, and the seed's two scripts."""

import json
import shutil
import ssl
import subprocess
import sys
import urllib.request
from email.mime.application import MIMEApplication
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.utils import formataddr
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.running import Mailstead, Start, until

SENDER = "noreply@example.test"
SEED_HTML = (
    "<html><body><h1>Test Email</h1>"
    "<p>This is an <strong>Amazon SES</strong> test email!</p></body></html>"
)


def aws(server: Mailstead, *words: str) -> Any:
    """Run the AWS CLI; its JSON."""
    command = shutil.which("aws", path=str(Path(sys.executable).parent))
    assert command is not None
    done = subprocess.run(
        [command, *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=server.environment(),
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


@pytest.mark.slow
def test_the_seeds_shell_script(server: Mailstead, tmp_path: Path) -> None:
    """The demo's own words; "Amazon SES send-email" is ``aws ses send-email`` there."""
    script = tmp_path / "send.sh"
    script.write_text(
        """#!/bin/bash

# PARAMETERS
SENDER="noreply@example.test"
RECIPIENT="yourpersonalemail@gmail.example"
SUBJECT="Test Email from Amazon SES"
BODY_HTML="BODY"
AWS_REGION="us-east-1"

aws ses send-email \\
 --region "$AWS_REGION" \\
    --from "$SENDER" \\
 --destination "ToAddresses=$RECIPIENT" \\
    --message "Subject={Data=$SUBJECT,Charset=utf-8},Body={Html={Data=$BODY_HTML,Charset=utf-8}}"

if [ $? -eq 0 ]; then
    echo "Email sent successfully!"
else
    echo "Failed to send email."
fi
""".replace('BODY_HTML="BODY"', f'BODY_HTML="{SEED_HTML}"')
    )
    environment = server.environment()
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    done = subprocess.run(
        ["bash", str(script)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment,
    )
    assert "Email sent successfully!" in done.stdout, done.stderr
    [message] = server.wait_for("mailbox=yourpersonalemail@gmail.example&subject=Amazon")
    assert message["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    shown = server.call(f"messages/{message['id']}")
    assert "<strong>Amazon SES</strong>" in shown["html"]


@pytest.mark.slow
def test_the_seeds_smtplib_script(server: Mailstead, tmp_path: Path) -> None:
    script = tmp_path / "send.py"
    script.write_text(
        f"""import smtplib
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

# Parameters
smtp_server = "127.0.0.1"
smtp_port = {server.ports["submission"][0]}
smtp_username = "{server.facts["access_key_id"]}"
smtp_password = "{server.facts["smtp_password"]}"
sender = "noreply@example.test"
recipient = "yourpersonalemail@gmail.example"
subject = "Test Email from SMTP"
message = \"\"\"
Test SMTP Email
This is an Amazon SES SMTP test email!
\"\"\"
body_html = f"<html><body><h1>Test SMTP Email</h1><p>{{message}}</p></body></html>"

msg = MIMEMultipart("alternative")
msg["Subject"] = subject
msg["From"] = sender
msg["To"] = recipient

part1 = MIMEText(message, "plain")
part2 = MIMEText(body_html, "html")

msg.attach(part1)
msg.attach(part2)

try:
    with smtplib.SMTP(smtp_server, smtp_port) as server:
        server.starttls()
        server.login(smtp_username, smtp_password)
        server.sendmail(sender, recipient, msg.as_string())
    print("Email sent successfully!")
except Exception as e:
    print(f"Failed to send email: {{e}}")
"""
    )
    done = subprocess.run(
        [sys.executable, str(script)], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "Email sent successfully!\n"
    [message] = server.wait_for("mailbox=yourpersonalemail@gmail.example&subject=SMTP")
    assert message["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}


@pytest.mark.slow
def test_the_cli_makes_a_user_a_key_and_a_policy(server: Mailstead) -> None:
    aws(server, "iam", "create-user", "--user-name", "smtp")
    key = aws(server, "iam", "create-access-key", "--user-name", "smtp")["AccessKey"]
    client = server.boto3(
        "sesv2",
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    mail = {
        "FromEmailAddress": SENDER,
        "Destination": {"ToAddresses": ["iam@elsewhere.example"]},
        "Content": {"Simple": {"Subject": {"Data": "iam"}, "Body": {"Text": {"Data": "x"}}}},
    }
    with pytest.raises(ClientError) as denied:
        client.send_email(**mail)
    assert denied.value.response["Error"] == {
        "Code": "AccessDeniedException",
        "Message": "User `arn:aws:iam::000000000000:user/smtp' is not authorized to perform "
        "`ses:SendEmail' on resource "
        "`arn:aws:ses:us-east-1:000000000000:identity/example.test'",
    }
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "ses:SendEmail",
                "Resource": "*",
                "Condition": {"StringLike": {"ses:FromAddress": "*@example.test"}},
            }
        ],
    }
    document = json.dumps(policy)
    words = ("--user-name", "smtp", "--policy-name", "send", "--policy-document", document)
    aws(server, "iam", "put-user-policy", *words)
    client.send_email(**mail)
    server.wait_for("subject=iam")
    assert aws(server, "iam", "list-users")["Users"]
    aws(server, "iam", "delete-user-policy", "--user-name", "smtp", "--policy-name", "send")
    key_id = key["AccessKeyId"]
    aws(server, "iam", "delete-access-key", "--user-name", "smtp", "--access-key-id", key_id)
    aws(server, "iam", "delete-user", "--user-name", "smtp")


def test_raw_mail_with_an_attachment_by_both_versions(server: Mailstead) -> None:
    message = MIMEMultipart("mixed")
    message["Subject"] = "Raw"
    message["From"] = formataddr(("Räw", SENDER))
    message["To"] = "raw@elsewhere.example"
    message["Bcc"] = "hidden@elsewhere.example"
    message["X-SES-MESSAGE-TAGS"] = "a=b"
    message.attach(MIMEText("Grüße", "plain", "utf-8"))
    attachment = MIMEApplication(b"\0\1\2" * 1000)
    attachment.add_header("Content-Disposition", "attachment", filename="x.bin")
    message.attach(attachment)
    sent = server.boto3("ses").send_raw_email(
        RawMessage={"Data": message.as_bytes()},
        Destinations=["raw@elsewhere.example", "hidden@elsewhere.example"],
    )
    found = server.wait_for(f"message_id={sent['MessageId']}", count=2)
    assert {one["mailbox"] for one in found} == {
        "raw@elsewhere.example",
        "hidden@elsewhere.example",
    }
    raw = server.raw(found[0])
    assert b"Bcc" not in raw
    assert b"X-SES-MESSAGE-TAGS" not in raw
    assert raw.count(b"\n") == raw.count(b"\r\n")
    shown = server.call(f"messages/{found[0]['id']}")
    assert shown["text"].strip() == "Grüße"
    assert shown["attachments"][0]["size"] == 3000
    again = server.boto3("sesv2").send_email(Content={"Raw": {"Data": message.as_bytes()}})
    [second, _third] = server.wait_for(f"message_id={again['MessageId']}", count=2)
    assert second["authentication"]["dmarc"] == "pass"


def test_simple_mail_with_headers_and_attachments(server: Mailstead) -> None:
    sent = server.boto3("sesv2").send_email(
        FromEmailAddress=f"Grüße aus Köln <{SENDER}>",
        Destination={"ToAddresses": ["rich@elsewhere.example"]},
        ReplyToAddresses=["reply@elsewhere.example"],
        Content={
            "Simple": {
                "Subject": {"Data": "Ünïcode"},
                "Body": {"Text": {"Data": "text"}, "Html": {"Data": "<img src='cid:logo'>"}},
                "Headers": [{"Name": "X-Custom", "Value": "yes"}],
                "Attachments": [
                    {
                        "RawContent": b"GIF89a",
                        "FileName": "logo.gif",
                        "ContentDisposition": "INLINE",
                        "ContentId": "logo",
                    },
                    {"RawContent": b"%PDF", "FileName": "bill.pdf"},
                ],
            }
        },
    )
    [message] = server.wait_for(f"message_id={sent['MessageId']}")
    shown = server.call(f"messages/{message['id']}")
    names = {header["name"]: header["value"] for header in shown["headers"]}
    assert (message["subject"], names["X-Custom"]) == ("Ünïcode", "yes")
    assert names["Reply-To"] == "reply@elsewhere.example"
    assert names["From"] == f"Grüße aus Köln <{SENDER}>"
    assert {one["filename"] for one in shown["attachments"]} == {"logo.gif", "bill.pdf"}
    assert message["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}


def test_a_domain_verifies_itself_from_its_records(server: Mailstead) -> None:
    """The seed's way: a zone by Route 53 calls, an identity, its three records, DMARC and SPF."""
    route53, ses = server.boto3("route53"), server.boto3("sesv2")
    zone = route53.create_hosted_zone(Name="seed.example", CallerReference="seed")["HostedZone"]
    made = ses.create_email_identity(EmailIdentity="seed.example")
    tokens = made["DkimAttributes"]["Tokens"]
    assert ses.get_email_identity(EmailIdentity="seed.example")["VerificationStatus"] == "PENDING"

    def upsert(name: str, kind: str, value: str) -> dict[str, Any]:
        record = {"Name": name, "Type": kind, "TTL": 300, "ResourceRecords": [{"Value": value}]}
        return {"Action": "UPSERT", "ResourceRecordSet": record}

    changes = [
        upsert(f"{token}._domainkey.seed.example", "CNAME", f"{token}.dkim.amazonses.com")
        for token in tokens
    ]
    changes += [
        upsert("_dmarc.seed.example", "TXT", '"v=DMARC1;p=quarantine"'),
        upsert("seed.example", "TXT", '"v=spf1 include:amazonses.com -all"'),
    ]
    route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes})

    def status() -> bool:
        identity = ses.get_email_identity(EmailIdentity="seed.example")
        return identity["VerifiedForSendingStatus"]

    until(status)
    sent = ses.send_email(
        FromEmailAddress="noreply@seed.example",
        Destination={"ToAddresses": ["seed@elsewhere.example"]},
        Content={"Simple": {"Subject": {"Data": "seed"}, "Body": {"Text": {"Data": "x"}}}},
    )
    [message] = server.wait_for(f"message_id={sent['MessageId']}")
    assert message["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    for change in changes:
        change["Action"] = "DELETE"
    route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes})

    def lost() -> bool:
        dkim = ses.get_email_identity(EmailIdentity="seed.example")["DkimAttributes"]
        return dkim["Status"] == "TEMPORARY_FAILURE"

    until(lost)


def test_the_sandbox_lets_in_who_opened_the_link(start: Start) -> None:
    sandbox = start("--ephemeral", "--root-key", "AKIAX:y", "--verified", "example.test")
    ses = sandbox.boto3("ses")

    def send(to: str) -> str:
        return ses.send_email(
            Source=SENDER,
            Destination={"ToAddresses": [to]},
            Message={"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}},
        )["MessageId"]

    with pytest.raises(ClientError) as refused:
        send("Name <me@elsewhere.example>")
    assert refused.value.response["Error"]["Message"] == (
        "Email address is not verified. The following identities failed the check in region "
        "US-EAST-1: Name <me@elsewhere.example>"
    )
    ses.verify_email_identity(EmailAddress="me@elsewhere.example")
    [mail] = sandbox.wait_for("mailbox=me@elsewhere.example")
    [link] = sandbox.call(f"messages/{mail['id']}")["links"]
    with urllib.request.urlopen(link["url"], timeout=10) as page:
        assert b"Confirmed" in page.read()
    send("me@elsewhere.example")
    sandbox.wait_for("mailbox=me@elsewhere.example", count=2)
    assert ses.get_send_quota()["SentLast24Hours"] == 1
    send("success@simulator.amazonses.com")
    assert ses.get_send_quota()["SentLast24Hours"] == 1


def test_https_on_the_same_port(server: Mailstead) -> None:
    url = server.api.replace("http://", "https://")
    sts = server.boto3("sts", endpoint_url=url, verify=server.facts["ca"])
    assert sts.get_caller_identity()["Account"] == "000000000000"
    context = ssl.create_default_context(cafile=server.facts["ca"])
    with urllib.request.urlopen(f"{url}/_mailstead/health", context=context, timeout=10) as health:
        assert json.load(health)["status"] == "ok"


def test_what_is_not_served_says_so(server: Mailstead) -> None:
    for service, call, code in (
        ("sesv2", lambda client: client.list_contact_lists(), "NotImplementedException"),
        ("ses", lambda client: client.list_receipt_rule_sets(), "NotImplemented"),
    ):
        with pytest.raises(ClientError) as refused:
            call(server.boto3(service))
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
        assert refused.value.response["Error"]["Code"] == code
        assert "docs/operations.md" in refused.value.response["Error"]["Message"]


def test_a_temporary_session_sends_with_its_token_only(server: Mailstead) -> None:
    session = server.boto3("sts").get_session_token()["Credentials"]
    keys = {
        "aws_access_key_id": session["AccessKeyId"],
        "aws_secret_access_key": session["SecretAccessKey"],
    }
    token = {"aws_session_token": session["SessionToken"]}
    assert server.boto3("sesv2", **keys, **token).get_account()["SendingEnabled"]
    with pytest.raises(ClientError) as refused:
        server.boto3("sesv2", **keys).get_account()
    assert refused.value.response["Error"]["Code"] == "UnrecognizedClientException"
