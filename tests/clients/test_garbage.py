"""Garbage at every port of a running server; it serves on, and its log stays quiet."""

import os
import socket
from contextlib import suppress
from random import Random

from support.running import Mailstead, Start

GARBAGE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 3,
    b"\x16\x03\x01" + b"\xff" * 4000,
    b"\0" * 4000,
    b"\xff\xfe" * 2000,
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"EHLO x\r\nSTARTTLS\r\n" + b"\x16\x03" * 100,
    b"A" * (1 << 20),
    b"\r\n" * 3000,
    Random(7).randbytes(20_000),
)


def ports(server: Mailstead) -> list[int]:
    found: list[int] = []
    for port in server.ports.values():
        found += port if isinstance(port, list) else [port]
    return found


def throw(port: int, octets: bytes, *, half_close: bool) -> None:
    """Send it, and hear what comes until the end, or not at all."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 5) as one:
        one.settimeout(2)
        one.sendall(octets)
        if half_close:
            one.shutdown(socket.SHUT_WR)
            while one.recv(65536):
                pass


def test_garbage_everywhere(start: Start) -> None:
    server = start("--ephemeral", "--root-key", "AKIAX:y", "--production")
    for port in ports(server):
        for octets in GARBAGE:
            throw(port, octets, half_close=False)
            throw(port, octets, half_close=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        for octets in (*GARBAGE, b"", os.urandom(12), os.urandom(500)):
            with suppress(OSError):
                udp.sendto(octets[:60_000], ("127.0.0.1", server.ports["dns"]))
    # Two hundred clients that say nothing.
    idle = [
        socket.create_connection(("127.0.0.1", port), 5)
        for port in ports(server)
        for _ in range(200 // len(ports(server)))
    ]
    assert server.call("health")["status"] == "ok"
    with socket.create_connection(("127.0.0.1", server.ports["mx"]), 5) as mx:
        assert mx.recv(100).startswith(b"220 ")
    for one in idle:
        one.close()
    assert server.stop() == 0
    noisy = [line for line in server.log if '"level": "error"' in line or "Traceback" in line]
    assert noisy == []
