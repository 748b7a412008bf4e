"""Following people through the labelled clips: identities, presence, and what each part of the tracker is worth.

Identities are measured on the clip whose people have boxes (motmetrics; a person and a box are one from an
intersection over union of 0.5), presence on the clips where it is known who is there when.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import motmetrics
import numpy as np

from benchmarks import record
from benchmarks.accuracy import clips
from benchmarks.accuracy.clips import Layout, Seen
from benchmarks.pipeline import Models
from inference import appearance
from inference.models import image_classifier
from inference.networks import Networks
from inference.packs.store import network_path
from inference.pipelines import persons
from inference.types import Box, Pixels
from inference.video import motion, people, tracks
from inference.video.people import Look
from inference.video.tracking import Options
from inference.video.types import SeenPerson

LEAST_OVERLAP = 0.5
TRACKED, PRESENT, HOST = "people_walking", "one_by_one", "host"
RATES = (10.0, 5.0, 10 / 3)
EVERYTHING: dict[str, Any] = {"options": Options(), "found_again": True}
VARIANTS: dict[str, dict[str, Any]] = {
    "everything": EVERYTHING,
    "without appearance": {"options": Options(appearance=False)},
    "nobody found again": {"found_again": False},
}
FIGURES = ("idf1", "mota", "num_switches", "recall", "precision")
EXAMPLE = "Example: python -m benchmarks.accuracy.tracking ../shared/evaldata/video --models models --save tracking"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.tracking", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder with annotations.json and clips/")
    parser.add_argument("--models", type=Path, required=True, help="folder of the installed packs")
    parser.add_argument("--pack", default="base")
    parser.add_argument("--sheet", type=Path, help="also draw the tracked frames to this picture")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    models = Models(arguments.models, arguments.pack)
    result = measure(arguments.folder, models, arguments.sheet)
    for row in result["identities"]:
        figures = "  ".join(f"{name} {row[name]:.3f}" for name in FIGURES)
        print(f"{row['parts']:9} {row['variant']:19} {row['per_second']:5.2f}/s  {figures}  persons {row['persons']}")
    for row in result["detection"]:
        print(f"{row['parts']:9} recall {row['recall']:.2f} precision {row['precision']:.2f}  {row['look_ms']:.0f} ms")
    for name, value in result["appearance"].items():
        print(f"{name}: the same person is more alike than another in {value:.3f}")
    for row in result["presence"]:
        print(f"{row['clip']} {row['variant']}: {row['persons']} persons of {row['expected']}; {row['found']}")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'tracking': result})}")
    return 0


def measure(folder: Path, models: Models, sheet: Path | None) -> dict[str, Any]:
    loaded = clips.load(models)
    clip = clips.annotations(folder, TRACKED)
    shown = clips.pictures(folder / clip["file"], max(RATES))
    layouts: dict[str, Layout] = {"whole": lambda _wide, _high: [], "halves": persons.halves, "quarters": quarters}
    seen = {name: clips.looked_at(shown, loaded, layout) for name, layout in layouts.items()}
    if sheet is not None:
        draw(sheet, shown, thinned(seen["halves"].looks, 5.0), clip)
    return {
        "detection": [_detection(name, one, clip) for name, one in seen.items()],
        "identities": [_identities(seen["halves"], "halves", name, rate, clip) for name in VARIANTS for rate in RATES]
        + [_identities(seen[name], name, "everything", 5.0, clip) for name in ("whole", "quarters")],
        "appearance": _appearance(shown, seen["halves"], clip, models),
        "presence": [row for name in (PRESENT, HOST) for row in _presence(folder, name, loaded)],
    }


def quarters(width: int, height: int) -> list[tuple[int, int, int, int]]:
    wide, high = round(width * persons.HALF_SHARE), round(height * persons.HALF_SHARE)
    return [(left, top, wide, high) for top in (0, height - high) for left in (0, width - wide)]


def thinned(looks: Sequence[Look], per_second: float) -> list[Look]:
    """Those that would have been looked at."""
    step = 1000 / per_second
    return [one for n, one in enumerate(looks) if n == 0 or one[0] // step > looks[n - 1][0] // step]


def paths(looks: Sequence[Look], variant: dict[str, Any]) -> dict[int, list[SeenPerson]]:
    """Who is where, by time."""
    with people.followed(looks, **variant) as followed:
        return dict(followed.moments())


def _identities(seen: Seen, parts: str, variant: str, per_second: float, clip: dict[str, Any]) -> dict[str, Any]:
    start = time.perf_counter()
    looks = thinned(seen.looks, per_second)
    found = paths(looks, VARIANTS[variant])
    followed = 1000 * (time.perf_counter() - start) / len(looks)
    kept = motmetrics.MOTAccumulator(auto_id=True)
    for frame in clip["keyframes"]:
        there = found.get(frame["timestamp_ms"], [])
        overlaps = _overlaps(frame["persons"], [one.box for one in there], clip)
        distances = np.where(overlaps >= LEAST_OVERLAP, 1 - overlaps, np.nan)
        kept.update([one["track"] for one in frame["persons"]], [one.index for one in there], distances)
    figures = motmetrics.metrics.create().compute(kept, metrics=list(FIGURES), name="clip")
    return {
        "parts": parts,
        "variant": variant,
        "per_second": per_second,
        **{name: float(figures[name]["clip"]) for name in FIGURES},
        "persons": len({one.index for there in found.values() for one in there}),
        "tracks_labelled": len({one["track"] for frame in clip["keyframes"] for one in frame["persons"]}),
        "follow_ms": followed,
    }


def _detection(parts: str, seen: Seen, clip: dict[str, Any]) -> dict[str, Any]:
    """Of single frames: boxes that may begin a track."""
    looks = dict(seen.looks)
    hits = boxes = labelled = 0
    for frame in clip["keyframes"]:
        found = looks[frame["timestamp_ms"]]
        sure = [one.box for one in found.bodies if one.confidence >= tracks.LEAST_SURE]
        free = list(range(len(frame["persons"])))
        overlaps = _overlaps(frame["persons"], sure, clip)
        for column in range(len(sure)):
            best = max(free, key=lambda row: overlaps[row, column], default=None)
            if best is not None and overlaps[best, column] >= LEAST_OVERLAP:
                free.remove(best)
                hits += 1
        boxes += len(sure)
        labelled += len(frame["persons"])
    return {"parts": parts, "recall": hits / labelled, "precision": hits / boxes, "look_ms": seen.milliseconds}


def _appearance(
    shown: Sequence[tuple[int, Pixels]], seen: Seen, clip: dict[str, Any], models: Models
) -> dict[str, float]:
    """How often two boxes of one person are more alike than two of two people: colours, and the image classifier."""
    classifier = image_classifier.load(network_path(models.folder, models.pack, "image_classifier"), "cpu", 2)
    looks, at, who = dict(seen.looks), dict(shown), []
    colours: list[np.ndarray] = []
    features: list[np.ndarray] = []
    for frame in clip["keyframes"]:
        pixels, found = at[frame["timestamp_ms"]], looks[frame["timestamp_ms"]].bodies
        overlaps = _overlaps(frame["persons"], [one.box for one in found], clip)
        for row, person in enumerate(frame["persons"]):
            if len(found) and overlaps[row].max() >= LEAST_OVERLAP:
                body = found[int(overlaps[row].argmax())]
                who.append(person["track"])
                colours.append(appearance.vector(body.appearance))
                crop = cv2.resize(_cut(pixels, body.box), (image_classifier.SIDE,) * 2, interpolation=cv2.INTER_AREA)
                vector = classifier.predict([np.asarray(crop, np.uint8)])[0].features
                features.append(vector / np.linalg.norm(vector))
    both = [np.concatenate([a, b]) for a, b in zip(colours, features, strict=True)]
    kinds = {"colours": colours, "classifier features": features, "both": both}
    return {name: _told_apart(vectors, who) for name, vectors in kinds.items()}


def _told_apart(vectors: Sequence[np.ndarray], who: Sequence[int]) -> float:
    pairs = list(combinations(range(len(who)), 2))
    same = np.array([vectors[a] @ vectors[b] for a, b in pairs if who[a] == who[b]])
    other = np.array([vectors[a] @ vectors[b] for a, b in pairs if who[a] != who[b]])
    return float((same[:, None] > other[None]).mean())


def _presence(folder: Path, name: str, loaded: Networks) -> list[dict[str, Any]]:
    """Who is found to be there from when to when, against what was seen by eye."""
    clip = clips.annotations(folder, name)
    known = clip.get("presence") or clip["faces"]
    seen = clips.looked_at(clips.pictures(folder / clip["file"], 5.0), loaded)
    rows = []
    for variant, asked in VARIANTS.items():
        with people.followed(seen.looks, **asked) as followed:
            spans = [(person.first_ms, person.last_ms) for person in followed.persons]
        errors = []
        for one in known:
            best = max(spans, key=lambda span: min(span[1], one["end_ms"]) - max(span[0], one["start_ms"]))
            errors.append([best[0] - one["start_ms"], best[1] - one["end_ms"]])
        rows.append(
            {
                "clip": name,
                "variant": variant,
                "expected": len(known),
                "persons": len(spans),
                "found": spans,
                "start_and_end_errors_ms": errors,
                "look_ms": seen.milliseconds,
            }
        )
    return rows


def draw(path: Path, shown: Sequence[tuple[int, Pixels]], looks: Sequence[Look], clip: dict[str, Any]) -> None:
    """The labelled frames, labelled boxes thin and white."""
    found, at = paths(looks, EVERYTHING), dict(shown)
    colours = [tuple(int(x) for x in np.random.default_rng(n).integers(60, 256, 3)) for n in range(100)]
    drawn = []
    for frame in clip["keyframes"]:
        picture = at[frame["timestamp_ms"]].copy()
        for person in frame["persons"]:
            left, top, wide, high = map(int, person["box"])
            cv2.rectangle(picture, (left, top), (left + wide, top + high), (255, 255, 255), 1)
        for one in found.get(frame["timestamp_ms"], []):
            left, top, wide, high = map(int, _pixels(one.box, clip))
            colour = colours[one.index % len(colours)]
            cv2.rectangle(picture, (left, top), (left + wide, top + high), colour, 2)
            cv2.putText(picture, f"{one.index} {one.confidence:.0f}", (left, top - 4), 0, 0.5, colour, 1)
        drawn.append(picture)
    drawn += [np.zeros_like(drawn[0])] * (len(drawn) % 2)
    rows = [np.hstack(drawn[n : n + 2]) for n in range(0, len(drawn), 2)]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def _overlaps(labelled: Sequence[dict[str, Any]], boxes: Sequence[Box], clip: dict[str, Any]) -> np.ndarray:
    """Intersection over union, [labelled, boxes]."""
    known = np.array([_centred(one["box"]) for one in labelled]).reshape(-1, 4)
    found = np.array([_centred(_pixels(box, clip)) for box in boxes]).reshape(-1, 4)
    return motion.overlaps(known, found, 0.0)


def _pixels(box: Box, clip: dict[str, Any]) -> list[float]:
    wide, high = clip["width"], clip["height"]
    return [box.left * wide, box.top * high, box.width * wide, box.height * high]


def _centred(box: Sequence[float]) -> list[float]:
    left, top, wide, high = box
    return [left + wide / 2, top + high / 2, wide, high]


def _cut(pixels: Pixels, box: Box) -> Pixels:
    high, wide = pixels.shape[:2]
    top, left = max(int(box.top * high), 0), max(int(box.left * wide), 0)
    return pixels[top : int((box.top + box.height) * high) + 1, left : int((box.left + box.width) * wide) + 1]


if __name__ == "__main__":
    sys.exit(main())
