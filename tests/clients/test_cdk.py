"""CDK's own command line against a server: the guide's walk, changes, failures, the end."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.cdk import ACCOUNT, APP, CLIENTS, DOMAIN, Cdk, install
from support.running import end, start_server

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "the-post.md"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)

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


def blocks() -> list[str]:
    """The page's commands in order, without the one that starts the server."""
    page = PAGE.read_text("utf-8")
    found = [one[1] for one in SHELL.finditer(page)]
    assert found[0].startswith("./mailstead --account")
    return found[1:]


def test_the_guides_walk(cdk: Cdk) -> None:
    """Every command of the page, in order; the last takes the stack away."""
    *walk, last = blocks()
    said = ""
    for block in walk:
        script = block.replace("-p 1053", f"-p {cdk.server.ports['dns']}")
        done = cdk.sh(f'eval "$(./mailstead env)"\n{script}')
        assert done.returncode == 0, f"{block}\n{done.stdout[-2000:]}\n{done.stderr[-3000:]}"
        said += done.stdout
    assert "v=DMARC1;p=quarantine" in said
    assert "Confirmed" in said
    assert "Test Email" in said
    assert cdk.status() == "CREATE_COMPLETE"
    identity = cdk.server.boto3("sesv2").get_email_identity(EmailIdentity=DOMAIN)
    assert identity["VerifiedForSendingStatus"]
    assert identity["DkimAttributes"]["Status"] == "SUCCESS"
    assert {"Key": "CreatedBy", "Value": "CDK"} in identity["Tags"]

    difference = cdk.cdk("diff")
    assert "Number of stacks with differences: 0" in difference.stdout + difference.stderr
    again = cdk.cdk("deploy --require-approval never")
    assert "(no changes)" in again.stdout + again.stderr

    changed = cdk.cdk("deploy --require-approval never", DMARC="v=DMARC1;p=reject")
    assert changed.returncode == 0, changed.stderr[-2000:]
    assert cdk.records()[f"_dmarc.{DOMAIN}."] == '"v=DMARC1;p=reject"'
    drifted = cdk.cdk("drift", DMARC="v=DMARC1;p=reject")
    assert "No drift detected" in drifted.stdout + drifted.stderr

    failing = cdk.cdk(
        "deploy --require-approval never", DMARC="v=DMARC1;p=none", SPF_NAME="elsewhere.example."
    )
    assert failing.returncode == 1
    assert cdk.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert cdk.records()[f"_dmarc.{DOMAIN}."] == '"v=DMARC1;p=reject"'

    gone = cdk.sh(last)
    assert gone.returncode == 0, gone.stderr[-2000:]
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
    failed = cdk.cdk("deploy --require-approval never")
    assert failed.returncode == 1
    assert f"name='_dmarc.{DOMAIN}.', type='TXT'" in failed.stdout + failed.stderr
    assert cdk.status() == "ROLLBACK_COMPLETE"
    batch["Changes"][0]["Action"] = "DELETE"
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)
    assert cdk.records() == {}
    again = cdk.cdk("deploy --require-approval never")
    assert again.returncode == 0, again.stderr[-2000:]
    assert cdk.cdk("destroy --force").returncode == 0


@pytest.mark.long
def test_bootstrap_and_again(cdk: Cdk) -> None:
    cdk.make_zone()
    where = f"aws://{ACCOUNT}/us-east-1"
    done = cdk.cdk(f"bootstrap {where}")
    assert done.returncode == 0, done.stderr[-3000:]
    again = cdk.cdk(f"bootstrap {where}")
    assert "(no changes)" in again.stdout + again.stderr
    deployed = cdk.cdk("deploy --require-approval never")
    assert deployed.returncode == 0, deployed.stderr[-3000:]


@pytest.mark.parametrize("folder", [APP, CLIENTS / "cdk-2.167"], ids=lambda folder: folder.name)
def test_the_lock_files_hold_no_addresses(folder: Path) -> None:
    lock = json.loads((folder / "package-lock.json").read_text())
    assert not [name for name, one in lock["packages"].items() if "resolved" in one]
    missing = [n for n, one in lock["packages"].items() if n and not one.get("integrity")]
    assert [name for name in missing if not lock["packages"][name].get("inBundle")] == []
