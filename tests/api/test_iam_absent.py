"""What users never have here: empty lists and IAM's words, as Terraform asks for them."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

LISTS = {
    "list_ssh_public_keys": "SSHPublicKeys",
    "list_mfa_devices": "MFADevices",
    "list_signing_certificates": "Certificates",
    "list_service_specific_credentials": "ServiceSpecificCredentials",
}


def test_users_have_keys_and_policies_only(door: Any) -> None:
    iam = door.client("iam")
    iam.create_user(UserName="u")
    for name, key in LISTS.items():
        assert getattr(iam, name)(UserName="u")[key] == []
        with pytest.raises(iam.exceptions.NoSuchEntityException):
            getattr(iam, name)(UserName="nobody")
    assert iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")["VirtualMFADevices"] == []
    for call in (iam.get_login_profile, iam.delete_login_profile):
        with pytest.raises(ClientError) as none:
            call(UserName="u")
        assert none.value.response["Error"]["Code"] == "NoSuchEntity"
        assert "Login Profile for User u cannot be found." in str(none.value)
