"""Queries of what people name: one table of whole, sealed texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from mailstead.mail.errors import Conflict
from mailstead.mail.model import Resource, Scope
from mailstead.mail.ports import Change, Create, Remove, Replace, Stands, Vacant
from mailstead.store import codec
from mailstead.store.sealing import Seal
from mailstead.store.transaction import Row, Transaction

_LAST = "\U0010ffff"


async def get(tx: Transaction, kind: type[Any], scope: Scope, name: str, seal: Seal) -> Any:
    """The resource, or None."""
    rows = await tx.run(
        "SELECT account, region, name, body FROM resource "
        "WHERE kind = ?1 AND account = ?2 AND region = ?3 AND name = ?4",
        kind.KIND,
        scope.account,
        scope.region,
        name,
    )
    return _decoded(kind, rows, seal)[0] if rows else None


async def find(tx: Transaction, kind: type[Any], name: str, seal: Seal) -> Any:
    """The resource of that name in whichever scope, or None."""
    # Asked by =, SQLite would read every resource of the kind, along the primary key.
    rows = await tx.run(
        "SELECT account, region, name, body FROM resource "
        "WHERE kind = ?1 AND name >= ?2 AND name <= ?2 LIMIT 1",
        kind.KIND,
        name,
    )
    return _decoded(kind, rows, seal)[0] if rows else None


async def select(
    tx: Transaction,
    kind: type[Any],
    scope: Scope | None,
    span: tuple[str, str, int],
    seal: Seal,
) -> list[Any]:
    """Resources in order of name; ``span`` is (prefix, after, limit)."""
    prefix, after, limit = span
    bounds = (kind.KIND, prefix, prefix + _LAST, after, limit)
    if scope is None:
        rows = await tx.run(
            "SELECT account, region, name, body FROM resource WHERE kind = ?1 "
            "AND name >= ?2 AND name < ?3 AND name > ?4 ORDER BY name LIMIT ?5",
            *bounds,
        )
    else:
        rows = await tx.run(
            "SELECT account, region, name, body FROM resource WHERE kind = ?1 "
            "AND account = ?6 AND region = ?7 "
            "AND name >= ?2 AND name < ?3 AND name > ?4 ORDER BY name LIMIT ?5",
            *bounds,
            scope.account,
            scope.region,
        )
    return _decoded(kind, rows, seal)


async def apply(tx: Transaction, changes: Sequence[Change], seal: Seal) -> None:
    """All the changes, or a Conflict."""
    for change in changes:
        match change:
            case Create(resource):
                await _create(tx, resource, seal)
            case Replace(old, new):
                await _check(tx, old, seal)
                await _write(tx, new, seal)
            case Remove(resource):
                await _check(tx, resource, seal)
                await tx.run(
                    "DELETE FROM resource "
                    "WHERE kind = ?1 AND account = ?2 AND region = ?3 AND name = ?4",
                    *_key(resource),
                )
            case Stands(resource):
                await _check_stands(tx, resource)
            case Vacant(kind, scope, prefix):
                await _check_vacant(tx, kind, scope, prefix)
            case _:
                assert_never(change)


async def _check_stands(tx: Transaction, resource: Resource) -> None:
    rows = await tx.run(
        "SELECT name FROM resource "
        "WHERE kind = ?1 AND account = ?2 AND region = ?3 AND name = ?4 /*pg FOR SHARE */",
        *_key(resource),
    )
    if not rows:
        raise Conflict(
            f"{resource.KIND} {resource.name} is gone",
            resource=resource.KIND,
            name=resource.name,
            reason="gone",
        )


async def _check_vacant(tx: Transaction, kind: type[Resource], scope: Scope, prefix: str) -> None:
    rows = await tx.run(
        "SELECT name FROM resource WHERE kind = ?1 AND account = ?2 AND region = ?3 "
        "AND name >= ?4 AND name < ?5 LIMIT 1",
        kind.KIND,
        *scope,
        prefix,
        prefix + _LAST,
    )
    if rows:
        raise Conflict(
            f"{kind.KIND} {rows[0][0]} is there",
            resource=kind.KIND,
            name=rows[0][0],
            reason="in-use",
        )


async def _create(tx: Transaction, resource: Resource, seal: Seal) -> None:
    made = await tx.run(
        "INSERT INTO resource (kind, account, region, name, body) VALUES (?1, ?2, ?3, ?4, ?5) "
        "ON CONFLICT (kind, account, region, name) DO NOTHING RETURNING name",
        *_key(resource),
        codec.encode(resource, seal),
    )
    if not made:
        raise Conflict(
            f"{resource.KIND} {resource.name} exists already",
            resource=resource.KIND,
            name=resource.name,
            reason="exists",
        )


async def _check(tx: Transaction, resource: Resource, seal: Seal) -> None:
    rows = await tx.run(
        "SELECT account, region, name, body FROM resource "
        "WHERE kind = ?1 AND account = ?2 AND region = ?3 AND name = ?4 /*pg FOR UPDATE */",
        *_key(resource),
    )
    stands = _decoded(type(resource), rows, seal)
    if stands != [resource]:
        raise Conflict(
            f"{resource.KIND} {resource.name} was changed meanwhile: read it again",
            resource=resource.KIND,
            name=resource.name,
            reason="stale",
        )


async def _write(tx: Transaction, resource: Resource, seal: Seal) -> None:
    await tx.run(
        "UPDATE resource SET body = ?5 "
        "WHERE kind = ?1 AND account = ?2 AND region = ?3 AND name = ?4",
        *_key(resource),
        codec.encode(resource, seal),
    )


def _key(resource: Resource) -> Row:
    return (resource.KIND, resource.scope.account, resource.scope.region, resource.name)


def _decoded(kind: type[Any], rows: list[Row], seal: Seal) -> list[Any]:
    return [
        codec.decode(kind, Scope(account, region), name, body, seal)
        for account, region, name, body in rows
    ]
