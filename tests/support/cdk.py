"""CDK's own command line in an app's folder, against a server of the account it names."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from support.running import Mailstead, place_launcher

CLIENTS = Path(__file__).parents[1] / "clients"
APP = CLIENTS / "cdk"
ACCOUNT = "937168356724"
DOMAIN = "demosfelipetrindade.top"


class Cdk:
    """The app in a folder, and a server of the account it names."""

    def __init__(self, folder: Path, server: Mailstead) -> None:
        self.folder = folder
        self.server = server
        self.variables: dict[str, str] = {}
        """What every command gets besides."""

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
        return environment | self.variables

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

    def done(self, words: str, **variables: str) -> str:
        """Run a command of CDK that has to succeed; what it says."""
        run = self.cdk(words, **variables)
        said = run.stdout + run.stderr
        assert run.returncode == 0, said[-3000:]
        return said

    def status(self) -> str:
        """Where the stack stands."""
        [stack] = self.server.boto3("cloudformation").describe_stacks(StackName="SesStack")[
            "Stacks"
        ]
        return stack["StackStatus"]

    def make_zone(self) -> str:
        """The zone that the app looks up, by its id."""
        made = self.server.boto3("route53").create_hosted_zone(Name=DOMAIN, CallerReference="test")
        return made["HostedZone"]["Id"]

    def sets(self) -> list[dict[str, Any]]:
        """The zone's record sets."""
        route53 = self.server.boto3("route53")
        [zone] = route53.list_hosted_zones_by_name(DNSName=DOMAIN)["HostedZones"]
        return route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]

    def records(self) -> dict[str, str]:
        """The zone's TXT records by name."""
        return {
            one["Name"]: one["ResourceRecords"][0]["Value"]
            for one in self.sets()
            if one["Type"] == "TXT"
        }

    def identities(self) -> set[str]:
        """The names of the identities."""
        found = self.server.boto3("sesv2").list_email_identities()["EmailIdentities"]
        return {one["IdentityName"] for one in found}


def install(folder: Path, locked: Path = APP) -> Path:
    """The app, with what the lock file in a folder names installed; skips where that can't be."""
    for command, package in (("npm", "npm"), ("dig", "bind9-dnsutils"), ("curl", "curl")):
        if shutil.which(command) is None:
            pytest.skip(f"no {command}: install the package {package}")
    version = subprocess.run(["node", "-v"], check=True, capture_output=True, text=True).stdout
    if int(version.removeprefix("v").partition(".")[0]) < 20:
        pytest.skip(f"aws-cdk-lib needs Node.js 20, this is {version.strip()}")
    shutil.copytree(APP, folder, ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(
        locked, folder, ignore=shutil.ignore_patterns("node_modules"), dirs_exist_ok=True
    )
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
    place_launcher(folder)
    return folder
