"""Templates that CloudFormation reads from buckets."""

from __future__ import annotations

from typing import Any

import pytest

from mailstead.mail.model import Scope

ACCOUNT = "111122223333"

# Templates


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:4566/bucket/dir/t%20.json",
        "https://127.0.0.1/bucket/dir/t%20.json",
        "http://[::1]:4566/bucket/dir/t%20.json",
        "http://localhost:4566/bucket/dir/t%20.json",
        "http://bucket.localhost:4566/dir/t%20.json",
        "http://bucket.s3.test/dir/t%20.json",
        "http://bucket.example.org/dir/t%20.json",
        "http://other.example.org/bucket/dir/t%20.json",
        "https://s3.us-east-1.amazonaws.com/bucket/dir/t%20.json",
        "https://bucket.s3.amazonaws.com/dir/t%20.json",
        "https://bucket.s3.us-east-1.amazonaws.com/dir/t%20.json",
        "https://bucket.s3-us-west-2.amazonaws.com/dir/t%20.json",
    ],
)
def test_templates_by_their_urls(s3door: Any, client: Any, bucket: str, url: str) -> None:
    client.put_object(Bucket=bucket, Key="dir/t .json", Body=b"{}")
    assert s3door.run(s3door.buckets.by_url(Scope(ACCOUNT, "us-east-1"), url)) == b"{}"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://localhost/bucket/t", "supported URL"),
        ("http:///bucket/t", "supported URL"),
        ("http://localhost/bucket", "supported URL"),
        ("http://localhost/bucket/%ff", "supported URL"),
        ("http://[/bucket/t", "supported URL"),
        ("/bucket/t", "supported URL"),
        ("http://localhost/none/t", "specified bucket does not exist"),
        ("http://localhost/bucket/none", "specified key does not exist"),
        ("http://localhost/theirs/t", "Access Denied"),
        ("http://bucket.localhost/secret", "not allowed"),
    ],
)
def test_urls_of_no_template(s3door: Any, client: Any, bucket: str, url: str, words: str) -> None:
    other = Scope("999900001111", "us-east-1")
    s3door.run(s3door.buckets.create(other, "theirs"))
    client.put_object(Bucket=bucket, Key="secret", Body=b"{}")

    def authorise(action: str, arns: Any) -> None:
        if list(arns) == ["arn:aws:s3:::bucket/secret"]:
            raise ValueError(f"{action} not allowed")

    with pytest.raises(Exception, match=words):
        s3door.run(s3door.buckets.by_url(Scope(ACCOUNT, "us-east-1"), url, authorise))


def test_reading_for_others(s3door: Any, client: Any, bucket: str) -> None:
    client.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert s3door.run(s3door.buckets.read(bucket, "k")) == b"1"
    for name, key in ((bucket, "none"), ("none", "k")):
        with pytest.raises(Exception, match="does not exist"):
            s3door.run(s3door.buckets.read(name, key))
