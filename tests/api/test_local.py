"""The local API and the commands' side of it, called as ASGI without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from mailstead.api.local import LocalApi
from mailstead.app import doors
from mailstead.app.domain import Adapters, Domain, compose
from mailstead.config import Config
from mailstead.mail.errors import Unavailable
from mailstead.mail.messages import Arrival, Step
from mailstead.mail.model import Scope
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness, ThreadWorkers
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore
from support.asgi import Answer, call

HOME = Scope("000000000000", "us-east-1")
TOKEN = "t0ken"
OURS = {"host": "127.0.0.1:4566"}
RAW = (
    b"From: a@b.example\r\nTo: c@d.example\r\nSubject: =?utf-8?q?Hall=C3=B6?=\r\n"
    b"Content-Type: text/html\r\n\r\n<a href='https://x.example/1'>one</a>\r\n"
)


@dataclass
class Desk:
    """A domain, and the local API in front of it."""

    domain: Domain
    api: LocalApi

    async def call(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        client: str = "127.0.0.1",
        **headers: str,
    ) -> Answer:
        """One call; a header's name has underscores for hyphens."""
        given = OURS | {name.replace("_", "-"): value for name, value in headers.items()}
        return await call(self.api, method, f"/_mailstead/{path}", body, client, given)

    async def command(self, noun: str, verb: str, **arguments: Any) -> Answer:
        body = json.dumps({"verb": verb, **arguments}).encode()
        return await self.call(
            "POST",
            f"admin/{noun}",
            body,
            content_type="application/json",
            authorization=f"Bearer {TOKEN}",
        )

    async def arrive(self, name: str, user: str, kind: str = "capture") -> None:
        step = Step(1, "received", {"mailbox": user})
        await self.domain.adapters.store.deliver(
            [
                Arrival(
                    id=name,
                    address=user,
                    user=user,
                    kind=kind,
                    scope=HOME,
                    reverse_path="a@b.example",
                    header_from="a@b.example",
                    subject=f"Subject {name}",
                    raw=RAW,
                    prefix=b"Delivered-To: x\r\n",
                    received_at=1_700_000_000_000,
                    message_id="",
                    authentication={"spf": "none", "dkim": "none", "dmarc": "none"},
                    header_index=(),
                    steps=(step,),
                )
            ]
        )
        self.domain.adapters.wakeups.wake("emails")


Scene = Callable[[Desk], Coroutine[Any, Any, None]]


@pytest.fixture
def desk(tmp_path: Path) -> Callable[[Scene], None]:
    """Plays a scene with a desk of its own."""

    def play(scene: Scene) -> None:
        async def run() -> None:
            with ThreadPoolExecutor(2) as pool:
                randomness = SystemRandomness(pool)
                seal = Seal(b"k" * 32, randomness.token)
                store = SqliteStore(tmp_path, seal, randomness, asyncio.get_running_loop())
                await store.start()
                adapters = Adapters(
                    store, SystemClock(), randomness, LocalWakeups(), ThreadWorkers(pool)
                )
                domain = compose(Config(), adapters, HOME, b"k" * 32, lambda: "http://x")
                await domain.zones.load()
                access = doors.LocalAccess(
                    TOKEN, frozenset({"127.0.0.1", "localhost", "[::1]"}), lambda: "http://link"
                )
                api = doors.local_api(Config(), domain, ["api"], access)
                try:
                    await scene(Desk(domain, api))
                finally:
                    store.close()

        asyncio.run(run())

    return play


def test_health(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        answer = await at.call("GET", "health")
        assert answer.json["status"] == "ok"
        assert answer.json["delivery"] == "capture"
        assert answer.json["roles"] == ["api"]
        head = await at.call("HEAD", "health")
        assert (head.status, head.body) == (200, b"")

    desk(scene)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "evil.example:4566"}, 403),
        ({"host": "localhost"}, 200),
        ({"host": "[::1]:4566"}, 200),
        ({"host": "[::1]"}, 200),
        ({"origin": "http://127.0.0.1:4566"}, 200),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
    ],
)
def test_browsers_of_other_pages_are_kept_out(
    desk: Callable[[Scene], None], headers: dict[str, str], status: int
) -> None:
    async def scene(at: Desk) -> None:
        answer = await at.call("GET", "health", **headers)
        assert answer.status == status
        assert "access-control-allow-origin" not in answer.headers

    desk(scene)


def test_other_machines_need_the_token(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        for words, status in (("", 401), (f"Bearer {TOKEN}", 200), ("Bearer no", 401)):
            answer = await at.call("GET", "health", client="192.0.2.1", authorization=words)
            assert answer.status == status

    desk(scene)


def test_messages_are_listed_read_and_deleted(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        await at.arrive("one", "c@d.example")
        await at.arrive("two", "e@d.example")
        listed = (await at.call("GET", "messages")).json["messages"]
        assert [one["subject"] for one in listed] == ["Subject two", "Subject one"]
        assert listed[0]["received_at"] == "2023-11-14T22:13:20.000Z"
        number = listed[1]["id"]
        shown = (await at.call("GET", f"messages/{number}")).json
        assert shown["links"] == [{"url": "https://x.example/1", "text": "one"}]
        assert {"name": "Subject", "value": "Hallö"} in shown["headers"]
        raw = await at.call("GET", f"messages/{number}/raw")
        assert (raw.body, raw.headers["content-type"]) == (RAW, "message/rfc822")
        trace = (await at.call("GET", "trace/one")).json
        assert trace["steps"][0]["step"] == "received"
        assert (await at.call("DELETE", f"messages/{number}")).status == 204
        assert (await at.call("GET", f"messages/{number}")).status == 404
        assert (await at.call("DELETE", "messages?subject=two")).status == 204
        assert (await at.call("GET", "messages")).json == {"messages": []}

    desk(scene)


def test_hosted_mail_is_deleted_by_name_only(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        await at.command("domain", "add", name="example.test")
        await at.command("mailbox", "add", address="you@example.test")
        await at.arrive("mine", "you@example.test", "hosted")
        assert (await at.call("DELETE", "messages")).status == 204
        [kept] = (await at.call("GET", "messages")).json["messages"]
        refused = await at.call("DELETE", f"messages/{kept['id']}")
        assert (refused.status, "mailbox=" in refused.json["error"]) == (403, True)
        assert (await at.call("DELETE", "messages?mailbox=You@example.test")).status == 204
        assert (await at.call("GET", "messages")).json["messages"] == []

    desk(scene)


def test_waiting_ends_with_the_message(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(at.call("GET", "messages?subject=late&wait=20"))
            await asyncio.sleep(0)
            await at.arrive("late", "c@d.example")
        assert len(waiting.result().json["messages"]) == 1
        assert (await at.call("GET", "messages?subject=none&wait=0.01")).json["messages"] == []

    desk(scene)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "messages?limit=x", 400),
        ("GET", "messages?wait=nan", 400),
        ("GET", "messages?wait=-1", 400),
        ("GET", "messages?since=yesterday", 400),
        ("GET", "messages?since=2026-01-01T00:00:00Z&after=0&limit=0", 200),
        ("GET", "messages?since=1700000000", 200),
        ("GET", "messages/x", 404),
        ("GET", "messages/99999999999999999999", 404),
        ("GET", "messages/1/parts", 404),
        ("GET", "trace/none", 404),
        ("GET", "nothing", 404),
        ("PUT", "messages", 405),
        ("GET", "admin/status", 401),
    ],
)
def test_calls_that_cannot_be(
    desk: Callable[[Scene], None], method: str, path: str, status: int
) -> None:
    async def scene(at: Desk) -> None:
        assert (await at.call(method, path)).status == status

    desk(scene)


def test_views_that_are_not_there(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        await at.arrive("one", "c@d.example")
        assert (await at.call("GET", "messages/1/parts")).status == 404

    desk(scene)


def test_bodies_are_json_and_small(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        admin = {"authorization": f"Bearer {TOKEN}"}
        for body, kind, status in (
            (b'{"verb": "show"}', "text/plain", 415),
            (b'{"verb": "show"}', "application/json; charset=utf-8", 200),
            (b"no json at all", "application/json", 400),
            (b"[1, 2, 3, 4, 5, 6]", "application/json", 400),
            (b'{"verb": "sing"}', "application/json", 404),
            (b"x" * 1_100_000, "application/json", 413),
        ):
            answer = await at.call("POST", "admin/status", body, content_type=kind, **admin)
            assert answer.status == status, answer.body
        assert (await at.call("GET", "admin/status", **admin)).status == 405

    desk(scene)


def test_commands(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        added = (await at.command("domain", "add", name="example.test")).json
        assert added["name"] == "example.test"
        assert (await at.command("domain", "list")).json["domains"][0]["name"] == "example.test"
        checked = (await at.command("domain", "check", name="example.test")).json
        assert {"ok", "checks"} <= set(checked)
        made = (await at.command("mailbox", "add", address="you@example.test")).json
        assert len(made["password"]) == 20
        words = {"address": "you@example.test", "password": "mine"}
        assert (await at.command("mailbox", "password", **words)).json == {
            "address": "you@example.test"
        }
        assert await at.domain.mailboxes.opens("You@example.test", "mine") is not None
        assert (await at.command("mailbox", "list")).json["mailboxes"][0]["messages"] == 0
        read = await at.command("mailbox", "read", address="you@example.test")
        assert read.json["messages"] == []
        verified = (await at.command("identity", "verify", name="me@x.example")).json
        assert verified["verified"] is True
        assert (await at.command("account", "show")).json["production"] is False
        granted = await at.command("account", "production", daily_quota=-1, max_rate=5)
        assert (granted.json["daily_quota"], granted.json["max_rate"]) == (-1, 5)
        assert (await at.command("account", "sandbox")).json["production"] is False
        assert (await at.command("queue", "list")).json == {"queue": []}
        assert (await at.command("queue", "retry", ids=["1"])).json == {"retried": 0}
        assert (await at.command("queue", "delete")).json == {"deleted": 0}
        assert (await at.command("queue", "delete", ids=["x"])).status == 400
        assert (await at.command("console", "link")).json == {"url": "http://link"}
        assert (await at.command("status", "show")).json["delivery"] == "capture"
        assert (await at.command("mailbox", "delete", address="you@example.test")).status == 200
        assert (await at.command("domain", "delete", name="example.test")).status == 200
        assert (await at.command("demo", "remove")).status == 404
        assert (await at.command("trace", "show", id="x")).status == 404
        assert (await at.command("trace", "show")).status == 400

    desk(scene)


def test_a_store_that_cannot_write_is_503_and_a_bug_500(
    desk: Callable[[Scene], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(at: Desk) -> None:
        for error, status in ((Unavailable("disk full", full=True), 503), (KeyError("oops"), 500)):

            def broken(*_words: Any, error: Exception = error) -> Any:
                raise error

            inbox = replace(at.api.inbox)
            object.__setattr__(inbox, "store", type("Broken", (), {"emails": broken})())
            object.__setattr__(at.api, "inbox", inbox)
            answer = await at.call("GET", "messages")
            assert answer.status == status
            assert "Traceback" not in answer.body.decode()
        assert "a call of the local API failed" in caplog.text

    desk(scene)


def test_mail_of_people_is_shown_in_capture_mode_only(desk: Callable[[Scene], None]) -> None:
    async def scene(at: Desk) -> None:
        await at.command("domain", "add", name="example.test")
        await at.command("mailbox", "add", address="you@example.test")
        await at.arrive("mine", "you@example.test", "hosted")
        await at.arrive("caught", "c@d.example")
        both = (await at.call("GET", "messages")).json["messages"]
        assert [one["mailbox"] for one in both] == ["c@d.example", "you@example.test"]
        direct = replace(at, api=replace(at.api, about=replace(at.api.about, delivery="direct")))
        assert (await direct.call("GET", "messages")).status == 401
        token = f"Bearer {TOKEN}"
        listed = (await direct.call("GET", "messages", authorization=token)).json["messages"]
        assert [one["mailbox"] for one in listed] == ["c@d.example"]
        hosted = both[1]["id"]
        for path in ("messages?mailbox=YOU@example.test", f"messages/{hosted}"):
            assert (await direct.call("GET", path, authorization=token)).status == 403
        assert (
            await direct.call("GET", f"messages/{both[0]['id']}", authorization=token)
        ).status == 200

    desk(scene)
