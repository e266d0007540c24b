"""Route 53's change batches: checked against a zone's record sets, whole or not at all.

Pure. Changes apply in order, so that what one makes or deletes counts for those
after it. All that is wrong with a batch is said at once, in Route 53's words.
Source: Route 53 API Reference, ChangeResourceRecordSets; texts as its users see them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailstead.mail.errors import Invalid
from mailstead.mail.model import HostedZone, RecordSet
from mailstead.mail.ports import Change, Create, Remove, Replace
from mailstead.wire.domain_name import DomainNameError, canonical_name
from mailstead.wire.rdata import TYPES, RdataError, to_wire

RECORD_LIMIT = 1000
"""Values in one batch; those of an UPSERT count twice."""
CHARACTER_LIMIT = 32_000
VALUE_LIMIT = 400
"""Values in one record set."""

Records = Mapping[str, RecordSet]
"""A zone's record sets by their names, `RecordSet.key`."""
Planned = dict[str, RecordSet | None]
"""What a batch makes of record sets; None is deleted."""


@dataclass(frozen=True, slots=True)
class RecordChange:
    """One change of a batch, as it was asked for."""

    action: str
    """``CREATE``, ``DELETE`` or ``UPSERT``."""
    owner: str
    type: str
    ttl: int | None = None
    values: tuple[str, ...] = ()

    @property
    def described(self) -> str:
        """The change as Route 53 names it in errors."""
        return f"[Action={self.action}, Name={self.owner}, Type={self.type}, SetIdentifier=null]"


class _Problem(Exception):
    """What is wrong with one change."""


def plan(zone: HostedZone, records: Records, changes: Sequence[RecordChange]) -> Planned:
    """What a batch makes of a zone's record sets.

    Invalid with resource ``record-set`` for what is wrong with the records, and
    ``change`` for a request that is not complete.
    """
    for change in changes:
        if change.ttl is None or not change.values:
            raise Invalid(
                "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and "
                "ResourceRecords], or TrafficPolicyInstanceId], but found none in Change with "
                f"{change.described}",
                resource="change",
                reason="incomplete",
            )
    problems = _oversize(changes)
    batch = _Batch(zone, records)
    for change in changes if not problems else ():
        try:
            batch.apply(change)
        except _Problem as problem:
            problems.append(str(problem))
    problems += batch.lacking() if not problems else []
    if problems:
        raise Invalid(
            f"[{', '.join(dict.fromkeys(problems))}]",
            resource="record-set",
            name=zone.domain,
            reason="batch",
        )
    return batch.planned


def as_changes(records: Records, planned: Planned) -> list[Change]:
    """What the Store has to do for a plan."""
    changes: list[Change] = []
    for key, new in planned.items():
        old = records.get(key)
        if old == new:
            continue
        if old is None:
            assert new is not None
            changes.append(Create(new))
        else:
            changes.append(Remove(old) if new is None else Replace(old, new))
    return changes


def _oversize(changes: Sequence[RecordChange]) -> list[str]:
    values = characters = 0
    for change in changes:
        times = 2 if change.action == "UPSERT" else 1
        values += times * len(change.values)
        characters += times * sum(map(len, change.values))
    problems: list[str] = []
    if values > RECORD_LIMIT:
        problems.append(f"Number of records limit of {RECORD_LIMIT} exceeded.")
    if characters > CHARACTER_LIMIT:
        problems.append(f"Number of characters limit of {CHARACTER_LIMIT} exceeded.")
    return problems


class _Batch:
    """A batch on its way: what it changed so far."""

    def __init__(self, zone: HostedZone, records: Records) -> None:
        self._zone = zone
        self._records = records
        self._apex = f"{zone.domain}."
        self._actions: dict[str, str] = {}
        self.planned: Planned = {}

    def apply(self, change: RecordChange) -> None:
        """Take one change in, or say what is wrong with it."""
        owner = self._owner(change)
        record_type = change.type
        if record_type not in TYPES:
            raise _Problem(f"records of type {record_type} are not supported by mailstead")
        wires = _wires(change)
        key = RecordSet.key(self._zone.name, owner, record_type)
        self._check_repeated(key, change, owner)
        found = self._standing(key)
        shown = f"[name='{owner}.', type='{record_type}']"
        if change.action == "DELETE":
            if found is None:
                raise _Problem(f"Tried to delete resource record set {shown} but it was not found")
            if found.ttl != change.ttl or wires != _data(found):
                raise _Problem(
                    f"Tried to delete resource record set {shown} but the values provided do not "
                    "match the current values"
                )
            self.planned[key] = None
            return
        if change.action == "CREATE" and found is not None:
            raise _Problem(f"Tried to create resource record set {shown} but it already exists")
        self._check_place(owner, record_type, len(wires))
        self._check_alias(owner, record_type)
        assert change.ttl is not None
        self.planned[key] = RecordSet(
            self._zone.scope,
            key,
            self._zone.name,
            owner,
            record_type,
            change.ttl,
            change.values,
        )

    def lacking(self) -> list[str]:
        """What the zone would lack after the batch."""
        problems: list[str] = []
        for record_type, problem in (
            ("NS", "A HostedZone must contain at least one NS record for the zone itself."),
            ("SOA", "A HostedZone must contain exactly one SOA record."),
        ):
            key = RecordSet.key(self._zone.name, self._zone.domain, record_type)
            if self._standing(key) is None:
                problems.append(problem)
        return problems

    def _standing(self, key: str) -> RecordSet | None:
        return self.planned[key] if key in self.planned else self._records.get(key)

    def _owner(self, change: RecordChange) -> str:
        try:
            owner = canonical_name(change.owner)
        except DomainNameError as error:
            raise _Problem(error.text) from None
        domain = self._zone.domain
        if owner != domain and not owner.endswith(f".{domain}"):
            raise _Problem(f"RRSet with DNS name {owner}. is not permitted in zone {self._apex}")
        return owner

    def _check_repeated(self, key: str, change: RecordChange, owner: str) -> None:
        before = self._actions.setdefault(key, change.action)
        if key not in self.planned:
            return
        if (before, change.action) not in {("DELETE", "CREATE"), ("DELETE", "UPSERT")}:
            raise _Problem(
                "The request contains an invalid set of changes for a resource record set "
                f"'{change.type} {owner}.'"
            )
        self._actions[key] = change.action

    def _check_place(self, owner: str, record_type: str, count: int) -> None:
        at_apex = owner == self._zone.domain
        about = f"RRSet of type {record_type} with DNS name {owner}."
        if at_apex and record_type in {"CNAME", "DS"}:
            raise _Problem(f"{about} is not permitted at apex in zone {self._apex}")
        if record_type == "SOA" and not at_apex:
            raise _Problem(f"{about} is not permitted in zone {self._apex}")
        if record_type in {"CNAME", "SOA"} and count > 1:
            raise _Problem(f"{about} must have exactly one value")

    def _check_alias(self, owner: str, record_type: str) -> None:
        """RFC 1034 3.6.2: nothing stands beside a CNAME."""
        others = [
            other
            for other in TYPES
            if other != record_type
            and (record_type == "CNAME" or other == "CNAME")
            and self._standing(RecordSet.key(self._zone.name, owner, other)) is not None
        ]
        if not others:
            return
        about = f"RRSet of type {record_type} with DNS name {owner}."
        if record_type == "CNAME":
            raise _Problem(
                f"{about} is not permitted as it conflicts with other records with the same DNS "
                f"name in zone {self._apex}"
            )
        raise _Problem(
            f"{about} is not permitted because a conflicting RRSet of type CNAME with the same "
            f"DNS name already exists in zone {self._apex}"
        )


def _wires(change: RecordChange) -> set[bytes]:
    """The values' data; a problem where one is none, or stands twice."""
    wires: set[bytes] = set()
    for value in change.values:
        try:
            wire = to_wire(change.type, value)
        except RdataError as error:
            raise _Problem(f"Invalid Resource Record: '{error.text}'") from None
        if wire in wires:
            raise _Problem(f"Duplicate Resource Record: '{value}'")
        wires.add(wire)
    if len(wires) > VALUE_LIMIT:
        raise _Problem(f"Cannot have more than {VALUE_LIMIT} records in a RRSet.")
    return wires


def _data(record_set: RecordSet) -> set[bytes]:
    return {to_wire(record_set.type, value) for value in record_set.values}
