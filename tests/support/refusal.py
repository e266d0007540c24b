"""What a boto3 client is told when it is refused."""

from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(call: Any, **arguments: Any) -> tuple[str, int, str]:
    """Code, status and text."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return (
        response["Error"]["Code"],
        response["ResponseMetadata"]["HTTPStatusCode"],
        response["Error"].get("Message", ""),
    )
