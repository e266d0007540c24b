"""``docs/cloudformation.md``: resource types and their properties, from the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mailstead.api.cloudformation.resources import Schema
from mailstead.app.services import registry

HEAD = """# CloudFormation

Made by `tools/generate.py` from the registry of resource types; do not edit it by hand.

A template with a type, a property, a Transform, `Fn::Transform`, `Fn::ForEach` or a nested stack
that is not served fails its change set, by name, before anything is done. `AWS::CDK::Metadata` is
the one type that is nothing. Properties marked *recorded* are kept and shown and change nothing;
those under *refused* exist in CloudFormation and are not served. Properties in **bold** are
required; those marked *replaces* need a new resource when they change.

A stack policy decides which resources an update may modify, replace or delete
(`Update:Modify`, `Update:Replace`, `Update:Delete`, by `LogicalResourceId/NAME` and the condition
`ResourceType`); `StackPolicyDuringUpdateBody` stands in its place for one update, and a policy that
comes with an update counts after it. A resource belongs to one stack: what another stack has is
neither adopted (`ImportExistingResources`) nor made. There are no hooks.

What a stack does is asked of IAM as its role, or as who called where it has none: each change of a
resource by the API's own action for it, and the secrets and parameters that `{{resolve:...}}` names
by `secretsmanager:GetSecretValue` and `ssm:GetParameters`. Conditions see the role or caller
(`aws:PrincipalArn`, its tags); a caller's have `aws:ViaAWSService` and `aws:CalledVia`, and none
has `aws:SourceIp`.

| type | attributes of `Fn::GetAtt` |
|---|---|
"""


def page() -> str:
    """The whole page."""
    schemas = registry().schemas()
    rows = [
        f"| [{schema.type}](#{schema.type.lower().replace(':', '')}) | "
        f"{', '.join(f'`{name}`' for name in schema.attributes)} |\n"
        for schema in schemas
    ]
    return HEAD + "".join(rows) + "".join(_section(schema) for schema in schemas)


def _section(schema: Schema) -> str:
    lines = [f"\n## {schema.type}\n\n"]
    for name, below in sorted(schema.properties.items()):
        if name not in schema.refused:
            lines.append(f"- {_described(schema, name, below)}\n")
    if schema.refused:
        lines.append(f"\nRefused: {', '.join(f'`{name}`' for name in sorted(schema.refused))}.\n")
    return "".join(lines)


def _described(schema: Schema, name: str, below: Mapping[str, Any] | None) -> str:
    text = f"**`{name}`**" if name in schema.required else f"`{name}`"
    marks = [
        word
        for word, names in (
            ("replaces", schema.create_only),
            ("recorded", schema.recorded),
        )
        if name in names
    ]
    if any(secret.split(".")[0] == name for secret in schema.secret):
        marks.append("in part never shown")
    if marks:
        text += f" ({', '.join(marks)})"
    if below:
        text += f": {', '.join(f'`{inner}`' for inner in sorted(below))}"
    return text
