"""Resource names: what is built is read back and fits the patterns of the service model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api import arns, validation
from api.errors import InvalidParameterException
from storage.tenant import Tenant

TENANT = Tenant("111122223333", "eu-west-1")
NAMES = st.from_regex(r"[a-zA-Z0-9_.\-]{1,255}", fullmatch=True)
TIMES = st.integers(0, 10**14)


def test_forms() -> None:
    prefix = "arn:aws:rekognition:eu-west-1:111122223333:"
    assert arns.collection(TENANT, "staff") == prefix + "collection/staff"
    assert arns.created_collection(TENANT, "staff") == "aws:rekognition:eu-west-1:111122223333:collection/staff"
    assert arns.stream_processor(TENANT, "door") == prefix + "streamprocessor/door"
    assert arns.project(TENANT, "p", 17) == prefix + "project/p/17"
    assert arns.version(TENANT, "p", "v.1", 17) == prefix + "project/p/version/v.1/17"
    assert arns.dataset(TENANT, "p", "train", 17) == prefix + "project/p/dataset/train/17"


@given(NAMES, NAMES, TIMES)
def test_round_trips(name: str, part: str, created: int) -> None:
    assert arns.parse(arns.collection(TENANT, name)) == arns.Arn(TENANT, "collection", name)
    assert arns.parse(arns.created_collection(TENANT, name)) == arns.Arn(TENANT, "collection", name)
    assert arns.parse(arns.stream_processor(TENANT, name)) == arns.Arn(TENANT, "streamprocessor", name)
    assert arns.parse(arns.project(TENANT, name, created)) == arns.Arn(TENANT, "project", name, None, created)
    assert arns.parse(arns.version(TENANT, name, part, created)) == arns.Arn(TENANT, "version", name, part, created)
    assert arns.parse(arns.dataset(TENANT, name, "test", created)) == arns.Arn(TENANT, "dataset", name, "test", created)


@given(NAMES, NAMES, TIMES)
def test_names_built_here_are_valid_members(name: str, part: str, created: int) -> None:
    for shape, arn in (
        ("ProjectArn", arns.project(TENANT, name, created)),
        ("ProjectVersionArn", arns.version(TENANT, name, part, created)),
        ("DatasetArn", arns.dataset(TENANT, name, "train", created)),
        ("StreamProcessorArn", arns.stream_processor(TENANT, name)),
        ("ResourceArn", arns.collection(TENANT, name)),
    ):
        assert validation.violations(shape, arn) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "collection/staff",
        "arn:aws:s3:::bucket",
        "arn:aws:rekognition:eu-west-1:1:collection/staff",
        "arn:aws:rekognition:eu-west-1:111122223333:collection/",
        "arn:aws:rekognition:eu-west-1:111122223333:collection/a b",
        "arn:aws:rekognition:eu-west-1:111122223333:collection/a\n",
        "arn:aws:rekognition:eu-west-1:111122223333:project/p",
        "arn:aws:rekognition:eu-west-1:111122223333:project/p/dataset/dev/1",
        "x arn:aws:rekognition:eu-west-1:111122223333:collection/a",
    ],
)
def test_other_texts(text: str) -> None:
    with pytest.raises(InvalidParameterException):
        arns.parse(text)
