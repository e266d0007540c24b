"""SES operations that send: each builds a Submission and goes through the one door out.

IAM is asked by the domain, which alone knows on which identities a message is sent.
"""

from __future__ import annotations

from typing import Any

from mailstead.api.errors import NOT_SERVED
from mailstead.api.operation import Call, operation
from mailstead.mail.errors import Invalid
from mailstead.mail.messages import Door
from mailstead.mail.submission import Submission, submit
from mailstead.wire.compose import Attachment, Draft, Text, TransferEncoding

Params = dict[str, Any]
V1_SIZE = 10 * 1024 * 1024
"""Bytes of a message that version 1 takes; version 2 takes 40 MB."""
V2_SIZE = 40 * 1024 * 1024
_LATER = ("ListManagementOptions", "TenantName", "EndpointId")


@operation("sesv2", "SendEmail", open_=True)
async def send_email(call: Call, p: Params) -> Params:
    content = p["Content"]
    if "Template" in content:
        raise _not_served("Content.Template")
    for name in _LATER:
        if name in p:
            raise _not_served(name)
    if ("Simple" in content) == ("Raw" in content):
        raise Invalid("Content holds one of Simple, Raw and Template.", resource="message")
    raw = content["Raw"]["Data"] if "Raw" in content else None
    source = p.get("FromEmailAddress")
    return await _sent(
        call,
        Submission(
            scope=call.scope,
            door=Door.API,
            authorise=call.authorise_sending,
            action="ses:SendEmail" if raw is None else "ses:SendRawEmail",
            api_version=call.api_version,
            source=source,
            **_destination(p.get("Destination", {})),
            feedback=p.get("FeedbackForwardingEmailAddress"),
            simple=_draft(p, source or "", content["Simple"]) if raw is None else None,
            raw=raw,
            configuration_set=p.get("ConfigurationSetName"),
            tags=_tags(p.get("EmailTags", ())),
            source_arn=p.get("FromEmailAddressIdentityArn"),
            size_limit=V2_SIZE,
        ),
    )


@operation("ses", "SendEmail", open_=True)
async def send_email_v1(call: Call, p: Params) -> Params:
    return await _sent(
        call,
        Submission(
            scope=call.scope,
            door=Door.API,
            authorise=call.authorise_sending,
            api_version=call.api_version,
            source=p["Source"],
            **_destination(p["Destination"]),
            feedback=p.get("ReturnPath"),
            simple=_draft(p, p["Source"], p["Message"]),
            configuration_set=p.get("ConfigurationSetName"),
            tags=_tags(p.get("Tags", ())),
            source_arn=p.get("SourceArn"),
            size_limit=V1_SIZE,
        ),
    )


@operation("ses", "SendRawEmail", open_=True)
async def send_raw_email(call: Call, p: Params) -> Params:
    return await _sent(
        call,
        Submission(
            scope=call.scope,
            door=Door.API,
            authorise=call.authorise_sending,
            action="ses:SendRawEmail",
            api_version=call.api_version,
            source=p.get("Source"),
            to=tuple(p.get("Destinations", ())),
            raw=p["RawMessage"]["Data"],
            configuration_set=p.get("ConfigurationSetName"),
            tags=_tags(p.get("Tags", ())),
            source_arn=p.get("SourceArn"),
            from_arn=p.get("FromArn"),
            size_limit=V1_SIZE,
        ),
    )


async def _sent(call: Call, submission: Submission) -> Params:
    return {"MessageId": await submit(call.ports.outbound, submission)}


def _destination(given: Params) -> Params:
    names = (("to", "ToAddresses"), ("cc", "CcAddresses"), ("bcc", "BccAddresses"))
    return {field: tuple(given.get(name, ())) for field, name in names}


def _draft(p: Params, source: str, message: Params) -> Draft:
    """What both versions call a message: a subject, and bodies."""
    destination = _destination(p.get("Destination", {}))
    body = message["Body"]
    return Draft(
        sender=source,
        subject=_text(message["Subject"]),
        to=destination["to"],
        cc=destination["cc"],
        reply_to=tuple(p.get("ReplyToAddresses", ())),
        text=_text(body["Text"]) if "Text" in body else None,
        html=_text(body["Html"]) if "Html" in body else None,
        headers=tuple((one["Name"], one["Value"]) for one in message.get("Headers", ())),
        attachments=tuple(_attachment(one) for one in message.get("Attachments", ())),
    )


def _text(given: Params) -> Text:
    return Text(given["Data"], given.get("Charset", ""))


def _attachment(given: Params) -> Attachment:
    return Attachment(
        content=given["RawContent"],
        file_name=given["FileName"],
        content_type=given.get("ContentType", ""),
        inline=given.get("ContentDisposition") == "INLINE",
        content_id=given.get("ContentId", ""),
        description=given.get("ContentDescription", ""),
        transfer_encoding=TransferEncoding(given.get("ContentTransferEncoding", "BASE64")),
    )


def _tags(given: list[dict[str, str]] | tuple[()]) -> tuple[tuple[str, str], ...]:
    return tuple((tag["Name"], tag["Value"]) for tag in given)


def _not_served(what: str) -> Invalid:
    return Invalid(
        f"{what} of SES v2 SendEmail is not served by mailstead. docs/operations.md lists what is.",
        resource="message",
        reason=NOT_SERVED,
    )
