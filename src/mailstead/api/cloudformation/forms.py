"""The forms that arguments of functions may have, looked at once, before anything reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from mailstead.wire.template import TemplateError


def _is_text(argument: Any) -> bool:
    return isinstance(argument, str)


def _is_attribute(argument: Any) -> bool:
    """``Logical.Attribute``, or both in a list; the attribute may be a function."""
    if isinstance(argument, str):
        return "." in argument
    return _is_list(argument) and len(argument) == 2 and isinstance(argument[0], str)


def _is_choice(argument: Any) -> bool:
    return _is_list(argument) and len(argument) == 3 and isinstance(argument[0], str)


def _is_substitution(argument: Any) -> bool:
    if not _is_list(argument):
        return isinstance(argument, str)
    return len(argument) == 2 and isinstance(argument[0], str) and isinstance(argument[1], dict)


def _is_list(argument: Any) -> bool:
    return isinstance(argument, list)


_FORMS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Fn::GetAtt": (_is_attribute, "a resource and one of its attributes"),
    "Fn::If": (_is_choice, "a condition's name and two values"),
    "Fn::Sub": (_is_substitution, "a text, or a text and an object of values"),
    "Ref": (_is_text, "a name"),
}


def check_forms(whole: Any) -> None:
    """TemplateError for the first function of a template that has another form."""
    left = [whole]
    while left:
        value = left.pop()
        if isinstance(value, list):
            left += cast("list[Any]", value)
        if not isinstance(value, dict):
            continue
        members = cast("dict[str, Any]", value)
        for name, argument in members.items():
            left.append(argument)
            fits, words = _FORMS.get(name, (None, ""))
            if fits is not None and not fits(argument):
                raise TemplateError(f"Template error: every {name} object requires {words}")
