"""aws-chunked: AWS's own example, round trips in each form, everything that is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.aws_chunked import (
    KINDS,
    SIGNED,
    SIGNED_TRAILER,
    UNSIGNED_TRAILER,
    ChunkError,
    ChunkSignatureError,
    ChunkSigner,
    unchunked,
)
from mailstead.wire.sigv4 import signing_key

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
KEY = signing_key(SECRET, "20130524", "us-east-1", "s3")
SCOPE = "20130524/us-east-1/s3/aws4_request"
SIGNER = ChunkSigner(
    KEY,
    "20130524T000000Z",
    SCOPE,
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
)
CHECKSUM = ["x-amz-checksum-crc32c"]


def piece(data: bytes, signature: str | None) -> bytes:
    extension = f";chunk-signature={signature}" if signature is not None else ""
    return f"{len(data):x}{extension}\r\n".encode() + data


def chunked(parts: list[bytes], kind: str, trailers: dict[str, str] | None = None) -> bytes:
    """A body as a client sends it."""
    before = SIGNER.seed
    out = b""
    for data in [*parts, b""]:
        signature = None
        if kind != UNSIGNED_TRAILER:
            before = signature = SIGNER.of(before, data)
        out += piece(data, signature) + (b"\r\n" if data else b"")
    lines = "".join(f"{name}:{value}\r\n" for name, value in (trailers or {}).items())
    if kind == SIGNED_TRAILER:
        signed = lines.replace("\r\n", "\n").encode()
        lines += f"x-amz-trailer-signature:{SIGNER.of_trailer(before, signed)}\r\n"
    return out + lines.encode() + b"\r\n"


def test_the_documentations_example() -> None:
    """Two pieces of 65,536 and 1,024 letters, with the signatures that AWS printed."""
    signatures = (
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
    )
    parts = (b"a" * 65_536, b"a" * 1024, b"")
    body = b"".join(
        piece(data, signature) + b"\r\n" for data, signature in zip(parts, signatures, strict=True)
    )
    assert unchunked(body, SIGNED, SIGNER).body == b"a" * 66_560


def test_the_documentations_example_with_a_trailer() -> None:
    signer = ChunkSigner(
        KEY,
        "20130524T000000Z",
        SCOPE,
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    )
    signatures = (
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
    )
    parts = (b"a" * 65_536, b"a" * 1024, b"")
    pieces = [piece(d, s) for d, s in zip(parts, signatures, strict=True)]
    body = b"\r\n".join(pieces) + (
        b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
        b"x-amz-trailer-signature:"
        b"d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
    )
    found = unchunked(body, SIGNED_TRAILER, signer, CHECKSUM)
    assert found.trailers == {"x-amz-checksum-crc32c": "sOO8/Q=="}
    assert len(found.body) == 66_560


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=4), st.sampled_from(sorted(KINDS)))
def test_round_trips(parts: list[bytes], kind: str) -> None:
    trailers = {} if kind == SIGNED else {"x-amz-checksum-crc32c": "AAAAAA=="}
    body = chunked(parts, kind, trailers)
    found = unchunked(body, kind, SIGNER, CHECKSUM)
    assert (found.body, found.trailers) == (b"".join(parts), trailers)


def test_a_trailer_whose_lines_end_by_line_feeds() -> None:
    body = b"3\r\nabc\r\n0\r\nX-Amz-Checksum-CRC32C: AAAAAA==\n\r\n"
    found = unchunked(body, UNSIGNED_TRAILER, SIGNER, ["X-Amz-Checksum-CRC32C"])
    assert found.trailers == {"x-amz-checksum-crc32c": "AAAAAA=="}


@pytest.mark.parametrize("kind", [SIGNED, SIGNED_TRAILER])
def test_pieces_that_were_changed(kind: str) -> None:
    body = chunked([b"one", b"two"], kind)
    assert unchunked(body, kind, SIGNER).body == b"onetwo"
    for changed in (
        body.replace(b"two", b"twO"),
        chunked([b"two", b"one"], kind).replace(b"two", b"one", 1),
        body[body.index(b"3;", 2) :],
    ):
        with pytest.raises(ChunkSignatureError):
            unchunked(changed, kind, SIGNER)


def test_a_trailer_that_was_changed() -> None:
    body = chunked([b"x"], SIGNED_TRAILER, {"x-amz-checksum-crc32c": "AAAAAA=="})
    with pytest.raises(ChunkSignatureError):
        unchunked(body.replace(b"AAAAAA", b"BBBBBB"), SIGNED_TRAILER, SIGNER, CHECKSUM)
    with pytest.raises(ChunkSignatureError):
        unchunked(chunked([b"x"], SIGNED), SIGNED_TRAILER, SIGNER)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "no first line"),
        (b"3", "no first line"),
        (b"3" * 300 + b"\r\n", "no first line"),
        (b"x\r\n", "no number"),
        (b"-3\r\nabc\r\n0\r\n\r\n", "no number"),
        (b"+3\r\nabc\r\n0\r\n\r\n", "no number"),
        (b"\r\n0\r\n\r\n", "no number"),
        (b"4\r\nabc\r\n0\r\n\r\n", "shorter"),
        (b"2\r\nabc\r\n0\r\n\r\n", "shorter"),
        (b"ffffffffff\r\nabc", "shorter"),
        (b"3\r\nabc\r\n0\r\nx-amz-checksum-sha1:a\r\n\r\n", "does not announce"),
        (b"3\r\nabc\r\n0\r\nwords\r\n\r\n", "no field"),
        (b"0\r\n" + b"a" * 20_000, "too long"),
    ],
)
def test_what_is_not_of_this_form(body: bytes, words: str) -> None:
    with pytest.raises(ChunkError, match=words):
        unchunked(body, UNSIGNED_TRAILER, SIGNER, CHECKSUM)


def test_a_trailer_that_was_not_announced() -> None:
    body = chunked([b"x"], SIGNED)[:-2] + b"x-amz-checksum-crc32c:AAAAAA==\r\n\r\n"
    with pytest.raises(ChunkError, match="not announced"):
        unchunked(body, SIGNED, SIGNER, CHECKSUM)


@given(st.binary(max_size=200), st.sampled_from(sorted(KINDS)))
def test_garbage(body: bytes, kind: str) -> None:
    try:
        unchunked(body, kind, SIGNER)
    except ChunkError:
        return
    assert kind == UNSIGNED_TRAILER
