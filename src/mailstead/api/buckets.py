"""Buckets and their objects: kept in the store, a body beside each object in one write.

There are no versions of objects: a bucket keeps what was said about versioning,
lifecycles and the rest, and shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from ipaddress import IPv4Address

from mailstead.api.bucket_model import (
    EVERYWHERE,
    Bucket,
    Listing,
    NewObject,
    Part,
    StoredObject,
    Upload,
)
from mailstead.api.s3_addresses import Addresses
from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound, Refused
from mailstead.mail.messages import digest
from mailstead.mail.model import Scope
from mailstead.mail.ports import (
    Clock,
    Create,
    Remove,
    Replace,
    Stands,
    Store,
    Vacant,
    Workers,
)
from mailstead.wire.checksums import ALGORITHMS

LARGEST = 64 * 1024 * 1024
"""Bytes of an object."""
MOST_BUCKETS = 1000
LONGEST_KEY = 1024
QUICK = 256 * 1024
"""Bytes that are hashed without a thread."""
TRIES = 20
"""How often a change is tried that others overtake."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|[.-](?=[a-z0-9-])){1,61}[a-z0-9]", re.ASCII)
_RESERVED = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_END = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
LAST = "\U0010ffff"


Authorise = Callable[[str, Sequence[str]], None]
"""(action, ARNs): raises Refused unless somebody may."""


class Buckets:
    """What is done with buckets and objects."""

    def __init__(
        self, store: Store, clock: Clock, workers: Workers, hosts: Iterable[str] = ()
    ) -> None:
        self._store = store
        self._clock = clock
        self._workers = workers
        self.addresses = Addresses(hosts, self._exists)

    async def _exists(self, name: str) -> bool:
        return await self.find(name) is not None

    # Buckets

    async def find(self, name: str) -> Bucket | None:
        """The bucket of that name, whosever it is."""
        return await self._store.get(Bucket, EVERYWHERE, name)

    async def require(self, name: str) -> Bucket:
        """The bucket of that name; NotFound in S3's words."""
        found = await self.find(name)
        if found is None:
            raise _no_bucket(name)
        return found

    async def owned(self, account: str) -> list[Bucket]:
        """An account's buckets by name."""
        every = await self._store.select(Bucket, EVERYWHERE)
        return [bucket for bucket in every if bucket.account == account]

    async def create(
        self, owner: Scope, name: str, settings: dict[str, str] | None = None
    ) -> Bucket:
        """A new, empty bucket; Conflict (reason ``owned`` or ``taken``) where it exists."""
        check_name(name)
        if len(await self.owned(owner.account)) >= MOST_BUCKETS:
            raise Limit(
                "You have attempted to create more buckets than allowed",
                resource="bucket",
                name=name,
            )
        bucket = Bucket(
            EVERYWHERE, name, owner.account, owner.region, self._clock.now(), settings or {}
        )
        try:
            await self._store.apply(Create(bucket))
        except Conflict:
            found = await self.find(name)
            own = found is not None and found.account == owner.account
            raise _owned(name) if own else _taken(name) from None
        return bucket

    async def delete(self, name: str) -> None:
        """Delete an empty bucket, and the uploads to it that are under way.

        Conflict (reason ``in-use``) where it is not empty.
        """
        for _ in range(TRIES):
            bucket = await self.require(name)
            empty = Vacant(StoredObject, EVERYWHERE, f"{name}/")
            uploads = await self._store.select(Upload, EVERYWHERE, prefix=f"{name}/")
            parts = await self._store.select(Part, EVERYWHERE, prefix=f"{name}/")
            gone = [Remove(one) for one in (*uploads, *parts)]
            bodies = [part.digest for part in parts]
            try:
                await self._store.apply(empty, Remove(bucket), *gone, release=bodies)
                return
            except Conflict as error:
                if error.reason == "in-use":
                    raise Conflict(
                        "The bucket you tried to delete is not empty",
                        resource="bucket",
                        name=name,
                        reason="in-use",
                    ) from None
        raise _busy(name)

    async def set(self, name: str, setting: str, value: str | None) -> Bucket:
        """Change what is said about a bucket; None takes it back."""
        for _ in range(TRIES):
            bucket = await self.require(name)
            settings = {key: text for key, text in bucket.settings.items() if key != setting}
            if value is not None:
                settings[setting] = value
            new = replace(bucket, settings=settings)
            try:
                await self._store.apply(Replace(bucket, new))
                return new
            except Conflict:
                continue
        raise _busy(name)

    # Objects

    async def object(self, bucket: str, key: str) -> StoredObject | None:
        """The object under a key, or None."""
        return await self._store.get(StoredObject, EVERYWHERE, f"{bucket}/{key}")

    async def body(self, found: StoredObject) -> bytes:
        """An object's bytes."""
        return await self._store.body(found.digest)

    async def read(self, bucket: str, key: str) -> bytes:
        """The bytes under a key; NotFound in S3's words."""
        await self.require(bucket)
        found = await self.object(bucket, key)
        if found is None:
            raise no_key(key)
        return await self.body(found)

    async def hashed(self, name: str, body: bytes) -> bytes:
        """A checksum of a body, from a thread where it takes a while."""
        compute = ALGORITHMS[name]
        return compute(body) if len(body) <= QUICK else await self._workers.run(compute, body)

    async def put(
        self,
        bucket: str,
        key: str,
        new: NewObject,
        *,
        condition: Callable[[StoredObject | None], None] = lambda present: None,
    ) -> StoredObject:
        """Put an object under a key in place of what is there.

        ``condition`` looks at that, and raises where it is not what the asker expects.
        """
        _check_object(key, new)
        made = StoredObject(
            EVERYWHERE,
            f"{bucket}/{key}",
            await self._digest(new.body),
            len(new.body),
            new.etag or (await self.hashed("md5", new.body)).hex(),
            self._clock.now(),
            new.system,
            new.metadata,
            new.checksums,
            new.tags,
        )
        for _ in range(TRIES):
            home, present = await self.require(bucket), await self.object(bucket, key)
            condition(present)
            change = Create(made) if present is None else Replace(present, made)
            released = [present.digest] if present is not None else []
            try:
                await self._store.apply(Stands(home), change, keep=[new.body], release=released)
                return made
            except Conflict:
                continue
        raise _busy(key)

    async def _digest(self, body: bytes) -> bytes:
        return digest(body) if len(body) <= QUICK else await self._workers.run(digest, body)

    async def tag(self, found: StoredObject, tags: dict[str, str]) -> None:
        """Change an object's tags; Conflict where it was exchanged meanwhile."""
        await self._store.apply(Replace(found, replace(found, tags=tags)))

    async def remove(self, bucket: str, key: str) -> None:
        """Take an object away; one that is not there is no error."""
        for _ in range(TRIES):
            found = await self.object(bucket, key)
            if found is None:
                return
            try:
                await self._store.apply(Remove(found), release=[found.digest])
                return
            except Conflict:
                continue
        raise _busy(key)

    async def listed(
        self,
        bucket: str,
        *,
        prefix: str = "",
        delimiter: str = "",
        position: str = "",
        limit: int = 1000,
    ) -> Listing:
        """Keys that begin with a prefix and follow a position, in the order of UTF-8.

        Keys with the delimiter after the prefix are one entry together.
        """
        entries: list[StoredObject | str] = []
        where = ""
        start = position
        while len(entries) <= limit:
            rows = await self._store.select(
                StoredObject,
                EVERYWHERE,
                prefix=f"{bucket}/{prefix}",
                after=f"{bucket}/{start}",
                limit=limit + 1,
            )
            for row in rows:
                start, entry = _entry(row, prefix, delimiter)
                if isinstance(entry, str) and entries and entries[-1] == entry:
                    continue
                if len(entries) == limit:
                    return Listing(entries, where)
                entries.append(entry)
                where = start
            if len(rows) <= limit:
                break
        return Listing(entries, "")

    # Templates

    async def by_url(self, scope: Scope, url: str, authorise: Authorise | None = None) -> bytes:
        """The bytes behind a URL such as a ``TemplateURL``, read here and never fetched.

        Invalid where it is no address of an object, Refused where the bucket is
        another account's.
        """
        address = await self.addresses.of_url(url)
        if address is None:
            raise Invalid("TemplateURL must be a supported URL.", resource="template", name=url)
        bucket, key = address
        found = await self.find(bucket)
        if found is None:
            raise Invalid(
                "S3 error: The specified bucket does not exist",
                resource="template",
                name=bucket,
            )
        if found.account != scope.account:
            raise Refused("S3 error: Access Denied", resource="template", name=bucket)
        if authorise is not None:
            authorise("s3:GetObject", [f"{found.arn}/{key}"])
        present = await self.object(bucket, key)
        if present is None:
            raise Invalid(
                "S3 error: The specified key does not exist.", resource="template", name=key
            )
        return await self.body(present)


def _entry(row: StoredObject, prefix: str, delimiter: str) -> tuple[str, StoredObject | str]:
    """Where to go on after an object, and what stands for it in a listing."""
    key = row.key
    at = key.find(delimiter, len(prefix)) if delimiter else -1
    if at < 0:
        return key, row
    common = key[: at + len(delimiter)]
    return common + LAST, common


def check_name(name: str) -> None:
    """Invalid (reason ``name``) unless a bucket may be called so."""
    if (
        not _NAME.fullmatch(name)
        or name.startswith(_RESERVED)
        or name.endswith(_RESERVED_END)
        or _is_address(name)
    ):
        raise Invalid(
            "The specified bucket is not valid.", resource="bucket", name=name, reason="name"
        )


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except ValueError:
        return False
    return True


def _check_object(key: str, new: NewObject) -> None:
    if len(key.encode()) > LONGEST_KEY:
        raise Invalid("Your key is too long", resource="object", name=key, reason="key")
    if len(new.body) > LARGEST:
        raise Limit(
            f"Your proposed upload exceeds the maximum allowed size of {LARGEST} bytes",
            resource="object",
            name=key,
        )


def _no_bucket(name: str) -> NotFound:
    return NotFound("The specified bucket does not exist", resource="bucket", name=name)


def no_key(key: str) -> NotFound:
    """S3's words for a key with nothing under it."""
    return NotFound("The specified key does not exist.", resource="object", name=key)


def _owned(name: str) -> Conflict:
    return Conflict(
        "Your previous request to create the named bucket succeeded and you already own it.",
        resource="bucket",
        name=name,
        reason="owned",
    )


def _taken(name: str) -> Conflict:
    return Conflict(
        "The requested bucket name is not available. The bucket namespace is shared by all users "
        "of the system. Please select a different name and try again.",
        resource="bucket",
        name=name,
        reason="taken",
    )


def _busy(name: str) -> Conflict:
    return Conflict(
        "A conflicting conditional operation is currently in progress against this resource. "
        "Please try again.",
        resource="object",
        name=name,
        reason="stale",
    )
