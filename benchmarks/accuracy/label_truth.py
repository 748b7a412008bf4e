"""What is to be seen in pictures: their annotations as labels of the taxonomy, with judgements made by eye."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference.taxonomy import labels as taxonomy

JUDGEMENTS = Path(__file__).parent / "label_judgements.json"
SETS = ("image_labels", "object_detection")
FIRST_THING = "n02666196"
"""Classes are numbered by WordNet id: those before are animals, and the second of two with one name is a thing."""


@dataclass(frozen=True)
class Truth:
    """`annotated`: the labels of the annotations, with all ancestors. `right`: these and what was judged by eye to be
    there too. `judged`: what was judged, right or wrong; anything else is not known to be there."""

    picture: Path
    name: str
    annotated: frozenset[str]
    right: frozenset[str]
    judged: frozenset[str]
    item: dict[str, Any]


def of_set(folder: Path, name: str) -> Iterator[Truth]:
    """The pictures of one of SETS in `folder`."""
    judgements = json.loads(JUDGEMENTS.read_text())["pictures"]
    for item in json.loads((folder / name / "annotations.json").read_text())["items"]:
        key = f"{name}/{item['file']}"
        by_eye = judgements.get(key, {"right": [], "wrong": []})
        annotated = taxonomy.closure(class_of(item) if name == "image_labels" else objects_of(item))
        right = annotated | set(by_eye["right"])
        yield Truth(folder / key, key, annotated, right, right | set(by_eye["wrong"]), item)


def class_of(item: dict[str, Any]) -> tuple[str, ...]:
    """The labels of a picture's ImageNet class; none when it is of another class."""
    same = [one for one in taxonomy.classes("imagenet") if one.name == item["label"]]
    return same[0 if item.get("wnid", "") < FIRST_THING else -1].labels if same else ()


def objects_of(item: dict[str, Any]) -> tuple[str, ...]:
    """The labels of a picture's objects: those of COCO's classes, and other objects by their own names."""
    by_name = {one.name: one.labels for one in taxonomy.classes("coco")}
    return tuple(
        sorted({label for thing in item["objects"] for label in by_name.get(thing["label"], (thing["label"],))})
    )
