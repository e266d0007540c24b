"""The openspf.org test suite for RFC 7208."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mailstead.wire.lookup import FAILED, NODATA, NXDOMAIN, Answer, Question, Record, Status
from mailstead.wire.spf import SpfResult, check


@pytest.fixture(scope="module")
def documents(suites: Path) -> list[dict[str, Any]]:
    file = suites / "spf" / "rfc7208-tests.yml"
    if not file.is_file():
        pytest.skip(f"no SPF test suite at {file}")
    return list(yaml.safe_load_all(file.read_text("utf-8")))


def record_of(kind: str, value: Any) -> Record:
    if kind == "TXT":
        strings = value if isinstance(value, list) else [value]
        return "".join(strings).encode("latin-1")
    return (value[0], value[1].lower()) if kind == "MX" else value


def zone_of(data: dict[str, list[Any]]) -> Callable[[Question], Answer]:
    """The suite's zone, whose SPF entries stand for TXT where a name has none of its own."""
    names = {name.lower(): entries for name, entries in data.items()}

    def lookup(question: Question) -> Answer:
        entries = names.get(question.name)
        if entries is None:
            return NXDOMAIN
        pairs = [pair for entry in entries if isinstance(entry, dict) for pair in entry.items()]
        if not any(kind == "TXT" for kind, _ in pairs):
            pairs += [("TXT", value) for kind, value in pairs if kind == "SPF"]
        for kind, value in pairs:
            if kind == "CNAME":
                return lookup(Question(value.lower(), question.type))
        values = [
            value for kind, value in pairs if kind == question.type and value not in ("NONE", [])
        ]
        if values:
            return Answer(Status.OK, tuple(record_of(question.type, value) for value in values))
        return FAILED if "TIMEOUT" in entries else NODATA

    return lookup


def results(documents: list[dict[str, Any]], drive: Callable[..., Any]):
    for document in documents:
        zone = zone_of(document["zonedata"])
        for name, case in document["tests"].items():
            asking = check(
                str(case["host"]),
                helo=case["helo"],
                mail_from=case["mailfrom"],
                receiver="receiver.example.net",
                default_explanation="DEFAULT",
            )
            result: SpfResult = drive(asking, zone)
            yield name, case, result


def test_203_results(documents: list[dict[str, Any]], drive: Callable[..., Any]):
    wrong: list[Any] = []
    seen = 0
    for name, case, result in results(documents, drive):
        seen += 1
        expected = case["result"] if isinstance(case["result"], list) else [case["result"]]
        if result.result not in expected:
            wrong.append((name, expected, result))
    assert wrong == []
    assert seen == 203


def test_22_explanations(documents: list[dict[str, Any]], drive: Callable[..., Any]):
    explained = [
        (name, case["explanation"], result.explanation)
        for name, case, result in results(documents, drive)
        if "explanation" in case
    ]
    assert [found for found in explained if found[1] != found[2]] == []
    assert len(explained) == 22
