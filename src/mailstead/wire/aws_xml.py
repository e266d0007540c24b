"""XML bodies: requests of ``rest-xml``, answers of ``query`` and ``rest-xml``.

Names are compared without their namespace. A document type declaration is
refused, and with it every entity but the five predefined ones, so that no
document grows beyond its own size; so is nesting beyond a depth.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn
from xml.parsers import expat

from mailstead.wire.aws_constraints import list_check, map_check
from mailstead.wire.aws_decoders import Decoders
from mailstead.wire.aws_model import Path, Problems, Shape
from mailstead.wire.aws_scalars import NULL, from_text, malformed, to_text

DEEPEST = 50


@dataclass(slots=True)
class Element:
    """An XML element: local name, attributes by local name, character data, children."""

    name: str
    attributes: dict[str, str]
    text: str = ""
    children: list[Element] = field(default_factory=list["Element"])

    def all(self, name: str) -> list[Element]:
        """The children with this name."""
        return [child for child in self.children if child.name == name]


NOTHING = Element("", {})
"""The root of no document: a request without a body."""


class _Refused(Exception):
    """Raised inside expat's callbacks, to leave the parser."""


def _refuse(*_: object) -> NoReturn:
    raise _Refused


def parse(body: bytes) -> Element:
    """The root of a document; anything that is not well-formed XML is a WireError."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse
    parser.EntityDeclHandler = _refuse
    top = Element("", {})
    open_: list[Element] = [top]

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(open_) > DEEPEST:
            raise _Refused
        local = {key.rpartition(" ")[2]: value for key, value in attributes.items()}
        element = Element(name.rpartition(" ")[2], local)
        open_[-1].children.append(element)
        open_.append(element)

    def end(_: str) -> None:
        open_.pop()

    def text(data: str) -> None:
        open_[-1].text += data

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, _Refused, ValueError, LookupError):
        raise malformed("The XML you provided was not well-formed.") from None
    return top.children[0]


def is_flat(part: Shape, target: Shape) -> bool:
    """Whether a list's or map's items stand in the structure without an element around them."""
    return bool(part.get("flattened") or target.get("flattened"))


def flat_tag(name: str, part: Shape, target: Shape) -> str:
    """The name of such an item's element."""
    return part.get("locationName") or target["member"].get("locationName", name)


FromElement = Callable[[Element, Path, Problems], Any]
FromElements = Callable[[list[Element], Path, Problems], list[Any]]


class XmlDecoders(Decoders[Element]):
    """Decoders from elements; a list's takes the element around the items."""

    def items(self, shape: Shape) -> FromElements:
        """The decoder of a list's items."""
        inner = self._inside(shape["member"]["shape"])
        check = list_check(shape, self._shapes[shape["member"]["shape"]])

        def decode(found: list[Element], path: Path, problems: Problems) -> list[Any]:
            out = [
                inner(item, (path, f"{number}.member"), problems)
                for number, item in enumerate(found, 1)
            ]
            if check is not None:
                check(out, path, problems)
            return out

        return decode

    def _scalar(self, shape: Shape, *, checked: bool) -> FromElement:
        return _text(shape, checked=checked)

    def _list(self, shape: Shape) -> FromElement:
        return _below(shape["member"].get("locationName", "member"), self.items(shape))

    def _map(self, shape: Shape) -> FromElement:
        key, value = shape["key"], shape["value"]
        inner = self._inside(value["shape"])
        check = map_check(shape, self._shapes[key["shape"]], self._shapes[value["shape"]])
        key_name, value_name = key.get("locationName", "key"), value.get("locationName", "value")

        def decode(around: Element, path: Path, problems: Problems) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for entry in around.all("entry"):
                keys, values = entry.all(key_name), entry.all(value_name)
                if keys and values:
                    out[keys[0].text] = inner(values[0], (path, f"{keys[0].text}.member"), problems)
            if check is not None:
                check(out, path, problems)
            return out

        return decode

    def structure(self, shape: Shape, members: Mapping[str, Shape]) -> FromElement:
        """A decoder of these members of a structure; required ones among them must be there."""
        single: dict[str, tuple[str, FromElement]] = {}
        flat: list[tuple[str, str, FromElements]] = []
        attributes: list[tuple[str, str]] = []
        for name, part in members.items():
            target = self._shapes[part["shape"]]
            if part.get("xmlAttribute"):
                attributes.append((part["locationName"].rpartition(":")[2], name))
            elif target["type"] == "list" and is_flat(part, target):
                flat.append((flat_tag(name, part, target), name, self.items(target)))
            else:
                single[part.get("locationName", name)] = (name, self.of(part["shape"]))
        required = [name for name in shape.get("required", ()) if name in members]

        around = _around(flat, attributes)

        def decode(value: Element, path: Path, problems: Problems) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for child in value.children:
                if (found := single.get(child.name)) is not None:
                    name, inner = found
                    out[name] = inner(child, (path, name), problems)
            out.update(around(value, path, problems))
            for name in required:
                if name not in out:
                    problems.append(((path, name), NULL))
            return out

        return decode


def _around(
    flat: list[tuple[str, str, FromElements]], attributes: list[tuple[str, str]]
) -> Callable[[Element, Path, Problems], Iterator[tuple[str, Any]]]:
    """A structure's members that are not one child each."""

    def read(value: Element, path: Path, problems: Problems) -> Iterator[tuple[str, Any]]:
        for tag, name, inner in flat:
            if children := value.all(tag):
                yield name, inner(children, (path, name), problems)
        for key, name in attributes:
            if key in value.attributes:
                yield name, value.attributes[key]

    return read


def _below(tag: str, inner: FromElements) -> FromElement:
    return lambda value, path, problems: inner(value.all(tag), path, problems)


def _text(shape: Shape, *, checked: bool) -> FromElement:
    inner = from_text(shape, checked=checked)
    if shape["type"] == "string":
        return lambda value, path, problems: inner(value.text, path, problems)
    return lambda value, path, problems: inner(value.text.strip(), path, problems)


# Writing

Append = Callable[[str], object]
Write = Callable[[Any, Append], None]
"""Appends an element with this value."""

_UNSAFE = re.compile('[&<>"\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]')
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;"}


def escaped(text: str) -> str:
    """Text for XML. What XML 1.0 cannot hold at all becomes U+FFFD."""
    if _UNSAFE.search(text) is None:
        return text
    return _UNSAFE.sub(lambda found: _ESCAPES.get(found[0], "\ufffd"), text)


class XmlWriters:
    """Writers of a service's shapes under a tag, made when first asked for."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._made: dict[tuple[str, str], Write] = {}

    def of(self, name: str, tag: str) -> Write:
        """The writer of the shape with this name, as an element ``tag``."""
        key = (name, tag)
        if key in self._made:
            return self._made[key]
        self._made[key] = self._later(key)
        shape = self._shapes[name]
        match shape["type"]:
            case "structure":
                made = self._structure(shape, tag)
            case "list":
                inner = self.of(
                    shape["member"]["shape"], shape["member"].get("locationName", "member")
                )
                made = _within(tag, _each(inner))
            case "map":
                made = _within(tag, self._entries(shape, "entry"))
            case _:
                made = _simple(shape, tag)
        self._made[key] = made
        return made

    def _later(self, key: tuple[str, str]) -> Write:
        def write(value: Any, append: Append) -> None:
            self._made[key](value, append)

        return write

    def _structure(self, shape: Shape, tag: str) -> Write:
        members: dict[str, Shape] = shape["members"]
        attributes = {
            name: part["locationName"] for name, part in members.items() if part.get("xmlAttribute")
        }
        inner = self.structure(
            {name: part for name, part in members.items() if name not in attributes}
        )
        if not attributes:
            return _within(tag, inner)
        uri = shape["xmlNamespace"]["uri"]

        def write(value: Mapping[str, Any], append: Append) -> None:
            written = "".join(
                f' {place}="{escaped(value[name])}"'
                for name, place in attributes.items()
                if value.get(name) is not None
            )
            append(f'<{tag} xmlns:xsi="{uri}"{written}>')
            inner({k: v for k, v in value.items() if k not in attributes}, append)
            append(f"</{tag}>")

        return write

    def structure(self, members: Mapping[str, Shape]) -> Write:
        """A writer of these members of a structure, without an element around them."""
        known: dict[str, Write] = {}
        order: dict[str, int] = {}
        for number, (name, part) in enumerate(members.items()):
            target = self._shapes[part["shape"]]
            tag = part.get("locationName", name)
            order[name] = number
            if target["type"] == "list" and is_flat(part, target):
                inner = self.of(target["member"]["shape"], flat_tag(name, part, target))
                known[name] = _each(inner)
            elif target["type"] == "map" and is_flat(part, target):
                known[name] = self._entries(target, tag)
            else:
                known[name] = self.of(part["shape"], tag)

        def write(value: Mapping[str, Any], append: Append) -> None:
            for name in sorted(value, key=order.__getitem__):
                item = value[name]
                if item is not None:
                    known[name](item, append)

        return write

    def _entries(self, shape: Shape, tag: str) -> Write:
        key = self.of(shape["key"]["shape"], shape["key"].get("locationName", "key"))
        inner = self.of(shape["value"]["shape"], shape["value"].get("locationName", "value"))

        def write(value: Mapping[str, Any], append: Append) -> None:
            for name, item in value.items():
                append(f"<{tag}>")
                key(name, append)
                inner(item, append)
                append(f"</{tag}>")

        return write


def _simple(shape: Shape, tag: str) -> Write:
    opened, closed = f"<{tag}>", f"</{tag}>"
    convert = escaped if shape["type"] == "string" else to_text(shape, "iso8601")

    def write(value: Any, append: Append) -> None:
        append(f"{opened}{convert(value)}{closed}")

    return write


def _each(inner: Write) -> Write:
    def write(value: list[Any], append: Append) -> None:
        for item in value:
            inner(item, append)

    return write


def _within(tag: str, inner: Write) -> Write:
    opened, closed = f"<{tag}>", f"</{tag}>"

    def write(value: Any, append: Append) -> None:
        append(opened)
        inner(value, append)
        append(closed)

    return write
