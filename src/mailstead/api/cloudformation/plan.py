"""What a template means for a stack: which resources live, in which order, checked whole.

Everything that can be refused before anything is done is refused here: unknown
types and properties, missing parameters, cycles, failing rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from mailstead.api.cloudformation import graph
from mailstead.api.cloudformation.forms import check_forms
from mailstead.api.cloudformation.intrinsics import Attributes, Evaluator
from mailstead.api.cloudformation.resources import Registry, Schema
from mailstead.api.cloudformation.stack_tags import with_stack_tags
from mailstead.mail.model import Scope
from mailstead.wire.patterns import matches_whole
from mailstead.wire.template import Template, TemplateError, parse_template

INERT = "AWS::CDK::Metadata"
"""The one type that is nothing: CDK puts it into every stack."""
IAM_TYPES = frozenset(
    {
        "AWS::IAM::AccessKey",
        "AWS::IAM::Group",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::IAM::User",
    }
)
_NAMED = {
    "AWS::IAM::Group": "GroupName",
    "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
    "AWS::IAM::Role": "RoleName",
    "AWS::IAM::User": "UserName",
}
_SSM = "AWS::SSM::Parameter::Value<"


@dataclass(frozen=True, slots=True)
class Plan:
    """A template for one stack."""

    template: Template
    evaluator: Evaluator
    alive: frozenset[str]
    """Resources whose condition holds."""
    needs: Mapping[str, frozenset[str]]

    def with_resources(self, known: Mapping[str, Attributes]) -> Evaluator:
        """The evaluator that knows the resources made so far."""
        return replace(self.evaluator, resources=known)


def make_plan(
    text: str,
    given: Mapping[str, str],
    identity: tuple[Scope, str, str],
    registry: Registry,
    known: tuple[Mapping[str, str], Mapping[str, str]],
    tags: Mapping[str, str] | None = None,
) -> Plan:
    """Plan a template; ``identity`` is (scope, stack name, stack id), ``tags`` the stack's.

    ``known`` holds the exports by name, and SSM parameters by name. TemplateError
    says what is wrong.
    """
    exports, ssm = known
    template = with_stack_tags(parse_template(text), registry, tags or {})
    if template.transforms:
        raise TemplateError(f"Transforms are not served: [{', '.join(template.transforms)}]")
    check_forms([one.properties for one in template.resources.values()])
    for section in (template.conditions, template.outputs, template.rules):
        check_forms(list(section.values()))
    parameters = parameter_values(template, given, ssm)
    scope, stack_name, stack_id = identity
    evaluator = Evaluator(
        template,
        scope,
        stack_name,
        stack_id,
        parameters,
        exports,
        known_attributes=lambda kind, name: _has_attribute(registry, kind, name),
    )
    _check_rules(template, evaluator)
    _check_types(template, registry, evaluator)
    alive = frozenset(
        name
        for name, declared in template.resources.items()
        if not declared.condition or evaluator.condition(declared.condition)
    )
    plan = Plan(template, evaluator, alive, graph.needs(template, alive))
    graph.order(plan.needs)
    _check_references(plan)
    return plan


def parameter_values(
    template: Template, given: Mapping[str, str], ssm: Mapping[str, str]
) -> dict[str, Any]:
    """Values of all parameters: given, else the default. TemplateError for missing and unknown."""
    unknown = sorted(set(given) - set(template.parameters))
    if unknown:
        raise TemplateError(f"Parameters: [{', '.join(unknown)}] do not exist in the template")
    missing = [
        name
        for name, declared in template.parameters.items()
        if name not in given and "Default" not in declared
    ]
    if missing:
        raise TemplateError(f"Parameters: [{', '.join(missing)}] must have values")
    return {
        name: _parameter(name, declared, given.get(name, declared.get("Default")), ssm)
        for name, declared in template.parameters.items()
    }


def stored_parameters(template: Template, given: Mapping[str, str]) -> list[str]:
    """The names of parameters of SSM whose values a template's parameters take."""
    return [
        str(given.get(name, declared.get("Default", "")))
        for name, declared in template.parameters.items()
        if str(declared.get("Type", "")).startswith(_SSM)
    ]


def _parameter(name: str, declared: Mapping[str, Any], value: Any, ssm: Mapping[str, str]) -> Any:
    kind = str(declared.get("Type", "String"))
    text = ",".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value)
    if isinstance(value, bool):
        text = "true" if value else "false"
    if kind.startswith(_SSM):
        if text not in ssm:
            raise TemplateError(
                f"Unable to fetch parameters [{text}] from parameter store for this account."
            )
        text = ssm[text]
        kind = kind.removeprefix(_SSM).removesuffix(">")
    listed = declared.get("AllowedValues") or []
    if not isinstance(listed, list):
        raise TemplateError(f"Parameter '{name}': AllowedValues must be a list.")
    allowed = [str(one) for one in cast("list[Any]", listed)]
    if allowed and text not in allowed:
        raise TemplateError(f"Parameter '{name}' must be one of AllowedValues")
    _check_constraints(name, declared, text, kind)
    if kind == "CommaDelimitedList" or kind.startswith("List<"):
        return [part.strip() for part in text.split(",")] if text else []
    return text


def _fits(name: str, pattern: str, text: str) -> bool:
    try:
        return matches_whole(pattern, text)
    except ValueError as error:
        raise TemplateError(f"Parameter '{name}' AllowedPattern: {error}") from None


def _check_constraints(name: str, declared: Mapping[str, Any], text: str, kind: str) -> None:
    pattern = declared.get("AllowedPattern")
    if pattern is not None and not _fits(name, str(pattern), text):
        raise TemplateError(
            f"Parameter {name} failed to satisfy constraint: "
            + str(declared.get("ConstraintDescription") or f"must match pattern {pattern}")
        )
    if len(text) < _bound(name, declared, "MinLength", 0):
        raise TemplateError(
            f"Parameter '{name}' must contain at least {declared['MinLength']} characters"
        )
    if len(text) > _bound(name, declared, "MaxLength", math.inf):
        raise TemplateError(
            f"Parameter '{name}' must contain at most {declared['MaxLength']} characters"
        )
    if kind != "Number":
        return
    try:
        number = float(text)
    except ValueError:
        raise TemplateError(f"Parameter '{name}' must be a number.") from None
    if not number >= _bound(name, declared, "MinValue", -math.inf):
        raise TemplateError(
            f"Parameter '{name}' must be a number not less than {declared.get('MinValue')}"
        )
    if number > _bound(name, declared, "MaxValue", math.inf):
        raise TemplateError(
            f"Parameter '{name}' must be a number not greater than {declared['MaxValue']}"
        )


def _bound(name: str, declared: Mapping[str, Any], which: str, default: float) -> float:
    try:
        return float(declared.get(which, default))
    except (TypeError, ValueError):
        raise TemplateError(f"Parameter '{name}': {which} must be a number.") from None


def _has_attribute(registry: Registry, kind: str, name: str) -> bool:
    found = registry.get(kind)
    return found is not None and name in found.schema.attributes


def _check_rules(template: Template, evaluator: Evaluator) -> None:
    for rule in template.rules.values():
        if "RuleCondition" in rule and not evaluator.boolean(rule["RuleCondition"]):
            continue
        assertions = rule.get("Assertions", [])
        if not _are_assertions(assertions):
            raise TemplateError("Template format error: Assertions are objects with an Assert")
        for assertion in assertions:
            if not evaluator.boolean(assertion["Assert"]):
                text = assertion.get("AssertDescription", "a rule's assertion failed")
                raise TemplateError(f"Template error: {text}")


def _are_assertions(given: Any) -> bool:
    return isinstance(given, list) and all(
        isinstance(one, dict) and "Assert" in one for one in cast("list[Any]", given)
    )


def _check_types(template: Template, registry: Registry, evaluator: Evaluator) -> None:
    kinds = {declared.type for declared in template.resources.values()}
    unknown = sorted(kind for kind in kinds if kind != INERT and registry.get(kind) is None)
    if unknown:
        raise TemplateError(
            f"Template format error: Unrecognized resource types: [{', '.join(unknown)}]"
        )
    for name, declared in template.resources.items():
        found = registry.get(declared.type)
        if found is not None:
            given = {
                key: value
                for key, value in declared.properties.items()
                if not evaluator.is_absent(value)
            }
            _check_properties(name, found.schema, given)


def _check_properties(name: str, schema: Schema, given: Mapping[str, Any]) -> None:
    for refused in schema.refused:
        if refused in given:
            raise TemplateError(
                f"The property {refused} of {schema.type} is not served (resource {name})"
            )
    _check_names(schema.type, schema.properties, given, "")
    missing = [one for one in schema.required if one not in given]
    if missing:
        raise TemplateError(
            f"Properties validation failed for resource {name} with message: "
            + " ".join(f"#: required key [{one}] not found" for one in missing)
        )


def _check_names(kind: str, allowed: Mapping[str, Any], given: Any, path: str) -> None:
    if not allowed:
        return
    if isinstance(given, list):
        for one in cast("list[Any]", given):
            _check_names(kind, allowed, one, path)
        return
    if not isinstance(given, dict):
        return
    values = cast("dict[str, Any]", given)
    if len(values) == 1 and next(iter(values)).startswith(("Fn::", "Ref")):
        return
    for name, value in values.items():
        if name not in allowed:
            raise TemplateError(f"Encountered unsupported property {path}{name} of {kind}")
        if allowed[name]:
            _check_names(kind, allowed[name], value, f"{path}{name}.")


def _check_references(plan: Plan) -> None:
    """Every name that a living resource or an output uses is there, without evaluating it."""
    for name in plan.alive:
        plan.evaluator.check(plan.template.resources[name].properties, plan.alive)
    for output in plan.template.outputs.values():
        condition = output.get("Condition")
        if not condition or plan.evaluator.condition(condition):
            plan.evaluator.check([output.get("Value"), output.get("Export")], plan.alive)


def capabilities_needed(template: Template) -> tuple[str, ...]:
    """Which of CAPABILITY_IAM and CAPABILITY_NAMED_IAM a template asks for."""
    needed: set[str] = set()
    for declared in template.resources.values():
        if declared.type in IAM_TYPES:
            named = _NAMED.get(declared.type, "") in declared.properties
            needed.add("CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM")
    return ("CAPABILITY_NAMED_IAM",) if "CAPABILITY_NAMED_IAM" in needed else tuple(sorted(needed))
