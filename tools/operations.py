"""Writes ``docs/operations.md``: which AWS operations are served, from the handlers themselves.

    python tools/operations.py            write the page
    python tools/operations.py --check    fail if the page differs from a fresh one

The handlers come from the modules that the product registers, the operations
from the service models, so the page cannot say more than is true.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from mailstead.api.operation import Operations
from mailstead.app.doors import HANDLERS
from mailstead.wire.aws_bindings import OLDER
from mailstead.wire.aws_model import Models, load_models

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "operations.md"
MODELS = ROOT / "src" / "mailstead" / "wire" / "models.json.gz"

TITLES = {
    "ses": "Amazon SES, version 1 (`ses`)",
    "sesv2": "Amazon SES, version 2 (`sesv2`)",
    "iam": "IAM (`iam`)",
    "sts": "STS (`sts`)",
    "route53": "Route 53 (`route53`)",
    "cloudformation": "CloudFormation (`cloudformation`)",
    "s3": "S3 (`s3`)",
    "ssm": "Systems Manager, parameters (`ssm`)",
    "secretsmanager": "Secrets Manager (`secretsmanager`)",
    "sns": "SNS (`sns`)",
    "sqs": "SQS (`sqs`)",
}

HEAD = """# AWS operations

Made by `tools/operations.py` from the table of handlers and the service models;
do not edit it by hand.

An operation that is not served answers with HTTP 501 and the code
`NotImplemented` (XML) or `NotImplementedException` (JSON). The models are those
of botocore {version}.

| service | served | of |
|---|---|---|
"""


def page(operations: Operations, models: Models) -> str:
    """The whole page."""
    parts = [HEAD.format(version=models.version)]
    for name, service in models.services.items():
        served = operations.served(name)
        parts.append(f"| {TITLES[name]} | {len(served)} | {len(service.operation_names)} |\n")
    for name, service in models.services.items():
        served = operations.served(name)
        parts.append(f"\n## {TITLES[name]}\n")
        parts += section("Served", served)
        parts += section("Not yet", service.operation_names - served)
        older = [old for old in OLDER.get(name, ()) if old.operation in served]
        if older:
            parts.append("\nOlder clients' bindings, served as well:\n\n")
            parts += [f"- {old.operation}: `{old.method} {old.uri}`\n" for old in older]
    return "".join(parts)


def section(title: str, names: Iterable[str]) -> list[str]:
    """A list of operations under a word, or nothing."""
    listed = ", ".join(sorted(names))
    return [f"\n{title}: {listed}.\n"] if listed else []


def fresh() -> str:
    """The page as the code is now."""
    models = load_models(MODELS.read_bytes())
    return page(Operations(HANDLERS, models), models)


def main(arguments: list[str]) -> int:
    """Write or check the page; 1 when it is stale."""
    models = load_models(MODELS.read_bytes())
    fresh = page(Operations(HANDLERS, models), models)
    if arguments == ["--check"]:
        same = PAGE.exists() and PAGE.read_text() == fresh
        print(f"{PAGE.name}: {'up to date' if same else 'stale: run tools/operations.py'}")
        return 0 if same else 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(fresh)
    print(f"{PAGE.name}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
