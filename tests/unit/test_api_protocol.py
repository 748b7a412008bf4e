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

FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


PROJECT = "arn:aws:rekognition:us-east-1:111122223333:project/parts"
# Hypothesis would search long for texts of these patterns and of an allowed length.
ARNS = {
    "ProjectArn": f"{PROJECT}/1690405809285",
    "ProjectVersionArn": f"{PROJECT}/version/v1/1690405809285",
    "ProjectVersionId": f"{PROJECT}/version/v1/1690405809285",
    "DatasetArn": f"{PROJECT}/dataset/train/1690405809285",
}


def strings(shape: Any) -> st.SearchStrategy[str]:
    limits = shape.metadata
    if shape.name in ARNS:
        return st.just(ARNS[shape.name])
    if "enum" in limits:
        return st.sampled_from(limits["enum"])
    low, high = limits.get("min", 0), min(limits.get("max", 60), max(60, limits.get("min", 0)))
    if "pattern" in limits:
        pattern = validation.java_pattern(limits["pattern"])
        return st.from_regex(pattern, fullmatch=True).filter(lambda text: low <= len(text) <= high)
    return st.text(st.characters(exclude_categories=["Cs"]), min_size=low, max_size=high)


def values(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Valid values of a shape, as boto3 callers give them and its answers hold them."""
    limits = shape.metadata
    match shape.type_name:
        case "structure":
            members = {name: values(member, depth + 1) for name, member in shape.members.items()}
            required = {name: members.pop(name) for name in shape.required_members}
            return st.fixed_dictionaries(required, optional=members)
        case "list":
            low = limits.get("min", 0)
            return st.lists(
                values(shape.member, depth + 1), min_size=low, max_size=max(low, min(2, limits.get("max", 2)))
            )
        case "map":
            return st.dictionaries(values(shape.key), values(shape.value), max_size=2)
        case "string":
            return strings(shape)
        case "boolean":
            return st.booleans()
        case "float":
            return st.floats(limits.get("min", -1e9), limits.get("max", 1e9))
        case "integer":
            return st.integers(limits.get("min", -(2**31)), limits.get("max", 2**31 - 1))
        case "long":
            return st.integers(limits.get("min", -(2**63)), limits.get("max", 2**63 - 1))
        case "blob":
            return st.binary(min_size=limits.get("min", 0), max_size=100)
        case "timestamp":
            return st.integers(0, 2**32 * 1000).map(lambda ms: datetime.fromtimestamp(ms / 1000, UTC))
    raise AssertionError(shape.type_name)


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
