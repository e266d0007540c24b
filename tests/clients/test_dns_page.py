"""The blocks of the guide's page on DNS, in order."""

import shutil
import sys
from pathlib import Path

import pytest

from support import guide
from support.running import ROOT_KEY, Start, clean_environment, place_launcher

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_the_walk_of_the_guide(start: Start, tmp_path: Path) -> None:
    if shutil.which("dig") is None:
        pytest.skip("no dig: the Debian package bind9-dnsutils has it")
    data = tmp_path / "data" / "mailstead"
    server = start("--data", str(data), "--root-key", ":".join(ROOT_KEY))
    place_launcher(tmp_path)
    environment = clean_environment() | {"XDG_DATA_HOME": str(data.parent)}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    host, changed, ds, signed = (
        guide.run(block, server, tmp_path, environment) for block in guide.blocks("dns.md")
    )
    assert "10 mx.example.org." in host
    assert "WRONG" not in host
    assert "192.0.2.10" in changed
    assert " 13 2 " in ds
    assert "10 mx.example.org." in signed
    assert "MX 13 2 " in signed
