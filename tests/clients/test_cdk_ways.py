"""The ways CDK comes in: the oldest that reads AWS_ENDPOINT_URL, HTTPS, buckets in host names."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cdk import ACCOUNT, CLIENTS, DOMAIN, Cdk, install
from support.running import end, start_server

DEPLOY = "deploy --require-approval never"
HOST = "ses.mailstead.test"
# No resolver here knows names of tests: Node.js is told, and tells what it was asked.
NAMES = """
const dns = require("dns"), fs = require("fs"), lookup = dns.lookup;
dns.lookup = (name, options, done) => {
    if (!name.endsWith(".mailstead.test")) return lookup(name, options, done);
    fs.appendFileSync(process.env.ASKED, name + "\\n");
    return lookup("127.0.0.1", options, done);
};
"""

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(540)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app with the current command."""
    return install(tmp_path_factory.mktemp("cdk") / "app")


@pytest.fixture(scope="module")
def old_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app with the command and the library of November 2024."""
    return install(tmp_path_factory.mktemp("cdk-2.167") / "app", CLIENTS / "cdk-2.167")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Cdk]:
    """A server with the zone; the app's folder is the test's to choose."""
    named = {"MAILSTEAD__SERVER__HOSTNAME": HOST}
    server = start_server("--data", str(tmp_path), "--account", ACCOUNT, environment=named)
    made = Cdk(tmp_path, server)
    made.make_zone()
    yield made
    end(server)


def at(folder: Cdk, app: Path, **variables: str) -> Cdk:
    """The app there, with variables of its own; what it remembers of zones is another server's."""
    (app / "cdk.context.json").unlink(missing_ok=True)
    folder.folder = app
    folder.variables = variables
    return folder


def walk(cdk: Cdk) -> None:
    """Deploy, deploy again, change, destroy; what is synthesised already is used again."""
    zone = cdk.sets()
    cdk.done(DEPLOY)
    assert cdk.status() == "CREATE_COMPLETE"
    assert cdk.identities() >= {DOMAIN, "yourpersonalemail@gmail.com"}
    assert "(no changes)" in cdk.done(f"{DEPLOY} --app cdk.out")
    assert "Number of stacks with differences: 0" in cdk.done("diff --app cdk.out")
    differs = cdk.done("diff", DMARC="v=DMARC1;p=reject")
    assert "Number of stacks with differences: 1" in differs
    cdk.done(f"{DEPLOY} --app cdk.out")
    assert cdk.records()[f"_dmarc.{DOMAIN}."] == '"v=DMARC1;p=reject"'
    cdk.done("destroy --force --app cdk.out")
    assert cdk.sets() == zone
    assert not cdk.identities() & {DOMAIN, "yourpersonalemail@gmail.com"}


def test_the_oldest_that_reads_the_endpoint(old_app: Path, folder: Cdk) -> None:
    cdk = at(folder, old_app)
    assert cdk.done("--version").startswith("2.167.1 ")
    walk(cdk)


def test_https_with_our_authority(app: Path, folder: Cdk) -> None:
    port = folder.server.ports["api"]
    trusted = {"AWS_CA_BUNDLE": folder.server.facts["ca"]}
    cdk = at(folder, app, AWS_ENDPOINT_URL=f"https://127.0.0.1:{port}", **trusted)
    walk(cdk)
    cdk.variables["AWS_ENDPOINT_URL"] = f"https://localhost:{port}"
    cdk.done(f"{DEPLOY} --app cdk.out")
    cdk.done("destroy --force --app cdk.out")
    del cdk.variables["AWS_CA_BUNDLE"]
    distrusted = cdk.cdk(f"{DEPLOY} --app cdk.out")
    assert distrusted.returncode == 1
    assert "certificate" in distrusted.stdout + distrusted.stderr


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_buckets_in_host_names(app: Path, folder: Cdk, tmp_path: Path, scheme: str) -> None:
    names = tmp_path / "names.cjs"
    names.write_text(NAMES)
    asked = tmp_path / "asked"
    cdk = at(
        folder,
        app,
        AWS_ENDPOINT_URL=f"{scheme}://{HOST}:{folder.server.ports['api']}",
        AWS_CA_BUNDLE=folder.server.facts["ca"],
        NODE_OPTIONS=f"--require={names}",
        ASKED=str(asked),
    )
    cdk.done(DEPLOY)
    assert cdk.status() == "CREATE_COMPLETE"
    assert f"cdk-hnb659fds-assets-{ACCOUNT}-us-east-1.{HOST}" in asked.read_text().splitlines()
    cdk.done("destroy --force --app cdk.out")
