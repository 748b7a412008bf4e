"""Iris: the contour of an eye and its iris (Ablavatski et al., "Real-time Pupil Tracking from Monocular Video for
Digital Puppetry", 2020).

Input float32 [N, 64, 64, 3], RGB 0..1, a crop around an eye. Points are x, y in crop pixels: 71 of the eye and brow
(the first 16 are the lids: 0 the left corner, 1..7 the lower lid, 8 the right corner, 9..15 the upper lid, both lids
from the left), then the iris: its centre and four points on its edge. Either eye is shown as it is: mirroring the right
one, as MediaPipe does, doubled the error of its corners.
"""

from pathlib import Path

import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 64
POINTS = 76
LEFT_CORNER, RIGHT_CORNER, LOWER_LID, UPPER_LID, IRIS_CENTRE = 0, 8, 4, 12, 71
MAX_BATCH = {"cpu": 4, "cuda": 128, "tensorrt": 128}


class Iris:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[np.ndarray]:
        """The points of eye crops, uint8 [64, 64, 3] RGB: float32 [76, 2] each."""
        return list(postprocess(self._session.run([preprocess(batch)])))


def load(path: Path, device: str) -> Iris:
    return Iris(Session(path, device))


def preprocess(crops: list[Pixels]) -> np.ndarray:
    """uint8 crops to float32 [N, 64, 64, 3], 0..1."""
    return np.stack(crops).astype(np.float32) / 255


def postprocess(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """float32 [N, 76, 2], crop pixels."""
    return outputs["points"].reshape(-1, POINTS, 3)[:, :, :2]
