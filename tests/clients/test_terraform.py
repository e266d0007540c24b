"""Terraform with AWS's provider: apply, a plan without changes, an update, destroy; the guide.

Needs ``terraform`` and a provider that is there already, in a mirror or a cache that
``TF_CLI_CONFIG_FILE`` or ``~/.terraformrc`` names. ``TERRAFORM_AWS_VERSIONS`` lists the
provider's versions to run with, by commas; without it the newest that is there.
"""

import json
import os
import shutil
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import guide
from support.running import ROOT_KEY, Mailstead, end, place_launcher, start_server

MAIN = Path(__file__).parent / "terraform" / "main.tf"
VERSIONS = os.environ.get("TERRAFORM_AWS_VERSIONS", "").split(",")
PIN = 'terraform {{\n  required_providers {{\n    aws = {{ version = "{}" }}\n  }}\n}}\n'

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(540)]


def settings() -> Path:
    """Terraform's own configuration, that says where providers are; skips without."""
    if shutil.which("terraform") is None:
        pytest.skip("no terraform")
    found = Path(os.environ.get("TF_CLI_CONFIG_FILE") or Path.home() / ".terraformrc")
    if not found.exists():
        pytest.skip(f"no provider: {found} would name a mirror that has hashicorp/aws")
    return found


class Terraform:
    """The configuration in a folder of its own, and a server."""

    def __init__(self, folder: Path, server: Mailstead, version: str) -> None:
        self.folder = folder
        self.server = server
        self._settings = settings()
        if version:
            (folder / "version_override.tf").write_text(PIN.format(version))

    def environment(self) -> dict[str, str]:
        """What ``mailstead env`` sets, with a home of its own."""
        environment = self.server.environment()
        return environment | {
            "PATH": f"{Path(sys.executable).parent}:{environment['PATH']}",
            "HOME": str(self.folder),
            "TF_CLI_CONFIG_FILE": str(self._settings),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "XDG_DATA_HOME": str(self.server.folder.parent),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run terraform."""
        return subprocess.run(
            ["terraform", *words],
            check=False,
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=300,
        )

    def done(self, *words: str) -> str:
        """Run terraform; what it prints."""
        run = self.run(*words, "-no-color")
        assert run.returncode == 0, f"{run.stdout[-2000:]}\n{run.stderr[-4000:]}"
        return run.stdout

    def init(self) -> None:
        """Find the provider; skips where it is in no mirror."""
        if (found := self.run("init", "-no-color")).returncode:
            pytest.skip(f"the provider hashicorp/aws is not there: {found.stderr[-300:]}")

    def names(self) -> tuple[set[str], set[str], set[str], set[str]]:
        """Identities, zones, users and buckets."""
        boto3 = self.server.boto3
        identities = boto3("sesv2").list_email_identities()["EmailIdentities"]
        return (
            {one["IdentityName"] for one in identities},
            {one["Name"] for one in boto3("route53").list_hosted_zones()["HostedZones"]},
            {one["UserName"] for one in boto3("iam").list_users()["Users"]},
            {one["Name"] for one in boto3("s3").list_buckets()["Buckets"]},
        )


@pytest.fixture(params=VERSIONS, ids=lambda version: version or "newest")
def terraform(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terraform]:
    settings()
    root_key = ":".join(ROOT_KEY)
    data = str(tmp_path / "data" / "mailstead")
    server = start_server("--data", data, "--root-key", root_key, "--production")
    yield Terraform(tmp_path, server, request.param)
    end(server)


def test_apply_plan_update_destroy(terraform: Terraform) -> None:
    shutil.copy(MAIN, terraform.folder / "main.tf")
    terraform.init()
    before = terraform.names()
    terraform.done("apply", "-auto-approve")
    plan = terraform.run("plan", "-detailed-exitcode", "-no-color")
    assert plan.returncode == 0, plan.stdout[-3000:] + plan.stderr[-3000:]
    found = json.loads(terraform.done("output", "-json"))
    server = terraform.server
    with smtplib.SMTP("127.0.0.1", server.ports["submission"][0], timeout=20) as client:
        context = ssl.create_default_context(cafile=server.facts["ca"])
        client.starttls(context=context)
        # The password is Terraform's own computation from the key's secret.
        client.login(found["username"]["value"], found["password"]["value"])
    # A key that Terraform does not know goes with the user too: force_destroy.
    server.boto3("iam").create_access_key(UserName="tf-smtp")
    terraform.done("apply", "-auto-approve", "-var", "description=second")
    role = server.boto3("iam").get_role(RoleName="tf-role")["Role"]
    assert role["Description"] == "second"
    identity = server.boto3("sesv2").get_email_identity(EmailIdentity="me@elsewhere.example")
    assert identity["Tags"] == [{"Key": "step", "Value": "second"}]
    [zone] = server.boto3("route53").list_hosted_zones()["HostedZones"]
    sets = server.boto3("route53").list_resource_record_sets(HostedZoneId=zone["Id"])
    records = {
        (one["Name"], one["Type"]): [value["Value"] for value in one["ResourceRecords"]]
        for one in sets["ResourceRecordSets"]
    }
    assert set(records["_dmarc.tf.example.", "TXT"]) == {'"v=DMARC1;p=none"', '"second"'}
    terraform.done("destroy", "-auto-approve")
    assert terraform.names() == before


def test_the_walk_of_the_guide(terraform: Terraform) -> None:
    [main] = guide.blocks("terraform.md", "hcl")
    (terraform.folder / "main.tf").write_text(main)
    terraform.init()
    place_launcher(terraform.folder)
    before = terraform.names()
    *blocks, last = guide.blocks("terraform.md")
    environment = terraform.environment()

    def run(block: str) -> str:
        return guide.run(block, terraform.server, terraform.folder, environment, 240)

    said = [run(block) for block in blocks]
    assert "true" in [one.strip() for one in said]
    assert terraform.names()[1] == {"mail.example."}
    run(last)
    assert terraform.names() == before
