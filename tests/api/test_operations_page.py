"""The page of served operations is what the handlers say."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_is_what_the_tool_makes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tools/operations.py", "--check"],
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
