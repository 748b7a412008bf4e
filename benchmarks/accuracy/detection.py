"""Face detection through an endpoint: recall and precision of DetectFaces on pictures with known faces.

A labelled box is found when a detection overlaps it by at least 0.35 (intersection over union: the labels are looser
and tighter than the service's boxes); a labelled nose when it lies in a detection. Detections beyond the labels count
as false only where the labels list every face. Small faces (so marked, or with eyes under 5 pixels apart) are apart.

The same pictures are then shown turned and darkened, and the portraits of `--portraits` shrunk onto a large canvas,
half covered and in a crowd of more than a hundred (benchmarks/accuracy/detection_subsets.py).
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.accuracy import detection_subsets

LEAST_OVERLAP = 0.35
SMALL_EYE_DISTANCE_PIXELS = 5
EXAMPLE = "Example: python -m benchmarks.accuracy.detection ../shared/evaldata/face_detection"
Rectangle = tuple[float, float, float, float]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy.detection", description=__doc__, epilog=EXAMPLE
    )
    parser.add_argument("folder", type=Path, help="folder with annotations.json (items with faces)")
    parser.add_argument(
        "--portraits", type=Path, help="folder of the same form, the face in the middle of each picture"
    )
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    client = endpoint.chosen(arguments).client()
    result = measure(client, arguments.folder) | {"subsets": detection_subsets.labelled(client, arguments.folder)}
    if arguments.portraits:
        result["subsets"] += detection_subsets.portraits(client, arguments.portraits)
        result["many"] = detection_subsets.many(client, arguments.portraits)
    print(f"recall {result['recall']:.3f} of {result['faces']} faces that are not small")
    print(f"recall {result['recall_small']:.3f} of {result['faces_small']} small faces")
    print(f"precision {result['precision']:.3f} where every face is labelled")
    for row in result["confidence"]:
        print(f"  of detections with confidence {row['from']}..{row['to']}: {row['right']} of {row['all']} right")
    for label, row in result["recall_by_label"].items():
        print(f"  of those labelled {label}: {row['found']} of {row['faces']}")
    for row in result["subsets"]:
        precision = f", precision {row['precision']:.3f}" if row["precision"] is not None else ""
        print(f"{row['subset']}: recall {row['found'] / row['faces']:.3f} of {row['faces']}{precision}")
    if "many" in result:
        print(
            "{faces} faces in one picture: {answered} answered, {largest} of them the largest".format(**result["many"])
        )
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'detection': result})}")
    return 0


def measure(client: Any, folder: Path) -> dict[str, Any]:
    """The figures of one data folder; see the module's text."""
    found: dict[bool, list[bool]] = {True: [], False: []}
    judged: list[tuple[float, bool]] = []
    by_label: dict[str, list[bool]] = {}
    for item in tqdm(json.loads((folder / "annotations.json").read_text())["items"], file=sys.stderr):
        answer = client.detect_faces(Image={"Bytes": (folder / item["file"]).read_bytes()})
        hits = matched(item, answer["FaceDetails"])
        for face, hit in zip(item["faces"], hits, strict=True):
            found[is_small(face)].append(hit is not None)
            if not is_small(face):
                by_label.setdefault(face.get("label") or "by points", []).append(hit is not None)
        if item["exhaustive"]:
            judged += [(face["Confidence"], n in hits) for n, face in enumerate(answer["FaceDetails"])]
    return {
        "faces": len(found[False]),
        "recall": sum(found[False]) / len(found[False]),
        "faces_small": len(found[True]),
        "recall_small": sum(found[True]) / len(found[True]),
        "recall_by_label": {
            label: {"found": sum(hits), "faces": len(hits)} for label, hits in sorted(by_label.items())
        },
        "precision": sum(right for _, right in judged) / len(judged),
        "confidence": [
            _share_right(judged, low, high) for low, high in ((0, 50), (50, 75), (75, 90), (90, 99), (99, 100.1))
        ],
    }


def matched(
    item: dict[str, Any], details: list[dict[str, Any]], least_overlap: float = LEAST_OVERLAP
) -> list[int | None]:
    """For each labelled face the FaceDetail that it is found by, by its number, each once."""
    boxes = [_pixels(face["BoundingBox"], item) for face in details]
    hits: list[int | None] = []
    for face in item["faces"]:
        free = (n for n, box in enumerate(boxes) if n not in hits and _is_found(face, box, least_overlap))
        hits.append(next(free, None))
    return hits


def is_small(face: dict[str, Any]) -> bool:
    """Whether a labelled face is so marked, or its eyes are under 5 pixels apart."""
    eyes: float | None = face.get("eye_distance")
    return bool(face.get("small")) or (eyes is not None and eyes < SMALL_EYE_DISTANCE_PIXELS)


def _share_right(judged: list[tuple[float, bool]], low: float, high: float) -> dict[str, Any]:
    inside = [right for confidence, right in judged if low <= confidence < high]
    return {"from": low, "to": min(high, 100), "all": len(inside), "right": sum(inside)}


def _pixels(box: dict[str, float], item: dict[str, Any]) -> Rectangle:
    wide, high = item["width"], item["height"]
    return box["Left"] * wide, box["Top"] * high, box["Width"] * wide, box["Height"] * high


def _is_found(face: dict[str, Any], box: Rectangle, least_overlap: float) -> bool:
    if face["box"] is not None:
        return _overlap(face["box"], box) >= least_overlap
    x, y = face["points"]["nose"]
    return bool(box[0] <= x <= box[0] + box[2] and box[1] <= y <= box[1] + box[3])


def _overlap(one: Rectangle, other: Rectangle) -> float:
    wide = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    high = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(0.0, wide) * max(0.0, high)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


if __name__ == "__main__":
    sys.exit(main())
