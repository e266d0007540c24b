"""Intrinsic functions: values of a template to values of resources.

Source: CloudFormation User Guide, "Intrinsic function reference" and
"Pseudo parameters reference".
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from mailstead.mail.model import Scope
from mailstead.wire.template import Template, TemplateError

NO_VALUE = object()
"""``AWS::NoValue``: the property, or the list's member, is not there."""
_VARIABLE = re.compile(r"\$\{(!?)([^${}]*)\}")
_LISTS = ("CommaDelimitedList",)


@dataclass(frozen=True, slots=True)
class Attributes:
    """What `Ref` and `GetAtt` give of a resource that exists."""

    ref: str
    values: Mapping[str, Any]


class Unresolved(Exception):
    """A value needs a resource that is not there yet."""

    def __init__(self, logical_id: str) -> None:
        super().__init__(logical_id)
        self.logical_id = logical_id


@dataclass(slots=True)
class Budget:
    """What evaluating one template may cost: nested functions can double at each level."""

    steps: int = 1_000_000
    """Values and conditions that are looked at."""
    characters: int = 4_000_000
    """Characters that functions make."""

    def look(self) -> None:
        """One more value. TemplateError where it was one too many."""
        self.steps -= 1
        if self.steps < 0:
            raise TemplateError("Template error: the template takes too many steps to evaluate")

    def make(self, characters: int) -> None:
        """So many more characters, before they are made. TemplateError where that is too many."""
        self.characters -= characters
        if self.characters < 0:
            raise TemplateError("Template error: the values of the template are too long")


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates values of one template for one stack."""

    template: Template
    scope: Scope
    stack_name: str
    stack_id: str
    parameters: Mapping[str, Any]
    """Values by name: texts, or lists of texts."""
    exports: Mapping[str, str] = field(default_factory=dict[str, str])
    resources: Mapping[str, Attributes] = field(default_factory=dict[str, Attributes])
    known_attributes: Callable[[str, str], bool] = lambda _type, _name: True
    """Whether a type has an attribute."""
    budget: Budget = field(default_factory=Budget)

    def evaluate(self, value: Any) -> Any:
        """The value with every function called. Unresolved, or TemplateError."""
        self.budget.look()
        if isinstance(value, dict):
            given = cast("dict[str, Any]", value)
            if len(given) == 1:
                [(name, argument)] = given.items()
                function = _FUNCTIONS.get(name)
                if function is not None:
                    return function(self, argument)
                if name.startswith("Fn::"):
                    raise TemplateError(f"Template error: unsupported function {name}")
            found = {name: self.evaluate(one) for name, one in given.items()}
            return {name: one for name, one in found.items() if one is not NO_VALUE}
        if isinstance(value, list):
            members = [self.evaluate(one) for one in cast("list[Any]", value)]
            return [one for one in members if one is not NO_VALUE]
        return value

    def is_absent(self, value: Any) -> bool:
        """Whether conditions alone make a property one that is not there."""
        while isinstance(value, dict) and len(cast("dict[str, Any]", value)) == 1:
            [(name, argument)] = cast("dict[str, Any]", value).items()
            if name != "Fn::If":
                return (name, argument) == ("Ref", "AWS::NoValue")
            chosen, yes, no = _arguments("Fn::If", argument, 3)
            value = yes if self.condition(chosen) else no
        return False

    def condition(self, name: str, seen: tuple[str, ...] = ()) -> bool:
        """Whether a named condition holds."""
        if name in seen:
            raise TemplateError(f"Circular dependency in condition {name}")
        if name not in self.template.conditions:
            raise TemplateError(f"Template format error: Unresolved condition {name}")
        return self.boolean(self.template.conditions[name], (*seen, name))

    def boolean(self, value: Any, seen: tuple[str, ...] = ()) -> bool:
        """Whether a condition holds that stands in its place; ``seen`` are those it is in."""
        self.budget.look()
        if isinstance(value, dict) and len(cast("dict[str, Any]", value)) == 1:
            [(name, argument)] = cast("dict[str, Any]", value).items()
            test = _TESTS.get(name)
            if test is not None:
                return test(self, argument, seen)
        found = self.evaluate(value)
        if isinstance(found, str) and found.lower() in ("true", "false"):
            return found.lower() == "true"
        if isinstance(found, bool):
            return found
        raise TemplateError("Template format error: Conditions must be boolean.")

    def ref(self, name: Any) -> Any:
        """`Ref`."""
        if not isinstance(name, str):
            raise TemplateError(
                "Template format error: Every Ref object must have a single String value."
            )
        pseudo = _PSEUDO.get(name)
        if pseudo is not None:
            return pseudo(self)
        if name in self.parameters:
            return self.parameters[name]
        if name in self.template.resources:
            if name not in self.resources:
                raise Unresolved(name)
            return self.resources[name].ref
        raise TemplateError(
            "Template format error: Unresolved resource dependencies "
            f"[{name}] in the Resources block of the template"
        )

    def get_att(self, argument: Any) -> Any:
        """`Fn::GetAtt`."""
        parts = argument.split(".", 1) if isinstance(argument, str) else argument
        if not (isinstance(parts, list) and len(cast("list[Any]", parts)) == 2):
            raise TemplateError("Template error: every Fn::GetAtt object requires two parameters")
        logical, attribute = (_text(self.evaluate(part)) for part in cast("list[Any]", parts))
        if logical not in self.template.resources:
            raise TemplateError(
                f"Template error: instance of Fn::GetAtt references undefined resource {logical}"
            )
        kind = self.template.resources[logical].type
        if not self.known_attributes(kind, attribute):
            raise TemplateError(
                f"Template error: resource {logical} does not support attribute type {attribute} "
                "in Fn::GetAtt"
            )
        if logical not in self.resources:
            raise Unresolved(logical)
        return self.resources[logical].values[attribute]

    def check(self, value: Any, alive: Collection[str]) -> None:
        """Whether every name in a value is there; TemplateError for the first that is not."""
        if isinstance(value, list):
            for one in cast("list[Any]", value):
                self.check(one, alive)
        if not isinstance(value, dict):
            return
        for name, argument in cast("dict[str, Any]", value).items():
            if name == "Fn::If" and isinstance(argument, list):
                test, yes, no = _arguments(name, argument, 3)
                self.check(yes if self.condition(test) else no, alive)
                continue
            if name == "Ref":
                self._check_name(argument, alive)
            elif name == "Fn::GetAtt":
                parts = argument.split(".", 1) if isinstance(argument, str) else argument
                self._check_name(parts[0], alive)
                self._check_attribute(parts)
            elif name == "Fn::Sub":
                self._check_text(argument, alive)
            self.check(argument, alive)

    def _check_name(self, name: Any, alive: Collection[str]) -> None:
        known = name in _PSEUDO or name in self.parameters or name in alive
        if not (isinstance(name, str) and known):
            raise TemplateError(
                "Template format error: Unresolved resource dependencies "
                f"[{name}] in the Resources block of the template"
            )

    def _check_attribute(self, parts: list[Any]) -> None:
        try:
            self.get_att(parts)
        except Unresolved:
            return

    def _check_text(self, argument: Any, alive: Collection[str]) -> None:
        text, own = argument, cast("dict[str, Any]", {})
        if isinstance(argument, list) and len(cast("list[Any]", argument)) == 2:
            text, own = cast("list[Any]", argument)
        for bang, variable in _VARIABLE.findall(text if isinstance(text, str) else ""):
            name = variable.strip()
            if bang or name in own:
                continue
            logical, dot, attribute = name.partition(".")
            if dot and not name.startswith("AWS::"):
                self._check_name(logical, alive)
                self._check_attribute([logical, attribute])
            else:
                self._check_name(name, alive)

    def sub(self, argument: Any) -> str:
        """`Fn::Sub`."""
        own: dict[str, Any] = {}
        text = argument
        if isinstance(argument, list) and len(cast("list[Any]", argument)) == 2:
            text, own = cast("list[Any]", argument)
        if not isinstance(text, str):
            raise TemplateError(
                "Template error: One or more Fn::Sub intrinsic functions don't specify expected "
                "arguments. Specify a string as first argument, and an optional second argument "
                "to specify a mapping of values to replace in the string"
            )

        def filled(match: re.Match[str]) -> str:
            if match[1]:
                return "${" + match[2] + "}"
            name = match[2].strip()
            if name in own:
                found = _text(self.evaluate(own[name]))
            elif "." in name and not name.startswith("AWS::"):
                found = _text(self.get_att(name))
            else:
                found = _text(self.ref(name))
            self.budget.make(len(found))
            return found

        return _VARIABLE.sub(filled, text)


def references(template: Template, value: Any) -> Iterator[str]:
    """The logical ids of resources that a value needs."""
    if isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from references(template, one)
    if not isinstance(value, dict):
        return
    for name, argument in cast("dict[str, Any]", value).items():
        if name == "Ref" and argument in template.resources:
            yield argument
        elif name == "Fn::GetAtt":
            logical = argument.split(".")[0] if isinstance(argument, str) else argument[0]
            if logical in template.resources:
                yield logical
        elif name == "Fn::Sub":
            yield from _in_text(template, argument)
        yield from references(template, argument)


def _in_text(template: Template, argument: Any) -> Iterator[str]:
    text, own = argument, cast("dict[str, Any]", {})
    if isinstance(argument, list) and argument:
        text = argument[0]
        own = argument[1] if len(cast("list[Any]", argument)) > 1 else {}
    for bang, variable in _VARIABLE.findall(text if isinstance(text, str) else ""):
        logical = variable.strip().split(".")[0]
        if not bang and variable.strip() not in own and logical in template.resources:
            yield logical


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise TemplateError("Template error: a text is expected where a list or an object was given")


def _arguments(name: str, argument: Any, *counts: int) -> list[Any]:
    if not isinstance(argument, list) or len(cast("list[Any]", argument)) not in counts:
        raise TemplateError(
            f"Template error: every {name} object requires {' or '.join(map(str, counts))} "
            "parameters"
        )
    return cast("list[Any]", argument)


def _join(at: Evaluator, argument: Any) -> str:
    separator, values = _arguments("Fn::Join", argument, 2)
    found = at.evaluate(values)
    if not isinstance(found, list):
        raise TemplateError("Template error: every Fn::Join object requires a list")
    texts = [_text(one) for one in cast("list[Any]", found)]
    between = _text(separator)
    at.budget.make(sum(map(len, texts)) + len(between) * len(texts))
    return between.join(texts)


def _split(at: Evaluator, argument: Any) -> list[str]:
    separator, value = _arguments("Fn::Split", argument, 2)
    between, text = _text(separator), _text(at.evaluate(value))
    if not between:
        raise TemplateError("Template error: every Fn::Split object requires a delimiter")
    # A member is an object of its own, however short.
    at.budget.make(len(text) + 50 * text.count(between))
    return text.split(between)


def _select(at: Evaluator, argument: Any) -> Any:
    index, values = _arguments("Fn::Select", argument, 2)
    found, place = at.evaluate(values), at.evaluate(index)
    try:
        return found[int(place)]
    except (ValueError, TypeError, IndexError, KeyError):
        raise TemplateError(
            f"Template error: Fn::Select cannot select nonexistent value at index {place}"
        ) from None


def _if(at: Evaluator, argument: Any) -> Any:
    name, yes, no = _arguments("Fn::If", argument, 3)
    return at.evaluate(yes if at.condition(name) else no)


def _find_in_map(at: Evaluator, argument: Any) -> Any:
    names = [_text(at.evaluate(one)) for one in _arguments("Fn::FindInMap", argument, 3)]
    found: Any = at.template.mappings
    for name in names:
        if not isinstance(found, dict) or name not in found:
            raise TemplateError(
                f"Template error: Unable to get mapping for {'::'.join(map(str, names))}"
            )
        found = cast("dict[str, Any]", found)[name]
    return found


def _import_value(at: Evaluator, argument: Any) -> str:
    name = _text(at.evaluate(argument))
    if name not in at.exports:
        raise TemplateError(f"No export named {name} found.")
    return at.exports[name]


def _base64(at: Evaluator, argument: Any) -> str:
    text = _text(at.evaluate(argument)).encode()
    at.budget.make(2 * len(text))
    return b64encode(text).decode()


def _zones(at: Evaluator, argument: Any) -> list[str]:
    region = at.evaluate(argument) or at.scope.region
    return [f"{region}{letter}" for letter in "abc"]


def _equals(at: Evaluator, argument: Any, _seen: tuple[str, ...]) -> bool:
    one, other = (at.evaluate(part) for part in _arguments("Fn::Equals", argument, 2))
    return _comparable(one) == _comparable(other)


def _comparable(value: Any) -> Any:
    return _text(value) if isinstance(value, (bool, int, float)) else value


def _and(at: Evaluator, argument: Any, seen: tuple[str, ...]) -> bool:
    return all(at.boolean(one, seen) for one in _arguments("Fn::And", argument, *range(2, 11)))


def _or(at: Evaluator, argument: Any, seen: tuple[str, ...]) -> bool:
    return any(at.boolean(one, seen) for one in _arguments("Fn::Or", argument, *range(2, 11)))


def _not(at: Evaluator, argument: Any, seen: tuple[str, ...]) -> bool:
    [one] = _arguments("Fn::Not", argument, 1)
    return not at.boolean(one, seen)


def _named(at: Evaluator, argument: Any, seen: tuple[str, ...]) -> bool:
    if not isinstance(argument, str):
        raise TemplateError("Template format error: Every Condition member must be a string.")
    return at.condition(argument, seen)


def _require_lists(name: str, *values: Any) -> None:
    if not all(isinstance(one, list) for one in values):
        raise TemplateError(f"Template error: every {name} object requires a list of values")


def _contains(at: Evaluator, argument: Any, _seen: tuple[str, ...]) -> bool:
    values, value = (at.evaluate(part) for part in _arguments("Fn::Contains", argument, 2))
    _require_lists("Fn::Contains", values)
    return value in values


def _each_member_equals(at: Evaluator, argument: Any, _seen: tuple[str, ...]) -> bool:
    values, value = (at.evaluate(part) for part in _arguments("Fn::EachMemberEquals", argument, 2))
    _require_lists("Fn::EachMemberEquals", values)
    return all(one == value for one in values)


def _each_member_in(at: Evaluator, argument: Any, _seen: tuple[str, ...]) -> bool:
    values, others = (at.evaluate(part) for part in _arguments("Fn::EachMemberIn", argument, 2))
    _require_lists("Fn::EachMemberIn", values, others)
    return all(one in others for one in values)


_TESTS: dict[str, Callable[[Evaluator, Any, tuple[str, ...]], bool]] = {
    "Condition": _named,
    "Fn::And": _and,
    "Fn::Contains": _contains,
    "Fn::EachMemberEquals": _each_member_equals,
    "Fn::EachMemberIn": _each_member_in,
    "Fn::Equals": _equals,
    "Fn::Not": _not,
    "Fn::Or": _or,
}
_FUNCTIONS: dict[str, Callable[[Evaluator, Any], Any]] = {
    "Fn::Base64": _base64,
    "Fn::FindInMap": _find_in_map,
    "Fn::GetAZs": _zones,
    "Fn::GetAtt": Evaluator.get_att,
    "Fn::If": _if,
    "Fn::ImportValue": _import_value,
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
    "Fn::Sub": Evaluator.sub,
    "Ref": Evaluator.ref,
}
_PSEUDO: dict[str, Callable[[Evaluator], Any]] = {
    "AWS::AccountId": lambda at: at.scope.account,
    "AWS::NoValue": lambda _at: NO_VALUE,
    "AWS::NotificationARNs": lambda _at: [],
    "AWS::Partition": lambda _at: "aws",
    "AWS::Region": lambda at: at.scope.region,
    "AWS::StackId": lambda at: at.stack_id,
    "AWS::StackName": lambda at: at.stack_name,
    "AWS::URLSuffix": lambda _at: "amazonaws.com",
}
