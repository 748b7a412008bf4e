"""EfficientNet-Lite2: the 1000 ImageNet classes and features (Tan and Le, "EfficientNet", 2019; Google's Lite variant).

Input float32 [N, 3, 260, 260], RGB -1..1.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 260
MAX_BATCH = {"cpu": 1, "cuda": 64, "tensorrt": 64}
"""On the CPU, batches cost more per picture than single runs."""


@dataclass(frozen=True)
class Classes:
    """`logits`: float32 [1000], in the order of ILSVRC 2012; `features`: float32 [1280], pooled."""

    logits: np.ndarray
    features: np.ndarray


class ImageClassifier:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[Classes]:
        """What crops, uint8 [260, 260, 3] RGB each, show."""
        outputs = self._session.run([preprocess(batch)])
        return [
            Classes(logits, features) for logits, features in zip(outputs["logits"], outputs["features"], strict=True)
        ]


def load(path: Path, device: str, threads: int) -> ImageClassifier:
    return ImageClassifier(Session(path, device, threads))


def fit(image: Pixels) -> Pixels:
    """The picture's central square as uint8 [260, 260, 3]."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    way = cv2.INTER_AREA if side > SIDE else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(square, (SIDE, SIDE), interpolation=way), np.uint8)


def preprocess(batch: list[Pixels]) -> np.ndarray:
    """float32 [N, 3, 260, 260], -1..1."""
    return np.ascontiguousarray(np.stack(batch).transpose(0, 3, 1, 2), np.float32) / 127.5 - 1
