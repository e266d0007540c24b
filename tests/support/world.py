"""A whole mail domain over a real store, with time, dice and DNS in the test's hands.

SES's calls are signed by botocore and go into the ASGI application itself.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import count, cycle
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from botocore import parsers, serialize
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, HeadersDict, prepare_request_dict
from botocore.credentials import Credentials as Keys
from botocore.loaders import Loader
from botocore.model import ServiceModel
from cryptography.hazmat.primitives.serialization import Encoding

from mailstead.api.gateway import Gateway
from mailstead.api.operation import Operations, Ports
from mailstead.api.ses import account, identities, identities_v1, identity_policies, sending
from mailstead.mail import accounts, iam_policies, iam_users
from mailstead.mail.accounts import SendingLimits
from mailstead.mail.credentials import Credentials
from mailstead.mail.iam import Iam
from mailstead.mail.iam_roles import Roles
from mailstead.mail.identities import Identities
from mailstead.mail.letters import Letters
from mailstead.mail.messages import Leased
from mailstead.mail.model import Account, Identity, Scope, VerificationStatus
from mailstead.mail.service import ServiceNames, ensure_service_key
from mailstead.mail.submission import Outbound
from mailstead.mail.verification import Verification
from mailstead.mail.zones import Zones
from mailstead.roles.clock import LocalWakeups, _p256_key, _rsa_key
from mailstead.store.sealing import Seal
from mailstead.store.sqlite import SqliteStore
from mailstead.wire.aws import Wire
from mailstead.wire.aws_model import load_models
from mailstead.wire.lookup import NXDOMAIN, Answer, Question, Record, Status

ACCOUNT, REGION = "111122223333", "us-east-1"
AMAZON = ServiceNames()
SCOPE = Scope(ACCOUNT, REGION)
ROOT = ("AKIAROOTROOTROOTROOT", "root-secret")
CONSOLE = "http://127.0.0.1:8025"
START = 1_660_147_485_855
"""2022-08-10 16:04:45.855 UTC."""
SECOND, HOUR, DAY = 1000, 3_600_000, 86_400_000

WIRE = Wire(
    load_models((Path(__file__).parents[2] / "src/mailstead/wire/models.json.gz").read_bytes())
)
HANDLERS = (sending, identities, identities_v1, identity_policies, account)
SERVICES = {1: "ses", 2: "sesv2"}


class VirtualClock:
    """Stands still until it is told to move; signatures see the world's time."""

    def __init__(self) -> None:
        self.time = START
        self.seconds = 0.0

    def now(self) -> int:
        return self.time

    def real(self) -> int:
        return int(time.time() * 1000)

    def ticks(self) -> float:
        return self.seconds


@cache
def rsa_key(bits: int, number: int) -> bytes:
    """One of a few keys that are made once for all tests."""
    return _rsa_key(bits)


class Dice:
    """Numbers in order instead of random ones."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._keys = cycle(range(3))

    def token(self, size: int) -> bytes:
        return uuid.uuid5(uuid.NAMESPACE_OID, str(next(self._numbers))).bytes.ljust(size)[:size]

    def uuid(self) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, str(next(self._numbers))))

    def serial(self) -> int:
        return next(self._numbers)

    def fraction(self) -> float:
        return 0.5

    async def rsa_key(self, bits: int) -> bytes:
        return rsa_key(bits, next(self._keys))

    def p256_key(self) -> bytes:
        return _p256_key(Encoding.DER)


class Dns:
    """DNS as a dictionary; a name that is not in it does not exist."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], tuple[Record, ...]] = {}
        self.broken = False
        self.asked: list[Question] = []

    async def ask(self, questions: Sequence[Question]) -> list[Answer]:
        self.asked += questions
        if self.broken:
            return [Answer(Status.FAILED) for _ in questions]
        found = [self.records.get((one.name, one.type)) for one in questions]
        return [NXDOMAIN if one is None else Answer(Status.OK, one) for one in found]

    def publish(self, identity: Identity) -> None:
        """Put an identity's DKIM records where they belong."""
        assert identity.dkim.key is not None
        for selector in identity.dkim.key.selectors:
            name = f"{selector}._domainkey.{identity.name}"
            self.records[name, "TXT"] = (identity.dkim.key.public.encode(),)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back from the AWS door."""

    status: int
    headers: dict[str, str]
    body: bytes
    value: dict[str, Any]
    """As botocore reads it."""

    @property
    def error(self) -> tuple[str, str]:
        """Code and text."""
        assert self.status >= 400, self.body
        return self.value["Error"]["Code"], self.value["Error"]["Message"]


class World:
    """The domain, and the AWS door in front of it."""

    def __init__(
        self,
        folder: Path,
        *,
        automatic: bool = False,
        names: ServiceNames | None = AMAZON,
        review: str = "PENDING",
        loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
    ) -> None:
        self.runner = asyncio.Runner(loop_factory=loop_factory)
        self.clock, self.dice, self.dns = VirtualClock(), Dice(), Dns()
        seal = Seal(b"k" * 32, self.dice.token)
        self.store = SqliteStore(folder, seal, self.dice, self.runner.get_loop())
        self.run(self.store.start())
        self.wakeups = LocalWakeups()
        self.identities = Identities(
            self.store, self.clock, self.dice, self.wakeups, names, automatic
        )
        self.verification = Verification(self.identities, self.dns, "mail.example")
        self.letters = Letters(
            self.identities, self.verification, "mailstead.test", lambda: CONSOLE
        )
        self.limits = SendingLimits(self.store, self.clock)
        self.outbound = Outbound(
            self.store,
            self.clock,
            self.dice,
            self.wakeups,
            self.identities,
            self.limits,
            names,
            b"feedback",
        )
        self.credentials = Credentials(self.store, self.clock)
        self.iam = Iam(self.store, self.clock, self.dice, self.credentials.clear)
        given = {
            "store": self.store,
            "clock": self.clock,
            "randomness": self.dice,
            "iam": self.iam,
            "roles": Roles(self.iam),
            "identities": self.identities,
            "verification": self.verification,
            "outbound": self.outbound,
            "letters": self.letters,
            "zones": Zones(self.store, self.wakeups, self.dice, self.clock),
            "review": review,
        }
        # What these tests ask nothing of is not there.
        rest: dict[str, Any] = dict.fromkeys(Ports.__dataclass_fields__)
        ports = Ports(**(rest | given))
        operations = Operations(HANDLERS, WIRE.models)
        self.gateway = Gateway(WIRE, operations, ports, self.credentials.find)
        self.run(iam_users.keep_root_key(self.iam, SCOPE.everywhere(), *ROOT))

    def close(self) -> None:
        """Stop what was started."""
        self.store.close()
        self.runner.close()

    def run(self, work: Any) -> Any:
        """The result of a coroutine."""
        return self.runner.run(work)

    # Arranging

    def with_service_key(self) -> None:
        """Make the service's own DKIM key."""
        self.run(ensure_service_key(self.store, self.clock, self.dice))

    def production(self, scope: Scope = SCOPE, **quota: float) -> Account:
        """Take the account out of the sandbox."""
        return self.run(accounts.to_production(self.store, scope, **quota))

    def verified(self, name: str, scope: Scope = SCOPE) -> Identity:
        """A verified identity."""
        return self.run(self.verification.grant(scope, name))

    def identity(self, name: str, scope: Scope = SCOPE) -> Identity:
        """An identity as it stands."""
        return self.run(self.identities.require(scope, name))

    def change(self, name: str, edit: Callable[[Identity], Identity]) -> Identity:
        """Change an identity as no call would."""
        old = self.identity(name)
        return self.run(self.identities.change(old, edit(old)))

    def look(self, name: str, scope: Scope = SCOPE) -> Identity:
        """Ask DNS about an identity."""
        return self.run(self.verification.look(self.identity(name, scope)))

    def status(self, name: str) -> tuple[VerificationStatus, VerificationStatus]:
        """Where its right to send and its DKIM stand."""
        identity = self.identity(name)
        return identity.proof.status, identity.dkim.proof.status

    def user(self, name: str, document: str) -> tuple[str, str]:
        """A user's key, who may what a policy says."""
        home = SCOPE.everywhere()
        user = self.run(iam_users.create_user(self.iam, home, name, "/", {}))
        key = self.run(iam_users.create_access_key(self.iam, home, user))
        user = self.run(self.iam.user(home, name))
        self.run(iam_policies.put_inline(self.iam, user, "own", document))
        return key.name, key.secret.decode()

    # Looking

    def mail(self) -> list[Leased]:
        """What waits to leave, as the queue gives it out: each recipient once."""
        now = self.clock.now()
        destinations = self.run(self.store.destinations(now, 1000))
        return sorted(
            self.run(self.store.lease(now, now + HOUR, destinations, 1000)),
            key=lambda leased: leased.recipient.id,
        )

    def body(self, leased: Leased) -> bytes:
        """A message's bytes."""
        return self.run(self.store.body(leased.message.body))

    # Calling

    def v1(self, operation: str, /, **params: Any) -> dict[str, Any]:
        """The answer to a call of SES v1."""
        return _fine(self.call("ses", operation, params))

    def v2(self, operation: str, /, **params: Any) -> dict[str, Any]:
        """The answer to a call of SES v2."""
        return _fine(self.call("sesv2", operation, params))

    def refused(self, version: int, operation: str, /, **params: Any) -> tuple[str, str]:
        """Code and text of the refusal of a call."""
        return self.call(SERVICES[version], operation, params).error

    def call(self, service: str, name: str, params: dict[str, Any]) -> Reply:
        """One signed call; ``region`` and ``key`` among the parameters say where and by whom."""
        params = dict(params)
        region, key = params.pop("region", REGION), params.pop("key", ROOT)
        model = _model(service)
        operation = model.operation_model(name)
        serializer = serialize.create_serializer(model.metadata["protocol"], False)
        made = serializer.serialize_to_request(params, operation)
        prepare_request_dict(made, "http://localhost:4566")
        body = urlencode(made["body"]) if isinstance(made["body"], dict) else made["body"]
        request = AWSRequest(made["method"], made["url"], made["headers"], body or b"")
        SigV4Auth(Keys(*key), "ses", region).add_auth(request)
        prepared = request.prepare()
        content = prepared.body or b""
        status, headers, answered = self.run(
            self._ask(
                prepared.method,
                prepared.url,
                dict(prepared.headers.items()),
                content.encode() if isinstance(content, str) else content,
            )
        )
        parser = parsers.create_parser(model.metadata["protocol"])
        value = parser.parse(
            {"status_code": status, "headers": HeadersDict(headers), "body": answered},
            operation.output_shape,
        )
        value.pop("ResponseMetadata", None)
        return Reply(status, headers, answered, value)

    async def _ask(
        self, method: str, url: str, headers: dict[str, Any], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        sent: list[dict[str, Any]] = []
        parts = urlsplit(url)
        texts = {n: v.decode() if isinstance(v, bytes) else v for n, v in headers.items()}
        texts.setdefault("Host", parts.netloc)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "scheme": "http",
            "method": method,
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "headers": [(n.lower().encode(), v.encode("latin-1")) for n, v in texts.items()],
            "client": ("127.0.0.1", 5),
        }
        await self.gateway(scope, receive, send)
        head, content = sent
        found = {n.decode(): v.decode() for n, v in head["headers"]}
        return head["status"], found, content["body"]


def _fine(reply: Reply) -> dict[str, Any]:
    assert reply.status == 200, reply.body
    return reply.value


@cache
def _model(service: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)
