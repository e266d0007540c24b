"""The Resolver port in capture mode: what is hosted here, the service's names, and nothing else.

No question leaves this machine: a name that is neither does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailstead.mail.ports import Store
from mailstead.mail.service import ServiceNames
from mailstead.mail.zones import CHAIN_LIMIT, Zones
from mailstead.wire.lookup import FAILED, NXDOMAIN, Answer, Question


class CaptureResolver:
    """Answers from the hosted zones, then from the service's names."""

    def __init__(self, zones: Zones, names: ServiceNames, store: Store) -> None:
        self._zones = zones
        self._names = names
        self._store = store

    async def ask(self, questions: Sequence[Question]) -> list[Answer]:
        """Answers in the questions' order."""
        return [await self._answer(question) for question in questions]

    async def _answer(self, question: Question) -> Answer:
        for _ in range(CHAIN_LIMIT):
            found = self._zones.answer(question)
            if isinstance(found, Answer):
                return found
            if found is None:
                if self._names.holds(question.name):
                    return await self._names.answer(question, self._store)
                return NXDOMAIN
            # An alias that leads from a zone of ours to a name elsewhere.
            question = found
        return FAILED
