"""Open-set identification, without an endpoint: a gallery of some people is shown faces of them and of others."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from inference.similarity import Identification
from storage.users import mean

FALSE_RATES = (0.1, 0.05, 0.02, 0.01, 0.005)
BANDS = (0.0, 10.0, 50.0, 75.0, 90.0, 99.0, 99.9, 100.0)

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Faces:
    """Embeddings float32[N, D] of unit length, and whose they are."""

    embeddings: npt.NDArray[np.float32]
    people: Sequence[str]


@dataclass(frozen=True)
class Split:
    """Places in `Faces`: of the gallery, by person, one probe of each of them, and one of each person left out."""

    gallery: dict[str, list[int]]
    known: dict[str, int]
    unknown: dict[str, int]


@dataclass(frozen=True, eq=False)
class Trials:
    """Probes against galleries of `people` each: the highest cosine float[P] of each known probe, whether it was its
    own person's, and that of each unknown probe."""

    people: int
    known: Floats
    right: Bools
    unknown: Floats


def split(people: Sequence[str], seed: int, size: int | None = None) -> Split:
    """A random half of the people with several faces as a gallery (or `size` of that half), the other half left out."""
    rng = np.random.default_rng(seed)
    places: dict[str, list[int]] = defaultdict(list)
    for place, person in enumerate(people):
        places[person].append(place)
    names = sorted(name for name, found in places.items() if len(found) > 1)
    rng.shuffle(names)
    half = len(names) // 2
    shuffled = {name: rng.permutation(places[name]).tolist() for name in names}
    enrolled = names[: size or half]
    return Split(
        {name: shuffled[name][1:] for name in enrolled},
        {name: shuffled[name][0] for name in enrolled},
        {name: shuffled[name][0] for name in names[half:]},
    )


def run(faces: Faces, trials: int, size: int | None = None) -> Trials:
    """So many random splits, one after the other."""
    known, right, unknown = [], [], []
    for seed in range(trials):
        chosen = split(faces.people, seed, size)
        gallery = np.stack([mean([faces.embeddings[n] for n in places]) for places in chosen.gallery.values()])
        cosines = faces.embeddings[list(chosen.known.values())] @ gallery.T
        known.append(cosines.max(1))
        right.append(cosines.argmax(1) == np.arange(len(gallery)))
        unknown.append((faces.embeddings[list(chosen.unknown.values())] @ gallery.T).max(1))
    return Trials(len(gallery), np.concatenate(known), np.concatenate(right), np.concatenate(unknown))


def judge(trials: Trials, identification: Identification, confidence: float) -> dict[str, Any]:
    """Rates at the bar that a confidence is, and at false positive identification rates; the whole curve."""
    bar = identification.cosine_at(confidence, trials.people)
    points = [(rate, float(np.quantile(trials.unknown, 1 - rate))) for rate in FALSE_RATES]
    cosines = np.unique(np.quantile(trials.unknown, 1 - np.geomspace(1e-3, 1, 100)))
    return {
        "people": trials.people,
        "rank_1": float(trials.right.mean()),
        "at_the_bar": {"cosine": bar, **_rates(trials, bar)},
        "operating_points": [{"cosine": cosine, **_rates(trials, cosine)} for _, cosine in points],
        "curve": [tuple(_rates(trials, cosine).values()) for cosine in cosines.tolist()],
    }


def right_by_confidence(
    every: Sequence[Trials], identification: Identification, bands: Sequence[float] = BANDS
) -> list[dict[str, Any]]:
    """How often the nearest person is the face's own, by the confidence stated; half of the probes are unknown."""
    stated, right = [], []
    for trials in every:
        count = min(len(trials.known), len(trials.unknown))
        cosines = np.concatenate([trials.known[:count], trials.unknown[:count]])
        stated += [identification.confidence(cosine, trials.people) for cosine in cosines.tolist()]
        right += [*trials.right[:count].tolist(), *[False] * count]
    placed = np.clip(np.searchsorted(bands, stated, side="right") - 1, 0, len(bands) - 2)
    return [
        {
            "from": bands[band],
            "to": bands[band + 1],
            "faces": int((placed == band).sum()),
            "mean_confidence": float(np.mean(np.array(stated)[placed == band])),
            "right": float(np.mean(np.array(right)[placed == band])),
        }
        for band in range(len(bands) - 1)
        if (placed == band).any()
    ]


def _rates(trials: Trials, bar: float) -> dict[str, float]:
    accepted = trials.known >= bar
    return {
        "false_positive_identification_rate": float((trials.unknown >= bar).mean()),
        "true_positive_identification_rate": float((accepted & trials.right).mean()),
        "known_taken_for_others": float((accepted & ~trials.right).mean()),
    }
