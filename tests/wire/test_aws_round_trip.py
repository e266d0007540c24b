"""Every operation of every compiled service, there and back against botocore.

botocore serialises a sample input and our codec decodes it; our codec encodes a
sample output and botocore's parser reads it. The samples fill every member, and
satisfy all of the model's constraints.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from re import _parser as sre
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from botocore import parsers, serialize
from botocore.awsrequest import HeadersDict, prepare_request_dict
from botocore.handlers import parse_get_bucket_location
from botocore.loaders import Loader
from botocore.model import ServiceModel

from mailstead.wire.aws import Wire
from mailstead.wire.aws_bindings import SHADOWED, UNWRAPPED
from mailstead.wire.aws_constraints import _pattern
from mailstead.wire.aws_model import Request, load_models

MODELS = Path(__file__).parents[2] / "src/mailstead/wire/models.json.gz"
MOMENT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def matching(parsed: Any, repeat: int) -> str:
    """A string that a parsed pattern matches, its loops run ``repeat`` times where they may."""
    out = ""
    for operator, argument in parsed:
        match str(operator):
            case "LITERAL":
                out += chr(argument)
            case "NOT_LITERAL":
                out += "b" if argument == ord("a") else "a"
            case "ANY":
                out += "a"
            case "IN":
                out += _one_of(argument)
            case "BRANCH":
                out += matching(argument[1][0], repeat)
            case "SUBPATTERN":
                out += matching(argument[3], repeat)
            case "MAX_REPEAT" | "MIN_REPEAT":
                least, most, inner = argument
                out += matching(inner, repeat) * max(int(least), min(int(most), repeat))
            case _:
                continue
    return out


def _one_of(choices: Any) -> str:
    for operator, argument in choices:
        match str(operator):
            case "LITERAL":
                return chr(argument)
            case "RANGE":
                low, high = argument
                return "a" if low <= ord("a") <= high else chr(low)
            case "NEGATE":
                return "m"
            case "CATEGORY":
                return "7" if "DIGIT" in str(argument) else "w"
    raise AssertionError(choices)


def text(shape: Any) -> str:
    """A string for a botocore shape."""
    if shape.enum:
        return shape.enum[0]
    least = int(shape.metadata.get("min", 1) or 1)
    most = int(shape.metadata.get("max", 10**9))
    written = shape.metadata.get("pattern")
    pattern = _pattern(written) if written else None
    if pattern is None:
        return ("hällo <&> wörld\n" * 2 if most > 40 else "x")[:most].ljust(least, "x")
    parsed = sre.parse(pattern.pattern)
    for repeat in (1, 2, 3, *range(4, 80), 500):
        found = matching(parsed, repeat)
        if least <= len(found) <= most and pattern.fullmatch(found):
            return found
    raise AssertionError((shape.name, written))


def sample(shape: Any, seen: tuple[str, ...] = ()) -> Any:
    """A value for a botocore shape, with every member that ends."""
    match shape.type_name:
        case "structure":
            if shape.name in seen:
                return {}
            below = (*seen, shape.name)
            members = dict(shape.members)
            if shape.is_tagged_union:
                members = dict(list(members.items())[:1])
            return {
                name: sample(part, below)
                for name, part in members.items()
                if not _loops(part, below)
            }
        case "list":
            count = max(int(shape.metadata.get("min", 2)), 1)
            count = min(count, int(shape.metadata.get("max", 3)))
            return [sample(shape.member, seen) for _ in range(count)]
        case "map":
            if shape.serialization.get("location") == "headers":
                return {"plain": "plain"}
            return {sample(shape.key, seen): sample(shape.value, seen)}
        case "timestamp":
            return MOMENT
        case "blob":
            return b"\x00\xffblob bytes"[: int(shape.metadata.get("max", 99))]
        case "boolean":
            return True
        case "integer" | "long":
            return int(shape.metadata.get("min", shape.metadata.get("max", 3)))
        case "float" | "double":
            return float(shape.metadata.get("min", 1.5))
        case _:
            in_header = "header" in shape.serialization.get("location", "")
            free = not shape.enum and not shape.metadata.get("pattern")
            return "plain" if in_header and free else text(shape)


def _loops(shape: Any, seen: tuple[str, ...]) -> bool:
    if shape.type_name == "list":
        return _loops(shape.member, seen)
    if shape.type_name == "map":
        return _loops(shape.value, seen)
    return shape.type_name == "structure" and shape.name in seen


def plain(value: Any) -> Any:
    """Timestamps as seconds, empty strings of structures kept: the codec's own values."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


class Body:
    """A streaming body as botocore hands it to its parser."""

    def __init__(self, content: bytes) -> None:
        self.content = content


WIRE = Wire(load_models(MODELS.read_bytes()))
LOADER = Loader()
SERVICES = list(WIRE.models.services)
# An event stream and a host name made of a parameter: no part of the product serves them.
STREAMS = {"SelectObjectContent", "WriteGetObjectResponse"}


def service_model(name: str) -> ServiceModel:
    return ServiceModel(LOADER.load_service_model(name, "service-2"), name)


def sent(model: ServiceModel, operation: Any, value: Any) -> Request:
    """What a client of botocore sends for an input."""
    serializer = serialize.create_serializer(model.metadata["protocol"], False)
    made = serializer.serialize_to_request(value, operation)
    prepare_request_dict(made, "http://localhost")
    url = urlsplit(made["url"])
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body)
    if isinstance(body, str):
        body = body.encode()
    headers = {name.lower(): value for name, value in made["headers"].items()}
    return Request(made["method"], url.path, url.query, headers, body or b"")


def operations(name: str) -> list[str]:
    left_out = SHADOWED.get(name, frozenset()) | STREAMS
    return [op for op in sorted(WIRE.models[name].operation_names) if op not in left_out]


@pytest.mark.parametrize("name", SERVICES)
def test_requests_of_botocore_decode(name: str) -> None:
    model = service_model(name)
    codec = WIRE.codec(WIRE.models[name])
    for operation_name in operations(name):
        operation = model.operation_model(operation_name)
        value = sample(operation.input_shape) if operation.input_shape else {}
        request = sent(model, operation, value)
        found = WIRE.identify(codec.service.signing_name, request)
        assert found is codec.service, operation_name
        route = codec.route(request)
        assert route.operation.name == operation_name
        decoded = codec.decode(route, request)
        assert decoded == plain(value), operation_name


@pytest.mark.parametrize("name", SERVICES)
def test_results_are_read_by_botocore(name: str) -> None:
    model = service_model(name)
    codec = WIRE.codec(WIRE.models[name])
    parser = parsers.create_parser(model.metadata["protocol"])
    for operation_name in operations(name):
        operation = model.operation_model(operation_name)
        value = sample(operation.output_shape) if operation.output_shape else {}
        response = codec.result(WIRE.models[name].operations[operation_name], plain(value), "id-1")
        parsed = parser.parse(
            {
                "status_code": response.status,
                "headers": HeadersDict(response.headers),
                "body": Body(response.body) if operation.has_streaming_output else response.body,
            },
            operation.output_shape,
        )
        metadata = parsed.pop("ResponseMetadata")
        assert metadata["RequestId"] == "id-1", operation_name
        for key, item in parsed.items():
            if isinstance(item, Body):
                parsed[key] = item.content
        if operation_name in UNWRAPPED.get(name, {}):
            # botocore reads it in a handler of its own.
            parse_get_bucket_location(parsed, SimpleNamespace(content=response.body, raw=b""))
        assert plain(parsed) == plain(value), operation_name
