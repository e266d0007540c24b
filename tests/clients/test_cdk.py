"""CDK's own command line against a server: the guide's walk, changes, failures, the end."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import guide
from support.cdk import ACCOUNT, APP, CLIENTS, DOMAIN, Cdk, install
from support.running import end, start_server

DEPLOY = "deploy --require-approval never"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(540)]


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app, with what its lock file names installed."""
    return install(tmp_path_factory.mktemp("cdk") / "app")


@pytest.fixture
def cdk(app: Path, tmp_path: Path) -> Iterator[Cdk]:
    """The app and a new server; what CDK remembers of zones belongs to another."""
    (app / "cdk.context.json").unlink(missing_ok=True)
    server = start_server("--data", str(tmp_path / "mailstead"), "--account", ACCOUNT)
    server.wait_for("subject=Welcome")
    yield Cdk(app, server)
    end(server)


def walk(cdk: Cdk, blocks: list[str]) -> str:
    """Run a page's blocks; what they print."""
    return "".join(guide.run(one, cdk.server, cdk.folder, cdk.environment()) for one in blocks)


def test_the_posts_walk(cdk: Cdk) -> None:
    """Every command of the page, in order; the last takes the stack away."""
    start, *blocks, last = guide.blocks("the-post.md")
    assert start.startswith("./mailstead --account")
    said = walk(cdk, blocks)
    assert "v=DMARC1;p=quarantine" in said
    assert "Confirmed" in said
    assert "Test Email" in said
    assert cdk.status() == "CREATE_COMPLETE"
    identity = cdk.server.boto3("sesv2").get_email_identity(EmailIdentity=DOMAIN)
    assert identity["VerifiedForSendingStatus"]
    assert identity["DkimAttributes"]["Status"] == "SUCCESS"
    assert {"Key": "CreatedBy", "Value": "CDK"} in identity["Tags"]

    assert "Number of stacks with differences: 0" in cdk.done("diff")
    assert "(no changes)" in cdk.done(DEPLOY)

    cdk.done(DEPLOY, DMARC="v=DMARC1;p=reject")
    assert cdk.records()[f"_dmarc.{DOMAIN}."] == '"v=DMARC1;p=reject"'
    assert "No drift detected" in cdk.done("drift", DMARC="v=DMARC1;p=reject")

    failing = cdk.cdk(DEPLOY, DMARC="v=DMARC1;p=none", SPF_NAME="elsewhere.example.")
    assert failing.returncode == 1
    assert cdk.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert cdk.records()[f"_dmarc.{DOMAIN}."] == '"v=DMARC1;p=reject"'

    walk(cdk, [last])
    assert cdk.records() == {}


@pytest.mark.long
def test_the_walk_of_cdks_page(cdk: Cdk) -> None:
    *blocks, last = guide.blocks("cdk.md")
    said = walk(cdk, blocks)
    assert "No drift detected" in said
    assert said.count("Number of stacks with differences: 0") == 2
    directly = cdk.done(f"{DEPLOY} --app cdk.out --method=direct --force")
    assert "(no changes)" in directly
    failing = cdk.cdk(f"{DEPLOY} --no-rollback", SPF_NAME="elsewhere.example.")
    assert failing.returncode == 1
    assert cdk.status() == "UPDATE_FAILED"
    cdk.done("rollback --app cdk.out")
    assert cdk.status() == "UPDATE_ROLLBACK_COMPLETE"
    walk(cdk, [last])
    assert cdk.records() == {}


@pytest.mark.long
def test_a_record_in_the_way_fails_the_stack(cdk: Cdk) -> None:
    route53 = cdk.server.boto3("route53")
    zone = cdk.make_zone()
    batch = {
        "Changes": [
            {
                "Action": "UPSERT",
                "ResourceRecordSet": {
                    "Name": f"_dmarc.{DOMAIN}",
                    "Type": "TXT",
                    "TTL": 300,
                    "ResourceRecords": [{"Value": '"v=DMARC1;p=none"'}],
                },
            }
        ]
    }
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
    failed = cdk.cdk(DEPLOY)
    assert failed.returncode == 1
    assert f"name='_dmarc.{DOMAIN}.', type='TXT'" in failed.stdout + failed.stderr
    assert cdk.status() == "ROLLBACK_COMPLETE"
    batch["Changes"][0]["Action"] = "DELETE"
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
    assert cdk.records() == {}
    cdk.done(DEPLOY)
    cdk.done("destroy --force --app cdk.out")


@pytest.mark.long
def test_bootstrap_and_again(cdk: Cdk) -> None:
    cdk.make_zone()
    where = f"aws://{ACCOUNT}/us-east-1"
    cdk.done(f"bootstrap {where}")
    assert "(no changes)" in cdk.done(f"bootstrap {where}")
    cdk.done(DEPLOY)


@pytest.mark.parametrize("folder", [APP, CLIENTS / "cdk-2.167"], ids=lambda folder: folder.name)
def test_the_lock_files_hold_no_addresses(folder: Path) -> None:
    lock = json.loads((folder / "package-lock.json").read_text())
    assert not [name for name, one in lock["packages"].items() if "resolved" in one]
    missing = [n for n, one in lock["packages"].items() if n and not one.get("integrity")]
    assert [name for name in missing if not lock["packages"][name].get("inBundle")] == []
