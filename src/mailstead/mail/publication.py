"""Putting a domain's records into its zone where that is elsewhere, by RFC 2136 updates.

What stands there already is left. What differs is shown, and exchanged only on
demand; other TXT records beside a domain's SPF record are never touched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from mailstead.mail.domain_records import TTL, Wanted, seen
from mailstead.mail.domains import HERE_ONLY, Domains
from mailstead.mail.errors import Invalid, Refused, UpdateRefused
from mailstead.mail.identities import domain_name
from mailstead.mail.ports import Primary
from mailstead.wire.dmarc_record import is_dmarc
from mailstead.wire.lookup import NODATA, Answer, Status
from mailstead.wire.name_server import NameServer, NameServerError, is_address, parse_name_server
from mailstead.wire.rdata import to_record, to_wire
from mailstead.wire.spf_record import is_spf
from mailstead.wire.tsig_key import TsigKey, TsigKeyError, parse_key

THERE, ADDED, EXCHANGED, DIFFERS, REFUSED = "there", "added", "exchanged", "differs", "refused"
GOOD = frozenset({THERE, ADDED, EXCHANGED})
_ADDRESSES_FIRST = ("A", "AAAA")
"""Servers refuse a mail exchanger whose name has no address."""
_NOT_KEPT = (
    "the server took the update and does not answer with the record: does something else, "
    "an alias perhaps, stand under the name?"
)


@dataclass(frozen=True, slots=True)
class Publication:
    """Publishes domains' records."""

    domains: Domains
    primary: Callable[[NameServer, TsigKey | None], Primary]
    capture: bool
    """Whether nothing leaves this machine."""

    async def publish(
        self, name: str, server: str, key: str | None, *, exchange: bool = False
    ) -> dict[str, Any]:
        """Put what is missing into a domain's zone; ``ok`` tells whether all is there then.

        The identity is made where it is missing. With ``exchange`` what differs is put
        in place of what stands there. Invalid for a server or key that is none,
        Refused where that would leave this machine in capture mode, and where the
        server does not have the zone.
        """
        domain = domain_name(name)
        where = self._server(server)
        try:
            shared = parse_key(key) if key else None
        except TsigKeyError as error:
            raise Invalid(str(error), resource="key") from None
        primary = self.primary(where, shared)
        try:
            zone = await primary.zone_of(domain)
        except UpdateRefused as error:
            raise Refused(f"{where.text}: {error}", resource="name-server", name=server) from None
        wanted = await self.domains.needed(domain)
        wanted.sort(key=lambda record: record.type not in _ADDRESSES_FIRST)
        results = [await _put(primary, zone, record, exchange=exchange) for record in wanted]
        return {
            "name": domain,
            "zone": zone,
            "server": where.text,
            "ok": all(one["result"] in GOOD for one in results),
            "records": results,
            "note": HERE_ONLY if self.capture else "",
        }

    def _server(self, text: str) -> NameServer:
        try:
            where = parse_name_server(text)
        except NameServerError as error:
            raise Invalid(str(error), resource="name-server", name=text) from None
        here = where.host == "localhost" or (
            is_address(where.host) and ip_address(where.host).is_loopback
        )
        if self.capture and not here:
            raise Refused(
                f"in capture mode nothing leaves this machine, and {where.host} is elsewhere: "
                "only a name server on 127.0.0.1 or ::1 gets updates",
                resource="name-server",
                name=text,
            )
        return where


async def _put(primary: Primary, zone: str, record: Wanted, *, exchange: bool) -> dict[str, Any]:
    """Bring one record into the zone; how that went."""
    stood = NODATA
    result, reason = REFUSED, ""
    try:
        datas = await primary.records(record.owner, record.type)
        stood = _answer(record, datas)
        gone = in_the_way(record, datas)
        if _is_there(record, datas):
            result = THERE
        elif gone and not exchange:
            result = DIFFERS
        else:
            new = to_wire(record.type, record.value)
            await primary.update(zone, record.owner, record.type, gone, TTL, new)
            kept = await primary.records(record.owner, record.type)
            result = EXCHANGED if gone else ADDED
            if not _is_there(record, kept):
                result, reason = REFUSED, _NOT_KEPT
    except UpdateRefused as error:
        result, reason = REFUSED, str(error)
    return {
        "record": f"{record.owner} {record.type}",
        "value": record.value,
        "result": result,
        "seen": seen(stood),
        "reason": reason,
        "fix": record.line,
    }


def in_the_way(record: Wanted, datas: Sequence[bytes]) -> list[bytes]:
    """Which of the records under a name and type say something else than the wanted one."""
    new = to_wire(record.type, record.value)
    others = [data for data in datas if data != new]
    if record.type != "TXT":
        return others
    text = _text(new)
    for is_kind in (is_spf, is_dmarc):
        if is_kind(text):
            return [data for data in others if is_kind(_text(data))]
    return others


def _is_there(record: Wanted, datas: Sequence[bytes]) -> bool:
    """Whether what stands is as good as what is wanted."""
    if record.type == "CNAME":
        # The question is about what it leads to, which others answer for.
        return to_wire("CNAME", record.value) in datas
    return record.good(_answer(record, datas))


def _answer(record: Wanted, datas: Sequence[bytes]) -> Answer:
    if not datas:
        return NODATA
    return Answer(Status.OK, tuple(to_record(record.type, data) for data in datas))


def _text(data: bytes) -> bytes:
    text = to_record("TXT", data)
    assert isinstance(text, bytes)
    return text
