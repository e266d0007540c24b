"""Where name servers are, as people write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.name_server import (
    NameServer,
    NameServerError,
    is_address,
    parse_address,
    parse_name_server,
)


@pytest.mark.parametrize(
    ("text", "host", "port", "shown"),
    [
        ("192.0.2.1", "192.0.2.1", 53, "192.0.2.1:53"),
        ("192.0.2.1:5353", "192.0.2.1", 5353, "192.0.2.1:5353"),
        ("2001:DB8::1", "2001:db8::1", 53, "[2001:db8::1]:53"),
        ("[2001:db8::1]", "2001:db8::1", 53, "[2001:db8::1]:53"),
        ("[2001:db8::1]:54", "2001:db8::1", 54, "[2001:db8::1]:54"),
        ("NS1.Example.", "ns1.example", 53, "ns1.example:53"),
        ("ns1.example:1", "ns1.example", 1, "ns1.example:1"),
    ],
)
def test_forms(text: str, host: str, port: int, shown: str) -> None:
    assert parse_name_server(text) == NameServer(host, port)
    assert parse_name_server(text).text == shown


@pytest.mark.parametrize(
    "text",
    ["", ":53", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2", "[192.0.2.1", "[ns1.example]", "a..b"],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(NameServerError, match="is no name server"):
        parse_name_server(text)


def test_by_address_only() -> None:
    assert parse_address("192.0.2.1").port == 53
    with pytest.raises(NameServerError, match="is no address"):
        parse_address("ns1.example")
    assert is_address("::1")
    assert not is_address("ns1")


@given(st.text(alphabet="[]:.a1é ", max_size=20))
def test_garbage(text: str) -> None:
    try:
        found = parse_name_server(text)
    except NameServerError:
        return
    assert parse_name_server(found.text) == found
