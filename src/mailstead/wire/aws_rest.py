"""Routing and the parts around the body of ``rest-json`` and ``rest-xml`` requests.

An operation is found by method, path and, in S3, by query keys and headers too;
members of its input stand in the path, the query string, headers and the body,
and those of its output in the status, headers and the body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from mailstead.wire.aws_bindings import OLDER, SHADOWED
from mailstead.wire.aws_constraints import SCALARS, list_check
from mailstead.wire.aws_model import (
    Kind,
    Operation,
    Path,
    Problems,
    Request,
    Service,
    Shape,
    WireError,
)
from mailstead.wire.aws_query import pairs
from mailstead.wire.aws_scalars import NULL, FromText, from_text, malformed, to_text


@dataclass(frozen=True, slots=True)
class Binding:
    """One way to reach an operation."""

    operation: Operation
    labels: tuple[str, ...]
    """Names of the members in the path, in order."""
    query: tuple[tuple[str, str], ...]
    """What the query string must hold; an empty value stands for any."""
    needs_query: frozenset[str]
    needs_headers: frozenset[str]
    in_query: tuple[str, ...] = ()
    """Members that this binding has in the query string where the model has them elsewhere."""

    def missing(self, query: Mapping[str, str], headers: Mapping[str, str]) -> int | None:
        """How many required members the request lacks; None if it is another's request."""
        for key, value in self.query:
            if key not in query or (value and query[key] != value):
                return None
        return len(self.needs_query - query.keys()) + len(self.needs_headers - headers.keys())

    @property
    def weight(self) -> int:
        """How much the binding asks for: the most particular one wins."""
        return len(self.query) + len(self.needs_query) + len(self.needs_headers)


@dataclass(slots=True)
class _Step:
    """A node of the tree of paths; "{" and "{+" lead to a label's, the greedy one's last."""

    below: dict[str, _Step] = field(default_factory=dict[str, "_Step"])
    bindings: list[Binding] = field(default_factory=list[Binding])


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request leads: its operation, and what routing has already read of it."""

    operation: Operation
    binding: Binding | None = None
    labels: tuple[str, ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    form: Mapping[str, Any] | None = None


class Router:
    """The paths of a rest service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._roots: dict[str, _Step] = {}
        self._exact: dict[tuple[str, str], Route] = {}
        shadowed = SHADOWED.get(service.name, frozenset())
        for operation in service.operations.values():
            if operation.name not in shadowed:
                self._add(operation, operation.method, operation.uri)
        for older in OLDER.get(service.name, ()):
            operation = service.operations[older.operation]
            self._add(operation, older.method, older.uri, older.in_query)

    def _add(
        self, operation: Operation, method: str, uri: str, in_query: tuple[str, ...] = ()
    ) -> None:
        path, _, query = uri.partition("?")
        labels: list[str] = []
        step = self._roots.setdefault(method, _Step())
        for part in _segments(path):
            if part.startswith("{"):
                labels.append(part.strip("{+}"))
                step = step.below.setdefault("{+" if part.endswith("+}") else "{", _Step())
            else:
                step = step.below.setdefault(part, _Step())
        members = self._members(operation)
        required = [
            members[name]
            for name in self._input(operation).get("required", ())
            if name not in in_query
        ]
        binding = Binding(
            operation,
            tuple(labels),
            tuple(_keys(query)),
            frozenset(m["locationName"] for m in required if m.get("location") == "querystring"),
            frozenset(m["locationName"].lower() for m in required if m.get("location") == "header"),
            in_query,
        )
        step.bindings.append(binding)
        if not labels and not binding.weight:
            self._exact[method, path.rstrip("/")] = Route(operation, binding)

    def _input(self, operation: Operation) -> Shape:
        return self._service.shapes[operation.input] if operation.input else {}

    def _members(self, operation: Operation) -> dict[str, Shape]:
        """The input's members; some shapes' path labels differ from their members' names."""
        return self._input(operation).get("members", {})

    def find(self, request: Request) -> Route:
        """The operation of a request; WireError where the service has none there."""
        path = request.path
        if not request.query:
            exact = self._exact.get((request.method, path.rstrip("/")))
            if exact is not None:
                return exact
        query = tuple(pairs(request.query))
        keys = dict(query)
        root = self._roots.get(request.method)
        parts = _segments(path)
        best: tuple[tuple[int, int], Route] | None = None
        for step, labels in _reached(root, parts, ()) if root else ():
            for binding in step.bindings:
                missing = binding.missing(keys, request.headers)
                if missing is None:
                    continue
                rank = (-missing, binding.weight)
                if best is None or rank > best[0]:
                    whole = _with_slash(labels, path) if "+}" in binding.operation.uri else labels
                    best = rank, Route(binding.operation, binding, whole, query)
            if best is not None:
                return best[1]
        raise WireError(
            Kind.UNKNOWN_OPERATION, f"There is no operation at {request.method} {path[:200]}"
        )


def _with_slash(labels: tuple[str, ...], path: str) -> tuple[str, ...]:
    """A greedy label with the slash at its end, which belongs to an object's key."""
    return (*labels[:-1], labels[-1] + "/") if path.endswith("/") else labels


def _segments(path: str) -> list[str]:
    parts = path.split("/")[1:]
    if parts and not parts[-1]:
        parts.pop()
    return parts


def _keys(query: str) -> Iterable[tuple[str, str]]:
    for part in query.split("&"):
        if part:
            key, _, value = part.partition("=")
            yield key, value


def _reached(
    step: _Step, parts: list[str], labels: tuple[str, ...]
) -> Iterable[tuple[_Step, tuple[str, ...]]]:
    """The nodes that a path leads to, literal parts before labels before greedy labels."""
    if not parts:
        yield step, labels
        return
    head, rest = parts[0], parts[1:]
    if head in step.below and not head.startswith("{"):
        yield from _reached(step.below[head], rest, labels)
    if "{" in step.below and head:
        yield from _reached(step.below["{"], rest, (*labels, head))
    if "{+" in step.below:
        yield step.below["{+"], (*labels, "/".join(parts))


# Members outside the body

Located = Callable[[Request, Route, dict[str, Any], Problems], None]
"""Reads one member from a request into the input."""


def located(service: Service, name: str, part: Shape, place: str) -> Located:
    """The reader of a member that stands in ``uri``, ``querystring``, ``header`` or ``headers``."""
    shape = service.shapes[part["shape"]]
    where = part.get("locationName", name)
    if place == "headers":
        return _prefixed(name, where.lower())
    path = ((), name)
    many = shape["type"] == "list"
    read = _text_list(service, shape) if many else _text_first(shape)

    def from_label(request: Request, route: Route, out: dict[str, Any], problems: Problems) -> None:
        assert route.binding is not None
        text = _unquoted(route.labels[route.binding.labels.index(where)])
        out[name] = read([text], path, problems)

    def from_query(request: Request, route: Route, out: dict[str, Any], problems: Problems) -> None:
        found = [value for key, value in route.query if key == where]
        if found:
            out[name] = read(found, path, problems)

    field_name = where.lower()

    def from_header(
        request: Request, route: Route, out: dict[str, Any], problems: Problems
    ) -> None:
        if (value := request.headers.get(field_name)) is not None:
            found = [item.strip() for item in value.split(",")] if many else [value]
            out[name] = read(found, path, problems)

    return {"uri": from_label, "querystring": from_query, "header": from_header}[place]


def _unquoted(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise malformed("The request is not encoded in UTF-8.") from None


FromTexts = Callable[[list[str], Path, Problems], Any]


def _text_first(shape: Shape) -> FromTexts:
    inner = from_text(shape)
    return lambda found, path, problems: inner(found[0], path, problems)


def _text_list(service: Service, shape: Shape) -> FromTexts:
    member = service.shapes[shape["member"]["shape"]]
    inner: FromText = from_text(member, checked=False)
    check = list_check(shape, member)

    def read(found: list[str], path: Path, problems: Problems) -> list[Any]:
        out = [
            inner(text, (path, f"{number}.member"), problems)
            for number, text in enumerate(found, 1)
        ]
        if check is not None:
            check(out, path, problems)
        return out

    return read


def _prefixed(name: str, prefix: str) -> Located:
    """S3's metadata: a map made of all headers with a prefix."""

    def read(request: Request, route: Route, out: dict[str, Any], problems: Problems) -> None:
        found = {
            key[len(prefix) :]: value
            for key, value in request.headers.items()
            if key.startswith(prefix)
        }
        if found:
            out[name] = found

    return read


def required_check(
    shape: Shape, outside: Iterable[str]
) -> Callable[[dict[str, Any], Problems], None]:
    """Whether required members that stand outside the body are there."""
    names = [name for name in shape.get("required", ()) if name in set(outside)]

    def check(out: dict[str, Any], problems: Problems) -> None:
        for name in names:
            if name not in out:
                problems.append((((), name), NULL))

    return check


# Results

Header = Callable[[Any], list[tuple[str, str]]]


def header_writers(service: Service, members: Mapping[str, Shape]) -> dict[str, Header]:
    """The writers of an output's members that are headers."""
    found: dict[str, Header] = {}
    for name, part in members.items():
        shape = service.shapes[part["shape"]]
        if part.get("location") == "headers":
            found[name] = _prefix_writer(part["locationName"].lower())
        elif part.get("location") == "header":
            found[name] = _header_writer(part["locationName"].lower(), shape)
    return found


def _prefix_writer(prefix: str) -> Header:
    return lambda value: [(prefix + key.lower(), _one_line(item)) for key, item in value.items()]


def _header_writer(name: str, shape: Shape) -> Header:
    convert = to_text(shape, "rfc822") if shape["type"] in SCALARS else ", ".join
    return lambda value: [(name, _one_line(convert(value)))]


def _one_line(text: str) -> str:
    """A header's value, with what would end it or is not ASCII escaped (RFC 9110 5.5)."""
    if text.isascii() and text.isprintable():
        return text
    return quote(text, safe=" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
