"""Hypothesis strategies for values of the service model's shapes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from api import validation

PROJECT = "arn:aws:rekognition:us-east-1:111122223333:project/parts"
# Hypothesis would search long for texts of these patterns and of an allowed length.
ARNS = {
    "ProjectArn": f"{PROJECT}/1690405809285",
    "ProjectVersionArn": f"{PROJECT}/version/v1/1690405809285",
    "ProjectVersionId": f"{PROJECT}/version/v1/1690405809285",
    "DatasetArn": f"{PROJECT}/dataset/train/1690405809285",
}

Known = Mapping[str, st.SearchStrategy[Any]]


NOTHING: Known = {}


def values(shape: Any, known: Known = NOTHING) -> st.SearchStrategy[Any]:
    """Valid values of a botocore shape, as boto3 callers give them and its answers hold them.

    A shape whose name is in `known` has its values from there.
    """
    limits = shape.metadata
    if shape.name in known:
        return known[shape.name]
    match shape.type_name:
        case "structure":
            members = {name: values(member, known) for name, member in shape.members.items()}
            required = {name: members.pop(name) for name in shape.required_members}
            return st.fixed_dictionaries(required, optional=members)
        case "list":
            low = limits.get("min", 0)
            most = max(low, min(2, limits.get("max", 2)))
            return st.lists(values(shape.member, known), min_size=low, max_size=most)
        case "map":
            return st.dictionaries(values(shape.key, known), values(shape.value, known), max_size=2)
        case "string":
            return _strings(shape)
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


def _strings(shape: Any) -> st.SearchStrategy[str]:
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
