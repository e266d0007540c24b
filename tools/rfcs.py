"""``docs/rfcs.md``: what is implemented of which RFC, with the places that cite it.

The statuses are in ``rfcs.toml``. An RFC that the code cites and the file does
not list is an error, and so is a Yes that nothing cites.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ROOT / "src" / "mailstead"
OLD = {822, 7489, 821}
"""Cited as what a newer one replaced."""

HEAD = """# RFCs

Made by `tools/generate.py` from the code and `tools/rfcs.toml`; do not edit it by hand.

| RFC | title | implemented | where |
|---|---|---|---|
"""


def citations() -> dict[int, list[str]]:
    """The files that cite each RFC."""
    found: dict[int, set[str]] = defaultdict(set)
    for path in SOURCES.rglob("*.py"):
        text = path.read_text("utf-8")
        for listed in re.findall(r"RFC[s ]+((?:\d{3,5}(?:, | and | to )?)+)", text):
            for number in re.findall(r"\d{3,5}", listed):
                found[int(number)].add(path.relative_to(SOURCES).as_posix())
    return {number: sorted(files) for number, files in found.items() if number not in OLD}


def page() -> str:
    """The whole page; ValueError for what does not fit together."""
    listed = tomllib.loads((ROOT / "tools" / "rfcs.toml").read_text("utf-8"))
    cited = citations()
    missing = sorted(number for number in cited if str(number) not in listed)
    if missing:
        raise ValueError(f"cited, and not in tools/rfcs.toml: {missing}")
    rows: list[str] = []
    for number, entry in sorted(listed.items(), key=lambda item: int(item[0])):
        files = cited.get(int(number), [])
        if entry["status"] == "Yes" and not files:
            raise ValueError(f"RFC {number} is a Yes, and nothing cites it")
        note = f": {entry['note']}" if "note" in entry else ""
        places = ", ".join(f"`{name}`" for name in files)
        rows.append(f"| {number} | {entry['title']} | {entry['status']}{note} | {places} |")
    return HEAD + "\n".join(rows) + "\n"
