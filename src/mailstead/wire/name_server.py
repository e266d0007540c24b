"""Where a name server is: ``ADDRESS``, ``ADDRESS:PORT``, ``[ADDRESS]:PORT``."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import NamedTuple

from mailstead.wire.domain_name import DomainNameError, canonical_name

PORT = 53
_FORM = re.compile(r"(?:\[(?P<bracketed>[^\[\]]+)\]|(?P<plain>[^\[\]:]+))(?::(?P<port>\d{1,5}))?")


class NameServerError(ValueError):
    """What is no address of a name server; the text says why."""


class NameServer(NamedTuple):
    """A name server's address or name, and its port."""

    host: str
    port: int

    @property
    def text(self) -> str:
        """The server as it is written."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def parse_name_server(text: str) -> NameServer:
    """A name server by address or name. NameServerError."""
    try:
        return NameServer(str(ip_address(text)), PORT)
    except ValueError:
        found = _FORM.fullmatch(text)
    if found is None:
        raise NameServerError(f"{text!r} is no name server: it is HOST, HOST:PORT or [IPV6]:PORT")
    port = int(found["port"] or PORT)
    if not 0 < port < 65536:
        raise NameServerError(f"{text!r} is no name server: ports are 1 to 65535")
    return NameServer(_host(found["bracketed"], found["plain"], text), port)


def parse_address(text: str) -> NameServer:
    """A name server by address. NameServerError."""
    server = parse_name_server(text)
    if not is_address(server.host):
        raise NameServerError(f"{text!r} is no address: it is IPV4, IPV4:PORT, IPV6 or [IPV6]:PORT")
    return server


def is_address(host: str) -> bool:
    """Whether a host is named by its address."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _host(bracketed: str | None, plain: str, text: str) -> str:
    try:
        if bracketed is not None or re.fullmatch(r"[\d.]+", plain):
            return str(ip_address(bracketed or plain))
        return canonical_name(plain)
    except DomainNameError as error:
        raise NameServerError(f"{text!r} is no name server: {error.text}") from None
    except ValueError as error:
        raise NameServerError(f"{text!r} is no name server: {error}") from None
