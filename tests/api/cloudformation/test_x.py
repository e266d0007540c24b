from support.cloud import Cloud, resource
def test_a(cloud: Cloud) -> None:
    assert cloud.create(resource("SSM::Parameter", ["Type","Value"], Name="/a", Type="String", Value="v")) == "CREATE_COMPLETE"
    assert cloud.outputs() == {"Ref": "/a", "Type": "String", "Value": "v"}
