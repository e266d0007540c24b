"""Uploads in parts, and changes of buckets and objects that overtake each other."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import zlib
from typing import Any

import pytest

from mailstead.api.bucket_model import EVERYWHERE, NewObject, Part, Upload
from mailstead.api.buckets import LARGEST
from mailstead.api.uploads import Uploads
from mailstead.mail.errors import Conflict, NotFound
from support.refusal import refused

FIRST = b"a" * (5 * 1024 * 1024)
HERE = {"Bucket": "bucket", "Key": "k"}


pytestmark = pytest.mark.usefixtures("bucket")


def begun(client: Any, **more: Any) -> dict[str, Any]:
    return {**HERE, "UploadId": client.create_multipart_upload(**HERE, **more)["UploadId"]}


def chosen(*parts: dict[str, Any]) -> dict[str, Any]:
    listed = [{"PartNumber": number, "ETag": part["ETag"]} for number, part in enumerate(parts, 1)]
    return {"MultipartUpload": {"Parts": listed}}


def test_an_upload_in_parts(s3door: Any, client: Any) -> None:
    where = begun(client, ContentType="x/y", Metadata={"a": "b"}, Tagging="t=1")
    first = client.upload_part(**where, PartNumber=1, Body=FIRST)
    client.upload_part(**where, PartNumber=2, Body=b"never")
    second = client.upload_part(**where, PartNumber=2, Body=b"end")
    listed = client.list_parts(**where)
    assert [(one["PartNumber"], one["Size"]) for one in listed["Parts"]] == [
        (1, len(FIRST)),
        (2, 3),
    ]
    page = client.list_parts(**where, MaxParts=1)
    assert (page["IsTruncated"], page["NextPartNumberMarker"]) == (True, 1)
    assert client.list_parts(**where, PartNumberMarker=1)["Parts"][0]["PartNumber"] == 2
    done = client.complete_multipart_upload(**where, **chosen(first, second))
    tags = b"".join(hashlib.md5(body).digest() for body in (FIRST, b"end"))
    assert done["ETag"] == f'"{hashlib.md5(tags).hexdigest()}-2"'
    found = client.get_object(**HERE)
    assert found["Body"].read() == FIRST + b"end"
    assert (found["ContentType"], found["Metadata"], found["TagCount"]) == ("x/y", {"a": "b"}, 1)
    assert refused(client.list_parts, **where)[:2] == ("NoSuchUpload", 404)
    for kind in (Upload, Part):
        assert s3door.run(s3door.store.select(kind, EVERYWHERE)) == []


def test_parts_of_other_objects(client: Any) -> None:
    client.put_object(Bucket="bucket", Key="source", Body=b"0123456789")
    where = begun(client)
    source = {"CopySource": {"Bucket": "bucket", "Key": "source"}}
    part = client.upload_part_copy(**where, PartNumber=1, CopySourceRange="bytes=2-4", **source)
    for wrong in ("bytes=2-10", "bytes=4-2", "2-4"):
        refusal = refused(
            client.upload_part_copy, **where, PartNumber=2, CopySourceRange=wrong, **source
        )
        assert refusal[0] == "InvalidArgument"
    client.complete_multipart_upload(**where, **chosen(part["CopyPartResult"]))
    assert client.get_object(**HERE)["Body"].read() == b"234"
    where = begun(client)
    part = client.upload_part_copy(**where, PartNumber=1, **source)
    client.complete_multipart_upload(**where, **chosen(part["CopyPartResult"]))
    assert client.get_object(**HERE)["Body"].read() == b"0123456789"


def test_a_checksum_of_the_whole(client: Any) -> None:
    body = b"0123456789"
    crc = base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
    for value in ("AAAAAA==", crc):
        where = begun(client, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
        part = client.upload_part(**where, PartNumber=1, Body=body, ChecksumAlgorithm="CRC32")
        assert part["ChecksumCRC32"] == crc
        end = {**where, **chosen(part), "ChecksumCRC32": value, "ChecksumType": "FULL_OBJECT"}
        if value != crc:
            assert refused(client.complete_multipart_upload, **end)[:2] == ("BadDigest", 400)
    assert client.complete_multipart_upload(**end)["ChecksumCRC32"] == crc
    assert client.head_object(**HERE, ChecksumMode="ENABLED")["ChecksumCRC32"] == crc


def test_what_can_not_be_completed(client: Any, monkeypatch: Any) -> None:
    where = begun(client)
    one = client.upload_part(**where, PartNumber=1, Body=b"small")
    two = client.upload_part(**where, PartNumber=2, Body=b"two", ChecksumAlgorithm="SHA256")
    end = client.complete_multipart_upload

    def refusal(*parts: dict[str, Any]) -> str:
        return refused(end, **where, MultipartUpload={"Parts": list(parts)})[0]

    first = {"PartNumber": 1, "ETag": one["ETag"]}
    second = {"PartNumber": 2, "ETag": two["ETag"]}
    assert refusal(first, second) == "EntityTooSmall"
    assert refusal(second, first) == "InvalidPartOrder"
    assert refusal(first, first) == "InvalidPartOrder"
    assert refusal({"PartNumber": 3, "ETag": "x"}) == "InvalidPart"
    assert refusal({"PartNumber": 1, "ETag": "x"}) == "InvalidPart"
    assert refusal({**second, "ChecksumSHA256": "x"}) == "InvalidPart"
    monkeypatch.setattr("mailstead.api.uploads.LARGEST", 2)
    assert refusal(second) == "EntityTooLarge"
    assert refused(client.upload_part, **where, PartNumber=10_001, Body=b"")[0] == "InvalidArgument"
    other = {**where, "Key": "other"}
    assert refused(client.upload_part, **other, PartNumber=1, Body=b"")[0] == "NoSuchUpload"
    assert LARGEST == 64 * 1024 * 1024


def test_uploads_that_end_early(s3door: Any, client: Any) -> None:
    first, second = begun(client), begun(client)
    client.upload_part(**first, PartNumber=1, Body=b"1")
    client.upload_part(**second, PartNumber=1, Body=b"2" * 100_000)
    other = client.create_multipart_upload(Bucket="bucket", Key="z")
    listed = client.list_multipart_uploads(Bucket="bucket")
    assert [one["Key"] for one in listed["Uploads"]] == ["k", "k", "z"]
    page = client.list_multipart_uploads(Bucket="bucket", MaxUploads=1)
    rest = client.list_multipart_uploads(
        Bucket="bucket",
        KeyMarker=page["NextKeyMarker"],
        UploadIdMarker=page["NextUploadIdMarker"],
    )
    assert len(rest["Uploads"]) in {1, 2}
    marked = client.list_multipart_uploads(Bucket="bucket", KeyMarker="k")
    assert [one["UploadId"] for one in marked["Uploads"]] == [other["UploadId"]]
    assert "Uploads" not in client.list_multipart_uploads(Bucket="bucket", Prefix="x")
    client.abort_multipart_upload(**first)
    assert refused(client.abort_multipart_upload, **first)[0] == "NoSuchUpload"
    # Uploads do not keep a bucket; they go with it.
    client.delete_bucket(Bucket="bucket")
    for kind in (Upload, Part):
        assert s3door.run(s3door.store.select(kind, EVERYWHERE)) == []
    with pytest.raises(NotFound):
        s3door.run(s3door.store.body(hashlib.sha256(b"2" * 100_000).digest()))
    assert refused(client.create_multipart_upload, **HERE)[0] == "NoSuchBucket"


# Changes that overtake each other


def test_many_puts_of_one_key(s3door: Any, client: Any) -> None:
    async def scene() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(s3door.buckets.put("bucket", "k", NewObject(bytes([n]) * 70_000)))
                for n in range(8)
            ]
        return [task.result().size for task in tasks]

    assert s3door.run(scene()) == [70_000] * 8
    body = client.get_object(**HERE)["Body"].read()
    assert len(set(body)) == 1
    client.delete_object(**HERE)
    client.delete_bucket(Bucket="bucket")


class Overtaken:
    """A store in which somebody else is always faster."""

    def __init__(self, store: Any, times: int, reason: str = "stale") -> None:
        self._store = store
        self.times = times
        self._reason = reason

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, *changes: Any, **more: Any) -> None:
        if self.times:
            self.times -= 1
            raise Conflict("changed meanwhile", reason=self._reason)
        await self._store.apply(*changes, **more)


@pytest.mark.parametrize("times", [1, 100])
def test_changes_are_tried_again(s3door: Any, client: Any, times: int) -> None:
    buckets = s3door.buckets
    s3door.run(buckets.put("bucket", "k", NewObject(b"1")))
    works = [
        lambda: buckets.put("bucket", "k", NewObject(b"2")),
        lambda: buckets.set("bucket", "tagging", "{}"),
        lambda: buckets.remove("bucket", "k"),
        lambda: buckets.delete("bucket"),
    ]
    store = buckets._store
    for work in works:
        buckets._store = Overtaken(store, times)
        if times == 1:
            s3door.run(work())
            continue
        with pytest.raises(Conflict) as caught:
            s3door.run(work())
        assert caught.value.reason == "stale"


class Deleting:
    """A store whose guarded writes come after the bucket's deletion."""

    def __init__(self, buckets: Any) -> None:
        self._buckets, self._store = buckets, buckets._store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def apply(self, *changes: Any, **more: Any) -> None:
        self._buckets._store = self._store
        await self._buckets.delete("bucket")
        await self._store.apply(*changes, **more)


def test_a_bucket_that_goes_while_an_object_is_put(s3door: Any, client: Any) -> None:
    buckets = s3door.buckets
    buckets._store = Deleting(buckets)
    with pytest.raises(NotFound) as caught:
        s3door.run(buckets.put("bucket", "k", NewObject(b"1")))
    assert caught.value.resource == "bucket"
    assert s3door.run(buckets.object("bucket", "k")) is None


@pytest.mark.parametrize("times", [1, 100])
def test_parts_are_tried_again(s3door: Any, client: Any, times: int) -> None:
    store, buckets = s3door.store, s3door.buckets
    clock, dice = s3door.clock, s3door.ports.randomness
    upload = s3door.run(Uploads(store, clock, dice, buckets).begin("bucket", "k", NewObject(b"")))
    slow = Uploads(Overtaken(store, times), clock, dice, buckets)
    if times == 1:
        assert s3door.run(slow.put(upload, 1, b"x", {})).size == 1
        return
    with pytest.raises(Conflict):
        s3door.run(slow.put(upload, 1, b"x", {}))
    s3door.run(Uploads(store, clock, dice, buckets).end(upload))
    with pytest.raises(NotFound):
        s3door.run(Uploads(store, clock, dice, buckets).put(upload, 1, b"x", {}))


def test_no_more_buckets_than_that(s3door: Any, client: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("mailstead.api.buckets.MOST_BUCKETS", 1)
    assert refused(client.create_bucket, Bucket="another")[:2] == ("TooManyBuckets", 400)
