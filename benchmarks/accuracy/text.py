"""DetectText through an endpoint on pictures with known words: what is found, what is read, what confidence means.

A labelled word is found when a WORD's polygon overlaps it by at least 0.5 (intersection over union), each word once,
and read when letters and digits agree, whatever their case. Words beyond the labels count as false, but for those that
lie mostly on text marked as unreadable. Folders of cropped words have neither boxes nor false words: each crop, on a
grey border, is read right or not. The character error rate is that of words that were found.
"""

import argparse
import io
import json
import re
import statistics
import sys
import time
from collections import Counter
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import cv2
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import endpoint, record

LEAST_OVERLAP = 0.5
BARS = (0, 10, 30, 50, 70, 80, 90, 95)
BINS = ((10, 30), (30, 50), (50, 70), (70, 80), (80, 90), (90, 95), (95, 100.1))
BORDER = 40
EXAMPLE = "Example: python -m benchmarks.accuracy.text ../shared/evaldata/scene_text ../shared/evaldata/word_crops"


@dataclass(frozen=True)
class Seen:
    """A WORD of an answer. `label`: the labelled word in its place, None without one."""

    text: str
    confidence: float
    label: str | None

    @property
    def right(self) -> bool:
        return self.label is not None and plain(self.label) == plain(self.text)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.text", description=__doc__, epilog=EXAMPLE)
    parser.add_argument(
        "folders", type=Path, nargs="+", help="folders with annotations.json (items with words or text)"
    )
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json and NAME.png")
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    client = endpoint.chosen(arguments).client()
    results, everything = {}, []
    for folder in arguments.folders:
        results[folder.name], seen = measure(client, folder)
        everything += seen
        print(folder.name, json.dumps(results[folder.name]))
    if arguments.save:
        bins = reliability(everything)
        saved = {"text": results, "confidence": bins, "confusions": confusions(everything)}
        print(f"saved {record.save(arguments.save, saved)}")
        draw(results, bins, record.RESULTS / f"{arguments.save}.png")
    return 0


def measure(client: Any, folder: Path) -> tuple[dict[str, Any], list[Seen]]:
    """The figures of one folder, and all words of the answers that are not on unreadable text."""
    items = json.loads((folder / "annotations.json").read_text())["items"]
    if "text" in items[0]:
        return _crops(client, folder, items), []
    seen: list[Seen] = []
    missed: list[str] = []
    seconds: list[float] = []
    by_turn: dict[str, list[int]] = {}
    for item in tqdm(items, desc=folder.name, file=sys.stderr):
        start = time.perf_counter()
        answered = words(client, (folder / item["file"]).read_bytes())
        seconds.append(time.perf_counter() - start)
        here, absent = match(answered, item)
        seen += here
        missed += absent
        turn = by_turn.setdefault(str(item.get("rotation_clockwise_deg", 0)), [0, 0])
        turn[0] += sum(word.right for word in here)
        turn[1] += sum(word.label is not None for word in here) + len(absent)
    labelled = sum(word.label is not None for word in seen) + len(missed)
    result = {
        "pictures": len(items),
        "words": labelled,
        "by_least_confidence": [_at(bar, seen, labelled) for bar in BARS],
        "character_error_rate": error_rate([(word.text, word.label) for word in seen if word.label is not None]),
        "median_seconds": statistics.median(seconds),
    }
    if len(by_turn) > 1:
        result["read_by_turn"] = {turn: {"read": read, "words": all_} for turn, (read, all_) in sorted(by_turn.items())}
    return result, seen


def match(words: list[dict[str, Any]], item: dict[str, Any]) -> tuple[list[Seen], list[str]]:
    """The words of one answer with the labels in their places, and the labels that nothing lies on."""
    size = (item["width"], item["height"])
    polygons = [_pixels(word, size) for word in words]
    labels = [label for label in item["words"] if not label["ignore"]]
    quads = [np.array(label["quad"], np.float32) for label in labels]
    pairs = [
        (_shared(polygon, quad)[0], plain(words[n]["DetectedText"]) == plain(labels[m]["text"]), n, m)
        for n, polygon in enumerate(polygons)
        for m, quad in enumerate(quads)
    ]
    taken: dict[int, int] = {}
    for overlap, _, n, m in sorted(pairs, reverse=True):
        if overlap >= LEAST_OVERLAP and n not in taken and m not in taken.values():
            taken[n] = m
    unreadable = [np.array(label["quad"], np.float32) for label in item["words"] if label["ignore"]]
    seen = [
        Seen(word["DetectedText"], word["Confidence"], labels[taken[n]]["text"] if n in taken else None)
        for n, (word, polygon) in enumerate(zip(words, polygons, strict=True))
        if n in taken or not any(_shared(quad, polygon)[1] > 0.5 for quad in unreadable)
    ]
    return seen, [label["text"] for m, label in enumerate(labels) if m not in taken.values()]


def reliability(seen: list[Seen]) -> list[dict[str, Any]]:
    """Of words in bins of confidence, how many lie on a labelled word and how many are right."""
    inside = [(low, high, [word for word in seen if low <= word.confidence < high]) for low, high in BINS]
    return [
        {
            "from": low,
            "to": min(high, 100),
            "words": len(words),
            "mean_confidence": statistics.mean(word.confidence for word in words) if words else None,
            "placed": sum(word.label is not None for word in words),
            "right": sum(word.right for word in words),
        }
        for low, high, words in inside
    ]


def confusions(seen: list[Seen], most: int = 20) -> list[dict[str, Any]]:
    """The characters most often read as others, in words that were found."""
    counts: Counter[tuple[str, str]] = Counter()
    for word in seen:
        label = word.label or word.text
        for kind, a, b, c, d in SequenceMatcher(None, label, word.text, autojunk=False).get_opcodes():
            if kind == "replace" and b - a == d - c:
                counts.update(zip(label[a:b], word.text[c:d], strict=True))
            elif kind != "equal":
                counts[label[a:b], word.text[c:d]] += 1
    return [{"is": is_, "read": read, "times": times} for (is_, read), times in counts.most_common(most) if times > 1]


def error_rate(pairs: list[tuple[str, str]]) -> float:
    """Edits per labelled character, whatever the case."""
    return sum(edits(read.lower(), label.lower()) for read, label in pairs) / sum(len(label) for _, label in pairs)


def edits(one: str, other: str) -> int:
    """Levenshtein's distance."""
    costs = list(range(len(other) + 1))
    for n, a in enumerate(one, 1):
        diagonal, costs[0] = costs[0], n
        for m, b in enumerate(other, 1):
            diagonal, costs[m] = costs[m], min(costs[m] + 1, costs[m - 1] + 1, diagonal + (a != b))
    return costs[-1]


def plain(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def draw(results: dict[str, Any], bins: list[dict[str, Any]], path: Path) -> None:
    """Precision against recall as MinConfidence rises, and what confidence means."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    for name, result in results.items():
        if "by_least_confidence" in result:
            rows = result["by_least_confidence"]
            left.plot([row["recall"] for row in rows], [row["precision"] for row in rows], "o-", label=name)
            for row in rows:
                left.annotate(str(row["least"]), (row["recall"], row["precision"]), fontsize=7)
    left.set(xlabel="words read right / words labelled", ylabel="right / answered", xlim=(0, 1), ylim=(0, 1))
    left.legend()
    left.set_title("MinConfidence 0 to 95")
    full = [row for row in bins if row["words"]]
    for what, mark in (("right", "o-"), ("placed", "s--")):
        shares = [100 * row[what] / row["words"] for row in full]
        right.plot([row["mean_confidence"] for row in full], shares, mark, label=f"share {what}")
    right.plot([0, 100], [0, 100], "k:", linewidth=1)
    right.set(xlabel="Confidence of words", ylabel="percent", xlim=(0, 100), ylim=(0, 100))
    right.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    plt.close(figure)


def words(client: Any, data: bytes) -> list[dict[str, Any]]:
    """The WORDs of an answer."""
    answer = client.detect_text(Image={"Bytes": data})
    return [one for one in answer["TextDetections"] if one["Type"] == "WORD"]


def _at(bar: float, seen: list[Seen], labelled: int) -> dict[str, Any]:
    kept = [word for word in seen if word.confidence >= bar]
    read = sum(word.right for word in kept)
    placed = sum(word.label is not None for word in kept)
    return {
        "least": bar,
        "answered": len(kept),
        "found": placed / labelled,
        "recall": read / labelled,
        "placed": placed / max(len(kept), 1),
        "precision": read / max(len(kept), 1),
    }


def read_crop(client: Any, data: bytes) -> str:
    """What is read in the picture of one word, shown on a grey border."""
    crop = Image.open(io.BytesIO(data)).convert("RGB")
    canvas = Image.new("RGB", (crop.width + 2 * BORDER, crop.height + 2 * BORDER), "grey")
    canvas.paste(crop, (BORDER, BORDER))
    encoded = io.BytesIO()
    canvas.save(encoded, "PNG")
    return "".join(word["DetectedText"] for word in words(client, encoded.getvalue()))


def _crops(client: Any, folder: Path, items: list[dict[str, Any]]) -> dict[str, Any]:
    shown = tqdm(items, desc=folder.name, file=sys.stderr)
    pairs = [(read_crop(client, (folder / item["file"]).read_bytes()), item["text"]) for item in shown]
    return {
        "words": len(items),
        "read": sum(plain(read) == plain(label) for read, label in pairs) / len(pairs),
        "character_error_rate": error_rate(pairs),
    }


def _pixels(word: dict[str, Any], size: tuple[int, int]) -> np.ndarray:
    return np.array([[point["X"] * size[0], point["Y"] * size[1]] for point in word["Geometry"]["Polygon"]], np.float32)


def _shared(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Intersection over union, and the share of the second that lies in the first."""
    inner = cv2.intersectConvexConvex(cv2.convexHull(one), cv2.convexHull(other))[0]
    areas = cv2.contourArea(one), cv2.contourArea(other)
    return inner / max(sum(areas) - inner, 1e-6), inner / max(areas[1], 1e-6)


if __name__ == "__main__":
    sys.exit(main())
