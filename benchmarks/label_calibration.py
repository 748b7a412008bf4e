"""Fits how the raw scores of the label networks become confidences, and tries the fit on pictures it was not made on.

A score's log odds are stretched and shifted (Platt 1999). Five times a fifth of the pictures is set aside, the rest
fits, and the table shows how right labels of the part set aside are by confidence. The points printed last, fitted on
all pictures, are those of the pack's catalogue. Labels that the judgements do not know are scored too low to be in it.
"""

import argparse
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import label_truth, record
from benchmarks.label_truth import Truth
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
PARTS = 5
RAW = Curve((0.0, 1.0), (0.0, 1.0))
EXAMPLE = "Example: python -m benchmarks.label_calibration ../shared/evaldata"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.label_calibration", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    result = measure(arguments.folder)
    for name, figures in result.items():
        print(name, json.dumps(figures["bands"]))
        print("points =", json.dumps(figures["points"]))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'label_calibration': result})}")
    return 0


def measure(folder: Path) -> dict[str, Any]:
    """For each measure the reliability on held-apart pictures, and the points fitted on all."""
    truths = [truth for name in label_truth.SETS for truth in label_truth.of_set(folder, name)]
    rated = _rate(truths)
    return {measure: _fitted(parts, POINTS[measure]) for measure, parts in rated.items()}


def _rate(truths: list[Truth]) -> dict[str, list[np.ndarray]]:
    """By measure, for each part of the pictures float [N, 2]: raw score of a label, 1 where it is right."""
    settings = Settings.from_environment()
    paths = [
        network_path(settings.models_dir, settings.model_pack, name) for name in ("object_detector", "image_classifier")
    ]
    detector, classifier = object_detector.load(paths[0], "cpu", 1), image_classifier.load(paths[1], "cpu", 1)
    rated: dict[str, list[list[tuple[float, bool]]]] = {measure: [[] for _ in range(PARTS)] for measure in LEAST}
    for n, truth in enumerate(tqdm(truths, file=sys.stderr)):
        image = decode(truth.picture.read_bytes())
        said = {
            "object_score": sightings.of_objects(detector.predict([object_detector.fit(image)])[0], RAW),
            "class_probability": sightings.of_classes(classifier.predict([image_classifier.fit(image)])[0], RAW),
        }
        for measure, one in said.items():
            labels = sightings.to_labels([one], LEAST[measure])
            rated[measure][n % PARTS] += [(label.confidence, label.name in truth.right) for label in labels]
    return {measure: [np.array(part, np.float64) for part in parts] for measure, parts in rated.items()}


def _fitted(parts: list[np.ndarray], points: tuple[float, ...]) -> dict[str, Any]:
    tried = []
    for n, part in enumerate(parts):
        slope, shift = platt(np.concatenate([other for m, other in enumerate(parts) if m != n]))
        tried.append(np.stack([confidence(part[:, 0], slope, shift), part[:, 1]], 1))
    apart = np.concatenate(tried)
    slope, shift = platt(np.concatenate(parts))
    bands = [
        {"from": low, "to": min(high, 100), "all": int(inside.sum()), "right": int(apart[inside, 1].sum())}
        for low, high in itertools.pairwise(BANDS)
        for inside in [(apart[:, 0] >= low) & (apart[:, 0] < high)]
    ]
    line = [[raw, round(float(confidence(np.array(raw), slope, shift)), 2)] for raw in points]
    return {"bands": bands, "slope": slope, "shift": shift, "points": [[0.0, 0.0], *line, [1.0, 100.0]]}


def platt(pairs: np.ndarray, steps: int = 50) -> tuple[float, float]:
    """Slope and shift of the log odds of float [N, 2] (score 0..1, right 0 or 1) with the greatest likelihood."""
    x, right = np.stack([log_odds(pairs[:, 0]), np.ones(len(pairs))], 1), pairs[:, 1]
    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        likely = 1 / (1 + np.exp(-x @ weights))
        curvature = (x * (likely * (1 - likely))[:, None]).T @ x
        weights = weights + np.linalg.solve(curvature + 1e-6 * np.eye(2), x.T @ (right - likely))
    return round(float(weights[0]), 4), round(float(weights[1]), 4)


def confidence(scores: np.ndarray, slope: float, shift: float) -> np.ndarray:
    """0..100."""
    return np.asarray(100 / (1 + np.exp(-(slope * log_odds(scores) + shift))))


def log_odds(scores: np.ndarray) -> np.ndarray:
    inside = np.clip(scores, 1e-4, 1 - 5e-4)
    return np.asarray(np.log(inside / (1 - inside)))


if __name__ == "__main__":
    sys.exit(main())
