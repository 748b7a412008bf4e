"""NudeNet 320n: covered and exposed body parts with boxes (a YOLOv8 nano; pack `nudenet`).

Input float32 [N, 3, 320, 320], RGB 0..1, padded right and below. Output [N, 22, cells]: box centre and size in input
pixels, then a score 0..1 per class.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 320
MAX_BATCH = {"cpu": 1, "cuda": 32, "tensorrt": 32}
CLASSES = (
    "FEMALE_GENITALIA_COVERED",
    "FACE_FEMALE",
    "BUTTOCKS_EXPOSED",
    "FEMALE_BREAST_EXPOSED",
    "FEMALE_GENITALIA_EXPOSED",
    "MALE_BREAST_EXPOSED",
    "ANUS_EXPOSED",
    "FEET_EXPOSED",
    "BELLY_COVERED",
    "FEET_COVERED",
    "ARMPITS_COVERED",
    "ARMPITS_EXPOSED",
    "FACE_MALE",
    "BELLY_EXPOSED",
    "MALE_GENITALIA_EXPOSED",
    "ANUS_COVERED",
    "FEMALE_BREAST_COVERED",
    "BUTTOCKS_COVERED",
)


@dataclass(frozen=True)
class BodyParts:
    """`scores`: float32 [18], the best score, 0..1, of each of CLASSES anywhere in the picture."""

    scores: np.ndarray

    def best(self, names: tuple[str, ...]) -> float:
        return max(float(self.scores[CLASSES.index(name)]) for name in names)


class BodyPartDetector:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[BodyParts]:
        """In pictures, uint8 [320, 320, 3] RGB each."""
        (output,) = self._session.run([preprocess(batch)]).values()
        return [postprocess(cells) for cells in output]


def load(path: Path, device: str, threads: int) -> BodyPartDetector:
    return BodyPartDetector(Session(path, device, threads))


def fit(image: Pixels) -> Pixels:
    """The picture with its long side at 320 pixels, black right and below: uint8 [320, 320, 3]."""
    height, width = image.shape[:2]
    scale = SIDE / max(height, width)
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    canvas = np.zeros((SIDE, SIDE, 3), np.uint8)
    canvas[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=cv2.INTER_LINEAR)
    return canvas


def preprocess(batch: list[Pixels]) -> np.ndarray:
    """float32 [N, 3, 320, 320], 0..1."""
    return np.ascontiguousarray(np.stack(batch).transpose(0, 3, 1, 2), np.float32) / 255


def postprocess(cells: np.ndarray) -> BodyParts:
    """From float32 [22, cells]. A cell shows the class it scores highest; the others it scores are of the same part."""
    scores = cells[4:]
    best = np.where(scores == scores.max(axis=0), scores, 0.0)
    return BodyParts(best.max(axis=1))
