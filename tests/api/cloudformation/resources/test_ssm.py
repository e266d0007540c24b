"""``AWS::SSM::Parameter`` in stacks."""

from __future__ import annotations

from typing import Any

import pytest

from support.cloud import Cloud, resource


def parameter(**properties: Any) -> dict[str, Any]:
    return resource(
        "SSM::Parameter", ["Type", "Value"], **{"Type": "String", "Value": "v", **properties}
    )


def value(cloud: Cloud, name: str) -> str | None:
    found = cloud.root("ssm").get_parameters(Names=[name])["Parameters"]
    return found[0]["Value"] if found else None


def test_created_updated_replaced_deleted(cloud: Cloud) -> None:
    assert cloud.create(parameter(Name="/a", Description="d", Tags={"k": "1"}))
    assert cloud.outputs() == {"Ref": "/a", "Type": "String", "Value": "v"}
    ssm = cloud.root("ssm")
    about = {"ResourceType": "Parameter", "ResourceId": "/a"}
    assert ssm.list_tags_for_resource(**about)["TagList"] == [{"Key": "k", "Value": "1"}]
    assert cloud.update(parameter(Name="/a", Value="w", Tags={"l": "2"})) == "UPDATE_COMPLETE"
    assert cloud.outputs()["Value"] == "w"
    assert ssm.list_tags_for_resource(**about)["TagList"] == [{"Key": "l", "Value": "2"}]
    assert len(ssm.get_parameter_history(Name="/a")["Parameters"]) == 2
    # What only changes tags makes no version.
    assert cloud.update(parameter(Name="/a", Value="w")) == "UPDATE_COMPLETE"
    assert len(ssm.get_parameter_history(Name="/a")["Parameters"]) == 2
    assert cloud.update(parameter(Name="/b", Value="w")) == "UPDATE_COMPLETE"
    assert (value(cloud, "/a"), value(cloud, "/b")) == (None, "w")
    assert cloud.delete() == "DELETE_COMPLETE"
    assert value(cloud, "/b") is None


def test_a_name_of_its_own(cloud: Cloud) -> None:
    assert cloud.create(parameter()) == "CREATE_COMPLETE"
    assert cloud.physical().startswith("S-R-")


def test_drift(cloud: Cloud) -> None:
    cloud.create(parameter(Name="/a", Description="d"))
    assert cloud.drift() == {"R": ("IN_SYNC", [])}
    ssm = cloud.root("ssm")
    ssm.put_parameter(Name="/a", Value="x", Description="other", Overwrite=True)
    differences = [("/Description", "NOT_EQUAL"), ("/Value", "NOT_EQUAL")]
    status, found = cloud.drift()["R"]
    assert (status, sorted(found)) == ("MODIFIED", differences)
    ssm.delete_parameter(Name="/a")
    assert cloud.drift() == {"R": ("DELETED", [])}
    assert cloud.delete() == "DELETE_COMPLETE"


def test_somebody_elses_stays(cloud: Cloud) -> None:
    cloud.root("ssm").put_parameter(Name="/a", Value="theirs", Type="String")
    assert cloud.create(parameter(Name="/a")) == "ROLLBACK_COMPLETE"
    assert cloud.failures()[0][1].startswith("The parameter already exists.")
    assert value(cloud, "/a") == "theirs"
    cloud.delete()
    cloud.create(parameter(Name="/b"))
    assert cloud.update(parameter(Name="/a")) == "UPDATE_ROLLBACK_COMPLETE"
    assert (value(cloud, "/a"), value(cloud, "/b")) == ("theirs", "v")


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"Type": "SecureString"}, "#/Type: SecureString is not a valid enum value"),
        ({"Value": "x", "AllowedPattern": "y"}, "allowedPattern"),
        ({"Name": ["/a"]}, "#/Name: expected type: String, found: list"),
    ],
)
def test_values_that_are_refused(cloud: Cloud, properties: dict[str, Any], words: str) -> None:
    assert cloud.create(parameter(**properties)) == "ROLLBACK_COMPLETE"
    assert words in cloud.failures()[0][1]


def test_crashes(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    def resources(name: str, content: str) -> dict[str, Any]:
        return {
            "R": parameter(Name=name, Value=content)["Resources"]["R"],
            "Q": parameter(Name="/q", Value=content)["Resources"]["R"],
        }

    cloud.create(resources("/0", "x"))

    def check(place: int) -> None:
        assert cloud.status() == "UPDATE_COMPLETE"
        own = f"/{1 - place}"
        assert [value(cloud, name) for name in ("/0", "/1")].count(None) == 1
        assert value(cloud, own) == value(cloud, "/q") == "yx"[place]

    steps = [
        lambda: cloud.update(resources("/1", "y")),
        lambda: cloud.update(resources("/0", "x")),
    ]
    assert cloud.through_crashes(monkeypatch, steps, check) > 8
