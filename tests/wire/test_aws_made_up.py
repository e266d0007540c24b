"""Shapes that today's models happen not to have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mailstead.wire.aws import Codec
from mailstead.wire.aws_model import (
    Kind,
    Request,
    Service,
    WireError,
)
from support.aws import refusal, request

# Shapes that today's models happen not to have


def made_up(protocol: str, members: dict[str, Any], shapes: dict[str, Any], **shape: Any) -> Any:
    """A codec of a service with one operation whose input and output are the same shape."""
    metadata = {
        "protocol": protocol,
        "apiVersion": "1",
        "endpointPrefix": "x",
        "xmlNamespace": "urn:x",
        "jsonVersion": "1.1",
        "targetPrefix": "X",
    }
    model = {
        "operations": {
            "Do": {
                "http": {"method": "POST", "requestUri": "/do"},
                "input": "Whole",
                "output": "Whole",
            },
            "Ping": {"http": {"method": "GET", "requestUri": "/ping"}},
        },
        "shapes": {
            "Whole": {"type": "structure", "members": members, **shape},
            "Text": {"type": "string"},
            "Bytes": {"type": "blob"},
            "Number": {"type": "integer"},
            "Part": {"type": "structure", "members": {"Name": {"shape": "Text"}}},
            **shapes,
        },
    }
    return Codec(Service("made-up", metadata, ["Do", "Ping"], json.dumps(model).encode()))


def there_and_back(codec: Any, sent: Request, value: Any) -> bytes:
    route = codec.route(sent)
    assert codec.decode(route, sent) == value
    return codec.result(route.operation, value, "id-1").body


NODE = {
    "Node": {"type": "structure", "members": {"Name": {"shape": "Text"}, "Next": {"shape": "Node"}}}
}
CHAIN = {"Node": {"Name": "a", "Next": {"Name": "b", "Next": {"Name": "c"}}}}


def test_shapes_within_themselves() -> None:
    members = {"Node": {"shape": "Node"}}
    query = made_up("query", members, NODE)
    sent = request("POST", "/", b"Action=Do&Node.Name=a&Node.Next.Name=b&Node.Next.Next.Name=c")
    inner = b"<Node><Name>a</Name><Next><Name>b</Name><Next><Name>c</Name></Next></Next></Node>"
    assert inner in there_and_back(query, sent, CHAIN)
    as_json = json.dumps(CHAIN, separators=(",", ":")).encode()
    for protocol in ("json", "rest-json"):
        codec = made_up(protocol, members, NODE)
        sent = request("POST", "/do", as_json, x_amz_target="X.Do")
        assert there_and_back(codec, sent, CHAIN) == as_json
    codec = made_up("rest-xml", members, NODE)
    assert inner in there_and_back(codec, request("POST", "/do", b"<x>" + inner + b"</x>"), CHAIN)


def test_encoders_of_shapes_within_themselves_find_nothing_to_do() -> None:
    shapes = {"Nested": {"type": "list", "member": {"shape": "Nested"}}}
    codec = made_up("json", {"All": {"shape": "Nested"}}, shapes)
    sent = request("POST", "/", b'{"All":[[],[[]]]}', x_amz_target="X.Do")
    assert there_and_back(codec, sent, {"All": [[], [[]]]}) == b'{"All":[[],[[]]]}'


def test_maps_in_xml() -> None:
    pair = {"key": {"shape": "Text"}, "value": {"shape": "Number"}}
    shapes = {
        "Map": {"type": "map", **pair},
        "Short": {"type": "string", "max": 1},
        "Limited": {"type": "map", **pair, "key": {"shape": "Short"}},
    }
    members = {"M": {"shape": "Map"}, "L": {"shape": "Limited"}}
    codec = made_up("rest-xml", members, shapes)
    body = (
        b"<x><M><entry><key>a</key><value>1</value></entry><entry><key>b</key></entry></M>"
        b"<L><entry><key>ab</key><value>1</value></entry></L></x>"
    )
    sent = request("POST", "/do", body)
    with pytest.raises(WireError, match="Map keys must satisfy constraint"):
        codec.decode(codec.route(sent), sent)
    sent = request("POST", "/do", body.replace(b"ab", b"c"))
    written = there_and_back(codec, sent, {"M": {"a": 1}, "L": {"c": 1}})
    assert b"<M><entry><key>a</key><value>1</value></entry></M>" in written
    flat = made_up("query", {"M": {"shape": "Map", "flattened": True}}, shapes)
    made = flat.result(flat.service.operations["Do"], {"M": {"a": 1}}, "id-1").body
    assert b"<DoResult><M><key>a</key><value>1</value></M></DoResult>" in made


def test_flat_lists_in_forms() -> None:
    shapes = {"List": {"type": "list", "member": {"shape": "Text"}, "flattened": True}}
    codec = made_up("query", {"L": {"shape": "List"}}, shapes)
    sent = request("POST", "/", b"Action=Do&L.1=a&L.2=b")
    assert b"<L>a</L><L>b</L>" in there_and_back(codec, sent, {"L": ["a", "b"]})


def test_bodies_that_are_one_member() -> None:
    for protocol in ("rest-json", "rest-xml"):
        for shape, sent, value in (("Bytes", b"\x00", b"\x00"), ("Text", "ä".encode(), "ä")):
            codec = made_up(protocol, {"P": {"shape": shape}}, {}, payload="P")
            assert there_and_back(codec, request("POST", "/do", sent), {"P": value}) == sent
        codec = made_up(protocol, {"P": {"shape": "Part"}}, {}, payload="P")
        sent = request("POST", "/do")
        assert codec.decode(codec.route(sent), sent) == {}
    codec = made_up("rest-json", {"P": {"shape": "Part"}}, {}, payload="P")
    sent = request("POST", "/do", b'{"Name":"n"}')
    assert there_and_back(codec, sent, {"P": {"Name": "n"}}) == b'{"Name":"n"}'
    empty = request("POST", "/do")
    codec = made_up("rest-json", {"P": {"shape": "Text"}}, {}, payload="P")
    assert codec.decode(codec.route(empty), empty) == {}


def test_members_outside_the_body() -> None:
    members = {
        "Code": {"shape": "Number", "location": "statusCode"},
        "Many": {"shape": "Numbers", "location": "header", "locationName": "X-Many"},
        "Metadata": {"shape": "Map", "location": "headers", "locationName": "x-m-"},
        "Need": {"shape": "Text", "location": "header", "locationName": "X-Need"},
    }
    shapes = {
        "Numbers": {"type": "list", "member": {"shape": "Number"}, "max": 2},
        "Map": {"type": "map", "key": {"shape": "Text"}, "value": {"shape": "Text"}},
    }
    inputs = {name: part for name, part in members.items() if name != "Code"}
    codec = made_up("rest-json", inputs, shapes, required=["Need"])
    sent = request("POST", "/do", x_many="1, 2")
    with pytest.raises(WireError, match="Value at 'need' failed to satisfy"):
        codec.decode(codec.route(sent), sent)
    sent = request("POST", "/do", x_many="1, 2,3", x_need="n")
    with pytest.raises(WireError, match="less than or equal to 2"):
        codec.decode(codec.route(sent), sent)
    codec = made_up("rest-json", members, shapes)
    response = codec.result(codec.service.operations["Do"], {"Code": 202}, "id-1")
    assert response.status == 202


def test_operations_without_input_and_output() -> None:
    for protocol, sent in (
        ("query", request("POST", "/", b"Action=Ping")),
        ("json", request("POST", "/", x_amz_target="X.Ping")),
        ("rest-json", request("GET", "/ping")),
        ("rest-xml", request("GET", "/ping")),
    ):
        there_and_back(made_up(protocol, {}, {}), sent, {})


def test_paths_are_utf8() -> None:
    sent = request("GET", "/v2/email/identities/%ff")
    assert refusal("sesv2", sent).kind is Kind.MALFORMED
