"""Labels and unwelcome content of stored videos through boto3."""

from typing import Any

import pytest
from films import Films, stretches, times

LOOKS = list(range(0, 3000, 200))
MODERATION_LOOKS = [0, 1000, 2000]
BY_NAME = {"SortBy": "NAME"}
SEGMENTS = {"AggregateBy": "SEGMENTS"}
EVERYTHING = {"MinConfidence": 0}


@pytest.fixture(scope="module")
def jobs(films: Films, programme: str) -> dict[str, str]:
    """Job ids by name."""
    women = {"GeneralLabels": {"LabelInclusionFilters": ["Woman", "Person"], "LabelExclusionFilters": ["Person"]}}
    people = {"GeneralLabels": {"LabelCategoryInclusionFilters": ["Person Description"]}}
    return films.side_by_side(
        {
            "labels": ("LabelDetection", programme, {"Features": ["GENERAL_LABELS"]}),
            "sure": ("LabelDetection", programme, {"MinConfidence": 90, "Settings": {"GeneralLabels": {}}}),
            "women": ("LabelDetection", programme, {"Settings": women}),
            "people": ("LabelDetection", programme, {"Settings": people}),
            "moderation": ("ContentModeration", programme, {}),
            "everything": ("ContentModeration", programme, EVERYTHING),
        }
    )


def _labels(films: Films, job_id: str, **parameters: Any) -> list[dict[str, Any]]:
    return [one for page in films.pages("LabelDetection", job_id, **parameters) for one in page["Labels"]]


def _moderation(films: Films, job_id: str, **parameters: Any) -> list[dict[str, Any]]:
    return [one for page in films.pages("ContentModeration", job_id, **parameters) for one in page["ModerationLabels"]]


def test_who_is_seen_and_when(films: Films, jobs: dict[str, str]) -> None:
    labels = _labels(films, jobs["labels"])
    assert times(labels) == sorted(times(labels)) and set(times(labels)) <= set(LOOKS)
    at = {look: {one["Label"]["Name"]: one["Label"] for one in labels if one["Timestamp"] == look} for look in LOOKS}
    with_people = [look for look in LOOKS if "Person" in at[look]]
    assert with_people == [0, 200, 400, 600, 800, 2000, 2200, 2400, 2600, 2800]
    assert sum(len(names) for names in at.values()) == len(labels), "a label is seen once at a time"
    woman = at[0]["Woman"]
    assert woman["Parents"] == [{"Name": "Adult"}, {"Name": "Female"}, {"Name": "Person"}]
    assert woman["Categories"] == [{"Name": "Person Description"}]
    (box,) = [one["BoundingBox"] for one in woman["Instances"]]
    assert 0.1 < box["Left"] + box["Width"] / 2 < 0.7 and box["Height"] > 0.5
    assert min(one["Label"]["Confidence"] for one in labels) >= 50


def test_labels_by_name(films: Films, jobs: dict[str, str]) -> None:
    by_time, by_name = _labels(films, jobs["labels"]), _labels(films, jobs["labels"], **BY_NAME)
    order = [(one["Label"]["Name"], -one["Label"]["Confidence"]) for one in by_name]
    assert order == sorted(order)
    assert sorted(map(repr, by_name)) == sorted(map(repr, by_time))


def test_for_how_long_labels_are_seen(films: Films, jobs: dict[str, str]) -> None:
    moments, segments = _labels(films, jobs["labels"]), _labels(films, jobs["labels"], **SEGMENTS)
    expected = stretches(
        ((one["Timestamp"], one["Label"]["Name"], one["Label"]["Confidence"]) for one in moments), LOOKS
    )
    found = [_stretch(one, one["Label"]) for one in segments]
    assert set(found) == expected and len(found) == len(expected)
    assert {(first, last) for name, first, last, _ in found if name == "Person"} == {(0, 800), (2000, 2800)}
    starts = [(one["Timestamp"], -one["Label"]["Confidence"]) for one in segments]
    assert starts == sorted(starts)
    assert all("Instances" not in one["Label"] for one in segments)
    by_name = _labels(films, jobs["labels"], **SEGMENTS, **BY_NAME)
    names = [(one["Label"]["Name"], -one["Label"]["Confidence"]) for one in by_name]
    assert names == sorted(names) and sorted(map(repr, by_name)) == sorted(map(repr, segments))


def _stretch(one: dict[str, Any], label: dict[str, Any]) -> tuple[str, int, int, float]:
    assert one["Timestamp"] == one["StartTimestampMillis"]
    assert one["DurationMillis"] == one["EndTimestampMillis"] - one["StartTimestampMillis"]
    return label["Name"], one["StartTimestampMillis"], one["EndTimestampMillis"], label["Confidence"]


def test_filters_and_the_least_confidence(films: Films, jobs: dict[str, str]) -> None:
    labels = _labels(films, jobs["labels"])
    assert _labels(films, jobs["sure"]) == [one for one in _labels(films, jobs["sure"]) if _sure(one)] != []
    assert {(one["Timestamp"], one["Label"]["Name"]) for one in _labels(films, jobs["sure"])} <= {
        (one["Timestamp"], one["Label"]["Name"]) for one in labels if _sure(one)
    }
    assert _labels(films, jobs["women"]) == [one for one in labels if one["Label"]["Name"] == "Woman"]
    assert {one["Label"]["Name"] for one in _labels(films, jobs["women"], **SEGMENTS)} == {"Woman"}
    described = [one for one in labels if one["Label"]["Categories"] == [{"Name": "Person Description"}]]
    assert _labels(films, jobs["people"]) == described


def _sure(one: dict[str, Any]) -> bool:
    return bool(one["Label"]["Confidence"] >= 90)


def test_what_the_answer_says_of_itself(films: Films, jobs: dict[str, str]) -> None:
    defaults = {"SortBy": "TIMESTAMP", "AggregateBy": "TIMESTAMPS"}
    for job, job_id in (("LabelDetection", jobs["labels"]), ("ContentModeration", jobs["moderation"])):
        for asked in ({}, BY_NAME, SEGMENTS, BY_NAME | SEGMENTS):
            answer = films.call(f"Get{job}", JobId=job_id, **asked)
            assert answer["GetRequestMetadata"] == defaults | asked
    assert films.call("GetLabelDetection", JobId=jobs["labels"])["LabelModelVersion"] == "3.0"
    assert films.call("GetContentModeration", JobId=jobs["moderation"])["ModerationModelVersion"] == "7.0"


def test_portraits_are_clean(films: Films, jobs: dict[str, str]) -> None:
    assert _moderation(films, jobs["moderation"]) == []
    assert _moderation(films, jobs["moderation"], **SEGMENTS) == []


def test_moderation_once_a_second_with_all_parents(films: Films, jobs: dict[str, str]) -> None:
    found = _moderation(films, jobs["everything"])
    assert sorted(set(times(found))) == MODERATION_LOOKS and times(found) == sorted(times(found))
    for look in MODERATION_LOOKS:
        labels = [one["ModerationLabel"] for one in found if one["Timestamp"] == look]
        names = {label["Name"] for label in labels}
        assert len(names) == len(labels)
        for label in labels:
            assert (label["ParentName"] == "") == (label["TaxonomyLevel"] == 1)
            assert label["ParentName"] in names | {""}
    assert {kind["Name"] for one in found for kind in one["ContentTypes"]} == {"Illustrated"}


def test_for_how_long_content_is_seen(films: Films, jobs: dict[str, str]) -> None:
    moments = _moderation(films, jobs["everything"])
    segments = _moderation(films, jobs["everything"], **SEGMENTS)
    expected = stretches(
        ((one["Timestamp"], one["ModerationLabel"]["Name"], one["ModerationLabel"]["Confidence"]) for one in moments),
        MODERATION_LOOKS,
    )
    assert {_stretch(one, one["ModerationLabel"]) for one in segments} == expected and len(segments) == len(expected)
    by_name = _moderation(films, jobs["everything"], **BY_NAME)
    order = [(one["ModerationLabel"]["Name"], -one["ModerationLabel"]["Confidence"]) for one in by_name]
    assert order == sorted(order) and len(by_name) == len(moments)
