"""A stack engine over a real store, with resource types that are toys in a dictionary."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from mailstead.api.cloudformation.assembly import Surroundings, assemble
from mailstead.api.cloudformation.model import Caller, ChangeSet, Event, Stack, Wanted, sealed
from mailstead.api.cloudformation.resources import (
    Context,
    Made,
    Properties,
    Registry,
    Schema,
    create_only_changed,
)
from mailstead.mail.access import Principal
from mailstead.mail.errors import Conflict, Invalid
from mailstead.mail.model import Scope
from mailstead.roles.clock import LocalWakeups, SystemClock, SystemRandomness
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore

SCOPE = Scope("111122223333", "us-east-1")
ROOT = "arn:aws:iam::111122223333:root"


class Crash(BaseException):
    """The process is gone."""


class ToyBox:
    """What the toys are kept in, and what shall go wrong."""

    def __init__(self) -> None:
        self.toys: dict[str, Properties] = {}
        self.overtaken = 0
        """How many of the next actions somebody else is faster than."""
        self.fail: set[str] = set()
        """Names that can't be made or changed."""
        self.log: list[str] = []


def toy_types(box: ToyBox) -> ModuleType:
    """A module with the one type."""

    class Toy:
        schema: ClassVar[Schema] = Schema(
            type="Test::Toy",
            properties={"Name": None, "Colour": None, "Tags": {}, "Key": None},
            create_only=("Name",),
            attributes=("Colour", "Shout"),
            name="Name",
            refused=("Lamp",),
        )

        def replaces(self, old: Properties, new: Properties) -> bool:
            return create_only_changed(self.schema, old, new)

        async def create(self, at: Context, name: str, given: Properties) -> Made:
            box.log.append(f"create {name}")
            if name in box.toys and not (at.resuming or at.importing):
                raise Conflict(f"{name} already exists", resource="toy", name=name)
            self._refuse(given)
            box.toys[name] = given
            return self._made(name, given)

        async def update(
            self, at: Context, physical_id: str, old: Properties, new: Properties
        ) -> Made:
            box.log.append(f"update {physical_id}")
            self._refuse(new)
            box.toys[physical_id] = new
            return self._made(physical_id, new)

        async def delete(self, at: Context, physical_id: str, given: Properties) -> None:
            box.log.append(f"delete {physical_id}")
            if box.overtaken:
                box.overtaken -= 1
                raise Conflict("changed meanwhile", resource="toy", reason="stale")
            if physical_id in box.fail:
                raise Invalid(f"{physical_id} is stuck")
            box.toys.pop(physical_id, None)

        async def read(self, at: Context, physical_id: str, given: Properties) -> Properties | None:
            return box.toys.get(physical_id)

        def _refuse(self, given: Properties) -> None:
            if given.get("Colour") in box.fail:
                raise Invalid(f"{given['Colour']} is out of stock")

        def _made(self, name: str, given: Properties) -> Made:
            colour = str(given.get("Colour", ""))
            return Made(name, {"Colour": colour, "Shout": colour.upper()})

    module = ModuleType("toys")
    vars(module)["Toy"] = Toy
    return module


class StackWorld:
    """An engine, its store, and the toys."""

    def __init__(self, folder: Path) -> None:
        self.box = ToyBox()
        self.runner = asyncio.Runner()
        self._pool = ThreadPoolExecutor(1)
        self.randomness = SystemRandomness(self._pool)
        seal = Seal(b"k" * 32, self.randomness.token)
        self.store = SqliteStore(folder, seal, self.randomness, self.runner.get_loop())
        self.run(self.store.start())
        self.ssm: dict[str, str] = {}
        self.secrets: dict[str, str] = {}
        self.principal = Principal(SCOPE.account, ROOT, SCOPE.account, is_root=True)
        self.restart()

    def restart(self) -> None:
        """Forget everything but the store, once it has done what it was asked."""
        self.run(self.store.set_setting("restarted", "yes"))

        async def principal(_arn: str, _session: str) -> Principal:
            return self.principal

        async def parameters(_scope: Scope) -> dict[str, str]:
            return self.ssm

        async def secret(_at: Context, name: str) -> str:
            return self.secrets[name]

        surroundings = Surroundings(
            self.store,
            SystemClock(),
            self.randomness,
            LocalWakeups(),
            lambda: None,  # type: ignore[arg-type,return-value] - toys use no ports
            principal,
            parameters,
            {"secretsmanager": secret},
        )
        self.stacks, self.engine = assemble(Registry([toy_types(self.box)]), surroundings)

    def close(self) -> None:
        self.store.close()
        self.runner.close()
        self._pool.shutdown()

    def run(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def caller(self) -> Caller:
        return Caller(SCOPE, ROOT)

    def wanted(self, template: str, **parameters: str) -> Wanted:
        return Wanted(template, sealed(parameters))

    def create(self, template: str, name: str = "S", **parameters: str) -> Stack:
        stack = self.run(self.stacks.create(self.caller, name, self.wanted(template, **parameters)))
        return self.run(self.engine.run(stack))

    def update(self, stack: Stack, template: str, **parameters: str) -> Stack:
        begun = self.run(
            self.stacks.update(self.caller, stack, self.wanted(template, **parameters))
        )
        return self.run(self.engine.run(begun))

    def delete(self, stack: Stack, *retained: str) -> Stack:
        self.run(self.stacks.delete(self.caller, stack, retained, ""))
        return self.run(self.engine.run(self.now(stack)))

    def now(self, stack: Stack) -> Stack:
        found = self.run(self.stacks.journal.stack(SCOPE, stack.arn))
        assert found is not None
        return found

    def execute(self, name: str, given: ChangeSet) -> Stack:
        stack = self.run(self.stacks.journal.stack(SCOPE, name))
        return self.run(self.engine.run(self.run(self.stacks.execute(self.caller, stack, given))))

    def change_set(
        self, kind: str, template: str, name: str = "S", *, imports: bool = False, **more: Any
    ) -> ChangeSet:
        given = ChangeSet(
            SCOPE,
            "",
            more.pop("change_set", "c"),
            self.randomness.uuid(),
            kind,
            "CREATE_PENDING",
            "UNAVAILABLE",
            0,
            self.wanted(template, **more),
            imports=imports,
        )
        _, made = self.run(self.stacks.create_change_set(self.caller, name, given))
        return made

    def events(self, stack: Stack) -> list[Event]:
        """Oldest first."""
        return self.run(self.stacks.journal.events(stack))[::-1]

    def told(self, stack: Stack) -> list[str]:
        return [f"{event.logical_id} {event.status}" for event in self.events(stack)]
