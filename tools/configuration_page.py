"""``docs/configuration.md``: every key with its default and meaning, from the dataclasses."""

from __future__ import annotations

import ast
import inspect
from dataclasses import fields
from typing import get_type_hints

from mailstead import config

HEAD = """# Configuration

Made by `tools/generate.py` from the code; do not edit it by hand.

No file is needed to start. `mailstead serve --config FILE` reads a TOML file; each key is also a
variable with two underscores, which wins over the file: `server.hostname` is
`MAILSTEAD__SERVER__HOSTNAME`. Lists in a variable are separated by commas. An unknown key is an
error that names the nearest one.

| key | default | meaning |
|---|---|---|
"""


def page() -> str:
    """The whole page."""
    rows: list[str] = []
    for section, kind in get_type_hints(config.Config).items():
        words = _words(kind)
        for one in fields(kind):
            default = one.default
            shown = ", ".join(map(str, default)) if isinstance(default, tuple) else str(default)
            meaning = words.get(one.name, kind.__doc__ or "").replace("\n", " ")
            rows.append(f"| `{section}.{one.name}` | {f'`{shown}`' if shown else ''} | {meaning} |")
    return HEAD + "\n".join(rows) + "\n"


def _words(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass."""
    [definition] = ast.parse(inspect.cleandoc(inspect.getsource(kind))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for one, after in zip(definition.body, definition.body[1:], strict=False):
        if (
            isinstance(one, ast.AnnAssign)
            and isinstance(one.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
        ):
            text = inspect.cleandoc(str(after.value.value)).replace("``", "`")
            found[one.target.id] = " ".join(text.split())
    return found
