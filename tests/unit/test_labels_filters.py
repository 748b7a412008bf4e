"""The filters of DetectLabels on labels that nobody had to find."""

from typing import Any

import pytest

from api.operations.labels import label_filter
from inference.label_filters import select
from inference.taxonomy import labels as taxonomy
from inference.types import Label

NAMES = ("Dog", "Animal", "Car", "Vehicle", "Person", "Adult")
BY_CATEGORY = ["Animals and Pets"]


def _label(name: str) -> Label:
    entry = taxonomy.labels()[name]
    return Label(name, 90.0, entry.parents, entry.aliases, entry.category)


@pytest.mark.parametrize(
    ("filters", "left"),
    [
        ({}, NAMES),
        ({"LabelInclusionFilters": ["Dog", "Person"]}, ("Dog", "Person")),
        ({"LabelCategoryInclusionFilters": BY_CATEGORY}, ("Dog", "Animal")),
        ({"LabelInclusionFilters": ["Car"], "LabelCategoryInclusionFilters": BY_CATEGORY}, ("Dog", "Animal", "Car")),
        ({"LabelExclusionFilters": ["Dog"]}, ("Animal", "Car", "Vehicle", "Person", "Adult")),
        ({"LabelCategoryExclusionFilters": BY_CATEGORY}, ("Car", "Vehicle", "Person", "Adult")),
        ({"LabelInclusionFilters": ["Dog", "Car"], "LabelExclusionFilters": ["Dog"]}, ("Car",)),
        ({"LabelInclusionFilters": ["Dog"], "LabelCategoryExclusionFilters": BY_CATEGORY}, ()),
        ({"LabelCategoryInclusionFilters": BY_CATEGORY, "LabelExclusionFilters": ["Dog"]}, ("Animal",)),
        ({"LabelInclusionFilters": ["dog"]}, ()),
        ({"LabelInclusionFilters": ["Human"]}, ()),
        ({"LabelInclusionFilters": ["No such label"]}, ()),
        ({"LabelExclusionFilters": ["No such label", ""]}, NAMES),
        ({"LabelInclusionFilters": [], "LabelCategoryInclusionFilters": []}, NAMES),
    ],
)
def test_what_passes(filters: dict[str, Any], left: tuple[str, ...]) -> None:
    passed = select([_label(name) for name in NAMES], label_filter(filters))
    assert tuple(label.name for label in passed) == left
    assert all(label == _label(label.name) for label in passed), "parents stay when they are filtered out"
