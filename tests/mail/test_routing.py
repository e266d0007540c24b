"""Routes in capture mode: home, outside, or nowhere."""

from __future__ import annotations

import pytest

from mailstead.mail.delivery import Hop, Route, Unroutable
from mailstead.mail.messages import Door
from support.post import Post

PATH = "0100018288804c9f-00000000-0000-0000-0000-000000000000-000001"


@pytest.mark.parametrize(
    ("recipient", "port", "tls"),
    [
        ("you@example.test", 1025, "none"),
        ("nobody@example.test", 1025, "none"),
        ("you@empty.test", 9999, "opportunistic"),
        ("you@far.example", 9999, "opportunistic"),
        (f"{PATH}@amazonses.com", 1025, "none"),
        (f"{PATH}@eu-west-1.amazonses.com", 1025, "none"),
        (f"{PATH}@empty.test", 1025, "none"),
        (f"{PATH}@far.example", 9999, "opportunistic"),
        ("x@amazonses.com", 9999, "opportunistic"),
    ],
)
def test_nothing_leaves_this_machine(post: Post, recipient: str, port: int, tls: str) -> None:
    post.host("example.test")
    post.host("empty.test")
    post.mailbox("you@example.test")
    domain = recipient.rpartition("@")[2]
    for door in Door:
        route = post.world.run(post.router.route(recipient, door))
        assert route == Route((Hop(f"mx.{domain}", "127.0.0.1", port, tls),), own=True)


@pytest.mark.parametrize("domain", ["invalid", "x.invalid", "a.b.invalid"])
def test_names_that_never_exist_do_not(post: Post, domain: str) -> None:
    route = post.world.run(post.router.route(f"a@{domain}", Door.API))
    assert isinstance(route, Unroutable)
    assert str(route.reply) == f"550 5.1.2 The domain {domain} does not exist"
    assert isinstance(post.world.run(post.router.route("a@invalid.example", Door.API)), Route)
