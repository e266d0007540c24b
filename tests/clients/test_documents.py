"""The code blocks of the README and the guide run as they stand."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import Mailstead, clean_environment, end, place_launcher, start_server

ROOT = Path(__file__).parents[2]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
BLOCK = re.compile(r"<!-- test: ([\w-]+) -->\n+```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = [
    pytest.param(found[2], found[3], id=f"{path.name}:{found[1]}")
    for path in DOCUMENTS
    for found in BLOCK.finditer(path.read_text("utf-8"))
]
EXPECTED = {"first-message": "It works", "wait": '"subject": "Hi"'}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Mailstead, Path]]:
    """A running server on the default folder, and a place where ``./mailstead`` is the command."""
    home = tmp_path_factory.mktemp("home")
    place = tmp_path_factory.mktemp("checkout")
    running = start_server("--data", str(home / "mailstead"))
    running.wait_for("subject=Welcome")
    place_launcher(place)
    yield running, place
    end(running)


@pytest.mark.slow
@pytest.mark.parametrize(("language", "block"), BLOCKS)
def test_a_block_runs(
    checkout: tuple[Mailstead, Path],
    language: str,
    block: str,
    request: pytest.FixtureRequest,
) -> None:
    running, place = checkout
    name = request.node.callspec.id.partition(":")[2]
    if re.search(r"^curl ", block, re.MULTILINE) and shutil.which("curl") is None:
        pytest.skip("no curl: install the package curl")
    environment = clean_environment()
    environment["XDG_DATA_HOME"] = str(running.folder.parent)
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    setup = 'eval "$(./mailstead env)"\n'
    if language == "python":
        block = f"{sys.executable} - <<'PROGRAM'\n{block}PROGRAM\n"
    # Sandbox rules are the reader's to learn; the guide's addresses are let in.
    running.command("identity", "verify", "me@elsewhere.example")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", setup + block],
        check=False,
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 0, done.stderr
    assert EXPECTED.get(name, "") in done.stdout


def test_links_between_the_documents_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\(([^)#:]+)\)", path.read_text("utf-8")):
            assert (path.parent / target).exists(), f"{path.name}: {target}"


def test_the_readme_says_whose_marks_are_named() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert "not affiliated with or endorsed by Amazon Web Services" in readme
