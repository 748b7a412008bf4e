"""Drawings, explicit and suggestive pictures: MobileNet v2 of nsfwjs (github.com/infinitered/nsfwjs, model card there).

Input float32 [N, 224, 224, 3], RGB 0..1.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 224
MAX_BATCH = {"cpu": 2, "cuda": 64, "tensorrt": 64}


@dataclass(frozen=True)
class Explicitness:
    """Probabilities, 0..1, that add up to 1. `drawn_explicit` is explicit and drawn."""

    drawn: float
    drawn_explicit: float
    neutral: float
    explicit: float
    suggestive: float


class ExplicitClassifier:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[Explicitness]:
        """Of pictures, uint8 [224, 224, 3] RGB each."""
        rows = self._session.run([preprocess(batch)])["classes"]
        return [Explicitness(*map(float, row)) for row in rows]


def load(path: Path, device: str, threads: int) -> ExplicitClassifier:
    return ExplicitClassifier(Session(path, device, threads))


def views(image: Pixels) -> tuple[Pixels, Pixels]:
    """The whole picture and its central square, uint8 [224, 224, 3] each.

    Shrunk without smoothing, as the network was trained.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return _shrunk(image), _shrunk(image[top : top + side, left : left + side])


def preprocess(batch: list[Pixels]) -> np.ndarray:
    """float32 [N, 224, 224, 3], 0..1."""
    return np.stack(batch).astype(np.float32) / 255


def _shrunk(image: Pixels) -> Pixels:
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR), np.uint8)
