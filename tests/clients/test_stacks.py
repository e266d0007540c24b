"""Stacks from the AWS CLI and boto3: deploy, wait, failures, a record that stands in the way."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from support import seed
from support.running import Mailstead, Start

NO_CHANGES = "No changes to deploy. Stack {} is up to date"

pytestmark = pytest.mark.slow


class Aws:
    """The AWS CLI, and a template in a file."""

    def __init__(self, server: Mailstead, folder: Path) -> None:
        self.server = server
        self.file = folder / "template.json"

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """``aws cloudformation WORDS``."""
        command = shutil.which("aws", path=str(Path(sys.executable).parent))
        assert command is not None
        return subprocess.run(
            [command, "cloudformation", *words],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.server.environment(),
        )

    def deploy(self, template: str, *words: str) -> subprocess.CompletedProcess[str]:
        """``aws cloudformation deploy`` of a template as the stack Seed."""
        self.file.write_text(template)
        return self.run("deploy", "--stack-name", "Seed", "--template-file", str(self.file), *words)

    def status(self) -> str:
        """Where the stack stands."""
        found = self.server.boto3("cloudformation").describe_stacks(StackName="Seed")
        return found["Stacks"][0]["StackStatus"]


@pytest.fixture
def aws(start: Start, tmp_path: Path) -> Aws:
    return Aws(start("--ephemeral", "--root-key", "AKIAX:y"), tmp_path)


def test_deploy_as_the_aws_cli_does_it(aws: Aws) -> None:
    zone = seed.make_zone(aws.server)
    made = aws.deploy(seed.template(zone))
    assert made.returncode == 0, made.stderr
    assert "Successfully created/updated stack - Seed" in made.stdout
    assert aws.status() == "CREATE_COMPLETE"
    assert seed.record_sets(aws.server, zone) == seed.expected_records(aws.server)

    same = aws.deploy(seed.template(zone), "--no-fail-on-empty-changeset")
    assert (same.returncode, NO_CHANGES.format("Seed") in same.stdout) == (0, True), same.stderr
    failing = aws.deploy(seed.template(zone), "--fail-on-empty-changeset")
    assert (failing.returncode, NO_CHANGES.format("Seed") in failing.stderr) == (255, True)

    changed = aws.deploy(seed.template(zone, "v=DMARC1;p=reject"))
    assert changed.returncode == 0, changed.stderr
    assert aws.status() == "UPDATE_COMPLETE"
    expected = seed.expected_records(aws.server, "v=DMARC1;p=reject")
    assert seed.record_sets(aws.server, zone) == expected


def test_names_of_failed_change_sets_are_free_at_once(aws: Aws) -> None:
    """The AWS CLI names them by the second; deploys here take tenths of one."""
    zone = seed.make_zone(aws.server)
    cloudformation = aws.server.boto3("cloudformation")
    cloudformation.create_stack(StackName="Seed", TemplateBody=seed.template(zone))
    named = {"StackName": "Seed", "ChangeSetName": "deploy-1"}
    for _ in range(2):
        cloudformation.create_change_set(TemplateBody=seed.template(zone), **named)
        assert cloudformation.describe_change_set(**named)["Status"] == "FAILED"
    changed = seed.template(zone, "v=DMARC1;p=none")
    cloudformation.create_change_set(TemplateBody=changed, **named)
    with pytest.raises(cloudformation.exceptions.AlreadyExistsException):
        cloudformation.create_change_set(TemplateBody=changed, **named)


def test_a_failing_create_is_deployed_again_after_its_deletion(aws: Aws) -> None:
    zone = seed.make_zone(aws.server)
    outside = seed.resources(zone)
    outside["SpfRecord"]["Properties"]["Name"] = "outside.example."
    failed = aws.deploy(json.dumps({"Resources": outside}))
    assert failed.returncode == 255
    assert "Failed to create/update the stack" in failed.stderr
    assert aws.status() == "ROLLBACK_COMPLETE"
    waited = aws.run("wait", "stack-create-complete", "--stack-name", "Seed")
    assert (waited.returncode, "terminal failure state" in waited.stderr) == (255, True)
    assert seed.identities(aws.server) == set()
    again = aws.deploy(seed.template(zone))
    assert again.returncode == 255
    assert "is in ROLLBACK_COMPLETE state and can not be updated" in again.stderr
    assert aws.run("delete-stack", "--stack-name", "Seed").returncode == 0
    last = aws.deploy(seed.template(zone))
    assert last.returncode == 0, last.stderr


def test_the_waiters_of_the_aws_cli(aws: Aws) -> None:
    """A waiter looks at once, then every 30 seconds: each of these sees the end at once."""
    zone = seed.make_zone(aws.server)
    named = ("--stack-name", "Seed")

    def succeeds(*words: str) -> str:
        done = aws.run(*words, *named)
        assert done.returncode == 0, done.stderr
        return done.stdout

    body = ("--template-body", seed.template(zone))
    stack = json.loads(succeeds("create-stack", *body))["StackId"]
    succeeds("wait", "stack-exists")
    succeeds("wait", "stack-create-complete")
    succeeds("update-stack", "--template-body", seed.template(zone, "v=DMARC1;p=none"))
    succeeds("wait", "stack-update-complete")
    succeeds("delete-stack")
    succeeds("wait", "stack-delete-complete")
    by_arn = aws.run("wait", "stack-delete-complete", "--stack-name", stack)
    assert by_arn.returncode == 0, by_arn.stderr
    assert seed.record_sets(aws.server, zone) == {}


def test_a_domain_added_here_stands_in_the_stacks_way(start: Start) -> None:
    """Its records are its own: the stack fails on them as it does on AWS."""
    server = start("--ephemeral", "--root-key", "AKIAX:y")
    assert server.command("domain", "add", seed.DOMAIN).returncode == 0
    route53, cloudformation = server.boto3("route53"), server.boto3("cloudformation")
    [zone] = route53.list_hosted_zones()["HostedZones"]
    before = seed.record_sets(server, zone["Id"])
    body = seed.template(zone["Id"].rpartition("/")[2])

    def reasons(stack: str) -> dict[str, str]:
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in events
            if event["ResourceStatus"] == "CREATE_FAILED"
        }

    made = cloudformation.create_stack(StackName="Seed", TemplateBody=body)["StackId"]
    assert seed.settled(server, made) == "ROLLBACK_COMPLETE"
    told = reasons(made)
    assert f"[name='_dmarc.{seed.DOMAIN}.', type='TXT']" in told["DmarcRecord"]
    assert "already exists" in told["DmarcRecord"]
    assert seed.record_sets(server, zone["Id"]) == before
    assert seed.identities(server) == {seed.DOMAIN}
    with pytest.raises(ClientError, match="ROLLBACK_COMPLETE state and can not be updated"):
        cloudformation.update_stack(StackName="Seed", TemplateBody=body)
    cloudformation.delete_stack(StackName="Seed")
    assert seed.settled(server, made) == "DELETE_COMPLETE"
    assert seed.record_sets(server, zone["Id"]) == before

    listed = route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    changes = [
        {"Action": "DELETE", "ResourceRecordSet": one} for one in listed if one["Type"] == "TXT"
    ]
    route53.change_resource_record_sets(HostedZoneId=zone["Id"], ChangeBatch={"Changes": changes})
    server.boto3("sesv2").delete_email_identity(EmailIdentity=seed.DOMAIN)
    again = cloudformation.create_stack(StackName="Seed", TemplateBody=body)["StackId"]
    assert seed.settled(server, again) == "CREATE_COMPLETE"
