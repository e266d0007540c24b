"""Pages of lists, with a token that says nothing to the caller."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import TypeVar

from mailstead.mail.errors import Invalid
from mailstead.mail.model import Resource

R = TypeVar("R", bound=Resource)
MOST = 1000
"""Items of a page, which is also what a caller gets who names no number."""


def page(items: Sequence[R], size: int | None, token: str | None) -> tuple[list[R], str | None]:
    """The page of ``items``, which are in order of name, that a token asks for; the next token.

    Invalid for a size that SES does not take and a token that was never given.
    """
    if size is not None and not 0 <= size <= MOST:
        raise Invalid(f"A page has up to {MOST} items.", resource="page")
    after = _name(token) if token else ""
    rest = [item for item in items if item.name > after]
    shown = rest[: size or MOST]
    return shown, _token(shown[-1].name) if len(rest) > len(shown) else None


def _token(name: str) -> str:
    return urlsafe_b64encode(name.encode()).decode()


def _name(token: str) -> str:
    try:
        return b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except ValueError:
        raise Invalid("The NextToken is not one that was given.", reason="token") from None
