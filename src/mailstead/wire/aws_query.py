"""Requests of the ``query`` protocol: a form whose names spell a path to each value.

``Destination.ToAddresses.member.1=a@b.c`` is the first item of the list
ToAddresses in the structure Destination. The form is first made a tree, then
decoded by shape. Answers are XML: `mailstead.wire.aws_xml`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from mailstead.wire.aws_constraints import list_check, map_check
from mailstead.wire.aws_decoders import Decoders
from mailstead.wire.aws_model import Path, Problems, Shape
from mailstead.wire.aws_scalars import NULL, from_text, malformed

Node = Any
"""A text, or a dictionary of nodes by the next part of the name."""

FromNode = Callable[[Node, Path, Problems], Any]

MOST_PAIRS = 20_000
_LONGEST_NAME = 1_000
_DEEPEST = 40
_LONG = 16_384
_BASE64_ESCAPES = (("%2B", "+"), ("%2F", "/"), ("%3D", "="))


def unquoted(text: str) -> str:
    """Form-decoded text; bytes that are not UTF-8 are a WireError."""
    if "+" in text:
        text = text.replace("+", " ")
    if "%" not in text:
        return text
    if len(text) > _LONG:
        # A raw message is base64: hundreds of thousands of these three. What they
        # stand for is no hex digit and no percent sign, so that taking them first
        # neither makes nor breaks another escape.
        for escape, character in _BASE64_ESCAPES:
            text = text.replace(escape, character)
        if "%" not in text:
            return text
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise malformed("The request is not encoded in UTF-8.") from None


def pairs(form: str) -> list[tuple[str, str]]:
    """The names and values of a form or a query string, in order."""
    found: list[tuple[str, str]] = []
    for field in form.split("&", MOST_PAIRS):
        if field:
            name, _, value = field.partition("=")
            found.append((unquoted(name), unquoted(value)))
    if len(found) > MOST_PAIRS:
        raise malformed("The request has too many parameters.")
    return found


def tree(form: list[tuple[str, str]]) -> dict[str, Node]:
    """The pairs by the parts of their names. Where a name both ends and goes on, it goes on."""
    root: dict[str, Node] = {}
    for name, value in form:
        if "." not in name:
            root.setdefault(name, value)
            continue
        parts = name.split(".", _DEEPEST)
        if len(name) > _LONGEST_NAME or len(parts) > _DEEPEST:
            raise malformed("A parameter's name is too long.")
        node = root
        for part in parts[:-1]:
            below = node.get(part)
            if type(below) is not dict:
                below = node[part] = {}
            node = below
        node.setdefault(parts[-1], value)
    return root


class QueryDecoders(Decoders[Node]):
    """Decoders from trees of a form's fields."""

    def structure(self, shape: Shape, members: Mapping[str, Shape]) -> FromNode:
        known: dict[str, tuple[str, FromNode]] = {
            part.get("locationName", name): (name, self.of(part["shape"]))
            for name, part in members.items()
        }
        required = [name for name in shape.get("required", ()) if name in members]
        find = known.get

        def decode(node: Node, path: Path, problems: Problems) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for key, below in _branches(node).items():
                if (found := find(key)) is not None:
                    name, inner = found
                    out[name] = inner(below, (path, name), problems)
            for name in required:
                if name not in out:
                    problems.append(((path, name), NULL))
            return out

        return decode

    def _scalar(self, shape: Shape, *, checked: bool) -> FromNode:
        return _leaf(shape, checked=checked)

    def _list(self, shape: Shape) -> FromNode:
        member = shape["member"]
        inner = self._inside(member["shape"])
        check = list_check(shape, self._shapes[member["shape"]])
        step = None if shape.get("flattened") else member.get("locationName", "member")

        def decode(node: Node, path: Path, problems: Problems) -> list[Any]:
            out = [
                inner(below, (path, f"{number}.member"), problems)
                for number, below in enumerate(_numbered(node, step), 1)
            ]
            if check is not None:
                check(out, path, problems)
            return out

        return decode

    def _map(self, shape: Shape) -> FromNode:
        key, value = shape["key"], shape["value"]
        inner = self._inside(value["shape"])
        check = map_check(shape, self._shapes[key["shape"]], self._shapes[value["shape"]])
        key_name, value_name = key.get("locationName", "key"), value.get("locationName", "value")
        step = None if shape.get("flattened") else "entry"

        def decode(node: Node, path: Path, problems: Problems) -> dict[str, Any]:
            out: dict[str, Any] = {}
            for entry in _numbered(node, step):
                sides = _branches(entry)
                name = sides.get(key_name, "")
                if type(name) is not str:
                    raise malformed("Unexpected complex element as a map's key.")
                if value_name in sides:
                    out[name] = inner(sides[value_name], (path, f"{name}.member"), problems)
            if check is not None:
                check(out, path, problems)
            return out

        return decode


def _leaf(shape: Shape, *, checked: bool) -> FromNode:
    inner = from_text(shape, checked=checked)

    def decode(node: Node, path: Path, problems: Problems) -> Any:
        if type(node) is not str:
            raise malformed("Unexpected complex element where a simple value belongs.")
        return inner(node, path, problems)

    return decode


def _branches(node: Node) -> dict[str, Node]:
    """What hangs below; a bare ``Name=`` is how clients spell an empty structure or list."""
    if type(node) is dict:
        return node
    if node == "":
        return {}
    raise malformed("Unexpected simple value where a structure, list or map belongs.")


def _numbered(node: Node, step: str | None) -> list[Node]:
    """The items of a list in the order of their numbers, which may have gaps."""
    below = _branches(node)
    if step is not None:
        below = _branches(below.get(step, ""))
    numbers: list[tuple[int, Node]] = []
    for key, item in below.items():
        if not (key.isascii() and key.isdigit() and len(key) < 10):
            raise malformed(f"'{key[:80]}' is no number of a list's member.")
        numbers.append((int(key), item))
    numbers.sort(key=lambda pair: pair[0])
    return [item for _, item in numbers]
