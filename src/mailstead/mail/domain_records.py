"""The DNS records that a mail domain needs, and whether what DNS says is as good. Pure.

Receiving takes an MX record with an address behind it; being trusted takes SPF
(RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989). An answer is judged by what it
does, not by its text: any qualifier at SPF's end will do, and any DMARC policy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mailstead.mail.model import Dkim
from mailstead.mail.record_changes import RecordChange
from mailstead.mail.service import ServiceNames
from mailstead.mail.verification import dkim_found
from mailstead.wire.dmarc_record import is_dmarc, parse_dmarc
from mailstead.wire.lookup import Answer, Question, Status
from mailstead.wire.rdata import quote_text, to_record, to_wire
from mailstead.wire.spf_record import SpfSyntaxError, is_spf, parse_spf

TTL = 300
LOOPBACK = (("A", "127.0.0.1"), ("AAAA", "::1"))
DMARC = "v=DMARC1; p=none"
_NOT_SEEN = {
    Status.NODATA: "no such record",
    Status.NXDOMAIN: "no such name",
    Status.FAILED: "no answer",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A record that should be there."""

    owner: str
    type: str
    value: str
    """Presentation form."""
    question: Question
    """What is asked to see whether it is: an alias is followed to what it stands for."""
    good: Callable[[Answer], bool]

    @property
    def line(self) -> str:
        """The record as a line of a zone file (RFC 1035 5.1)."""
        return f"{self.owner}. {TTL} IN {self.type} {self.value}"

    @property
    def text(self) -> str:
        """A TXT record's text in one piece, as many providers' forms take it; "" for others."""
        if self.type != "TXT":
            return ""
        record = to_record("TXT", to_wire("TXT", self.value))
        assert isinstance(record, bytes)
        return record.decode()

    def create(self) -> RecordChange:
        """The change that makes it."""
        return RecordChange("CREATE", self.owner, self.type, TTL, (self.value,))

    def shown(self) -> dict[str, object]:
        """The record as the commands print it."""
        shown: dict[str, object] = {
            "name": self.owner,
            "ttl": TTL,
            "type": self.type,
            "value": self.value,
        }
        return {**shown, "text": self.text} if self.type == "TXT" else shown


def wanted(domain: str, dkim: Dkim, names: ServiceNames | None, *, capture: bool) -> list[Wanted]:
    """All records that a domain needs. In capture mode its mail comes to this machine."""
    host = f"mx.{domain}"
    records = [
        Wanted(
            domain,
            "MX",
            f"10 {host}.",
            Question(domain, "MX"),
            lambda answer: any(exchange == host for _, exchange in answer.exchanges),
        )
    ]
    records += [_address(host, kind, address) for kind, address in LOOPBACK if capture]
    records.append(_spf(domain, names))
    records += _dkim(domain, dkim, names)
    records.append(
        Wanted(
            f"_dmarc.{domain}",
            "TXT",
            quote_text(DMARC),
            Question(f"_dmarc.{domain}", "TXT"),
            _good_dmarc,
        )
    )
    return records


def seen(answer: Answer) -> str:
    """What DNS said, for a person: hostile text."""
    if answer.status is not Status.OK:
        return _NOT_SEEN[answer.status]
    shown = [
        record.decode(errors="replace")
        if isinstance(record, bytes)
        else record
        if isinstance(record, str)
        else f"{record[0]} {record[1]}."
        for record in answer.records
    ]
    return ", ".join(shown)


def _address(host: str, kind: str, address: str) -> Wanted:
    return Wanted(host, kind, address, Question(host, kind), lambda answer: address in answer.names)


def _spf(domain: str, names: ServiceNames | None) -> Wanted:
    term = f"include:{names.domain}" if names is not None else "mx"

    def good(answer: Answer) -> bool:
        records = [text for text in answer.texts if is_spf(text)]
        if len(records) != 1:
            return False
        try:
            parse_spf(records[0])
        except SpfSyntaxError:
            return False
        terms = records[0].decode().lower().split()
        return any(one.lstrip("+") == term for one in terms)

    text = quote_text(f"v=spf1 {term} ~all")
    return Wanted(domain, "TXT", text, Question(domain, "TXT"), good)


def _dkim(domain: str, dkim: Dkim, names: ServiceNames | None) -> list[Wanted]:
    key = dkim.key
    if key is None:
        return []
    records: list[Wanted] = []
    for selector in key.selectors:
        owner = f"{selector}._domainkey.{domain}"
        kind, value = "TXT", quote_text(key.public)
        if names is not None and dkim.origin == "AWS_SES":
            kind, value = "CNAME", f"{names.dkim_target(selector)}."
        alone = replace(dkim, key=replace(key, selectors=(selector,)))
        records.append(Wanted(owner, kind, value, Question(owner, "TXT"), _good_key(alone)))
    return records


def _good_key(dkim: Dkim) -> Callable[[Answer], bool]:
    return lambda answer: dkim_found(dkim, [answer]) is True


def _good_dmarc(answer: Answer) -> bool:
    records = [text for text in answer.texts if is_dmarc(text)]
    return len(records) == 1 and not parse_dmarc(records[0]).flawed
