"""The code blocks of a guide page, run in order where the page's reader would be."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from support.running import Mailstead

GUIDE = Path(__file__).parents[2] / "docs" / "guide"


def blocks(page: str, language: str = "sh") -> list[str]:
    """A page's blocks in one language."""
    fence = re.compile(rf"^```{language}\n(.*?)^```$", re.DOTALL | re.MULTILINE)
    return [found[1] for found in fence.finditer((GUIDE / page).read_text("utf-8"))]


def on_ports(block: str, server: Mailstead) -> str:
    """A block, with the ports of a server for those that it would have by itself."""
    api, dns = server.ports["api"], server.ports["dns"]
    return block.replace("127.0.0.1:4566", f"127.0.0.1:{api}").replace("-p 1053", f"-p {dns}")


def run(
    block: str,
    server: Mailstead,
    folder: Path,
    environment: Mapping[str, str],
    seconds: int = 150,
) -> str:
    """Run a block after ``mailstead env``; what it prints. It has to succeed."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f'eval "$(./mailstead env)"\n{on_ports(block, server)}'],
        check=False,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
    )
    assert done.returncode == 0, f"{block}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr
