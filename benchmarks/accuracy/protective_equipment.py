"""Protective equipment through an endpoint: persons, helmets, masks and gloves of DetectProtectiveEquipment.

The folder holds the sets ppe (boxes of persons, hard hats and gloves), face_cover (masks, by picture), face_detection
(masks, by face) and object_detection (everyday pictures, to count what is seen on people who hardly wear any). Answers
give no box of a body part, so covers are compared person by person: a labelled item is of the person in whose box (for
helmets: upper half of it) its middle lies, of several of the one whose box's middle column is nearest.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.accuracy.verification import large_enough

LEAST_OVERLAP, LEAST_TOUCH = 0.5, 0.2
HANDS = ("LEFT_HAND", "RIGHT_HAND")
BANDS = ((50, 60), (60, 75), (75, 90), (90, 100.1))
EXAMPLE = "Example: python -m benchmarks.accuracy.protective_equipment ../shared/evaldata --save protective_equipment"
Rectangle = tuple[float, float, float, float]
"""Left, top, width, height in pixels."""
Seen = list[tuple[dict[str, Any], dict[str, Any]]]
"""A labelled picture with its answer."""
Judged = list[tuple[bool, float]]
"""Whether something is worn, and the confidence of the answered item, 0 without one."""


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.protective_equipment", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    result = measure(endpoint.chosen(arguments).client(), arguments.folder)
    print(json.dumps(result, indent=1))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'protective_equipment': result})}")
    return 0


def measure(client: Any, folder: Path) -> dict[str, Any]:
    """All figures; see the module's text."""
    work, portraits, groups, everyday = (
        _answers(client, folder / name) for name in ("ppe", "face_cover", "face_detection", "object_detection")
    )
    return {
        "persons": _persons(work),
        "head_cover": {
            "by_person": _confusion(_all(helmets, work)),
            "boxes": _boxes(work, "hard-hat", "HEAD_COVER"),
        },
        "hand_cover": {"by_hand": _confusion(_all(gloves, work)), "boxes": _boxes(work, "gloves", "HAND_COVER")},
        "face_cover": {
            "by_picture": _by_picture(portraits),
            "by_face": _by_face([pair for pair in groups if pair[0]["source"] == "mask"]),
            "at_work": {"faces": len(_parts(work, ("FACE",))), "covers": len(_items(work, "FACE_COVER"))},
        },
        "everyday": {
            "persons": sum(len(answer["Persons"]) for _, answer in everyday),
            **{
                kind: {"parts": len(_parts(everyday, names)), "covers": len(_items(everyday, kind))}
                for kind, names in (
                    ("FACE_COVER", ("FACE",)),
                    ("HAND_COVER", HANDS),
                    ("HEAD_COVER", ("HEAD",)),
                )
            },
        },
    }


def _answers(client: Any, folder: Path) -> Seen:
    items = json.loads((folder / "annotations.json").read_text())["items"]
    seen = []
    for item in tqdm(items, desc=folder.name, file=sys.stderr):
        data = large_enough((folder / item["file"]).read_bytes())
        seen.append((item, client.detect_protective_equipment(Image={"Bytes": data})))
    return seen


def _persons(seen: Seen) -> dict[str, Any]:
    """Found at an overlap of at least 0.5 (intersection over union), each label once, surest persons first."""
    labelled = sum(len(_labelled(item, "person")) for item, _ in seen)
    judged = [one for item, answer in seen for one in person_hits(item, answer)]
    found = sum(right for right, _ in judged)
    return {
        "labelled": labelled,
        "answered": len(judged),
        "found": found,
        "recall": round(found / labelled, 3),
        "precision": round(found / len(judged), 3),
        "confidence": _reliability(judged),
    }


def person_hits(item: dict[str, Any], answer: dict[str, Any]) -> list[tuple[bool, float]]:
    """The answered persons of a picture, surest first: whether one is labelled there, each once, and the confidence."""
    free, judged = _labelled(item, "person"), []
    for person in sorted(answer["Persons"], key=lambda one: -one["Confidence"]):
        box = _pixels(person["BoundingBox"], item)
        best = max(free, key=lambda label: _overlap(box, label), default=None)
        right = best is not None and _overlap(box, best) >= LEAST_OVERLAP
        if best is not None and right:
            free.remove(best)
        judged.append((right, person["Confidence"]))
    return judged


def helmets(item: dict[str, Any], answer: dict[str, Any]) -> Judged:
    """Of the answered persons with a head: who has a labelled helmet, and who an answered one.

    A labelled helmet is also of everyone on whom one was answered that touches it: one person may be answered twice.
    """
    pairs = []
    labelled, owners = _labelled(item, "hard-hat"), _owners(item, answer, "hard-hat", 0.5)
    for number, person in enumerate(answer["Persons"]):
        for head in (part for part in person["BodyParts"] if part["Name"] == "HEAD"):
            covers = head["EquipmentDetections"]
            touched = any(_touches(one, labelled, item) for one in covers)
            pairs.append((number in owners or touched, max((one["Confidence"] for one in covers), default=0.0)))
    return pairs


def gloves(item: dict[str, Any], answer: dict[str, Any]) -> Judged:
    """Of the answered hands: which wear a glove, by label and by answer.

    The labels do not say which hand is bare. So hands count as gloved where the person has a labelled glove for each
    answered hand or the answered cover touches one, as bare where the person has none at all; others are left out.
    """
    pairs = []
    labelled, owners = _labelled(item, "gloves"), _owners(item, answer, "gloves", 1.0)
    for number, person in enumerate(answer["Persons"]):
        hands = [part["EquipmentDetections"] for part in person["BodyParts"] if part["Name"] in HANDS]
        for covers in hands:
            touched = any(_touches(one, labelled, item) for one in covers)
            gloved = touched or owners.count(number) >= len(hands)
            if gloved or number not in owners:
                pairs.append((gloved, max((one["Confidence"] for one in covers), default=0.0)))
    return pairs


def masks(item: dict[str, Any], answer: dict[str, Any]) -> Judged:
    """Of a picture with an answered face, once: whether it shows a mask, by label and by answer."""
    if not _parts([(item, answer)], ("FACE",)):
        return []
    sure = [one["Confidence"] for one in _items([(item, answer)], "FACE_COVER")]
    return [(item["face_cover"], max(sure, default=0.0))]


def _touches(cover: dict[str, Any], labelled: Sequence[Rectangle], item: dict[str, Any]) -> bool:
    box = _pixels(cover["BoundingBox"], item)
    return any(_overlap(box, one) >= LEAST_TOUCH for one in labelled)


def _owners(item: dict[str, Any], answer: dict[str, Any], label: str, share: float) -> list[int | None]:
    """The persons of the labelled items, by their numbers in the answer."""
    boxes = [_pixels(person["BoundingBox"], item) for person in answer["Persons"]]
    return [_owner(box, boxes, share) for box in _labelled(item, label)]


def _owner(item: Rectangle, boxes: Sequence[Rectangle], share: float) -> int | None:
    """The person in the upper `share` of whose box, a tenth larger, an item's middle lies."""
    x, y = item[0] + item[2] / 2, item[1] + item[3] / 2
    near = [
        (abs(x - left - width / 2), number)
        for number, (left, top, width, height) in enumerate(boxes)
        if -0.1 * width <= x - left <= 1.1 * width and -0.1 * height <= y - top <= share * height
    ]
    return min(near)[1] if near else None


def _boxes(seen: Seen, label: str, kind: str) -> dict[str, Any]:
    """Labelled boxes that an answered one overlaps by half, and the median overlap of those that any touches."""
    overlaps = []
    for item, answer in seen:
        answered = [_pixels(one["BoundingBox"], item) for one in _items([(item, answer)], kind)]
        overlaps += [max((_overlap(box, one) for one in answered), default=0.0) for box in _labelled(item, label)]
    return {
        "labelled": len(overlaps),
        "found": sum(overlap >= LEAST_OVERLAP for overlap in overlaps),
        "median_overlap": round(statistics.median([overlap for overlap in overlaps if overlap > 0]), 3),
    }


def _by_picture(seen: Seen) -> dict[str, Any]:
    return {"pictures": len(seen)} | _confusion(_all(masks, seen))


def _all(judge: Callable[[dict[str, Any], dict[str, Any]], Judged], seen: Seen) -> Judged:
    return [pair for item, answer in seen for pair in judge(item, answer)]


def _by_face(seen: Seen) -> dict[str, Any]:
    """Of labelled faces by state: on how many a cover was answered, and of how many of those that it covers the face.

    Faces of persons that were not answered count as without.
    """
    counts = {state: {"faces": 0, "cover": 0, "covering": 0} for state in STATES}
    for item, answer in seen:
        covers = _items([(item, answer)], "FACE_COVER")
        for face in item["faces"]:
            on = [one for one in covers if face["box"] and _inside(_pixels(one["BoundingBox"], item), face["box"])]
            count = counts[face["label"]]
            count["faces"] += 1
            count["cover"] += bool(on)
            count["covering"] += any(one["CoversBodyPart"]["Value"] for one in on)
    return counts


STATES = ("with_mask", "without_mask", "mask_weared_incorrect")


def _confusion(pairs: Judged) -> dict[str, Any]:
    with_item = [sure > 0 for truth, sure in pairs if truth]
    without = [sure == 0 for truth, sure in pairs if not truth]
    return {
        "with": {"answered": sum(with_item), "not_answered": len(with_item) - sum(with_item)},
        "without": {"answered": len(without) - sum(without), "not_answered": sum(without)},
        "balanced_accuracy": round((statistics.mean(with_item) + statistics.mean(without)) / 2, 3),
        "confidence": _reliability([(truth, sure) for truth, sure in pairs if sure]),
    }


def _reliability(judged: Sequence[tuple[bool, float]]) -> list[dict[str, float | int]]:
    inside = [(low, high, [right for right, sure in judged if low <= sure < high]) for low, high in BANDS]
    return [{"from": low, "to": min(high, 100), "all": len(got), "right": sum(got)} for low, high, got in inside]


def _parts(seen: Seen, names: Sequence[str]) -> list[dict[str, Any]]:
    persons = [person for _, answer in seen for person in answer["Persons"]]
    return [part for person in persons for part in person["BodyParts"] if part["Name"] in names]


def _items(seen: Seen, kind: str) -> list[dict[str, Any]]:
    parts = [part for _, answer in seen for person in answer["Persons"] for part in person["BodyParts"]]
    return [one for part in parts for one in part["EquipmentDetections"] if one["Type"] == kind]


def _labelled(item: dict[str, Any], label: str) -> list[Rectangle]:
    return [tuple(one["box"]) for one in item["objects"] if one["label"] == label]


def _pixels(box: dict[str, float], item: dict[str, Any]) -> Rectangle:
    width, height = item["width"], item["height"]
    return box["Left"] * width, box["Top"] * height, box["Width"] * width, box["Height"] * height


def _inside(box: Rectangle, face: Sequence[float]) -> bool:
    x, y = box[0] + box[2] / 2, box[1] + box[3] / 2
    return face[0] <= x <= face[0] + face[2] and face[1] <= y <= face[1] + face[3]


def _overlap(one: Rectangle, other: Rectangle) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0.0) * max(height, 0.0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


if __name__ == "__main__":
    sys.exit(main())
