"""Values that stores keep, for tests of the store and of what stands on it."""

from mailstead.mail.messages import (
    Accepted,
    Arrival,
    Door,
    OutboundMessage,
    Recipient,
    Signer,
    Step,
    digest,
)
from mailstead.mail.model import (
    Dkim,
    Identity,
    MailFrom,
    Proof,
    Scope,
    Secret,
    SigningKey,
    VerificationStatus,
)

SCOPE = Scope("000000000000", "us-east-1")
OTHER = Scope("111111111111", "eu-west-1")


def identity(name: str = "example.test", scope: Scope = SCOPE) -> Identity:
    return Identity(
        scope,
        name,
        created_at=5,
        proof=Proof(VerificationStatus.SUCCESS, since=7),
        dkim=Dkim(
            enabled=True,
            key=SigningKey(("a", "b", "c"), Secret(b"\0private\xff"), "p=abc", 2048, 6),
        ),
        mail_from=MailFrom("m.example.test", reject_on_mx_failure=True),
        policies={"p": "{}"},
        tags={"CreatedBy": "CDK", "naïve": "ü"},
    )


_ids = iter(range(1, 1_000_000))


def accepted(
    *addresses: str, raw: bytes = b"Subject: x\r\n\r\nbody\r\n", at: int = 1_000_000
) -> Accepted:
    number = next(_ids) * 100
    message = OutboundMessage(
        id=number,
        scope=SCOPE,
        message_id=f"0100-{number}",
        door=Door.API,
        reverse_path="sender@example.test",
        mail_from="amazonses.com",
        header_from="sender@example.test",
        subject="x",
        body=digest(raw),
        size=len(raw),
        signers=(Signer("example.test", "a", "identity:example.test"),),
        accepted_at=at,
        expires_at=at + 1000,
        tags=(("a", "b"),),
    )
    recipients = tuple(
        Recipient(number + 1 + place, address, place, address.partition("@")[2], at)
        for place, address in enumerate(addresses)
    )
    steps = (Step(at, "accepted", {"door": "api"}),)
    return Accepted(message, recipients, raw, steps, counted=len(addresses))


def arrival(name: str, user: str, *, raw: bytes = b"Subject: hi\r\n\r\nHello there\r\n") -> Arrival:
    return Arrival(
        id=name,
        address=user,
        user=user,
        kind="capture",
        scope=SCOPE,
        reverse_path="s@example.test",
        header_from="S <s@example.test>",
        subject="hi",
        raw=raw,
        prefix=b"Return-Path: <s@example.test>\r\n",
        received_at=50,
        message_id="<m@x>",
        authentication={"spf": "pass", "dkim": "pass", "dmarc": "pass"},
        header_index=(),
    )
