"""CDK's own command line against a server: the guide's walk, changes, failures, the end."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import Mailstead, end, start_server

APP = Path(__file__).parent / "cdk"
PAGE = Path(__file__).parents[2] / "docs" / "guide" / "the-post.md"
ACCOUNT = "937168356724"
DOMAIN = "demosfelipetrindade.top"
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(540)]


class Cdk:
    """The app in a folder, and a server of the account it names."""

    def __init__(self, folder: Path, server: Mailstead) -> None:
        self.folder = folder
        self.server = server

    def environment(self) -> dict[str, str]:
        """What ``mailstead env`` sets, with the commands in the path."""
        environment = self.server.environment() | {
            "CDK_DISABLE_CLI_TELEMETRY": "1",
            "CI": "1",
            "XDG_DATA_HOME": str(self.server.folder.parent),
            "HOME": str(self.folder),
        }
        binaries = f"{self.folder / 'node_modules/.bin'}:{Path(sys.executable).parent}"
        environment["PATH"] = f"{binaries}:{environment['PATH']}"
        return environment

    def sh(self, script: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a script where the app is."""
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            check=False,
            cwd=self.folder,
            env=self.environment() | variables,
            capture_output=True,
            text=True,
            timeout=150,
        )

    def cdk(self, words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of CDK."""
        return self.sh(f"cdk --no-notices {words}", **variables)

    def status(self) -> str:
        """Where the stack stands."""
        [stack] = self.server.boto3("cloudformation").describe_stacks(StackName="SesStack")[
            "Stacks"
        ]
        return stack["StackStatus"]

    def records(self) -> dict[str, str]:
        """The zone's TXT records by name."""
        route53 = self.server.boto3("route53")
        [zone] = route53.list_hosted_zones_by_name(DNSName=DOMAIN)["HostedZones"]
        sets = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
        return {
            one["Name"]: one["ResourceRecords"][0]["Value"] for one in sets if one["Type"] == "TXT"
        }


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app, with what its lock file names installed."""
    for command, package in (("npm", "npm"), ("dig", "bind9-dnsutils"), ("curl", "curl")):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: install the package {package}")
    version = subprocess.run(["node", "-v"], check=True, capture_output=True, text=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        pytest.skip(f"aws-cdk-lib needs Node.js 20, this is {version.strip()}")
    folder = tmp_path_factory.mktemp("cdk") / "app"
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("node_modules"))
    installed = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
    )
    if installed.returncode:
        pytest.skip(f"npm can't install aws-cdk: {installed.stderr[-500:]}")
    launcher = folder / "mailstead"
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m mailstead "$@"\n')
    launcher.chmod(0o755)
    return folder


@pytest.fixture
def cdk(app: Path, tmp_path: Path) -> Iterator[Cdk]:
    """The app and a new server; what CDK remembers of zones belongs to another."""
    (app / "cdk.context.json").unlink(missing_ok=True)
    server = start_server("--data", str(tmp_path / "mailstead"), "--account", ACCOUNT)
    server.wait_for("subject=Welcome")
    yield Cdk(app, server)
    end(server)


def make_zone(cdk: Cdk) -> str:
    """The zone that the app looks up, by its id."""
    made = cdk.server.boto3("route53").create_hosted_zone(Name=DOMAIN, CallerReference="test")
    return made["HostedZone"]["Id"]


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
    zone = make_zone(cdk)
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
    make_zone(cdk)
    where = f"aws://{ACCOUNT}/us-east-1"
    done = cdk.cdk(f"bootstrap {where}")
    assert done.returncode == 0, done.stderr[-3000:]
    again = cdk.cdk(f"bootstrap {where}")
    assert "(no changes)" in again.stdout + again.stderr
    deployed = cdk.cdk("deploy --require-approval never")
    assert deployed.returncode == 0, deployed.stderr[-3000:]


def test_the_lock_file_holds_no_addresses() -> None:
    lock = json.loads((APP / "package-lock.json").read_text())
    assert not [name for name, one in lock["packages"].items() if "resolved" in one]
    missing = [n for n, one in lock["packages"].items() if n and not one.get("integrity")]
    assert [name for name in missing if not lock["packages"][name].get("inBundle")] == []
