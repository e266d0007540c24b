"""What clients send wrong, each with AWS's code and words; and that the next deploy works."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.cloud import Cloud, refusal, resource


def parameter(**more: Any) -> dict[str, Any]:
    return {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "v", **more}}


def of(**resources: Any) -> str:
    return json.dumps({"Resources": resources})


GOOD = of(R=parameter(Name="/good"))
BAD = {
    "no template": ("", "Either Template URL or Template Body must be specified."),
    "a list": ("[]", "Template format error: unsupported structure."),
    "half": ("{", "Template format error: JSON not well-formed. (line 1, column 2)"),
    "no resources": ("{}", "Template format error: At least one Resources member must be defined."),
    "a section": (
        '{"Resources": {"R": {"Type": "AWS::CDK::Metadata"}}, "Colours": {}}',
        "Invalid template property or properties [Colours]",
    ),
    "a type": (
        of(R={"Type": "AWS::Lambda::Function"}),
        "Template format error: Unrecognized resource types: [AWS::Lambda::Function]",
    ),
    "no type": (
        of(R={"Properties": {}}),
        "Template format error: [/Resources/R] Every Resources object must contain a Type member.",
    ),
    "a name": (of(**{"R-1": parameter()}), "Resource name R-1 is non alphanumeric."),
    "a member": (
        of(R={**parameter(), "Colour": "red"}), "Invalid template resource property 'Colour'",
    ),
    "a property": (
        of(R=parameter(Colour="red")),
        "Encountered unsupported property Colour of AWS::SSM::Parameter",
    ),
    "a missing property": (
        of(R={"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String"}}),
        "Properties validation failed for resource R with message: "
        "#: required key [Value] not found",
    ),
    "a cycle": (
        of(A=parameter(Value={"Ref": "B"}), B=parameter(Value={"Fn::GetAtt": ["A", "Value"]})),
        "Circular dependency between resources: [A, B]",
    ),
    "itself": (of(A=parameter(Value={"Ref": "A"})), "Circular dependency between resources: [A]"),
    "a reference": (
        of(R=parameter(Value={"Ref": "Nobody"})),
        "Template format error: Unresolved resource dependencies [Nobody] in the Resources block "
        "of the template",
    ),
    "a dependency": (
        of(R={**parameter(), "DependsOn": "Nobody"}),
        "Template format error: Unresolved resource dependencies [Nobody] in the Resources block "
        "of the template",
    ),
    "an attribute": (
        of(A=parameter(), B=parameter(Value={"Fn::GetAtt": ["A", "Colour"]})),
        "Template error: resource A does not support attribute type Colour in Fn::GetAtt",
    ),
    "a reference in an export": (
        json.dumps({
            "Resources": {"R": parameter()},
            "Outputs": {"O": {"Value": "x", "Export": {"Name": {"Ref": "Nobody"}}}},
        }),
        "Template format error: Unresolved resource dependencies [Nobody] in the Resources block "
        "of the template",
    ),
    "a key twice": (
        '{"Resources": {"R": {"Type": "AWS::CDK::Metadata", "Type": "AWS::CDK::Metadata"}}}',
        'Template error: duplicated key "Type"',
    ),
    "a key twice in YAML": (
        "Resources:\n  R: {Type: 'AWS::CDK::Metadata'}\n  R: {Type: 'AWS::CDK::Metadata'}\n",
        'Template error: duplicated key "R" (line 3, column 3)',
    ),
    "an anchor": (
        "Resources:\n  R: &r {Type: 'AWS::CDK::Metadata'}\n  S: *r\n",
        "Template error: YAML anchors are not allowed (line 2, column 6)",
    ),
    "an alias": (
        "Resources:\n  R: *r\n",
        "Template error: YAML aliases are not allowed (line 2, column 6)",
    ),
    "a transform": (
        json.dumps({"Transform": "AWS::Serverless-2016-10-31", "Resources": {"R": parameter()}}),
        "Transforms are not served: [AWS::Serverless-2016-10-31]",
    ),
    "a missing parameter": (
        json.dumps({"Parameters": {"P": {"Type": "String"}}, "Resources": {"R": parameter()}}),
        "Parameters: [P] must have values",
    ),
    "a rule": (
        json.dumps({
            "Resources": {"R": parameter()},
            "Rules": {"A": {"Assertions": [
                {"Assert": {"Fn::Equals": ["a", "b"]}, "AssertDescription": "a is b"},
            ]}},
        }),
        "Template error: a is b",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("body", "words"), BAD.values(), ids=BAD)
def test_templates_that_are_refused(cloud: Cloud, body: str, words: str) -> None:
    """A stack is refused at once, a change set fails with the reason; nothing was done."""
    stacks = cloud.stacks
    given = {"TemplateBody": body} if body else {}
    code, status, text = refusal(stacks.create_stack, StackName="S", **given)
    assert (code, status) == ("ValidationError", 400)
    assert words in text
    if body:
        stacks.create_change_set(
            StackName="S", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=body
        )
        found = stacks.describe_change_set(StackName="S", ChangeSetName="c")
        assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
        assert words in found["StatusReason"]
        assert stacks.list_stack_resources(StackName="S")["StackResourceSummaries"] == []
        cloud.delete()
    assert cloud.create(GOOD) == "CREATE_COMPLETE"
    if body:
        code, status, text = refusal(stacks.update_stack, StackName="S", TemplateBody=body)
        assert (code, status) == ("ValidationError", 400)
        assert words in text
    assert cloud.update(of(R=parameter(Name="/better"))) == "UPDATE_COMPLETE"


def test_a_parameter_that_the_template_has_not(cloud: Cloud) -> None:
    given = [{"ParameterKey": "P", "ParameterValue": "x"}]
    answer = refusal(cloud.create, GOOD, Parameters=given)
    words = "Parameters: [P] do not exist in the template"
    assert answer == ("ValidationError", 400, words)


def test_a_type_can_not_change(cloud: Cloud) -> None:
    cloud.create(GOOD)
    words = (
        "Update of resource type is not permitted. The new template modifies resource type of the "
        "following resources: [R]"
    )
    other = of(R={"Type": "AWS::S3::Bucket"})
    assert refusal(cloud.update, other) == ("ValidationError", 400, words)
    cloud.stacks.create_change_set(StackName="S", ChangeSetName="c", TemplateBody=other)
    found = cloud.stacks.describe_change_set(StackName="S", ChangeSetName="c")
    assert (found["Status"], found["StatusReason"]) == ("FAILED", words)


def test_names_that_stand_twice(cloud: Cloud) -> None:
    assert cloud.create(of(A=parameter(Name="/x"), B=parameter(Name="/x"))) == "ROLLBACK_COMPLETE"
    [(_, reason)] = cloud.failures()
    assert reason.startswith("The parameter already exists.")
    assert cloud.root("ssm").get_parameters(Names=["/x"])["Parameters"] == []
    cloud.delete()
    assert cloud.create(GOOD) == "CREATE_COMPLETE"


def test_a_record_that_breaks_its_zone(cloud: Cloud) -> None:
    r53 = cloud.root("route53")
    zone = r53.create_hosted_zone(Name="a.test", CallerReference="1")["HostedZone"]["Id"]

    def record(name: str, kind: str, *values: str, **more: Any) -> dict[str, Any]:
        given = {
            "HostedZoneId": zone, "Name": name, "Type": kind, "TTL": 60,
            "ResourceRecords": list(values),
        }  # fmt: skip
        return {"Type": "AWS::Route53::RecordSet", "Properties": given, **more}

    good = {"A": record("www.a.test", "A", "192.0.2.1")}
    assert cloud.create(of(**good)) == "CREATE_COMPLETE"
    for bad, words in (
        (record("www.a.test", "CNAME", "b.test"), "conflicts with other records"),
        (record("a.test", "CNAME", "b.test"), "is not permitted at apex in zone a.test."),
        (record("mx.a.test", "MX", "mail"), "MX record doesn't have 2 fields"),
        (record("b.test", "A", "192.0.2.1"), "is not permitted in zone a.test."),
        (record("t.a.test", "TXT", "bare"), "enclosed in quotation marks"),
    ):
        assert cloud.update(of(**good, B={**bad, "DependsOn": "A"})) == "UPDATE_ROLLBACK_COMPLETE"
        assert words in cloud.failures()[-1][1]
        found = r53.list_resource_record_sets(HostedZoneId=zone)["ResourceRecordSets"]
        assert [one["Type"] for one in found] == ["NS", "SOA", "A"]
    better = of(A=record("www.a.test", "A", "192.0.2.2"))
    assert cloud.update(better) == "UPDATE_COMPLETE"


@pytest.mark.parametrize(
    ("service", "path", "body"),
    [
        (
            "route53",
            "/2013-04-01/hostedzone",
            '<!DOCTYPE a [<!ENTITY b "c">]><CreateHostedZoneRequest '
            'xmlns="https://route53.amazonaws.com/doc/2013-04-01/"><Name>&b;.test</Name>'
            "<CallerReference>1</CallerReference></CreateHostedZoneRequest>",
        ),
    ],
)
def test_xml_with_a_doctype(cloud: Cloud, service: str, path: str, body: str) -> None:
    client = cloud.root(service)

    def dressed(params: dict[str, Any], **_: Any) -> None:
        params["body"] = body.encode()

    client.meta.events.register("before-call.route53.CreateHostedZone", dressed)
    code, status, _ = refusal(client.create_hosted_zone, Name="x.test", CallerReference="1")
    assert (code, status) == ("MalformedInput", 400)
    client.meta.events.unregister("before-call.route53.CreateHostedZone", dressed)
    assert client.create_hosted_zone(Name="x.test", CallerReference="1")["HostedZone"]


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://localhost/none/t", "S3 error: The specified bucket does not exist"),
        ("http://localhost/bucket/none", "S3 error: The specified key does not exist."),
        ("https://elsewhere.example.org/x", "S3 error: The specified bucket does not exist"),
        ("file:///etc/passwd", "TemplateURL must be a supported URL."),
    ],
)
def test_a_bucket_that_is_not_there(cloud: Cloud, url: str, words: str) -> None:
    cloud.root("s3").create_bucket(Bucket="bucket")
    answer = refusal(cloud.stacks.create_stack, StackName="S", TemplateURL=url)
    assert answer[:2] == ("ValidationError", 400)
    assert words in answer[2] or "TemplateURL must be a supported URL." in answer[2]


def test_drift_asked_of_what_is_not_there(cloud: Cloud) -> None:
    stacks = cloud.stacks
    detection = "11112222-3333-4444-5555-666677778888"
    ask = stacks.describe_stack_drift_detection_status
    answer = refusal(ask, StackDriftDetectionId=detection)
    assert answer == ("ValidationError", 400, f"DetectionId {detection} does not exist")
    template = resource("SSM::Parameter", Name="/a", Type="String", Value="v")
    template["Resources"]["Meta"] = {"Type": "AWS::CDK::Metadata"}
    cloud.create(template)
    assert stacks.describe_stack_resource_drifts(StackName="S")["StackResourceDrifts"] == []
    begun = stacks.detect_stack_drift(StackName="S", LogicalResourceIds=["R"])
    found = ask(StackDriftDetectionId=begun["StackDriftDetectionId"])
    assert (found["StackDriftStatus"], found["DetectionStatus"]) == (
        "IN_SYNC", "DETECTION_COMPLETE",
    )  # fmt: skip
    assert cloud.shown()["DriftInformation"]["StackDriftStatus"] == "IN_SYNC"
    one = stacks.detect_stack_resource_drift(StackName="S", LogicalResourceId="R")
    assert one["StackResourceDrift"]["StackResourceDriftStatus"] == "IN_SYNC"
    assert json.loads(one["StackResourceDrift"]["ExpectedProperties"])["Name"] == "/a"
    cloud.root("ssm").delete_parameter(Name="/a")
    begun = stacks.detect_stack_drift(StackName="S")
    found = ask(StackDriftDetectionId=begun["StackDriftDetectionId"])
    assert (found["StackDriftStatus"], found["DriftedStackResourceCount"]) == ("DRIFTED", 1)
    filters = {"StackResourceDriftStatusFilters": ["IN_SYNC"]}
    rows = stacks.describe_stack_resource_drifts(StackName="S", **filters)
    assert rows["StackResourceDrifts"] == []
    answer = refusal(stacks.detect_stack_resource_drift, StackName="S", LogicalResourceId="X")
    assert answer == ("ValidationError", 400, "Resource X does not exist for stack S")


def test_what_is_only_recorded(cloud: Cloud) -> None:
    """Types of `cdk bootstrap` that mail needs nothing of."""
    resources = {
        "Repo": {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "Repo"}},
        "Own": {"Type": "AWS::ECR::Repository"},
        "Key": {"Type": "AWS::KMS::Key", "Properties": {"Description": "d"}},
        "Alias": {
            "Type": "AWS::KMS::Alias",
            "Properties": {"AliasName": "alias/x", "TargetKeyId": {"Ref": "Key"}},
        },
    }
    outputs = {
        "Uri": {"Value": {"Fn::GetAtt": ["Repo", "RepositoryUri"]}},
        "Arn": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}},
        "Alias": {"Value": {"Ref": "Alias"}},
    }
    assert cloud.create({"Resources": resources, "Outputs": outputs}) == "CREATE_COMPLETE"
    found = cloud.outputs()
    assert found["Uri"] == "111122223333.dkr.ecr.us-east-1.amazonaws.com/Repo"
    assert found["Arn"].startswith("arn:aws:kms:us-east-1:111122223333:key/")
    assert found["Alias"] == "alias/x"
    assert cloud.physical("Own").startswith("s-own-")
    assert {status for status, _ in cloud.drift().values()} == {"IN_SYNC"}
    resources["Key"]["Properties"]["Description"] = "e"
    assert cloud.update({"Resources": resources}) == "UPDATE_COMPLETE"
    assert cloud.delete() == "DELETE_COMPLETE"
