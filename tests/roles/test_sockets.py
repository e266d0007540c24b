"""Ports: bound on loopback, all or none, with words for those that can't be."""

import errno
import os
import socket
from typing import Any

import pytest

from mailstead.roles import sockets
from mailstead.roles.sockets import PortError, bind, bind_both, listen


def names(binding: Any) -> list[str]:
    return [one.getsockname()[0] for one in binding.sockets]


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_a_port_is_bound_on_both_loopbacks() -> None:
    binding = bind("mx", 0, "127.0.0.1")
    assert names(binding) == (["127.0.0.1", "::1"] if has_ipv6() else ["127.0.0.1"])
    assert {one.getsockname()[1] for one in binding.sockets} == {binding.port}
    binding.close()


def test_udp_and_tcp_share_a_number() -> None:
    udp, tcp = bind_both("dns", 0, "localhost")
    assert udp.port == tcp.port
    assert udp.sockets[0].type == socket.SOCK_DGRAM
    for one in (udp, tcp):
        one.close()


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        ("0.0.0.0", ["0.0.0.0", "::1"]),
        ("::", ["::", "127.0.0.1"]),
        ("127.0.0.2", ["127.0.0.2", "127.0.0.1", "::1"]),
    ],
)
def test_loopback_is_bound_beside_an_address(address: str, wanted: list[str]) -> None:
    """The commands and our own MTA connect to loopback."""
    if not has_ipv6():
        if address == "::":
            pytest.skip("no IPv6 here")
        wanted = [one for one in wanted if ":" not in one]
    binding = bind("mx", 0, address, datagram=True)
    assert names(binding) == wanted
    binding.close()


def test_a_taken_port_names_itself_and_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=rf"port {port} \(mx\) is taken on 127.0.0.1: .*shift"):
            bind("mx", port, "127.0.0.1")
        with pytest.raises(PortError):
            bind_both("dns", port, "127.0.0.1")


def test_two_that_bound_it_before_either_listened() -> None:
    first = bind("mx", 0, "127.0.0.1")
    second = bind("mx", first.port, "127.0.0.1")
    listen(first)
    with pytest.raises(PortError, match="is taken"):
        listen(second)
    first.close()
    second.close()


def test_a_free_number_is_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number that the system gives for one socket may be taken for the other."""
    bound = sockets._bound_socket
    refused = 3

    def sometimes(host: str, port: int, kind: Any) -> socket.socket:
        nonlocal refused
        if kind == socket.SOCK_STREAM and refused:
            refused -= 1
            raise OSError(errno.EADDRINUSE, "in use")
        return bound(host, port, kind)

    monkeypatch.setattr(sockets, "_bound_socket", sometimes)
    udp, tcp = bind_both("dns", 0, "127.0.0.1")
    assert (udp.port, refused) == (tcp.port, 0)
    udp.close()
    tcp.close()


@pytest.mark.parametrize(
    ("host", "number", "words"),
    [
        ("127.0.0.1", errno.EACCES, "needs a right: .*CAP_NET_BIND_SERVICE"),
        ("127.0.0.1", errno.EADDRNOTAVAIL, "can't be opened on 127.0.0.1: Cannot assign"),
        ("::1", errno.EADDRINUSE, "is taken on ::1"),
    ],
)
def test_other_refusals(
    monkeypatch: pytest.MonkeyPatch, host: str, number: int, words: str
) -> None:
    bound = sockets._bound_socket

    def refuses(given: str, port: int, kind: Any) -> socket.socket:
        if given == host:
            raise OSError(number, os.strerror(number))
        return bound("127.0.0.1", port, kind)

    monkeypatch.setattr(sockets, "_bound_socket", refuses)
    for port in (0, 2525):
        with pytest.raises(PortError, match=words):
            bind("mx", port, "127.0.0.1")


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT])
def test_a_missing_ipv6_is_no_error(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    made = socket.socket

    def without(family: Any, kind: Any) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(number, os.strerror(number))
        return made(family, kind)

    monkeypatch.setattr(sockets.socket, "socket", without)
    binding = bind("mx", 0, "127.0.0.1")
    assert names(binding) == ["127.0.0.1"]
    binding.close()
