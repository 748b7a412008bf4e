"""Moderation: the tree, and what the real networks say of ordinary pictures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.models import body_parts, explicit_classifier, image_classifier
from inference.models.body_parts import BodyParts
from inference.models.explicit_classifier import Explicitness
from inference.models.image_classifier import Classes
from inference.pipelines.moderation import judge
from inference.taxonomy.moderation import TREE

NEUTRAL = Explicitness(drawn=0.0, drawn_explicit=0.0, neutral=1.0, explicit=0.0, suggestive=0.0)
NOTHING = Classes(np.zeros(1000, np.float32), np.zeros(1280, np.float32))
LABELS = st.sampled_from(sorted(TREE.parents))


def test_the_tree_has_the_52_labels_of_the_service() -> None:
    levels = [TREE.level(label) for label in TREE.parents]
    assert [levels.count(level) for level in (1, 2, 3)] == [10, 20, 22]
    assert set(TREE.parents.values()) <= {*TREE.parents, ""}
    assert {*TREE.classes, *TREE.body_parts} <= set(TREE.parents)
    for label, numbers in TREE.classes.items():
        assert all(0 <= number < 1000 for number in numbers) and len(numbers) == len(set(numbers))
        below = [set(TREE.classes[other]) for other in TREE.classes if TREE.parents[other] == label]
        assert set().union(*below) <= set(numbers), "what is below belongs to it"
    assert {name for names in TREE.body_parts.values() for name in names} <= set(body_parts.CLASSES)


@given(st.dictionaries(LABELS, st.floats(0, 100), min_size=1))
def test_an_ancestor_is_as_sure_as_the_surest_below_it(found: dict[str, float]) -> None:
    closed = TREE.closed(found)
    for label, confidence in closed.items():
        below = [closed[other] for other in closed if TREE.parents[other] == label]
        assert confidence == max([*below, found.get(label, 0.0)])
    assert set(closed) == set(found).union(*(TREE.ancestors(label) for label in found))


@pytest.mark.parametrize("curve", TREE.curves)
@given(st.floats(0, 1), st.floats(0, 1))
def test_more_is_surer(curve: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 0 <= TREE.confidence(curve, low) <= TREE.confidence(curve, high) <= 100


def test_bare_skin_without_a_person_needs_more() -> None:
    explicit = Explicitness(drawn=0.0, drawn_explicit=0.0, neutral=0.1, explicit=0.9, suggestive=0.0)
    assert judge(explicit, None, 0.8, NOTHING)["Explicit"] > 90
    assert judge(explicit, None, 0.1, NOTHING)["Explicit"] < 50


def test_classes_of_one_label_add_up() -> None:
    logits = np.full(1000, -20.0, np.float32)
    logits[[763, 764, 413]] = 10.0  # revolver, rifle, assault rifle: a third each
    found = judge(NEUTRAL, None, 0.0, Classes(logits, NOTHING.features))
    assert found["Weapons"] > 98 and found["Gambling"] < 1 and found["Explicit"] == 0


def test_body_parts_speak_for_their_labels_only() -> None:
    scores = np.zeros(18, np.float32)
    scores[body_parts.CLASSES.index("MALE_BREAST_EXPOSED")] = 0.9
    found = judge(NEUTRAL, BodyParts(scores), 0.9, NOTHING)
    assert found["Exposed Male Nipple"] > 95 and found["Exposed Female Nipple"] == 0
    assert "Exposed Male Nipple" not in judge(NEUTRAL, None, 0.9, NOTHING)


def test_the_best_class_of_a_cell_and_the_best_cell_of_a_class_count() -> None:
    cells = np.zeros((22, 3), np.float32)
    cells[4 + 2] = [0.6, 0.1, 0.0]
    cells[4 + 5] = [0.5, 0.7, 0.2]
    scores = body_parts.postprocess(cells).scores
    assert scores[2] == np.float32(0.6) and scores[5] == np.float32(0.7)


def test_views_are_the_whole_and_its_middle() -> None:
    image = np.zeros((100, 300, 3), np.uint8)
    image[:, 100:200] = 200
    whole, middle = explicit_classifier.views(image)
    assert whole.shape == middle.shape == (224, 224, 3)
    assert (middle > 150).mean() > 0.98 and 0.3 < (whole > 150).mean() < 0.36
    assert image_classifier.fit(image).shape == (260, 260, 3)
