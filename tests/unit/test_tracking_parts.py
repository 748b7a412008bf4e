"""Motion, assignment and appearance, of which tracks are made."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from inference import appearance
from inference.models.object_detector import CLASSES, Objects
from inference.pipelines import persons
from inference.types import Pixels
from inference.video import motion
from inference.video.assignment import assigned

WALKER = np.array([100.0, 200.0, 40.0, 100.0])
"""Centre x, centre y, width, height."""


def walking(looks: int, seconds: float, velocity: float) -> motion.Motion:
    there = motion.started(WALKER)
    for n in range(1, looks):
        seen = WALKER + np.array([velocity * seconds * n, 0, 0, 0])
        there = motion.corrected(motion.predicted(there, seconds), seen)
    return there


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.5])
@pytest.mark.parametrize("velocity", [0.0, 80.0, -150.0])
def test_a_steady_walker_is_expected_where_the_next_step_leads(seconds: float, velocity: float) -> None:
    next_box = motion.predicted(walking(8, seconds, velocity), seconds).box
    expected = WALKER + np.array([velocity * seconds * 8, 0, 0, 0])
    assert np.abs(next_box - expected).max() < 0.05 * WALKER[3]


def test_the_longer_nobody_was_seen_the_less_is_known() -> None:
    there = walking(5, 0.2, 80.0)
    spreads = [motion.predicted(there, seconds).covariance[:, 0, 0] for seconds in (0.2, 0.4, 1.0, 2.0)]
    assert all((later > sooner).all() for sooner, later in pairwise(spreads))


def test_a_measurement_makes_the_place_surer() -> None:
    before = motion.predicted(walking(5, 0.2, 80.0), 0.2)
    after = motion.corrected(before, before.box)
    assert (after.covariance[:, 0, 0] < before.covariance[:, 0, 0]).all()
    assert np.allclose(after.box, before.box)


def test_boxes_that_do_not_touch_overlap_when_they_are_given_room() -> None:
    boxes = np.array([[0.0, 0.0, 10.0, 10.0]])
    others = np.array(
        [[11.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 10.0, 10.0], [90.0, 0.0, 10.0, 10.0]]
    )
    assert motion.overlaps(boxes, others, 0.0)[0] == pytest.approx([0.0, 1.0, 1 / 3, 0.0])
    assert motion.overlaps(boxes, others, 0.3)[0] == pytest.approx([5 / 27, 1.0, 11 / 21, 0.0])
    assert motion.overlaps(boxes, np.zeros((0, 4)), 0.3).shape == (1, 0)


@given(
    arrays(np.float64, st.tuples(st.integers(0, 4), st.integers(0, 4)), elements=st.integers(0, 20)), st.integers(1, 20)
)
def test_pairs_cost_the_least_that_is_possible(costs: np.ndarray, most: int) -> None:
    """Against all ways to pair, where leaving a row or a column alone costs half of the most."""
    pairs = assigned(costs, most)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
    assert all(costs[row, column] <= most for row, column in pairs)

    def total(chosen: list[tuple[int, int]]) -> float:
        return sum(costs[pair] for pair in chosen) + most / 2 * (sum(costs.shape) - 2 * len(chosen))

    rows, columns = costs.shape
    slots = [*range(columns), *[None] * rows]
    ways = {
        tuple((row, column) for row, column in enumerate(way) if column is not None)
        for way in permutations(slots, rows)
    }
    assert total(pairs) == pytest.approx(min(total(list(way)) for way in ways))


def test_what_is_out_of_the_question_is_no_pair() -> None:
    assert assigned(np.array([[np.inf, 3.0], [np.inf, 1.0]]), 10.0) == [(1, 1)]
    assert assigned(np.full((2, 2), np.inf), 10.0) == []


def dressed(top: tuple[int, int, int], trousers: tuple[int, int, int]) -> Pixels:
    picture = np.zeros((100, 40, 3), np.uint8)
    picture[:50], picture[50:] = top, trousers
    return picture


def likeness(one: Pixels, other: Pixels) -> float:
    box = np.array([[0.0, 0.0, 40.0, 100.0]])
    a, b = (appearance.vector(appearance.of_boxes(picture, box)[0]) for picture in (one, other))
    return float(a @ b)


RED, BLUE, GREEN, GREY = (200, 30, 30), (30, 30, 200), (30, 160, 40), (128, 128, 128)


def test_people_are_told_apart_by_what_they_wear_above_and_below() -> None:
    assert likeness(dressed(RED, BLUE), dressed(RED, BLUE)) == pytest.approx(1.0)
    assert likeness(dressed(RED, BLUE), dressed(GREEN, GREY)) == pytest.approx(0.0)
    assert 0.5 < likeness(dressed(RED, BLUE), dressed(RED, GREEN)) < 0.8
    assert likeness(dressed(RED, BLUE), dressed(BLUE, RED)) == pytest.approx(0.0)


@pytest.mark.parametrize("box", [(-30, -30, 60, 60), (90, 90, 60, 60), (0, 0, 0.4, 0.2), (50, 50, 200, 1)])
def test_boxes_may_leave_the_picture_or_be_tiny(box: tuple[float, ...]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    (seen,) = appearance.of_boxes(picture, np.array([box], np.float64))
    assert np.linalg.norm(appearance.vector(seen)) == pytest.approx(1.0)


@pytest.mark.parametrize(("width", "height"), [(768, 576), (1080, 1920), (641, 359), (100, 100)])
def test_halves_lie_in_the_picture_and_cover_it(width: int, height: int) -> None:
    covered = np.zeros((height, width), int)
    for left, top, wide, high in persons.halves(width, height):
        assert left >= 0 and top >= 0 and left + wide <= width and top + high <= height
        covered[top : top + high, left : left + wide] += 1
    assert covered.min() == 1 and covered.max() == 2


@pytest.mark.parametrize(
    ("box", "score", "name", "looked_at"),
    [
        ((100, 300, 40, 90), 0.9, "person", [True, False]),
        ((380, 300, 40, 90), 0.9, "person", [True, True]),
        ((700, 300, 40, 90), 0.11, "person", [False, True]),
        ((100, 300, 40, 90), 0.09, "person", [False, False]),
        ((100, 100, 150, 400), 0.51, "person", [False, False]),
        ((100, 100, 150, 400), 0.49, "person", [True, False]),
        ((250, 100, 350, 400), 0.49, "person", [False, False]),
        ((100, 300, 40, 90), 0.9, "dog", [False, False]),
    ],
)
def test_halves_are_looked_at_where_they_may_show_somebody_better(
    box: tuple[int, ...], score: float, name: str, looked_at: list[bool]
) -> None:
    width, height = 800, 600
    boxes = (np.array([box]) / [width, height, width, height]).astype(np.float32)
    whole = Objects(boxes, np.array([score], np.float32), np.array([CLASSES.index(name)]))
    tiles = persons.halves(width, height)
    assert [persons.is_worth_a_look(tile, whole, width, height) for tile in tiles] == looked_at
