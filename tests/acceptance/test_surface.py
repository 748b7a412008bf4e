"""What is true of all 75 operations, and of the stack as a whole, through boto3."""

import json
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from api.model import OPERATIONS
from api.operations import HANDLERS


def test_every_operation_is_answered_by_its_handler_or_named_as_missing(stack: Any, client: Any) -> None:
    """Sent unsigned-for-validation by botocore's own checks being off, so that the server's are seen."""
    lax = boto3.Session(
        aws_access_key_id=client._request_signer._credentials.access_key,
        aws_secret_access_key=client._request_signer._credentials.secret_key,
        region_name=stack.region,
    ).client(
        "rekognition",
        endpoint_url=stack.endpoint,
        config=Config(parameter_validation=False, retries={"total_max_attempts": 1}),
    )
    codes = {}
    for method, operation in client.meta.method_to_api_mapping.items():
        try:
            getattr(lax, method)()
            codes[operation] = "answered"
        except ClientError as error:
            codes[operation] = error.response["Error"]["Code"]
            if codes[operation] == "UnsupportedOperationException":
                assert operation in error.response["Error"]["Message"]
    assert codes.keys() == OPERATIONS.keys() and len(codes) == 75
    for operation, code in codes.items():
        if OPERATIONS[operation].input_shape.required_members:
            assert code == "ValidationException", operation
        else:
            assert code == ("answered" if operation in HANDLERS else "UnsupportedOperationException"), operation


def test_a_wrong_secret_is_refused(stack: Any, client: Any) -> None:
    key = client._request_signer._credentials.access_key
    thief = boto3.Session(aws_access_key_id=key, aws_secret_access_key="guess", region_name=stack.region)
    with pytest.raises(ClientError, match="InvalidSignatureException"):
        thief.client("rekognition", endpoint_url=stack.endpoint).list_collections()
    stranger = boto3.Session(aws_access_key_id="AKIAUNKNOWN000000000", aws_secret_access_key="x")
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        stranger.client("rekognition", stack.region, endpoint_url=stack.endpoint).list_collections()


def test_a_revoked_key_is_refused_at_once(stack: Any) -> None:
    printed = stack.openrek("keys", "create")
    key = _after(printed, "aws_access_key_id")
    holder = boto3.Session(
        aws_access_key_id=key,
        aws_secret_access_key=_after(printed, "aws_secret_access_key"),
        region_name=stack.region,
    ).client("rekognition", endpoint_url=stack.endpoint)
    for _ in range(3):
        holder.list_collections()
    stack.openrek("keys", "revoke", key)
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        holder.list_collections()


def test_accounts_and_regions_do_not_see_each_other(stack: Any, client: Any, collection: str) -> None:
    printed = stack.openrek("keys", "create", "--account", "111122223333")
    words = dict(line.split(None, 1) for line in printed.splitlines() if len(line.split(None, 1)) == 2)
    other = boto3.Session(
        aws_access_key_id=_after(printed, "aws_access_key_id"),
        aws_secret_access_key=_after(printed, "aws_secret_access_key"),
    )
    assert words
    same_account = client._request_signer._credentials
    elsewhere = boto3.Session(aws_access_key_id=same_account.access_key, aws_secret_access_key=same_account.secret_key)
    for session, region in ((other, stack.region), (elsewhere, "us-west-2")):
        stranger = session.client("rekognition", region, endpoint_url=stack.endpoint)
        assert collection not in stranger.list_collections()["CollectionIds"]
        with pytest.raises(stranger.exceptions.ResourceNotFoundException):
            stranger.describe_collection(CollectionId=collection)


def _after(text: str, name: str) -> str:
    return next(line.split("=", 1)[1].strip() for line in text.splitlines() if line.strip().startswith(name))


def test_the_stack_says_that_each_part_is_ready(stack: Any) -> None:
    with urllib.request.urlopen(f"{stack.endpoint}/readyz") as answer:
        state = json.load(answer)
    assert state["ready"] is True
    assert {"database", "queue", "inference", "vectorindex"} <= state["parts"].keys()
    with urllib.request.urlopen(f"{stack.endpoint}/healthz") as answer:
        assert answer.status == 200
