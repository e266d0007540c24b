"""Queries of mailboxes: users, deliveries, emails.

UID and modseq are taken and the row inserted inside one write that holds the
user's row, so that UIDs rise in the order of commits (RFC 9051 2.3.1.1).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from mailstead.mail.errors import Conflict, NotFound
from mailstead.mail.messages import Arrival, Email, EmailFilter, MailUser
from mailstead.mail.model import Scope
from mailstead.store import bodies, queue
from mailstead.store.bodies import Body, BodyFiles
from mailstead.store.transaction import Row, Transaction

FOLDERS = (
    ("INBOX", ""),
    ("Sent", "\\Sent"),
    ("Drafts", "\\Drafts"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)
"""What a hosted user begins with; special uses of RFC 6154."""

SEEN = 1
"""The bit of \\Seen in ``message.flags``."""

_USER = "account, region, address, kind, password_hash, created_at, used_bytes, used_count, demo"
_EMAIL = (
    "e.visible, u.address, u.kind, e.header_from, e.recipient, e.subject, e.received, e.size, "
    "e.message_id, e.authentication, e.blob_hash, e.prefix"
)

_TERMS = {
    "mailbox": "e.mail_user IN ("
    "SELECT id FROM mail_user WHERE kind IN ('capture', 'hosted') AND address = {})",
    "message_id": "e.message_id = {}",
    "since": "e.received >= {}",
}
"""The filters of EmailFilter that are columns, each with a parameter."""


async def add_user(tx: Transaction, user: MailUser, first: int) -> None:
    """Make a user with the folders of its kind; ids from ``first`` on, one for each."""
    made = await tx.run(
        "INSERT INTO mail_user (id, account, region, kind, address, domain, password_hash, "
        "created_at, modseq, min_modseq, indexed_modseq, used_bytes, used_count, quota, demo) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1, 0, 0, 0, 0, 0, ?9) "
        "ON CONFLICT (kind, address) DO NOTHING RETURNING id",
        first,
        *user.scope,
        user.kind,
        user.address,
        user.address.rpartition("@")[2],
        user.password_hash,
        user.created_at,
        int(user.demo),
    )
    if not made:
        raise Conflict(
            f"the mailbox {user.address} exists already",
            resource="mailbox",
            name=user.address,
            reason="exists",
        )
    for place, (name, special) in enumerate(FOLDERS if user.kind == "hosted" else FOLDERS[:1]):
        [(uidvalidity,)] = await tx.run(
            "UPDATE counter SET value = value + 1 WHERE name = 'uidvalidity' RETURNING value"
        )
        folder = first + 1 + place
        await tx.run(
            "INSERT INTO mailbox (id, mail_user, parent, name, uidvalidity, uidnext, recent_uid, "
            "modseq, createseq, special_use, subscribed, total, unseen, deleted, bytes, objectid, "
            "expunged_at) VALUES (?1, ?2, NULL, ?3, ?4, 1, 1, 1, 1, ?5, 1, 0, 0, 0, 0, ?6, 0)",
            folder,
            first,
            name,
            uidvalidity,
            special,
            f"F{folder:x}",
        )


async def deliver(
    tx: Transaction, arrival: Arrival, body: Body, ids: tuple[int, int], files: BodyFiles
) -> None:
    """Put one message into a mailbox. ``ids`` are the email's and a new capture user's."""
    email, spare = ids
    size = body.size + len(arrival.prefix)
    user = await _owner(tx, arrival, spare)
    await bodies.keep(tx, body, files)
    [(modseq,)] = await tx.run(
        "UPDATE mail_user SET modseq = modseq + 1, used_bytes = used_bytes + ?2, "
        "used_count = used_count + 1 WHERE id = ?1 RETURNING modseq",
        user,
        size,
    )
    [(mailbox, uid)] = await tx.run(
        "UPDATE mailbox SET uidnext = uidnext + 1, modseq = ?3, total = total + 1, "
        "unseen = unseen + 1, bytes = bytes + ?4 WHERE mail_user = ?1 AND name = ?2 "
        "RETURNING id, uidnext - 1",
        user,
        arrival.folder,
        modseq,
        size,
    )
    visible = await _next_visible(tx) if arrival.visible else None
    await tx.run(
        "INSERT INTO email (id, mail_user, visible, arrival, message_id, recipient, reverse_path, "
        "header_from, subject, blob_hash, prefix, size, received, msgid, authentication, headers) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        email,
        user,
        visible,
        arrival.id,
        arrival.id,
        arrival.address,
        arrival.reverse_path,
        arrival.header_from,
        arrival.subject,
        body.hash,
        arrival.prefix,
        size,
        arrival.received_at,
        arrival.message_id,
        json.dumps(arrival.authentication),
        json.dumps(arrival.header_index, separators=(",", ":")),
    )
    await tx.run(
        "INSERT INTO message (mailbox, uid, email, flags, keywords, modseq, createseq, savedate, "
        "internaldate, size) VALUES (?1, ?2, ?3, 0, '', ?4, ?4, ?5, ?5, ?6)",
        mailbox,
        uid,
        email,
        modseq,
        arrival.received_at,
        size,
    )
    if arrival.steps:
        await queue.add_trace(tx, arrival.id, arrival.received_at, arrival.steps, ())


async def _owner(tx: Transaction, arrival: Arrival, spare: int) -> int:
    rows = await tx.run(
        "SELECT id FROM mail_user WHERE kind = ?1 AND address = ?2 /*pg FOR UPDATE */",
        arrival.kind,
        arrival.user,
    )
    if rows:
        return rows[0][0]
    if arrival.kind != "capture":
        raise NotFound(
            f"no mailbox {arrival.user}", resource="mailbox", name=arrival.user, reason="gone"
        )
    user = MailUser(
        arrival.scope,
        arrival.user,
        "capture",
        created_at=arrival.received_at,
        demo=arrival.demo,
    )
    await add_user(tx, user, spare)
    return spare


async def _next_visible(tx: Transaction) -> int:
    [(value,)] = await tx.run(
        "UPDATE counter SET value = value + 1 WHERE name = 'visible' RETURNING value"
    )
    return value


async def show(tx: Transaction, arrival: str, message_id: str) -> None:
    """Make an email visible whose sender, ours too, has settled."""
    rows = await tx.run(
        "SELECT id, arrival FROM email WHERE arrival = ?1 AND visible IS NULL", arrival
    )
    for email, _ in rows:
        await tx.run(
            "UPDATE email SET visible = ?2, message_id = ?3 WHERE id = ?1",
            email,
            await _next_visible(tx),
            message_id,
        )


async def settle_visibility(tx: Transaction, files: BodyFiles) -> None:
    """After a start: show what a hosted mailbox holds, drop captures that will come again."""
    rows = await tx.run(
        "SELECT e.id, u.kind FROM email e JOIN mail_user u ON u.id = e.mail_user "
        "WHERE e.visible IS NULL ORDER BY e.id"
    )
    for email, kind in rows:
        if kind == "hosted":
            await tx.run(
                "UPDATE email SET visible = ?2 WHERE id = ?1", email, await _next_visible(tx)
            )
        else:
            await _purge(tx, email, files)


async def user(tx: Transaction, address: str) -> MailUser | None:
    """A hosted user."""
    rows = await tx.run(
        f"SELECT {_USER} FROM mail_user WHERE kind = 'hosted' AND address = ?1",
        address,
    )
    return _user(rows[0]) if rows else None


async def users(tx: Transaction, domain: str, limit: int) -> list[MailUser]:
    """Hosted users: of one domain the eldest first, else by address."""
    if domain:
        rows = await tx.run(
            f"SELECT {_USER} FROM mail_user WHERE kind = 'hosted' AND domain = ?1 "
            "ORDER BY id LIMIT ?2",
            domain,
            limit,
        )
    else:
        rows = await tx.run(
            f"SELECT {_USER} FROM mail_user WHERE kind = 'hosted' ORDER BY address LIMIT ?1", limit
        )
    return [_user(row) for row in rows]


def _user(row: Row) -> MailUser:
    account, region, *rest, demo = row
    return MailUser(Scope(account, region), *rest, demo=bool(demo))


async def replace_password(tx: Transaction, address: str, password_hash: str) -> None:
    """Change a password."""
    rows = await tx.run(
        "UPDATE mail_user SET password_hash = ?2 "
        "WHERE kind = 'hosted' AND address = ?1 RETURNING id",
        address,
        password_hash,
    )
    if not rows:
        raise _no_mailbox(address)


async def delete_user(tx: Transaction, address: str, kind: str, files: BodyFiles) -> None:
    """Delete a user with folders and mail."""
    rows = await tx.run(
        "SELECT id, address FROM mail_user WHERE kind = ?1 AND address = ?2", kind, address
    )
    if not rows:
        raise _no_mailbox(address)
    owner = rows[0][0]
    for (email,) in await tx.run("SELECT id FROM email WHERE mail_user = ?1", owner):
        await _purge(tx, email, files)
    await tx.run(
        "DELETE FROM tombstone WHERE mailbox IN (SELECT id FROM mailbox WHERE mail_user = ?1)",
        owner,
    )
    await tx.run("DELETE FROM mailbox WHERE mail_user = ?1", owner)
    await tx.run("DELETE FROM mail_user WHERE id = ?1", owner)


def _no_mailbox(address: str) -> NotFound:
    return NotFound(
        f"there is no mailbox {address}: `mailstead mailbox list` shows those there are",
        resource="mailbox",
        name=address,
    )


async def emails(tx: Transaction, wanted: EmailFilter, page: tuple[int, int]) -> list[Email]:
    """One page of emails; ``page`` is (from which visible number on, how many).

    With ``wanted.after`` oldest first from there; else newest first from there
    downwards. Text filters are the caller's: they look into bodies.
    """
    start, limit = page
    forward = wanted.after > 0
    terms, values = [f"e.visible {'>' if forward else '<'} ?1"], [start, limit]
    if wanted.capture_only:
        terms.append("u.kind = 'capture'")
    # Only what is asked for stands in the text, so that an index on it can serve.
    for name, term in _TERMS.items():
        value = getattr(wanted, name)
        if value:
            values.append(value)
            terms.append(term.format(f"?{len(values)}"))
    rows = await tx.run(
        f"SELECT {_EMAIL} FROM email e JOIN mail_user u ON u.id = e.mail_user "
        f"WHERE {' AND '.join(terms)} ORDER BY e.visible {'ASC' if forward else 'DESC'} LIMIT ?2",
        *values,
    )
    return [_email(row) for row in rows]


async def email(tx: Transaction, visible: int) -> Email | None:
    """One email."""
    rows = await tx.run(
        f"SELECT {_EMAIL} FROM email e JOIN mail_user u ON u.id = e.mail_user WHERE e.visible = ?1",
        visible,
    )
    return _email(rows[0]) if rows else None


def _email(row: Row) -> Email:
    return Email(
        id=row[0],
        mailbox=row[1],
        kind=row[2],
        header_from=row[3],
        recipients=(row[4],),
        subject=row[5],
        received_at=row[6],
        size=row[7],
        message_id=row[8],
        authentication=json.loads(row[9]),
        body=row[10],
        prefix=row[11],
    )


async def delete_emails(tx: Transaction, ids: Sequence[int], files: BodyFiles) -> None:
    """Expunge emails from whatever folders hold them."""
    for visible in ids:
        for (one,) in await tx.run("SELECT id FROM email WHERE visible = ?1", visible):
            await _purge(tx, one, files)


async def _purge(tx: Transaction, email: int, files: BodyFiles) -> None:
    [(user, size, blob)] = await tx.run(
        "SELECT mail_user, size, blob_hash FROM email WHERE id = ?1", email
    )
    [(modseq,)] = await tx.run(
        "UPDATE mail_user SET modseq = modseq + 1, used_bytes = used_bytes - ?2, "
        "used_count = used_count - 1 WHERE id = ?1 RETURNING modseq",
        user,
        size,
    )
    for mailbox, uid, flags in await tx.run(
        "SELECT mailbox, uid, flags FROM message WHERE email = ?1", email
    ):
        await tx.run("DELETE FROM message WHERE mailbox = ?1 AND uid = ?2", mailbox, uid)
        await tx.run(
            "INSERT INTO tombstone (mailbox, modseq, uid) VALUES (?1, ?2, ?3)",
            mailbox,
            modseq,
            uid,
        )
        await tx.run(
            "UPDATE mailbox SET total = total - 1, unseen = unseen - ?2, bytes = bytes - ?3, "
            "modseq = ?4 WHERE id = ?1",
            mailbox,
            0 if flags & SEEN else 1,
            size,
            modseq,
        )
    await tx.run("DELETE FROM email WHERE id = ?1", email)
    await bodies.release(tx, blob, files)


async def remove_demo(tx: Transaction, files: BodyFiles) -> int:
    """Take away demo users with their mail, and demo messages with their traces."""
    removed = 0
    for address, kind in await tx.run("SELECT address, kind FROM mail_user WHERE demo = 1"):
        await delete_user(tx, address, kind, files)
        removed += 1
    for message, message_id, body in await tx.run(
        "SELECT id, message_id, body FROM outbound WHERE demo = 1"
    ):
        await tx.run("DELETE FROM recipient WHERE message = ?1", message)
        await tx.run("DELETE FROM trace WHERE message_id = ?1", message_id)
        await tx.run("DELETE FROM outbound WHERE id = ?1", message)
        await bodies.release(tx, body, files)
        removed += 1
    return removed
