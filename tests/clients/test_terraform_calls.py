"""The calls that version 6 of Terraform's AWS provider makes for zones, records, identities, users.

Read from its sources; where version 6 can be had, ``test_terraform.py`` runs it.
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.running import Mailstead

ZONE = "v6.example"


def test_a_zone_and_its_records(server: Mailstead) -> None:
    route53 = server.boto3("route53")
    made = route53.create_hosted_zone(
        Name=ZONE, CallerReference="v6", HostedZoneConfig={"Comment": "Managed by Terraform"}
    )
    change = made["ChangeInfo"]["Id"].removeprefix("/change/")
    assert route53.get_change(Id=change)["ChangeInfo"]["Status"] == "INSYNC"
    zone = made["HostedZone"]["Id"].removeprefix("/hostedzone/")
    tagged = {"ResourceType": "hostedzone", "ResourceId": zone}
    route53.change_tags_for_resource(AddTags=[{"Key": "a", "Value": "b"}], **tagged)
    tags = route53.list_tags_for_resource(**tagged)["ResourceTagSet"]["Tags"]
    assert tags == [{"Key": "a", "Value": "b"}]
    shown = route53.get_hosted_zone(Id=zone)
    assert len(shown["DelegationSet"]["NameServers"]) == 4
    assert not shown["HostedZone"]["Config"]["PrivateZone"]
    commented = route53.update_hosted_zone_comment(Id=zone, Comment="c")["HostedZone"]
    assert commented["Config"]["Comment"] == "c"

    def put(action: str, value: str) -> None:
        row = {"Name": f"_dmarc.{ZONE}", "Type": "TXT", "TTL": 300}
        one = row | {"ResourceRecords": [{"Value": f'"{value}"'}]}
        batch = {"Changes": [{"Action": action, "ResourceRecordSet": one}]}
        route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch=batch)

    put("CREATE", "v=DMARC1;p=none")
    put("UPSERT", "v=DMARC1;p=reject")
    # One record by name and type; all of the zone where TF_AWS_ROUTE53_RECORD_BATCH_READS is set.
    [one] = route53.list_resource_record_sets(
        HostedZoneId=zone,
        StartRecordName=f"_dmarc.{ZONE}",
        StartRecordType="TXT",
        MaxItems="1",
    )["ResourceRecordSets"]
    assert one["ResourceRecords"] == [{"Value": '"v=DMARC1;p=reject"'}]
    every = route53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
    assert [row["Type"] for row in every] == ["NS", "SOA", "TXT"]
    put("DELETE", "v=DMARC1;p=reject")
    route53.delete_hosted_zone(Id=zone)
    with pytest.raises(route53.exceptions.NoSuchHostedZone):
        route53.get_hosted_zone(Id=zone)


def test_identities(server: Mailstead) -> None:
    v2 = server.boto3("sesv2")
    named = {"EmailIdentity": ZONE}
    v2.create_email_identity(
        Tags=[{"Key": "a", "Value": "b"}],
        DkimSigningAttributes={"NextSigningKeyLength": "RSA_2048_BIT"},
        **named,
    )
    dkim = v2.get_email_identity(**named)["DkimAttributes"]
    assert (len(dkim["Tokens"]), dkim["SigningAttributesOrigin"]) == (3, "AWS_SES")
    assert dkim["SigningHostedZone"]
    arn = f"arn:aws:ses:us-east-1:000000000000:identity/{ZONE}"
    assert v2.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    v2.tag_resource(ResourceArn=arn, Tags=[{"Key": "a", "Value": "c"}])
    v2.untag_resource(ResourceArn=arn, TagKeys=["a"])
    v2.put_email_identity_configuration_set_attributes(**named)
    v2.put_email_identity_feedback_attributes(EmailForwardingEnabled=False, **named)
    v2.put_email_identity_mail_from_attributes(MailFromDomain=f"bounce.{ZONE}", **named)
    v2.put_email_identity_dkim_signing_attributes(
        SigningAttributesOrigin="AWS_SES",
        SigningAttributes={"NextSigningKeyLength": "RSA_1024_BIT"},
        **named,
    )
    assert v2.get_email_identity_policies(**named)["Policies"] == {}
    v2.delete_email_identity(**named)
    with pytest.raises(v2.exceptions.NotFoundException):
        v2.get_email_identity(**named)

    v1: Any = server.boto3("ses")
    token = v1.verify_domain_identity(Domain=ZONE)["VerificationToken"]
    found = v1.get_identity_verification_attributes(Identities=[ZONE])["VerificationAttributes"]
    assert found[ZONE]["VerificationToken"] == token
    tokens = v1.verify_domain_dkim(Domain=ZONE)["DkimTokens"]
    attributes = v1.get_identity_dkim_attributes(Identities=[ZONE])["DkimAttributes"]
    assert attributes[ZONE]["DkimTokens"] == tokens
    v1.set_identity_mail_from_domain(Identity=ZONE, MailFromDomain=f"bounce.{ZONE}")
    v1.get_identity_mail_from_domain_attributes(Identities=[ZONE])
    v1.get_identity_notification_attributes(Identities=[ZONE])
    v1.delete_identity(Identity=ZONE)
    gone = v1.get_identity_verification_attributes(Identities=[ZONE])
    assert gone["VerificationAttributes"] == {}


def test_a_user_and_its_end_by_force(server: Mailstead) -> None:
    iam = server.boto3("iam")
    named = {"UserName": "v6"}
    iam.create_user(Tags=[{"Key": "a", "Value": "b"}], Path="/", **named)
    assert iam.get_user(**named)["User"]["Tags"] == [{"Key": "a", "Value": "b"}]
    assert iam.list_user_tags(**named)["Tags"] == [{"Key": "a", "Value": "b"}]
    key = iam.create_access_key(**named)["AccessKey"]["AccessKeyId"]
    assert iam.get_access_key_last_used(AccessKeyId=key)["UserName"] == "v6"
    assert iam.list_groups_for_user(**named)["Groups"] == []
    iam.delete_access_key(AccessKeyId=key, **named)
    iam.list_ssh_public_keys(**named)
    iam.list_virtual_mfa_devices(AssignmentStatus="Assigned")
    iam.list_mfa_devices(**named)
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.delete_login_profile(**named)
    iam.list_signing_certificates(**named)
    iam.list_service_specific_credentials(**named)
    iam.delete_user(**named)
    with pytest.raises(ClientError, match="cannot be found"):
        iam.get_user(**named)
