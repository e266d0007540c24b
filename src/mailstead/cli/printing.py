"""What commands print: plain lines for people, JSON for programs."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

import click

# Controls but TAB and LF, and what changes the direction of text: a terminal obeys
# the first, and the second shows one thing for another.
_HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")


def safe(text: object, *, lines: bool = False) -> str:
    """A text from outside with what a terminal would obey escaped; one line, unless ``lines``."""
    shown = _HOSTILE.sub(lambda found: f"\\u{ord(found[0]):04x}", str(text))
    return shown if lines else shown.replace("\n", "\\n").replace("\t", " ")


def as_json(value: object) -> None:
    """Print JSON; outside characters that a terminal obeys are escaped in it too."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    click.echo(_HOSTILE.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def table(rows: Sequence[dict[str, Any]], columns: Sequence[str], empty: str) -> None:
    """Print rows in columns, or words on standard error where there are none."""
    if not rows:
        click.echo(empty, err=True)
        return
    cells = [[safe(plain(row.get(name, ""))) for name in columns] for row in rows]
    widths = [
        max(len(name), *(len(row[place]) for row in cells)) for place, name in enumerate(columns)
    ]
    for row in ([name.upper().replace("_", " ") for name in columns], *cells):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())


def message(shown: dict[str, Any]) -> None:
    """Print one message as a person reads it."""
    verdicts = ", ".join(f"{name} {value}" for name, value in shown["authentication"].items())
    for name, value in (
        ("From", shown["from"]),
        ("To", ", ".join(shown["to"])),
        ("Subject", shown["subject"]),
        ("Received", shown["received_at"]),
        ("Verdicts", verdicts),
        ("Trace", f"mailstead trace {shown['message_id']}"),
    ):
        click.echo(f"{name + ':':10}{safe(value)}")
    for attachment in shown["attachments"]:
        click.echo(
            f"Attached: {safe(attachment['filename'] or attachment['content_type'])}, "
            f"{attachment['size']} bytes"
        )
    click.echo()
    click.echo(safe(shown["text"] or shown["html"] or "(no text)", lines=True).rstrip("\n"))


def journey(trace: dict[str, Any]) -> None:
    """Print a message's journey."""
    click.echo(f"{safe(trace['message_id'])}")
    for step in trace["steps"]:
        details = {name: value for name, value in step.items() if name not in ("at", "step")}
        words = "  ".join(f"{name}={safe(plain(value))}" for name, value in details.items())
        click.echo(f"  {step['at']}  {step['step']:10} {words}".rstrip())
    for attempt in trace["attempts"]:
        tls = attempt["tls"] or "no TLS"
        click.echo(
            f"  {attempt['at']}  {attempt['outcome']:10} {safe(attempt['recipient'])} by "
            f"{safe(attempt['host'])} [{safe(attempt['address'])}], {tls}"
        )
        for reply in attempt["replies"]:
            for line in reply.split("\n"):
                click.echo(f"      < {safe(line)}")


def plain(value: object) -> str:
    """A value of JSON as a person reads it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(plain(item) for item in cast("list[object]", value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
