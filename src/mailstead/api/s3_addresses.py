"""Which bucket and key a host's name and a path mean: path style and virtual-host style.

A host's first label is a bucket where the rest is a name of this server, or where
a bucket of that name exists; an address is never one. Source: the Amazon S3 User
Guide, "Virtual hosting of general purpose buckets".
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

AMAZON = "amazonaws.com"
_SERVICE = re.compile(r"(?:^|\.)s3(?:[.-][a-z0-9.-]+)?$", re.ASCII)
"""What S3's own host names have between bucket and domain: ``.s3``, ``.s3.eu-west-1``."""


def host_name(written: str) -> str:
    """A Host field's name in lower case, without port and brackets."""
    if written.startswith("["):
        return written[1:].partition("]")[0].lower()
    return written.partition(":")[0].lower().rstrip(".")


class Addresses:
    """Reads addresses of buckets."""

    def __init__(self, hosts: Iterable[str], exists: Callable[[str], Awaitable[bool]]) -> None:
        """``hosts`` are the server's own names, ``exists`` says whether a bucket is there."""
        self._hosts = frozenset(host.lower() for host in hosts)
        named = {host for host in self._hosts if not _is_address(host)} | {AMAZON}
        self._bases = sorted(named, key=len, reverse=True)
        self._exists = exists

    async def bucket_in(self, host: str) -> str | None:
        """The bucket that a Host field names; None where it is in the path."""
        name = host_name(host)
        if name in self._hosts or _is_address(name):
            return None
        for base in self._bases:
            if name.endswith(f".{base}"):
                return _SERVICE.sub("", name.removesuffix(f".{base}")) or None
        label, dot, _ = name.partition(".")
        return label if dot and await self._exists(label) else None

    async def of_url(self, url: str) -> tuple[str, str] | None:
        """Bucket and key of a URL; None where it is not one of an object."""
        try:
            parts = urlsplit(url)
            path = unquote(parts.path, errors="strict")
        except ValueError:
            return None
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            return None
        bucket = await self.bucket_in(parts.netloc.rpartition("@")[2])
        key = path.removeprefix("/")
        if bucket is None:
            bucket, _, key = key.partition("/")
        return (bucket, key) if bucket and key else None


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
