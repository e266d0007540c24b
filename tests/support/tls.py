"""Keys for TLS in tests."""

from concurrent.futures import ThreadPoolExecutor

from mailstead.roles.clock import SystemRandomness


def tls_key() -> bytes:
    """A new ECDSA key, PEM."""
    with ThreadPoolExecutor(1) as pool:
        return SystemRandomness(pool).tls_key()
