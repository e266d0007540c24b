"""Templates that mean harm: values that double, wrong forms of everything; refused in time."""

import json
import time
from typing import Any

import pytest

from mailstead.api.cloudformation.plan import make_plan
from mailstead.api.cloudformation.resources import Registry
from mailstead.mail.errors import DomainError
from mailstead.wire.template import TemplateError
from support.stacks import SCOPE, StackWorld, ToyBox, toy_types

REGISTRY = Registry([toy_types(ToyBox())])


def template(value: Any, **more: Any) -> str:
    toy = {"Type": "Test::Toy", "Properties": {"Name": "a", "Colour": value}}
    return json.dumps({"Resources": {"A": toy}, **more})


def nested(levels: int, wrap: Any) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = wrap(value)
    return value


BOMBS = {
    "base64": nested(60, lambda inner: {"Fn::Base64": inner}),
    "sub": nested(60, lambda inner: {"Fn::Sub": ["${a}${a}", {"a": inner}]}),
    "join": {"Fn::Join": ["x" * 400_000, ["a"] * 1000]},
    "split": {"Fn::Join": ["", {"Fn::Split": ["a", "a" * 500_000]}]},
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_values_that_grow_without_end(at: StackWorld, bomb: Any) -> None:
    begun = time.process_time()
    stack = at.create(template(bomb))
    assert time.process_time() - begun < 10
    assert stack.status == "ROLLBACK_COMPLETE"
    reasons = [event.reason for event in at.events(stack) if event.status == "CREATE_FAILED"]
    assert reasons[0].startswith("Template error: the ")


def test_conditions_that_grow_without_end() -> None:
    conditions: dict[str, Any] = {"C0": {"Fn::Equals": ["a", "a"]}}
    for number in range(1, 40):
        conditions[f"C{number}"] = {"Fn::And": [{"Condition": f"C{number - 1}"}] * 3}
    toy = {"Type": "Test::Toy", "Condition": "C39"}
    text = json.dumps({"Conditions": conditions, "Resources": {"A": toy}})
    with pytest.raises(TemplateError, match="too many steps"):
        plan(text)


def plan(text: str, **given: str) -> Any:
    return make_plan(text, given, (SCOPE, "S", "arn:s"), REGISTRY, ({}, {}))


@pytest.mark.parametrize(
    "text",
    [
        template({"Fn::If": [{"a": 1}, "x", "y"]}),
        template({"Fn::If": "x"}),
        template({"Fn::Sub": ["${a}", 5]}),
        template({"Fn::Sub": [5, {}]}),
        template({"Fn::GetAtt": 5}),
        template({"Fn::GetAtt": "A"}),
        template({"Fn::GetAtt": [{"Fn::Split": [",", "a"]}, "b"]}),
        template({"Ref": ["A"]}),
        template({"Ref": {"a": 1}, "x": 1}),
        template("x", Rules={"R": {"Assertions": [5]}}),
        template("x", Rules={"R": {"Assertions": 5}}),
        template("x", Rules={"R": {"Assertions": [{"Assert": {"Fn::Contains": [5, "a"]}}]}}),
        template("x", Rules={"R": {"Assertions": [{"Assert": {"Condition": {"a": 1}}}]}}),
        template("x", Parameters={"P": {"Type": "Number", "MinValue": "x", "Default": "5"}}),
        template("x", Parameters={"P": {"Type": "Number", "MinValue": 1, "Default": "nan"}}),
        template("x", Parameters={"P": {"Type": "String", "MinLength": "x", "Default": "5"}}),
        template("x", Parameters={"P": {"Type": "String", "AllowedValues": 5, "Default": "5"}}),
    ],
)
def test_wrong_forms_fail_the_template(text: str) -> None:
    with pytest.raises(TemplateError):
        plan(text)


@pytest.mark.parametrize(
    "value",
    [
        {"Fn::Split": ["", "a"]},
        {"Fn::FindInMap": ["M", ["a"], "b"]},
        {"Fn::Join": ["", [{"a": 1}]]},
        {"Fn::Select": ["x", 5]},
        {"Fn::ImportValue": [1]},
        ["x"],
        {"a": "x"},
    ],
)
def test_wrong_values_fail_the_resource_and_say_why(at: StackWorld, value: Any) -> None:
    try:
        stack = at.create(template(value))
    except DomainError:
        return
    assert stack.status == "ROLLBACK_COMPLETE"
    [reason] = [event.reason for event in at.events(stack) if event.status == "CREATE_FAILED"]
    assert reason != "Internal Failure"
    assert at.box.toys == {}
