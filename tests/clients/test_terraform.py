"""Terraform with AWS's provider: apply, a plan without changes, an update, destroy.

Needs ``terraform`` and a provider that is there already: ``TF_CLI_CONFIG_FILE``
names a configuration with a mirror or a cache of plug-ins.
"""

import json
import os
import shutil
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import ROOT_KEY, Mailstead, end, start_server

MAIN = Path(__file__).parent / "terraform" / "main.tf"

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(540)]


class Terraform:
    """The configuration in a folder of its own, and a server."""

    def __init__(self, folder: Path, server: Mailstead) -> None:
        self.folder = folder
        self.server = server

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run terraform."""
        environment = self.server.environment() | {
            "HOME": str(self.folder),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
        }
        return subprocess.run(
            ["terraform", *words],
            check=False,
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    def done(self, *words: str) -> str:
        """Run terraform; what it prints."""
        run = self.run(*words, "-no-color")
        assert run.returncode == 0, f"{run.stdout[-2000:]}\n{run.stderr[-4000:]}"
        return run.stdout


@pytest.fixture
def terraform(tmp_path: Path) -> Iterator[Terraform]:
    if shutil.which("terraform") is None:
        pytest.skip("no terraform")
    if "TF_CLI_CONFIG_FILE" not in os.environ:
        pytest.skip("no provider: set TF_CLI_CONFIG_FILE to a configuration with a mirror")
    shutil.copy(MAIN, tmp_path / "main.tf")
    server = start_server("--ephemeral", "--root-key", ":".join(ROOT_KEY), "--production")
    try:
        made = Terraform(tmp_path, server)
        if made.run("init", "-no-color").returncode != 0:
            pytest.skip("the provider hashicorp/aws 5.100.0 is not in the mirror")
        yield made
    finally:
        end(server)


def test_apply_plan_update_destroy(terraform: Terraform) -> None:
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
    terraform.done("apply", "-auto-approve", "-var", "description=second")
    role = server.boto3("iam").get_role(RoleName="tf-role")["Role"]
    assert role["Description"] == "second"
    terraform.done("destroy", "-auto-approve")
    assert "tf-example-bucket" not in {
        bucket["Name"] for bucket in server.boto3("s3").list_buckets()["Buckets"]
    }
    assert server.boto3("route53").list_hosted_zones_by_name(DNSName="tf.example")
