"""DetectLabels through an endpoint on labelled pictures: are its labels right, and does it find what is there.

The folder holds image_labels (one ImageNet class a picture), object_detection (all COCO objects),
face_verification_lfw (gender of portraits) and face_attributes (ages). A label is right when the annotations, as labels
of the taxonomy with their ancestors, have it, or when a judgement by eye (label_judgements.json) says that it is to be
seen; labels that neither knows are counted apart. The most specific labels of an answer are those without a descendant
in it.
"""

import argparse
import io
import itertools
import json
import statistics
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from benchmarks import endpoint, record
from benchmarks.accuracy import label_truth
from benchmarks.accuracy.attributes import DEGRADATIONS
from benchmarks.accuracy.detection import Rectangle
from benchmarks.accuracy.label_truth import Truth
from benchmarks.accuracy.verification import large_enough
from inference.pipelines import people
from inference.taxonomy import labels as taxonomy

BANDS = ((55, 70), (70, 80), (80, 90), (90, 95), (95, 98), (98, 100.1))
LEAST_OVERLAP = 0.5
PORTRAITS, DEGRADED = 200, 20
YEARS_OF_MAJORITY = 18
EXAMPLE = "Example: python -m benchmarks.accuracy.labels ../shared/evaldata --save labels --plot labels.png"
Answer = list[dict[str, Any]]
"""The Labels of one picture."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy.labels", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("folder", type=Path, help="folder of the sets")
    parser.add_argument("--save", metavar="NAME", help="also write benchmarks/results/NAME.json")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE", help="also draw reliability and categories (needs matplotlib)"
    )
    endpoint.add_arguments(parser)
    arguments = parser.parse_args()
    result = measure(endpoint.chosen(arguments).client(), arguments.folder)
    print(json.dumps(result, indent=1))
    if arguments.save:
        print(f"saved {record.save(arguments.save, {'labels': result})}")
    if arguments.plot:
        draw(result, arguments.plot)
    return 0


def measure(client: Any, folder: Path) -> dict[str, Any]:
    """All figures; see the module's text."""
    pairs = {
        name: [
            (truth, _ask(client, truth.picture))
            for truth in tqdm(list(label_truth.of_set(folder, name)), desc=name, file=sys.stderr)
        ]
        for name in label_truth.SETS
    }
    classes, objects = pairs["image_labels"], pairs["object_detection"]
    both = classes + objects
    return {
        "all": _right(both),
        "image_labels": _right(classes) | _one_class(classes),
        "object_detection": _right(objects) | _objects(objects) | {"boxes": _boxes(objects)},
        "confidence": _reliability(both),
        "categories": _categories(both),
        "quality": _quality(client, [truth.picture for truth, _ in objects][:DEGRADED]),
        "portraits": _portraits(client, folder / "face_verification_lfw"),
        "ages": _ages(client, folder / "face_attributes"),
    }


def _ask(client: Any, picture: Path) -> Answer:
    labels: Answer = client.detect_labels(Image={"Bytes": large_enough(picture.read_bytes())})["Labels"]
    return labels


def _judged(pairs: Iterable[tuple[Truth, Answer]]) -> Iterator[tuple[dict[str, Any], bool | None]]:
    """Each label that was answered, and whether it is right; None where nobody knows."""
    for truth, answer in pairs:
        for label in answer:
            known = label["Name"] in truth.judged
            yield label, (label["Name"] in truth.right) if known else None


def _right(pairs: Sequence[tuple[Truth, Answer]]) -> dict[str, Any]:
    judged = [right for _, right in _judged(pairs)]
    known = [right for right in judged if right is not None]
    return {
        "pictures": len(pairs),
        "labels": len(judged),
        "not_judged": len(judged) - len(known),
        "precision": _share(sum(known), len(known)),
        "pictures_without_label": sum(not answer for _, answer in pairs),
    }


def most_specific(answer: Answer) -> list[dict[str, Any]]:
    """The labels of an answer without a descendant in it."""
    above = {parent["Name"] for label in answer for parent in label["Parents"]}
    return [label for label in answer if label["Name"] not in above]


def _one_class(pairs: Sequence[tuple[Truth, Answer]]) -> dict[str, Any]:
    """How often the surest of the most specific labels is right, how often the class's own labels are all there, and
    the pictures where they are not: class, and the surest most specific label said instead."""
    surest = [(truth, next(iter(most_specific(answer)), {"Name": ""})["Name"]) for truth, answer in pairs]
    missed: Counter[tuple[str, str]] = Counter()
    for (truth, answer), (_, said) in zip(pairs, surest, strict=True):
        if not leaves(truth.annotated) <= {label["Name"] for label in answer}:
            missed[truth.item["label"], said] += 1
    return {
        "surest_specific_right": _share(sum(name in truth.right for truth, name in surest), len(surest)),
        "class_found": _share(len(pairs) - missed.total(), len(pairs)),
        "missed": [{"class": name, "said": said, "times": times} for (name, said), times in missed.most_common()],
    }


def leaves(names: Iterable[str]) -> set[str]:
    """The labels that are above no other of them."""
    listed = set(names)
    return listed - {parent for name in listed for parent in taxonomy.labels()[name].parents}


def _objects(pairs: Sequence[tuple[Truth, Answer]]) -> dict[str, Any]:
    """The share of annotated kinds of objects that are named, pictures taken together."""
    wanted = [
        (name, {label["Name"] for label in answer}) for truth, answer in pairs for name in leaves(truth.annotated)
    ]
    missed = Counter(name for name, said in wanted if name not in said)
    return {
        "kinds": len(wanted),
        "recall": _share(len(wanted) - missed.total(), len(wanted)),
        "missed_most": dict(missed.most_common(12)),
    }


def _boxes(pairs: Sequence[tuple[Truth, Answer]]) -> dict[str, Any]:
    """Instances of COCO's kinds against annotated boxes."""
    kinds = {one.labels[0] for one in taxonomy.classes("coco") if one.boxes}
    hits = [box_hits(truth.item, answer, kinds) for truth, answer in pairs]
    there = sum(sum(counts.values()) for counts, _ in hits)
    said = [right for _, some in hits for _, _, right in some]
    return {
        "there": there,
        "said": len(said),
        "right": sum(said),
        "precision": _share(sum(said), len(said)),
        "recall": _share(sum(said), there),
    }


def box_hits(
    item: dict[str, Any], answer: Answer, kinds: Collection[str]
) -> tuple[Counter[str], list[tuple[str, float, bool]]]:
    """How many boxes of each of the kinds are annotated, and the instances answered: kind, confidence, whether an
    annotated box, each once, overlaps it by half (intersection over union).

    Boxes marked as crowds, and what lies in them, do not count.
    """
    names = boxed_names()
    things = [(names.get(one["label"], one["label"]), one) for one in item["objects"]]
    wanted = [(name, _ratios(one["box"], item), one.get("crowd", False)) for name, one in things if name in kinds]
    free = [(name, box) for name, box, crowd in wanted if not crowd]
    crowds = [(name, box) for name, box, crowd in wanted if crowd]
    there = Counter(name for name, _ in free)
    said = list[tuple[str, float, bool]]()
    for label in answer:
        for instance in label["Instances"] if label["Name"] in kinds else ():
            box = tuple(instance["BoundingBox"][side] for side in ("Left", "Top", "Width", "Height"))
            hit = max(
                (one for one in free if one[0] == label["Name"]), key=lambda one: _overlap(one[1], box), default=None
            )
            if hit is not None and _overlap(hit[1], box) >= LEAST_OVERLAP:
                free.remove(hit)
                said.append((label["Name"], instance["Confidence"], True))
            elif not any(name == label["Name"] and _overlap(other, box) > 0 for name, other in crowds):
                said.append((label["Name"], instance["Confidence"], False))
    return there, said


def boxed_names() -> dict[str, str | None]:
    """COCO's classes by the label that their boxes have, None for those without boxes."""
    return {one.name: one.labels[0] if one.boxes else None for one in taxonomy.classes("coco")}


def _ratios(box: Sequence[float], item: dict[str, Any]) -> Rectangle:
    left, top, width, height = box
    return left / item["width"], top / item["height"], width / item["width"], height / item["height"]


def _overlap(one: Sequence[float], other: Sequence[float]) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    return common / (one[2] * one[3] + other[2] * other[3] - common)


def _reliability(pairs: Sequence[tuple[Truth, Answer]]) -> list[dict[str, float | int]]:
    known = [(label["Confidence"], right) for label, right in _judged(pairs) if right is not None]
    inside = [(low, high, [right for sure, right in known if low <= sure < high]) for low, high in BANDS]
    return [{"from": low, "to": min(high, 100), "all": len(got), "right": sum(got)} for low, high, got in inside]


def _categories(pairs: Sequence[tuple[Truth, Answer]]) -> dict[str, dict[str, int]]:
    """By category: labels said and right of them, annotated labels and found of them, the most specific ones only."""
    table: dict[str, Counter[str]] = {}
    for truth, answer in pairs:
        said = {label["Name"] for label in answer}
        for label in most_specific(answer):
            if label["Name"] in truth.judged:
                row = table.setdefault(label["Categories"][0]["Name"], Counter())
                row["said"] += 1
                row["right"] += label["Name"] in truth.right
        for name in leaves(truth.annotated):
            row = table.setdefault(taxonomy.labels()[name].category, Counter())
            row["there"] += 1
            row["found"] += name in said
    return {name: {key: row[key] for key in ("said", "right", "there", "found")} for name, row in sorted(table.items())}


def _portraits(client: Any, folder: Path) -> dict[str, Any]:
    """What portraits with known gender are called."""
    items = json.loads((folder / "annotations.json").read_text())["items"]
    known = [item for item in items if item["gender"]][:PORTRAITS]
    called: Counter[str] = Counter()
    for item in tqdm(known, file=sys.stderr):
        names = {label["Name"] for label in _ask(client, folder / item["file"])}
        right, wrong = ("Male", "Female") if item["gender"] == "Male" else ("Female", "Male")
        called["person"] += "Person" in names
        called["face"] += "Face" in names
        called["adult"] += "Adult" in names
        called["child"] += "Child" in names
        called["right_gender"] += right in names
        called["wrong_gender"] += wrong in names
    return {"pictures": len(known), **called}


def _ages(client: Any, folder: Path) -> dict[str, Any]:
    """How right the age ranges are by which persons are called Adult or Child."""
    called: Counter[str] = Counter()
    for item in tqdm(json.loads((folder / "annotations.json").read_text())["items"], desc="ages", file=sys.stderr):
        image = {"Bytes": large_enough((folder / item["file"]).read_bytes())}
        for face in client.detect_faces(Image=image, Attributes=["AGE_RANGE"])["FaceDetails"][:1]:
            if face["AgeRange"]["High"] <= people.MOST_CHILD_YEARS:
                called["child"] += 1
                called["child_rightly"] += item["age"] < YEARS_OF_MAJORITY
            elif face["AgeRange"]["Low"] >= people.LEAST_ADULT_YEARS:
                called["adult"] += 1
                called["adult_rightly"] += item["age"] >= YEARS_OF_MAJORITY
            else:
                called["neither"] += 1
    return dict(called)


def _quality(client: Any, paths: Sequence[Path]) -> dict[str, Any]:
    """The median of a measure at each step of a growing degradation, and the share of steps at which it falls."""
    figures = {}
    for name, steps in DEGRADATIONS.items():
        values = [[_measured(client, step(Image.open(path).convert("RGB")), name) for step in steps] for path in paths]
        falls = [a > b for picture in values for a, b in itertools.pairwise(picture)]
        medians = [round(statistics.median(step), 1) for step in zip(*values, strict=True)]
        figures[name] = {"medians": medians, "falls": _share(sum(falls), len(falls))}
    return figures


def _measured(client: Any, picture: Image.Image, name: str) -> float:
    encoded = io.BytesIO()
    picture.save(encoded, "PNG")
    answer = client.detect_labels(Image={"Bytes": encoded.getvalue()}, Features=["IMAGE_PROPERTIES"])
    return float(answer["ImageProperties"]["Quality"][name])


def _share(part: int, whole: int) -> float:
    return round(part / whole, 4) if whole else 0.0


def draw(result: dict[str, Any], path: Path) -> None:
    """Reliability by confidence, and precision and recall by category."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(13, 6), width_ratios=(1, 1.5))
    rows = [row for row in result["confidence"] if row["all"]]
    middles = [(row["from"] + row["to"]) / 2 for row in rows]
    left.plot([50, 100], [50, 100], color="grey", linewidth=1)
    left.plot(middles, [100 * row["right"] / row["all"] for row in rows], "o-")
    for n, (middle, row) in enumerate(zip(middles, rows, strict=True)):
        place = (middle, 100 * row["right"] / row["all"])
        left.annotate(f"{row['all']}", place, (0, -16 if n % 2 else 8), textcoords="offset points", ha="center")
    left.set(
        xlabel="Confidence",
        ylabel="labels that are right, %",
        title="How right labels are (their number)",
        ylim=(40, 105),
    )
    table = {name: row for name, row in result["categories"].items() if row["there"] >= 5 and row["said"] >= 3}
    places = range(len(table))
    right.barh(
        [p + 0.2 for p in places],
        [100 * row["right"] / row["said"] for row in table.values()],
        0.38,
        label="said are right",
    )
    right.barh(
        [p - 0.2 for p in places],
        [100 * row["found"] / row["there"] for row in table.values()],
        0.38,
        label="there are found",
    )
    right.set_yticks(list(places), [f"{name} ({row['there']})" for name, row in table.items()])
    right.set(xlabel="%", xlim=(0, 100), title="Most specific labels by category (annotated)")
    right.legend(loc="lower center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    sys.exit(main())
