"""Resources to JSON text and back, by their dataclasses' annotations.

``scope`` and ``name`` are columns, so they stay out of the text. A field that
the text lacks takes its default: a column that a later version adds needs no
migration. Built once a class.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from mailstead.mail.model import Resource, Scope, Secret
from mailstead.store.sealing import Seal

Convert = Callable[[Any, Seal, str], Any]
COLUMNS = ("scope", "name")


@dataclass(frozen=True, slots=True)
class Codec:
    """How one type goes to JSON values and comes back."""

    encode: Convert
    decode: Convert


def _same(value: Any, _seal: Seal, _place: str) -> Any:
    return value


PLAIN = Codec(_same, _same)
SECRET = Codec(
    lambda value, seal, place: seal.close(value, place),
    lambda value, seal, place: seal.open(value, place),
)
BYTES = Codec(
    lambda value, _seal, _place: b64encode(value).decode(),
    lambda value, _seal, _place: b64decode(value),
)


def _optional(inner: Codec) -> Codec:
    return Codec(
        lambda value, seal, place: None if value is None else inner.encode(value, seal, place),
        lambda value, seal, place: None if value is None else inner.decode(value, seal, place),
    )


def _sequence(inner: Codec) -> Codec:
    return Codec(
        lambda value, seal, place: [inner.encode(item, seal, place) for item in value],
        lambda value, seal, place: tuple(inner.decode(item, seal, place) for item in value),
    )


def _pairs(inner: tuple[Codec, ...]) -> Codec:
    return Codec(
        lambda value, seal, place: [
            codec.encode(item, seal, place) for codec, item in zip(inner, value, strict=True)
        ],
        lambda value, seal, place: tuple(
            codec.decode(item, seal, place) for codec, item in zip(inner, value, strict=True)
        ),
    )


def _mapping(inner: Codec) -> Codec:
    return Codec(
        lambda value, seal, place: {k: inner.encode(v, seal, place) for k, v in value.items()},
        lambda value, seal, place: {k: inner.decode(v, seal, place) for k, v in value.items()},
    )


def _dataclass(kind: type) -> Codec:
    inner = _fields_of(kind)

    def encode(value: Any, seal: Seal, place: str) -> Any:
        return {
            name: codec.encode(getattr(value, name), seal, place) for name, codec in inner.items()
        }

    def decode(value: Any, seal: Seal, place: str) -> Any:
        return kind(**_decode_fields(kind, value, seal, place))

    return Codec(encode, decode)


def _enum(kind: type[Enum]) -> Codec:
    return Codec(
        lambda value, _seal, _place: value.value,
        lambda value, _seal, _place: kind(value),
    )


def _generic(hint: Any) -> Codec:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        inner = [argument for argument in arguments if argument is not NoneType]
        if len(inner) == 1:
            return _optional(codec_of(inner[0]))
        return PLAIN
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return _sequence(codec_of(arguments[0]))
    if origin is tuple:
        return _pairs(tuple(codec_of(argument) for argument in arguments))
    if origin is dict:
        return _mapping(codec_of(arguments[1]))
    return PLAIN


def _class(kind: type) -> Codec:
    if issubclass(kind, Secret):
        return SECRET
    if issubclass(kind, bytes):
        return BYTES
    if issubclass(kind, Enum):
        return _enum(kind)
    return _dataclass(kind) if is_dataclass(kind) else PLAIN


@cache
def codec_of(hint: Any) -> Codec:
    """The codec of a class or annotation."""
    if isinstance(hint, type) and get_origin(hint) is None:
        return _class(hint)
    return _generic(hint)


def place_of(resource: Resource) -> str:
    """What a sealed secret is bound to: the resource's kind and name."""
    return f"{resource.KIND} {resource.name}"


def encode(resource: Resource, seal: Seal) -> str:
    """The text that the ``body`` column holds."""
    codec = codec_of(type(resource))
    value = codec.encode(resource, seal, place_of(resource))
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def decode(kind: type[Any], scope: Scope, name: str, body: str, seal: Seal) -> Any:
    """The resource that a row holds."""
    values = _decode_fields(kind, json.loads(body), seal, f"{kind.KIND} {name}")
    return kind(scope=scope, name=name, **values)


def _decode_fields(kind: type, values: dict[str, Any], seal: Seal, place: str) -> dict[str, Any]:
    return {
        name: codec.decode(values[name], seal, place)
        for name, codec in _fields_of(kind).items()
        if name in values
    }


@cache
def _fields_of(kind: Any) -> dict[str, Codec]:
    hints = get_type_hints(kind)
    resource = hints.get("scope") is Scope
    return {
        field.name: codec_of(hints[field.name])
        for field in fields(kind)
        if not (resource and field.name in COLUMNS)
    }
