"""Fits how the raw scores of the label networks become confidences, and tries the fit on pictures it was not made on.

A score's log odds are stretched and shifted (Platt 1999). Since the surest network counts, each is fitted on the labels
for which it is the surest, in a few rounds. Five times a fifth of the pictures is set aside, the rest fits, and the
table shows how right labels of the part set aside are by confidence. The points printed last, fitted on all pictures,
are those of the pack's catalogue. Labels of a lower score than LEAST were not all judged, and are not in it.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import record
from benchmarks.accuracy import label_truth
from benchmarks.accuracy.label_truth import Truth
from inference import sightings
from inference.images import decode
from inference.models import image_classifier, object_detector
from inference.packs.store import network_path
from inference.similarity import Curve
from openrek.settings import Settings

LEAST = {"object_score": 0.25, "class_probability": 0.12}
"""Raw scores from which on every label was judged."""
POINTS = {
    "object_score": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8, 0.9),
    "class_probability": (0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97),
}
BANDS = (0, 55, 70, 80, 90, 95, 98, 100.1)
PARTS, ROUNDS = 5, 3
RAW = Curve((0.0, 1.0), (0.0, 1.0))
EXAMPLE = "Example: python -m benchmarks.fits.label_calibration ../shared/evaldata"
Lines = list[tuple[float, float]]
"""Slope and shift of each measure's log odds."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fits.label_calibration", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    result = measure(arguments.folder)
    for row in result["bands"]:
        print(f"confidence {row['from']}..{row['to']}: {row['right']} of {row['all']} right")
    for name, points in result["points"].items():
        print(f"{name}: {json.dumps(points)}")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'label_calibration': result})}")
    return 0


def measure(folder: Path) -> dict[str, Any]:
    """The reliability on held-apart pictures, and the points of each measure fitted on all."""
    parts = _rate([truth for name in label_truth.SETS for truth in label_truth.of_set(folder, name)])
    tried = []
    for n, part in enumerate(parts):
        lines = fit(np.concatenate([other for m, other in enumerate(parts) if m != n]))
        tried.append(np.stack([_confidences(part, lines).max(axis=1), part[:, -1]], 1))
    apart = np.concatenate(tried)
    lines = fit(np.concatenate(parts))
    bands = [
        {"from": low, "to": min(high, 100), "all": int(inside.sum()), "right": int(apart[inside, 1].sum())}
        for low, high in itertools.pairwise(BANDS)
        for inside in [(apart[:, 0] >= low) & (apart[:, 0] < high)]
    ]
    points = {
        measure: [[raw, round(float(confidence(np.array(raw), line)), 2)] for raw in POINTS[measure]]
        for measure, line in zip(LEAST, lines, strict=True)
    }
    ends = {measure: [[0.0, 0.0], *inner, [1.0, 100.0]] for measure, inner in points.items()}
    return {"bands": bands, "lines": dict(zip(LEAST, lines, strict=True)), "points": ends}


def _rate(truths: list[Truth]) -> list[np.ndarray]:
    """For each part of the pictures float [N, 3]: a label's score by each measure (0 under LEAST), 1 where right."""
    settings = Settings.from_environment()
    paths = [
        network_path(settings.models_dir, settings.model_pack, name) for name in ("object_detector", "image_classifier")
    ]
    detector, classifier = object_detector.load(paths[0], "cpu", 1), image_classifier.load(paths[1], "cpu", 1)
    parts: list[list[tuple[float, ...]]] = [[] for _ in range(PARTS)]
    for n, truth in enumerate(tqdm(truths, file=sys.stderr)):
        image = decode(truth.picture.read_bytes())
        said = [
            sightings.of_objects(sightings.distinct(detector.predict([object_detector.fit(image)])[0]), RAW),
            sightings.of_classes(classifier.predict([image_classifier.fit(image)])[0], RAW),
        ]
        scores = [
            {label.name: label.confidence for label in sightings.to_labels([one], least)}
            for one, least in zip(said, LEAST.values(), strict=True)
        ]
        for name in set().union(*scores):
            parts[n % PARTS].append((*(some.get(name, 0.0) for some in scores), float(name in truth.right)))
    return [np.array(part) for part in parts]


def fit(rows: np.ndarray) -> Lines:
    """The line of each measure, from float [N, measures + 1]: scores, right or not."""
    scores, right = rows[:, :-1], rows[:, -1]
    mine = scores > 0
    for _ in range(ROUNDS):
        lines = [platt(scores[those, n], right[those]) for n, those in enumerate(mine.T)]
        surest = _confidences(rows, lines).argmax(axis=1)
        mine = surest[:, None] == np.arange(scores.shape[1])
    return lines


def platt(scores: np.ndarray, right: np.ndarray, steps: int = 50) -> tuple[float, float]:
    """Slope and shift of the scores' log odds with the greatest likelihood."""
    x, weights = np.stack([log_odds(scores), np.ones(len(scores))], 1), np.array([1.0, 0.0])
    for _ in range(steps):
        likely = 1 / (1 + np.exp(-x @ weights))
        curvature = (x * (likely * (1 - likely))[:, None]).T @ x
        weights = weights + np.linalg.solve(curvature + 1e-6 * np.eye(2), x.T @ (right - likely))
    return round(float(weights[0]), 4), round(float(weights[1]), 4)


def _confidences(rows: np.ndarray, lines: Lines) -> np.ndarray:
    """Float [N, measures], 0..100; 0 where a measure has no score."""
    each = [confidence(rows[:, n], line) * (rows[:, n] > 0) for n, line in enumerate(lines)]
    return np.stack(each, 1)


def confidence(scores: np.ndarray, line: tuple[float, float]) -> np.ndarray:
    """0..100."""
    slope, shift = line
    return np.asarray(100 / (1 + np.exp(-(slope * log_odds(scores) + shift))))


def log_odds(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, 1e-4, 1 - 5e-4)
    return np.asarray(np.log(inside / (1 - inside)))


if __name__ == "__main__":
    sys.exit(main())
