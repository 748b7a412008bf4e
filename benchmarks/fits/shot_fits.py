"""Fits the weights of hard cuts (inference/video/shots.py) and soft changes (inference/video/dissolves.py).

On programmes composed of scikit-image's pictures and made-up ones, with flashes, pans and other hard cases; neither our
own pictures nor any labelled clip is looked at. Prints the weights; nothing is written.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from benchmarks.inputs import composed
from benchmarks.inputs.programmes import Change
from inference.video import dissolves, shots

INSIDE, COVERED = 0.5, 0.25
"""Shares of a found soft change that lie in a true one, and of the true one that it covers, for it to be right."""
PENALTY = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits.shot_fits", description=__doc__)
    parser.parse_args()
    hard: list[tuple[NDArray[np.float32], NDArray[np.bool_]]] = []
    soft: list[tuple[tuple[float, ...], bool]] = []
    with tempfile.TemporaryDirectory() as folder:
        every = composed.compose(composed.FITTED, composed.library_pictures(), Path(folder))
        for one in tqdm(every, total=len(composed.FITTED), file=sys.stderr):
            features = composed.features_of(one.path)
            cuts = {change.first - 1 for change in one.programme.changes if change.first == change.end}
            steps = shots.evidence(features)
            hard.append((steps, np.isin(np.arange(len(steps)), list(cuts))))
            for found in dissolves.soft_changes(features):
                true = any(is_right(found.first, found.end, change) for change in one.programme.changes)
                soft.append((dissolves.evidence(features, found), true))
    print("hard cuts", fit(np.concatenate([x for x, _ in hard]), np.concatenate([y for _, y in hard])).round(2))
    print("soft changes", fit(np.array([x for x, _ in soft]), np.array([y for _, y in soft])).round(2))
    return 0


def is_right(first: int, end: int, change: Change) -> bool:
    """Whether a found soft change is a true one, or one half of it: a fade through black has two."""
    shared = min(end, change.end) - max(first, change.first)
    return shared >= INSIDE * (end - first) and shared >= COVERED * (change.end - change.first) and shared > 0


def fit(measures: NDArray[np.floating], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weights of 1 and each measure in a logistic curve, by Newton's method. measures: [N, D]; truth: [N]."""
    mean, spread = measures.mean(0), measures.std(0)
    design = np.column_stack([np.ones(len(measures)), (measures - mean) / spread]).astype(np.float64)
    penalty = np.diag([0.0] + [2 * PENALTY] * measures.shape[1])
    weights = np.zeros(design.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        slope = design.T @ (likely - truth) + penalty @ weights
        curve = (design * (likely * (1 - likely))[:, None]).T @ design + penalty
        weights -= np.linalg.solve(curve + 1e-9 * np.eye(len(curve)), slope)
    scaled = weights[1:] / spread
    return np.concatenate([[weights[0] - scaled @ mean], scaled])


if __name__ == "__main__":
    sys.exit(main())
