"""Uploads in parts: kept until they are completed or aborted, or their bucket goes.

The parts' bodies lie in the store like objects'; completing puts them together and
puts the object, so that a crash in between leaves an upload that can be completed
again. Source: the Amazon S3 User Guide, "Multipart upload".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mailstead.api.bucket_model import EVERYWHERE, NewObject, Part, StoredObject, Upload
from mailstead.api.buckets import LARGEST, TRIES, Buckets
from mailstead.mail.errors import Conflict, Invalid, Limit, NotFound
from mailstead.mail.messages import digest
from mailstead.mail.ports import Change, Clock, Create, Randomness, Remove, Replace, Stands, Store
from mailstead.wire.aws_scalars import base64
from mailstead.wire.checksums import ALGORITHMS

SMALLEST = 5 * 1024 * 1024
"""Bytes of every part but the last."""
MOST_PARTS = 10_000


class Chosen(NamedTuple):
    """A part as its uploader names it at the end."""

    number: int
    etag: str
    checksums: dict[str, str]


@dataclass(frozen=True, slots=True)
class Uploads:
    """What is done with uploads."""

    store: Store
    clock: Clock
    randomness: Randomness
    buckets: Buckets

    async def begin(self, bucket: str, key: str, about: NewObject) -> Upload:
        """A new upload; ``about`` is the object without its body."""
        upload = Upload(
            EVERYWHERE,
            f"{bucket}/{self.randomness.token(24).hex()}",
            key,
            self.clock.now(),
            about.system,
            about.metadata,
            about.tags,
        )
        await self.store.apply(Stands(await self.buckets.require(bucket)), Create(upload))
        return upload

    async def require(self, bucket: str, key: str, upload_id: str) -> Upload:
        """An upload; NotFound in S3's words."""
        found = await self.store.get(Upload, EVERYWHERE, f"{bucket}/{upload_id}")
        if found is None or found.key != key:
            raise NotFound(
                "The specified upload does not exist. The upload ID may be invalid, or the upload "
                "may have been aborted or completed.",
                resource="upload",
                name=upload_id,
            )
        return found

    async def listed(self, bucket: str) -> list[Upload]:
        """The uploads to a bucket by key, older ones first."""
        found = await self.store.select(Upload, EVERYWHERE, prefix=f"{bucket}/")
        return sorted(found, key=lambda one: (one.key, one.started_at, one.name))

    async def parts(self, upload: Upload) -> list[Part]:
        """An upload's parts by number."""
        return await self.store.select(Part, EVERYWHERE, prefix=f"{upload.name}/")

    async def put(
        self, upload: Upload, number: int, body: bytes, checksums: dict[str, str]
    ) -> Part:
        """Keep a part, in place of one of that number."""
        if not 1 <= number <= MOST_PARTS:
            raise Invalid(
                f"Part number must be an integer between 1 and {MOST_PARTS}, inclusive",
                resource="part",
            )
        made = Part(
            EVERYWHERE,
            f"{upload.name}/{number:05d}",
            digest(body),
            len(body),
            (await self.buckets.hashed("md5", body)).hex(),
            self.clock.now(),
            checksums,
        )
        for _ in range(TRIES):
            present = await self.store.get(Part, EVERYWHERE, made.name)
            change = Create(made) if present is None else Replace(present, made)
            released = [present.digest] if present is not None else []
            try:
                await self.store.apply(Stands(upload), change, keep=[body], release=released)
                return made
            except Conflict as error:
                if error.reason == "gone":
                    await self.require(upload.bucket, upload.key, upload.upload_id)
        raise Conflict("Please try again.", resource="part", reason="stale")

    async def complete(
        self, upload: Upload, chosen: Sequence[Chosen], checksums: dict[str, str]
    ) -> StoredObject:
        """Put the object that the chosen parts make; the upload ends."""
        parts = {part.number: part for part in await self.parts(upload)}
        found = [_chosen(parts, one) for one in chosen]
        numbers = [one.number for one in chosen]
        if not numbers or numbers != sorted(set(numbers)):
            raise Invalid(
                "The list of parts was not in ascending order. The parts list must be specified "
                "in order by part number.",
                resource="part",
                reason="part-order",
            )
        if any(part.size < SMALLEST for part in found[:-1]):
            raise Invalid(
                "Your proposed upload is smaller than the minimum allowed size",
                resource="part",
                reason="part-small",
            )
        if sum(part.size for part in found) > LARGEST:
            raise Limit(
                f"Your proposed upload exceeds the maximum allowed size of {LARGEST} bytes",
                resource="object",
            )
        body = b"".join([await self.store.body(part.digest) for part in found])
        await self._compare(body, checksums)
        tags = b"".join(bytes.fromhex(part.etag) for part in found)
        etag = f"{hashlib.md5(tags, usedforsecurity=False).hexdigest()}-{len(found)}"
        new = NewObject(body, upload.system, upload.metadata, checksums, upload.tags, etag)
        made = await self.buckets.put(upload.bucket, upload.key, new)
        await self.end(upload)
        return made

    async def _compare(self, body: bytes, checksums: dict[str, str]) -> None:
        for member, text in checksums.items():
            name = member.removeprefix("Checksum").lower()
            if name not in ALGORITHMS or base64(await self.buckets.hashed(name, body)) != text:
                raise Invalid(
                    f"The {member} you specified did not match what we received",
                    resource="object",
                    reason="digest",
                )

    async def end(self, upload: Upload) -> None:
        """Take an upload and all its parts away."""
        parts = await self.parts(upload)
        changes: list[Change] = [Remove(upload), *map(Remove, parts)]
        await self.store.apply(*changes, release=[part.digest for part in parts])


def _chosen(parts: dict[int, Part], wanted: Chosen) -> Part:
    part = parts.get(wanted.number)
    if (
        part is None
        or wanted.etag.strip('"') != part.etag
        or any(part.checksums.get(name, text) != text for name, text in wanted.checksums.items())
    ):
        raise Invalid(
            "One or more of the specified parts could not be found. The part may not have been "
            "uploaded, or the specified entity tag may not match the part's entity tag.",
            resource="part",
            name=str(wanted.number),
            reason="part",
        )
    return part
