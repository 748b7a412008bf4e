"""Emotion: seven facial expressions (from the Human library, after oarriaga's face_classification, 2017).

Input float32 [N, 64, 64, 1], grey -1..1, an upright tight face crop.
"""

from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 64
KINDS = ("angry", "disgusted", "fear", "happy", "sad", "surprised", "calm")
MAX_BATCH = {"cpu": 8, "cuda": 128, "tensorrt": 128}


class Emotion:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[np.ndarray]:
        """The probabilities of KINDS for face crops, uint8 [64, 64, 3] RGB: float32 [7] each."""
        return list(self._session.run([preprocess(batch)])["emotions"])


def load(path: Path, device: str) -> Emotion:
    return Emotion(Session(path, device))


def preprocess(crops: list[Pixels]) -> np.ndarray:
    """uint8 RGB crops to float32 [N, 64, 64, 1], grey -1..1."""
    grey = np.stack([cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY) for crop in crops])
    return grey[..., None].astype(np.float32) / 127.5 - 1
