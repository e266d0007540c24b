"""``docs/commands.md``: every command's help, from the commands themselves."""

from __future__ import annotations

import click

from mailstead.cli.commands import main

HEAD = """# Commands

Made by `tools/generate.py` from the commands themselves; do not edit it by hand.

Results go to standard output, words to standard error. Exit status 0 is done, 1 refused or wrong,
2 misused. Every command but `serve` talks to the running server of the data folder.
"""


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    parts += _described(main, "mailstead", None)
    return "\n".join(parts)


def _described(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    context = click.Context(command, info_name=name, parent=parent, max_content_width=90)
    context.terminal_width = 90
    parts = [f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"]
    if isinstance(command, click.Group):
        for sub in command.list_commands(context):
            found = command.get_command(context, sub)
            assert found is not None
            parts += _described(found, sub, context)
    return parts
