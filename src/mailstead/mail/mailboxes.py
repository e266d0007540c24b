"""Mailboxes of people here: made, listed, opened with a password, deleted.

A domain hosted here receives mail once it has a mailbox. Addresses compare
without case; what follows a ``+`` in the local part is the owner's own label.
"""

from __future__ import annotations

from base64 import b32encode
from dataclasses import dataclass
from unicodedata import normalize

from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.messages import MailUser
from mailstead.mail.model import Scope
from mailstead.mail.passwords import hash_password, matches
from mailstead.mail.ports import Clock, Randomness, Store, Workers
from mailstead.mail.zones import Zones
from mailstead.wire.addresses import AddressError, domain_key, parse_path, quote_local


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """What mailbox functions need of the outside."""

    store: Store
    clock: Clock
    randomness: Randomness
    workers: Workers
    zones: Zones
    home: Scope
    """The account and region that own what is made by commands."""

    async def add(self, address: str, password: str | None, *, demo: bool = False) -> str | None:
        """Make a mailbox; the random password where none was given."""
        key = self.key(address)
        domain = key.rpartition("@")[2]
        if self.zones.zone_of(domain) is None:
            raise NotFound(
                f"the domain {domain} is not hosted here: `mailstead domain add {domain}` first",
                resource="domain",
                name=domain,
            )
        made = None if password is not None else self._random_password()
        hashed = await self.workers.run(
            hash_password, password or made or "", self.randomness.token(16)
        )
        await self.store.add_user(
            MailUser(self.home, key, "hosted", hashed, self.clock.now(), demo=demo)
        )
        return made

    async def set_password(self, address: str, password: str | None) -> str | None:
        """Change a password; the random one where none was given."""
        made = None if password is not None else self._random_password()
        hashed = await self.workers.run(
            hash_password, password or made or "", self.randomness.token(16)
        )
        await self.store.replace_password(self.key(address), hashed)
        return made

    async def opens(self, address: str, password: str) -> MailUser | None:
        """The owner whom that password lets in. An unknown address takes as long."""
        try:
            user = await self.store.user(self.key(address))
        except Invalid:
            user = None
        if user is None:
            await self.workers.run(hash_password, password, b"nobody's salt...")
            return None
        return user if await self.workers.run(matches, user.password_hash, password) else None

    async def owner(self, address: str) -> MailUser | None:
        """Whose mailbox takes mail for an address: with a label, the plain one's."""
        local, _, domain = _folded(address).rpartition("@")
        found = await self.store.user(f"{local}@{domain}")
        plain, plus, _ = local.partition("+")
        if found is None and plus and plain and not local.startswith('"'):
            found = await self.store.user(f"{plain}@{domain}")
        return found

    async def eldest(self, domain: str = "") -> MailUser | None:
        """The first mailbox that was made, of a domain or of all."""
        if domain:
            return next(iter(await self.store.users(domain, 1)), None)
        return min(await self.store.users(), key=lambda user: user.created_at, default=None)

    async def receives(self, domain: str) -> bool:
        """Whether a domain is hosted here and has a mailbox."""
        return self.zones.zone_of(domain) is not None and bool(await self.store.users(domain, 1))

    def key(self, address: str) -> str:
        """An address as mailboxes are named: lower case, A-labels, composed characters."""
        try:
            parsed = parse_path(address, utf8=True)
            return _folded(f"{quote_local(parsed.local)}@{domain_key(parsed.domain)}")
        except AddressError as error:
            raise Invalid(f"{address}: {error.text}", resource="mailbox", name=address) from None

    def _random_password(self) -> str:
        """20 letters and digits, 100 random bits."""
        return b32encode(self.randomness.token(13)).decode().rstrip("=").lower()[:20]


def _folded(address: str) -> str:
    """The form in which addresses compare: RFC 6530 10.1 wants NFC, and people no case."""
    return normalize("NFC", address.lower())
