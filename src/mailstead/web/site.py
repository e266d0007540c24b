"""The pages: captured and delivered mail with live update, one message, verification links.

Mail is hostile: its HTML is shown in a sandboxed frame under a policy that
loads and runs nothing, everything else is escaped by the templates.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from mailstead.mail.errors import DomainError, NotFound
from mailstead.mail.inbox import Inbox, detail, iso, journey, summary
from mailstead.mail.messages import EmailFilter, Trace
from mailstead.mail.ports import Clock, Randomness
from mailstead.mail.reception import is_loopback
from mailstead.mail.verification import Verification
from mailstead.web.auth import COOKIE, SESSION_SECONDS, Sessions

SHOWN = 200
FORM_LIMIT = 10_000
EVENT_SECONDS = 15.0
FOLDER = Path(__file__).parent

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
MAIL_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'self'"
)
_HEADERS = {
    "Content-Security-Policy": PAGE_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

Page = Callable[[Request], Awaitable[Response]]


class Site:
    """The ASGI application of the console port."""

    def __init__(
        self,
        inbox: Inbox,
        verification: Verification,
        *,
        password: str,
        hosts: frozenset[str],
        url: str,
        randomness: Randomness,
        clock: Clock,
    ) -> None:
        self._inbox = inbox
        self._verification = verification
        self._hosts = hosts
        self._url = url
        self._sessions = Sessions(password, randomness, clock)
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
            undefined=jinja2.StrictUndefined,
        )
        self._app = Starlette(
            routes=[
                Route("/", self._guarded(self.index)),
                Route("/messages/{number:int}", self._guarded(self.message)),
                Route("/messages/{number:int}/html", self._guarded(self.html)),
                Route("/messages/{number:int}/raw", self._guarded(self.raw)),
                Route("/events", self._guarded(self.events)),
                Route("/login", self.log_in, methods=["GET", "POST"]),
                Route("/verify", self.verify, methods=["GET"]),
                Mount("/static", StaticFiles(directory=FOLDER / "static")),
            ],
            exception_handlers={NotFound: self._not_found, 404: self._not_found},
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI; a request under a name that is not ours is refused."""
        request = Request(scope)
        if request.url.hostname not in self._hosts and scope["path"] != "/verify":
            refusal = PlainTextResponse(
                "This server is not called that: server.names can add it.", 403
            )
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def one_time_link(self) -> str:
        """The site's address with a token that logs in once."""
        return f"{self._url}/?token={self._sessions.new_link_token()}"

    def _guarded(self, page: Page) -> Page:
        async def guarded(request: Request) -> Response:
            token = request.query_params.get("token")
            if token is not None:
                return self._redeemed(request, token)
            client = request.client.host if request.client else ""
            if is_loopback(client) or self._sessions.holds(request.cookies.get(COOKIE, "")):
                return await page(request)
            return RedirectResponse("/login", 303)

        return guarded

    def _redeemed(self, request: Request, token: str) -> Response:
        """The page again without the token in its address, with a cookie where it was good."""
        response = RedirectResponse(request.url.path, 303)
        cookie = self._sessions.redeem(token)
        if cookie is not None:
            _set_cookie(response, cookie)
        return response

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        text = self._templates.get_template(template).render(**values)
        return HTMLResponse(text, status, headers=_HEADERS)

    async def index(self, _request: Request) -> Response:
        """The list, newest first."""
        found = await self._inbox.find(EmailFilter(limit=SHOWN))
        return self._page("index.html", messages=[summary(email) for email in found])

    async def message(self, request: Request) -> Response:
        """One message: HTML, text, source, journey."""
        email, raw = await self._inbox.read(request.path_params["number"])
        try:
            trace = await self._inbox.trace(email.message_id)
        except NotFound:
            trace = Trace(email.message_id, (), ())
        shown = await asyncio.to_thread(detail, email, raw)
        source = (email.prefix + raw).decode("utf-8", "replace")
        return self._page(
            "message.html", message=shown, source=source, journey=journey(trace), at=iso
        )

    async def html(self, request: Request) -> Response:
        """The HTML of a message, for the frame: nothing in it loads or runs."""
        email, raw = await self._inbox.read(request.path_params["number"])
        shown = await asyncio.to_thread(detail, email, raw)
        headers = {**_HEADERS, "Content-Security-Policy": MAIL_POLICY}
        return HTMLResponse(shown["html"], headers=headers)

    async def raw(self, request: Request) -> Response:
        """The bytes of a message, to save."""
        email, raw = await self._inbox.read(request.path_params["number"])
        name = f'attachment; filename="{email.id}.eml"'
        headers = {**_HEADERS, "Content-Disposition": name}
        return Response(raw, media_type="message/rfc822", headers=headers)

    async def events(self, request: Request) -> Response:
        """New messages as server-sent events."""
        text = request.query_params.get("after", "0")
        after = int(text) if text.isdecimal() and len(text) < 18 else 0
        headers = {**_HEADERS, "Content-Type": "text/event-stream"}
        return StreamingResponse(self._events(request, after), headers=headers)

    async def _events(self, request: Request, after: int) -> AsyncIterator[str]:
        while not await request.is_disconnected():
            # Id 0 stands for "from the first on", which no message has.
            wanted = EmailFilter(after=max(after, 0) or 0, limit=SHOWN)
            found = await self._inbox.find(wanted, seconds=EVENT_SECONDS)
            fresh = sorted((email for email in found if email.id > after), key=lambda e: e.id)
            for email in fresh:
                after = email.id
                yield f"id: {email.id}\ndata: {json.dumps(summary(email))}\n\n"
            if not fresh:
                yield ": still here\n\n"

    async def log_in(self, request: Request) -> Response:
        """The password's page."""
        if request.method == "GET":
            return self._page("login.html", wrong=False)
        body = (await request.body())[:FORM_LIMIT]
        given = parse_qs(body.decode("utf-8", "replace")).get("password", [""])
        cookie = self._sessions.log_in(given[0])
        if cookie is None:
            return self._page("login.html", 403, wrong=True)
        response = RedirectResponse("/", 303)
        _set_cookie(response, cookie)
        return response

    async def verify(self, request: Request) -> Response:
        """The link of a verification mail: GET confirms, once; HEAD, as scanners send, does not."""
        if request.method != "GET":
            return Response(status_code=405)
        try:
            identity = await self._verification.confirm(request.query_params.get("Token", ""))
        except DomainError as error:
            return self._page("verified.html", 404, name="", problem=error.text)
        return self._page("verified.html", name=identity.name, problem="")

    async def _not_found(self, _request: Request, error: Exception) -> Response:
        text = error.text if isinstance(error, NotFound) else "There is no such page."
        return self._page("missing.html", 404, text=text)


def _set_cookie(response: Response, value: str) -> None:
    response.set_cookie(COOKIE, value, SESSION_SECONDS, httponly=True, samesite="strict")
