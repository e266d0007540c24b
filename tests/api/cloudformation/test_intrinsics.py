"""Intrinsic functions, and what is refused before anything is done."""

import json
from typing import Any

import pytest

from mailstead.api.cloudformation.intrinsics import Attributes, Evaluator, Unresolved
from mailstead.api.cloudformation.plan import Plan, capabilities_needed, make_plan
from mailstead.api.cloudformation.resources import Registry
from mailstead.wire.template import Template, TemplateError, parse_template
from support.stacks import SCOPE, ToyBox, toy_types

REGISTRY = Registry([toy_types(ToyBox())])
BASE: dict[str, Any] = {
    "Mappings": {"M": {"a": {"b": "c"}}},
    "Conditions": {
        "Yes": {"Fn::Equals": [1, "1"]},
        "No": {"Fn::Not": [{"Condition": "Yes"}]},
        "Loop": {"Condition": "Loop"},
    },
    "Resources": {"A": {"Type": "Test::Toy"}, "B": {"Type": "Test::Toy", "Condition": "No"}},
}


def evaluator(**changes: Any) -> Evaluator:
    template = parse_template(json.dumps(BASE | changes))
    return Evaluator(
        template,
        SCOPE,
        "S",
        "arn:s",
        {"P": "p", "L": ["x", "y"]},
        {"exp": "orted"},
        {"A": Attributes("a-ref", {"Colour": "red"})},
        lambda _type, name: name in ("Colour", "Shout"),
    )


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"Ref": "P"}, "p"),
        ({"Ref": "A"}, "a-ref"),
        ({"Ref": "AWS::Region"}, "us-east-1"),
        ({"Ref": "AWS::AccountId"}, SCOPE.account),
        ({"Ref": "AWS::StackName"}, "S"),
        ({"Ref": "AWS::StackId"}, "arn:s"),
        ({"Ref": "AWS::Partition"}, "aws"),
        ({"Ref": "AWS::URLSuffix"}, "amazonaws.com"),
        ({"Ref": "AWS::NotificationARNs"}, []),
        ({"Fn::GetAtt": ["A", "Colour"]}, "red"),
        ({"Fn::GetAtt": "A.Colour"}, "red"),
        ({"Fn::Sub": "${P}-${!P}-${A}-${A.Colour}-${AWS::Region}"}, "p-${P}-a-ref-red-us-east-1"),
        ({"Fn::Sub": ["${X}${P}", {"X": {"Ref": "A"}}]}, "a-refp"),
        ({"Fn::Join": ["-", ["a", 1, True, {"Ref": "P"}]]}, "a-1-true-p"),
        ({"Fn::Join": [",", {"Ref": "L"}]}, "x,y"),
        ({"Fn::Split": ["|", "a|b"]}, ["a", "b"]),
        ({"Fn::Select": ["1", {"Ref": "L"}]}, "y"),
        ({"Fn::If": ["Yes", 1, 2]}, 1),
        ({"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, None),
        ({"k": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "l": [{"Ref": "AWS::NoValue"}, 1]},
         {"l": [1]}),
        ({"Fn::FindInMap": ["M", "a", "b"]}, "c"),
        ({"Fn::Base64": "hi"}, "aGk="),
        ({"Fn::GetAZs": ""}, ["us-east-1a", "us-east-1b", "us-east-1c"]),
        ({"Fn::ImportValue": "exp"}, "orted"),
    ],
)  # fmt: skip
def test_functions(value: Any, result: Any) -> None:
    found = evaluator().evaluate(value)
    assert found == result or result is None


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ({"Fn::And": [{"Condition": "Yes"}, {"Fn::Equals": ["a", "a"]}]}, True),
        ({"Fn::Or": [{"Condition": "No"}, {"Fn::Equals": ["a", "b"]}]}, False),
        ({"Fn::Contains": [["1", "2"], "2"]}, True),
        ({"Fn::EachMemberEquals": [["1", "1"], "1"]}, True),
        ({"Fn::EachMemberIn": [["1", "2"], ["1"]]}, False),
        ("true", True),
        (False, False),
    ],
)
def test_conditions(value: Any, result: bool) -> None:
    assert evaluator().boolean(value) is result


@pytest.mark.parametrize(
    "value",
    [
        {"Ref": "Nobody"},
        {"Ref": ["A"]},
        {"Fn::GetAtt": ["A", "Size"]},
        {"Fn::GetAtt": ["Nobody", "Colour"]},
        {"Fn::GetAtt": ["A"]},
        {"Fn::Sub": {"a": 1}},
        {"Fn::Sub": "${Nobody}"},
        {"Fn::Sub": "${L}"},
        {"Fn::Join": ["-"]},
        {"Fn::Join": ["-", "text"]},
        {"Fn::Select": [7, {"Ref": "L"}]},
        {"Fn::Select": ["x", {"Ref": "L"}]},
        {"Fn::FindInMap": ["M", "a", "z"]},
        {"Fn::ImportValue": "none"},
        {"Fn::Transform": {"Name": "x"}},
        {"Fn::ForEach::X": []},
        {"Fn::If": ["Maybe", 1, 2]},
        {"Fn::If": ["Loop", 1, 2]},
    ],
)
def test_what_cannot_be_evaluated(value: Any) -> None:
    with pytest.raises(TemplateError):
        evaluator().evaluate(value)


def test_a_condition_must_be_boolean() -> None:
    with pytest.raises(TemplateError):
        evaluator().boolean("maybe")


def test_a_resource_that_is_not_there_yet_is_waited_for() -> None:
    for value in ({"Ref": "B"}, {"Fn::GetAtt": ["B", "Colour"]}):
        with pytest.raises(Unresolved):
            evaluator().evaluate(value)


def plan(given: dict[str, str] | None = None, **changes: Any) -> Plan:
    text = json.dumps({"Resources": {"A": {"Type": "Test::Toy"}}} | changes)
    known = ({}, {"/v": "9"})
    return make_plan(text, given or {}, (SCOPE, "S", "arn:s"), REGISTRY, known)


def resource(**properties: Any) -> dict[str, Any]:
    return {"A": {"Type": "Test::Toy", "Properties": properties}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Resources": {"A": {"Type": "AWS::Lambda::Function"}}}, "[AWS::Lambda::Function]"),
        ({"Resources": resource(Size=1)}, "unsupported property Size of Test::Toy"),
        ({"Resources": resource(Lamp=1)}, "Lamp of Test::Toy is not served"),
        ({"Resources": resource(Colour={"Ref": "Nobody"})}, "[Nobody]"),
        ({"Resources": resource(Colour={"Fn::Sub": "${Nobody.X}"})}, "[Nobody]"),
        ({"Resources": resource(Colour={"Fn::Sub": ["${X}${Nobody}", {"X": 1}]})}, "[Nobody]"),
        ({"Outputs": {"O": {"Value": {"Fn::GetAtt": ["A", "Size"]}}}}, "attribute type Size"),
        ({"Resources": resource(Colour={"Ref": "A"})}, "Circular dependency"),
        ({"Resources": {"A": {"Type": "Test::Toy", "DependsOn": "Z"}}}, "[Z]"),
        ({"Parameters": {"P": {"Type": "String"}}}, "[P] must have values"),
        ({"Transform": "AWS::Serverless-2016-10-31"}, "[AWS::Serverless-2016-10-31]"),
        ({"Rules": {"R": {"Assertions": [{"Assert": {"Fn::Equals": [1, 2]},
                                          "AssertDescription": "no luck"}]}}}, "no luck"),
        ({"Outputs": {"O": {"Value": {"Ref": "Nobody"}}}}, "[Nobody]"),
    ],
)  # fmt: skip
def test_a_plan_refuses_before_anything_is_done(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(TemplateError) as refused:
        plan(**changes)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("declared", "given", "value"),
    [
        ({"Type": "String", "Default": "d"}, None, "d"),
        ({"Type": "Number", "Default": 5}, None, "5"),
        ({"Type": "String", "Default": True}, None, "true"),
        ({"Type": "CommaDelimitedList"}, "a, b", ["a", "b"]),
        ({"Type": "List<Number>"}, "", []),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, "/v", "9"),
        ({"Type": "AWS::SSM::Parameter::Value<List<String>>", "Default": "/v"}, None, ["9"]),
        ({"Type": "String", "AllowedValues": ["x"]}, "y", None),
        ({"Type": "String", "AllowedPattern": "[a-z]+"}, "9", None),
        ({"Type": "String", "AllowedPattern": "(a+)+$"}, "a" * 4000 + "b", None),
        ({"Type": "String", "AllowedPattern": "("}, "9", None),
        ({"Type": "String", "MinLength": "2"}, "x", None),
        ({"Type": "String", "MaxLength": 2}, "xxx", None),
        ({"Type": "Number", "MinValue": 2}, "1", None),
        ({"Type": "Number", "MaxValue": 2}, "3", None),
        ({"Type": "Number"}, "many", None),
        ({"Type": "AWS::SSM::Parameter::Value<String>"}, "/none", None),
    ],
)
def test_parameters(declared: dict[str, Any], given: str | None, value: Any) -> None:
    values = {"P": given} if given is not None else {}
    if value is None:
        with pytest.raises(TemplateError):
            plan(values, Parameters={"P": declared})
        return
    assert plan(values, Parameters={"P": declared}).evaluator.parameters["P"] == value


def test_unknown_parameters_are_named() -> None:
    with pytest.raises(TemplateError, match=r"\[X\] do not exist"):
        plan({"X": "1"})


def test_capabilities() -> None:
    def of(kind: str, **properties: Any) -> Template:
        body = {"Resources": {"A": {"Type": kind, "Properties": properties}}}
        return parse_template(json.dumps(body))

    assert capabilities_needed(of("AWS::IAM::User")) == ("CAPABILITY_IAM",)
    assert capabilities_needed(of("AWS::IAM::User", UserName="x")) == ("CAPABILITY_NAMED_IAM",)
    assert capabilities_needed(of("Test::Toy")) == ()
