"""When the queue tries again, and when it gives up."""

import pytest

from mailstead.mail.queue import HOUR, LIFE, MINUTE, expired_text, next_attempt


@pytest.mark.parametrize(
    ("attempts", "fraction", "minutes"),
    [(1, 0.5, 1), (2, 0.5, 5), (6, 0.5, 80), (7, 0.5, 120), (50, 0.5, 120), (7, 0.0, 108),
     (7, 1.0, 132)],
)  # fmt: skip
def test_intervals_grow_to_two_hours(attempts: int, fraction: float, minutes: int) -> None:
    assert next_attempt(1000, attempts, fraction) == 1000 + minutes * MINUTE


def test_the_words_of_giving_up() -> None:
    assert LIFE == 14 * HOUR
    assert expired_text(0, LIFE, "451 later") == (
        "550 4.4.7 Message expired: unable to deliver in 840 minutes.<451 later>"
    )
