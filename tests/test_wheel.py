"""What is installed from the wheel runs: nothing is missing that only the checkout has."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.running import end, start_server

ROOT = Path(__file__).parents[1]


@pytest.mark.long
def test_the_wheel_serves(tmp_path: Path) -> None:
    words = ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=300)
    [wheel] = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as content:
        content.extractall(installed)
    running = start_server(
        "--data", str(tmp_path / "data"), environment={"PYTHONPATH": str(installed)}
    )
    try:
        maps = Path(f"/proc/{running.process.pid}/environ").read_bytes()
        assert str(installed).encode() in maps
        [welcome] = running.wait_for("subject=Welcome")
        assert welcome["authentication"]["dmarc"] == "pass"
    finally:
        end(running)
