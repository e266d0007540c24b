"""Clocks that tests move by hand."""

from mailstead.roles.clock import SystemClock


class StandingClock(SystemClock):
    """A clock that stands at ``seconds`` since 1970 until it is set."""

    def __init__(self, seconds: int) -> None:
        self.seconds = seconds

    def now(self) -> int:
        return self.seconds * 1000

    def real(self) -> int:
        return self.seconds * 1000
