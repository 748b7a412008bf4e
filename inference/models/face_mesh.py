"""Face mesh: 468 points of a face in three dimensions (Kartynnik et al., "Real-time Facial Surface Geometry from
Monocular Video on Mobile GPUs", 2019).

Input float32 [N, 192, 192, 3], RGB 0..1, an upright face crop. Points are x, y, z in crop pixels, z growing away from
the camera.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 192
POINTS = 468
MAX_BATCH = {"cpu": 1, "cuda": 128, "tensorrt": 128}
"""On the CPU, batches cost more per face than single runs, and several threads more than one (docs/performance.md)."""


@dataclass(frozen=True)
class Mesh:
    """`points`: float32 [468, 3], crop pixels; `presence`: how surely an upright face is there, 0..1."""

    points: np.ndarray
    presence: float


class FaceMesh:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[Mesh]:
        """The meshes of face crops, uint8 [192, 192, 3] RGB."""
        return postprocess(self._session.run([preprocess(batch)]))


def load(path: Path, device: str) -> FaceMesh:
    return FaceMesh(Session(path, device))


def preprocess(crops: list[Pixels]) -> np.ndarray:
    """uint8 crops to float32 [N, 192, 192, 3], 0..1."""
    return np.stack(crops).astype(np.float32) / 255


def postprocess(outputs: dict[str, np.ndarray]) -> list[Mesh]:
    meshes, presences = outputs["mesh"].reshape(-1, POINTS, 3), outputs["face_flag"][:, 0]
    return [Mesh(points, float(presence)) for points, presence in zip(meshes, presences, strict=True)]
