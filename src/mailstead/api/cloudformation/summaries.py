"""What a template says of itself: GetTemplateSummary and ValidateTemplate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailstead.api.cloudformation.plan import capabilities_needed
from mailstead.mail.errors import Invalid
from mailstead.wire.template import TemplateError, parse_template


def summary_of(text: str) -> dict[str, Any]:
    """GetTemplateSummary's and ValidateTemplate's reading of a template."""
    try:
        template = parse_template(text)
    except TemplateError as error:
        raise Invalid(str(error), resource="template", reason="template") from None
    return {
        "Description": template.description or None,
        "Parameters": [
            _declared_parameter(name, declared) for name, declared in template.parameters.items()
        ],
        "Capabilities": list(capabilities_needed(template)) or None,
        "ResourceTypes": sorted({one.type for one in template.resources.values()}),
        "DeclaredTransforms": list(template.transforms) or None,
    }


def _declared_parameter(name: str, declared: Mapping[str, Any]) -> dict[str, Any]:
    default = declared.get("Default")
    return {
        "ParameterKey": name,
        "DefaultValue": None if default is None else str(default),
        "ParameterType": str(declared.get("Type", "String")),
        "NoEcho": str(declared.get("NoEcho", "")).lower() == "true",
        "Description": str(declared.get("Description", "")),
    }
