"""MoveNet Lightning: 17 points of one person (Google, 2021; model card "MoveNet.SinglePose").

Input float32 [N, 192, 192, 3], RGB 0..255, a square crop around the person. Output [N, 1, 1, 17, 3] or [N, 1, 17, 3]:
y, x as ratios of the crop, score 0..1, in the order of COCO.
"""

from pathlib import Path

import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 192
POINTS = (
    "nose",
    "left eye",
    "right eye",
    "left ear",
    "right ear",
    "left shoulder",
    "right shoulder",
    "left elbow",
    "right elbow",
    "left wrist",
    "right wrist",
    "left hip",
    "right hip",
    "left knee",
    "right knee",
    "left ankle",
    "right ankle",
)
"""Left and right are the person's own."""
MAX_BATCH = {"cpu": 4, "cuda": 64, "tensorrt": 64}


class BodyPose:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[np.ndarray]:
        """The points of person crops, uint8 [192, 192, 3] RGB: float32 [17, 3] each, x, y in crop pixels and score."""
        return list(postprocess(self._session.run([preprocess(batch)])))


def load(path: Path, device: str, threads: int) -> BodyPose:
    return BodyPose(Session(path, device, threads))


def preprocess(crops: list[Pixels]) -> np.ndarray:
    """uint8 crops to float32 [N, 192, 192, 3], 0..255."""
    return np.stack(crops).astype(np.float32)


def postprocess(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """float32 [N, 17, 3]: x, y in crop pixels, score 0..1."""
    found = outputs["keypoints"].reshape(-1, len(POINTS), 3)
    return np.concatenate([found[:, :, 1::-1] * SIDE, found[:, :, 2:]], axis=2)
