"""Signed DNS messages (RFC 8945): verified, answered, signed.

    match verify(packet, keys, now):                # a server's side
        case Verified() as found:
            signer = found.signer()
            signer.sign(reply, now)                 # one message, or many of a transfer
        case Rejected() as found:
            found.finish(failure(query, found.rcode))

    message, mac = sign(message, key, now)          # a client's side
    plain = check(reply, key, mac, now)             # TsigError where it can't be believed

The HMACs are dnspython's; times are seconds since 1970, and always given.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.tsig
from dns.rdtypes.ANY.TSIG import TSIG

from mailstead.wire.tsig_key import TsigKey

FUDGE = 300
"""Seconds that two servers' clocks may differ (RFC 8945 10)."""
FORMERR, NOTAUTH = 1, 9
BADSIG, BADKEY, BADTIME, BADTRUNC = 16, 17, 18, 22
_ERRORS = {BADSIG: "BADSIG", BADKEY: "BADKEY", BADTIME: "BADTIME", BADTRUNC: "BADTRUNC"}
_HEADER_SIZE = 12


class TsigError(Exception):
    """A reply that can't be believed, or that says why our message was not."""


class TsigFormError(TsigError):
    """What is no DNS message, or carries a TSIG record where none may be."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A query whose signature is right."""

    plain: bytes
    """The query without the signature."""
    key: TsigKey
    mac: bytes

    def signer(self) -> Signer:
        """What signs the reply."""
        return Signer(self.key, self.mac)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A query whose signature is not right."""

    rcode: int
    error: int = 0
    key: TsigKey | None = None
    """Signs the reply where the MAC was right (RFC 8945 5.3.2)."""
    record: TSIG | None = None
    owner: bytes = b""

    def finish(self, reply: bytes, now: int) -> bytes:
        """The reply with the TSIG record that says what is wrong."""
        if self.record is None:
            return reply
        # RFC 8945 5.2.3: the client's time, and ours in other data.
        other = now.to_bytes(6) if self.error == BADTIME else b""
        record = _record(
            self.record.algorithm, self.record.time_signed, reply, error=self.error, other=other
        )
        if self.key is not None:
            record, _ = dns.tsig.sign(
                reply, _key(self.key), record, record.time_signed, self.record.mac
            )
        return _appended(reply, self.owner, record)


class Signer:
    """Signs a reply: one message, or one after the other of a transfer (RFC 8945 5.3.1)."""

    def __init__(self, key: TsigKey, request_mac: bytes) -> None:
        self._key = _key(key)
        self._owner = key.name
        self._mac = request_mac
        self._context: dns.tsig.HMACTSig | dns.tsig.GSSTSig | None = None

    def sign(self, message: bytes, now: int) -> bytes:
        """The message with its signature."""
        record = _record(self._key.algorithm, now, message)
        record, self._context = dns.tsig.sign(
            message, self._key, record, now, self._mac, self._context, True
        )
        return _appended(message, self._owner, record)

    @property
    def size(self) -> int:
        """Octets of a signature."""
        algorithm = self._key.algorithm
        mac = dns.tsig.mac_sizes[algorithm]
        return len(self._owner) + 26 + len(algorithm.to_digestable()) + mac


def verify(packet: bytes, keys: Mapping[bytes, TsigKey], now: int) -> Verified | Rejected:
    """Judge a signed query: form, key, MAC, time, in this order (RFC 8945 5.2)."""
    try:
        plain, owner, record = _taken(packet)
    except TsigFormError:
        return Rejected(FORMERR)
    key = keys.get(owner)
    if key is None or _key(key).algorithm != record.algorithm:
        return Rejected(NOTAUTH, BADKEY, None, record, owner)
    full = dns.tsig.mac_sizes[record.algorithm]
    if not max(10, full // 2) <= len(record.mac) <= full:
        return Rejected(FORMERR)
    if not _matches(plain, key, record, b""):
        return Rejected(NOTAUTH, BADSIG, None, record, owner)
    if abs(record.time_signed - now) > record.fudge:
        return Rejected(NOTAUTH, BADTIME, key, record, owner)
    if len(record.mac) < full:
        return Rejected(NOTAUTH, BADTRUNC, key, record, owner)
    return Verified(plain, key, record.mac)


def sign(message: bytes, key: TsigKey, now: int) -> tuple[bytes, bytes]:
    """A query with its signature, and the MAC that its reply is checked with."""
    own = _key(key)
    record, _ = dns.tsig.sign(message, own, _record(own.algorithm, now, message), now)
    return _appended(message, key.name, record), record.mac


def check(reply: bytes, key: TsigKey, request_mac: bytes, now: int) -> bytes:
    """A reply to what `sign` made, without its signature. TsigError."""
    plain, owner, record = _taken(reply)
    if record.error and not record.mac:
        # RFC 8945 5.3.2: who does not know our key can't sign that.
        raise TsigError(f"it says {_ERRORS.get(record.error, record.error)}{_advice(record.error)}")
    known = owner == key.name and _key(key).algorithm == record.algorithm
    whole = known and len(record.mac) == dns.tsig.mac_sizes[record.algorithm]
    if not whole or not _matches(plain, key, record, request_mac):
        raise TsigError("its reply has a wrong signature")
    if record.error:
        raise TsigError(f"it says {_ERRORS.get(record.error, record.error)}{_advice(record.error)}")
    if abs(record.time_signed - now) > record.fudge:
        raise TsigError("its reply's signature is of another time: one of the clocks is wrong")
    return plain


def _advice(error: int) -> str:
    return {
        BADKEY: ": it knows no key of that name and algorithm",
        BADSIG: ": its key of that name has another secret",
        BADTIME: ": one of the clocks is wrong",
    }.get(error, "")


def _matches(plain: bytes, key: TsigKey, record: TSIG, request_mac: bytes) -> bool:
    right, _ = dns.tsig.sign(plain, _key(key), record, record.time_signed, request_mac)
    return hmac.compare_digest(right.mac[: len(record.mac)], record.mac) and bool(record.mac)


def _key(key: TsigKey) -> dns.tsig.Key:
    name, _ = dns.name.from_wire(key.name, 0)
    return dns.tsig.Key(name, key.secret, key.algorithm)


def _record(
    algorithm: dns.name.Name, time: int, message: bytes, *, error: int = 0, other: bytes = b""
) -> TSIG:
    return TSIG(
        dns.rdataclass.ANY,
        dns.rdatatype.TSIG,
        algorithm,
        time,
        FUDGE,
        b"",
        int.from_bytes(message[:2]),
        dns.rcode.Rcode(error),
        other,
    )


def _appended(message: bytes, owner: bytes, record: TSIG) -> bytes:
    data = record.to_wire()
    assert data is not None
    fixed = bytes.fromhex("00fa00ff00000000") + len(data).to_bytes(2)
    count = int.from_bytes(message[10:12]) + 1
    return message[:10] + count.to_bytes(2) + message[_HEADER_SIZE:] + owner + fixed + data


def _taken(message: bytes) -> tuple[bytes, bytes, TSIG]:
    """A message without its TSIG record, and that record's owner and data. TsigFormError."""
    start = _last_record(message)
    try:
        name, size = dns.name.from_wire(message, start)
        fixed = start + size
        kind, length = message[fixed : fixed + 8], int.from_bytes(message[fixed + 8 : fixed + 10])
        if kind != bytes.fromhex("00fa00ff00000000") or fixed + 10 + length != len(message):
            raise TsigFormError("it carries no signature")
        record = dns.rdata.from_wire(
            dns.rdataclass.ANY, dns.rdatatype.TSIG, message, fixed + 10, length
        )
    except dns.exception.DNSException:
        raise TsigFormError("its signature makes no sense") from None
    assert isinstance(record, TSIG)
    count = int.from_bytes(message[10:12]) - 1
    plain = message[:10] + count.to_bytes(2) + message[_HEADER_SIZE:start]
    return plain, name.to_digestable(), record


def _last_record(message: bytes) -> int:
    """Where the additional section's last record begins."""
    counts = [int.from_bytes(message[at : at + 2]) for at in (4, 6, 8, 10)]
    if len(message) < _HEADER_SIZE or not counts[3]:
        raise TsigFormError("it carries no signature")
    at = _HEADER_SIZE
    try:
        for _ in range(counts[0]):
            at = _name_end(message, at) + 4
        for _ in range(sum(counts[1:]) - 1):
            at = _name_end(message, at) + 10
            at += message[at - 2] << 8 | message[at - 1]
    except IndexError:
        raise TsigFormError("it is cut off") from None
    return at


def _name_end(message: bytes, at: int) -> int:
    """Where a name ends that may be compressed (RFC 1035 4.1.4)."""
    while size := message[at]:
        if size >= 0xC0:
            return at + 2
        at += size + 1
    return at + 1
