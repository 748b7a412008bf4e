"""AWS JSON against botocore: what it serialises we parse, what we serialise it parses, for all 75 operations."""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.parsers import JSONParser
from botocore.serialize import create_serializer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from api import protocol, validation
from api.errors import SerializationException
from api.model import OPERATIONS, SERVICE
from benchmarks.faults.shapes import values

FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@pytest.mark.parametrize("name", OPERATIONS)
@FEW
@given(data=st.data())
def test_botocore_serialises_and_we_parse(name: str, data: st.DataObject) -> None:
    operation = OPERATIONS[name]
    given_ = data.draw(values(operation.input_shape))
    sent = create_serializer("json").serialize_to_request(given_, SERVICE.operation_model(name))
    assert sent["headers"]["Content-Type"] in protocol.ACCEPTED_CONTENT_TYPES
    parsed = protocol.parse(operation, protocol.load(sent["body"]))
    assert parsed == given_
    assert validation.violations(operation.input_shape.name, parsed) == []


@pytest.mark.parametrize("name", OPERATIONS)
@FEW
@given(data=st.data())
def test_we_serialise_and_botocore_parses(name: str, data: st.DataObject) -> None:
    operation = OPERATIONS[name]
    answer = data.draw(values(operation.output_shape))
    assert validation.check_output(name, answer) == []
    body = protocol.serialise(operation, answer)
    parsed = JSONParser().parse({"status_code": 200, "headers": {}, "body": body}, operation.output_shape)
    del parsed["ResponseMetadata"]
    assert parsed == answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"x"',
        b"{",
        b"{} x",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b'{"a": "\xff"}',
        b'{"a": "\\ud800"}',
        b"\xef\xbb\xbf{}",
        b"[" * 90_000,
        b'{"a":' * 90_000,
    ],
)
def test_not_a_json_object(body: bytes) -> None:
    with pytest.raises(SerializationException):
        protocol.load(body)


def test_many_values_in_few_bytes() -> None:
    assert protocol.load(b'{"a": [' + b"0," * 90_000 + b"0]}")
    for body in (b'{"a": [' + b"[]," * 100_000 + b"0]}", b'{"a": ' + b"[" * 200_000):
        with pytest.raises(SerializationException):
            protocol.load(body)


@given(st.binary(max_size=60))
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    with contextlib.suppress(SerializationException):
        assert isinstance(protocol.load(body), dict)


def parse(operation: str, body: Any) -> dict[str, Any]:
    return protocol.parse(OPERATIONS[operation], protocol.load(json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("operation", "body", "message"),
    [
        ("DetectFaces", {"Image": "x"}, "STRING_VALUE can not be converted to a Structure"),
        ("DetectFaces", {"Image": []}, "Start of list found where not expected"),
        ("DetectFaces", {"Image": {"Bytes": 1}}, "NUMBER_VALUE can not be converted to a Blob"),
        ("DetectFaces", {"Image": {"Bytes": "YQ"}}, "Invalid base64 in a blob"),
        ("DetectFaces", {"Image": {"Bytes": "YQ==\n"}}, "Invalid base64 in a blob"),
        ("DetectFaces", {"Image": {"Bytes": "YQ-_"}}, "Invalid base64 in a blob"),
        ("DetectFaces", {"Image": {"Bytes": "éééé"}}, "Invalid base64 in a blob"),
        ("DetectFaces", {"Image": {}, "Attributes": "ALL"}, "STRING_VALUE can not be converted to a List"),
        ("DetectFaces", {"Image": {}, "Attributes": [1]}, "NUMBER_VALUE can not be converted to a String"),
        ("DetectFaces", {"Image": {}, "Attributes": {}}, "Start of structure or map found where not expected."),
        ("CreateCollection", {"CollectionId": True}, "TRUE_VALUE can not be converted to a String"),
        ("CreateCollection", {"CollectionId": "c", "Tags": {"a": 1}}, "NUMBER_VALUE can not be converted to a String"),
        ("CreateCollection", {"CollectionId": "c", "Tags": 1}, "NUMBER_VALUE can not be converted to a Map"),
        ("ListFaces", {"MaxResults": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ("ListFaces", {"MaxResults": False}, "FALSE_VALUE can not be converted to an Integer"),
        ("ListFaces", {"MaxResults": 2**31}, "NUMBER_VALUE can not be converted to an Integer"),
        ("ListFaces", {"MaxResults": -(2**31) - 1}, "NUMBER_VALUE can not be converted to an Integer"),
        ("ListFaces", {"MaxResults": 1e300}, "NUMBER_VALUE can not be converted to an Integer"),
        ("SearchFaces", {"FaceMatchThreshold": "80"}, "STRING_VALUE can not be converted to a Float"),
        ("SearchFaces", {"FaceMatchThreshold": True}, "TRUE_VALUE can not be converted to a Float"),
        ("SearchFaces", {"FaceMatchThreshold": 10**400}, "NUMBER_VALUE can not be converted to a Float"),
        ("CreateProjectVersion", {"TestingData": {"AutoCreate": 1}}, "NUMBER_VALUE can not be converted to a Boolean"),
    ],
)
def test_wrong_types(operation: str, body: Any, message: str) -> None:
    with pytest.raises(SerializationException) as raised:
        parse(operation, body)
    assert raised.value.message == message


@pytest.mark.parametrize(
    ("operation", "body", "parsed"),
    [
        ("ListFaces", {"MaxResults": 7.9, "CollectionId": None, "Unknown": {"a": 1}}, {"MaxResults": 7}),
        ("ListFaces", {"collectionId": "c"}, {}),
        ("SearchFaces", {"FaceMatchThreshold": 80}, {"FaceMatchThreshold": 80.0}),
        ("DetectFaces", {"Attributes": ["ALL", None]}, {"Attributes": ["ALL", None]}),
        ("DetectFaces", {"Image": {"Bytes": ""}}, {"Image": {"Bytes": b""}}),
        ("CreateCollection", {"Tags": {"a": None, "b": ""}}, {"Tags": {"a": None, "b": ""}}),
    ],
)
def test_lenient_where_the_framework_is(operation: str, body: Any, parsed: dict[str, Any]) -> None:
    assert parse(operation, body) == parsed


@given(st.binary(max_size=300))
def test_blobs(blob: bytes) -> None:
    assert parse("DetectFaces", {"Image": {"Bytes": base64.b64encode(blob).decode()}})["Image"]["Bytes"] == blob


def test_timestamps_are_epoch_seconds_and_nulls_are_left_out() -> None:
    created = datetime(2023, 11, 14, 22, 13, 20, 500_000, UTC)
    answer = {"CreationTimestamp": created, "FaceCount": 3, "CollectionARN": None}
    body = json.loads(protocol.serialise(OPERATIONS["DescribeCollection"], answer))
    assert body == {"CreationTimestamp": 1700000000.5, "FaceCount": 3}


def test_answers_that_cannot_be_written() -> None:
    describe = OPERATIONS["DescribeCollection"]
    with pytest.raises(KeyError):
        protocol.serialise(describe, {"NoSuchMember": 1})
    with pytest.raises(ValueError):
        protocol.serialise(describe, {"CreationTimestamp": datetime(2023, 1, 1)})
    with pytest.raises(ValueError):
        protocol.serialise(OPERATIONS["DetectFaces"], {"FaceDetails": [{"Confidence": float("nan")}]})
