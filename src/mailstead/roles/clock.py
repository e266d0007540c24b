"""The Clock and Randomness ports: the only places that read time and draw dice."""

from __future__ import annotations

import asyncio
import os
import threading
import time
import uuid
from base64 import b64encode
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

SERIALS_A_MILLISECOND = 1 << 20
POOL = 1024
"""Octets drawn from the system at a time."""


class SystemClock:
    """The machine's time."""

    def now(self) -> int:
        return time.time_ns() // 1_000_000

    def real(self) -> int:
        return time.time_ns() // 1_000_000

    def ticks(self) -> float:
        return time.monotonic()


class SystemRandomness:
    """The machine's dice."""

    def __init__(self, keys: ThreadPoolExecutor) -> None:
        self._keys = keys
        self._serial = 0
        self._pool = b""
        self._lock = threading.Lock()

    def token(self, size: int) -> bytes:
        # A system call for each of a message's numbers costs more than the numbers. The
        # store's thread draws nonces here too: no octet may be given twice.
        with self._lock:
            if size > len(self._pool):
                self._pool = os.urandom(max(POOL, size))
            drawn, self._pool = self._pool[:size], self._pool[size:]
        return drawn

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.token(16), version=4))

    def serial(self) -> int:
        # Milliseconds in front, so that a restart goes on above what was given before.
        floor = (time.time_ns() // 1_000_000) * SERIALS_A_MILLISECOND
        self._serial = max(self._serial + 1, floor)
        return self._serial

    def fraction(self) -> float:
        return int.from_bytes(self.token(7)) / (1 << 56)

    async def rsa_key(self, bits: int) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._keys, _rsa_key, bits)

    def p256_key(self) -> bytes:
        return _p256_key(serialization.Encoding.DER)

    def tls_key(self) -> bytes:
        """A new ECDSA P-256 key for TLS: PKCS#8 PEM."""
        return _p256_key(serialization.Encoding.PEM)


def _p256_key(encoding: serialization.Encoding) -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _rsa_key(bits: int) -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return b64encode(
        key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


class ThreadWorkers:
    """The Workers port on a thread pool: OpenSSL and argon2 release the GIL."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool

    async def run(self, work: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)


class LocalWakeups:
    """The Wakeups port inside one process."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        """How often each topic was woken."""
        self._events: dict[str, asyncio.Event] = {}

    def wake(self, topic: str) -> None:
        self.count[topic] += 1
        event = self._events.pop(topic, None)
        if event is not None:
            event.set()

    def watch(self, topic: str) -> LocalWatch:
        return LocalWatch(self, topic)

    def next(self, topic: str) -> asyncio.Event:
        """What the next wake sets."""
        return self._events.setdefault(topic, asyncio.Event())


class LocalWatch:
    """The Watch port: a count remembered."""

    def __init__(self, wakeups: LocalWakeups, topic: str) -> None:
        self._wakeups = wakeups
        self._topic = topic
        self._seen = wakeups.count[topic]

    async def wait(self, seconds: float) -> bool:
        if self._seen == self._wakeups.count[self._topic]:
            try:
                async with asyncio.timeout(seconds):
                    await self._wakeups.next(self._topic).wait()
            except TimeoutError:
                return False
        self._seen = self._wakeups.count[self._topic]
        return True
