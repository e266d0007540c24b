"""The configuration: defaults under a TOML file under the environment, as frozen values.

A key is a dotted name (``server.hostname``); the same as a variable has two
underscores (``MAILSTEAD__SERVER__HOSTNAME``). An unknown key is an error that
names the nearest one: a misspelt setting must not be a silent default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Any, cast, get_type_hints

from mailstead.wire.name_server import parse_address
from mailstead.wire.tsig_key import parse_key

PREFIX = "MAILSTEAD__"
MODES = ("capture",)
LATER_KEYS = ("relay.", "retention.", "server.addresses", "http.allow")
"""Keys of settings that are planned."""
SECRETS = frozenset({"api.token", "console.password", "dns.transfer_keys"})
"""Keys whose values no error shows."""
LATER_MODES = ("relay", "direct")


class ConfigError(Exception):
    """A setting that can't be used; the text names it, where it stands, and what would do."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where mail goes."""

    mode: str = "capture"
    """``capture``: nothing leaves this machine."""


@dataclass(frozen=True, slots=True)
class Server:
    """What this server is called."""

    hostname: str = "localhost"
    """The name it says in greetings and reports."""
    names: tuple[str, ...] = ()
    """Further names under which browsers and tools may call it (the Host header)."""


@dataclass(frozen=True, slots=True)
class Service:
    """The service's own names."""

    domain: str = ""
    """Stands for amazonses.com; empty in capture mode is amazonses.com itself."""


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS of all ports."""

    certificate: str = ""
    """A PEM file of certificate chain and key; empty: from the local CA."""


@dataclass(frozen=True, slots=True)
class Api:
    """The local API."""

    token: str = ""
    """The bearer token; empty: random, in DIR/server.json."""


@dataclass(frozen=True, slots=True)
class Console:
    """The web pages."""

    password: str = ""
    """The password of the web pages; needed where they listen beyond loopback."""


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Accounts."""

    review: str = "pending"
    """How requests for production access are answered: ``pending``, ``granted``, ``denied``."""


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Identities."""

    verification: str = "real"
    """``real``, or ``automatic``: identities verify at once, for tests that do not care."""


@dataclass(frozen=True, slots=True)
class Smtp:
    """SMTP."""

    trusted_networks: tuple[str, ...] = ()
    """Networks that submit on 1587 and 2525 without TLS and log-in."""
    timeout: int = 300
    """Seconds a client may be silent."""
    login_timeout: int = 60
    """Seconds a client may take to log in."""


@dataclass(frozen=True, slots=True)
class Dns:
    """The DNS server."""

    responses_per_second: int = 20
    """Answers alike that a network (IPv4 /24, IPv6 /56) gets over UDP; 0: no limit."""
    secondaries: tuple[str, ...] = ()
    """Name servers with copies, ADDRESS or ADDRESS:PORT: told of changes, may take zones."""
    transfer_keys: tuple[str, ...] = ()
    """TSIG keys, [ALGORITHM:]NAME:SECRET: with them only who signs may take zones."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The ports, before ``--port-shift``; 0 takes any free one."""

    api: int = 4566
    console: int = 8025
    mx: int = 1025
    submission: tuple[int, ...] = (1587, 2525)
    submissions: int = 1465
    dns: int = 1053

    def shifted(self, by: int) -> Ports:
        """Every port, some numbers up."""

        def one(port: int) -> int:
            return port + by if port else 0

        return Ports(
            one(self.api),
            one(self.console),
            one(self.mx),
            tuple(one(port) for port in self.submission),
            one(self.submissions),
            one(self.dns),
        )


@dataclass(frozen=True, slots=True)
class Config:
    """All settings."""

    delivery: Delivery = field(default_factory=Delivery)
    server: Server = field(default_factory=Server)
    service: Service = field(default_factory=Service)
    tls: Tls = field(default_factory=Tls)
    api: Api = field(default_factory=Api)
    console: Console = field(default_factory=Console)
    account: AccountSettings = field(default_factory=AccountSettings)
    identities: IdentitySettings = field(default_factory=IdentitySettings)
    smtp: Smtp = field(default_factory=Smtp)
    dns: Dns = field(default_factory=Dns)
    ports: Ports = field(default_factory=Ports)


def keys() -> dict[str, type[Any]]:
    """Every dotted key with its type."""
    found: dict[str, type[Any]] = {}
    for section, kind in get_type_hints(Config).items():
        assert is_dataclass(kind)
        hints = get_type_hints(kind)
        found |= {f"{section}.{one.name}": hints[one.name] for one in fields(kind)}
    return found


def load(path: Path | None, environment: Mapping[str, str]) -> Config:
    """Read the file, then the environment over it."""
    config = Config()
    if path is not None:
        config = _apply(config, _file_values(path), str(path))
    values = {
        name.removeprefix(PREFIX).lower().replace("__", "."): text
        for name, text in environment.items()
        if name.startswith(PREFIX)
    }
    return checked(_apply(config, values, "the environment"))


def _file_values(path: Path) -> dict[str, Any]:
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from None
    values: dict[str, Any] = {}
    for section, table in tables.items():
        if isinstance(table, dict):
            table = cast("dict[str, Any]", table)
            values |= {f"{section}.{key}": value for key, value in table.items()}
        else:
            values[section] = table
    return values


def _apply(config: Config, values: Mapping[str, Any], origin: str) -> Config:
    known = keys()
    for key, value in values.items():
        if key not in known:
            if key.startswith(LATER_KEYS):
                raise ConfigError(f"{_place(origin, key)}: this version does not serve {key}")
            near = get_close_matches(key, known, n=1, cutoff=0.4)
            hint = f": did you mean {near[0]}?" if near else ""
            raise ConfigError(f"{_place(origin, key)}: unknown key {key}{hint}")
        section, _, name = key.partition(".")
        try:
            converted = _CONVERT[known[key]](value)
        except (ValueError, TypeError):
            shown = "what was given" if key in SECRETS else repr(value)
            raise ConfigError(
                f"{_place(origin, key)}: {key} can't be {shown}, it is {_WORDS[known[key]]}"
            ) from None
        part = replace(getattr(config, section), **{name: converted})
        config = replace(config, **{section: part})
    return config


def _place(origin: str, key: str) -> str:
    """The file and line of a key, where it can be found."""
    path = Path(origin)
    if not path.is_file():
        return origin
    name = key.rpartition(".")[2]
    lines = path.read_text("utf-8").splitlines()
    numbers = [
        number
        for number, line in enumerate(lines, 1)
        if line.strip().startswith((f"{name} ", f"{name}=", f"[{key.partition('.')[0]}]"))
        and (name in line or "." not in key)
    ]
    return f"{origin}, line {numbers[0]}" if numbers else origin


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError
    return int(value)


def _texts(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(_text(item) for item in cast("list[object]", value))


def _numbers(value: object) -> tuple[int, ...]:
    if isinstance(value, int):
        return (_number(value),)
    if isinstance(value, str):
        return tuple(int(part) for part in value.split(",") if part.strip())
    return tuple(_number(item) for item in cast("list[object]", value))


_CONVERT: dict[Any, Callable[[object], Any]] = {
    str: _text,
    int: _number,
    tuple[str, ...]: _texts,
    tuple[int, ...]: _numbers,
}
_WORDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    tuple[str, ...]: "a list of texts",
    tuple[int, ...]: "a list of whole numbers",
}
_CHOICES = {
    "account.review": ("pending", "granted", "denied"),
    "identities.verification": ("real", "automatic"),
}


_DNS_VALUES: dict[str, Callable[[str], object]] = {
    "secondaries": parse_address,
    "transfer_keys": parse_key,
}


def _check_dns(dns: Dns) -> None:
    if dns.responses_per_second < 0:
        raise ConfigError("dns.responses_per_second is 0 (no limit) or more")
    for key, parse in _DNS_VALUES.items():
        for text in getattr(dns, key):
            try:
                parse(text)
            except ValueError as error:
                raise ConfigError(f"dns.{key}: {error}") from None
    _check_names_once(dns.transfer_keys)


def _check_names_once(keys: tuple[str, ...]) -> None:
    names = [parse_key(text).name for text in keys]
    if len(set(names)) < len(names):
        raise ConfigError("dns.transfer_keys: two keys have one name: a name stands for one secret")


def checked(config: Config) -> Config:
    """The configuration, or a ConfigError for values that can't be."""
    mode = config.delivery.mode
    if mode in LATER_MODES:
        raise ConfigError(
            f'delivery.mode = "{mode}" is not served by this version: it knows "capture"'
        )
    if mode not in MODES:
        raise ConfigError(f'delivery.mode can\'t be "{mode}": it is "capture"')
    for key, choices in _CHOICES.items():
        section, _, name = key.partition(".")
        value = getattr(getattr(config, section), name)
        if value not in choices:
            raise ConfigError(f'{key} can\'t be "{value}": it is one of {", ".join(choices)}')
    _check_dns(config.dns)
    for network in config.smtp.trusted_networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise ConfigError(f"smtp.trusted_networks: {error}") from None
    for one in fields(Ports):
        ports = getattr(config.ports, one.name)
        for port in ports if isinstance(ports, tuple) else (ports,):
            if not 0 <= port <= 65535:
                raise ConfigError(f"ports.{one.name} can't be {port}: it is 0 to 65535")
    return config
