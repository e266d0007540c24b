"""Writes ``src/mailstead/wire/models.json.gz`` from botocore's service models.

    python tools/models.py            write the file, say what changed
    python tools/models.py --check    fail if the file differs from a fresh one

The file is the one generated third-party file of this repository. botocore
(Apache-2.0) is a development dependency; at run time only this file is read.
Documentation, examples, endpoint rules and everything else that neither
decodes nor encodes nor checks a request is left out; services that are served
in part carry only the operations a client of this product needs.

Form, after gunzip: one JSON text a line. The first is the index (botocore's
version; for each service its metadata and its operations' names); then one
line a service, in the order of the index, with ``operations`` and ``shapes``
under botocore's own key names, so that a reader need not learn new ones.
Older bindings are not in botocore any more: ``mailstead.wire.aws_bindings``.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import botocore
from botocore.loaders import Loader

TARGET = Path(__file__).resolve().parent.parent / "src" / "mailstead" / "wire" / "models.json.gz"

WHOLE = "whole"
SERVICES: dict[str, str | frozenset[str]] = {
    "ses": WHOLE,
    "sesv2": WHOLE,
    "iam": WHOLE,
    "sts": WHOLE,
    "route53": WHOLE,
    "cloudformation": WHOLE,
    "s3": WHOLE,
    "ssm": frozenset(
        {
            "AddTagsToResource", "DeleteParameter", "DeleteParameters", "DescribeParameters",
            "GetParameter", "GetParameterHistory", "GetParameters", "GetParametersByPath",
            "LabelParameterVersion", "ListTagsForResource", "PutParameter",
            "RemoveTagsFromResource", "UnlabelParameterVersion",
        }
    ),
    "secretsmanager": WHOLE,
    "sns": WHOLE,
    "sqs": WHOLE,
}  # fmt: skip

METADATA = (
    "apiVersion", "awsQueryCompatible", "jsonVersion", "protocol", "serviceId", "signingName",
    "endpointPrefix", "targetPrefix", "xmlNamespace",
)  # fmt: skip
MEMBER = (
    "shape", "location", "locationName", "flattened", "streaming", "xmlAttribute", "xmlNamespace",
    "timestampFormat", "jsonvalue",
)  # fmt: skip
SHAPE = (
    "type", "required", "enum", "min", "max", "pattern", "payload", "flattened", "locationName",
    "xmlNamespace", "timestampFormat", "error", "exception", "eventstream",
)  # fmt: skip


def kept(source: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    """The named entries of a dictionary that are there and say something."""
    return {key: source[key] for key in keys if source.get(key) not in (None, False)}


def trimmed_shape(shape: dict[str, Any]) -> dict[str, Any]:
    """A shape without words: its type, its parts, its constraints."""
    small = kept(shape, SHAPE)
    if "members" in shape:
        small["members"] = {name: kept(part, MEMBER) for name, part in shape["members"].items()}
    for part in ("member", "key", "value"):
        if part in shape:
            small[part] = kept(shape[part], MEMBER)
    return small


def trimmed_operation(name: str, operation: dict[str, Any]) -> dict[str, Any]:
    """An operation: where it is bound, and the names of its shapes."""
    small: dict[str, Any] = {
        "http": kept(operation["http"], ("method", "requestUri", "responseCode"))
    }
    for side in ("input", "output"):
        if side in operation:
            small[side] = operation[side]["shape"]
    wrapper = operation.get("output", {}).get("resultWrapper", f"{name}Result")
    if wrapper != f"{name}Result":
        raise SystemExit(f"{name}: result wrapper {wrapper}: the codec derives it from the name")
    if "errors" in operation:
        small["errors"] = [error["shape"] for error in operation["errors"]]
    if operation.get("authtype") == "none":
        small["authtype"] = "none"
    return small


def reached(shapes: dict[str, Any], operations: dict[str, Any]) -> dict[str, Any]:
    """The shapes that the operations need, in the model's order."""
    waiting = [operation[side] for operation in operations.values() for side in ("input", "output")
               if side in operation]  # fmt: skip
    for operation in operations.values():
        waiting += operation.get("errors", [])
    waiting += [name for name, shape in shapes.items() if shape.get("exception")]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        shape = shapes[name]
        waiting += [part["shape"] for part in shape.get("members", {}).values()]
        waiting += [shape[part]["shape"] for part in ("member", "key", "value") if part in shape]
    return {name: trimmed_shape(shape) for name, shape in shapes.items() if name in found}


def compiled() -> bytes:
    """The file's content, the same on every run with one version of botocore."""
    loader = Loader()
    index: dict[str, Any] = {"botocore": botocore.__version__, "services": {}}
    lines: list[str] = []
    for service, wanted in SERVICES.items():
        model = loader.load_service_model(service, "service-2")
        operations = {
            name: trimmed_operation(name, operation)
            for name, operation in sorted(model["operations"].items())
            if wanted is WHOLE or name in wanted
        }
        if wanted is not WHOLE and set(operations) != set(wanted):
            raise SystemExit(f"{service}: no such operation: {set(wanted) - set(operations)}")
        index["services"][service] = {
            "metadata": {key: value for key, value in model["metadata"].items() if key in METADATA},
            "operations": list(operations),
        }
        lines.append(
            text({"operations": operations, "shapes": reached(model["shapes"], operations)})
        )
    whole = "\n".join([text(index), *lines]).encode()
    return gzip.compress(whole, 9, mtime=0)


def text(value: Any) -> str:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True)


def bindings(content: bytes) -> dict[str, str]:
    """Each operation with its method and path, to show what a new botocore changes."""
    index, *lines = (json.loads(line) for line in gzip.decompress(content).split(b"\n"))
    return {
        f"{service}.{name}": f"{operation['http']['method']} {operation['http']['requestUri']}"
        for service, line in zip(index["services"], lines, strict=True)
        for name, operation in line["operations"].items()
    }


def main(arguments: list[str]) -> int:
    """Write or check the file; 1 when it is stale."""
    fresh = compiled()
    present = TARGET.read_bytes() if TARGET.exists() else b""
    # zlib builds differ in the bytes they make; what they hold is what counts.
    same = bool(present) and gzip.decompress(present) == gzip.decompress(fresh)
    old, new = (bindings(content) if content else {} for content in (present, fresh))
    for name in sorted(old.keys() | new.keys()):
        if old.get(name) != new.get(name):
            print(f"{name}: {old.get(name, 'absent')} -> {new.get(name, 'absent')}")
    if arguments == ["--check"]:
        print(f"{TARGET.name}: {'up to date' if same else 'stale: run tools/models.py'}")
        return 0 if same else 1
    if not same:
        TARGET.write_bytes(fresh)
    print(f"{TARGET.name}: {len(new)} operations, {len(fresh)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
