"""Clients of S3, and a bucket."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture
def client(s3door: Any) -> Any:
    return s3door.client("s3")


@pytest.fixture
def bucket(client: Any) -> str:
    client.create_bucket(Bucket="bucket")
    return "bucket"
