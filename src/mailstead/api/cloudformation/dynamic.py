"""Dynamic references: ``{{resolve:ssm:NAME}}`` and its kin, filled in at the last moment.

What they stand for is never kept with the stack and never shown; who acts for the
stack must be allowed to read it. Source:
CloudFormation User Guide, "Dynamic references".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from mailstead.api.cloudformation.resources import Context
from mailstead.wire.template import TemplateError

_REFERENCE = re.compile(r"\{\{resolve:([a-z-]+):([^{}]+)\}\}")

Find = Callable[[Context, str], Awaitable[str]]
"""What a reference stands for. TemplateError for nothing, Refused for who may not read it."""


class Resolve(Protocol):
    """Fills dynamic references of a value in."""

    async def __call__(self, at: Context, value: Any) -> Any: ...


class Dynamic:
    """Asks the services that references name."""

    def __init__(self, services: dict[str, Find]) -> None:
        """``services`` by name: ``ssm``, ``ssm-secure``, ``secretsmanager``."""
        self._services = services

    async def __call__(self, at: Context, value: Any) -> Any:
        if isinstance(value, dict):
            given = cast("dict[str, Any]", value)
            return {name: await self(at, one) for name, one in given.items()}
        if isinstance(value, list):
            return [await self(at, one) for one in cast("list[Any]", value)]
        if isinstance(value, str) and "{{resolve:" in value:
            return await self._filled(at, value)
        return value

    async def _filled(self, at: Context, text: str) -> str:
        parts: list[str] = []
        position = 0
        for found in _REFERENCE.finditer(text):
            service = self._services.get(found[1])
            if service is None:
                raise TemplateError(f"Dynamic references of service {found[1]} are not served")
            parts += [text[position : found.start()], await service(at, found[2])]
            position = found.end()
        return "".join([*parts, text[position:]])
