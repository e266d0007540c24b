"""What tests of sending send."""

from __future__ import annotations

from typing import Any

SUBJECT, BODY = {"Data": "Hello"}, {"Text": {"Data": "Hi"}}
SIMPLE = {"Simple": {"Subject": SUBJECT, "Body": BODY}}


def v1(to: str = "b@example.com", source: str = "a@example.com", **more: Any) -> dict[str, Any]:
    destination = {"ToAddresses": [to]}
    message = {"Subject": SUBJECT, "Body": BODY}
    return {"Source": source, "Destination": destination, "Message": message, **more}


def v2(to: str = "b@example.com", source: str = "a@example.com", **more: Any) -> dict[str, Any]:
    destination = {"ToAddresses": [to]}
    return {"FromEmailAddress": source, "Destination": destination, "Content": SIMPLE, **more}


def raw(text: str, **more: Any) -> dict[str, Any]:
    return {"RawMessage": {"Data": text.encode()}, **more}
