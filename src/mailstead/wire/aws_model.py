"""AWS service models as values: services, operations, shapes; and what is wrong with a request.

`load_models` takes the bytes of ``models.json.gz`` (made by ``tools/models.py``);
who reads the file is the caller's matter. A service's shapes are parsed when
the service is first asked for, and an operation's codec is built when the
operation is, so that start-up pays for neither.

Nothing here knows a protocol: see `mailstead.wire.aws`.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

Shape = dict[str, Any]
"""A shape of the model, under botocore's key names."""

Path = tuple[Any, ...]
"""Where a value is in a request: ``(parent path, member name or "1.member")``, () at the top."""

Problems = list[tuple[Path, str]]
"""Constraints that failed, in the order found."""


class Kind(Enum):
    """What is wrong with a request that does not decode."""

    MALFORMED = "malformed"
    """Bytes or types that the operation's shape cannot hold."""
    CONSTRAINT = "constraint"
    """Values that the model's constraints refuse; the text lists them all."""
    UNKNOWN_OPERATION = "unknown operation"
    """The service's model has no such operation."""
    MISSING_ACTION = "missing action"
    """A query request that does not name its operation."""


class WireError(Exception):
    """A request that cannot be decoded. The only error of the AWS codec.

    ``kind`` picks the protocol's error code (`mailstead.wire.aws.wire_fault`);
    the text is the client's to read.
    """

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as the gateway hands it over.

    ``path`` and ``query`` are as sent, percent-encoded, the query without its
    question mark. Names in ``headers`` are lower-case; fields that were sent
    several times are joined by commas (RFC 9110 5.3).
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response: header names in lower case."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class Fault:
    """An error for an AWS client.

    ``code`` is what goes on the wire. ``message`` None is sent as null where the
    protocol can. ``fields`` are further members that the model's error shape has.
    """

    code: str
    status: int
    message: str | None
    sender: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a service: how it is bound, and its shapes' names (None: no such body)."""

    service: str
    name: str
    method: str
    uri: str
    status: int
    input: str | None
    output: str | None
    errors: tuple[str, ...]
    unsigned: bool
    """Whether the model lets anonymous requests through (the web identity calls of STS)."""


class Service:
    """A service's model. ``name`` is botocore's: ``ses`` is version 1, ``sesv2`` version 2."""

    def __init__(self, name: str, metadata: dict[str, Any], names: list[str], line: bytes) -> None:
        self.name = name
        self.protocol: str = metadata["protocol"]
        """``query``, ``json``, ``rest-json`` or ``rest-xml``."""
        self.signing_name: str = metadata.get("signingName", metadata["endpointPrefix"])
        self.version: str = metadata["apiVersion"]
        self.metadata = metadata
        self.operation_names = frozenset(names)
        self._line = line
        self._shapes: dict[str, Shape] = {}
        self._operations: dict[str, Operation] = {}

    def _load(self) -> None:
        model = json.loads(self._line)
        self._line = b""
        self._shapes = model["shapes"]
        self._operations = {
            name: Operation(
                self.name,
                name,
                found["http"]["method"],
                found["http"]["requestUri"],
                found["http"].get("responseCode", 200),
                found.get("input"),
                found.get("output"),
                tuple(found.get("errors", ())),
                found.get("authtype") == "none",
            )
            for name, found in model["operations"].items()
        }

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shapes by name."""
        if self._line:
            self._load()
        return self._shapes

    @property
    def operations(self) -> Mapping[str, Operation]:
        """The operations by name."""
        if self._line:
            self._load()
        return self._operations

    def fault(self, name: str, message: str | None, **fields: Any) -> Fault:
        """The error with this shape's name, as the model puts it on the wire.

        Version 1's shapes drop the word "Exception" there, not all of them. A
        name that the model does not have goes out as it is, as a sender's error
        of status 400.
        """
        shape = self.shapes.get(name)
        if shape is None or not shape.get("exception"):
            return Fault(name, 400, message, fields=fields)
        error: dict[str, Any] = shape.get("error", {})
        code = name if self.protocol in {"json", "rest-json"} else error.get("code", name)
        status = error.get("httpStatusCode", 400)
        return Fault(code, status, message, status < 500, fields)


class Models:
    """All services by name."""

    def __init__(self, version: str, services: dict[str, Service]) -> None:
        self.version = version
        """The version of botocore that the models come from."""
        self.services: Mapping[str, Service] = services

    def __getitem__(self, name: str) -> Service:
        return self.services[name]


def load_models(content: bytes) -> Models:
    """The models in the bytes of ``models.json.gz``; a file of another form is a ValueError."""
    try:
        lines = zlib.decompress(content, wbits=31).split(b"\n")
    except zlib.error as error:
        raise ValueError(f"the file of service models cannot be read: {error}") from error
    index = json.loads(lines[0])
    return Models(
        index["botocore"],
        {
            name: Service(name, found["metadata"], found["operations"], line)
            for (name, found), line in zip(index["services"].items(), lines[1:], strict=True)
        },
    )


def dotted(path: Path) -> str:
    """A path in AWS's spelling: ``content.simple.headers.1.member.name``."""
    parts: list[str] = []
    while path:
        path, part = path
        parts.append(part[:1].lower() + part[1:])
    return ".".join(reversed(parts))


def refuse(problems: Problems) -> None:
    """Raise the error that lists these problems, if there are any."""
    if not problems:
        return
    listed = "; ".join(
        f"Value at '{dotted(path)}' failed to satisfy constraint: {text}" for path, text in problems
    )
    plural = "s" if len(problems) > 1 else ""
    raise WireError(Kind.CONSTRAINT, f"{len(problems)} validation error{plural} detected: {listed}")
