"""A signed zone as validators see it: delv follows the chain from the key down to every answer."""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.hosting import put, sign, zone_id
from support.running import Mailstead

DOMAIN = "signed.example"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dnskey(server: Mailstead) -> str:
    """The key-signing key of a zone that is signed, as its DNSKEY record has it."""
    added = server.command("domain", "add", DOMAIN)
    assert added.returncode == 0, added.stderr
    route53 = server.boto3("route53")
    put(route53, DOMAIN, ("*.wild", "TXT", '"wild"'), ("www", "CNAME", f"{DOMAIN}."))
    return sign(route53, DOMAIN)


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        (DOMAIN, "MX", "fully validated"),
        (DOMAIN, "SOA", "fully validated"),
        (f"www.{DOMAIN}", "MX", "fully validated"),
        (f"x.wild.{DOMAIN}", "TXT", "fully validated"),
        (f"nothing.{DOMAIN}", "A", "ncache nxdomain"),
        (f"wild.{DOMAIN}", "A", "ncache nxrrset"),
        (f"x.wild.{DOMAIN}", "A", "ncache nxrrset"),
    ],
)
def test_delv_believes_what_is_there_and_what_is_not(
    server: Mailstead, dnskey: str, tmp_path: Path, name: str, kind: str, says: str
) -> None:
    if shutil.which("delv") is None:
        pytest.skip("no delv: the Debian package bind9-dnsutils has it")
    flags, protocol, algorithm, public = dnskey.split(" ", 3)
    anchor = tmp_path / "anchor"
    anchor.write_text(
        f'trust-anchors {{ {DOMAIN}. static-key {flags} {protocol} {algorithm} "{public}"; }};\n'
    )
    run = subprocess.run(
        ["delv", "@127.0.0.1", "-p", str(server.ports["dns"]), "-a", str(anchor),
         f"+root={DOMAIN}", name, kind],
        check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert says in run.stdout + run.stderr
    assert "unsigned" not in run.stdout


def test_a_zone_is_signed_by_a_command(server: Mailstead) -> None:
    run = server.command("domain", "add", "quick.example", "--dnssec")
    assert run.returncode == 0
    [ds] = [line.strip() for line in run.stdout.splitlines() if " IN DS " in line]
    assert ds.startswith("quick.example. 3600 IN DS ")
    dnssec = server.boto3("route53").get_dnssec(
        HostedZoneId=zone_id(server.boto3("route53"), "quick.example")
    )
    assert dnssec["Status"] == {"ServeSignature": "SIGNING"}
    assert ds.endswith(dnssec["KeySigningKeys"][0]["DSRecord"])
