"""``AWS::S3::*`` in stacks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from mailstead.mail.model import Scope
from support.cloud import ACCOUNT, Cloud, refusal, resource

ATTRIBUTES = ["Arn", "DomainName", "RegionalDomainName"]
BLOCKS = dict.fromkeys(
    ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), True
)


@pytest.fixture
def s3(cloud: Cloud) -> Any:
    return cloud.root("s3")


def bucket(**properties: Any) -> dict[str, Any]:
    return resource("S3::Bucket", ATTRIBUTES, **{"BucketName": "ours", **properties})


def there(s3: Any, name: str) -> bool:
    try:
        s3.head_bucket(Bucket=name)
    except ClientError:
        return False
    return True


def test_a_bucket(cloud: Cloud, s3: Any) -> None:
    given = {
        "BucketEncryption": {
            "ServerSideEncryptionConfiguration": [
                {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
            ]
        },
        "PublicAccessBlockConfiguration": {**BLOCKS, "BlockPublicAcls": "true"},
        "VersioningConfiguration": {"Status": "Enabled"},
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "old", "Status": "Enabled", "ExpirationInDays": "9", "Prefix": "a/",
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 3},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                },
                {"Status": "Disabled"},
            ]
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "Tags": [{"Key": "k", "Value": "1"}],
        "AccessControl": "Private",
    }  # fmt: skip
    assert cloud.create(bucket(**given)) == "CREATE_COMPLETE"
    assert cloud.outputs() == {
        "Ref": "ours",
        "Arn": "arn:aws:s3:::ours",
        "DomainName": "ours.s3.amazonaws.com",
        "RegionalDomainName": "ours.s3.us-east-1.amazonaws.com",
    }
    rules = s3.get_bucket_encryption(Bucket="ours")["ServerSideEncryptionConfiguration"]["Rules"]
    assert rules[0]["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert s3.get_bucket_tagging(Bucket="ours")["TagSet"] == [{"Key": "k", "Value": "1"}]
    assert s3.get_public_access_block(Bucket="ours")["PublicAccessBlockConfiguration"] == BLOCKS
    rules = s3.get_bucket_lifecycle_configuration(Bucket="ours")["Rules"]
    assert rules[0]["Expiration"] == {"Days": 9}
    assert [one["ID"] for one in rules] == ["old", "rule-2"]
    changed = {**given, "Tags": [{"Key": "l", "Value": "2"}]}
    del changed["VersioningConfiguration"]
    assert cloud.update(bucket(**changed)) == "UPDATE_COMPLETE"
    assert s3.get_bucket_tagging(Bucket="ours")["TagSet"] == [{"Key": "l", "Value": "2"}]
    assert "Status" not in s3.get_bucket_versioning(Bucket="ours")
    assert cloud.update(bucket(BucketName="other")) == "UPDATE_COMPLETE"
    assert (there(s3, "ours"), there(s3, "other")) == (False, True)
    assert cloud.delete() == "DELETE_COMPLETE"
    assert not there(s3, "other")


def test_a_bucket_without_a_name(cloud: Cloud, s3: Any) -> None:
    cloud.create(resource("S3::Bucket"), "Stack")
    name = cloud.physical(name="Stack")
    assert name.startswith("stack-r-")
    assert there(s3, name)
    s3.delete_bucket(Bucket=name)
    assert cloud.delete("Stack") == "DELETE_COMPLETE"


def test_a_bucket_with_objects_stays(cloud: Cloud, s3: Any) -> None:
    cloud.create(bucket())
    s3.put_object(Bucket="ours", Key="k", Body=b"x")
    assert cloud.delete() == "DELETE_FAILED"
    assert cloud.failures() == [("R", "The bucket you tried to delete is not empty")]
    assert cloud.shown()["StackStatusReason"] == (
        "The following resource(s) failed to delete: [R]. "
    )
    s3.delete_object(Bucket="ours", Key="k")
    assert cloud.delete() == "DELETE_COMPLETE"


@pytest.mark.parametrize("name", ["DeletionPolicy", "RetainExceptOnCreate"])
def test_a_retained_bucket_stays(cloud: Cloud, s3: Any, name: str) -> None:
    template = bucket()
    template["Resources"]["R"]["DeletionPolicy"] = (
        "Retain" if name == "DeletionPolicy" else "RetainExceptOnCreate"
    )
    cloud.create(template)
    arn = cloud.shown()["StackId"]
    assert cloud.delete() == "DELETE_COMPLETE"
    assert ("R", "DELETE_SKIPPED", "") in cloud.told(arn)
    assert there(s3, "ours")


def test_a_retained_bucket_of_a_failed_stack(cloud: Cloud, s3: Any) -> None:
    def attempt(policy: str, name: str) -> None:
        template = bucket(BucketName=name)
        template["Resources"]["R"]["DeletionPolicy"] = policy
        failing = resource("S3::Bucket", BucketName="X")["Resources"]["R"]
        template["Resources"]["Z"] = {**failing, "DependsOn": "R"}
        assert cloud.create(template) == "ROLLBACK_COMPLETE"
        cloud.delete()

    attempt("Retain", "kept")
    attempt("RetainExceptOnCreate", "gone")
    assert (there(s3, "kept"), there(s3, "gone")) == (True, False)


def test_a_replaced_bucket_is_retained(cloud: Cloud, s3: Any) -> None:
    template = bucket()
    template["Resources"]["R"]["UpdateReplacePolicy"] = "Retain"
    cloud.create(template)
    template["Resources"]["R"]["Properties"]["BucketName"] = "other"
    assert cloud.update(template) == "UPDATE_COMPLETE"
    assert there(s3, "ours")
    assert there(s3, "other")
    template["Resources"]["R"]["UpdateReplacePolicy"] = "Delete"
    template["Resources"]["R"]["Properties"]["BucketName"] = "third"
    s3.put_object(Bucket="other", Key="k", Body=b"x")
    # What can't be cleaned up is said, and left behind.
    assert cloud.update(template) == "UPDATE_COMPLETE"
    assert cloud.failures()[-1] == ("R", "The bucket you tried to delete is not empty")
    assert there(s3, "other")


def test_drift_of_a_bucket(cloud: Cloud, s3: Any) -> None:
    cloud.create(bucket(Tags=[{"Key": "k", "Value": "1"}], PublicAccessBlockConfiguration=BLOCKS))
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    s3.put_bucket_tagging(Bucket="ours", Tagging={"TagSet": [{"Key": "k", "Value": "2"}]})
    s3.delete_public_access_block(Bucket="ours")
    status, found = cloud.drift()["R"]
    assert (status, sorted(found)) == (
        "MODIFIED", [("/PublicAccessBlockConfiguration", "REMOVE"), ("/Tags", "NOT_EQUAL")],
    )  # fmt: skip
    s3.delete_bucket(Bucket="ours")
    assert cloud.drift() == {"R": ("DELETED", [])}


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"BucketName": "Upper"}, "not valid"),
        ({"BucketName": "mine"}, "already own"),
        ({"BucketName": "theirs"}, "not available"),
        ({"AccessControl": "PublicRead"}, "The bucket does not allow ACLs"),
        (
            {"BucketEncryption": {"ServerSideEncryptionConfiguration": "x"}},
            "#/BucketEncryption: its members have other forms",
        ),
        ({"LifecycleConfiguration": {"Rules": [{"ExpirationInDays": "x"}]}}, "/Lifecycle"),
        ({"Tags": "x"}, "#/Tags: expected type: JSONArray"),
        ({"VersioningConfiguration": "x"}, "#/VersioningConfiguration"),
    ],
)
def test_buckets_that_are_refused(
    cloud: Cloud, s3: Any, properties: dict[str, Any], words: str
) -> None:
    s3.create_bucket(Bucket="mine")
    cloud.run(cloud.ports.buckets.create(Scope("999900001111", "us-east-1"), "theirs"))
    assert cloud.create(bucket(**properties)) == "ROLLBACK_COMPLETE"
    assert words in cloud.failures()[0][1]
    assert not there(s3, "ours")
    assert there(s3, "mine")


def test_properties_that_are_not_served(cloud: Cloud) -> None:
    answer = refusal(cloud.create, bucket(WebsiteConfiguration={}))
    assert "The property WebsiteConfiguration of AWS::S3::Bucket is not served" in answer[2]


def test_what_a_role_may_change_of_a_bucket(cloud: Cloud, s3: Any) -> None:
    cloud.create(bucket(Tags=[{"Key": "k", "Value": "1"}]))
    keys = cloud.user("dev", {"Action": ["cloudformation:*", "s3:PutBucketTagging"]})
    mine = cloud.client("cloudformation", **keys)

    def attempt(**properties: Any) -> str:
        mine.update_stack(StackName="S", TemplateBody=json.dumps(bucket(**properties)))
        return cloud.status()

    assert attempt(Tags=[{"Key": "k", "Value": "2"}]) == "UPDATE_COMPLETE"
    blocked = {"PublicAccessBlockConfiguration": BLOCKS}
    assert attempt(Tags=[{"Key": "k", "Value": "2"}], **blocked) == "UPDATE_ROLLBACK_FAILED"
    assert "s3:PutBucketPublicAccessBlock" in cloud.failures()[0][1]


# Policies


def rules(name: str, action: str = "s3:GetObject") -> dict[str, Any]:
    statement = {
        "Effect": "Allow", "Action": action, "Resource": f"arn:aws:s3:::{name}/*",
        "Principal": {"AWS": ACCOUNT},
    }  # fmt: skip
    return {"Version": "2012-10-17", "Statement": [statement]}


def bucket_policy(name: str, action: str = "s3:GetObject") -> dict[str, Any]:
    return resource("S3::BucketPolicy", Bucket=name, PolicyDocument=rules(name, action))


def test_a_bucket_policy(cloud: Cloud, s3: Any) -> None:
    s3.create_bucket(Bucket="mine")
    s3.create_bucket(Bucket="other")
    assert cloud.create(bucket_policy("mine")) == "CREATE_COMPLETE"
    assert cloud.outputs() == {"Ref": "mine"}
    assert json.loads(s3.get_bucket_policy(Bucket="mine")["Policy"]) == rules("mine")
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    assert cloud.update(bucket_policy("mine", "s3:PutObject")) == "UPDATE_COMPLETE"
    s3.put_bucket_policy(Bucket="mine", Policy=json.dumps(rules("mine")))
    assert cloud.drift()["R"][0] == "MODIFIED"
    assert cloud.update(bucket_policy("other")) == "UPDATE_COMPLETE"
    assert refusal(s3.get_bucket_policy, Bucket="mine")[0] == "NoSuchBucketPolicy"
    assert s3.get_bucket_policy(Bucket="other")
    s3.delete_bucket_policy(Bucket="other")
    assert cloud.drift() == {"R": ("DELETED", [])}
    s3.delete_bucket(Bucket="other")
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_policies_of_buckets_that_are_not_ours(cloud: Cloud, s3: Any) -> None:
    other = Scope("999900001111", "us-east-1")
    cloud.run(cloud.ports.buckets.create(other, "theirs", {"policy": json.dumps(rules("theirs"))}))
    for name, words in (
        ("none", "The specified bucket does not exist"),
        ("theirs", "Access Denied"),
    ):
        assert cloud.create(bucket_policy(name, "s3:*")) == "ROLLBACK_COMPLETE"
        assert cloud.failures() == [("R", words)]
        cloud.delete()
    found = cloud.run(cloud.ports.buckets.require("theirs"))
    assert json.loads(found.settings["policy"]) == rules("theirs")


def test_a_bucket_through_crashes(cloud: Cloud, s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    template = bucket(Tags=[{"Key": "k", "Value": "1"}])
    policy = {"Bucket": {"Ref": "R"}, "PolicyDocument": rules("ours")}
    template["Resources"]["P"] = {"Type": "AWS::S3::BucketPolicy", "Properties": policy}
    changed = json.loads(json.dumps(template).replace('"1"', '"2"'))

    def check(place: int) -> None:
        assert there(s3, "ours") is (place < 2)
        if place < 2:
            value = s3.get_bucket_tagging(Bucket="ours")["TagSet"][0]["Value"]
            assert value == str(place + 1)
            assert s3.get_bucket_policy(Bucket="ours")

    steps = [lambda: cloud.create(template), lambda: cloud.update(changed), cloud.delete]
    assert cloud.through_crashes(monkeypatch, steps, check) > 10


def test_a_bucket_is_adopted_and_somebody_elses_is_not(cloud: Cloud, s3: Any) -> None:
    s3.create_bucket(Bucket="ours")
    cloud.run(cloud.ports.buckets.create(Scope("999900001111", "us-east-1"), "theirs"))
    for name, action in (("ours", "Import"), ("theirs", "Add")):
        cloud.stacks.create_change_set(
            StackName=name, ChangeSetName="c", ChangeSetType="CREATE",
            TemplateBody=json.dumps(bucket(BucketName=name, Tags=[{"Key": "k", "Value": "1"}])),
            ImportExistingResources=True,
        )  # fmt: skip
        [change] = cloud.stacks.describe_change_set(StackName=name, ChangeSetName="c")["Changes"]
        assert change["ResourceChange"]["Action"] == action
        cloud.stacks.execute_change_set(StackName=name, ChangeSetName="c")
    assert (cloud.status("ours"), cloud.status("theirs")) == (
        "CREATE_COMPLETE", "ROLLBACK_COMPLETE",
    )  # fmt: skip
    assert s3.get_bucket_tagging(Bucket="ours")["TagSet"] == [{"Key": "k", "Value": "1"}]
