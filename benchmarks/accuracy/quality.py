"""Quality filters on faces that were made worse by known steps: what each bar keeps and what it rejects.

One picture of each labelled same-person pair is left as it is, the other is shrunk, blurred, darkened or over-exposed
in steps. A filter is good when it rejects versions whose similarity to the untouched picture falls under 80 and keeps
the others. Turned heads cannot be made: they are real stills of `--turned`, whose labelled same-person pairs are judged
by the yaw of the face that is turned away more. For brightness and sharpness, the share of neighbouring steps of one
face that they put in the right order is counted, and Spearman's rank correlation with the steps.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks import pipeline, record
from benchmarks.accuracy.verification import large_enough
from inference import quality, similarity
from inference.images import decode
from inference.pipelines.request import FacesRequest
from inference.types import Face, FacesResult, Pixels

MATCH = 80.0
CANVAS_SIDE = 640
"""Of the grey picture that shrunk ones are laid on: a small face in a large picture, as the detector would meet it."""
FACE_SIDE = 112
"""In pixels; blur is stated for faces of this size."""
YAW_BANDS = ((0, 15), (15, 30), (30, 45), (45, 60), (60, 90))
EXAMPLE = (
    "Example: python -m benchmarks.accuracy.quality ../shared/evaldata/face_verification_lfw "
    "--turned ../shared/evaldata/face_verification_ytf --save face_quality"
)


def shrink(image: Pixels, side: float, face_side: float) -> Pixels:
    """So that the face's shorter side has `side` pixels."""
    small = cv2.resize(image, None, fx=side / face_side, fy=side / face_side, interpolation=cv2.INTER_AREA)
    high, wide = small.shape[:2]
    if max(high, wide) >= CANVAS_SIDE:
        return np.asarray(small, np.uint8)
    canvas = np.full((CANVAS_SIDE, CANVAS_SIDE, 3), 128, np.uint8)
    top, left = (CANVAS_SIDE - high) // 2, (CANVAS_SIDE - wide) // 2
    canvas[top : top + high, left : left + wide] = small
    return canvas


def blur(image: Pixels, sigma: float, face_side: float) -> Pixels:
    """Gaussian, `sigma` in pixels of a face of FACE_SIDE."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma * face_side / FACE_SIDE), np.uint8)


def expose(image: Pixels, gain: float, _face_side: float) -> Pixels:
    return np.asarray(np.clip(image.astype(np.float32) * gain, 0, 255).round(), np.uint8)


@dataclass(frozen=True)
class Steps:
    """A way to make a picture worse, with its strengths from mild to strong."""

    apply: Callable[[Pixels, float, float], Pixels]
    strengths: tuple[float, ...]
    falling: str | None
    """The measure of quality that must fall from step to step."""


DEGRADATIONS = {
    "shorter side, pixels": Steps(shrink, (100, 80, 60, 48, 36, 30, 24, 20, 15), "sharpness"),
    "blur, pixels": Steps(blur, (1, 2, 3, 4, 6), "sharpness"),
    "darkness, gain": Steps(expose, (0.5, 0.25, 0.12, 0.06, 0.03), "brightness"),
    "over-exposure, gain": Steps(expose, (1.5, 2, 3, 4, 6), None),
}


@dataclass(frozen=True)
class Version:
    """A degraded picture of a pair: `face` is None where none was found, `likeness` is 0..100."""

    kind: str
    strength: float
    pair: int
    face: Face | None
    side_pixels: float
    likeness: float

    def rejected(self, level: str) -> tuple[str, ...]:
        return () if self.face is None else quality.shortcomings(self.face, self.side_pixels, level)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.quality", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder with annotations.json (items, pairs)")
    parser.add_argument("--turned", type=Path, help="folder of the same form with turned heads")
    parser.add_argument("--pairs", type=int, default=100, help="same-person pairs of FOLDER (default %(default)s)")
    parser.add_argument("--models", type=Path, default=Path.home() / ".openrek" / "models", help="default %(default)s")
    parser.add_argument("--pack", default=similarity.DEFAULT_PACK, help="default %(default)s")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    models = pipeline.Models(arguments.models, arguments.pack)
    versions = degraded(arguments.folder, arguments.pairs, models)
    result = {"steps": steps(versions), "filters": filters(versions), "order": order(versions)}
    if arguments.turned:
        turned = stills(arguments.turned, models)
        result |= {"stills": yaw_bands(turned), "filters_on_stills": filters(turned)}
    report(result)
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'quality': result})}")
    return 0


def degraded(folder: Path, count: int, models: pipeline.Models) -> list[Version]:
    """Every version of the second picture of the first `count` same-person pairs."""
    pairs = [pair for pair in json.loads((folder / "annotations.json").read_text())["pairs"] if pair["same"]][:count]
    files = [(folder / pair[end]).read_bytes() for pair in pairs for end in ("a", "b")]
    found = [pipeline.central(result) for result in pipeline.faces_of(files, FacesRequest(embed="all"), models)]
    sources, targets, images = found[::2], found[1::2], [decode(large_enough(data)) for data in files[1::2]]
    sides = [_side(target, image.shape) for target, image in zip(targets, images, strict=True)]
    plan = [
        (kind, n, strength)
        for kind, way in DEGRADATIONS.items()
        for strength in way.strengths
        for n in range(len(pairs))
    ]

    def pictures() -> Iterator[Pixels]:
        yield from images
        for kind, n, strength in plan:
            yield DEGRADATIONS[kind].apply(images[n], strength, sides[n])

    request = FacesRequest(embed="all", attributes=("default",))
    results = pipeline.faces_in(pictures(), len(images) + len(plan), request, models)
    plan = [("untouched", n, 0.0) for n in range(len(images))] + plan
    return [
        _version(kind, strength, n, sources[n], result, models.pack)
        for (kind, n, strength), result in zip(plan, results, strict=True)
    ]


def stills(folder: Path, models: pipeline.Models) -> list[Version]:
    """The labelled same-person pairs of a folder; the face of each is the one that is turned away more."""
    annotations = json.loads((folder / "annotations.json").read_text())
    names = [item["file"] for item in annotations["items"]]
    files = [large_enough((folder / name).read_bytes()) for name in names]
    request = FacesRequest(embed="all", attributes=("default",))
    found = dict(zip(names, pipeline.faces_of(files, request, models), strict=True))
    versions = []
    for n, pair in enumerate(pair for pair in annotations["pairs"] if pair["same"]):
        one, other = sorted((found[pair["a"]], found[pair["b"]]), key=_turn)
        versions.append(_version("still", 0.0, n, pipeline.central(one), other, models.pack))
    return versions


def steps(versions: Sequence[Version]) -> list[dict[str, Any]]:
    """What becomes of a face at each step: medians, and shares of all versions of the step."""
    kinds = list(dict.fromkeys((version.kind, version.strength) for version in versions))
    return [
        _step(kind, strength, [v for v in versions if (v.kind, v.strength) == (kind, strength)])
        for kind, strength in kinds
    ]


def filters(versions: Sequence[Version]) -> list[dict[str, Any]]:
    """What share of the faces that match, and of those that do not, each level of the filter rejects, and why."""
    found = [version for version in versions if version.face is not None]
    rows = []
    for level in ("low", "auto", "medium", "high"):
        good = [version.rejected(level) for version in found if version.likeness >= MATCH]
        bad = [version.rejected(level) for version in found if version.likeness < MATCH]
        rows.append(
            {
                "level": level,
                "matching": len(good),
                "matching_rejected": _share(good),
                "not_matching": len(bad),
                "not_matching_rejected": _share(bad),
                "reasons": {
                    reason: {"matching": sum(reason in r for r in good), "not_matching": sum(reason in r for r in bad)}
                    for reason in quality.REASONS[:-1]
                },
            }
        )
    return rows


def order(versions: Sequence[Version]) -> list[dict[str, Any]]:
    """How well brightness and sharpness follow the steps of one face, as far as it is found."""
    rows = []
    for kind, way in DEGRADATIONS.items():
        for measure in ("brightness", "sharpness"):
            series = [_series(versions, kind, measure, pair) for pair in sorted({version.pair for version in versions})]
            right = [later < earlier for values in series for earlier, later in pairwise(values)]
            correlations = [_spearman(values) for values in series if len(values) > 2]
            rows.append(
                {
                    "kind": kind,
                    "measure": measure,
                    "expected_to_fall": way.falling == measure,
                    "falls": sum(right) / len(right),
                    "steps": len(right),
                    "rank_correlation": float(np.mean(correlations)),
                }
            )
    return rows


def yaw_bands(versions: Sequence[Version]) -> list[dict[str, Any]]:
    rows = []
    for low, high in YAW_BANDS:
        inside = [v for v in versions if v.face is not None and low <= abs(v.face.pose.yaw) < high]
        if inside:
            rows.append({"yaw": [low, high]} | _step("still", 0.0, inside))
    return rows


def report(result: dict[str, Any]) -> None:
    for row in result["steps"] + result.get("stills", []):
        name = f"yaw {row['yaw']}" if "yaw" in row else f"{row['kind']} {row['strength']:g}"
        rejected = ", ".join(f"{level} {share:.2f}" for level, share in row["rejected"].items())
        print(
            f"{name}: {row['pairs']} pairs, found {row['found']:.2f}, median similarity {row['similarity']:.1f}, "
            f"match {row['match']:.2f}, brightness {row['brightness']:.0f}, sharpness {row['sharpness']:.0f}, "
            f"rejected: {rejected}"
        )
    for row in result["filters"] + result.get("filters_on_stills", []):
        reasons = ", ".join(f"{name} {n['matching']}/{n['not_matching']}" for name, n in row["reasons"].items())
        print(
            f"{row['level']}: rejects {row['not_matching_rejected']:.3f} of {row['not_matching']} that do not match, "
            f"{row['matching_rejected']:.3f} of {row['matching']} that do ({reasons})"
        )
    for row in result["order"]:
        print(
            f"{row['kind']}: {row['measure']} falls in {row['falls']:.3f} of {row['steps']} steps, "
            f"rank correlation {row['rank_correlation']:.2f}"
        )


def _version(kind: str, strength: float, pair: int, source: Face | None, result: FacesResult, pack: str) -> Version:
    face = pipeline.central(result)
    if face is None or source is None or face.embedding is None or source.embedding is None:
        return Version(kind, strength, pair, None, 0.0, 0.0)
    likeness = similarity.of_pack(pack).similarity(float(source.embedding @ face.embedding))
    return Version(kind, strength, pair, face, _side(face, (result.height, result.width)), likeness)


def _side(face: Face | None, shape: tuple[int, ...]) -> float:
    """The shorter side of a face's box, in pixels of a picture of `shape` (height, width)."""
    return FACE_SIDE if face is None else min(face.box.width * shape[1], face.box.height * shape[0])


def _turn(result: FacesResult) -> float:
    face = pipeline.central(result)
    return 0.0 if face is None else abs(face.pose.yaw)


def _step(kind: str, strength: float, versions: Sequence[Version]) -> dict[str, Any]:
    faces = [version.face for version in versions if version.face is not None]
    return {
        "kind": kind,
        "strength": strength,
        "pairs": len(versions),
        "found": len(faces) / len(versions),
        "similarity": float(np.median([version.likeness for version in versions])),
        "match": sum(version.likeness >= MATCH for version in versions) / len(versions),
        "brightness": float(np.median([face.quality.brightness for face in faces])) if faces else 0.0,
        "sharpness": float(np.median([face.quality.sharpness for face in faces])) if faces else 0.0,
        "rejected": {
            level: _share([version.rejected(level) for version in versions])
            for level in ("low", "auto", "medium", "high")
        },
    }


def _series(versions: Sequence[Version], kind: str, measure: str, pair: int) -> list[float]:
    faces = [v.face for v in versions if v.pair == pair and v.kind in ("untouched", kind) and v.face is not None]
    return [float(getattr(face.quality, measure)) for face in faces]


def _spearman(values: Sequence[float]) -> float:
    """Of values with their places; negative when they fall. 0 where all are equal."""
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    return float(np.corrcoef(ranks, np.arange(len(values)))[0, 1])


def _share(rejected: Sequence[tuple[str, ...]]) -> float:
    return sum(bool(reasons) for reasons in rejected) / len(rejected) if rejected else 0.0


if __name__ == "__main__":
    sys.exit(main())
