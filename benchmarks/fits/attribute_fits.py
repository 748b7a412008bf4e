"""Fits the thresholds and confidences of inference/attributes.py to labelled faces, and tells how they do on others.

The networks run in this process, on the sets that benchmarks.accuracy.attributes names and the labels of its
attribute_labels.json. What is fitted is a logistic of a few cues an attribute. *Held out*: fitted on four fifths of the
persons, tried on the fifth, five times over; a person's pictures are never on both sides.
"""

import argparse
import asyncio
import json
import statistics
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from benchmarks import record
from benchmarks.accuracy.labelled_faces import GENDERED, labelled, person
from benchmarks.accuracy.scores import balanced, reliability
from inference import attributes, networks
from inference.attribute_scores import expression
from inference.attributes import Fit, Observed, judgement, log_odds
from inference.gaze import TRUST, Gaze, gaze
from inference.images import decode
from inference.models import emotion
from inference.networks import ModelServerSettings
from inference.pictures import Picture
from inference.pipelines import face_attributes
from inference.pipelines.faces import detect

FOLDS = 5
SHRINKAGE, CUE_SHRINKAGE = 1.0, 5.0
"""Of the weights of cues that were scaled to a spread of one."""
LESS_BALANCED = 0.03
"""Of balanced accuracy, given for thresholds nearer to even odds."""
GAZES = frozenset({"gaze_camera", "gaze_left", "gaze_right", "gaze_up", "gaze_down"})
YAW_DEGREES, PITCH_DEGREES = 12.0, 8.0
"""A gaze within both is into the camera; to be aside, it is beyond."""
EMOTION_BANDS = ((0, 40), (40, 60), (60, 80), (80, 100.1))
EMOTION_STEPS = 1500
EXAMPLE = "Example: python -m benchmarks.fits.attribute_fits ../shared/evaldata --models ~/.openrek/models"


@dataclass(frozen=True)
class Sample:
    """`cues` float64 [N, K], `truth` bool [N], `fold` int [N]: the fold of each one's person."""

    cues: np.ndarray
    truth: np.ndarray
    fold: np.ndarray


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.fits.attribute_fits", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--models", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    faces = asyncio.run(observe(arguments.folder, arguments.models))
    every = samples(faces)
    looks = every.pop("eye_direction")
    result = {name: measured(sample) for name, sample in every.items()}
    result["eye_direction"] = {
        **directions(faces),
        "by_the_head_alone": directions(faces, trust=0.0),
        "confidence_held_out": surest(looks),
        "fit": asdict(fitted(looks.cues, looks.truth)),
    }
    result["age_range"], result["emotions"] = ages(faces), emotions(faces)
    print(json.dumps(result, indent=1))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'fits': result})}")
    return 0


@dataclass(frozen=True)
class Labelled:
    """A face as it was observed, and what is known of it: `words` as in attribute_labels.json, and of its set."""

    fold: int
    seen: Observed
    words: frozenset[str]
    item: dict[str, Any]


async def observe(folder: Path, models: Path) -> list[Labelled]:
    """Every labelled face that is found, by the code that serves."""
    loaded = networks.load(ModelServerSettings("unix:///", models)).faces
    every, found = frozenset(attributes.ASKABLE), []
    for path, faces in tqdm(labelled(folder).items(), file=sys.stderr):
        picture = Picture(decode(path.read_bytes()))
        image, detections = picture.pixels, await detect(picture, loaded)
        boxes, points = detections.boxes, detections.points
        for face in faces:
            n = face.among(boxes, image.shape[1], image.shape[0])
            if n is not None:
                (seen,) = await face_attributes.observe(
                    image, boxes[n : n + 1], points[n : n + 1], every, loaded.attributes, loaded.chores
                )
                fold = zlib.crc32(person(path).encode()) % FOLDS
                found.append(Labelled(fold, seen, face.words, face.item))
    return found


def samples(faces: Sequence[Labelled]) -> dict[str, Sample]:
    rows: dict[str, list[tuple[Any, bool, int]]] = defaultdict(list)
    for face in faces:
        for name, cues in attributes.cues(frozenset(attributes.ASKABLE), face.seen).items():
            truth = _truth(name, face)
            if truth is not None:
                rows[name].append((cues, truth, face.fold))
        looked = gaze(face.seen.geometry)
        if looked and face.words & GAZES:
            rows["eye_direction"].append((looked.cues, is_right(looked, face.words), face.fold))
    return {name: Sample(*(np.array(column) for column in zip(*listed, strict=True))) for name, listed in rows.items()}


def _truth(name: str, face: Labelled) -> bool | None:
    if name == "gender":
        known = face.item.get("gender")
        return known == "Male" if known and face.item.get("age", GENDERED) >= GENDERED else None
    return name in face.words if {name, f"-{name}"} & face.words else None


def is_right(looked: Gaze, words: frozenset[str]) -> bool:
    """Whether a direction agrees with every word of GAZES among `words`."""
    yaw, pitch = looked.yaw, looked.pitch
    agrees = {
        "gaze_camera": abs(yaw) < YAW_DEGREES and abs(pitch) < PITCH_DEGREES,
        "gaze_left": yaw <= -YAW_DEGREES,
        "gaze_right": yaw >= YAW_DEGREES,
        "gaze_up": pitch >= PITCH_DEGREES,
        "gaze_down": pitch <= -PITCH_DEGREES,
    }
    return all(agrees[word] for word in words & GAZES)


def directions(faces: Sequence[Labelled], trust: float = TRUST) -> dict[str, Any]:
    """How many gazes are right by where they go, and the mean share over camera, left and right: of the yaw alone."""
    looks = [(gaze(face.seen.geometry, trust), face.words) for face in faces if face.words & GAZES]
    seen = [(looked, words) for looked, words in looks if looked]
    counts, shares = {}, []
    for word in sorted(GAZES):
        right = [is_right(looked, frozenset({word})) for looked, words in seen if word in words]
        counts[word] = {"all": len(right), "right": sum(right)}
    for word in ("gaze_camera", "gaze_left", "gaze_right"):
        level = [is_right(replace(looked, pitch=0.0), frozenset({word})) for looked, words in seen if word in words]
        shares.append(statistics.mean(level))
    frontal = [looked for looked, words in seen if "gaze_camera" in words]
    return {
        "directions": counts,
        "balanced_accuracy_of_yaw": round(statistics.mean(shares), 4),
        "spread_into_camera": [
            round(float(np.std([getattr(one, name) for one in frontal])), 2) for name in ("yaw", "pitch")
        ],
    }


def measured(sample: Sample) -> dict[str, Any]:
    """The fit to all faces, how it does on them, and how fits to four fifths do on the fifth."""
    whole = fitted(sample.cues, sample.truth)
    held_out = [
        (bool(truth), judgement(tuple(cues), fit))
        for fit, inside in _without_each_fold(sample)
        for cues, truth in zip(sample.cues[inside], sample.truth[inside], strict=True)
    ]
    pairs = [(truth, stated.value) for truth, stated in held_out]
    said = [truth for truth, yes in pairs if yes]
    return {
        "faces": len(pairs),
        "faces_with": int(sample.truth.sum()),
        "balanced_accuracy_of_all": balanced(
            [
                (bool(truth), judgement(tuple(cues), whole).value)
                for cues, truth in zip(sample.cues, sample.truth, strict=True)
            ]
        ),
        "balanced_accuracy_held_out": balanced(pairs),
        "said_yes_held_out": len(said),
        "said_yes_rightly_held_out": sum(said),
        "confidence_held_out": reliability([(truth == one.value, one.confidence) for truth, one in held_out]),
        "fit": asdict(whole),
    }


def surest(sample: Sample) -> list[dict[str, float | int]]:
    """How many directions are right by their confidence, held out."""
    stated = [
        (bool(truth), attributes.confidence(attributes.probability(tuple(cues), fit)))
        for fit, inside in _without_each_fold(sample)
        for cues, truth in zip(sample.cues[inside], sample.truth[inside], strict=True)
    ]
    return reliability(stated)


def _without_each_fold(sample: Sample) -> Iterator[tuple[Fit, np.ndarray]]:
    for fold in range(FOLDS):
        inside = sample.fold == fold
        yield fitted(sample.cues[~inside], sample.truth[~inside]), inside


def fitted(cues: np.ndarray, truth: np.ndarray) -> Fit:
    """The shrunken logistic, rounded to four digits, with the threshold nearest to even odds of those that lose at most
    LESS_BALANCED of balanced accuracy."""
    middle, spread = cues.mean(axis=0), cues.std(axis=0) + 1e-9
    *weights, bias = _logistic((cues - middle) / spread, truth)
    raw = np.array(weights) / spread
    fit = Fit(tuple(_short(weight) for weight in raw), _short(float(bias - raw @ middle)), 0.0)
    odds = np.array([log_odds(tuple(row), fit) for row in cues])
    scored = [(threshold, _balanced_at(odds, truth, threshold)) for threshold in [0.0, *np.unique(odds)]]
    best = max(score for _, score in scored) - LESS_BALANCED
    threshold = min((abs(threshold), threshold) for threshold, score in scored if score >= best)[1]
    return Fit(fit.weights, fit.bias, float(np.floor(threshold * 100) / 100))


def _logistic(cues: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Weights and, last, the bias, by Newton's method."""
    inputs = np.hstack([cues, np.ones((len(cues), 1))])
    shrink = np.diag([*[SHRINKAGE] * cues.shape[1], 1e-6])
    weights = np.zeros(inputs.shape[1])
    for _ in range(50):
        likely = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        slope = inputs.T @ (likely - truth) + shrink @ weights
        weights -= np.linalg.solve((inputs * (likely * (1 - likely))[:, None]).T @ inputs + shrink, slope)
    return weights


def _balanced_at(odds: np.ndarray, truth: np.ndarray, threshold: float) -> float:
    yes = odds >= threshold
    return float((yes[truth].mean() + (~yes[~truth]).mean()) / 2)


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def ages(faces: Sequence[Labelled]) -> dict[str, Any]:
    """How many ages lie in the range of attributes.age_range; and, held out, in that range widened or narrowed so that
    it holds 80 % of four fifths."""
    known = [
        (face.item["age"], face.seen.people.years, face.fold)
        for face in faces
        if "age" in face.item and face.seen.people
    ]
    truth, fold = np.array([age for age, _, _ in known]), np.array([fold for _, _, fold in known])
    ranges = [attributes.age_range(years) for _, years, _ in known]
    middle = np.array([(one.low + one.high) / 2 for one in ranges])
    half = np.array([(one.high - one.low) / 2 for one in ranges])
    off = np.abs(truth - middle) / half
    held_out = [off[fold == n] <= np.quantile(off[fold != n], 0.8) for n in range(FOLDS)]
    return {
        "faces": len(known),
        "covered": round(float((off <= 1).mean()), 4),
        "covered_held_out": round(float(np.concatenate(held_out).mean()), 4),
    }


def emotions(faces: Sequence[Labelled]) -> dict[str, Any]:
    """Vector scaling (Guo et al. 2017) of the network's log probabilities, with the cues of the expression."""
    known = [face for face in faces if "emotion" in face.item and face.seen.emotions is not None]
    logs = np.log(np.array([face.seen.emotions for face in known], np.float64) + attributes.LEAST_EMOTION)
    cues = np.array([expression(face.seen.geometry) for face in known])
    truth = np.array([emotion.KINDS.index(face.item["emotion"].lower()) for face in known])
    fold = np.array([face.fold for face in known])
    whole, shares = Scaling.fitted(logs, cues, truth), np.zeros(logs.shape)
    for n in range(FOLDS):
        others = Scaling.fitted(logs[fold != n], cues[fold != n], truth[fold != n])
        shares[fold == n] = others.shares(logs[fold == n], cues[fold == n])
    kinds = {}
    for n, kind in enumerate(emotion.KINDS):
        if (truth == n).sum() >= FOLDS:
            said = shares[:, n] > (truth == n).mean()
            kinds[kind] = balanced(list(zip((truth == n).tolist(), said.tolist(), strict=True)))
    right, sure = shares.argmax(axis=1) == truth, 100 * shares.max(axis=1)
    return {
        "faces": len(known),
        "accuracy_of_all": round(float((whole.shares(logs, cues).argmax(axis=1) == truth).mean()), 4),
        "accuracy_held_out": round(float(right.mean()), 4),
        "balanced_accuracy_held_out": kinds,
        "confidence_held_out": reliability(list(zip(right.tolist(), sure.tolist(), strict=True)), EMOTION_BANDS),
        "fit": {
            "sharpness": _short(whole.sharpness),
            "shift": np.round(whole.shift, 3).tolist(),
            "cues": np.round(whole.cues, 3).tolist(),
        },
    }


@dataclass(frozen=True)
class Scaling:
    """The numbers of attributes.ranked: `shift` float [7], `cues` float [3, 7]."""

    sharpness: float
    shift: np.ndarray
    cues: np.ndarray

    def shares(self, logs: np.ndarray, cues: np.ndarray) -> np.ndarray:
        odds = self.sharpness * logs + self.shift + cues @ self.cues
        shares = np.exp(odds - odds.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    @classmethod
    def fitted(cls, logs: np.ndarray, cues: np.ndarray, truth: np.ndarray) -> "Scaling":
        """By gradient descent, shrunken; cues are weighed only for the kinds that are answered."""
        middle, spread = cues.mean(axis=0), cues.std(axis=0)
        scaled, target = (cues - middle) / spread, np.eye(logs.shape[1])[truth]
        answered = np.array([kind in attributes.ANSWERED_EMOTIONS for kind in emotion.KINDS])
        now = cls(0.7, np.zeros(logs.shape[1]), np.zeros((cues.shape[1], logs.shape[1])))
        for _ in range(EMOTION_STEPS):
            wrong = now.shares(logs, scaled) - target
            now = cls(
                now.sharpness - 0.05 * float((wrong * logs).sum()) / len(logs),
                now.shift - (wrong.sum(axis=0) + 0.5 * now.shift) / len(logs),
                now.cues - (scaled.T @ wrong + CUE_SHRINKAGE * now.cues) * answered / len(logs),
            )
        weights = now.cues / spread[:, None]
        return cls(now.sharpness, now.shift - middle @ weights, weights)


if __name__ == "__main__":
    sys.exit(main())
