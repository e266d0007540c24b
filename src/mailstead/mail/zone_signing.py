"""How zones are signed: their keys as Route 53 has them, and when signatures are made anew.

Pure. A zone's records are signed by one key and its keys by one or two others,
its key-signing keys, to which the parent zone points. Signatures are not kept:
they are made of the zone, its keys and the period, so that every process of an
installation, and each after a restart, serves the same times.
Source: Route 53 API Reference, CreateKeySigningKey and its neighbours; RFC 6781 4.4.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.model import HostedZone, KeySigningKey, Secret, ZoneSigning
from mailstead.wire.dnssec import Signing, ZoneKey, ds, zone_key
from mailstead.wire.domain_name import name_to_wire
from mailstead.wire.rdata import to_text

DAY = 86_400
PERIOD = 7 * DAY
"""Seconds after which signatures are made anew."""
EARLY = DAY
"""Seconds before its period from which a signature counts, for clocks that are slow."""
LIFETIME = 3 * PERIOD
"""Seconds from the period's begin; the rest is no less than a secondary keeps a zone."""
KEY_LIMIT = 2
"""Key-signing keys of a zone."""

_NAME = re.compile(r"[A-Za-z0-9_]{3,128}")
_KMS_KEY = re.compile(r"arn:aws:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+")


class NewKey(NamedTuple):
    """A key-signing key as it is asked for."""

    name: str
    caller_reference: str
    kms_arn: str
    active: bool


def period(now: int) -> int:
    """The number of the period that a moment (milliseconds since 1970) is in."""
    return now // (PERIOD * 1000)


def signing(state: ZoneSigning, number: int) -> Signing | None:
    """With what a zone is signed in a period; None where it is not."""
    if not state.enabled:
        return None
    begin = number * PERIOD
    return Signing(
        zone_key(state.zone_key, entry_point=False),
        tuple(entry_key(key) for key in state.keys if key.active),
        begin - EARLY,
        begin + LIFETIME,
    )


def entry_key(key: KeySigningKey) -> ZoneKey:
    """A key-signing key on the wire."""
    return zone_key(key.private, entry_point=True)


def delegation(zone: HostedZone, key: KeySigningKey) -> str:
    """The DS record's value by which the parent zone points to a key."""
    return to_text("DS", ds(name_to_wire(zone.domain), entry_key(key)))


def with_key(state: ZoneSigning, asked: NewKey, private: bytes, now: int) -> ZoneSigning:
    """A zone's keys and another one.

    Invalid (resources ``key-name``, ``kms-arn``), Conflict for a name or caller
    reference that is taken, Limit beyond two keys.
    """
    if not _NAME.fullmatch(asked.name):
        raise Invalid(
            f"The key-signing key name {asked.name} is not valid: use 3 to 128 letters, digits "
            "and underscores.",
            resource="key-name",
            name=asked.name,
        )
    if not _KMS_KEY.fullmatch(asked.kms_arn):
        raise Invalid(
            f"{asked.kms_arn} is not the ARN of a customer managed key: "
            "arn:aws:kms:REGION:ACCOUNT:key/ID",
            resource="kms-arn",
            name=asked.kms_arn,
        )
    taken = ((key.name, key.caller_reference) for key in state.keys)
    if any(asked.name == name or asked.caller_reference == used for name, used in taken):
        raise Conflict(
            f"A key-signing key with the name {asked.name}, or with this caller reference, exists.",
            resource="key-signing-key",
            name=asked.name,
            reason="exists",
        )
    if len(state.keys) >= KEY_LIMIT:
        raise Limit(
            f"A hosted zone has at most {KEY_LIMIT} key-signing keys.", resource="key-signing-key"
        )
    key = KeySigningKey(*asked[:3], Secret(private), asked.active, now, now)
    return replace(state, keys=(*state.keys, key))


def key_of(zone: HostedZone, name: str) -> KeySigningKey:
    """A zone's key-signing key by its name; NotFound."""
    for key in zone.signing.keys:
        if key.name == name:
            return key
    raise NotFound(
        f"The hosted zone {zone.name} has no key-signing key {name}.",
        resource="key-signing-key",
        name=name,
    )


def without_key(zone: HostedZone, name: str) -> ZoneSigning:
    """A zone's keys but one. Invalid (resource ``key-status``) while that is active."""
    gone = key_of(zone, name)
    if gone.active:
        raise Invalid(
            f"The key-signing key {name} is active: deactivate it first.",
            resource="key-status",
            name=name,
        )
    return replace(zone.signing, keys=tuple(key for key in zone.signing.keys if key != gone))


def with_status(zone: HostedZone, name: str, *, active: bool, now: int) -> ZoneSigning:
    """A zone's keys, one of them switched on or off.

    Conflict (reason ``in-use``) where the zone would be signed by none.
    """
    old = key_of(zone, name)
    keys = tuple(
        replace(key, active=active, changed_at=now) if key == old else key
        for key in zone.signing.keys
    )
    if zone.signing.enabled and not any(key.active for key in keys):
        raise Conflict(
            f"The key-signing key {name} is the only active one of a zone that is signed.",
            resource="key-signing-key",
            name=name,
            reason="in-use",
        )
    return replace(zone.signing, keys=keys)


def enabled(zone: HostedZone, private: bytes) -> ZoneSigning:
    """A zone that is signed, with ``private`` where it has no key for its records yet.

    NotFound (resource ``active-key``) without an active key-signing key.
    """
    if not any(key.active for key in zone.signing.keys):
        raise NotFound(
            f"The hosted zone {zone.name} has no active key-signing key: create one first.",
            resource="active-key",
            name=zone.name,
        )
    return replace(zone.signing, enabled=True, zone_key=zone.signing.zone_key or Secret(private))


def disabled(zone: HostedZone) -> ZoneSigning:
    """A zone that is not signed. NotFound (resource ``dnssec``) where it was not."""
    if not zone.signing.enabled:
        raise NotFound(
            f"The hosted zone {zone.name} is not signed.", resource="dnssec", name=zone.name
        )
    return replace(zone.signing, enabled=False)
