"""The rooms and their one rule hold, by name and by import."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src" / "mailstead"
MODULES = sorted(SOURCES.rglob("*.py"))
NOWHERE = {"utils", "util", "common", "helpers", "helper", "core", "base", "manager", "misc"}
LONGEST = 500


def test_no_module_has_a_name_that_says_nothing() -> None:
    unsaying = [path for path in MODULES if NOWHERE & {path.stem, *path.relative_to(SOURCES).parts}]
    assert not unsaying


def test_every_folder_of_code_is_a_package() -> None:
    folders = {path.parent for path in MODULES}
    assert not [folder for folder in folders if not (folder / "__init__.py").exists()]


def test_no_file_is_longer_than_one_noun() -> None:
    long = {path.name for path in MODULES if len(path.read_text().splitlines()) > LONGEST}
    assert not long


@pytest.mark.slow
def test_the_import_contract_holds() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-logo", "--no-cache"], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_generated_pages_are_fresh() -> None:
    done = subprocess.run(
        [sys.executable, "tools/generate.py", "--check"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_lock_files_hold_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text
