"""The command line against a running server: first start, commands, the end."""

import json
import os
import socket
import stat
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from support.running import FREE_PORTS, Mailstead, Start, clean_environment, free_port, start_server


def mailstead(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailstead", *words],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment() | environment,
    )


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Mailstead:
    """A server on a new folder, with the demo."""
    folder = tmp_path_factory.mktemp("first") / "data"
    running = start_server("--data", str(folder))
    yield running
    running.stop()
    for stream in (running.process.stdout, running.process.stderr):
        stream.close()


def test_the_welcome_arrives_in_the_demo_mailbox(first: Mailstead) -> None:
    [welcome] = first.wait_for("mailbox=you@example.test&subject=Welcome")
    assert welcome["authentication"] == {"spf": "pass", "dkim": "pass", "dmarc": "pass"}
    read = first.command("mailbox", "read", "you@example.test")
    assert read.returncode == 0
    assert "Welcome to mailstead." in read.stdout
    traced = first.command("trace", welcome["message_id"])
    assert "delivered" in traced.stdout
    statistics = first.boto3("ses").get_send_statistics()["SendDataPoints"]
    assert statistics == []
    quota = first.boto3("ses").get_send_quota()
    assert quota["SentLast24Hours"] == 0


def test_private_files_are_private(first: Mailstead) -> None:
    for name in ("secret.key", "root-key.json", "server.json", "ca.key", "tls.pem"):
        assert stat.S_IMODE((first.folder / name).stat().st_mode) == 0o600, name
    content = b"".join(path.read_bytes() for path in first.folder.glob("mailstead.db*"))
    assert first.facts["secret_access_key"].encode() not in content
    assert b"PRIVATE KEY" not in content


def test_env_prints_what_a_shell_evaluates(first: Mailstead) -> None:
    stale = {
        "AWS_SESSION_TOKEN": "old",
        "AWS_PROFILE": "no such",
        "AWS_ENDPOINT_URL_SESV2": "http://127.0.0.1:1",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "NO_PROXY": "a.example",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }
    script = f'eval "$({sys.executable} -m mailstead env --data {first.folder})" && env -0'
    done = subprocess.run(
        ["sh", "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment() | stale,
    )
    found = dict(line.split("=", 1) for line in done.stdout.split("\0") if "=" in line)
    assert found["AWS_ENDPOINT_URL"] == first.api
    assert found["AWS_REGION"] == found["AWS_DEFAULT_REGION"] == "us-east-1"
    assert found["NO_PROXY"] == found["no_proxy"] == "a.example,127.0.0.1,localhost,::1"
    assert found["MAILSTEAD_SMTP_PORT"] == str(first.ports["submission"][0])
    assert "BEGIN CERTIFICATE" in Path(found["NODE_EXTRA_CA_CERTS"]).read_text()
    for name in stale:
        assert name in ("NO_PROXY", "HTTP_PROXY") or name not in found
    assert found.get("SSL_CERT_FILE") == os.environ.get("SSL_CERT_FILE")
    caller = subprocess.run(
        [
            sys.executable,
            "-c",
            "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])",
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env=found,
    )
    assert caller.stdout.strip() == "arn:aws:iam::000000000000:root"


def test_mailboxes(first: Mailstead, tmp_path: Path) -> None:
    refused = first.command("mailbox", "add", "me@nowhere.example")
    assert refused.returncode == 1
    assert "mailstead domain add nowhere.example" in refused.stderr
    made = json.loads(first.command("mailbox", "add", "Me@Example.test", "--json").stdout)
    assert made["address"] == "me@example.test"
    assert len(made["password"]) == 20
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")
    changed = first.command(
        "mailbox", "password", "me@example.test", "--password-file", str(secret)
    )
    assert changed.stdout == "me@example.test\n"
    again = first.command("mailbox", "add", "me@example.test")
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
    assert "me@example.test" in first.command("mailbox", "list").stdout
    gone = first.command("mailbox", "delete", "me@example.test", "--yes")
    assert gone.returncode == 0
    assert "me@example.test" not in first.command("mailbox", "list").stdout


def test_domains(first: Mailstead) -> None:
    added = first.command("domain", "add", "hosted.example")
    assert added.returncode == 0, added.stderr
    assert "_dmarc.hosted.example. " in added.stdout
    assert "v=spf1" in added.stdout
    checked = first.command("domain", "check", "hosted.example")
    assert checked.returncode == 0, checked.stdout
    foreign = first.command("domain", "check", "foreign.example")
    assert foreign.returncode == 1
    assert "enter    foreign.example. 300 IN MX 10 mx.foreign.example." in foreign.stdout
    assert "lead to this machine only" in foreign.stderr
    assert "hosted.example" in first.command("domain", "list").stdout
    assert first.command("domain", "delete", "hosted.example", "--yes").returncode == 0


def test_a_key_that_the_owner_brought_is_printed_for_pasting(first: Mailstead) -> None:
    key = rsa.generate_private_key(65537, 2048)
    form = (Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    signing = {
        "DomainSigningSelector": "own",
        "DomainSigningPrivateKey": b64encode(key.private_bytes(*form)).decode(),
    }
    first.boto3("sesv2").create_email_identity(
        EmailIdentity="brought.example", DkimSigningAttributes=signing
    )
    checked = json.loads(first.command("domain", "check", "brought.example", "--json").stdout)
    [shown] = [one for one in checked["checks"] if "_domainkey" in one["record"]]
    for verb in ("check", "add"):
        said = first.command("domain", verb, "brought.example").stdout
        assert shown["fix"] in said
        assert f"in one piece{':' if verb == 'add' else ''} {shown['text']}\n" in said
        assert said.count("in one piece") == 1
    # Both forms say the same; the cut one has strings of at most 255 octets (RFC 1035 3.3.14).
    strings = shown["fix"].split(" TXT ")[1].strip('"').split('" "')
    assert "".join(strings) == shown["text"]
    assert max(map(len, strings)) == 255
    assert first.command("domain", "delete", "brought.example", "--yes").returncode == 0


def test_account_and_status(first: Mailstead) -> None:
    assert "sandbox, 200 recipients a day" in first.command("account", "show").stdout
    granted = first.command("account", "production", "--daily-quota", "-1", "--max-rate", "20")
    assert "production, unlimited recipients a day, 20 a second" in granted.stdout
    assert first.command("account", "production", "--max-rate", "-1").returncode == 1
    assert "sandbox" in first.command("account", "sandbox").stdout
    status = json.loads(first.command("status", "--json").stdout)
    assert {"version", "schema", "engine", "queued", "emails"} <= set(status)


def test_unknown_things_are_refused_in_one_line(first: Mailstead) -> None:
    for words in (("trace", "nothing"), ("mailbox", "read", "none@example.test")):
        done = first.command(*words)
        assert done.returncode == 1
        assert done.stderr.startswith("mailstead: there is no ")
        assert "Traceback" not in done.stderr
    assert mailstead("frobnicate").returncode == 2
    assert mailstead("mailbox", "add").returncode == 2


def test_a_second_server_on_the_folder_is_refused(first: Mailstead) -> None:
    free = {f"MAILSTEAD__PORTS__{name}": "0" for name in ("API", "CONSOLE", "MX", "DNS")}
    free |= {"MAILSTEAD__PORTS__SUBMISSION": "0", "MAILSTEAD__PORTS__SUBMISSIONS": "0"}
    second = mailstead("serve", "--data", str(first.folder), **free)
    assert second.returncode == 1
    assert f"(process {first.process.pid})" in second.stderr
    assert "ready" not in second.stdout


def test_a_taken_port_is_named_and_nothing_else_is_opened(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = mailstead(
            "serve", "--data", str(tmp_path / "d"), MAILSTEAD__PORTS__CONSOLE=str(port)
        )
    assert refused.returncode == 1
    assert f"port {port} (web)" in refused.stderr
    assert "--port-shift 100" in refused.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("env",), "no mailstead serves"),
        (("serve", "--bind", "0.0.0.0"), "api.token"),
        (("serve", "--account", "1"), "12 digits"),
        (("serve", "--region", "Mars"), "--region"),
        (("serve", "--roles", "api,cook"), "cook"),
        (("serve", "--root-key", "nocolon"), "ID:SECRET"),
        (("serve", "--root-key", "@/no/such/file"), "/no/such/file"),
        (("serve", "--config", "/no/such/file"), "/no/such/file"),
    ],
)
def test_wrong_words_are_refused_without_a_traceback(
    tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    done = mailstead(*words, XDG_DATA_HOME=str(tmp_path), MAILSTEAD__PORTS__API=str(free_port()))
    assert done.returncode in (1, 2)
    assert text in done.stderr
    assert not done.stdout
    assert "Traceback" not in done.stderr


def test_a_folder_of_a_newer_version_is_left_alone(start: Start, tmp_path: Path) -> None:
    import apsw

    folder = tmp_path / "data"
    old = start("--data", str(folder), "--root-key", "AKIAX:y")
    assert old.stop() == 0
    assert not (folder / "server.json").exists()
    database = apsw.Connection(str(folder / "mailstead.db"))
    database.execute("PRAGMA user_version = 999")
    database.close()
    before = (folder / "mailstead.db").read_bytes()
    with pytest.raises(AssertionError, match="999"):
        start("--data", str(folder))
    assert (folder / "mailstead.db").read_bytes() == before


def test_what_was_set_survives_a_restart(start: Start, tmp_path: Path) -> None:
    words = ("--data", str(tmp_path / "data"), "--region", "eu-west-1", "--account", "1" * 12)
    one = start(*words)
    one.wait_for("mailbox=you@example.test")
    key = one.facts["access_key_id"]
    assert one.stop() == 0
    two = start("--data", str(tmp_path / "data"))
    assert two.facts["access_key_id"] == key
    assert (two.facts["account"], two.facts["region"]) == ("1" * 12, "eu-west-1")
    assert len(two.wait_for("mailbox=you@example.test")) == 1
    removed = two.command("demo", "remove")
    assert removed.returncode == 0, removed.stderr
    assert two.call("messages")["messages"] == []
    assert two.command("domain", "list").stdout == ""
    assert two.command("demo", "remove").returncode == 1


def test_ephemeral_leaves_nothing(start: Start) -> None:
    short = start("--ephemeral")
    assert short.folder.is_dir()
    assert short.stop() == 0
    assert not short.folder.exists()


def test_only_loopback_is_listened_on(first: Mailstead) -> None:
    listening = Path(f"/proc/{first.process.pid}/net/tcp").read_text().splitlines()[1:]
    inodes = {
        os.readlink(f"/proc/{first.process.pid}/fd/{name}")
        for name in os.listdir(f"/proc/{first.process.pid}/fd")
        if os.path.exists(f"/proc/{first.process.pid}/fd/{name}")
    }
    ours = [
        line.split()
        for line in listening
        if line.split()[3] == "0A" and f"socket:[{line.split()[9]}]" in inodes
    ]
    assert len(ours) >= 7
    assert {words[1].split(":")[0] for words in ours} == {"0100007F"}


def test_the_first_screen_says_how_this_server_is_used(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    line = [sys.executable, "-m", "mailstead", "--data", str(folder)]
    environment = clean_environment() | FREE_PORTS
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True, env=environment) as process:
        screen = []
        while "ready" not in (text := process.stdout.readline()):
            screen.append(text)
        process.terminate()
    assert f"  Use it    eval \"$(mailstead env --data '{folder}')\"\n" in screen
