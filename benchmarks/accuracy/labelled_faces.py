"""Faces with labels: those of the sets, and those of attribute_labels.json that were made by eye on their pictures."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

LABELS = Path(__file__).parent / "attribute_labels.json"
SETS = ("face_verification_ytf", "face_verification_lfw", "face_attributes", "face_emotion")
GENDERED = 13
"""Years from which a labelled gender counts."""


@dataclass(frozen=True)
class LabelledFace:
    """`words` are of attribute_labels.json; `item` is the face's entry in its set; `box` (x, y, width, height, pixels)
    tells it from others in its picture."""

    words: frozenset[str] = frozenset()
    item: dict[str, Any] = field(default_factory=dict)
    box: tuple[float, ...] | None = None

    def among(self, boxes: np.ndarray, width: int, height: int) -> int | None:
        """Which of the found boxes (float [N, 4], pixels) is this face: the one around the labelled box's middle, or
        else the one nearest to the 68 points or to the picture's middle."""
        if not len(boxes):
            return None
        if self.box is not None:
            middle = np.array(self.box[:2]) + np.array(self.box[2:]) / 2
        elif "landmarks68" in self.item:
            middle = np.mean(self.item["landmarks68"], axis=0)
        else:
            middle = np.array([width, height]) / 2
        away = np.linalg.norm(boxes[:, :2] + boxes[:, 2:] / 2 - middle, axis=1)
        nearest = int(away.argmin())
        return None if self.box is not None and away[nearest] > max(self.box[2:]) / 2 else nearest


def labelled(folder: Path) -> dict[Path, list[LabelledFace]]:
    """The faces of each picture under `folder`, the folder of the sets."""
    items = {f"{name}/{item['file']}": item for name in SETS for item in _items(folder / name)}
    words = {name: frozenset(text.split()) for name, text in json.loads(LABELS.read_text())["faces"].items()}
    faces: dict[Path, list[LabelledFace]] = {}
    for name in dict.fromkeys([*items, *words]):
        picture, _, box = name.partition(" @ ")
        place = tuple(float(number) for number in box.split()) if box else None
        face = LabelledFace(words.get(name, frozenset()), items.get(name, {}), place)
        faces.setdefault(folder / picture, []).append(face)
    return faces


def person(path: Path) -> str:
    """Who a picture shows: the name in file names of sets that name people, else the file itself."""
    named = path.parent.parent.name in SETS and path.parent.parent.name != "face_attributes"
    return re.sub(r"_?\d.*$", "", path.stem) if named else f"{path.parent.parent.name}/{path.stem}"


def _items(folder: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads((folder / "annotations.json").read_text())["items"]
    return items
