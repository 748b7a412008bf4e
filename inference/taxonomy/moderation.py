"""The tree of moderation labels, and which classes of the networks stand for which of them: moderation.toml."""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from inference.types import Confident

ILLUSTRATED = "Illustrated"
"""The content type of drawings."""

DIGITS = 4
"""Of a confidence behind the point: what was read as 32-bit float has no more."""


@dataclass(frozen=True)
class Tree:
    """`parents`: the parent of each label, "" of those of the first level."""

    version: str
    parents: Mapping[str, str]
    classes: Mapping[str, tuple[int, ...]]
    body_parts: Mapping[str, tuple[str, ...]]
    curves: Mapping[str, tuple[tuple[float, float], ...]]

    def ancestors(self, label: str) -> list[str]:
        """Its parent first, the first-level label last."""
        parent = self.parents[label]
        return [parent, *self.ancestors(parent)] if parent else []

    def level(self, label: str) -> int:
        """1, 2 or 3."""
        return 1 + len(self.ancestors(label))

    def confidence(self, curve: str, value: float) -> float:
        """The confidence, 0..100, of what a network says with `value`, 0..1."""
        x, y = zip((0.0, 0.0), *self.curves[curve], (1.0, 100.0), strict=True)
        return float(np.interp(value, x, y))

    def closed(self, found: Mapping[str, float]) -> dict[str, float]:
        """The labels and all their ancestors, each as sure as the surest below it."""
        confidences = dict(found)
        for label, confidence in found.items():
            for ancestor in self.ancestors(label):
                confidences[ancestor] = max(confidence, confidences.get(ancestor, 0.0))
        return confidences


def sure(found: Iterable[Confident], least: float) -> tuple[Confident, ...]:
    """What is at least so sure, its confidence rounded before it is compared."""
    rounded = (Confident(one.name, round(one.confidence, DIGITS)) for one in found)
    return tuple(one for one in rounded if one.confidence >= least)


def _load() -> Tree:
    read = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    return Tree(
        version=read["version"],
        parents=MappingProxyType(read["parents"]),
        classes=MappingProxyType({label: tuple(numbers) for label, numbers in read["classes"].items()}),
        body_parts=MappingProxyType({label: tuple(names) for label, names in read["body_parts"].items()}),
        curves=MappingProxyType({name: tuple(map(tuple, points)) for name, points in read["confidence"].items()}),
    )


TREE = _load()
