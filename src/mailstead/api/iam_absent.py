"""What IAM users have elsewhere and never have here: passwords, MFA, certificates, SSH keys.

Terraform asks for each before it deletes a user with ``force_destroy``.
"""

from __future__ import annotations

from typing import Any

from mailstead.api.iam import home, user_arn
from mailstead.api.operation import Call, operation
from mailstead.mail.errors import NotFound

Params = dict[str, Any]


async def _none(call: Call, p: Params, key: str) -> Params:
    """An empty list; NotFound for no such user."""
    if "UserName" in p:
        await call.ports.iam.user(home(call), p["UserName"])
    return {key: [], "IsTruncated": False}


@operation("iam", "ListSSHPublicKeys", resources=user_arn)
async def list_ssh_public_keys(call: Call, p: Params) -> Params:
    return await _none(call, p, "SSHPublicKeys")


@operation("iam", "ListMFADevices", resources=user_arn)
async def list_mfa_devices(call: Call, p: Params) -> Params:
    return await _none(call, p, "MFADevices")


@operation("iam", "ListVirtualMFADevices")
async def list_virtual_mfa_devices(call: Call, p: Params) -> Params:
    return await _none(call, p, "VirtualMFADevices")


@operation("iam", "ListSigningCertificates", resources=user_arn)
async def list_signing_certificates(call: Call, p: Params) -> Params:
    return await _none(call, p, "Certificates")


@operation("iam", "ListServiceSpecificCredentials", resources=user_arn)
async def list_service_specific_credentials(call: Call, p: Params) -> Params:
    return await _none(call, p, "ServiceSpecificCredentials")


@operation("iam", "GetLoginProfile", resources=user_arn)
async def get_login_profile(call: Call, p: Params) -> Params:
    raise await _no_password(call, p)


@operation("iam", "DeleteLoginProfile", resources=user_arn)
async def delete_login_profile(call: Call, p: Params) -> None:
    raise await _no_password(call, p)


async def _no_password(call: Call, p: Params) -> NotFound:
    name = p.get("UserName") or call.principal.user_name or ""
    await call.ports.iam.user(home(call), name)
    return NotFound(
        f"Login Profile for User {name} cannot be found.", resource="login-profile", name=name
    )
