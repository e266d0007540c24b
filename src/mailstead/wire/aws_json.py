"""JSON bodies of the ``json`` and ``rest-json`` protocols, by shape.

Decoders and encoders are closures, built once per shape. A null member is an
absent member; an unknown member is ignored, as AWS ignores it; a result with a
member that the shape does not have is our own bug, a KeyError.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from mailstead.wire.aws_constraints import list_check, map_check
from mailstead.wire.aws_decoders import Decoders
from mailstead.wire.aws_model import Path, Problems, Shape
from mailstead.wire.aws_scalars import (
    NULL,
    FromJson,
    from_json,
    json_encoder,
    malformed,
    unexpected,
)

Encode = Callable[[Any], Any]

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


_parse = json.JSONDecoder(parse_constant=_refuse_constant).decode


def parse(body: bytes) -> Any:
    """The value of a JSON body; an empty one is an empty structure."""
    if not body:
        return {}
    try:
        value = _parse(body.decode())
        if _SURROGATE.search(body):
            # Half of a surrogate pair is no character (RFC 8259 8.2).
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise malformed("The request body is not valid JSON in UTF-8.") from None
    return value


def write(value: Any) -> bytes:
    """Compact JSON bytes."""
    return json.dumps(value, separators=(",", ":")).encode()


class JsonDecoders(Decoders[Any]):
    """Decoders from JSON values."""

    def structure(self, shape: Shape, members: Mapping[str, Shape]) -> FromJson:
        """A decoder of these members of a structure; required ones among them must be there."""
        known = {
            part.get("locationName", name): (name, self.of(part["shape"]))
            for name, part in members.items()
        }
        required = [name for name in shape.get("required", ()) if name in members]
        find = known.get

        def decode(value: Any, path: Path, problems: Problems) -> dict[str, Any]:
            if type(value) is not dict:
                raise unexpected(value) if type(value) is list else malformed("Expected null")
            out: dict[str, Any] = {}
            for key, item in value.items():
                if item is not None and (found := find(key)) is not None:
                    name, inner = found
                    out[name] = inner(item, (path, name), problems)
            for name in required:
                if name not in out:
                    problems.append(((path, name), NULL))
            return out

        return decode

    def _scalar(self, shape: Shape, *, checked: bool) -> FromJson:
        return from_json(shape, checked=checked)

    def _list(self, shape: Shape) -> FromJson:
        inner = self._inside(shape["member"]["shape"])
        check = list_check(shape, self._shapes[shape["member"]["shape"]])

        def decode(value: Any, path: Path, problems: Problems) -> list[Any]:
            if type(value) is not list:
                raise (
                    unexpected(value) if type(value) is dict else malformed("Expected list or null")
                )
            out: list[Any] = []
            for number, item in enumerate(value, 1):
                place = (path, f"{number}.member")
                if item is None:
                    problems.append((place, NULL))
                else:
                    out.append(inner(item, place, problems))
            if check is not None:
                check(out, path, problems)
            return out

        return decode

    def _map(self, shape: Shape) -> FromJson:
        inner = self._inside(shape["value"]["shape"])
        key, value_ = self._shapes[shape["key"]["shape"]], self._shapes[shape["value"]["shape"]]
        check = map_check(shape, key, value_)

        def decode(value: Any, path: Path, problems: Problems) -> dict[str, Any]:
            if type(value) is not dict:
                raise unexpected(value) if type(value) is list else malformed("Expected null")
            out = {
                key: inner(item, (path, f"{key}.member"), problems)
                for key, item in value.items()
                if item is not None
            }
            if check is not None:
                check(out, path, problems)
            return out

        return decode


def _each(inner: Encode | None) -> Encode | None:
    def encode(value: list[Any]) -> list[Any]:
        return [inner(item) for item in value] if inner else value

    return encode if inner else None


def _each_value(inner: Encode | None) -> Encode | None:
    def encode(value: Mapping[str, Any]) -> dict[str, Any]:
        return {key: inner(item) for key, item in value.items()} if inner else {}

    return encode if inner else None


class JsonEncoders:
    """Encoders of a service's shapes, made when first asked for."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._made: dict[str, Encode | None] = {}

    def of(self, name: str) -> Encode | None:
        """The encoder of the shape with this name; None where values go as they are."""
        if name in self._made:
            return self._made[name]
        self._made[name] = lambda value: self._again(name, value)
        shape = self._shapes[name]
        match shape["type"]:
            case "structure":
                made = self.structure(shape["members"])
            case "list":
                made = _each(self.of(shape["member"]["shape"]))
            case "map":
                made = _each_value(self.of(shape["value"]["shape"]))
            case _:
                made = json_encoder(shape)
        self._made[name] = made
        return made

    def _again(self, name: str, value: Any) -> Any:
        made = self._made[name]
        return value if made is None else made(value)

    def structure(self, members: Mapping[str, Shape]) -> Encode:
        """An encoder of these members of a structure; absent ones and None are left out."""
        known = {
            name: (part.get("locationName", name), self.of(part["shape"]))
            for name, part in members.items()
        }

        def encode(value: Mapping[str, Any]) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for name, item in value.items():
                key, inner = known[name]
                if item is not None:
                    out[key] = item if inner is None else inner(item)
            return out

        return encode
