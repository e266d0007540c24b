"""Regular expressions that callers bring, such as ``AllowedPattern``: matched in linear time.

Python's own matcher goes back and forth: ``(a+)+$`` can hold a process for years.
RE2 never does, and so knows neither look-around nor references back.
Syntax: https://github.com/google/re2/wiki/Syntax
"""

from __future__ import annotations

from typing import Any


def matches_whole(pattern: str, text: str) -> bool:
    """Whether a pattern matches all of a text. ValueError where RE2 does not take the pattern."""
    # Few templates bring a pattern, and the library takes a while to load.
    import re2

    # The library has no types.
    library: Any = re2
    options = library.Options()
    options.log_errors = False
    try:
        return library.compile(pattern, options).fullmatch(text) is not None
    except library.error as error:
        [reason] = error.args
        raise ValueError(f"{pattern} is no pattern of RE2: {reason.decode()}") from None
