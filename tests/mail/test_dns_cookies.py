"""DNS cookies: whose they are, and for how long."""

import pytest

from mailstead.mail.dns_cookies import EARLY, FRESH, DnsCookies
from mailstead.roles.clock import SystemClock
from support.clocks import StandingClock

NOW = 1_800_000_000


def test_a_cookie_is_an_addresss_for_an_hour() -> None:
    clock = StandingClock(NOW)
    cookies = DnsCookies(b"secret", clock)
    given = cookies.answer("192.0.2.1", b"8 octets")
    assert (given[:8], len(given)) == (b"8 octets", 24)
    assert cookies.is_ours("192.0.2.1", given)
    assert cookies.answer("192.0.2.1", given) == given
    assert not cookies.is_ours("192.0.2.2", given)
    assert not DnsCookies(b"other", clock).is_ours("192.0.2.1", given)
    assert not cookies.is_ours("192.0.2.1", b"7 octets" + given[8:])
    for seconds, ours in ((FRESH, True), (FRESH + 1, False), (-EARLY, True), (-EARLY - 1, False)):
        clock.seconds = NOW + seconds
        assert cookies.is_ours("192.0.2.1", given) is ours


@pytest.mark.parametrize("sent", [b"", b"8 octets", b"8 octets and others", bytes(40)])
def test_what_is_nobodys(sent: bytes) -> None:
    assert not DnsCookies(b"secret", SystemClock()).is_ours("192.0.2.1", sent)
