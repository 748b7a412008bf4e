"""From what networks say of a picture to labels: one scale of confidence, one hierarchy, each label once."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from inference.models.image_classifier import Classes
from inference.models.object_detector import Objects
from inference.similarity import Curve
from inference.taxonomy import labels as taxonomy
from inference.types import Box, Instance, Label

MOST_OVERLAP = 0.7
"""Intersection over union of two boxes of one class that are two things."""


@dataclass(frozen=True)
class Sightings:
    """What one network says: how sure it is, 0..100, of labels by name, and where it sees them, surest first.

    It need not name the ancestors of what it names, but may, with more confidence.
    """

    confidences: Mapping[str, float] = field(default_factory=dict)
    instances: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)


def distinct(found: Objects) -> Objects:
    """Without boxes that are nearly a surer box of the same class: the detector sees large things twice."""
    near = _overlaps(found.boxes[:, None], found.boxes) > MOST_OVERLAP
    rivals = np.tril(near & (found.classes[:, None] == found.classes), -1)
    kept = np.ones(len(found.boxes), bool)
    for n in np.flatnonzero(rivals.any(axis=1)):
        kept[n] = not kept[rivals[n]].any()
    return Objects(found.boxes[kept], found.scores[kept], found.classes[kept])


def of_objects(found: Objects, scores: Curve) -> Sightings:
    """A label's confidence is that of its surest box; `scores` maps the detector's 0..1 to 0..100."""
    classes = taxonomy.classes("coco")
    confidences: dict[str, float] = {}
    instances: dict[str, tuple[Instance, ...]] = {}
    for box, score, number in zip(found.boxes.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True):
        confidence = scores.up(score)
        for name in classes[number].labels:
            confidences[name] = max(confidence, confidences.get(name, 0.0))
            if classes[number].boxes:
                one = Instance(Box(*box), confidence)
                instances[name] = (*instances.get(name, ()), one)
    return Sightings(confidences, instances)


def of_classes(seen: Classes, probabilities: Curve) -> Sightings:
    """A label's probability is the sum over the classes that stand for it or for one of its descendants;
    `probabilities` maps it, 0..1, to 0..100."""
    names, classes, labels = _class_labels()
    likely = np.exp(seen.logits.astype(np.float64) - seen.logits.max())
    shares = np.bincount(labels, (likely / likely.sum())[classes], len(names))
    confidences = np.interp(shares, probabilities.raw, probabilities.calibrated)
    return Sightings(dict(zip(names, confidences.tolist(), strict=True)))


def to_labels(said: Iterable[Sightings], least: float) -> tuple[Label, ...]:
    """The labels of at least that confidence, surest first, equals by name.

    Of several networks the surest counts; an ancestor is at least as sure as its descendants. Boxes are those of the
    first network that has any for the label. Raises KeyError for a name that is no label.
    """
    confidences: dict[str, float] = {}
    instances: dict[str, tuple[Instance, ...]] = {}
    for one in said:
        for name, confidence in one.confidences.items():
            if confidence < least:
                continue
            for label in taxonomy.closure((name,)):
                confidences[label] = max(confidence, confidences.get(label, 0.0))
        for name, boxes in one.instances.items():
            instances.setdefault(name, tuple(box for box in boxes if box.confidence >= least))
    order = sorted(confidences, key=lambda name: (-confidences[name], name))
    return tuple(_label(name, confidences[name], instances.get(name, ())) for name in order)


def _label(name: str, confidence: float, instances: tuple[Instance, ...]) -> Label:
    entry = taxonomy.labels()[name]
    return Label(name, confidence, entry.parents, entry.aliases, entry.category, instances)


def _overlaps(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes (left, top, width, height), float [..., 4] with float [..., 4]."""
    starts = np.maximum(ones[..., :2], others[..., :2])
    ends = np.minimum(ones[..., :2] + ones[..., 2:], others[..., :2] + others[..., 2:])
    common = (ends - starts).clip(0).prod(axis=-1)
    return np.asarray(common / (ones[..., 2:].prod(axis=-1) + others[..., 2:].prod(axis=-1) - common))


@cache
def _class_labels() -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """The labels that the 1000 classes stand for, ancestors too; then by numbers which class stands for which label."""
    closures = [taxonomy.closure(one.labels) for one in taxonomy.classes("imagenet")]
    names = tuple(sorted(frozenset().union(*closures)))
    numbers = {name: number for number, name in enumerate(names)}
    pairs = [(one, numbers[name]) for one, closed in enumerate(closures) for name in closed]
    classes, labels = np.array(pairs).T
    return names, classes, labels
