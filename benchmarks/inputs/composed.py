"""Programmes composed of pictures, as files and as features: some to fit on, others to measure with."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.inputs import programmes
from benchmarks.inputs.programmes import Programme
from inference.types import Pixels
from inference.video.container import split
from inference.video.frame_features import FEATURES, Features, measured
from inference.video.frames import decoded

OWN = Path(__file__).parents[2] / "openrek" / "pictures"
RATES = (Fraction(25), Fraction(30000, 1001), Fraction(12), Fraction(50))
QUALITIES = (20, 26, 32, 36)
SHOTS = 22
FITTED, HELD_OUT = range(8), range(100, 104)
"""Seeds."""


@dataclass(frozen=True)
class Composed:
    path: Path
    programme: Programme
    rate: Fraction


def compose(seeds: Sequence[int], pictures: Sequence[Pixels], folder: Path) -> Iterator[Composed]:
    """Random programmes of the pictures and five made up ones each, written to a folder."""
    for n, seed in enumerate(seeds):
        made_up = [programmes.procedural(100 + seed * 10 + k) for k in range(5)]
        programme = programmes.random_programme([*pictures, *made_up], SHOTS, seed)
        rate, path = RATES[n % len(RATES)], folder / f"{seed}.mp4"
        programmes.write(path, programme.frames, rate, QUALITIES[n // 2 % len(QUALITIES)])
        yield Composed(path, programme, rate)


def own_pictures() -> list[Pixels]:
    """The four photographs of this repository: nothing is fitted on them."""
    return [_read(path) for path in sorted(OWN.glob("*.jpg"))]


def library_pictures() -> list[Pixels]:
    """The larger ones of scikit-image's pictures, without our own and drawings."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    left_out = ("chelsea", "coffee", "astronaut", "color", "chessboard_GRAY", "phantom", "horse")
    paths = [path for path in sorted(folder.glob("*.[pj][np]g")) if path.stem not in left_out]
    return [picture for path in paths if min((picture := _read(path)).shape[:2]) > 150]


def features_of(path: Path, black_threshold: float = 0.2, part_seconds: float = 1e6) -> Features:
    """The features of all frames of a video, part by part."""
    with path.open("rb") as file:
        records = [
            frame.features
            for part in split(file, part_seconds)
            for frame in measured(decoded(file, part), black_threshold)
        ]
    return np.concatenate([np.empty(0, FEATURES), *records])


def _read(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"), np.uint8)
