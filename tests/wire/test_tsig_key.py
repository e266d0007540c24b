"""Keys as people write them, and that their errors keep the secret."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailstead.wire.tsig_key import ALGORITHMS, TsigKey, TsigKeyError, parse_key

SECRET = "c2VjcmV0IHNlY3JldA=="
KEY = TsigKey(b"\x08transfer\0", "hmac-sha256", b"secret secret")
CLAUSE = f'key "transfer" {{\n\talgorithm hmac-sha256;\n\tsecret "{SECRET}";\n}};\n'


@pytest.mark.parametrize(
    "text",
    [
        f"transfer:{SECRET}",
        f"hmac-sha256:transfer:{SECRET}\n",
        f"HMAC-SHA256.:Transfer.:{SECRET}",
        CLAUSE,
        f"key transfer {{ secret {SECRET}; algorithm hmac-sha256; }};",
        f"# one\n// two\n/* three\n{{ */ {CLAUSE}",
    ],
)
def test_forms(text: str) -> None:
    assert parse_key(text) == KEY
    assert KEY.text == "transfer"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_algorithms(algorithm: str) -> None:
    assert parse_key(f"{algorithm}:a.b:{SECRET}").algorithm == algorithm
    assert parse_key(CLAUSE.replace("hmac-sha256", algorithm)).algorithm == algorithm


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no key"),
        (SECRET, "no key"),
        (f"a:b:c:{SECRET}", "no key"),
        (f"hmac-md5:a:{SECRET}", "none of hmac-sha256"),
        (f"{SECRET}:a:hmac-sha256", "none of"),
        (f":{SECRET}", "no domain name"),
        (f"..:{SECRET}", "no domain name"),
        (f"{SECRET}:a", "not base64"),
        ("a:%%%", "not base64"),
        ("a:é", "not base64"),
        ("a:", "not base64"),
        (CLAUSE + CLAUSE, "one key only"),
        (CLAUSE.replace("secret", "secrets"), "no key clause"),
        (CLAUSE.replace(";\n}", "\n}"), "no key clause"),
        (CLAUSE.replace("algorithm", "secret"), "no key clause"),
        (CLAUSE.replace('";', '" ! ;'), "no key clause"),
        (f'key "transfer" {{ "{SECRET}', "no key clause"),
        ("{", "no key clause"),
        (f"key a {{ algorithm hmac-sha256 secret ; {SECRET} x }};", "no key clause"),
    ],
)
def test_what_is_no_key_is_not_shown(text: str, words: str) -> None:
    with pytest.raises(TsigKeyError, match=words) as raised:
        parse_key(text)
    assert SECRET not in str(raised.value)


def test_a_key_does_not_show_its_secret() -> None:
    assert "secret secret" not in repr(KEY)


@given(st.binary(min_size=1, max_size=64), st.sampled_from(ALGORITHMS))
def test_round_trip(secret: bytes, algorithm: str) -> None:
    assert parse_key(f"{algorithm}:k:{b64encode(secret).decode()}") == TsigKey(
        b"\1k\0", algorithm, secret
    )


@given(st.text(alphabet='key{};:" \\#/*\nabc', max_size=60))
def test_garbage(text: str) -> None:
    try:
        parse_key(text)
    except TsigKeyError:
        return
