"""The fit of a calibration, on scores whose distribution is known."""

import numpy as np
import pytest

from benchmarks.fits import calibration
from inference import similarity


def _impostors(seed: int, count: int = 400_000) -> np.ndarray:
    return np.sort(np.random.default_rng(seed).normal(0.08, 0.09, count))[::-1]


@pytest.mark.parametrize(("threshold", "rate", "room"), [(80, 1e-3, 1.2), (95, 1e-4, 1.6), (99, 1e-5, 3)])
def test_a_fitted_curve_has_its_false_match_rates_on_other_pairs(threshold: float, rate: float, room: float) -> None:
    curve = calibration.fit(_impostors(1))
    passed = (_impostors(2, 4_000_000) >= curve.down(threshold)).mean()
    assert rate / room < passed < rate * room


def test_typical_impostors_stay_under_20_and_the_ends_are_fixed() -> None:
    curve = calibration.fit(_impostors(1))
    assert (np.interp(_impostors(2), curve.raw, curve.calibrated) < 20).mean() > 0.9
    assert (curve.up(-1.0), curve.up(1.0)) == (0, 100)
    assert list(curve.raw) == sorted(set(curve.raw)) and list(curve.calibrated) == sorted(set(curve.calibrated))


@pytest.mark.parametrize("shape", [-0.2, 0.1, 0.3])
def test_the_tail_of_a_generalised_pareto_distribution_is_found(shape: float) -> None:
    rng = np.random.default_rng(3)
    count = 2_000_000
    beyond = 0.3 + 0.03 / shape * (rng.uniform(size=round(calibration.TAIL_RATE * count)) ** -shape - 1)
    scores = np.sort(np.concatenate([beyond, rng.uniform(-0.3, 0.3, count - len(beyond))]))[::-1]
    tail = calibration.tail_of(scores)
    assert tail.shape == pytest.approx(shape, abs=0.06) and tail.scale == pytest.approx(0.03, abs=0.002)
    assert tail.cosine_at(1e-5) == pytest.approx(float(scores[round(1e-5 * count)]), abs=0.02)


def test_a_check_counts_pairs_of_two_people_only() -> None:
    towards = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)
    gallery = calibration.Gallery(towards, np.array([0, 0, 1, 2]), ("a", "b", "c", "d"))
    checked = calibration.check(gallery, similarity.Curve((-1.0, 0.55, 1.0), (0.0, 80.0, 100.0)))
    assert (checked["impostor_pairs"], checked["genuine_pairs"]) == (5, 1)
    eighty = checked["thresholds"][0]
    assert (eighty["false_matches"], eighty["fmr"], eighty["tar"]) == (3, 3 / 5, 1.0)
    low, high = eighty["fmr_interval"]
    assert low <= 3 / 5 <= high
    assert calibration.highest_impostors(gallery, 1) == [(pytest.approx(0.8), "c", "d")]
