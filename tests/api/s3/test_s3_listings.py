"""Listings of keys: pages, delimiters, older ways."""

from __future__ import annotations

from typing import Any

import pytest

from support.refusal import refused

# Listings


@pytest.fixture
def keys(client: Any, bucket: str) -> list[str]:
    names = ["a", "b/1", "b/2", "b/c/3", "b0", "c d+&", "d/1", "d/2", "é"]
    for name in names:
        client.put_object(Bucket=bucket, Key=name, Body=name.encode())
    return sorted(names, key=str.encode)


def test_all_keys_in_order(client: Any, bucket: str, keys: list[str]) -> None:
    listed = client.list_objects_v2(Bucket=bucket, FetchOwner=True)
    assert [one["Key"] for one in listed["Contents"]] == keys
    assert (listed["KeyCount"], listed["IsTruncated"], listed["Name"]) == (9, False, bucket)
    first = listed["Contents"][0]
    assert (first["Size"], first["StorageClass"], len(first["Owner"]["ID"])) == (1, "STANDARD", 64)
    old = client.list_objects(Bucket=bucket)
    assert [one["Key"] for one in old["Contents"]] == keys
    assert "NextMarker" not in old
    versions = client.list_object_versions(Bucket=bucket)["Versions"]
    assert [(one["Key"], one["VersionId"], one["IsLatest"]) for one in versions] == [
        (key, "null", True) for key in keys
    ]


@pytest.mark.parametrize("operation", ["list_objects_v2", "list_objects", "list_object_versions"])
@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("prefix", "found", "common"),
    [
        ("", ["a", "b0", "c d+&", "é"], ["b/", "d/"]),
        ("b", ["b0"], ["b/"]),
        ("b/", ["b/1", "b/2"], ["b/c/"]),
        ("x", [], []),
    ],
)
def test_pages_with_a_delimiter(
    client: Any,
    bucket: str,
    keys: list[str],
    operation: str,
    size: int,
    prefix: str,
    found: list[str],
    common: list[str],
) -> None:
    pages = client.get_paginator(operation).paginate(
        Bucket=bucket, Delimiter="/", Prefix=prefix, PaginationConfig={"PageSize": size}
    )
    contents: list[str] = []
    prefixes: list[str] = []
    for page in pages:
        shown = page.get("Contents", page.get("Versions", []))
        contents += [one["Key"] for one in shown]
        prefixes += [one["Prefix"] for one in page.get("CommonPrefixes", [])]
        assert len(shown) + len(page.get("CommonPrefixes", [])) <= size
    assert (contents, prefixes) == (found, common)


def test_other_ways_to_list(client: Any, bucket: str, keys: list[str]) -> None:
    found = client.list_objects_v2(Bucket=bucket, StartAfter="b/2", MaxKeys=2)
    assert [one["Key"] for one in found["Contents"]] == ["b/c/3", "b0"]
    assert (found["StartAfter"], found["IsTruncated"]) == ("b/2", True)
    none = client.list_objects_v2(Bucket=bucket, MaxKeys=0)
    assert (none["KeyCount"], none["IsTruncated"]) == (0, False)
    plain = client.list_objects_v2(Bucket=bucket, EncodingType="url", Prefix="c d")
    assert [one["Key"] for one in plain["Contents"]] == ["c%20d%2B%26"]
    marked = client.list_objects(Bucket=bucket, Marker="c")
    assert [one["Key"] for one in marked["Contents"]] == ["c d+&", "d/1", "d/2", "é"]
    assert refused(client.list_objects_v2, Bucket=bucket, ContinuationToken="!")[0] == (
        "InvalidArgument"
    )
    assert refused(client.list_objects_v2, Bucket=bucket, MaxKeys=-1)[0] == "InvalidArgument"
