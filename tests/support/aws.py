"""Requests as clients send them, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import pytest

from mailstead.wire.aws import Wire
from mailstead.wire.aws_model import (
    Request,
    WireError,
    load_models,
)

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "src/mailstead/wire/models.json.gz"
WIRE = Wire(load_models(MODELS.read_bytes()))
SEND = "/v2/email/outbound-emails"


def request(method: str, url: str, body: bytes = b"", **headers: str) -> Request:
    path, _, query = url.partition("?")
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, path, query, named, body)


def decoded(service: str, sent: Request) -> tuple[str, dict[str, Any]]:
    codec = WIRE.codec(WIRE.models[service])
    route = codec.route(sent)
    return route.operation.name, codec.decode(route, sent)


def form(**fields: str) -> Request:
    body = "&".join(f"{name}={quote_plus(value)}" for name, value in fields.items())
    return request("POST", "/", body.encode())


def refusal(service: str, sent: Request) -> WireError:
    with pytest.raises(WireError) as caught:
        decoded(service, sent)
    return caught.value
