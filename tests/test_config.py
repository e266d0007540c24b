"""The configuration: what it takes, and how it refuses the rest."""

from pathlib import Path

import pytest

from mailstead.config import Config, ConfigError, Ports, keys, load


def write(folder: Path, text: str) -> Path:
    path = folder / "mailstead.toml"
    path.write_text(text)
    return path


def test_no_file_is_needed() -> None:
    assert load(None, {"PATH": "/bin"}) == Config()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        '[server]\nhostname = "mx.example.org"\nnames = ["a.test"]\n[ports]\napi = 1\n',
    )
    config = load(path, {"MAILSTEAD__PORTS__API": "2", "MAILSTEAD__PORTS__SUBMISSION": "3,4"})
    assert config.server.hostname == "mx.example.org"
    assert config.server.names == ("a.test",)
    assert config.ports.api == 2
    assert config.ports.submission == (3, 4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('deliverry.mode = "capture"', ["unknown key deliverry.mode", "delivery.mode"]),
        ('[server]\n\nhostnam = "x"', ["line 3", "server.hostname"]),
        ("nonsense = 1", ["unknown key nonsense"]),
        ('relay.host = "mx.example"', ["this version does not serve relay.host"]),
        ('[ports]\napi = "many"', ["line 2", "ports.api can't be 'many'", "whole number"]),
        ("[ports]\napi = true", ["whole number"]),
        ("[ports]\napi = 70000", ["ports.api", "0 to 65535"]),
        ('[ports]\nsubmission = ["x"]', ["list of whole numbers"]),
        ("[server]\nhostname = 1", ["a text"]),
        ("[server]\nnames = [1]", ["list of texts"]),
        ('[delivery]\nmode = "relay"', ["not served by this version"]),
        ('[delivery]\nmode = "sideways"', ["sideways"]),
        ('[account]\nreview = "maybe"', ["pending, granted, denied"]),
        ('[smtp]\ntrusted_networks = ["300.0.0.0/8"]', ["trusted_networks"]),
        ("[server", ["is not TOML"]),
    ],
)
def test_what_cannot_be_is_refused_by_name(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        load(write(tmp_path, text), {})
    assert all(word in str(refused.value) for word in words), refused.value


def test_an_unknown_variable_names_the_nearest_key() -> None:
    with pytest.raises(ConfigError, match=r"environment.*server\.hostname"):
        load(None, {"MAILSTEAD__SERVER__HOSTNMAE": "x"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml"):
        load(tmp_path / "none.toml", {})


def test_a_shift_moves_every_port_but_free_ones() -> None:
    assert Ports(api=0).shifted(100) == Ports(0, 8125, 1125, (1687, 2625), 1565, 1153)


def test_every_key_has_a_documented_type() -> None:
    assert {"server.hostname", "smtp.trusted_networks", "ports.submission"} <= set(keys())


@pytest.mark.parametrize(
    "text",
    [
        "[api]\ntoken = [12345]",
        "[console]\npassword = [12345]",
        '[dns]\ntransfer_keys = [{name = "t", secret = "12345"}]',
    ],
)
def test_no_error_shows_a_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mailstead.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match="what was given") as caught:
        load(path, {})
    assert "12345" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("responses_per_second = -1", "0 (no limit) or more"),
        ('secondaries = ["ns1.example"]', "is no address"),
        ('transfer_keys = ["a:c2VjcmV0", "hmac-sha512:A.:b3RoZXI="]', "two keys have one name"),
        ('transfer_keys = ["a:%"]', "not base64"),
    ],
)
def test_wrong_settings_of_dns(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "mailstead.toml"
    path.write_text(f"[dns]\n{text}")
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    assert words in str(caught.value)
