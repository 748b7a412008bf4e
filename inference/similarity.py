"""From raw network scores to the 0..100 scales that callers see, as calibrated for each face model.

A pack's catalogue holds, for each measure, a rising piecewise-linear curve of (raw, calibrated) points; how the base
pack's were fitted is in docs/accuracy.md.
"""

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from inference.packs import catalogue

DEFAULT_PACK = "base"
COSINE_ERROR = 1e-6
"""Of float32 sums; without this room a threshold of 100 would miss identical faces."""
LEAST_IDENTIFICATION = 50.0
"""Confidence of a face that counts as recognised: at it, one in a hundred faces of people outside a gallery would be
taken for somebody."""

_PACKS: dict[str, None] = {}
"""Packs in use beside those that come with OpenRek."""


@dataclass(frozen=True)
class Curve:
    """A strictly rising piecewise-linear map, constant beyond its ends."""

    raw: tuple[float, ...]
    calibrated: tuple[float, ...]

    def up(self, raw: float) -> float:
        return _interpolate(raw, self.raw, self.calibrated)

    def down(self, calibrated: float) -> float:
        """The raw value that `up` maps to `calibrated`."""
        return _interpolate(calibrated, self.calibrated, self.raw)


@dataclass(frozen=True)
class Identification:
    """How often the person of a gallery whose mean embedding is nearest to a face is the face's own, 0..100.

    `cosines` tells it for a gallery of `people`. The more people there are, the nearer strangers come: a cosine counts
    `per_doubling` less for each doubling of their number.
    """

    cosines: Curve
    people: int
    per_doubling: float

    def confidence(self, cosine: float, people: int) -> float:
        return self.cosines.up(cosine - self._shift(people))

    def cosine_at(self, confidence: float, people: int) -> float:
        """The cosine of that confidence."""
        return self.cosines.down(confidence) + self._shift(people)

    def _shift(self, people: int) -> float:
        return self.per_doubling * math.log2(max(people, 1) / self.people)


@dataclass(frozen=True)
class Calibration:
    """The curves of one face model: detector scores (0..1) and embedding cosines (-1..1) to 0..100."""

    face_model_version: str
    scores: Curve
    cosines: Curve
    identification: Identification

    def confidence(self, score: float) -> float:
        return self.scores.up(score)

    def similarity(self, cosine: float) -> float:
        return self.cosines.up(cosine)

    def cosine_at(self, similarity: float) -> float:
        """The least cosine whose similarity reaches `similarity`; -1 for 0, so that a threshold of 0 keeps all."""
        return self.cosines.down(similarity)


@cache
def of_pack(name: str) -> Calibration:
    """The calibration of a pack. Raises packs.errors.UnknownPack."""
    pack = catalogue.load(name)
    nearest = _entry(name, "identification_cosine")
    return Calibration(
        pack.face_model_version,
        curve(name, "face_score"),
        curve(name, "face_cosine"),
        Identification(curve(name, "identification_cosine"), int(nearest["people"]), float(nearest["per_doubling"])),
    )


@cache
def curve(pack: str, measure: str) -> Curve:
    """The curve of one measure. Raises packs.errors.UnknownPack, and KeyError when the pack lacks it."""
    raw, calibrated = (tuple(float(x) for x in column) for column in zip(*_entry(pack, measure)["points"], strict=True))
    return Curve(raw, calibrated)


def _entry(pack: str, measure: str) -> dict[str, Any]:
    return {entry.get("measure"): entry for entry in catalogue.load(pack).calibration}[measure]


@cache
def of_version(face_model_version: str) -> Calibration:
    """The calibration that goes with embeddings of a face-model version. Raises KeyError when no pack has it."""
    for name in [*catalogue.names(), *_PACKS]:
        if catalogue.load(name).face_model_version == face_model_version:
            return of_pack(name)
    raise KeyError(face_model_version)


def use_packs(packs: Iterable[str]) -> None:
    """Make the face models of more packs (names, or paths of catalogues) known to `of_version` in this process.

    Raises packs.errors.UnknownPack.
    """
    for pack in packs:
        of_pack(pack)
        _PACKS.setdefault(pack)


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    n = bisect_right(xs, x)
    return ys[n - 1] + (ys[n] - ys[n - 1]) * (x - xs[n - 1]) / (xs[n] - xs[n - 1])
