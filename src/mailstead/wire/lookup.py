"""DNS questions and answers as values, for code that asks without doing I/O.

SPF, DMARC and routing are generators that yield tuples of `Question` and are
sent tuples of `Answer` in the same order; a Resolver adapter (or a test's
dictionary) stands on the other side. Names are lower-case A-labels without the
final dot. What the wire format looks like is `mailstead.wire.dns`'s matter.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Question(NamedTuple):
    """What is asked: a name and a record type, such as ``TXT``."""

    name: str
    type: str


class Status(Enum):
    """How a look-up ended."""

    OK = "ok"
    """Records of the type exist, and are in the answer."""
    NODATA = "nodata"
    """The name exists, without records of this type."""
    NXDOMAIN = "nxdomain"
    """The name does not exist, nor anything below it (RFC 8020)."""
    FAILED = "failed"
    """SERVFAIL, a time-out, or an answer that makes no sense: try again later."""


Record = str | bytes | tuple[int, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The records found, CNAMEs followed.

    ``A``, ``AAAA``: addresses as text. ``TXT``: each record's strings joined
    without a blank, as bytes. ``MX``: (preference, exchange); the null MX's
    exchange is ``""``. ``CNAME``, ``PTR``, ``NS``: names.
    """

    status: Status
    records: tuple[Record, ...] = ()
    secure: bool = False
    """Whether a validating resolver vouched for it (the AD bit)."""

    @property
    def texts(self) -> tuple[bytes, ...]:
        """The TXT records."""
        return tuple(record for record in self.records if isinstance(record, bytes))

    @property
    def names(self) -> tuple[str, ...]:
        """The addresses or names."""
        return tuple(record for record in self.records if isinstance(record, str))

    @property
    def exchanges(self) -> tuple[tuple[int, str], ...]:
        """The MX records, in the order received."""
        return tuple(record for record in self.records if isinstance(record, tuple))


NODATA = Answer(Status.NODATA)
NXDOMAIN = Answer(Status.NXDOMAIN)
FAILED = Answer(Status.FAILED)
