"""Shots and technical cues on clips with known cuts and cues, beside PySceneDetect's detectors on the same files.

A found change and a true one match when their frames overlap within the clip's own tolerance, each once. PySceneDetect
runs with its defaults. `composed` are programmes made here of pictures that nothing was fitted on. Cues are also tried
on material drawn here, with what could be taken for them. Text is read by the pack's networks in this process.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scenedetect
from scenedetect import detectors
from tqdm import tqdm

from benchmarks import record
from benchmarks.accuracy import cue_trials
from benchmarks.accuracy.cue_trials import Reader
from benchmarks.inputs import composed, programmes
from inference.video import shots
from inference.video.container import split
from inference.video.frame_features import Features, dark
from inference.video.frames import decoded

DETECTORS = ("ContentDetector", "AdaptiveDetector", "ThresholdDetector", "HistogramDetector", "HashDetector")
OURS = "OpenRek"
SINGLE = ("people_walking", "one_by_one", "cars")
BY_EYE = {"fades": [(529, 558)]}
"""Changes that are in a clip but not in its labels: a dissolve."""
TOLERANCE = 2
"""Frames, for composed programmes."""
TRIES = 3
ROUNDS = 3
EXAMPLE = "Example: python -m benchmarks.accuracy.shots ../shared/evaldata/video --save shots"

Range = tuple[int, int]
"""First frame that is not the old picture alone, and first that is the new one alone."""


@dataclass
class Tally:
    right: int = 0
    found: int = 0
    true: int = 0

    def add(self, found: Sequence[Range], true: Sequence[Range], tolerance: int) -> None:
        self.right += matches(found, true, tolerance)
        self.found += len(found)
        self.true += len(true)

    def scores(self) -> dict[str, float]:
        precision, recall = self.right / max(self.found, 1), self.right / max(self.true, 1)
        f1 = 2 * self.right / max(self.found + self.true, 1)
        return {**vars(self), "precision": precision, "recall": recall, "f1": f1}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.shots", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder with annotations.json and clips")
    parser.add_argument("--models", type=Path, required=True, help="folder where the pack `base` was pulled to")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json and NAME.png")
    arguments = parser.parse_args()
    items = {
        Path(item["file"]).stem: item
        for item in json.loads((arguments.folder / "annotations.json").read_text())["items"]
    }
    clips = {name: arguments.folder / item["file"] for name, item in items.items()}
    reader = Reader(arguments.models)
    result: dict[str, Any] = {
        "clips": {name: on_clip(clips[name], true_changes(items[name]), items[name]) for name in ("shots", "fades")},
        "single_shots": {name: false_alarms(clips[name]) for name in SINGLE},
    }
    show(result)
    with tempfile.TemporaryDirectory() as folder:
        result["composed"] = on_composed(Path(folder))
        result["hard_cases"] = on_hard_cases(Path(folder))
        show(result)
        result["cues"] = cue_trials.run(clips["shots"], items["shots"], reader, Path(folder))
    result["speed"] = {name: speed(clips[name]) for name in ("shots", "fades")}
    show(result)
    if arguments.save:
        print(f"saved {record.save(arguments.save, result)}")
        draw(clips["shots"], items["shots"], reader, record.RESULTS / f"{arguments.save}.png")
    return 0


def show(result: dict[str, Any]) -> None:
    print(json.dumps(result, indent=1), flush=True)


def true_changes(item: dict[str, Any]) -> list[Range]:
    """The labelled changes of a clip. A dissolve is labelled by its middle, a fade by its last frame."""
    if "cuts" not in item:
        return [(frame, frame) for frame in item["scene_starts"] if frame]
    ranges = []
    fades = {one["end_frame"]: one["fade_out_frames"] for one in item["segments"] if "fade_out_frames" in one}
    for cut in item["cuts"]:
        half = cut.get("length_frames", 0) / 2
        first = cut["frame"] - fades.get(cut["frame"], 0)
        ranges.append((round(first - half), round(cut["frame"] + half)))
    return ranges


def on_clip(path: Path, true: list[Range], item: dict[str, Any]) -> dict[str, Any]:
    """Scores of all detectors on one clip, ours with the positions of its cuts."""
    features = composed.features_of(path)
    between = gaps(features) if "scene_starts" in item else bounds(features)
    wanted = sorted([*true, *BY_EYE.get(path.stem, [])])
    everyone = {OURS: between} | {name: cuts(path, name) for name in DETECTORS}
    tallies = {}
    for name, ranges in everyone.items():
        tally = Tally()
        tally.add(ranges, wanted, item["tolerance_frames"])
        tallies[name] = tally.scores()
    hard = [first for first, end in wanted if first == end]
    exact = len({first for first, end in between if first == end} & set(hard))
    return {"scores": tallies, "hard": len(hard), "hard_exact": exact, "found": between}


def gaps(features: Features) -> list[Range]:
    """What lies between shots: changes, and the black to which they lead."""
    every = shots.shots(features, shots.changes(features), 50)
    return [(one.end_frame + 1, after.start_frame) for one, after in pairwise(every)]


def bounds(features: Features) -> list[Range]:
    """Where shots begin and end: what lies between them, black in it taken out."""
    ranges = []
    shown = shots.shots(features, shots.changes(features), 50)
    for first, end in [(0, shown[0].start_frame), *gaps(features), (shown[-1].end_frame + 1, len(features))]:
        black = np.flatnonzero(dark(features[first:end])) + first
        ranges += [(first, int(black[0])), (int(black[-1]) + 1, end)] if len(black) else [(first, end)]
    return [(first, end) for first, end in ranges if end > 0 and first < len(features)]


def cuts(path: Path, detector: str) -> list[Range]:
    """Where PySceneDetect's scenes begin, but for the first."""
    scenes = scenedetect.detect(str(path), getattr(detectors, detector)())
    return [(start.frame_num, start.frame_num) for start, _ in scenes[1:]]


def false_alarms(path: Path) -> dict[str, int]:
    found = {OURS: len(shots.changes(composed.features_of(path)))}
    return found | {name: len(cuts(path, name)) for name in DETECTORS}


def on_composed(folder: Path) -> dict[str, Any]:
    """Scores on programmes of our own pictures: all changes, and by kind of change how many were found; the share of
    right shots by confidence; how far soft changes are off."""
    tallies = {name: Tally() for name in (OURS, *DETECTORS)}
    kinds: dict[str, dict[str, list[int]]] = {}
    judged: list[tuple[float, bool]] = []
    every = composed.compose(composed.HELD_OUT, composed.own_pictures(), folder)
    for one in tqdm(every, total=len(composed.HELD_OUT), desc="composed", file=sys.stderr):
        features = composed.features_of(one.path)
        true = joined([(change.first, change.end) for change in one.programme.changes])
        found = shots.changes(features)
        everyone = {OURS: joined([(change.first, change.end) for change in found])}
        everyone |= {name: cuts(one.path, name) for name in DETECTORS}
        for name, ranges in everyone.items():
            tallies[name].add(ranges, true, TOLERANCE)
            for change in one.programme.changes:
                seen = kinds.setdefault(change.kind, {}).setdefault(name, [0, 0])
                seen[0] += any(touch(other, (change.first, change.end), TOLERANCE) for other in ranges)
                seen[1] += 1
        judged += [
            (change.certainty, any(touch((change.first, change.end), other, TOLERANCE) for other in true))
            for change in found
        ]
    return {
        "scores": {name: tally.scores() for name, tally in tallies.items()},
        "found_by_kind": kinds,
        "right_by_certainty": [
            {"from": low, "to": high, "right": sum(right for sure, right in judged if low <= sure < high),
             "found": sum(low <= sure < high for sure, _ in judged)}
            for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 0.99), (0.99, 1.01))
        ],
    }  # fmt: skip


def joined(ranges: Iterable[Range]) -> list[Range]:
    """A fade through black as one change, found in two halves or labelled as one."""
    merged: list[Range] = []
    for first, end in sorted(ranges):
        if merged and first - merged[-1][1] <= 6 and (end > first or merged[-1][1] > merged[-1][0]):
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((first, end))
    return merged


def on_hard_cases(folder: Path) -> dict[str, dict[str, int]]:
    """False alarms in single shots of each motion, TRIES of each."""
    counts: dict[str, dict[str, int]] = {}
    pictures = composed.own_pictures()
    for motion in programmes.MOTIONS:
        for number in range(TRIES):
            random = np.random.default_rng(number)
            path = folder / f"{motion}{number}.mp4"
            programmes.write(path, list(programmes.shot(pictures[number % len(pictures)], 75, motion, random)))
            for name, alarms in false_alarms(path).items():
                counts.setdefault(motion, {}).setdefault(name, 0)
                counts[motion][name] += alarms
    return counts


def matches(found: Sequence[Range], true: Sequence[Range], tolerance: int) -> int:
    """How many of both match, each once: the nearest first."""
    pairs = sorted(
        (abs(sum(one) - sum(other)), n, m)
        for n, one in enumerate(found)
        for m, other in enumerate(true)
        if touch(one, other, tolerance)
    )
    ours: set[int] = set()
    theirs: set[int] = set()
    for _, n, m in pairs:
        if n not in ours and m not in theirs:
            ours.add(n)
            theirs.add(m)
    return len(ours)


def touch(one: Range, other: Range, tolerance: int) -> bool:
    return one[0] - tolerance <= other[1] and other[0] - tolerance <= one[1]


def speed(path: Path) -> dict[str, float]:
    """Frames per second, medians of ROUNDS turns: decoding alone, and with the features and the search for shots."""

    def decode_only() -> int:
        with path.open("rb") as file:
            return sum(1 for part in split(file, 1e6) for _ in decoded(file, part))

    def all_of_it() -> int:
        features = composed.features_of(path)
        shots.shots(features, shots.changes(features), 50)
        return len(features)

    ways: dict[str, Callable[[], int]] = {"decoding": decode_only, "shots": all_of_it}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            start = time.perf_counter()
            rates[name].append(way() / (time.perf_counter() - start))
    medians = {name: statistics.median(values) for name, values in rates.items()}
    return {**medians, "ratio": medians["shots"] / medians["decoding"]}


def draw(path: Path, item: dict[str, Any], reader: Reader, to: Path) -> None:
    """A time line of what is labelled and what was found."""
    found = cue_trials.segments_of(path, reader)
    labelled = [(one["type"].lower(), one["start_frame"], one["end_frame"]) for one in item["segments"]]
    rows: list[tuple[str, list[tuple[str, int, int]]]] = [
        ("shots, labelled", [one for one in labelled if one[0] == "shot"]),
        ("shots, found", [("shot", shot.start_frame, shot.end_frame + 1) for shot in found.shots]),
        ("cues, labelled", [one for one in labelled if one[0] != "shot"]),
        ("cues, found", [(cue.kind.replace("_", ""), cue.start_frame, cue.end_frame) for cue in found.cues]),
    ]
    colors = {
        "shot": "tab:blue",
        "colorbars": "tab:orange",
        "blackframes": "black",
        "endcredits": "tab:green",
        "content": "lightgrey",
    }
    figure, axes = plt.subplots(figsize=(10, 2.4))
    for row, (_, segments) in enumerate(rows):
        for kind, first, end in segments:
            axes.broken_barh(
                [(first, end - first)], (-row - 0.35, 0.7), color=colors[kind], edgecolor="white", linewidth=1.5
            )
    for kind, color in list(colors.items())[1:]:
        axes.plot([], [], color=color, linewidth=8, label=kind)
    axes.set_yticks([-row for row in range(len(rows))], [name for name, _ in rows])
    axes.set_xlim(0, item["frames"])
    axes.set_xlabel("frame")
    axes.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1), frameon=False)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    figure.tight_layout()
    figure.savefig(to, dpi=120)
    print(f"drew {to}")


if __name__ == "__main__":
    sys.exit(main())
