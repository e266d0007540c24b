"""The AWS wire format: requests to values, results and errors to responses.

    wire = Wire(load_models(content))
    codec = wire.codec(wire.identify(signing_name, request))
    route = codec.route(request)                      # which operation
    params = codec.decode(route, request)             # its input, checked
    codec.result(route.operation, {...}, request_id)  # a Response
    codec.fault(fault, request_id)                    # a Response

Four protocols: ``query`` (forms and XML), ``json``, ``rest-json`` and
``rest-xml``. Everything that a client can do wrong ends in a `WireError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailstead.wire.aws_model import (
    Fault,
    Kind,
    Models,
    Operation,
    Request,
    Response,
    Service,
    WireError,
)
from mailstead.wire.aws_protocols import Decode, Encode, Json, ProtocolOf, Query, Rest
from mailstead.wire.aws_query import pairs
from mailstead.wire.aws_rest import Route

_PROTOCOLS = {"query": Query, "json": Json, "rest-json": Rest, "rest-xml": Rest}

_CODES: dict[Kind, tuple[str, str, str]] = {
    Kind.MALFORMED: ("MalformedInput", "SerializationException", "MalformedXML"),
    Kind.CONSTRAINT: ("ValidationError", "ValidationException", "InvalidInput"),
    Kind.UNKNOWN_OPERATION: ("InvalidAction", "UnknownOperationException", "InvalidAction"),
    Kind.MISSING_ACTION: ("MissingAction", "UnknownOperationException", "MissingAction"),
}
_COLUMNS = {"query": 0, "json": 1, "rest-json": 1, "rest-xml": 2}
_OWN_CODES = {
    ("sesv2", Kind.CONSTRAINT): "BadRequestException",
    ("s3", Kind.CONSTRAINT): "InvalidArgument",
    ("sns", Kind.CONSTRAINT): "InvalidParameter",
    ("secretsmanager", Kind.CONSTRAINT): "InvalidParameterException",
    ("route53", Kind.MALFORMED): "MalformedInput",
}


def wire_fault(service: Service, error: WireError) -> Fault:
    """A WireError as this service's error."""
    code = _OWN_CODES.get((service.name, error.kind))
    if code is None:
        code = _CODES[error.kind][_COLUMNS[service.protocol]]
    lost = error.kind is Kind.UNKNOWN_OPERATION and service.protocol.startswith("rest-")
    return Fault(code, 404 if lost else 400, error.text)


class Codec:
    """A service's codec; operations' decoders and encoders are made at their first use."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._protocol: ProtocolOf = _PROTOCOLS[service.protocol](service)
        self._decoders: dict[str, Decode] = {}
        self._encoders: dict[str, Encode] = {}

    def route(self, request: Request) -> Route:
        """The operation that a request names; WireError where there is none."""
        return self._protocol.route(request)

    def decode(self, route: Route, request: Request) -> dict[str, Any]:
        """The operation's input, member names to values; WireError where it is not one."""
        name = route.operation.name
        made = self._decoders.get(name)
        if made is None:
            made = self._decoders[name] = self._protocol.decoder(route.operation)
        return made(route, request)

    def result(
        self, operation: Operation, value: Mapping[str, Any] | None, request_id: str
    ) -> Response:
        """The response that carries a result; members that are None are left out.

        A member that the model does not have is our own bug: a KeyError.
        """
        made = self._encoders.get(operation.name)
        if made is None:
            made = self._encoders[operation.name] = self._protocol.encoder(operation)
        return made(value or {}, request_id)

    def fault(self, fault: Fault, request_id: str) -> Response:
        """The response that carries an error."""
        return self._protocol.fault(fault, request_id)


class Wire:
    """All services' codecs, each made when it is first asked for."""

    def __init__(self, models: Models) -> None:
        self.models = models
        self._codecs: dict[str, Codec] = {}
        self._signed: dict[str, list[Service]] = {}
        for service in models.services.values():
            self._signed.setdefault(service.signing_name, []).append(service)

    def codec(self, service: Service) -> Codec:
        """The codec of a service."""
        made = self._codecs.get(service.name)
        if made is None:
            made = self._codecs[service.name] = Codec(service)
        return made

    def identify(self, signing_name: str | None, request: Request) -> Service | None:
        """The service that a request is for; None where we have no model of it.

        ``signing_name`` is the service in the credential scope, and decides. SES's
        two versions share it: version 1 is only a form at "/". A request without
        a signature is told by its shape, so that its refusal can be read.
        """
        if signing_name is None:
            return self.models.services[_guess(self.models, request)]
        found = self._signed.get(signing_name)
        if found is None:
            return None
        if len(found) == 1:
            return found[0]
        return self.models.services["ses" if request.path in {"/", ""} else "sesv2"]


def _guess(models: Models, request: Request) -> str:
    target = request.headers.get("x-amz-target")
    services = models.services.values()
    if target is not None:
        prefix = target.partition(".")[0]
        named = (s.name for s in services if s.metadata.get("targetPrefix") == prefix)
        return next(named, "sesv2")
    if request.path.startswith(("/v2/email", "/v1/email")):
        return "sesv2"
    if request.path.startswith("/2013-04-01/"):
        return "route53"
    if request.path in {"/", ""}:
        return _by_version(models, request)
    return "s3"


def _by_version(models: Models, request: Request) -> str:
    try:
        form = dict(pairs(request.query) + pairs(request.body.decode()))
    except (WireError, UnicodeDecodeError):
        form = {}
    if "Action" not in form:
        return "ses" if request.method == "POST" else "s3"
    named = (
        service.name
        for service in models.services.values()
        if service.protocol == "query" and service.version == form.get("Version")
    )
    return next(named, "ses")
