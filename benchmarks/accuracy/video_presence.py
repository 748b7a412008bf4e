"""Jobs through the whole service on labelled clips: when things, faces, words and known people are in the picture.

A look is right when it says of a thing what the labels of the clip say of that time; looks within the clip's tolerance
of a beginning or an end do not count. Moderation has only pictures without anything to find: every label is a false
alarm. The celebrities are the six enrolled people of the clip `faces`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import own_stack, record
from benchmarks.video_jobs import add_bucket, finished

EXAMPLE = "Example: python -m benchmarks.accuracy.video_presence ../shared/evaldata/video --save video_presence"
FACES_TOLERANCE_MS = 250

Element = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """Whether the elements of a job's results, at the times they have, are about a thing that the labels have from
    `start_ms` to `end_ms`, several times perhaps."""

    clip: str
    operation: str
    thing: str
    spans: tuple[tuple[int, int], ...]
    tolerance_ms: int
    is_about: Callable[[Element], bool]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.video_presence", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, help="folder with annotations.json and clips/")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    clips = {Path(item["file"]).stem: item for item in json.loads((folder / "annotations.json").read_text())["items"]}
    with tempfile.TemporaryDirectory(prefix="rek") as place, own_stack.serve(Path(place)) as stack:
        add_bucket(stack, folder / "clips")
        _load_celebrities(stack, folder, clips["faces"], Path(place) / "people")
        result = measure(stack, clips)
    for row in result["presence"]:
        print(
            f"{row['operation']:22s} {row['clip']:12s} {row['thing']:18s}: recall {row['recall']:.3f}, "
            f"precision {row['precision']:.3f} of {row['looks']} looks, {row['looks_with_it']} with it"
        )
    print(f"moderation: {result['moderation']['false_alarms']} of {result['moderation']['looks']} looks with a label")
    if arguments.save:
        print(f"saved {record.save(arguments.save, result)}")
    return 0


def measure(stack: own_stack.Stack, clips: Mapping[str, Element]) -> dict[str, Any]:
    client = stack.endpoint.client()
    rates = {
        "text_detection": stack.settings.video_text_frames_per_second,
        "content_moderation": stack.settings.video_moderation_frames_per_second,
    }
    seen: dict[tuple[str, str], list[Element]] = {}

    def elements(operation: str, clip: str) -> list[Element]:
        if (operation, clip) not in seen:
            seen[operation, clip] = finished(client, operation, f"{clip}.mp4")
        return seen[operation, clip]

    rows = []
    for one in tqdm(list(questions(clips)), desc="questions", file=sys.stderr):
        step = 1000 / rates.get(one.operation, stack.settings.video_frames_per_second)
        found = {element["Timestamp"] for element in elements(one.operation, one.clip) if one.is_about(element)}
        row = _scored(one, found, step, clips[one.clip])
        # What shows for less than the tolerance cannot be judged.
        if row["looks_with_it"]:
            rows.append(row)
    looks = {clip: _duration_ms(item) * rates["content_moderation"] / 1000 for clip, item in clips.items()}
    alarms = {clip: {element["Timestamp"] for element in elements("content_moderation", clip)} for clip in clips}
    return {
        "presence": rows,
        "moderation": {
            "looks": round(sum(looks.values())),
            "false_alarms": sum(map(len, alarms.values())),
            "by_clip": {clip: len(times) for clip, times in alarms.items()},
        },
    }


def questions(clips: Mapping[str, Element]) -> Iterator[Question]:
    """All that the labels of the clips can tell of."""
    for clip, thing in (("one_by_one", "Person"), ("cars", "Car")):
        spans = tuple((one["start_ms"], one["end_ms"]) for one in clips[clip]["presence"])
        tolerance = clips[clip]["tolerance_ms"]
        yield Question(clip, "label_detection", thing, spans, tolerance, _is_label(thing))
        if thing == "Person":
            yield Question(clip, "person_tracking", thing, spans, tolerance, lambda element: True)
    host = clips["host"]
    (face,) = host["faces"]
    spans = ((face["start_ms"], face["end_ms"]),)
    yield Question("host", "face_detection", "a face", spans, host["tolerance_ms"], lambda element: True)
    for text in host["texts"]:
        spans = ((text["start_ms"], text["end_ms"]),)
        yield Question("host", "text_detection", text["text"], spans, host["tolerance_ms"], _is_text(text["text"]))
    enrolled = [one["identity"] for one in clips["faces"]["enroll"]]
    for name in enrolled:
        spans = tuple(
            (one["start_ms"], one["end_ms"]) for one in clips["faces"]["appearances"] if one["identity"] == name
        )
        yield Question("faces", "celebrity_recognition", name, spans, FACES_TOLERANCE_MS, _is_celebrity(name))


def _scored(asked: Question, found: set[int], step_ms: float, clip: Element) -> dict[str, Any]:
    looks = right = missed = wrong = 0
    duration = _duration_ms(clip)
    for number in range(int(duration / step_ms)):
        at = number * step_ms
        if any(abs(at - edge) <= asked.tolerance_ms for span in asked.spans for edge in span):
            continue
        is_there = any(start < at < end for start, end in asked.spans)
        is_found = any(at - step_ms < time <= at for time in found)
        looks += 1
        right += is_there and is_found
        missed += is_there and not is_found
        wrong += is_found and not is_there
    return {
        "clip": asked.clip,
        "operation": asked.operation,
        "thing": asked.thing,
        "looks": looks,
        "looks_with_it": right + missed,
        "recall": right / max(right + missed, 1),
        "precision": right / max(right + wrong, 1),
    }


def _is_label(name: str) -> Callable[[Element], bool]:
    return lambda element: element["Label"]["Name"] == name


def _is_text(text: str) -> Callable[[Element], bool]:
    words = [word.lower() for word in text.split()]
    return lambda element: any(word in element["TextDetection"]["DetectedText"].lower().split() for word in words)


def _is_celebrity(name: str) -> Callable[[Element], bool]:
    return lambda element: element["Celebrity"]["Name"] == name


def _duration_ms(clip: Element) -> float:
    return float(clip["frames"] / clip["fps"] * 1000)


def _load_celebrities(stack: own_stack.Stack, folder: Path, clip: Element, people: Path) -> None:
    for one in clip["enroll"]:
        (people / one["identity"]).mkdir(parents=True)
        (people / one["identity"] / "1.jpg").write_bytes((folder / one["image"]).read_bytes())
    command = [sys.executable, "-P", "-m", "openrek", "celebrities", "import", str(people)]
    subprocess.run(command, env=dict(stack.environment), check=True, stdout=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
