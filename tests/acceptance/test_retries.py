"""What boto3 does when the service throttles: it tries again by itself, in each of its retry modes."""

from typing import Any

import boto3
import pytest
from botocore.config import Config


def _boto3(stack: Any, endpoint: str, **retries: Any) -> Any:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_SHARED_CREDENTIALS_FILE", str(stack.home / "credentials"))
        config = Config(retries=retries) if retries else None
        return boto3.Session().client("rekognition", stack.region, endpoint_url=endpoint, config=config)


def test_without_retries_a_throttled_call_fails(stack: Any, small_server: Any) -> None:
    client = _boto3(stack, small_server.endpoint, total_max_attempts=1)
    with small_server.full(), pytest.raises(client.exceptions.ThrottlingException) as caught:
        client.list_collections()
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


@pytest.mark.parametrize(
    "retries", [{}, {"mode": "standard"}, {"mode": "adaptive"}], ids=["as it is", "standard", "adaptive"]
)
def test_a_throttled_call_is_retried_and_succeeds(stack: Any, small_server: Any, retries: dict[str, str]) -> None:
    client = _boto3(stack, small_server.endpoint, **retries)
    with small_server.full_until_it_throttles():
        answer = client.list_collections()
    assert answer["ResponseMetadata"]["RetryAttempts"] >= 1
