"""What commands print and set, without a server."""

from pathlib import Path
from typing import Any

import pytest

from mailstead.cli import environment, printing
from mailstead.cli.server import CommandError, RunningServer

FACTS: dict[str, Any] = {
    "ports": {"api": 4566, "console": 8025, "submission": [1587, 2525]},
    "region": "us-east-1",
    "access_key_id": "AKIA",
    "secret_access_key": "it's",
    "smtp_password": "B",
    "console_url": "http://127.0.0.1:8025/?token=t",
    "token": "t",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_text("CA\n")
    return tmp_path


def test_variables_of_what_is_served(folder: Path) -> None:
    values = environment.exports(FACTS, folder, {"NO_PROXY": "corp.example"})
    assert values["MAILSTEAD_SMTP_PORT"] == "1587"
    assert values["MAILSTEAD_CONSOLE_URL"] == FACTS["console_url"]
    assert values["no_proxy"] == "corp.example,127.0.0.1,localhost,::1"
    lines = environment.shell_lines(FACTS, folder, {"AWS_ENDPOINT_URL_SESV2": "x"})
    assert "unset AWS_ENDPOINT_URL_SESV2" in lines
    assert """export AWS_SECRET_ACCESS_KEY='it'"'"'s'""" in lines


def test_a_role_that_is_not_served_has_no_variables(folder: Path) -> None:
    values = environment.exports({**FACTS, "ports": {"api": 4566}}, folder, {})
    assert not [name for name in values if name.startswith(("MAILSTEAD_SMTP", "MAILSTEAD_CONSOLE"))]


def test_commands_need_the_role_api(folder: Path) -> None:
    server = RunningServer(folder, {**FACTS, "ports": {"dns": 1053}})
    with pytest.raises(CommandError, match="without the role api"):
        server.command("status", verb="show")


def test_tables_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    printing.table([{"name": "a.example\x1b", "verified": True}], ("name", "verified"), "none")
    assert capsys.readouterr().out == "NAME             VERIFIED\na.example\\u001b  yes\n"
    assert printing.plain(["a", False, 1]) == "a, no, 1"
