"""The commands' side of the local API: ``POST /_mailstead/admin/NOUN``.

The body is ``{"verb": ..., ...}``; the answer is what ``--json`` prints. One
table says which noun and verb is which function.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from mailstead.api.http import Request, Response, as_json, problem
from mailstead.mail import accounts
from mailstead.mail.demo import Demo
from mailstead.mail.domains import Domains
from mailstead.mail.errors import Invalid, NotFound
from mailstead.mail.identities import Identities, is_verified
from mailstead.mail.inbox import Inbox, detail, iso, journey
from mailstead.mail.mailboxes import Mailboxes
from mailstead.mail.messages import EmailFilter, MailUser, QueueEntry
from mailstead.mail.model import Account, Identity
from mailstead.mail.publication import Publication
from mailstead.mail.verification import Verification

ARRIVING_SECONDS = 5.0
"""How long ``mailbox read`` waits for mail that is on its way."""
QUEUE_SHOWN = 10_000

Arguments = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Admin:
    """What commands may do."""

    mailboxes: Mailboxes
    domains: Domains
    publication: Publication
    identities: Identities
    verification: Verification
    inbox: Inbox
    demo: Demo
    console_link: Callable[[], str]
    """Makes an address of the pages that logs in once."""
    about: Mapping[str, Any]
    """What ``status`` says of the process."""

    async def answer(self, request: Request, noun: str) -> Response:
        """The answer to one command."""
        if request.method != "POST":
            return problem(405, "commands are POST with a JSON body")
        try:
            body = json.loads(request.body)
        except ValueError:
            return problem(400, "the body is not JSON")
        if not isinstance(body, dict):
            return problem(400, 'the body is an object: {"verb": ...}')
        arguments = cast("dict[str, Any]", body)
        verb = str(arguments.get("verb", ""))
        command = _COMMANDS.get((noun, verb))
        if command is None:
            return problem(404, f"there is no command {noun} {verb}".rstrip())
        return as_json(await command(self, arguments))

    async def add_mailbox(self, given: Arguments) -> dict[str, Any]:
        address = _text(given, "address")
        password = given.get("password")
        made = await self.mailboxes.add(address, None if password is None else str(password))
        answer = {"address": self.mailboxes.key(address)}
        return {**answer, "password": made} if made is not None else answer

    async def list_mailboxes(self, _given: Arguments) -> dict[str, Any]:
        users = await self.mailboxes.store.users()
        return {"mailboxes": [_mailbox(user) for user in users]}

    async def read_mailbox(self, given: Arguments) -> dict[str, Any]:
        address = self.mailboxes.key(_text(given, "address"))
        await self._arrived(address)
        wanted = EmailFilter(mailbox=address, limit=int(given.get("limit") or 1))
        found = await self.inbox.find(wanted)
        if not found and await self.mailboxes.store.user(address) is None:
            raise NotFound(
                f"there is no mailbox {address}, and no mail to it was captured: "
                "`mailstead mailbox list` shows the mailboxes",
                resource="mailbox",
                name=address,
            )
        pairs = [await self.inbox.read(email.id) for email in reversed(found)]
        return {"mailbox": address, "messages": [detail(email, raw) for email, raw in pairs]}

    async def _arrived(self, address: str) -> None:
        """Wait for what is on its way to an address, so that a read after a send finds it."""
        clock = self.inbox.clock
        until = clock.ticks() + ARRIVING_SECONDS
        watch = self.inbox.wakeups.watch("emails")
        while clock.ticks() < until:
            waiting = await self.inbox.store.queue(QUEUE_SHOWN)
            if not any(self._on_its_way(entry, address) for entry in waiting):
                return
            await watch.wait(0.2)

    @staticmethod
    def _on_its_way(entry: QueueEntry, address: str) -> bool:
        return entry.recipient.lower() == address and entry.attempts <= 1 and not entry.last_reply

    async def set_password(self, given: Arguments) -> dict[str, Any]:
        address = _text(given, "address")
        password = given.get("password")
        made = await self.mailboxes.set_password(
            address, None if password is None else str(password)
        )
        answer = {"address": self.mailboxes.key(address)}
        return {**answer, "password": made} if made is not None else answer

    async def delete_mailbox(self, given: Arguments) -> dict[str, Any]:
        address = self.mailboxes.key(_text(given, "address"))
        await self.mailboxes.store.delete_user(address)
        return {"deleted": address}

    async def add_domain(self, given: Arguments) -> dict[str, Any]:
        return await self.domains.add(_text(given, "name"), dnssec=given.get("dnssec") is True)

    async def publish_domain(self, given: Arguments) -> dict[str, Any]:
        key = given.get("key")
        return await self.publication.publish(
            _text(given, "name"),
            _text(given, "server"),
            None if key is None else str(key),
            exchange=given.get("replace") is True,
        )

    async def list_domains(self, _given: Arguments) -> dict[str, Any]:
        return {"domains": await self.domains.listed()}

    async def check_domain(self, given: Arguments) -> dict[str, Any]:
        return await self.domains.check(_text(given, "name"))

    async def delete_domain(self, given: Arguments) -> dict[str, Any]:
        return await self.domains.delete(_text(given, "name"))

    async def verify_identity(self, given: Arguments) -> dict[str, Any]:
        identity = await self.verification.grant(self.mailboxes.home, _text(given, "name"))
        return _identity(identity)

    async def list_queue(self, _given: Arguments) -> dict[str, Any]:
        entries = await self.inbox.store.queue(QUEUE_SHOWN)
        return {
            "queue": [
                {**asdict(entry), "accepted_at": iso(entry.accepted_at), "due": iso(entry.due)}
                for entry in entries
            ]
        }

    async def retry_queue(self, given: Arguments) -> dict[str, Any]:
        now = self.identities.clock.now()
        done = await self.inbox.store.retry(now, _ids(given))
        self.inbox.wakeups.wake("queue")
        return {"retried": done}

    async def delete_queue(self, given: Arguments) -> dict[str, Any]:
        return {"deleted": await self.inbox.store.discard(_ids(given))}

    async def trace(self, given: Arguments) -> dict[str, Any]:
        return journey(await self.inbox.trace(_text(given, "id")))

    async def show_account(self, _given: Arguments) -> dict[str, Any]:
        return _account(await accounts.account(self.inbox.store, self.mailboxes.home))

    async def production(self, given: Arguments) -> dict[str, Any]:
        changed = await accounts.to_production(
            self.inbox.store,
            self.mailboxes.home,
            daily_quota=float(given.get("daily_quota") or accounts.PRODUCTION_DAILY),
            max_rate=float(given.get("max_rate", accounts.PRODUCTION_RATE)),
        )
        return _account(changed)

    async def sandbox(self, _given: Arguments) -> dict[str, Any]:
        return _account(await accounts.to_sandbox(self.inbox.store, self.mailboxes.home))

    async def remove_demo(self, _given: Arguments) -> dict[str, Any]:
        return {"removed": await self.demo.remove()}

    async def link(self, _given: Arguments) -> dict[str, Any]:
        return {"url": self.console_link()}

    async def status(self, _given: Arguments) -> dict[str, Any]:
        status = asdict(await self.inbox.store.status())
        return {**self.about, **status.pop("details"), **status}


Command = Callable[[Admin, Arguments], Awaitable[dict[str, Any]]]

_COMMANDS: dict[tuple[str, str], Command] = {
    ("mailbox", "add"): Admin.add_mailbox,
    ("mailbox", "list"): Admin.list_mailboxes,
    ("mailbox", "read"): Admin.read_mailbox,
    ("mailbox", "password"): Admin.set_password,
    ("mailbox", "delete"): Admin.delete_mailbox,
    ("domain", "add"): Admin.add_domain,
    ("domain", "list"): Admin.list_domains,
    ("domain", "check"): Admin.check_domain,
    ("domain", "publish"): Admin.publish_domain,
    ("domain", "delete"): Admin.delete_domain,
    ("identity", "verify"): Admin.verify_identity,
    ("queue", "list"): Admin.list_queue,
    ("queue", "retry"): Admin.retry_queue,
    ("queue", "delete"): Admin.delete_queue,
    ("trace", "show"): Admin.trace,
    ("account", "show"): Admin.show_account,
    ("account", "production"): Admin.production,
    ("account", "sandbox"): Admin.sandbox,
    ("demo", "remove"): Admin.remove_demo,
    ("console", "link"): Admin.link,
    ("status", "show"): Admin.status,
}


def _text(given: Arguments, name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Invalid(f"{name} is missing")
    return value


def _ids(given: Arguments) -> list[int]:
    ids = cast("list[object]", given.get("ids") or [])
    try:
        return [int(str(one)) for one in ids]
    except ValueError:
        raise Invalid("queue entries are named by the numbers that `queue list` shows") from None


def _mailbox(user: MailUser) -> dict[str, Any]:
    return {
        "address": user.address,
        "messages": user.used_count,
        "bytes": user.used_bytes,
        "created_at": iso(user.created_at),
    }


def _account(account: Account) -> dict[str, Any]:
    return {
        "account": account.scope.account,
        "region": account.scope.region,
        "production": account.production,
        "sending": account.sending,
        "daily_quota": account.daily_quota,
        "max_rate": account.max_rate,
        "review": account.details.review if account.details else None,
    }


def _identity(identity: Identity) -> dict[str, Any]:
    return {
        "name": identity.name,
        "verified": is_verified(identity),
        "dkim": identity.dkim.proof.status.value,
    }
