"""Log-ins of the pages, and the pages without a network."""

import asyncio
from typing import Any

from mailstead.web.auth import MOST, TRIES, TRY_SECONDS, Sessions
from support.asgi import Answer, call


class Ticks:
    def __init__(self) -> None:
        self.at = 100.0

    def now(self) -> int:
        return 0

    def real(self) -> int:
        return 0

    def ticks(self) -> float:
        return self.at


class Dice:
    def __init__(self) -> None:
        self.number = 0

    def token(self, size: int) -> bytes:
        self.number += 1
        return self.number.to_bytes(size)

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def sessions(password: str = "right") -> tuple[Sessions, Ticks]:
    clock = Ticks()
    return Sessions(password, Dice(), clock), clock  # type: ignore[arg-type]


def test_a_link_works_once_and_not_for_ever() -> None:
    kept, clock = sessions()
    token = kept.new_link_token()
    cookie = kept.redeem(token)
    assert cookie is not None
    assert kept.holds(cookie)
    assert kept.redeem(token) is None
    late = kept.new_link_token()
    clock.at += 13 * 60 * 60
    assert kept.redeem(late) is None
    assert not kept.holds(cookie)
    assert not kept.holds("")


def test_the_password_opens_and_guessing_is_slowed() -> None:
    kept, clock = sessions()
    assert kept.log_in("right") is not None
    for _ in range(TRIES):
        assert kept.log_in("wrong") is None
    assert kept.log_in("right") is None
    clock.at += TRY_SECONDS + 1
    assert kept.log_in("right") is not None
    assert sessions("")[0].log_in("") is None


def test_the_number_of_sessions_is_bounded() -> None:
    kept, _ = sessions()
    first = kept.new_link_token()
    for _ in range(MOST):
        kept.new_link_token()
    assert kept.redeem(first) is None


def page(site: Any, path: str, client: str = "192.0.2.1", **options: Any) -> Answer:
    """One request by another machine."""
    headers = {"host": "localhost"} | options.get("headers", {})
    method, body = options.get("method", "GET"), options.get("body", b"")
    return asyncio.run(call(site, method, path, body, client, headers))


def test_other_machines_log_in_first() -> None:
    from mailstead.web.site import Site

    class Nothing:
        async def find(self, *_words: Any, **_options: Any) -> list[Any]:
            await asyncio.sleep(0)
            return []

    clock = Ticks()
    site = Site(
        Nothing(),  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        password="right",
        hosts=frozenset({"localhost"}),
        url="http://localhost",
        randomness=Dice(),  # type: ignore[arg-type]
        clock=clock,
    )
    assert page(site, "/").headers["location"] == "/login"
    assert page(site, "/", "127.0.0.1").status == 200
    assert "Password" in page(site, "/login").text
    wrong = page(site, "/login", method="POST", body=b"password=no")
    assert wrong.status == 403
    right = page(site, "/login", method="POST", body=b"password=right")
    cookie = right.headers["set-cookie"].partition(";")[0]
    assert page(site, "/", headers={"cookie": cookie}).status == 200
    link = site.one_time_link()
    assert page(site, link.removeprefix("http://localhost")).headers["location"] == "/"
    assert page(site, "/?token=nonsense").headers["location"] == "/"
