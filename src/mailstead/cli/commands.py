"""Every command, as a person types it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mailstead import __version__
from mailstead.cli import environment, printing
from mailstead.cli.serve import serve
from mailstead.cli.server import CommandError, RunningServer, data_folder
from mailstead.wire.rdata import STRING_LIMIT

F = TypeVar("F", bound=Callable[..., Any])


class _Group(click.Group):
    """Says refusals in one line with exit 1, and runs ``serve`` where no command is named."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args = ["serve", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CommandError as error:
            click.echo(f"mailstead: {printing.safe(error, lines=True)}", err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mailstead")
def main() -> None:
    """Amazon SES's API and SMTP interface, and the mail system behind them.

    `mailstead` alone is `mailstead serve`.
    """


main.add_command(serve)


def _common(command: F) -> F:
    """``--data`` and ``--json``, which every command takes."""
    data = click.option(
        "--data",
        "folder",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        help="The data folder of the server.",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    return as_json(data(command))


def _run(folder: Path | None, noun: str, verb: str, **arguments: Any) -> dict[str, Any]:
    server = RunningServer.find(folder or data_folder())
    return server.command(noun, verb=verb, **arguments)


def _show(answer: dict[str, Any], as_json: bool, lines: Callable[[], object]) -> None:
    if as_json:
        printing.as_json(answer)
    else:
        lines()


def _confirm(what: str, yes: bool) -> None:
    if not yes and sys.stdin.isatty():
        click.confirm(f"Delete {what}?", abort=True, err=True)


_yes = click.option("--yes", is_flag=True, help="Do not ask.")
_password_file = click.option(
    "--password-file",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    default=None,
    help="Read the password from this file, or from standard input (-).",
)


def _secret(path: Path | None, what: str) -> str | None:
    """A secret from a file, or from standard input (-)."""
    if path is None:
        return None
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
    except OSError as error:
        raise CommandError(f"the {what} can't be read from {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CommandError(f"the {what} can't be read from {path}: it is not UTF-8") from None
    secret = text.rstrip("\r\n")
    if not secret:
        raise CommandError(f"the {what} is empty")
    return secret


def _password(path: Path | None) -> str | None:
    return _secret(path, "password")


@main.command()
@_common
def env(folder: Path | None, as_json: bool) -> None:
    """Print what makes unchanged clients use this server: eval "$(mailstead env)"."""
    server = RunningServer.find(folder or data_folder())
    link = server.command("console", verb="link")["url"]
    facts = {**server.facts, "console_url": link}
    if as_json:
        printing.as_json(
            {
                "set": environment.exports(facts, server.folder, os.environ),
                "unset": environment.unsets(os.environ),
            }
        )
        return
    for line in environment.shell_lines(facts, server.folder, os.environ):
        click.echo(line)


@main.group()
def mailbox() -> None:
    """Mailboxes of people here."""


@mailbox.command("add")
@click.argument("address")
@_password_file
@_common
def mailbox_add(
    address: str, password_file: Path | None, folder: Path | None, as_json: bool
) -> None:
    """Make a mailbox; prints a random password where none is given."""
    password = _password(password_file)
    answer = _run(folder, "mailbox", "add", address=address, password=password)
    _show(answer, as_json, lambda: _print_login(answer))


def _print_login(answer: dict[str, Any]) -> None:
    click.echo(printing.safe(answer["address"]))
    if "password" in answer:
        click.echo(f"password {answer['password']}")


@mailbox.command("list")
@_common
def mailbox_list(folder: Path | None, as_json: bool) -> None:
    """List the mailboxes."""
    answer = _run(folder, "mailbox", "list")
    empty = "no mailbox yet: mailstead mailbox add ADDRESS makes one"
    _show(
        answer,
        as_json,
        lambda: printing.table(answer["mailboxes"], ("address", "messages", "bytes"), empty),
    )


@mailbox.command("read")
@click.argument("address")
@click.option("--limit", default=1, show_default=True, help="So many of the newest messages.")
@_common
def mailbox_read(address: str, limit: int, folder: Path | None, as_json: bool) -> None:
    """Print the newest message; waits for one that is on its way."""
    answer = _run(folder, "mailbox", "read", address=address, limit=limit)

    def lines() -> None:
        if not answer["messages"]:
            click.echo(f"no message in {printing.safe(answer['mailbox'])} yet", err=True)
        for place, shown in enumerate(answer["messages"]):
            if place:
                click.echo("\n" + "-" * 72)
            printing.message(shown)

    _show(answer, as_json, lines)


@mailbox.command("password")
@click.argument("address")
@_password_file
@_common
def mailbox_password(
    address: str, password_file: Path | None, folder: Path | None, as_json: bool
) -> None:
    """Change a mailbox's password; prints a random one where none is given."""
    password = _password(password_file)
    answer = _run(folder, "mailbox", "password", address=address, password=password)
    _show(answer, as_json, lambda: _print_login(answer))


@mailbox.command("delete")
@click.argument("address")
@_yes
@_common
def mailbox_delete(address: str, yes: bool, folder: Path | None, as_json: bool) -> None:
    """Delete a mailbox with all its mail."""
    _confirm(f"the mailbox {address} with all its mail", yes)
    answer = _run(folder, "mailbox", "delete", address=address)
    _show(answer, as_json, lambda: click.echo(f"deleted {printing.safe(answer['deleted'])}"))


@main.group()
def domain() -> None:
    """Domains whose DNS and mail are here."""


@domain.command("add")
@click.argument("name")
@click.option("--dnssec", is_flag=True, help="Sign the zone, and print its DS record.")
@_common
def domain_add(name: str, dnssec: bool, folder: Path | None, as_json: bool) -> None:
    """Host a domain: its zone, its mail records, and its identity for sending."""
    answer = _run(folder, "domain", "add", name=name, dnssec=dnssec)

    def lines() -> None:
        click.echo(f"{printing.safe(answer['name'])} is hosted here. At an outside provider enter:")
        for record in answer["records"]:
            click.echo(f"  {_record(record)}")
            _in_one_piece(record, "    in one piece: ")
        if dnssec:
            click.echo("It is signed. At the registrar, for the parent zone, enter:")
            click.echo(f"  {_record(answer['ds'])}")
        if answer["note"]:
            click.echo(answer["note"], err=True)

    _show(answer, as_json, lines)


def _record(record: dict[str, Any]) -> str:
    """A record as a line of a zone file."""
    return (
        f"{printing.safe(record['name'])}. {record['ttl']} IN {record['type']} "
        f"{printing.safe(record['value'])}"
    )


def _in_one_piece(record: dict[str, Any], label: str) -> None:
    """Print a text that a zone file cuts into strings, for forms that cut it themselves."""
    text = record.get("text", "")
    if len(text.encode()) > STRING_LIMIT:
        click.echo(f"{label}{printing.safe(text)}")


@domain.command("publish")
@click.argument("name")
@click.option("--server", required=True, help="The zone's primary name server: HOST or HOST:PORT.")
@click.option(
    "--key-file",
    type=click.Path(path_type=Path, allow_dash=True, dir_okay=False),
    default=None,
    help="Read the TSIG key from this file, or from standard input (-): [ALGORITHM:]NAME:SECRET, "
    "or what tsig-keygen wrote.",
)
@click.option("--replace", is_flag=True, help="Put the records in place of what differs.")
@_common
def domain_publish(
    name: str,
    server: str,
    key_file: Path | None,
    replace: bool,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Put a domain's records into its zone elsewhere, by RFC 2136 updates.

    What is there is left; exit 1 where something is not as it should be in the end.
    """
    key = _secret(key_file, "key")
    answer = _run(folder, "domain", "publish", name=name, server=server, key=key, replace=replace)

    def lines() -> None:
        for one in answer["records"]:
            click.echo(f"{one['result']:9} {printing.safe(one['record'])}")
            if one["result"] == "differs":
                click.echo(f"          seen   {printing.safe(one['seen'])}")
            if one["reason"]:
                click.echo(f"          reason {printing.safe(one['reason'])}")
            if one["result"] in ("differs", "refused"):
                click.echo(f"          enter  {printing.safe(one['fix'])}")
        if answer["note"]:
            click.echo(answer["note"], err=True)

    _show(answer, as_json, lines)
    if not answer["ok"]:
        raise click.exceptions.Exit(1)


@domain.command("list")
@_common
def domain_list(folder: Path | None, as_json: bool) -> None:
    """List the domains hosted here."""
    answer = _run(folder, "domain", "list")
    empty = "no domain yet: mailstead domain add NAME hosts one"
    columns = ("name", "records", "mailboxes", "verified")
    _show(answer, as_json, lambda: printing.table(answer["domains"], columns, empty))


@domain.command("check")
@click.argument("name")
@_common
def domain_check(name: str, folder: Path | None, as_json: bool) -> None:
    """Compare DNS with what should be there; exit 1 where something is wrong."""
    answer = _run(folder, "domain", "check", name=name)

    def lines() -> None:
        for check in answer["checks"]:
            asked = check["seen"] != "not asked"
            mark = ("ok   " if check["ok"] else "WRONG") if asked else "?    "
            click.echo(f"{mark} {printing.safe(check['record'])}")
            if not check["ok"]:
                click.echo(f"      expected {printing.safe(check['expected'])}")
                if asked:
                    click.echo(f"      seen     {printing.safe(check['seen'])}")
                click.echo(f"      enter    {printing.safe(check['fix'])}")
                _in_one_piece(check, "      in one piece ")
        if answer.get("note"):
            click.echo(printing.safe(answer["note"]), err=True)

    _show(answer, as_json, lines)
    if not answer["ok"]:
        raise click.exceptions.Exit(1)


@domain.command("delete")
@click.argument("name")
@_yes
@_common
def domain_delete(name: str, yes: bool, folder: Path | None, as_json: bool) -> None:
    """Take a domain's zone away; its identity and mailboxes stay."""
    _confirm(f"the zone of {name}", yes)
    answer = _run(folder, "domain", "delete", name=name)
    _show(answer, as_json, lambda: click.echo(f"deleted {printing.safe(answer['deleted'])}"))


@main.group()
def identity() -> None:
    """Identities for sending."""


@identity.command("verify")
@click.argument("name")
@_common
def identity_verify(name: str, folder: Path | None, as_json: bool) -> None:
    """Verify an address or domain without any proof, for tests; made where it is missing."""
    answer = _run(folder, "identity", "verify", name=name)
    _show(answer, as_json, lambda: click.echo(f"{printing.safe(answer['name'])} may send"))


@main.group()
def queue() -> None:
    """Mail that waits to be delivered."""


@queue.command("list")
@_common
def queue_list(folder: Path | None, as_json: bool) -> None:
    """List waiting recipients, oldest first."""
    answer = _run(folder, "queue", "list")
    columns = ("id", "recipient", "attempts", "due", "last_reply")
    _show(answer, as_json, lambda: printing.table(answer["queue"], columns, "nothing waits"))


@queue.command("retry")
@click.argument("ids", nargs=-1)
@_common
def queue_retry(ids: tuple[str, ...], folder: Path | None, as_json: bool) -> None:
    """Try waiting recipients now: those named by id, or all."""
    answer = _run(folder, "queue", "retry", ids=list(ids))
    _show(answer, as_json, lambda: click.echo(f"{answer['retried']} to be tried now"))
    _all_found(ids, answer["retried"])


@queue.command("delete")
@click.argument("ids", nargs=-1)
@_yes
@_common
def queue_delete(ids: tuple[str, ...], yes: bool, folder: Path | None, as_json: bool) -> None:
    """Take recipients out of the queue: those named by id, or all. They get no mail."""
    _confirm(f"{len(ids) or 'all'} waiting recipients", yes)
    answer = _run(folder, "queue", "delete", ids=list(ids))
    _show(answer, as_json, lambda: click.echo(f"{answer['deleted']} taken out"))
    _all_found(ids, answer["deleted"])


def _all_found(ids: tuple[str, ...], found: int) -> None:
    missing = len(set(ids)) - found
    if missing > 0:
        raise CommandError(
            f"{missing} of those do not wait: `mailstead queue list` shows what does"
        )


@main.command()
@click.argument("message_id")
@_common
def trace(message_id: str, folder: Path | None, as_json: bool) -> None:
    """Show a message's journey, by its MessageId."""
    answer = _run(folder, "trace", "show", id=message_id)
    _show(answer, as_json, lambda: printing.journey(answer))


@main.group()
def account() -> None:
    """The account's sending: sandbox or production."""


def _print_account(answer: dict[str, Any]) -> None:
    kind = "production" if answer["production"] else "sandbox"
    quota = "unlimited" if answer["daily_quota"] < 0 else f"{answer['daily_quota']:.0f}"
    click.echo(
        f"account {answer['account']} in {answer['region']}: {kind}, {quota} recipients a day, "
        f"{answer['max_rate']:g} a second, sending {'on' if answer['sending'] else 'off'}"
    )


@account.command("show")
@_common
def account_show(folder: Path | None, as_json: bool) -> None:
    """Show quota, rate and state."""
    answer = _run(folder, "account", "show")
    _show(answer, as_json, lambda: _print_account(answer))


@account.command("production")
@click.option("--daily-quota", type=float, default=50_000, show_default=True, help="-1: no limit.")
@click.option("--max-rate", type=float, default=14, show_default=True, help="Recipients a second.")
@_common
def account_production(
    daily_quota: float, max_rate: float, folder: Path | None, as_json: bool
) -> None:
    """Grant production access."""
    answer = _run(folder, "account", "production", daily_quota=daily_quota, max_rate=max_rate)
    _show(answer, as_json, lambda: _print_account(answer))


@account.command("sandbox")
@_common
def account_sandbox(folder: Path | None, as_json: bool) -> None:
    """Put the account back into the sandbox."""
    answer = _run(folder, "account", "sandbox")
    _show(answer, as_json, lambda: _print_account(answer))


@main.group()
def demo() -> None:
    """The demo domain, mailbox and message of a new data folder."""


@demo.command("remove")
@_common
def demo_remove(folder: Path | None, as_json: bool) -> None:
    """Delete all of it."""
    answer = _run(folder, "demo", "remove")
    _show(answer, as_json, lambda: click.echo("the demo is gone"))


@main.command()
@_common
def status(folder: Path | None, as_json: bool) -> None:
    """Show sizes, versions and the queue."""
    answer = _run(folder, "status", "show")
    _show(
        answer,
        as_json,
        lambda: [
            click.echo(f"{name:16} {printing.safe(printing.plain(value))}")
            for name, value in answer.items()
        ],
    )
