"""``mailstead serve``: flags, configuration, and the errors of starting."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from mailstead import config as configuration
from mailstead.cli.server import CommandError, data_folder
from mailstead.config import ConfigError

ROLES = (
    "api",
    "web",
    "mx",
    "submission",
    "delivery",
    "outside",
    "mailboxes",
    "dns",
    "deployer",
    "notifier",
)
KEY_IN_SIGHT = (
    "a secret on the command line can be seen by everybody on this machine; "
    "--root-key @FILE reads it from a file"
)
_ACCOUNT = re.compile(r"\d{12}")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d")


@click.command()
@click.option(
    "--data",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data folder [default: $XDG_DATA_HOME/mailstead].",
)
@click.option("--ephemeral", is_flag=True, help="Use a temporary folder, removed at the end.")
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A TOML file of settings.",
)
@click.option("--account", metavar="12-DIGITS", help="The account [default: 000000000000].")
@click.option("--region", metavar="NAME", help="The region [default: us-east-1].")
@click.option("--root-key", metavar="ID:SECRET|@FILE", help="The root user's access key.")
@click.option("--clock", type=click.Choice(["real"]), default="real", help="Which clock rules.")
@click.option("--roles", metavar="LIST", help=f"Of {', '.join(ROLES)} [default: all].")
@click.option("--port-shift", type=int, default=0, metavar="N", help="Add N to every port.")
@click.option("--bind", default="127.0.0.1", metavar="ADDRESS", help="Where to listen.")
@click.option("--production", is_flag=True, help="Production access, for tests.")
@click.option("--verified", multiple=True, metavar="NAME", help="A verified identity, for tests.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on standard error.")
def serve(**given: Any) -> None:
    """Run the server until it is told to stop."""
    try:
        _serve(**given)
    except CommandError as error:
        if not given["as_json"]:
            raise
        _say_json("refused", str(error))
        raise click.exceptions.Exit(1) from None


def _say_json(event: str, message: str) -> None:
    click.echo(json.dumps({"event": event, "message": message}), err=True)


def _serve(config_file: Path | None, root_key: str | None, bind: str, **given: Any) -> None:
    try:
        config = configuration.load(config_file, os.environ)
    except ConfigError as error:
        raise CommandError(str(error)) from None
    try:
        config = replace(config, ports=config.ports.shifted(given["port_shift"]))
        config = configuration.checked(config)
    except ConfigError as error:
        raise click.UsageError(f"--port-shift {given['port_shift']}: {error}") from None
    # The server's libraries take a third of a second: only a command that serves pays that.
    from mailstead import app

    if given["folder"] is not None and given["ephemeral"]:
        raise click.UsageError("--data and --ephemeral exclude each other")
    key = _root_key(root_key, as_json=given["as_json"])
    # Elsewhere than on loopback a key on the command line is no secret.
    key_is_kept = root_key is not None and root_key.startswith("@")
    options = app.Options(
        config=config,
        folder=None if given["ephemeral"] else (given["folder"] or data_folder()).absolute(),
        usual_folder=not given["ephemeral"] and given["folder"] is None,
        account=_matching(given["account"], _ACCOUNT, "--account is 12 digits"),
        region=_matching(given["region"], _REGION, "--region is a name such as us-east-1"),
        root_key=key,
        roles=_roles(given["roles"]),
        bind=_bind(bind, config, has_key=key_is_kept),
        production=given["production"],
        verified=tuple(given["verified"]),
        as_json=given["as_json"],
    )
    try:
        app.run(options)
    except app.StartError as error:
        raise CommandError(str(error)) from None


def _matching(text: str | None, pattern: re.Pattern[str], words: str) -> str | None:
    if text is not None and not pattern.fullmatch(text):
        raise click.UsageError(words)
    return text


def _root_key(text: str | None, *, as_json: bool) -> tuple[str, str] | None:
    if text is None:
        return None
    if text.startswith("@"):
        try:
            text = Path(text[1:]).read_text().strip()
        except OSError as error:
            words = f"the root key can't be read from {text[1:]}: {error.strerror}"
            raise CommandError(words) from None
        except UnicodeDecodeError:
            raise CommandError(f"the root key can't be read from {text[1:]}: no text") from None
    elif as_json:
        _say_json("warning", KEY_IN_SIGHT)
    else:
        click.echo(f"mailstead: {KEY_IN_SIGHT}", err=True)
    key_id, colon, secret = text.partition(":")
    if not (colon and re.fullmatch(r"\w{1,128}", key_id) and secret):
        raise click.UsageError("--root-key is ID:SECRET, or @FILE of a file that holds that")
    return key_id, secret


def _roles(text: str | None) -> frozenset[str]:
    if text is None:
        return frozenset(ROLES)
    roles = frozenset(part.strip() for part in text.split(",") if part.strip())
    unknown = sorted(roles - set(ROLES))
    if unknown or not roles:
        named = f"{', '.join(unknown)}: " if unknown else ""
        raise click.UsageError(f"--roles: {named}roles are {', '.join(ROLES)}")
    return roles


def _bind(address: str, config: configuration.Config, *, has_key: bool) -> str:
    if address in ("127.0.0.1", "::1", "localhost"):
        return address
    missing = [
        words
        for there, words in (
            (has_key, "--root-key @FILE"),
            (bool(config.api.token), "api.token"),
            (bool(config.console.password), "console.password"),
        )
        if not there
    ]
    if missing:
        raise CommandError(
            f"--bind {address} opens the ports to other machines, and that needs secrets of your "
            f"own: set {', '.join(missing)}"
        )
    return address
