"""The domain's errors: five kinds, which each door maps to its own codes.

    DomainError
    +-- NotFound   what was named does not exist
    +-- Conflict   it exists already, or changed meanwhile
    +-- Invalid    what was asked makes no sense
    +-- Limit      a quota, rate or size is used up
    +-- Refused    the asker may not

An error carries what it is about, so that a door can be finer than the kind:
``resource`` is the noun (``identity``, ``account``, ``message``), ``name`` which
one, ``reason`` a short constant word, and ``text`` what the asker is told, with
what to do about it.
"""

from __future__ import annotations


class DomainError(Exception):
    """What the domain answers instead of doing it."""

    def __init__(
        self, text: str | None, *, resource: str = "", name: str = "", reason: str = ""
    ) -> None:
        super().__init__(text or "")
        self.text = text
        self.resource = resource
        self.name = name
        self.reason = reason


class NotFound(DomainError):
    """What was named does not exist."""


class Conflict(DomainError):
    """It exists already, or was changed by somebody else meanwhile."""


class Invalid(DomainError):
    """What was asked makes no sense."""


class Limit(DomainError):
    """A quota, a rate or a size is used up."""


class Refused(DomainError):
    """The asker may not."""


class Unavailable(Exception):
    """The store can't write now: the disk is full or failing. Nothing was kept; try again."""

    def __init__(self, text: str, *, full: bool = False) -> None:
        super().__init__(text)
        self.full = full
        """Whether space is missing, which a purge may give back."""


class UpdateRefused(Exception):
    """Why a name server elsewhere did not do what it was asked for, and what may help."""
