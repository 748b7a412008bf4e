"""Named people in a clip of stills: who is found in a collection of six of them, when, and under how many indices.

The clip shows nine people one after the other, three of them twice; six are enrolled by a still of another clip. A
search by person, with the mean of a person's best faces as StartFaceSearch does it, stands beside one of each frame's
face on its own.
"""

import argparse
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import record
from benchmarks.accuracy import clips
from benchmarks.accuracy.tracking import VARIANTS
from benchmarks.pipeline import Models, faces_of
from inference import similarity
from inference.pipelines.request import FacesRequest
from inference.similarity import Calibration
from inference.types import Embedding
from inference.video import people
from inference.video.people import Look

CLIP = "faces"
THRESHOLDS = (50.0, 80.0, 95.0, 99.0)
DEFAULT_THRESHOLD = 80.0
PER_SECOND = 5.0
EXAMPLE = (
    "Example: python -m benchmarks.accuracy.video_faces ../shared/evaldata/video --models models --save video_faces"
)


@dataclass(frozen=True, eq=False)
class Moment:
    """A face at a time: whose it is, under which index it was found, and whom a search took it for."""

    appearance: int
    identity: str
    index: int | None
    found: str | None


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.video_faces", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, help="folder with annotations.json and clips/")
    parser.add_argument("--models", type=Path, required=True, help="folder of the installed packs")
    parser.add_argument("--pack", default="base")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    result = measure(arguments.folder, Models(arguments.models, arguments.pack))
    print(f"{result['looks']} looks, {result['look_ms']:.0f} ms each; followed at {result['follow_ms']:.1f} ms a look")
    for row in result["search"]:
        print(
            f"{row['search']:16} threshold {row['threshold']:.0f}: recall {row['recall']:.3f} of moments "
            f"({row['appearances_found']} of {row['appearances_enrolled']} appearances), "
            f"wrong {row['wrong']:.3f} ({row['appearances_wrong']} appearances)"
        )
    for row in result["grouping"]:
        print(f"{row['variant']:19} {row['indices']} indices for {row['people']} people, purity {row['purity']:.3f}")
    for row in result["appearances"]:
        print(f"  {row['start_ms']:6} {row['identity']:18} {row['found']} similarity {row['similarity']}")
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'video_faces': result})}")
    return 0


def measure(folder: Path, models: Models) -> dict[str, Any]:
    clip = clips.annotations(folder, CLIP)
    calibration = similarity.of_pack(models.pack)
    enrolled = _enrolled(folder, clip, models)
    seen = clips.looked_at(clips.pictures(folder / clip["file"], PER_SECOND), clips.load(models))
    start = time.perf_counter()
    by_person = _by_person(seen.looks, clip, enrolled, calibration, DEFAULT_THRESHOLD, {})
    followed = 1000 * (time.perf_counter() - start) / len(seen.looks)
    searches: dict[str, Callable[[float], list[Moment]]] = {
        "by person": lambda threshold: _by_person(seen.looks, clip, enrolled, calibration, threshold, {}),
        "frame by frame": lambda threshold: _by_frame(seen.looks, clip, enrolled, calibration, threshold),
    }
    return {
        "looks": len(seen.looks),
        "look_ms": seen.milliseconds,
        "follow_ms": followed,
        "search": [
            {"search": name, "threshold": threshold} | _figures(search(threshold), clip, enrolled)
            for name, search in searches.items()
            for threshold in THRESHOLDS
        ],
        "grouping": [
            {"variant": name} | _grouping(_by_person(seen.looks, clip, enrolled, calibration, DEFAULT_THRESHOLD, asked))
            for name, asked in VARIANTS.items()
        ],
        "appearances": _appearances(by_person, seen.looks, clip, enrolled, calibration),
    }


def _enrolled(folder: Path, clip: dict[str, Any], models: Models) -> dict[str, Embedding]:
    """The embedding of each enrolled person."""
    files = [(folder / one["image"]).read_bytes() for one in clip["enroll"]]
    found = faces_of(files, FacesRequest(embed="largest"), models)
    embeddings = {}
    for one, result in zip(clip["enroll"], found, strict=True):
        assert result.faces[0].embedding is not None
        embeddings[one["identity"]] = result.faces[0].embedding
    return embeddings


def _by_person(
    looks: Sequence[Look],
    clip: dict[str, Any],
    enrolled: Mapping[str, Embedding],
    calibration: Calibration,
    threshold: float,
    asked: dict[str, Any],
) -> list[Moment]:
    moments = []
    with people.followed(looks, **asked) as followed:
        found = {
            person.index: _nearest(person.template, enrolled, calibration, threshold)
            for person in followed.persons
            if person.template is not None
        }
        for at_ms, seen in followed.moments():
            place = _appearance_at(clip, at_ms)
            # The clip has one named face at a time, the largest; others are in the background of a still.
            faces = [(one.face.box.area, one) for one in seen if one.face is not None]
            shown = max(faces, key=itemgetter(0))[1] if faces else None
            if place is not None and shown is not None:
                identity = clip["appearances"][place]["identity"]
                moments.append(Moment(place, identity, shown.index, found.get(shown.index)))
    return moments


def _by_frame(
    looks: Sequence[Look],
    clip: dict[str, Any],
    enrolled: Mapping[str, Embedding],
    calibration: Calibration,
    threshold: float,
) -> list[Moment]:
    moments = []
    for at_ms, seen in looks:
        place = _appearance_at(clip, at_ms)
        if place is not None and seen.faces and seen.faces[0].embedding is not None:
            found = _nearest(seen.faces[0].embedding, enrolled, calibration, threshold)
            moments.append(Moment(place, clip["appearances"][place]["identity"], None, found))
    return moments


def _nearest(
    embedding: Embedding, enrolled: Mapping[str, Embedding], calibration: Calibration, threshold: float
) -> str | None:
    similar = {name: calibration.similarity(float(one @ embedding)) for name, one in enrolled.items()}
    name = max(similar, key=similar.__getitem__)
    return name if similar[name] >= threshold else None


def _appearance_at(clip: dict[str, Any], at_ms: int) -> int | None:
    return next((n for n, one in enumerate(clip["appearances"]) if one["start_ms"] <= at_ms < one["end_ms"]), None)


def _figures(moments: Sequence[Moment], clip: dict[str, Any], enrolled: Mapping[str, Embedding]) -> dict[str, Any]:
    """Moments count by the looks at the clip; an appearance is found when most of its looks are right, and wrong when
    any of them names somebody else."""
    looks = Counter[int]()
    right, wrong = Counter[int](), Counter[int]()
    for one in moments:
        looks[one.appearance] += 1
        right[one.appearance] += one.found == one.identity
        wrong[one.appearance] += one.found is not None and one.found != one.identity
    known = [n for n, one in enumerate(clip["appearances"]) if one["identity"] in enrolled]
    return {
        "recall": sum(right[n] for n in known) / sum(looks[n] for n in known),
        "wrong": sum(wrong.values()) / sum(looks.values()),
        "appearances_enrolled": len(known),
        "appearances_found": sum(right[n] > looks[n] / 2 for n in known),
        "appearances_wrong": sum(count > 0 for count in wrong.values()),
    }


def _grouping(moments: Sequence[Moment]) -> dict[str, Any]:
    """Purity: the share of looks that are the person's to whom most looks under their index belong."""
    whose: dict[int | None, Counter[str]] = defaultdict(Counter)
    for one in moments:
        whose[one.index][one.identity] += 1
    return {
        "people": len({one.identity for one in moments}),
        "indices": len(whose),
        "purity": sum(max(counts.values()) for counts in whose.values()) / len(moments),
        "people_of_one_index": sum(
            len({one.index for one in moments if one.identity == name}) == 1
            for name in {one.identity for one in moments}
        ),
    }


def _appearances(
    moments: Sequence[Moment],
    looks: Sequence[Look],
    clip: dict[str, Any],
    enrolled: Mapping[str, Embedding],
    calibration: Calibration,
) -> list[dict[str, Any]]:
    """Each appearance, whom it was taken for, and the similarity of its person to the nearest of the enrolled."""
    with people.followed(looks) as followed:
        templates = {person.index: person.template for person in followed.persons}
    rows = []
    for n, one in enumerate(clip["appearances"]):
        indices = Counter(moment.index for moment in moments if moment.appearance == n)
        index = indices.most_common(1)[0][0] if indices else None
        template = None if index is None else templates[index]
        nearest = (
            None
            if template is None
            else max(calibration.similarity(float(np.dot(known, template))) for known in enrolled.values())
        )
        found = Counter(moment.found for moment in moments if moment.appearance == n)
        rows.append(
            one
            | {
                "enrolled": one["identity"] in enrolled,
                "index": index,
                "similarity": None if nearest is None else round(nearest, 1),
                "found": {name or "nobody": count for name, count in found.items()},
            }
        )
    return rows


if __name__ == "__main__":
    sys.exit(main())
