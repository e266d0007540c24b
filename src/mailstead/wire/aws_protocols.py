"""The four AWS protocols: what each does with an operation's input, output and errors.

A protocol is made for one service. It makes decoders and encoders for single
operations; `mailstead.wire.aws` keeps those that were made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from mailstead.wire.aws_bindings import OLDER, ROOTS, UNWRAPPED
from mailstead.wire.aws_json import JsonDecoders, JsonEncoders
from mailstead.wire.aws_json import parse as parse_json
from mailstead.wire.aws_json import write as write_json
from mailstead.wire.aws_model import (
    Fault,
    Kind,
    Operation,
    Problems,
    Request,
    Response,
    Service,
    Shape,
    WireError,
    refuse,
)
from mailstead.wire.aws_query import QueryDecoders, pairs, tree
from mailstead.wire.aws_rest import (
    Route,
    Router,
    header_writers,
    located,
    required_check,
)
from mailstead.wire.aws_scalars import malformed
from mailstead.wire.aws_xml import NOTHING, Write, XmlDecoders, XmlWriters, escaped
from mailstead.wire.aws_xml import parse as parse_xml

Decode = Callable[[Route, Request], dict[str, Any]]
Encode = Callable[[Mapping[str, Any], str], Response]

_NAMESPACES = {
    "route53": "https://route53.amazonaws.com/doc/2013-04-01/",
    "s3": "http://s3.amazonaws.com/doc/2006-03-01/",
}
_FORM = "application/x-www-form-urlencoded"


class ProtocolOf(Protocol):
    """What a protocol does for its service."""

    def route(self, request: Request) -> Route:
        """The operation that a request names; WireError where there is none."""
        ...

    def decoder(self, operation: Operation) -> Decode:
        """A function from a request to the operation's input."""
        ...

    def encoder(self, operation: Operation) -> Encode:
        """A function from the operation's result and a request id to the response."""
        ...

    def fault(self, fault: Fault, request_id: str) -> Response:
        """The response that carries an error."""
        ...


def _output(service: Service, operation: Operation) -> Mapping[str, Shape]:
    return service.shapes[operation.output]["members"] if operation.output else {}


def _fault_fields(service: Service, fault: Fault) -> Mapping[str, Shape]:
    """The members, besides the message, of an error's shape."""
    found = service.shapes.get(fault.code, {})
    if not found.get("exception"):
        by_code = (
            s for s in service.shapes.values() if s.get("error", {}).get("code") == fault.code
        )
        found = next(by_code, {})
    return found.get("members", {})


def _xml(status: int, text: str, headers: tuple[tuple[str, str], ...]) -> Response:
    return Response(status, (("content-type", "text/xml"), *headers), text.encode())


def _id_header(request_id: str) -> tuple[str, str]:
    return ("x-amzn-requestid", request_id)


class Query:
    """Forms in, XML out: SES version 1, IAM, STS, CloudFormation, SNS."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._decoders = QueryDecoders(service.shapes)
        self._writers = XmlWriters(service.shapes)
        self._namespace: str = service.metadata["xmlNamespace"]

    def route(self, request: Request) -> Route:
        """By the form's Action; a request without a body has its form in the query string."""
        form = pairs(request.query) if request.query else []
        if request.headers.get("content-type", _FORM).startswith(_FORM):
            try:
                form += pairs(request.body.decode())
            except UnicodeDecodeError:
                raise malformed("The request is not encoded in UTF-8.") from None
        fields = tree(form)
        name = fields.pop("Action", None)
        if type(name) is not str:
            raise WireError(Kind.MISSING_ACTION, "The request must contain the parameter Action.")
        operation = self._service.operations.get(name)
        version = fields.pop("Version", self._service.version)
        if operation is None or version != self._service.version:
            raise WireError(
                Kind.UNKNOWN_OPERATION,
                f"Could not find operation {name[:100]} for version {str(version)[:20]}",
            )
        return Route(operation, form=fields)

    def decoder(self, operation: Operation) -> Decode:
        if operation.input is None:
            return lambda route, request: {}
        inner = self._decoders.of(operation.input)

        def decode(route: Route, request: Request) -> dict[str, Any]:
            problems: Problems = []
            value = inner(route.form, (), problems)
            refuse(problems)
            return value

        return decode

    def encoder(self, operation: Operation) -> Encode:
        name = operation.name
        # The wrapper is sent even when empty: clients look for it.
        head, tail = (
            (f"<{name}Result>", f"</{name}Result>") if operation.output is not None else ("", "")
        )
        head = f'<{name}Response xmlns="{self._namespace}">{head}'
        write = self._writers.structure(_output(self._service, operation))

        def encode(value: Mapping[str, Any], request_id: str) -> Response:
            parts = [head]
            write(value, parts.append)
            parts.append(
                f"{tail}<ResponseMetadata><RequestId>{request_id}</RequestId>"
                f"</ResponseMetadata></{name}Response>"
            )
            return _xml(200, "".join(parts), (_id_header(request_id),))

        return encode

    def fault(self, fault: Fault, request_id: str) -> Response:
        text = _error_xml(self._service, self._writers, fault)
        return _xml(
            fault.status,
            f'<ErrorResponse xmlns="{self._namespace}"><Error>'
            f"<Type>{'Sender' if fault.sender else 'Receiver'}</Type>{text}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>",
            (_id_header(request_id),),
        )


def _error_xml(service: Service, writers: XmlWriters, fault: Fault) -> str:
    parts = [f"<Code>{escaped(fault.code)}</Code>"]
    if fault.message is None:
        parts.append("<Message/>")
    else:
        parts.append(f"<Message>{escaped(fault.message)}</Message>")
    if fault.fields:
        writers.structure(_fault_fields(service, fault))(fault.fields, parts.append)
    return "".join(parts)


def _error_json(service: Service, encoders: JsonEncoders, fault: Fault) -> dict[str, Any]:
    members = _fault_fields(service, fault)
    key = "Message" if "Message" in members else "message"
    more = encoders.structure(members)(fault.fields) if fault.fields else {}
    return {key: fault.message, **more}


class Json:
    """JSON in and out, the operation in a header: SSM, Secrets Manager, SQS."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._decoders = JsonDecoders(service.shapes)
        self._encoders = JsonEncoders(service.shapes)
        self._type = f"application/x-amz-json-{service.metadata['jsonVersion']}"
        self._prefix = f"{service.metadata['targetPrefix']}."

    def route(self, request: Request) -> Route:
        target = request.headers.get("x-amz-target", "")
        operation = self._service.operations.get(target.removeprefix(self._prefix))
        if operation is None or not target.startswith(self._prefix):
            raise WireError(Kind.UNKNOWN_OPERATION, f"There is no operation {target[:200]}")
        return Route(operation)

    def decoder(self, operation: Operation) -> Decode:
        if operation.input is None:
            return lambda route, request: {}
        inner = self._decoders.of(operation.input)

        def decode(route: Route, request: Request) -> dict[str, Any]:
            problems: Problems = []
            value = inner(parse_json(request.body), (), problems)
            refuse(problems)
            return value

        return decode

    def encoder(self, operation: Operation) -> Encode:
        inner = self._encoders.structure(_output(self._service, operation))
        empty = b"" if operation.output is None else b"{}"

        def encode(value: Mapping[str, Any], request_id: str) -> Response:
            body = write_json(inner(value)) if value else empty
            return Response(200, (("content-type", self._type), _id_header(request_id)), body)

        return encode

    def fault(self, fault: Fault, request_id: str) -> Response:
        body = {"__type": fault.code, **_error_json(self._service, self._encoders, fault)}
        headers = [("content-type", self._type), _id_header(request_id)]
        if "awsQueryCompatible" in self._service.metadata:
            # SQS was a query service once; its clients still look for those codes.
            error = self._service.shapes.get(fault.code, {}).get("error", {})
            side = "Sender" if fault.sender else "Receiver"
            headers.append(("x-amzn-query-error", f"{error.get('code', fault.code)};{side}"))
        return Response(fault.status, tuple(headers), write_json(body))


class Rest:
    """Paths, query strings and headers, around a JSON or an XML body."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._router = Router(service)
        self._xml = service.protocol == "rest-xml"
        self._from_json = JsonDecoders(service.shapes)
        self._to_json = JsonEncoders(service.shapes)
        self._from_xml = XmlDecoders(service.shapes)
        self._to_xml = XmlWriters(service.shapes)
        self._namespace = _NAMESPACES.get(service.name, "")

    def route(self, request: Request) -> Route:
        return self._router.find(request)

    def decoder(self, operation: Operation) -> Decode:
        if operation.input is None:
            return lambda route, request: {}
        shape = self._service.shapes[operation.input]
        members: dict[str, Shape] = shape["members"]
        outside = {name: part for name, part in members.items() if "location" in part}
        readers = [
            located(self._service, name, part, part["location"]) for name, part in outside.items()
        ]
        extra = {
            name: located(self._service, name, members[name], "querystring")
            for older in OLDER.get(self._service.name, ())
            if older.operation == operation.name
            for name in older.in_query
        }
        body = self._body_reader(shape, {n: p for n, p in members.items() if n not in outside})
        check = required_check(shape, outside)

        def decode(route: Route, request: Request) -> dict[str, Any]:
            problems: Problems = []
            out = body(request.body, problems)
            for read in readers:
                read(request, route, out, problems)
            for name in route.binding.in_query if route.binding else ():
                extra[name](request, route, out, problems)
            check(out, problems)
            refuse(problems)
            return out

        return decode

    def _body_reader(
        self, shape: Shape, members: Mapping[str, Shape]
    ) -> Callable[[bytes, Problems], dict[str, Any]]:
        payload: str | None = shape.get("payload")
        if payload is not None:
            return self._payload_reader(payload, members[payload]["shape"])
        if not members:
            return lambda body, problems: {}
        if self._xml:
            from_xml = self._from_xml.structure(shape, members)
            return lambda body, problems: from_xml(
                parse_xml(body) if body else NOTHING, (), problems
            )
        from_json = self._from_json.structure(shape, members)
        return lambda body, problems: from_json(parse_json(body), (), problems)

    def _payload_reader(
        self, name: str, target: str
    ) -> Callable[[bytes, Problems], dict[str, Any]]:
        kind: str = self._service.shapes[target]["type"]
        if kind == "blob":
            return lambda body, problems: {name: body}
        if kind == "string":
            return lambda body, problems: {name: body.decode(errors="replace")} if body else {}
        if self._xml:
            from_xml = self._from_xml.of(target)
            return lambda body, problems: (
                {name: from_xml(parse_xml(body), ((), name), problems)} if body else {}
            )
        from_json = self._from_json.of(target)
        return lambda body, problems: (
            {name: from_json(parse_json(body), ((), name), problems)} if body else {}
        )

    def encoder(self, operation: Operation) -> Encode:
        members = _output(self._service, operation)
        headers = header_writers(self._service, members)
        inside = {name: part for name, part in members.items() if "location" not in part}
        shape = self._service.shapes[operation.output] if operation.output else {}
        kind, body = self._body_writer(operation, shape, inside)
        given = next((n for n, p in members.items() if p.get("location") == "statusCode"), None)

        def encode(value: Mapping[str, Any], request_id: str) -> Response:
            sent = [self._id(request_id)]
            content: dict[str, Any] = {}
            for name, item in value.items():
                if name in headers:
                    sent += headers[name](item) if item is not None else []
                elif name != given:
                    content[name] = item
            written = body(content)
            if written and not any(name == "content-type" for name, _ in sent):
                sent.append(("content-type", kind))
            return Response(value.get(given or "", operation.status), tuple(sent), written)

        return encode

    def _body_writer(
        self, operation: Operation, shape: Shape, members: Mapping[str, Shape]
    ) -> tuple[str, Callable[[Mapping[str, Any]], bytes]]:
        payload: str | None = shape.get("payload")
        if payload is not None:
            target = self._service.shapes[members[payload]["shape"]]
            if target["type"] in {"blob", "string"}:
                return "application/octet-stream", lambda value: _raw(value.get(payload))
        if not self._xml:
            to_json = self._to_json.structure(members)
            if payload is not None:
                return "application/json", lambda value: write_json(to_json(value).get(payload, {}))
            return "application/json", lambda value: write_json(to_json(value)) if value else b"{}"
        if payload is not None:
            part = members[payload]
            tag = part.get("locationName", part["shape"])
            inner = self._to_xml.structure(self._service.shapes[part["shape"]]["members"])
            document = _document(tag, self._namespace, inner)
            return "text/xml", lambda value: document(value.get(payload) or {})
        if self._service.name == "s3" and not members:
            return "", lambda value: b""
        if (alone := UNWRAPPED.get(self._service.name, {}).get(operation.name)) is not None:
            return "text/xml", _single(alone, self._namespace)
        root = ROOTS.get(self._service.name, {}).get(operation.name)
        tag = root or operation.output or f"{operation.name}Response"
        return "text/xml", _document(tag, self._namespace, self._to_xml.structure(members))

    def _id(self, request_id: str) -> tuple[str, str]:
        name = "x-amz-request-id" if self._service.name == "s3" else "x-amzn-requestid"
        return name, request_id

    def fault(self, fault: Fault, request_id: str) -> Response:
        headers = (self._id(request_id),)
        if not self._xml:
            body = write_json(_error_json(self._service, self._to_json, fault))
            kind = (("content-type", "application/json"), ("x-amzn-errortype", fault.code))
            return Response(fault.status, kind + headers, body)
        text = _error_xml(self._service, self._to_xml, fault)
        if self._service.name == "s3":
            whole = f"<Error>{text}<RequestId>{request_id}</RequestId></Error>"
        else:
            whole = (
                f'<ErrorResponse xmlns="{self._namespace}"><Error>'
                f"<Type>{'Sender' if fault.sender else 'Receiver'}</Type>{text}</Error>"
                f"<RequestId>{request_id}</RequestId></ErrorResponse>"
            )
        return _xml(fault.status, f"{_DECLARATION}{whole}", headers)


_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _document(tag: str, namespace: str, inner: Write) -> Callable[[Mapping[str, Any]], bytes]:
    head = f'{_DECLARATION}<{tag} xmlns="{namespace}">'

    def write(value: Mapping[str, Any]) -> bytes:
        parts = [head]
        inner(value, parts.append)
        parts.append(f"</{tag}>")
        return "".join(parts).encode()

    return write


def _single(tag: str, namespace: str) -> Callable[[Mapping[str, Any]], bytes]:
    """The writer of an answer that is one text."""

    def write(value: Mapping[str, Any]) -> bytes:
        text = escaped(value.get(tag) or "")
        return f'{_DECLARATION}<{tag} xmlns="{namespace}">{text}</{tag}>'.encode()

    return write


def _raw(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
