"""Face mesh: 468 points of a face in three dimensions (Kartynnik et al., "Real-time Facial Surface Geometry from
Monocular Video on Mobile GPUs", 2019).

Input float32 [N, 192, 192, 3], RGB 0..1, an upright face crop. Points are x, y, z in crop pixels, z growing away from
the camera.
"""

from pathlib import Path

import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 192
POINTS = 468
MAX_BATCH = {"cpu": 4, "cuda": 128, "tensorrt": 128}


class FaceMesh:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[np.ndarray]:
        """The points of face crops, uint8 [192, 192, 3] RGB: float32 [468, 3] each."""
        return list(postprocess(self._session.run([preprocess(batch)])))


def load(path: Path, device: str, threads: int) -> FaceMesh:
    return FaceMesh(Session(path, device, threads))


def preprocess(crops: list[Pixels]) -> np.ndarray:
    """uint8 crops to float32 [N, 192, 192, 3], 0..1."""
    return np.stack(crops).astype(np.float32) / 255


def postprocess(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """float32 [N, 468, 3], crop pixels."""
    return outputs["mesh"].reshape(-1, POINTS, 3)
