"""The local API: what tests and tools ask of the running server, at ``/_mailstead/``.

Free on loopback in capture mode, else for who holds the token. Browsers on
other pages are kept out: a foreign Host, Origin or fetch site is refused, and
nothing is ever allowed across origins.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from mailstead.api.admin import Admin
from mailstead.api.http import (
    Receive,
    Request,
    Response,
    Scope,
    Send,
    TooLarge,
    as_json,
    problem,
    read_request,
    send_response,
)
from mailstead.mail.errors import (
    Conflict,
    DomainError,
    Invalid,
    Limit,
    NotFound,
    Refused,
    Unavailable,
)
from mailstead.mail.inbox import Inbox, detail, journey, milliseconds, summary
from mailstead.mail.messages import Email, EmailFilter
from mailstead.mail.reception import is_loopback

log = logging.getLogger("mailstead.api")

PREFIX = "/_mailstead/"
STATUSES: dict[type[DomainError], int] = {
    NotFound: 404,
    Conflict: 409,
    Invalid: 400,
    Limit: 429,
    Refused: 403,
}
_TEXT_FILTERS = {
    "to": "to",
    "from": "header_from",
    "subject": "subject",
    "text": "text",
    "mailbox": "mailbox",
    "message_id": "message_id",
}


@dataclass(frozen=True, slots=True)
class Health:
    """What ``health`` says."""

    version: str
    roles: tuple[str, ...]
    delivery: str


@dataclass(frozen=True, slots=True)
class LocalApi:
    """Answers calls below ``/_mailstead/``."""

    about: Health
    inbox: Inbox
    admin: Admin
    token: str
    hosts: frozenset[str]
    """Names under which we may be called, without port."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        try:
            request = await read_request(scope, receive)
            response = await self.answer(request)
        except TooLarge:
            response = problem(413, "the body is larger than any call here takes")
        except DomainError as error:
            response = problem(STATUSES[type(error)], error.text or type(error).__name__)
        except Unavailable as error:
            response = problem(503, str(error))
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("a call of the local API failed")
            response = problem(500, "this is our bug; the server's log has the details")
        await send_response(send, response, head=scope["method"] == "HEAD")

    async def answer(self, request: Request) -> Response:
        """The answer to one call."""
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        place = request.path.removeprefix(PREFIX)
        noun, _, rest = place.partition("/")
        if noun == "admin":
            if not self._has_token(request):
                return problem(401, "commands need the token from DIR/server.json")
            return await self.admin.answer(request, rest)
        call = _CALLS.get((request.method.replace("HEAD", "GET"), noun, bool(rest)))
        if call is None:
            return self._no_call(noun)
        return await call(self, request, rest)

    def _no_call(self, noun: str) -> Response:
        methods = sorted({method for method, name, _ in _CALLS if name == noun})
        if methods:
            return problem(405, f"{noun} takes {', '.join(methods)}")
        return problem(404, "there is no such call: docs/local-api.md lists them")

    def _refusal(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
        if name.lower() not in self.hosts:
            return problem(403, f"this server is not called {name!r}: server.names can add that")
        origin = request.headers.get("origin")
        if origin is not None and origin.partition("://")[2] != host:
            return problem(403, "pages of other origins may not call this")
        if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return problem(403, "pages of other sites may not call this")
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.body and content_type != "application/json":
            return problem(415, "the body must be application/json")
        free = self.about.delivery == "capture" and is_loopback(request.client)
        if free or self._has_token(request):
            return None
        return problem(401, "Authorization: Bearer TOKEN is needed, from DIR/server.json")

    def _has_token(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and hmac.compare_digest(
            given.strip().encode(), self.token.encode()
        )

    def _visible(self, email: Email) -> None:
        if self.about.delivery != "capture" and email.kind != "capture":
            raise Refused("mailboxes of people are not shown here", resource="mailbox")

    async def _allowed(self, wanted: EmailFilter) -> EmailFilter:
        """What may be listed: mailboxes of people in capture mode only."""
        if self.about.delivery == "capture":
            return wanted
        if wanted.mailbox and await self.inbox.store.user(wanted.mailbox) is not None:
            raise Refused("mailboxes of people are not shown here", resource="mailbox")
        return replace(wanted, capture_only=True)

    async def health(self, _request: Request, _rest: str) -> Response:
        health = self.about
        return as_json(
            {
                "status": "ok",
                "version": health.version,
                "roles": list(health.roles),
                "delivery": health.delivery,
            }
        )

    async def messages(self, request: Request, _rest: str) -> Response:
        wanted = await self._allowed(email_filter(request.query))
        count = _whole(request.query, "count", 1)
        seconds = _number(request.query, "wait", 0.0)
        found = await self.inbox.find(wanted, count=count, seconds=seconds)
        return as_json({"messages": [summary(email) for email in found]})

    async def message(self, request: Request, rest: str) -> Response:
        number, _, view = rest.partition("/")
        email, raw = await self.inbox.read(_id(number))
        self._visible(email)
        if view == "raw":
            return Response(200, raw, "message/rfc822")
        if view:
            return problem(404, f"there is no {view} of a message: raw is there")
        return as_json(await asyncio.to_thread(detail, email, raw))

    async def delete_messages(self, request: Request, _rest: str) -> Response:
        wanted = email_filter(request.query, capture_only="mailbox" not in request.query)
        while True:
            found = await self.inbox.store.emails(wanted)
            if not found:
                return Response(204)
            await self.inbox.store.delete_emails([email.id for email in found])

    async def delete_message(self, request: Request, rest: str) -> Response:
        email, _ = await self.inbox.read(_id(rest))
        if email.kind != "capture" and request.query.get("mailbox") != email.mailbox:
            raise Refused(
                f"message {email.id} lies in the mailbox {email.mailbox}: name it as mailbox=",
                resource="message",
            )
        await self.inbox.store.delete_emails([email.id])
        return Response(204)

    async def trace(self, _request: Request, rest: str) -> Response:
        return as_json(journey(await self.inbox.trace(rest)))


_CALLS: dict[tuple[str, str, bool], Callable[[LocalApi, Request, str], Awaitable[Response]]] = {
    ("GET", "health", False): LocalApi.health,
    ("GET", "messages", False): LocalApi.messages,
    ("GET", "messages", True): LocalApi.message,
    ("DELETE", "messages", False): LocalApi.delete_messages,
    ("DELETE", "messages", True): LocalApi.delete_message,
    ("GET", "trace", True): LocalApi.trace,
}


def email_filter(query: Mapping[str, str], *, capture_only: bool = False) -> EmailFilter:
    """The filters of a query string. Invalid names the one that can't be read."""
    values = query
    texts = {field: values[name] for name, field in _TEXT_FILTERS.items() if values.get(name)}
    if "mailbox" in texts:
        texts["mailbox"] = texts["mailbox"].lower()
    since = 0
    if values.get("since"):
        try:
            since = milliseconds(values["since"])
        except ValueError:
            raise Invalid(
                f"since can't be {values['since']!r}: it is a time as 2026-01-31T12:00:00Z"
            ) from None
    return EmailFilter(
        **texts,
        since=since,
        after=_whole(values, "after", 0),
        limit=_whole(values, "limit", 100),
        capture_only=capture_only,
    )


def _whole(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 18:
        raise Invalid(f"{name} can't be {text!r}: it is a whole number")
    return int(text)


def _number(query: Mapping[str, str], name: str, default: float) -> float:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text):
        raise Invalid(f"{name} can't be {text!r}: it is a number of seconds")
    return float(text)


def _id(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise NotFound(f"there is no message {text}", resource="message", name=text)
    return int(text)
