"""PP-OCRv6 small detector: where text is (Liao et al., "Real-time Scene Text Detection with Differentiable
Binarization", 2020; PaddleOCR).

Input float32 [N, 3, H, W], BGR -1..1, H and W multiples of 32. It gives a map: the probability that a pixel lies in
the shrunken middle of a text line.
"""

from pathlib import Path

import numpy as np

from inference.engine import Session
from inference.planes import planes
from inference.types import Pixels

GRID = 32
MAX_BATCH = {"cpu": 1, "cuda": 8, "tensorrt": 8}


class TextDetector:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[np.ndarray]:
        """For pictures of one shape, uint8 [H, W, 3] RGB with sides that GRID divides: float32 [H, W], 0..1 each."""
        return list(self._session.run([preprocess(batch)])["fetch_name_0"][:, 0])


def load(path: Path, device: str, threads: int) -> TextDetector:
    return TextDetector(Session(path, device, threads))


def preprocess(pictures: list[Pixels]) -> np.ndarray:
    """RGB pictures of one shape to float32 [N, 3, H, W] BGR, -1..1."""
    return planes(pictures, mean=127.5, scale=1 / 127.5)
