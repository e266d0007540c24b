"""``mailstead env``: the variables that make unchanged clients come here.

What is left over in a shell decides whether unchanged code works: a stale
session token breaks signatures, a profile or a service's own endpoint wins over
ours, and an ignore switch sends calls to the real AWS.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "::1")


def exports(
    facts: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> dict[str, str]:
    """Variables to set, by name; those of a role that is not served are left out."""
    ports = facts["ports"]
    region = facts["region"]
    no_proxy = _with_loopback(environment.get("NO_PROXY") or environment.get("no_proxy") or "")
    smtp = {
        "MAILSTEAD_SMTP_HOST": "127.0.0.1",
        "MAILSTEAD_SMTP_PORT": str(next(iter(ports.get("submission", ())), "")),
        "MAILSTEAD_SMTP_USERNAME": facts["access_key_id"],
        "MAILSTEAD_SMTP_PASSWORD": facts["smtp_password"],
    }
    console = {"MAILSTEAD_CONSOLE_URL": facts["console_url"]}
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ports['api']}",
        "AWS_ACCESS_KEY_ID": facts["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": facts["secret_access_key"],
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "NO_PROXY": no_proxy,
        "no_proxy": no_proxy,
        "NODE_EXTRA_CA_CERTS": str(_node_certificates(folder, environment)),
        **(smtp if "submission" in ports else {}),
        **(console if "console" in ports else {}),
        "MAILSTEAD_CA_BUNDLE": str(folder / "ca.pem"),
        "MAILSTEAD_TOKEN": facts["token"],
    }


def unsets(environment: Mapping[str, str]) -> list[str]:
    """Variables to take away, where they are or not."""
    own_endpoints = sorted(name for name in environment if name.startswith("AWS_ENDPOINT_URL_"))
    return [
        "AWS_SESSION_TOKEN",
        "AWS_PROFILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        *own_endpoints,
    ]


def shell_lines(
    facts: Mapping[str, Any], folder: Path, environment: Mapping[str, str]
) -> list[str]:
    """Lines for ``eval`` in a POSIX shell."""
    lines = [f"unset {name}" for name in unsets(environment)]
    for name, value in exports(facts, folder, environment).items():
        lines.append(f"export {name}={shlex.quote(value)}")
    return lines


def _with_loopback(given: str) -> str:
    names = [name.strip() for name in given.split(",") if name.strip()]
    return ",".join([*names, *(name for name in LOOPBACK_NAMES if name not in names)])


def _node_certificates(folder: Path, environment: Mapping[str, str]) -> Path:
    """A file of our CA and the certificates that the variable named before.

    The names it came from are kept beside it, so that a second ``env`` in the
    same shell does not lose what the first one found.
    """
    bundle, origin = folder / "node-ca.pem", folder / "node-ca.json"
    before = environment.get("NODE_EXTRA_CA_CERTS", "")
    if before == str(bundle):
        try:
            before = json.loads(origin.read_text())
        except (OSError, ValueError):
            before = ""
    content = (folder / "ca.pem").read_text()
    try:
        others = Path(before).read_text() if before else ""
    except OSError:
        others = ""
    bundle.write_text(f"{others.rstrip()}\n{content}" if others else content)
    origin.write_text(json.dumps(before))
    return bundle
