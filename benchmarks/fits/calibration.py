"""The curve from cosines to similarities: fitted on pictures of named people, and checked on them.

All pairs of pictures of two differently named people are impostors. The cosine that a given share of them passes (the
false-match rate, FMR) is counted down to a rate of 5e-3; below it comes from a generalised Pareto distribution
fitted to the cosines beyond (peaks over threshold, by probability-weighted moments: Hosking and Wallis 1987), which
smooths the last few pairs and goes beyond them. SCALE says which similarity each rate gets.

Printed are the fitted curve, ready for a pack's catalogue, what the curve in the catalogue does on these pictures, and
what a curve fitted on half of the people does on the other half. Intervals are of 95 %, from drawing people again.
"""

import argparse
import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import pipeline, record
from benchmarks.accuracy.verification import large_enough
from benchmarks.fits import calibration_plots
from inference import similarity
from inference.pipelines.request import FacesRequest

SCALE = (
    (0.5, 2.0), (0.1, 12.0), (3e-2, 25.0), (1e-2, 45.0), (3e-3, 65.0), (1e-3, 80.0), (3e-4, 89.0), (1e-4, 95.0),
    (3e-5, 97.7), (1e-5, 99.0), (1e-6, 99.9),
)  # fmt: skip
"""Similarity by false-match rate: 80, 95 and 99 are the thresholds that users know, typical impostors get 0 to 20."""
TAIL_RATE = 5e-3
THRESHOLDS = (80.0, 95.0, 99.0)
DRAWS = 500
EXAMPLE = (
    "Example: python -m benchmarks.fits.calibration ../shared/evaldata/face_verification_{lfw,ytf} --save similarity"
)


@dataclass(frozen=True)
class Gallery:
    """`embeddings` float32 [N, D] of unit length, the person (0, 1, ...) of each, and the name of each picture."""

    embeddings: np.ndarray
    people: np.ndarray
    names: tuple[str, ...]

    def part(self, chosen: np.ndarray) -> "Gallery":
        """Of the rows where `chosen` (bool [N]) holds."""
        names = tuple(name for name, taken in zip(self.names, chosen, strict=True) if taken)
        return Gallery(self.embeddings[chosen], self.people[chosen], names)


@dataclass(frozen=True)
class Pairs:
    """All pairs of a gallery: cosines, places of the two pictures in it, and whether they are of one person."""

    cosines: np.ndarray
    places: tuple[np.ndarray, np.ndarray]
    same: np.ndarray

    @property
    def impostors(self) -> np.ndarray:
        """Cosines, highest first."""
        return np.asarray(np.sort(self.cosines[~self.same])[::-1])

    @property
    def genuine(self) -> np.ndarray:
        return np.asarray(self.cosines[self.same])


@dataclass(frozen=True)
class Tail:
    """A generalised Pareto distribution of the cosines over `start`, which a share of TAIL_RATE passes."""

    start: float
    shape: float
    scale: float

    def cosine_at(self, rate: float) -> float:
        excess: float = self.scale / self.shape * ((rate / TAIL_RATE) ** -self.shape - 1)
        return self.start + excess


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fits.calibration", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, nargs="+", help="folders with annotations.json (items with identity)")
    parser.add_argument("--without", nargs="*", default=[], metavar="FILE", help="mislabelled pictures to leave out")
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--pack", default=similarity.DEFAULT_PACK, help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json and NAME.png")
    arguments = parser.parse_args()
    galleries = galleries_of(
        arguments.folder, set(arguments.without), pipeline.Models(arguments.models, arguments.pack)
    )
    everything = joined(galleries)
    curve = fit(pairs_of(everything).impostors)
    print('measure = "face_cosine"')
    print(f"points = {json.dumps([list(point) for point in zip(curve.raw, curve.calibrated, strict=True)])}")
    result = {
        "without": sorted(arguments.without),
        "curve": list(zip(curve.raw, curve.calibrated, strict=True)),
        "tail": vars(tail_of(pairs_of(everything).impostors)),
        "stored_curve": {
            name: check(gallery, similarity.of_pack(arguments.pack).cosines)
            for name, gallery in {**galleries, "together": everything}.items()
        },
        "halves": halves(everything),
        "highest_impostors": highest_impostors(everything, 20),
    }
    report(result)
    if arguments.save:
        figure = record.RESULTS / f"{arguments.save}.png"
        measured = {name: pairs_of(gallery) for name, gallery in galleries.items()}
        calibration_plots.draw({name: (p.impostors, p.genuine) for name, p in measured.items()}, curve, figure)
        print(f"saved {record.save(arguments.save, {'calibration': result})} and {figure}")
    return 0


def galleries_of(folders: list[Path], without: set[str], models: pipeline.Models) -> dict[str, Gallery]:
    """The central face of each picture, by data folder. One name is one person in all folders."""
    items = [
        (folder, item)
        for folder in folders
        for item in json.loads((folder / "annotations.json").read_text())["items"]
        if Path(item["file"]).name not in without
    ]
    pictures = [large_enough((folder / item["file"]).read_bytes()) for folder, item in items]
    found = [pipeline.central(result) for result in pipeline.faces_of(pictures, FacesRequest(embed="all"), models)]
    people = {name: n for n, name in enumerate(sorted({_plain(item["identity"]) for _, item in items}))}
    galleries = {}
    for folder in folders:
        seen = [(item, face) for (place, item), face in zip(items, found, strict=True) if place == folder and face]
        galleries[folder.name] = Gallery(
            np.stack([face.embedding for _, face in seen if face.embedding is not None]),
            np.array([people[_plain(item["identity"])] for item, _ in seen]),
            tuple(f"{folder.name}/{Path(item['file']).name}" for item, _ in seen),
        )
    return galleries


def joined(galleries: dict[str, Gallery]) -> Gallery:
    return Gallery(
        np.concatenate([gallery.embeddings for gallery in galleries.values()]),
        np.concatenate([gallery.people for gallery in galleries.values()]),
        tuple(name for gallery in galleries.values() for name in gallery.names),
    )


def pairs_of(gallery: Gallery) -> Pairs:
    one, other = np.triu_indices(len(gallery.people), 1)
    cosines = (gallery.embeddings @ gallery.embeddings.T)[one, other].astype(np.float64)
    return Pairs(cosines, (one, other), gallery.people[one] == gallery.people[other])


def tail_of(impostors: np.ndarray) -> Tail:
    """Fitted to the highest TAIL_RATE of `impostors` (cosines, highest first)."""
    count = round(TAIL_RATE * len(impostors))
    start = float(impostors[count])
    beyond = impostors[:count][::-1] - start
    mean = float(beyond.mean())
    weighted = float((np.arange(count - 1, -1, -1) / (count - 1) * beyond).mean())
    return Tail(start, 2 - mean / (mean - 2 * weighted), 2 * mean * weighted / (mean - 2 * weighted))


def fit(impostors: np.ndarray) -> similarity.Curve:
    """The curve that gives impostors (cosines, highest first) the similarities of SCALE."""
    tail = tail_of(impostors)
    cosines = [
        tail.cosine_at(rate) if rate < TAIL_RATE else float(impostors[round(rate * len(impostors))])
        for rate, _ in SCALE
    ]
    return similarity.Curve(
        (-1.0, *(round(cosine, 3) for cosine in cosines), 1.0), (0.0, *(value for _, value in SCALE), 100.0)
    )


def check(gallery: Gallery, curve: similarity.Curve) -> dict[str, Any]:
    """What share of impostor and of genuine pairs passes each threshold of a curve."""
    pairs = pairs_of(gallery)
    likeness = np.interp(pairs.cosines, curve.raw, curve.calibrated)
    impostors, genuine = likeness[~pairs.same], likeness[pairs.same]
    return {
        "pictures": len(gallery.people),
        "impostor_pairs": len(impostors),
        "genuine_pairs": len(genuine),
        "impostors_up_to_20": float((impostors <= 20).mean()),
        "median_genuine": float(np.median(genuine)),
        "thresholds": [
            {
                "similarity": threshold,
                "false_matches": int((impostors >= threshold).sum()),
                "fmr": float((impostors >= threshold).mean()),
                "fmr_interval": _interval(gallery, pairs, ~pairs.same & (likeness >= threshold)),
                "tar": float((genuine >= threshold).mean()),
            }
            for threshold in THRESHOLDS
        ],
    }


def halves(gallery: Gallery) -> list[dict[str, Any]]:
    """Curves fitted on one half of the people, checked on the other, both ways."""
    rng = np.random.default_rng(0)
    people = rng.permutation(np.unique(gallery.people))
    first = np.isin(gallery.people, people[: len(people) // 2])
    return [check(gallery.part(~fitted), fit(pairs_of(gallery.part(fitted)).impostors)) for fitted in (first, ~first)]


def highest_impostors(gallery: Gallery, count: int) -> list[tuple[float, str, str]]:
    """The pairs to look at for wrong labels: cosine and the two pictures."""
    pairs = pairs_of(gallery)
    order = np.argsort(np.where(pairs.same, 2.0, -pairs.cosines))
    return [
        (float(pairs.cosines[n]), gallery.names[pairs.places[0][n]], gallery.names[pairs.places[1][n]])
        for n in order[:count]
    ]


def report(result: dict[str, Any]) -> None:
    stored = {f"stored curve, {name}": checked for name, checked in result["stored_curve"].items()}
    halved = {f"fitted on half {1 + n}, checked on the other": checked for n, checked in enumerate(result["halves"])}
    for title, checked in (stored | halved).items():
        print(
            f"{title}: {checked['impostor_pairs']} impostor pairs, {checked['impostors_up_to_20']:.3f} of them "
            f"up to 20; {checked['genuine_pairs']} genuine pairs, median {checked['median_genuine']:.1f}"
        )
        for row in checked["thresholds"]:
            low, high = row["fmr_interval"]
            print(
                f"  {row['similarity']:.0f}: {row['false_matches']} false matches, FMR {row['fmr']:.1e} "
                f"({low:.1e} to {high:.1e}), TAR {row['tar']:.3f}"
            )
    for cosine, one, other in result["highest_impostors"]:
        print(f"  {cosine:.3f} {one} {other}")


def _interval(gallery: Gallery, pairs: Pairs, accepted: np.ndarray) -> tuple[float, float]:
    """95 % of the false-match rates of galleries of as many people, drawn from these with replacement."""
    rng = np.random.default_rng(0)
    one, other = (gallery.people[place[accepted]] for place in pairs.places)
    pictures = np.bincount(gallery.people)
    known = np.flatnonzero(pictures)
    rates: list[float] = []
    while len(rates) < DRAWS:
        drawn = np.bincount(rng.choice(known, len(known)), minlength=len(pictures)).astype(float)
        weights = drawn * pictures
        all_pairs = (weights.sum() ** 2 - (weights**2).sum()) / 2
        if all_pairs:
            rates.append((drawn[one] * drawn[other]).sum() / all_pairs)
    low, high = np.quantile(rates, [0.025, 0.975])
    return float(low), float(high)


def _plain(name: str) -> str:
    return re.sub("[^a-z]", "", name.lower())


if __name__ == "__main__":
    sys.exit(main())
