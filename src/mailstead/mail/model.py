"""What the domain keeps that people name: accounts, identities, users, keys, zones.

Each is a frozen dataclass with a ``scope`` (the account and region that own it)
and a ``name`` unique in it, kept whole by the Store under its ``KIND``. Values
inside them are plain: text, numbers, tuples, dictionaries, other dataclasses,
and `Secret` for what may not lie readable on a disk. Times are milliseconds
since 1970 of the Clock port; 0 is "never".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, NamedTuple, Protocol

GLOBAL = "aws-global"
"""The region of what an account has once: IAM users, hosted zones."""


class Scope(NamedTuple):
    """Whose a thing is: a 12-digit account, and a region (or `GLOBAL`)."""

    account: str
    region: str

    def everywhere(self) -> Scope:
        """The same account's region-less scope."""
        return Scope(self.account, GLOBAL)


class Secret(bytes):
    """Bytes that the Store seals, and that no log or error shows."""

    def __repr__(self) -> str:
        return "Secret(...)"

    __str__ = __repr__


class Resource(Protocol):
    """What `Store.get`, ``select`` and ``apply`` keep."""

    KIND: ClassVar[str]

    @property
    def scope(self) -> Scope: ...

    @property
    def name(self) -> str: ...


class VerificationStatus(StrEnum):
    """Where a proof of ownership stands (SES v2 ``VerificationStatus``)."""

    NOT_STARTED = "NOT_STARTED"
    PENDING = "PENDING"
    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    TEMPORARY_FAILURE = "TEMPORARY_FAILURE"


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof of ownership by DNS or by link, and since when it stands so."""

    status: VerificationStatus = VerificationStatus.NOT_STARTED
    since: int = 0
    """When the status began: a PENDING or TEMPORARY_FAILURE ends 72 hours later."""
    checked: int = 0
    """When DNS was last asked."""
    checks: int = 0
    """How often it was asked in this status, for the intervals between."""
    proven: int = 0
    """When it last succeeded."""

    @property
    def holds(self) -> bool:
        """Whether mail may rely on it."""
        return self.status in (VerificationStatus.SUCCESS, VerificationStatus.TEMPORARY_FAILURE)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A DKIM key with the selectors under which its public half is looked for."""

    selectors: tuple[str, ...]
    private: Secret
    """PKCS#8 or PKCS#1, base64 of DER."""
    public: str
    """The key record's text, as published."""
    bits: int
    made_at: int


@dataclass(frozen=True, slots=True)
class Dkim:
    """How an identity's mail is signed."""

    enabled: bool = False
    origin: str = "AWS_SES"
    """``AWS_SES`` is Easy DKIM, ``EXTERNAL`` a key the owner brought."""
    proof: Proof = Proof()
    key: SigningKey | None = None
    next_bits: int = 2048
    switched: int = 0
    """When the length of an Easy DKIM key was last changed."""


@dataclass(frozen=True, slots=True)
class MailFrom:
    """A custom MAIL FROM domain."""

    domain: str
    reject_on_mx_failure: bool = False
    proof: Proof = Proof()


@dataclass(frozen=True, slots=True)
class Identity:
    """An address or a domain that may send (SES ``identity``)."""

    KIND: ClassVar[str] = "identity"
    scope: Scope
    name: str
    """A domain as lower-case A-labels, or an address as it was written."""
    created_at: int
    proof: Proof = Proof()
    """An address: the link was opened. A domain: either proof below holds."""
    token: str = ""
    """The v1 domain proof: the TXT record at ``_amazonses.DOMAIN``."""
    token_proof: Proof = Proof()
    dkim: Dkim = Dkim()
    mail_from: MailFrom | None = None
    feedback_forwarding: bool = True
    configuration_set: str = ""
    policies: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])
    granted: bool = False
    """Verified by command: DNS is not asked for its key."""
    demo: bool = False

    @property
    def is_address(self) -> bool:
        """Whether one address, not a whole domain."""
        return "@" in self.name


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The secret in a verification mail's link. Its name is a hash of the secret."""

    KIND: ClassVar[str] = "confirmation"
    scope: Scope
    name: str
    identity: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class AccountDetails:
    """What PutAccountDetails said, and the review of production access."""

    mail_type: str
    website_url: str
    use_case: str = ""
    language: str = ""
    contacts: tuple[str, ...] = ()
    review: str = ""
    """``PENDING``, ``GRANTED``, ``DENIED`` or ``FAILED``; empty before the first."""
    case_id: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An account's sending in one region."""

    KIND: ClassVar[str] = "account"
    scope: Scope
    name: str = "sending"
    production: bool = False
    daily_quota: float = 200.0
    """Recipients in any 24 hours; -1 is no limit."""
    max_rate: float = 1.0
    """Recipients a second."""
    sending: bool = True
    """False after the owner paused it."""
    details: AccountDetails | None = None
    suppressed_reasons: tuple[str, ...] = ("BOUNCE", "COMPLAINT")
    warmup: bool = True


@dataclass(frozen=True, slots=True)
class RecordSet:
    """The records of one name and type in a hosted zone."""

    KIND: ClassVar[str] = "record-set"
    scope: Scope
    name: str
    """`key`: zone, reversed labels, type, so that a listing comes in Route 53's order."""
    zone: str
    owner: str
    """Lower-case A-labels without the final dot."""
    type: str
    ttl: int
    values: tuple[str, ...]
    """Presentation form (RFC 1035 5.1), as entered."""

    @staticmethod
    def key(zone: str, owner: str, record_type: str) -> str:
        """The name under which the Store keeps it: sorts by reversed labels, then type."""
        return f"{zone} {'.'.join(reversed(owner.split('.')))}. {record_type}"


@dataclass(frozen=True, slots=True)
class KeySigningKey:
    """A key that signs a zone's keys, and to which the parent zone points (RFC 4034 5)."""

    name: str
    caller_reference: str
    kms_arn: str
    """Recorded only: the key is made and held here."""
    private: Secret
    """P-256, PKCS#8 DER."""
    active: bool
    created_at: int
    changed_at: int


@dataclass(frozen=True, slots=True)
class ZoneSigning:
    """How a zone is signed (RFC 4033)."""

    enabled: bool = False
    keys: tuple[KeySigningKey, ...] = ()
    zone_key: Secret = field(default_factory=Secret)
    """Signs the records; P-256, PKCS#8 DER. Empty before the first time."""


@dataclass(frozen=True, slots=True)
class HostedZone:
    """A zone that this server answers for."""

    KIND: ClassVar[str] = "hosted-zone"
    scope: Scope
    name: str
    """The zone's id, ``Z`` and 20 letters and digits."""
    domain: str
    caller_reference: str
    created_at: int
    comment: str = ""
    private: bool = False
    name_servers: tuple[str, ...] = ()
    delegation_set: str = ""
    """The reusable delegation set that its name servers are of; "" for none."""
    demo: bool = False
    tags: dict[str, str] = field(default_factory=dict[str, str])
    revision: int = 0
    """By what the answered serial is above the SOA record's: it rises with each change."""
    signing: ZoneSigning = ZoneSigning()
