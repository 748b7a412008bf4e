"""From raw network scores to the 0..100 scales that callers see, as calibrated for each face model.

A pack's catalogue holds, for each measure, a rising piecewise-linear curve of (raw, calibrated) points; how the base
pack's were fitted is in docs/accuracy.md.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

from inference.packs import catalogue

DEFAULT_PACK = "base"


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
class Calibration:
    """The curves of one face model: detector scores (0..1) and embedding cosines (-1..1) to 0..100."""

    face_model_version: str
    scores: Curve
    cosines: Curve

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
    return Calibration(catalogue.load(name).face_model_version, curve(name, "face_score"), curve(name, "face_cosine"))


@cache
def curve(pack: str, measure: str) -> Curve:
    """The curve of one measure. Raises packs.errors.UnknownPack, and StopIteration when the pack lacks it."""
    points = next(entry["points"] for entry in catalogue.load(pack).calibration if entry.get("measure") == measure)
    raw, calibrated = (tuple(float(x) for x in column) for column in zip(*points, strict=True))
    return Curve(raw, calibrated)


@cache
def of_version(face_model_version: str) -> Calibration:
    """The calibration that goes with embeddings of a face-model version. Raises KeyError when no pack has it."""
    for name in catalogue.names():
        calibration = of_pack(name)
        if calibration.face_model_version == face_model_version:
            return calibration
    raise KeyError(face_model_version)


def _interpolate(x: float, xs: tuple[float, ...], ys: tuple[float, ...]) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    n = bisect_right(xs, x)
    return ys[n - 1] + (ys[n] - ys[n - 1]) * (x - xs[n - 1]) / (xs[n] - xs[n - 1])
