"""Whatever comes in is a request or a WireError, never another exception."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.aws_model import (
    Request,
    WireError,
)
from support.aws import SEND, WIRE, decoded, request

# Garbage


@given(st.binary(max_size=200), st.sampled_from(sorted(WIRE.models.services)))
def test_garbage_bodies(body: bytes, name: str) -> None:
    service = WIRE.models[name]
    codec = WIRE.codec(service)
    for operation in sorted(service.operations.values(), key=lambda one: one.name)[:3]:
        if service.protocol == "query":
            sent = request("POST", "/", f"Action={operation.name}&".encode() + body)
        elif service.protocol == "json":
            target = f"{service.metadata['targetPrefix']}.{operation.name}"
            sent = request("POST", "/", body, x_amz_target=target)
        else:
            url = re.sub(r"\{\w+\+?\}", "x", operation.uri)
            sent = request(operation.method, url, body)
        with suppress(WireError):
            codec.decode(codec.route(sent), sent)


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["GET", "PUT", "POST"]))
def test_garbage_paths(path: str, query: str, method: str) -> None:
    for name in ("s3", "sesv2", "route53"):
        codec = WIRE.codec(WIRE.models[name])
        for start in ("", "/", "/v2/email/", "/2013-04-01/"):
            sent = Request(method, start + path, query, {}, b"")
            with suppress(WireError):
                codec.decode(codec.route(sent), sent)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["Content", "Simple", "Raw", "Data", "Destination", "ToAddresses", "Headers"]
                ),
                inner,
            )
        ),
        max_leaves=10,
    )
)
def test_garbage_json(value: Any) -> None:
    with suppress(WireError):
        decoded("sesv2", request("POST", SEND, json.dumps(value).encode()))
