"""mailauth's RFC 9989 cases."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailstead.wire.dmarc import DmarcResult, check
from mailstead.wire.lookup import NODATA, NXDOMAIN, Answer, Question, Status


@pytest.fixture(scope="module")
def cases(suites: Path) -> list[dict[str, Any]]:
    file = suites / "dmarc" / "rfc9989.json"
    if not file.is_file():
        pytest.skip(f"no DMARC cases at {file}")
    return json.loads(file.read_text())


def as_theirs(result: DmarcResult) -> dict[str, Any]:
    """Our result under the names the cases use; what has no value is left out."""
    record = result.record
    theirs: dict[str, Any] = {
        "status": {"result": result.result},
        "domain": result.organizational_domain,
        "alignment": {
            "spf": {"result": result.spf_aligned and result.organizational_domain},
            "dkim": {"result": result.dkim_aligned and result.organizational_domain},
        },
    }
    if record:
        theirs |= {"policy": result.policy, "rr": record.text}
        theirs["alignment"]["spf"]["strict"] = record.strict_spf
        theirs["alignment"]["dkim"]["strict"] = record.strict_dkim
    return theirs


def holds(value: Any, op: str, args: list[Any]) -> bool:
    match op:
        case "equal":
            return value == args[0]
        case "contain":
            return args[0] in value
        case "property":
            return args[0] in value
        case "ok":
            return bool(value)
        case "true":
            return value is True
        case _:
            raise AssertionError(op)


def run(call: dict[str, Any], queries: list[str], drive: Callable[..., Any]) -> DmarcResult:
    def zone(question: Question) -> Answer:
        if question.name.startswith("_dmarc."):
            queries.append(question.name)
        types = call["zone"].get(question.name)
        if types is None:
            return NXDOMAIN
        if question.type not in types:
            return NODATA
        values = types[question.type]
        records = tuple("".join(v).encode() if isinstance(v, list) else str(v) for v in values)
        return Answer(Status.OK, records)

    given = call["input"]
    asking = check(
        [given["headerFrom"].rpartition("@")[2]],
        spf_domain=next((found["domain"] for found in given["spfDomains"]), None),
        dkim_domains=[found["domain"] for found in given["dkimDomains"]],
    )
    return drive(asking, zone)


def test_29_of_29(cases: list[dict[str, Any]], drive: Callable[..., Any]):
    wrong: list[Any] = []
    for case in cases:
        queries: list[str] = []
        seen: dict[str, Any] = {
            call["id"]: as_theirs(run(call, queries, drive)) for call in case["calls"]
        }
        seen["dmarcQueries"] = queries
        for expect in case["expects"]:
            value: Any = seen
            for step in expect["path"]:
                value = value[step]
            if holds(value, expect["op"], expect.get("args", [])) == expect["neg"]:
                wrong.append((case["name"], expect, value))
    assert wrong == []
    assert len(cases) == 29
