"""Figures of labelled sets: known values, weights that stand for repeated things, and intervals that hold the truth."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.accuracy.intervals import (
    Draws,
    Figure,
    Found,
    Interval,
    Pairs,
    accepted_at,
    difference,
    interval,
    is_told_apart,
    mean_average_precision,
    roc_area,
    share_of_pairs,
    shares,
)
from benchmarks.accuracy.verification import judge

DRAWS = Draws(1000, 0.95, 7)


def share(right: list[bool], units: list[str] | None = None, measure: str = "right") -> Figure:
    (figure,) = shares(units or [str(n) for n in range(len(right))], [{measure: [(one, 1)]} for one in right])
    return figure


def test_the_interval_of_a_share_is_near_the_normal_one() -> None:
    found = interval(share([True] * 160 + [False] * 40), DRAWS)
    half = 1.96 * math.sqrt(0.8 * 0.2 / 200)
    assert found.value == pytest.approx(0.8)
    assert found.low == pytest.approx(0.8 - half, abs=0.01) and found.high == pytest.approx(0.8 + half, abs=0.01)
    assert interval(share([True] * 160 + [False] * 40), DRAWS) == found


@pytest.mark.parametrize("units", [1, 10, 300])
def test_where_all_are_right_the_interval_is_the_exact_one(units: int) -> None:
    all_right, all_wrong = interval(share([True] * units), DRAWS), interval(share([False] * units), DRAWS)
    assert all_right.high == 1 and all_right.low == pytest.approx(0.025 ** (1 / units))
    assert all_wrong.low == 0 and all_wrong.high == pytest.approx(1 - 0.025 ** (1 / units))


def test_things_of_one_unit_are_drawn_together() -> None:
    right = [True] * 160 + [False] * 40
    clustered = interval(share(right, [str(n // 20) for n in range(200)]), DRAWS)
    alone = interval(share(right), DRAWS)
    assert clustered.high - clustered.low > 2 * (alone.high - alone.low)


def test_a_measure_without_anything_to_judge_is_left_out() -> None:
    assert shares(["a", "b"], [{}, {"balanced": [(1, 1), (0, 0)]}]) == []


def test_a_balanced_accuracy_is_the_mean_of_both_sides() -> None:
    counts = [{"balanced": [(right and truth, truth), (right and not truth, not truth)]}
              for truth, right in [(True, True), (True, False), (False, True), (False, True)]]  # fmt: skip
    (figure,) = shares(["a", "b", "c", "d"], counts)
    assert figure.value == 0.75 and figure.n == 4


@pytest.mark.parametrize("size", [25, 100])
def test_intervals_of_clustered_shares_hold_the_truth_about_as_often_as_they_say(size: int) -> None:
    """People with a skill of their own, several pictures each."""
    rng, held = np.random.default_rng(1), []
    for trial in range(300):
        skills, pictures = rng.beta(7, 3, size), rng.integers(1, 6, size)
        counts = [{"right": [(float(rng.binomial(n, skill)), float(n))]}
                  for skill, n in zip(skills, pictures, strict=True)]  # fmt: skip
        (figure,) = shares([str(n) for n in range(size)], counts)
        found = interval(figure, Draws(400, 0.95, trial))
        held.append(found.low <= 0.7 <= found.high)
    assert 0.90 <= np.mean(held) <= 0.985


def test_intervals_of_pairs_of_two_people_are_not_too_narrow() -> None:
    rng, held = np.random.default_rng(2), []
    one, other = np.triu_indices(30, 1)
    for trial in range(200):
        # pairs of people who look alike to many are wrong more often; half of all pairs are, in truth
        likes = rng.normal(size=30)
        right = likes[one] + likes[other] + rng.normal(size=len(one)) > 0
        pairs = Pairs(30, np.zeros(len(one)), one, other)
        figure = Figure("right", len(one), 30, right, share_of_pairs(pairs, right), 30)
        found = interval(figure, Draws(400, 0.95, trial))
        held.append(found.low <= 0.5 <= found.high)
    assert np.mean(held) >= 0.92


def pairs_of(likeness: list[float], same: list[bool]) -> Pairs:
    """Every pair of people of its own."""
    ones = np.arange(len(same)) * 2
    return Pairs(2 * len(same), np.array(likeness), ones, np.where(same, ones, ones + 1))


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_the_roc_area_is_the_share_of_pairs_in_the_right_order(listed: list[tuple[int, bool]]) -> None:
    genuine = [score for score, same in listed if same]
    impostor = [score for score, same in listed if not same]
    pairs = pairs_of([float(score) for score, _ in listed], [same for _, same in listed])
    area = roc_area(pairs)(np.ones((1, pairs.people)))[0]
    if not genuine or not impostor:
        assert math.isnan(area)
    else:
        won = sum((a > b) + (a == b) / 2 for a in genuine for b in impostor)
        assert area == pytest.approx(won / len(genuine) / len(impostor))


@given(st.lists(st.integers(0, 3), min_size=8, max_size=8))
def test_a_weight_stands_for_pairs_that_are_there_several_times(times: list[int]) -> None:
    likeness = [0.1, 0.5, 0.5, 0.9, 0.2, 0.6, 0.8, 0.3]
    same = [False, True, False, True, False, True, True, False]
    pairs = pairs_of(likeness, same)
    places = np.repeat(np.arange(8), times)
    repeated = pairs_of([likeness[n] for n in places], [same[n] for n in places])
    # the second person of a pair of two is drawn once
    weights = np.ones((1, pairs.people))
    weights[0, ::2] = times
    once = np.ones((1, repeated.people))
    assert np.allclose(roc_area(pairs)(weights), roc_area(repeated)(once), equal_nan=True)
    for rate in (0.25, 0.5):
        found = accepted_at(pairs.only(pairs.same), pairs.only(~pairs.same), rate)(weights)
        wanted = accepted_at(repeated.only(repeated.same), repeated.only(~repeated.same), rate)(once)
        assert np.allclose(found, wanted, equal_nan=True)


def test_accepts_at_a_rate_are_those_of_the_verification_benchmark() -> None:
    rng = np.random.default_rng(3)
    people = np.repeat(np.arange(60), 2)
    vectors = np.repeat(rng.normal(size=(60, 8)), 2, axis=0) + rng.normal(size=(120, 8)) * 0.8
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores, names = vectors @ vectors.T, [str(n) for n in range(120)]
    labelled = [{"a": str(n), "b": str(n + 1), "same": n % 2 == 0} for n in range(119)]
    points = {point["far"]: point["tar"] for point in judge(scores, names, people, labelled)["operating_points"]}
    one, other = np.triu_indices(120, 1)
    pairs = Pairs(60, scores[one, other], people[one], people[other])
    for rate in (1e-2, 1e-3):
        statistic = accepted_at(pairs.only(pairs.same), pairs.only(~pairs.same), rate)
        assert statistic(np.ones((1, 60)))[0] == pytest.approx(points[rate])
        assert 0 < points[rate] < 1


def test_average_precision_of_a_known_order() -> None:
    """Right, wrong, right, of 4 boxes: precision 1 at recall 1/4, 2/3 at 2/4, then nothing: (1 + 2/3) / 4."""
    found = [Found(0, 0, 99.0, True), Found(1, 0, 80.0, False), Found(1, 0, 70.0, True), Found(0, 1, 90.0, True)]
    labelled = np.array([[2.0, 1.0], [2.0, 0.0]])
    statistic = mean_average_precision(found, labelled)
    assert statistic(np.ones((1, 2)))[0] == pytest.approx(((1 + 2 / 3) / 4 + 1) / 2)
    # only the second picture: wrong before right, and no box of the second kind
    assert statistic(np.array([[0.0, 1.0]]))[0] == pytest.approx(1 / 2 / 2)


def test_a_difference_on_the_same_pictures_is_told_more_narrowly_than_apart() -> None:
    rng = np.random.default_rng(4)
    easy = rng.random(400)
    one, other = share(list(easy < 0.8)), share(list(easy < 0.75))
    found = difference(one, other, DRAWS)
    apart = interval(one, DRAWS).low - interval(other, DRAWS).high
    assert found.value == pytest.approx(one.value - other.value)
    assert found.low > 0 > apart and is_told_apart(one, other, found)
    same = difference(one, one, DRAWS)
    assert same == Interval(0, 0, 0) and not is_told_apart(one, one, same)


def test_five_pictures_are_too_few_to_tell_apart_and_other_pictures_cannot_be_compared() -> None:
    for different, told in ((5, False), (9, True)):
        one, other = share([True] * 100), share([True] * (100 - different) + [False] * different)
        found = difference(one, other, DRAWS)
        assert found.low > 0 and is_told_apart(one, other, found) is told
    with pytest.raises(ValueError, match="not measured on the same things"):
        difference(share([True] * 4), share([True] * 5), DRAWS)


def test_the_difference_of_two_equal_ones_is_told_apart_seldom() -> None:
    rng, told = np.random.default_rng(5), 0
    for trial in range(200):
        one, other = (share(list(rng.random(100) < 0.8)) for _ in range(2))
        found = difference(one, other, Draws(400, 0.95, trial))
        told += is_told_apart(one, other, found)
    assert told <= 20
