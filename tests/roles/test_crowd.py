"""How many connections a network may have."""

import pytest

from mailstead.mail.reception import is_loopback
from mailstead.roles.crowd import Crowd


def entered(crowd: Crowd, *addresses: str) -> list[bool]:
    return [crowd.enter(address) for address in addresses]


def test_loopback_is_not_counted() -> None:
    crowd = Crowd(is_loopback, total=1, each=1)
    assert entered(crowd, "127.0.0.1", "127.0.0.1", "::1", "::1") == [True] * 4
    crowd.leave("127.0.0.1")
    assert entered(crowd, "192.0.2.1", "192.0.2.2") == [True, False]


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        (["192.0.2.1"] * 3, [True, True, False]),
        # The /24 has three times as many.
        ([f"192.0.2.{n}" for n in (1, 1, 2, 2, 3, 3, 4)], [True] * 6 + [False]),
        ([f"192.0.{n}.1" for n in range(4)], [True] * 4),
        (["2001:db8::1", "2001:db8::2", "2001:db8::3"], [True, True, False]),
        (["2001:db8:0:1::1", "2001:db8:0:2::1", "2001:db8:0:3::1"], [True] * 3),
        (["fe80::1%eth0", "fe80::1%eth1", "fe80::2"], [True, True, False]),
    ],
)
def test_one_network_cannot_take_them_all(addresses: list[str], expected: list[bool]) -> None:
    crowd = Crowd(lambda _: False, each=2)
    assert entered(crowd, *addresses) == expected


def test_who_leaves_makes_room() -> None:
    crowd = Crowd(lambda _: False, total=2, each=9)
    assert entered(crowd, "192.0.2.1", "198.51.100.1", "203.0.113.1") == [True, True, False]
    crowd.leave("192.0.2.1")
    assert crowd.enter("203.0.113.1")
    for address in ("198.51.100.1", "203.0.113.1"):
        crowd.leave(address)
    assert not crowd._counts
