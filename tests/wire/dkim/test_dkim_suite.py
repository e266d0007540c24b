"""OpenDKIM's vectors, as far as their bytes and expectations agree."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mailstead.wire.dkim_verify import verify
from mailstead.wire.lookup import NXDOMAIN, Answer, Question, Status

NOW = 1_700_000_000
# They test options of the library: the bytes contradict the expectation.
OPTIONS_OF_OPENDKIM = {"t-test45", "t-test46", "t-test102"}


@pytest.fixture(scope="module")
def vectors(suites: Path) -> dict[str, Any]:
    file = suites / "dkim" / "opendkim-vectors.json"
    if not file.is_file():
        pytest.skip(f"no DKIM vectors at {file}")
    found = json.loads(file.read_text())
    found["vectors"] = [v for v in found["vectors"] if v["id"] not in OPTIONS_OF_OPENDKIM]
    return found


def message_of(vector: dict[str, Any]) -> bytes:
    text = "\r\n".join([*vector["headers"], "", vector["body"]])
    return text.encode("utf-8")


def verdicts(vectors: dict[str, Any], drive: Callable[..., Any], *, allow_sha1: bool):
    def zone(question: Question) -> Answer:
        text = vectors["zone"].get(question.name)
        return Answer(Status.OK, (text.encode(),)) if text else NXDOMAIN

    for vector in vectors["vectors"]:
        yield vector, drive(verify(message_of(vector), NOW, allow_sha1=allow_sha1), zone)


def test_69_of_69(vectors: dict[str, Any], drive: Callable[..., Any]):
    wrong = [
        (vector["id"], vector["expect"], results)
        for vector, results in verdicts(vectors, drive, allow_sha1=True)
        if any(result.verified for result in results) != (vector["expect"] == "DKIM_STAT_OK")
    ]
    assert wrong == []
    assert len(vectors["vectors"]) == 69


def test_a_partial_body_is_no_pass(vectors: dict[str, Any], drive: Callable[..., Any]):
    partial = [
        result
        for _, results in verdicts(vectors, drive, allow_sha1=True)
        for result in results
        if result.result == "policy"
    ]
    assert len(partial) == 9
    assert all(result.verified and result.testing for result in partial)


def test_sha1_never_passes(vectors: dict[str, Any], drive: Callable[..., Any]):
    old = [
        results
        for vector, results in verdicts(vectors, drive, allow_sha1=False)
        if "rsa-sha1" in vector["headers"][0]
    ]
    assert len(old) >= 40
    assert {result.result for results in old for result in results} == {"permerror"}
