"""CenterNet on MobileNetV3: boxes of the 80 COCO classes (Zhou et al., "Objects as Points", 2019).

Input float32 [N, 512, 512, 3], RGB 0..255, the whole picture. Output: 100 rows x1, y1, x2, y2 (input pixels), score
0..1, class 0..79.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.types import Pixels

SIDE = 512
CLASSES = (
    "person",
    "bicycle",
    "car",
    "motorcycle",
    "airplane",
    "bus",
    "train",
    "truck",
    "boat",
    "traffic light",
    "fire hydrant",
    "stop sign",
    "parking meter",
    "bench",
    "bird",
    "cat",
    "dog",
    "horse",
    "sheep",
    "cow",
    "elephant",
    "bear",
    "zebra",
    "giraffe",
    "backpack",
    "umbrella",
    "handbag",
    "tie",
    "suitcase",
    "frisbee",
    "skis",
    "snowboard",
    "sports ball",
    "kite",
    "baseball bat",
    "baseball glove",
    "skateboard",
    "surfboard",
    "tennis racket",
    "bottle",
    "wine glass",
    "cup",
    "fork",
    "knife",
    "spoon",
    "bowl",
    "banana",
    "apple",
    "sandwich",
    "orange",
    "broccoli",
    "carrot",
    "hot dog",
    "pizza",
    "donut",
    "cake",
    "chair",
    "couch",
    "potted plant",
    "bed",
    "dining table",
    "toilet",
    "tv",
    "laptop",
    "mouse",
    "remote",
    "keyboard",
    "cell phone",
    "microwave",
    "oven",
    "toaster",
    "sink",
    "refrigerator",
    "book",
    "clock",
    "vase",
    "scissors",
    "teddy bear",
    "hair drier",
    "toothbrush",
)
"""The 80 classes of COCO (Lin et al., "Microsoft COCO: Common Objects in Context", 2014), in the network's order."""

MAX_BATCH = {"cpu": 1, "cuda": 32, "tensorrt": 32}


@dataclass(frozen=True)
class Objects:
    """`boxes` float32 [N, 4] left, top, width, height as ratios of the picture, inside 0..1; `scores` float32 [N],
    0..1, falling; `classes` int [N], indexes of CLASSES."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


class ObjectDetector:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[Objects]:
        """What is seen in whole pictures, uint8 [512, 512, 3] RGB each."""
        outputs = self._session.run([preprocess(batch)])
        return [postprocess(rows) for rows in outputs["detections"]]


def load(path: Path, device: str, threads: int) -> ObjectDetector:
    return ObjectDetector(Session(path, device, threads))


def fit(image: Pixels) -> Pixels:
    """A picture of any shape as the network's square: uint8 [512, 512, 3].

    Stretched: padded to a square, the mean AP50 over 73 classes of 77 COCO pictures is 0.473, stretched 0.496.
    """
    return np.asarray(cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def preprocess(batch: list[Pixels]) -> np.ndarray:
    """float32 [N, 512, 512, 3], 0..255."""
    return np.stack(batch).astype(np.float32)


def postprocess(rows: np.ndarray) -> Objects:
    """From float32 [100, 6]."""
    corners = (rows[:, :4] / SIDE).clip(0, 1)
    boxes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], 1)
    order = np.argsort(-rows[:, 4], kind="stable")
    order = order[(boxes[order, 2] > 0) & (boxes[order, 3] > 0)]
    return Objects(boxes[order], rows[order, 4], rows[order, 5].astype(int))
