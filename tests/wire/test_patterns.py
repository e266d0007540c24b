"""Patterns of callers: what they match, in linear time, and which are none."""

import time

import pytest

from mailstead.wire.patterns import matches_whole


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("[a-z]+", "abc", True),
        ("[a-z]+", "abc1", False),
        ("^(yes|no)$", "no", True),
        (r"\d{3}-é*", "123-éé", True),
        ("", "", True),
    ],
)
def test_a_pattern_is_about_the_whole_text(pattern: str, text: str, matches: bool) -> None:
    assert matches_whole(pattern, text) is matches


def test_patterns_that_python_would_never_end_with() -> None:
    begun = time.process_time()
    assert not matches_whole("(a+)+$", "a" * 4096 + "b")
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("pattern", ["(", "(?=a)b", r"(a)\1", "a{1,1000}{1,1000}", "[z-a]"])
def test_what_is_no_pattern(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern of RE2"):
        matches_whole(pattern, "a")
