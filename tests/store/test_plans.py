"""No query reads a whole table that grows: what the planner says of each statement."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailstead.mail.messages import EmailFilter, MailUser, Settlement, Step, digest
from mailstead.mail.model import Identity
from mailstead.mail.ports import Create, Remove, Replace
from mailstead.store.sqlite import SqliteStore
from mailstead.store.writer import SqliteTransaction
from support.messages import SCOPE, accepted, arrival, identity
from support.stores import sqlite_store

ONCE = (
    # At a start.
    "SELECT place FROM blob",
    "SELECT e.id, u.kind FROM email e",
    # For people: they count, or take the demo away.
    "SELECT (SELECT count(*)",
    "SELECT address, kind FROM mail_user WHERE demo",
    "SELECT id, message_id, body FROM outbound WHERE demo",
)


async def everything(store: SqliteStore) -> None:
    """Every function of the store, with every filter."""
    one = identity()
    await store.apply(Create(one))
    await store.get(Identity, SCOPE, one.name)
    await store.find(Identity, one.name)
    await store.select(Identity, SCOPE)
    await store.select(Identity, None, prefix="e", after="a", limit=3)
    await store.apply(Replace(one, replace(one, token="x")))
    await store.apply(Remove(replace(one, token="x")))
    await store.enqueue([accepted("a@x.test", "b@y.test")])
    await store.next_due()
    await store.destinations(2_000_000, 10)
    [leased] = await store.lease(1_000_000, 2_000_000, ["x.test"], 5)
    await store.deliver(
        [replace(arrival("h1", "a@x.test"), visible=False), arrival("h2", "b@x.test")],
        [accepted("c@z.test")],
    )
    notice = replace(accepted("s@z.test"), counted=0)
    steps = (Step(1, "bounced", {}),)
    await store.settle(
        [Settlement(leased, "bounced", "550", steps=steps, arrival="h1", notice=notice)]
    )
    await store.release()
    [first, *_] = await store.queue(10)
    for ids in ([first.id], []):
        await store.retry(1, ids)
        await store.discard(ids)
    await store.outbound("0100")
    await store.body(digest(b"Subject: x\r\n\r\nbody\r\n"))
    await store.add_user(MailUser(SCOPE, "you@example.test", "hosted", "h", 9))
    await store.user("you@example.test")
    await store.users()
    await store.users("example.test", 1)
    await store.replace_password("you@example.test", "x")
    for wanted in (
        EmailFilter(),
        EmailFilter(after=1),
        EmailFilter(mailbox="b@x.test"),
        EmailFilter(message_id="h2", since=5),
        EmailFilter(capture_only=True),
    ):
        found = await store.emails(wanted)
        assert found, wanted
    await store.email(found[0].id)
    await store.trace("h2")
    await store.statistics(SCOPE, 0)
    await store.counted(SCOPE, 0)
    await store.set_setting("a", "b")
    assert await store.setting("a") == "b"
    await store.status()
    await store.delete_emails([found[0].id])
    await store.delete_user("you@example.test")
    await store.remove_demo()


def test_no_statement_reads_a_whole_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    statements: dict[str, tuple[Any, ...]] = {}
    run = SqliteTransaction.run

    async def noted(self: SqliteTransaction, sql: str, *parameters: Any) -> Any:
        statements[sql] = parameters
        return await run(self, sql, *parameters)

    monkeypatch.setattr(SqliteTransaction, "run", noted)

    async def scene() -> None:
        async with sqlite_store(tmp_path) as store:
            await everything(store)
            for sql, parameters in statements.items():
                plan = store._reader.execute(f"EXPLAIN QUERY PLAN {sql}", parameters).fetchall()
                steps = [str(row[3]) for row in plan]
                reads = [one for one in steps if one.startswith("SCAN") and "hop" not in one]
                assert not reads or sql.startswith(ONCE), (sql, steps)
                # One column of a key that has several finds too much of it.
                assert "SEARCH resource USING PRIMARY KEY (kind=?)" not in steps, sql

    asyncio.run(scene())
    assert len(statements) > 50
