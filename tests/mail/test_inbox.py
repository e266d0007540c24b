"""Received mail for people and tests: waiting, reading, times."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from mailstead.mail.errors import NotFound
from mailstead.mail.inbox import detail, iso, journey, milliseconds
from mailstead.mail.messages import EmailFilter
from support.messages import arrival
from support.post import Post

TIMES = {
    "0": 0,
    "1660147485.855": 1_660_147_485_855,
    "2022-08-10T16:04:45.855Z": 1_660_147_485_855,
    "2022-08-10T18:04:45.855+02:00": 1_660_147_485_855,
    "2022-08-10T16:04:45": 1_660_147_485_000,
    "2022-08-10": 1_660_089_600_000,
    "-5": -5000,
}


@pytest.mark.parametrize("text", TIMES)
def test_times_are_read(text: str) -> None:
    assert milliseconds(text) == TIMES[text]


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "-inf", "1e300", "2022-13-01"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|isoformat|month"):
        milliseconds(text)


def test_times_are_written() -> None:
    assert iso(1_660_147_485_855) == "2022-08-10T16:04:45.855Z"
    assert iso(0) == "1970-01-01T00:00:00.000Z"


def test_a_wait_ends_with_what_comes(post: Post) -> None:
    """Mail that comes between the look and the wait is not waited for again."""
    world, inbox = post.world, post.inbox
    looked = asyncio.Event()
    emails = world.store.emails

    async def slow(wanted: EmailFilter) -> object:
        found = await emails(wanted)
        if not looked.is_set():
            looked.set()
            # It comes while the first look's answer is on its way.
            await world.store.deliver([arrival("1", "a@x.test")])
            world.wakeups.wake("emails")
        return found

    async def scene() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        found = await replace(inbox, store=_Store(slow)).find(EmailFilter(), seconds=30)
        assert [one.mailbox for one in found] == ["a@x.test"]
        assert loop.time() - begun < 0.5

    world.run(scene())


class _Store:
    """A store whose look takes a while."""

    def __init__(self, emails: object) -> None:
        self.emails = emails


def test_a_wait_for_several_and_its_end(post: Post) -> None:
    world, inbox = post.world, post.inbox

    async def scene() -> None:
        assert await inbox.find(EmailFilter(limit=0)) == []
        assert await inbox.find(EmailFilter(), seconds=-3) == []
        await world.store.deliver([arrival("1", "a@x.test")])
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(inbox.find(EmailFilter(), count=3, seconds=30))
            for name in ("2", "3"):
                await asyncio.sleep(0)
                await world.store.deliver([arrival(name, "a@x.test")])
                world.wakeups.wake("emails")
        assert len(waiting.result()) == 3
        # No more than the limit is waited for.
        assert len(await inbox.find(EmailFilter(limit=2), count=5, seconds=30)) == 2

    world.run(scene())


def test_one_message_with_its_journey(post: Post) -> None:
    world, inbox = post.world, post.inbox
    raw = (
        b"From: =?utf-8?q?S=C3=B6ren?= <s@x.test>\r\nSubject: Hi\r\nContent-Type: text/html\r\n"
        b"\r\n<p>Look <a href='https://x.test/1'>here</a></p>\r\n"
    )
    world.run(world.store.deliver([arrival("1", "a@x.test", raw=raw)]))
    [email] = post.emails()
    found, body = world.run(inbox.read(email.id))
    assert (found, body) == (email, raw)
    shown = detail(email, raw)
    assert shown["links"] == [{"url": "https://x.test/1", "text": "here"}]
    assert shown["headers"][0] == {"name": "Return-Path", "value": "<s@example.test>"}
    assert shown["headers"][1]["value"] == "Sören <s@x.test>"
    with pytest.raises(NotFound):
        world.run(inbox.read(email.id + 1))
    with pytest.raises(NotFound, match="it takes a MessageId"):
        world.run(inbox.trace("nothing"))
    post.host("example.test")
    post.mailbox("you@example.test")
    reply = post.receive(raw, "you@example.test")
    trace = world.run(inbox.trace(reply.text.partition(" ")[2]))
    [step] = journey(trace)["steps"]
    assert step["step"] == "received"
    assert step["mailbox"] == "you@example.test"


def test_attachments_are_listed(post: Post) -> None:
    raw = (
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\n"
        b'Content-Type: image/png\r\nContent-Disposition: attachment; filename="a.png"\r\n'
        b"Content-ID: <one@x>\r\n\r\n123\r\n--b--\r\n"
    )
    post.world.run(post.world.store.deliver([arrival("1", "a@x.test", raw=raw)]))
    [email] = post.emails()
    assert detail(email, raw)["attachments"] == [
        {"filename": "a.png", "content_type": "image/png", "size": 3, "content_id": "one@x"}
    ]
