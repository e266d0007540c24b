"""Ports: bound before anything is started, so that a taken one leaves nothing half done."""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from dataclasses import dataclass

LOOPBACK = ("127.0.0.1", "::1")
ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - names of what --bind may say
BACKLOG = 1024
FREE_TRIES = 20
"""How often another free port is looked for, where both families or protocols must have it."""


class PortError(Exception):
    """A port can't be opened; the text names it, its role and the way out."""


@dataclass(frozen=True, slots=True)
class Binding:
    """Sockets of one port, bound and not yet listening."""

    role: str
    port: int
    sockets: tuple[socket.socket, ...]

    def close(self) -> None:
        """Let the port go."""
        for one in self.sockets:
            one.close()


def bind(role: str, port: int, address: str, *, datagram: bool = False) -> Binding:
    """Bind a port on loopback, both families, and on the address given.

    Port 0 takes a free one. A missing IPv6 loopback is no error; PortError names
    the port and what to do.
    """
    kind = socket.SOCK_DGRAM if datagram else socket.SOCK_STREAM
    [binding] = _bind_all(role, port, address, (kind,))
    return binding


def bind_both(role: str, port: int, address: str) -> tuple[Binding, Binding]:
    """Bind the same port for UDP and TCP. PortError."""
    udp, tcp = _bind_all(role, port, address, (socket.SOCK_DGRAM, socket.SOCK_STREAM))
    return udp, tcp


def _bind_all(
    role: str, port: int, address: str, kinds: Sequence[socket.SocketKind]
) -> list[Binding]:
    for left in reversed(range(1 if port else FREE_TRIES)):
        bound: list[Binding] = []
        number = port
        try:
            for kind in kinds:
                bound.append(_bind(role, number, address, kind))
                number = bound[0].port
        except PortError:
            for one in bound:
                one.close()
            if not left:
                raise
        else:
            return bound
    raise AssertionError("the last try ends the loop")


def _bind(role: str, port: int, address: str, kind: socket.SocketKind) -> Binding:
    bound: list[socket.socket] = []
    for host in _hosts(address):
        try:
            bound.append(_bound_socket(host, port, kind))
        except OSError as error:
            if host == "::1" and error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                continue
            for other in bound:
                other.close()
            raise PortError(_refusal(role, port, host, error)) from None
        port = port or bound[0].getsockname()[1]
    return Binding(role, port, tuple(bound))


def _hosts(address: str) -> tuple[str, ...]:
    """Where a port is opened: on loopback too, where the commands and our own MTA connect."""
    if address in ("", "localhost", *LOOPBACK):
        return LOOPBACK
    if address == ANY_IPV4:
        return ANY_IPV4, LOOPBACK[1]
    return (address, LOOPBACK[0]) if address == ANY_IPV6 else (address, *LOOPBACK)


def _bound_socket(host: str, port: int, kind: socket.SocketKind) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.setblocking(False)
        one.bind((host, port))
    except OSError:
        one.close()
        raise
    return one


def listen(binding: Binding) -> None:
    """Let clients connect to a bound port. PortError when another server was faster."""
    for one in binding.sockets:
        try:
            one.listen(BACKLOG)
        except OSError as error:
            host = one.getsockname()[0]
            raise PortError(_refusal(binding.role, binding.port, host, error)) from None


def _refusal(role: str, port: int, host: str, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} ({role}) is taken on {host}: stop what listens there, or move every "
            "port with --port-shift 100"
        )
    if error.errno == errno.EACCES:
        return (
            f"port {port} ({role}) needs a right: give the process CAP_NET_BIND_SERVICE "
            "(systemd: AmbientCapabilities), or choose a port from 1024 on under [ports]"
        )
    return f"port {port} ({role}) can't be opened on {host}: {error.strerror}"
