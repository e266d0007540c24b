"""Queries of the queue: accept, lease, settle; quota and statistics ride along."""

from __future__ import annotations

import json
from collections.abc import Sequence

from mailstead.mail.messages import (
    Accepted,
    Attempt,
    Door,
    Leased,
    OutboundMessage,
    QueueEntry,
    Recipient,
    Sent,
    Settlement,
    Signer,
    Step,
    Trace,
)
from mailstead.mail.model import Scope
from mailstead.store import bodies
from mailstead.store.bodies import Body, BodyFiles
from mailstead.store.transaction import Row, Transaction

MINUTE = 60_000
SLOT = 15 * MINUTE

_OUTBOUND = (
    "id, account, region, message_id, door, reverse_path, mail_from, header_from, subject, "
    "body, size, signers, accepted_at, expires_at, configuration_set, tags, demo"
)


async def enqueue(tx: Transaction, accepted: Accepted, body: Body, files: BodyFiles) -> None:
    """Keep one accepted message."""
    message = accepted.message
    await bodies.keep(tx, body, files)
    await tx.run(
        f"INSERT INTO outbound ({_OUTBOUND}) VALUES "
        "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
        message.id,
        message.scope.account,
        message.scope.region,
        message.message_id,
        message.door.value,
        message.reverse_path,
        message.mail_from,
        message.header_from,
        message.subject,
        message.body,
        message.size,
        json.dumps([[signer.domain, signer.selector, signer.key] for signer in message.signers]),
        message.accepted_at,
        message.expires_at,
        message.configuration_set,
        json.dumps(message.tags),
        int(message.demo),
    )
    await tx.many(
        "INSERT INTO recipient "
        "(id, message, number, address, destination, due, lease, attempts, state, reply) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, 0, 'waiting', '')",
        [
            (one.id, message.id, one.number, one.address, one.destination, one.due)
            for one in accepted.recipients
        ],
    )
    if accepted.steps:
        await add_trace(tx, message.message_id, message.accepted_at, accepted.steps, ())
    if accepted.counted:
        await _count(tx, message.scope, message.accepted_at, accepted.counted)


async def _count(tx: Transaction, scope: Scope, at: int, recipients: int) -> None:
    await tx.run(
        "INSERT INTO counted (account, region, minute, recipients) VALUES (?1, ?2, ?3, ?4) "
        "ON CONFLICT (account, region, minute) "
        "DO UPDATE SET recipients = counted.recipients + excluded.recipients",
        *scope,
        at - at % MINUTE,
        recipients,
    )
    await add_statistic(tx, scope, at, (recipients, 0, 0, 0))


async def add_statistic(
    tx: Transaction, scope: Scope, at: int, numbers: tuple[int, int, int, int]
) -> None:
    """Add attempts, bounces, complaints and rejects to the slot of that time."""
    await tx.run(
        "INSERT INTO statistic (account, region, slot, attempts, bounces, complaints, rejects) "
        "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (account, region, slot) DO UPDATE SET "
        "attempts = statistic.attempts + excluded.attempts, "
        "bounces = statistic.bounces + excluded.bounces, "
        "complaints = statistic.complaints + excluded.complaints, "
        "rejects = statistic.rejects + excluded.rejects",
        *scope,
        at - at % SLOT,
        *numbers,
    )


async def destinations(tx: Transaction, now: int, limit: int) -> list[str]:
    """Destinations that have a due recipient, by hopping along the index."""
    # A next-greater query for each, since DISTINCT would read every waiting row.
    rows = await tx.run(
        "WITH RECURSIVE hop(destination) AS ("
        "SELECT min(destination) FROM recipient WHERE due IS NOT NULL "
        "UNION ALL SELECT (SELECT min(r.destination) FROM recipient r "
        "WHERE r.due IS NOT NULL AND r.destination > hop.destination) "
        "FROM hop WHERE hop.destination IS NOT NULL) "
        "SELECT destination FROM hop WHERE destination IS NOT NULL AND EXISTS ("
        "SELECT 1 FROM recipient r WHERE r.destination = hop.destination AND r.due <= ?1) LIMIT ?2",
        now,
        limit,
    )
    return [row[0] for row in rows]


async def next_due(tx: Transaction) -> int | None:
    """When the next recipient falls due."""
    rows = await tx.run("SELECT min(due) FROM recipient WHERE due IS NOT NULL")
    return rows[0][0]


async def lease(
    tx: Transaction, span: tuple[int, int], token: int, wanted: Sequence[str], each: int
) -> list[Leased]:
    """Lease due recipients of some destinations; ``span`` is (now, until)."""
    now, until = span
    leased: list[Row] = []
    for destination in wanted:
        leased += await tx.run(
            "UPDATE recipient SET due = ?1, lease = ?2, attempts = attempts + 1 WHERE id IN ("
            "SELECT id FROM recipient WHERE destination = ?3 AND due <= ?4 "
            "ORDER BY due LIMIT ?5 /*pg FOR UPDATE SKIP LOCKED */) "
            "RETURNING id, message, number, address, destination, attempts",
            until,
            token,
            destination,
            now,
            each,
        )
    messages: dict[int, OutboundMessage] = {}
    for row in leased:
        if row[1] not in messages:
            found = await tx.run(
                f"SELECT {_OUTBOUND} FROM outbound WHERE id = ?1",
                row[1],
            )
            messages[row[1]] = _outbound(found[0])
    return [
        Leased(
            messages[message],
            Recipient(id_, address, number, destination, until),
            token,
            attempts,
        )
        for id_, message, number, address, destination, attempts in sorted(leased)
    ]


def _outbound(row: Row) -> OutboundMessage:
    return OutboundMessage(
        id=row[0],
        scope=Scope(row[1], row[2]),
        message_id=row[3],
        door=Door(row[4]),
        reverse_path=row[5],
        mail_from=row[6],
        header_from=row[7],
        subject=row[8],
        body=row[9],
        size=row[10],
        signers=tuple(Signer(*signer) for signer in json.loads(row[11])),
        accepted_at=row[12],
        expires_at=row[13],
        configuration_set=row[14],
        tags=tuple((name, value) for name, value in json.loads(row[15])),
        demo=bool(row[16]),
    )


async def settle(tx: Transaction, settlement: Settlement) -> bool:
    """End one attempt; False when its lease was lost, and nothing was changed."""
    recipient, message = settlement.leased.recipient, settlement.leased.message
    waits = settlement.outcome == "deferred"
    changed = await tx.run(
        "UPDATE recipient SET due = ?1, lease = 0, state = ?2, reply = ?3 "
        "WHERE id = ?4 AND lease = ?5 RETURNING id",
        settlement.due if waits else None,
        "waiting" if waits else settlement.outcome,
        settlement.reply,
        recipient.id,
        settlement.leased.lease,
    )
    if settlement.attempts or settlement.steps:
        at = settlement.attempts[-1].at if settlement.attempts else settlement.steps[-1].at
        await add_trace(tx, message.message_id, at, settlement.steps, settlement.attempts)
    if changed and settlement.outcome == "bounced" and not message.demo:
        at = settlement.attempts[-1].at if settlement.attempts else message.accepted_at
        await add_statistic(tx, message.scope, at, (0, 1, 0, 0))
    return bool(changed)


async def release(tx: Transaction) -> None:
    """Make every leased recipient due at once."""
    await tx.run(
        "UPDATE recipient SET due = 0, lease = 0 WHERE lease <> 0 AND due IS NOT NULL",
    )


async def waiting(tx: Transaction, limit: int) -> list[QueueEntry]:
    """Recipients not settled for good."""
    rows = await tx.run(
        "SELECT r.id, o.message_id, r.address, o.reverse_path, o.accepted_at, r.due, r.attempts, "
        "r.reply FROM recipient r JOIN outbound o ON o.id = r.message "
        # Not in the order of the table, most of which is settled.
        "WHERE r.due IS NOT NULL ORDER BY +r.id LIMIT ?1",
        limit,
    )
    return [QueueEntry(*row) for row in rows]


async def retry(tx: Transaction, now: int, ids: Sequence[int]) -> int:
    """Make waiting recipients due, those leased left alone."""
    if not ids:
        rows = await tx.run(
            "UPDATE recipient SET due = ?1 WHERE due IS NOT NULL AND lease = 0 RETURNING id", now
        )
        return len(rows)
    done = 0
    for one in ids:
        done += len(
            await tx.run(
                "UPDATE recipient SET due = ?1 "
                "WHERE id = ?2 AND due IS NOT NULL AND lease = 0 RETURNING id",
                now,
                one,
            )
        )
    return done


async def discard(tx: Transaction, ids: Sequence[int]) -> int:
    """Take waiting recipients out of the queue."""
    if not ids:
        ids = [row[0] for row in await tx.run("SELECT id FROM recipient WHERE due IS NOT NULL")]
    done = 0
    for one in ids:
        done += len(
            await tx.run(
                "UPDATE recipient SET due = NULL, lease = 0, state = 'discarded' "
                "WHERE id = ?1 AND due IS NOT NULL RETURNING id",
                one,
            )
        )
    return done


async def outbound(tx: Transaction, start: str) -> list[tuple[str, Scope, str, tuple[str, ...]]]:
    """MessageId, scope, reverse path and recipients of messages whose id begins so."""
    rows = await tx.run(
        "SELECT id, message_id, account, region, reverse_path FROM outbound "
        "WHERE message_id >= ?1 AND message_id < ?2 ORDER BY message_id LIMIT 1000",
        start,
        start + "~",
    )
    found: list[tuple[str, Scope, str, tuple[str, ...]]] = []
    for message, message_id, account, region, reverse_path in rows:
        addresses = await tx.run(
            "SELECT address FROM recipient WHERE message = ?1 ORDER BY number", message
        )
        recipients = tuple(row[0] for row in addresses)
        found.append((message_id, Scope(account, region), reverse_path, recipients))
    return found


async def add_trace(
    tx: Transaction,
    message_id: str,
    at: int,
    steps: Sequence[Step],
    attempts: Sequence[Attempt],
) -> None:
    """Write some of a message's journey."""
    body = {
        "steps": [[step.at, step.step, step.detail] for step in steps],
        "attempts": [
            [a.at, a.recipient, a.host, a.address, a.tls, list(a.replies), a.outcome]
            for a in attempts
        ],
    }
    await tx.run(
        "INSERT INTO trace (message_id, at, body) VALUES (?1, ?2, ?3)",
        message_id,
        at,
        json.dumps(body, ensure_ascii=False, separators=(",", ":")),
    )


async def trace(tx: Transaction, message_id: str) -> Trace | None:
    """A message's journey so far."""
    # What its receivers wrote lies under the ids that they gave it.
    rows = await tx.run(
        "SELECT body FROM trace WHERE message_id = ?1 OR message_id IN "
        "(SELECT arrival FROM email WHERE message_id = ?1 AND visible IS NOT NULL) ORDER BY at",
        message_id,
    )
    if not rows:
        return None
    parts = [json.loads(row[0]) for row in rows]
    steps = [Step(*step) for part in parts for step in part["steps"]]
    attempts = [
        Attempt(at, recipient, host, address, tls, tuple(replies), outcome)
        for part in parts
        for at, recipient, host, address, tls, replies, outcome in part["attempts"]
    ]
    steps.sort(key=lambda step: step.at)
    attempts.sort(key=lambda attempt: attempt.at)
    return Trace(message_id, tuple(steps), tuple(attempts))


async def statistics(tx: Transaction, scope: Scope, since: int) -> list[Sent]:
    """Slots of 15 minutes since then."""
    rows = await tx.run(
        "SELECT slot, attempts, bounces, complaints, rejects FROM statistic "
        "WHERE account = ?1 AND region = ?2 AND slot >= ?3 ORDER BY slot",
        *scope,
        since,
    )
    return [Sent(*row) for row in rows]


async def counted(tx: Transaction, scope: Scope, since: int) -> list[tuple[int, int]]:
    """(minute, recipients) since then."""
    rows = await tx.run(
        "SELECT minute, recipients FROM counted "
        "WHERE account = ?1 AND region = ?2 AND minute >= ?3 ORDER BY minute",
        *scope,
        since,
    )
    return [(minute, recipients) for minute, recipients in rows]
