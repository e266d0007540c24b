"""Writes the pages of ``docs/`` that are made from the code; ``--check`` fails where one is stale.

python tools/generate.py            write them
python tools/generate.py --check    fail if a page differs from a fresh one
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import cloudformation_page
import commands_page
import configuration_page
import operations
import rfcs

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = {
    "cloudformation.md": cloudformation_page.page,
    "commands.md": commands_page.page,
    "configuration.md": configuration_page.page,
    "operations.md": operations.fresh,
    "rfcs.md": rfcs.page,
}


def main() -> int:
    """Write or check every page."""
    stale: list[str] = []
    DOCS.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        text = make()
        path = DOCS / name
        if not path.exists() or path.read_text("utf-8") != text:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, "utf-8")
    if stale and "--check" in sys.argv:
        print(f"stale: {', '.join(stale)}; run: python tools/generate.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
