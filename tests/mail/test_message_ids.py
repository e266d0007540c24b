"""MessageIds, and reverse paths that nobody else can make."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.mail.message_ids import ReturnPaths, new_message_id, parse_return_path

UUID = "71c65177-ce88-4135-9258-48c0e8bf916d"


@pytest.mark.parametrize(
    ("region", "start"),
    [("us-east-1", "0100"), ("eu-west-1", "0102"), ("us-east-2", "010f"), ("xx-nowhere-9", "01ff")],
)
def test_a_message_id_holds_region_and_time(region: str, start: str) -> None:
    moment = datetime(2022, 8, 10, 16, 4, 45, 855_000, UTC)
    found = new_message_id(region, int(moment.timestamp() * 1000), UUID)
    assert found == f"{start}018288804c9f-{UUID}-000000"


@given(st.text(max_size=20), st.integers(0, 999_999), st.binary(min_size=1, max_size=40))
def test_a_reverse_path_is_recognised_and_a_forged_one_is_not(
    recipient: str, number: int, key: bytes
) -> None:
    paths = ReturnPaths(key)
    message_id = new_message_id("us-east-1", 1_660_147_485_855, UUID)
    local = paths.local_part(message_id, recipient, number)
    assert len(local) == len(message_id)
    assert local[:16] == message_id[:16]
    found = parse_return_path(local.upper())
    assert found is not None
    assert (found.start, found.number) == (message_id[:16], number)
    assert paths.matches(found, message_id, recipient)
    assert not paths.matches(found, message_id, recipient + "x")
    assert not paths.matches(found, "0102" + message_id[4:], recipient)
    assert not ReturnPaths(key + b"x").matches(found, message_id, recipient)


@pytest.mark.parametrize("local", ["", "ann", UUID, f"0100018288804c9f-{UUID}-00000"])
def test_other_local_parts_are_none(local: str) -> None:
    assert parse_return_path(local) is None
