"""dig's own view of an answer: cookies, truncation and the way to TCP."""

import shutil
import subprocess

import pytest

from support.hosting import put
from support.running import Mailstead

pytestmark = pytest.mark.slow


def dig(server: Mailstead, *words: str) -> str:
    if shutil.which("dig") is None:
        pytest.skip("no dig: the Debian package bind9-dnsutils has it")
    return subprocess.run(
        ["dig", "@127.0.0.1", "-p", str(server.ports["dns"]), *words],
        check=True,
        capture_output=True,
        text=True,
        timeout=20,
    ).stdout


def test_a_cookie_is_good(server: Mailstead) -> None:
    said = dig(server, "+cookie", "example.test", "MX")
    [line] = [one for one in said.splitlines() if "COOKIE:" in one]
    assert line.endswith("(good)")
    again = dig(server, f"+cookie={line.split()[2]}", "example.test", "MX")
    assert "(good)" in again


def test_what_is_cut_comes_by_tcp(server: Mailstead) -> None:
    long = " ".join(f'"{letter * 250}"' for letter in "abcdef")
    put(server.boto3("route53"), "example.test", ("long", "TXT", long))
    cut = dig(server, "+ignore", "long.example.test", "TXT")
    assert " tc" in cut
    whole = dig(server, "long.example.test", "TXT")
    assert "Truncated, retrying in TCP mode" in whole
    assert "f" * 250 in whole
