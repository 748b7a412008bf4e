"""From what networks say to labels, with made-up networks and with any names and confidences."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inference import sightings
from inference.models.image_classifier import Classes
from inference.models.object_detector import CLASSES, Objects
from inference.sightings import Sightings
from inference.similarity import Curve
from inference.taxonomy import labels as taxonomy
from inference.types import Box, Instance

AS_IT_IS = Curve((0.0, 1.0), (0.0, 100.0))
NAMES = sorted(taxonomy.labels())
SAID = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.floats(0, 100, allow_nan=False), max_size=30).map(Sightings), max_size=3
)


def _objects(*rows: tuple[str, float, tuple[float, float, float, float]]) -> Objects:
    return Objects(
        np.array([box for _, _, box in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.array([CLASSES.index(name) for name, _, _ in rows], int),
    )


def _classes(**probabilities: float) -> Classes:
    """Classes by number as n207."""
    logits = np.full(1000, -30.0, np.float32)
    for number, probability in probabilities.items():
        logits[int(number[1:])] = np.log(probability)
    return Classes(logits, np.zeros(1280, np.float32))


@given(SAID, st.floats(0, 100))
def test_labels_are_closed_sorted_and_each_once(said: list[Sightings], least: float) -> None:
    labels = sightings.to_labels(said, least)
    by_name = {label.name: label.confidence for label in labels}
    assert len(by_name) == len(labels)
    assert [(-label.confidence, label.name) for label in labels] == sorted((-c, n) for n, c in by_name.items())
    for label in labels:
        assert label.confidence >= least
        assert all(by_name[parent] >= label.confidence for parent in label.parents)
    named = {name for one in said for name, confidence in one.confidences.items() if confidence >= least}
    assert named <= by_name.keys() and by_name.keys() == taxonomy.closure(tuple(sorted(named)))


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 10))
def test_an_ancestor_is_at_least_as_likely_as_its_descendants(seed: int, spread: float) -> None:
    logits = np.random.default_rng(seed).normal(0, spread, 1000).astype(np.float32)
    said = sightings.of_classes(Classes(logits, np.zeros(1280, np.float32)), AS_IT_IS).confidences
    for name, confidence in said.items():
        assert all(said[parent] >= confidence - 1e-9 for parent in taxonomy.labels()[name].parents)


def test_probabilities_are_summed_up_the_hierarchy() -> None:
    said = sightings.of_classes(_classes(n207=0.4, n208=0.3, n281=0.2, n404=0.1), AS_IT_IS).confidences
    shown = {name: round(value) for name, value in said.items() if value > 1}
    assert shown == {
        "Golden Retriever": 40, "Labrador Retriever": 30, "Dog": 70, "Canine": 70, "Cat": 20, "Pet": 90, "Mammal": 90,
        "Animal": 90, "Airliner": 10, "Airplane": 10, "Aircraft": 10, "Vehicle": 10, "Transportation": 10,
    }  # fmt: skip


def test_a_label_is_as_sure_as_its_surest_box_and_ancestors_have_no_boxes() -> None:
    rows = [("dog", 0.9, (0, 0, 0.4, 0.4)), ("skis", 0.8, (0, 0, 1, 1)), ("dog", 0.6, (0.5, 0, 0.4, 0.4))]
    labels = sightings.to_labels([sightings.of_objects(_objects(*rows), AS_IT_IS)], 55)
    by_name = {label.name: label for label in labels}
    assert [round(one.confidence) for one in by_name["Dog"].instances] == [90, 60]
    assert by_name["Dog"].instances[1].box.left == 0.5
    assert by_name["Skiing"].instances == () and round(by_name["Skiing"].confidence) == 80
    assert all(by_name[parent].instances == () for parent in by_name["Dog"].parents)
    assert by_name["Dog"].category == "Animals and Pets"


def test_boxes_that_are_less_sure_than_asked_are_left_out() -> None:
    rows = [("dog", 0.9, (0, 0, 0.4, 0.4)), ("dog", 0.6, (0.5, 0, 0.4, 0.4))]
    labels = sightings.to_labels([sightings.of_objects(_objects(*rows), AS_IT_IS)], 70)
    assert [len(label.instances) for label in labels if label.name == "Dog"] == [1]


def test_the_surest_network_counts_and_the_first_that_has_boxes_gives_them() -> None:
    box = Box(0.1, 0.1, 0.2, 0.2)
    boxed = Sightings({"Dog": 60.0}, {"Dog": (Instance(box, 60.0),)})
    labels = {label.name: label for label in sightings.to_labels([Sightings({"Pug": 80.0}), boxed], 55)}
    assert labels["Dog"].confidence == labels["Pug"].confidence == 80.0
    assert labels["Dog"].instances == (Instance(box, 60.0),) and labels["Pug"].instances == ()


def test_a_name_that_is_no_label_is_an_error() -> None:
    with pytest.raises(KeyError):
        sightings.to_labels([Sightings({"Human": 99.0})], 55)


def test_a_thing_seen_twice_is_one_and_things_beside_each_other_stay() -> None:
    large, nearly, beside = (0.1, 0.1, 0.6, 0.8), (0.12, 0.1, 0.58, 0.8), (0.6, 0.1, 0.3, 0.8)
    found = _objects(("person", 0.9, large), ("person", 0.7, nearly), ("dog", 0.6, nearly), ("person", 0.5, beside))
    kept = sightings.distinct(found)
    assert kept.scores.tolist() == pytest.approx([0.9, 0.6, 0.5])
    assert sightings.distinct(kept).scores.tolist() == kept.scores.tolist()


@given(st.lists(st.tuples(*[st.floats(0.01, 0.5)] * 4), max_size=12))
def test_no_two_boxes_of_a_class_overlap_much_afterwards(boxes: list[tuple[float, float, float, float]]) -> None:
    found = _objects(*(("cat", 1 - n / 100, box) for n, box in enumerate(boxes)))
    kept = sightings.distinct(found).boxes
    assert len(kept) or not boxes
    for one, other in itertools.combinations(kept, 2):
        assert sightings._overlaps(one, other[None])[0] <= sightings.MOST_OVERLAP + 1e-6
