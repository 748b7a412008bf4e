"""Bodies of error answers and the table from domain errors to AWS errors."""

from __future__ import annotations

import json

import pytest
from botocore.parsers import JSONParser

import inference.errors
import storage.errors
import vectorindex.client
from api import errors
from api.model import OPERATIONS, SERVICE


def every_class(base: type[errors.AwsError]) -> list[type[errors.AwsError]]:
    return [base, *(found for child in base.__subclasses__() for found in every_class(child))]


@pytest.mark.parametrize("cls", every_class(errors.AwsError)[1:])
def test_botocore_reads_code_and_message(cls: type[errors.AwsError]) -> None:
    status, body = errors.to_response(cls("what went wrong"), "some-id")
    parsed = JSONParser().parse(
        {"status_code": status, "headers": {"x-amzn-requestid": "some-id"}, "body": body},
        OPERATIONS["DetectFaces"].output_shape,
    )
    assert parsed["Error"]["Code"] == cls.__name__
    expected = "" if cls is errors.UnknownOperationException else "what went wrong"
    assert parsed["Error"].get("Message", "") == expected
    assert parsed["ResponseMetadata"]["RequestId"] == "some-id"


def test_the_two_body_styles() -> None:
    assert errors.InvalidS3ObjectException("no").body("id") == {
        "__type": "InvalidS3ObjectException",
        "Code": "InvalidS3ObjectException",
        "Logref": "id",
        "Message": "no",
    }
    assert errors.ValidationException("no").body("id") == {"__type": "ValidationException", "message": "no"}
    assert errors.SerializationException("no").body("id") == {"__type": "SerializationException", "Message": "no"}
    assert errors.UnknownOperationException("no").body("id") == {"__type": "UnknownOperationException"}


def test_a_docstring_is_the_default_message_on_one_line() -> None:
    assert errors.InvalidParameterException().message == "Request has invalid parameters"
    for cls in every_class(errors.AwsError):
        assert "\n" not in cls().message


def test_the_only_error_with_members_of_its_own() -> None:
    error = errors.HumanLoopQuotaExceededException(ResourceType="r", QuotaCode="q", ServiceCode="s")
    members = set(SERVICE.shape_for("HumanLoopQuotaExceededException").members)
    assert members <= set(json.loads(errors.to_response(error, "id")[1]))


def test_domain_errors() -> None:
    found = errors.from_domain(storage.errors.CollectionNotFound(name="staff"))
    assert isinstance(found, errors.ResourceNotFoundException)
    assert found.message == "The collection id: staff does not exist"
    too_large = errors.from_domain(inference.errors.ImageDimensionsTooLarge(12000, 9000, 10000))
    assert isinstance(too_large, errors.ImageTooLargeException)
    assert too_large.message == "Input image dimensions 12000 x 9000 exceed maximum dimension size of 10000 pixels"
    deleted = errors.from_domain(vectorindex.client.UnknownCollection(7))
    assert isinstance(deleted, errors.ResourceNotFoundException)
    assert isinstance(errors.from_domain(inference.errors.Overloaded()), errors.ThrottlingException)


def test_a_subclass_of_a_domain_error_is_answered_like_it() -> None:
    class Nested(inference.errors.InvalidImage):
        """Nested."""

    assert isinstance(errors.from_domain(Nested()), errors.InvalidImageFormatException)


@pytest.mark.parametrize("error", [RuntimeError("secret"), storage.errors.DatabaseUnavailable(reason="x"), KeyError()])
def test_other_errors_stay_inside(error: Exception) -> None:
    assert errors.from_domain(error) is None
