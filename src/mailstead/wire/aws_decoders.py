"""What the decoders of JSON, of forms and of XML have in common: one closure a shape.

A closure takes what came in, where it stands, and the list of what is wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from mailstead.wire.aws_constraints import SCALARS
from mailstead.wire.aws_model import Path, Problems, Shape

In = TypeVar("In")


class Decoders(ABC, Generic[In]):
    """Decoders of a service's shapes, made when first asked for."""

    def __init__(self, shapes: Mapping[str, Shape]) -> None:
        self._shapes = shapes
        self._made: dict[str, Callable[[In, Path, Problems], Any]] = {}

    def of(self, name: str) -> Callable[[In, Path, Problems], Any]:
        """The decoder of the shape with this name."""
        if name in self._made:
            return self._made[name]
        self._made[name] = self._later(name)
        shape = self._shapes[name]
        match shape["type"]:
            case "structure":
                made = self.structure(shape, shape["members"])
            case "list":
                made = self._list(shape)
            case "map":
                made = self._map(shape)
            case _:
                made = self._scalar(shape, checked=True)
        self._made[name] = made
        return made

    def _later(self, name: str) -> Callable[[In, Path, Problems], Any]:
        """What a shape inside itself finds: it looks for the decoder when it is called."""

        def decode(value: In, path: Path, problems: Problems) -> Any:
            return self._made[name](value, path, problems)

        return decode

    def _inside(self, name: str) -> Callable[[In, Path, Problems], Any]:
        """Of what lists and maps hold; these check scalars themselves, once for all."""
        shape = self._shapes[name]
        return self._scalar(shape, checked=False) if shape["type"] in SCALARS else self.of(name)

    @abstractmethod
    def structure(
        self, shape: Shape, members: Mapping[str, Shape]
    ) -> Callable[[In, Path, Problems], Any]:
        """A decoder of these members of a structure; required ones among them must be there."""

    @abstractmethod
    def _list(self, shape: Shape) -> Callable[[In, Path, Problems], Any]: ...

    @abstractmethod
    def _map(self, shape: Shape) -> Callable[[In, Path, Problems], Any]: ...

    @abstractmethod
    def _scalar(self, shape: Shape, *, checked: bool) -> Callable[[In, Path, Problems], Any]: ...
