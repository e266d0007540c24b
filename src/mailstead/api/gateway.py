"""The AWS door: a bare ASGI application between the HTTP server and the handlers.

Each request is authenticated, decoded, authorised, handled and encoded, and
whatever goes wrong is answered in the form of the service it was for. The
signature's date and scope and the key are looked at before the body is read,
so that only who has a key can send much. A service whose requests take more than
that before they can be decoded (S3) brings a `Verify` of its own.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from hmac import compare_digest
from typing import Any, Protocol

from mailstead.api.errors import fault
from mailstead.api.operation import Answered, Bound, Call, Operations, Ports
from mailstead.api.overtaken import TRIES, patiently
from mailstead.api.signatures import Presented, check_time, present, signature_fault
from mailstead.mail.credentials import Credential
from mailstead.mail.errors import DomainError, Unavailable
from mailstead.mail.model import Scope
from mailstead.mail.reception import is_loopback
from mailstead.wire import sigv4
from mailstead.wire.aws import Codec, Wire, wire_fault
from mailstead.wire.aws_model import Fault, Request, Response, Service, WireError
from mailstead.wire.sigv4 import Failure, SignatureError

log = logging.getLogger("mailstead.api")

LARGEST_BODY = 65 * 1024 * 1024
"""A message of 40 MB is 54 MB as base64 in JSON; an object of S3 has 64 MB, and comes in pieces."""
MOST_HELD = 512 * 1024 * 1024
"""Bytes of bodies that are held at one time."""
ANONYMOUS_BODY = 1024 * 1024

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_API_VERSIONS = {"ses": "1", "sesv2": "2"}
_VERBS = {"sesv2": "SES v2", "ses": "SES v1"}


Verify = Callable[[Presented, Request, str], Awaitable[Request]]
"""(what is presented, the request, the secret): the request as it is decoded; SignatureError."""
Arrive = Callable[[str, Scope], Awaitable[None]]
"""(service, account and region): prepares what a caller may expect to be there."""

_BODILESS = frozenset({204, 304})
_ONE_WRITE = frozenset({"iam", "secretsmanager", "ses", "sesv2", "ssm"})
"""Services whose handlers keep what they do in one write, at their end: a handler that others
overtook has kept nothing and is run again, as AWS serialises calls about one thing."""


class FindKey(Protocol):
    """Looks an access key up."""

    async def __call__(self, key_id: str) -> Credential | None:
        """The active key with this id, or None."""
        ...


class _Gone(Exception):
    """The client hung up before its request was whole."""


class _Refusal(Exception):
    """A request that ends here, with this error."""

    def __init__(self, found: Fault) -> None:
        super().__init__(found.code)
        self.fault = found


class Gateway:
    """The ASGI application of the AWS API."""

    def __init__(
        self,
        wire: Wire,
        operations: Operations,
        ports: Ports,
        find_key: FindKey,
        *,
        verify: Mapping[str, Verify] | None = None,
        arrive: Arrive | None = None,
        largest_body: int = LARGEST_BODY,
        most_held: int = MOST_HELD,
    ) -> None:
        """``verify`` by the service's name, where it is more than the signature."""
        self._wire = wire
        self._operations = operations
        self._ports = ports
        self._find_key = find_key
        self._verify = verify or {}
        self._arrive = arrive
        self._largest_body = largest_body
        self._most_held = most_held
        self._held = 0

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        request_id = self._ports.randomness.uuid()
        body = _Body(self, receive)
        try:
            response = await self._answer(scope, body, request_id)
        except _Gone:
            return
        finally:
            self._held -= body.held
        await _write(send, response, head=scope["method"] == "HEAD")

    async def _answer(self, scope: Mapping[str, Any], body: _Body, request_id: str) -> Response:
        head = _head(scope)
        try:
            presented = present(head)
        except SignatureError as error:
            return self._unsigned(head, error, request_id)
        if presented is None:
            # An unsigned form is told apart by what is in it.
            with suppress(_Refusal):
                head = await body.read_into(head, ANONYMOUS_BODY)
            error = SignatureError(Failure.MISSING, sigv4.MISSING_TEXT)
            return self._unsigned(head, error, request_id)
        service = self._wire.identify(presented.service, head)
        if service is None:
            return self._elsewhere(head, presented.service, request_id)
        codec = self._wire.codec(service)
        try:
            return await self._serve(scope, head, body, codec, presented, request_id)
        except SignatureError as error:
            return codec.fault(signature_fault(service, error), request_id)
        except WireError as error:
            return codec.fault(wire_fault(service, error), request_id)
        except (DomainError, Unavailable) as error:
            return codec.fault(fault(service, error), request_id)
        except _Refusal as refusal:
            return codec.fault(refusal.fault, request_id)
        except _Gone:
            raise
        except Exception:
            log.exception("request %s: %s %s failed", request_id, head.method, service.name)
            return codec.fault(INTERNAL, request_id)

    async def _serve(
        self,
        scope: Mapping[str, Any],
        head: Request,
        body: _Body,
        codec: Codec,
        presented: Presented,
        request_id: str,
    ) -> Response:
        service = codec.service
        now = self._ports.clock.real()
        check_time(presented, now // 1000)
        credential = await self._credential(presented, now)
        request = await body.read_into(head, self._largest_body)
        request = await self._verified(service, presented, request, credential.secret)
        self._note_use(presented)
        route = codec.route(request)
        bound = self._operations.get(service.name, route.operation.name)
        if bound is None:
            raise _Refusal(not_served(service, route.operation.name))
        params = codec.decode(route, request)
        call = self._call(scope, request, presented, credential, service, request_id)
        if self._arrive is not None:
            await self._arrive(service.name, call.scope)
        await _authorise(bound, call, params)
        result = await _handled(bound, call, params)
        if isinstance(result, Answered):
            response = codec.result(route.operation, result.result, request_id)
            return Response(result.status, response.headers, response.body)
        return codec.result(route.operation, result, request_id)

    async def _verified(
        self, service: Service, presented: Presented, request: Request, secret: str
    ) -> Request:
        own = self._verify.get(service.name)
        if own is not None:
            return await own(presented, request, secret)
        if not isinstance(presented, sigv4.Presented):
            raise SignatureError(Failure.MISSING, sigv4.MISSING_TEXT)
        sigv4.verify(presented, request, secret)
        return request

    def _note_use(self, presented: Presented) -> None:
        iam = self._ports.iam
        iam.uses.note(presented.key_id, iam.clock.now(), presented.service, presented.region)

    async def _credential(self, presented: Presented, now: int) -> Credential:
        found = await self._find_key(presented.key_id)
        if found is None or not _same_token(found.token, presented.token):
            raise SignatureError(Failure.UNKNOWN_KEY, sigv4.UNKNOWN_KEY_TEXT)
        if found.expires_at and found.expires_at <= now:
            raise SignatureError(Failure.EXPIRED, sigv4.EXPIRED_TEXT)
        return found

    def _call(
        self,
        scope: Mapping[str, Any],
        request: Request,
        presented: Presented,
        credential: Credential,
        service: Service,
        request_id: str,
    ) -> Call:
        client = scope.get("client")
        peer = client[0] if client else ""
        return Call(
            Scope(credential.principal.account, presented.region),
            credential.principal,
            request_id,
            self._ports,
            _API_VERSIONS.get(service.name, ""),
            peer,
            request.headers.get("user-agent", ""),
            # What does not leave the machine can't be read on its way: policies that deny what is
            # not aws:SecureTransport, as CDK's bucket has one, mean the network.
            scope.get("scheme") == "https" or is_loopback(peer),
            credential.key_id,
            credential.token is not None,
        )

    def _unsigned(self, head: Request, error: SignatureError, request_id: str) -> Response:
        """The refusal of a request whose service is guessed from its shape."""
        service = self._wire.identify(None, head)
        assert service is not None
        return self._wire.codec(service).fault(signature_fault(service, error), request_id)

    def _elsewhere(self, head: Request, signing_name: str, request_id: str) -> Response:
        """The refusal of a request for a service that is not here, in the form it is likely in."""
        service = self._wire.identify(None, head)
        assert service is not None
        fault = _absent(service, f"The service {signing_name}")
        return self._wire.codec(service).fault(fault, request_id)

    def hold(self, size: int) -> bool:
        """Count bytes of a body; False when all bodies together would be too much."""
        if self._held + size > self._most_held:
            return False
        self._held += size
        return True


async def _authorise(bound: Bound, call: Call, params: dict[str, Any]) -> None:
    if bound.open:
        return
    resources = bound.resources(call, params) if bound.resources else ("*",)
    if isinstance(resources, Awaitable):
        resources = await resources
    call.authorise(bound.action, resources)


async def _handled(
    bound: Bound, call: Call, params: dict[str, Any]
) -> dict[str, Any] | Answered | None:
    tries = TRIES if bound.service in _ONE_WRITE else 1
    return await patiently(lambda: bound.handler(call, params), tries)


def _same_token(held: str | None, presented: str | None) -> bool:
    if held is None or presented is None:
        return held is presented
    return compare_digest(held.encode(), presented.encode())


class _Body:
    """A request's body, counted while it is held."""

    def __init__(self, gateway: Gateway, receive: Receive) -> None:
        self._gateway = gateway
        self._receive = receive
        self.held = 0

    async def read_into(self, head: Request, limit: int) -> Request:
        """The request with its body; `_Refusal` (413, 503) when there is too much."""
        body = await self._read(head, limit)
        return Request(head.method, head.path, head.query, head.headers, body)

    async def _read(self, head: Request, limit: int) -> bytes:
        announced = head.headers.get("content-length", "0")
        if announced.isascii() and announced.isdigit() and int(announced[:20]) > limit:
            raise _Refusal(too_large(limit))
        parts: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _Refusal(too_large(limit))
            if not self._gateway.hold(len(part)):
                raise _Refusal(Fault("ServiceUnavailable", 503, "Try again later.", sender=False))
            self.held += len(part)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)


def _head(scope: Mapping[str, Any]) -> Request:
    """The request without its body. HTTP's header bytes are Latin-1 here as in ASGI."""
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in scope["headers"]:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.partition(b"?")[0].decode("latin-1")
    query: bytes = scope.get("query_string", b"")
    return Request(scope["method"], path, query.decode("latin-1"), headers, b"")


async def _write(send: Send, response: Response, *, head: bool) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers
    ]
    # The answer to HEAD tells the length of a body that it does not have.
    if response.status not in _BODILESS and all(n != "content-length" for n, _ in response.headers):
        headers.append((b"content-length", str(len(response.body)).encode()))
    body = b"" if head or response.status in _BODILESS else response.body
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def not_served(service: Service, name: str) -> Fault:
    """The error of an operation that the model has and nobody handles."""
    return _absent(service, f"{_VERBS.get(service.name, service.metadata['serviceId'])} {name}")


def _absent(service: Service, what: str) -> Fault:
    """The error of what is not here, in the service's form."""
    code = "NotImplementedException" if "json" in service.protocol else "NotImplemented"
    text = f"{what} is not served by mailstead. docs/operations.md lists what is."
    return Fault(code, 501, text, sender=False)


def too_large(limit: int) -> Fault:
    """The error of a body beyond the cap."""
    return Fault("RequestEntityTooLarge", 413, f"The request is longer than {limit} bytes.")


INTERNAL = Fault(
    "InternalFailure",
    500,
    "The request processing has failed because of an unknown error, exception or failure.",
    sender=False,
)
