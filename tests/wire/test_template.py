"""Templates, JSON and YAML, as plain values."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.template import (
    DEEPEST,
    LARGEST,
    TemplateError,
    parse_body,
    parse_template,
)

ONE = {"Resources": {"A": {"Type": "X::Y::Z"}}}


def test_short_forms_become_long_ones() -> None:
    body = parse_body(
        """
A: !Ref b
B: !GetAtt c.d.e
C: !GetAtt [c, d]
D: !Sub 'x${y}'
E: !If [f, !Ref g, {Ref: 'AWS::NoValue'}]
F: !Join ['', [a, !Condition h]]
G: !FindInMap
  - m
  - k
"""
    )
    assert body == {
        "A": {"Ref": "b"},
        "B": {"Fn::GetAtt": ["c", "d.e"]},
        "C": {"Fn::GetAtt": ["c", "d"]},
        "D": {"Fn::Sub": "x${y}"},
        "E": {"Fn::If": ["f", {"Ref": "g"}, {"Ref": "AWS::NoValue"}]},
        "F": {"Fn::Join": ["", ["a", {"Condition": "h"}]]},
        "G": {"Fn::FindInMap": ["m", "k"]},
    }


def test_yaml_means_what_json_means() -> None:
    text = "A: [1, -2, 1.5, true, False, null, ~, '', 010, 0x1f, yes, no, on, 2024-01-01, 1:30]"
    assert parse_body(text)["A"] == [
        1, -2, 1.5, True, False, None, None, "", "010", "0x1f", "yes", "no", "on", "2024-01-01",
        "1:30",
    ]  # fmt: skip
    assert parse_body("1: a\ntrue: b") == {"1": "a", "true": "b"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: &x 1\nb: *x", "anchors are not allowed (line 1"),
        ("a: [*x]", "aliases are not allowed"),
        ("<<: {a: 1}", "merge keys"),
        ("a: 1\na: 2", 'duplicated key "a" (line 2'),
        ('{"a": 1, "a": 2}', 'duplicated key "a"'),
        ("a: [", "not well-formed"),
        ('{"a": ', "JSON not well-formed. (line 1"),
        ("- 1", "unsupported structure"),
        ("7", "unsupported structure"),
        ("a: " + "[" * (DEEPEST + 5) + "]" * (DEEPEST + 5), "too deeply"),
        ('{"a": ' + "[" * 100_000, "too deeply"),
        ("a: \x00", "not well-formed"),
        ("x" * (LARGEST + 1), "may not exceed"),
        ("a: !!python/object:os.system {}", "not well-formed"),
    ],
)
def test_what_is_refused(text: str, words: str) -> None:
    with pytest.raises(TemplateError) as refused:
        parse_body(text)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Resources": {}}, "At least one Resources member"),
        ({"Resources": []}, "Resources must be an object"),
        ({"Resources": {"A": 1}}, "must be an object: A"),
        ({"Resources": {"A-b": {"Type": "T"}}}, "A-b is non alphanumeric"),
        ({"Resources": {"A": {}}}, "must contain a Type member"),
        ({"Resources": {"A": {"Type": "T", "Propertys": {}}}}, "Propertys"),
        ({"Resources": {"A": {"Type": "T", "Properties": []}}}, "Properties of A"),
        ({"Resources": {"A": {"Type": "T", "DependsOn": {}}}}, "a list of names"),
        ({"Nonsense": {}}, "Nonsense"),
    ],
)
def test_templates_that_are_none(change: dict[str, Any], words: str) -> None:
    with pytest.raises(TemplateError) as refused:
        parse_template(json.dumps(ONE | change))
    assert words in str(refused.value)


def test_a_template_is_taken_apart() -> None:
    template = parse_template(
        json.dumps(
            {
                "Description": "d",
                "Transform": ["T"],
                "Parameters": {"P": {"Type": "String"}},
                "Resources": {
                    "A": {
                        "Type": "X",
                        "DependsOn": "B",
                        "Condition": "C",
                        "DeletionPolicy": "Retain",
                        "Properties": {"q": 1},
                    },
                    "B": {"Type": "Y", "DependsOn": ["A"]},
                },
            }
        )
    )
    one = template.resources["A"]
    assert (one.type, one.depends_on, one.condition) == ("X", ("B",), "C")
    assert (one.deletion_policy, one.update_replace_policy) == ("Retain", "Delete")
    assert one.properties == {"q": 1}
    assert template.transforms == ("T",)
    assert template.description == "d"


@given(st.text(max_size=200))
def test_any_text_is_a_template_or_an_error(text: str) -> None:
    try:
        parse_body(text)
    except TemplateError:
        return


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(st.dictionaries(st.text(max_size=5), _VALUES, max_size=3))
def test_json_comes_back_whole(body: dict[str, Any]) -> None:
    assert parse_body(json.dumps(body)) == body
