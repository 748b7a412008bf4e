"""One request and answer for each operation, round trip: botocore to us and back."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from botocore.parsers import JSONParser
from botocore.serialize import create_serializer

from api import protocol, validation
from api.model import OPERATIONS, SERVICE

EXAMPLES = {
    path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent.parent / "examples").glob("*.json")
}


def test_there_is_one_for_each_operation() -> None:
    assert EXAMPLES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_request_is_read_as_botocore_meant_it(name: str) -> None:
    operation, wire = OPERATIONS[name], EXAMPLES[name]["request"]
    parsed = protocol.parse(operation, protocol.load(json.dumps(wire).encode()))
    validation.check(operation, parsed)
    serializer = create_serializer("json", include_validation=True)
    sent = serializer.serialize_to_request(parsed, SERVICE.operation_model(name))
    assert json.loads(sent["body"]) == wire


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_the_answer_is_written_as_botocore_reads_it(name: str) -> None:
    operation, wire = OPERATIONS[name], EXAMPLES[name]["response"]
    answer = _typed(operation.output_shape, wire)
    assert validation.check_output(name, answer) == []
    body = protocol.serialise(operation, answer)
    assert json.loads(body) == wire
    read = JSONParser().parse({"status_code": 200, "headers": {}, "body": body}, operation.output_shape)
    assert read == JSONParser().parse(
        {"status_code": 200, "headers": {}, "body": json.dumps(wire).encode()}, operation.output_shape
    )


def _typed(shape: Any, value: Any) -> Any:
    """The answer as a handler gives it: blobs as bytes."""
    if shape.type_name == "structure":
        return {name: _typed(shape.members[name], member) for name, member in value.items()}
    if shape.type_name == "list":
        return [_typed(shape.member, member) for member in value]
    if shape.type_name == "map":
        return {key: _typed(shape.value, member) for key, member in value.items()}
    return base64.b64decode(value) if shape.type_name == "blob" else value
