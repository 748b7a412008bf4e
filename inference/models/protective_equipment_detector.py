"""A detector of protective equipment that the owner of a server brings.

Any network with this face: input float32 [N, S, S, 3], RGB 0..255, the picture scaled to fit a square of S pixels (the
graph states S) at the upper left, black beside it. Output `detections`, float32 [N, K, 6]: left, top, right, bottom in
input pixels, the probability that it is right (0..1), and the class: an index of KINDS. Rows beyond what was found have
probability 0; overlapping boxes of one item are merged in the graph.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.errors import EngineUnavailable
from inference.types import Pixels

KINDS = ("head_cover", "face_cover", "hand_cover")
LEAST_PROBABILITY = 0.5
MAX_BATCH = {"cpu": 1, "cuda": 16, "tensorrt": 16}


@dataclass(frozen=True)
class Fitted:
    """`pixels`: uint8 [S, S, 3] RGB; `scale`: its pixels per picture pixel."""

    pixels: Pixels
    scale: float


@dataclass(frozen=True)
class Item:
    """`kind`: one of KINDS; `box` float64 [4], left, top, width, height in picture pixels; `probability` 0.5..1."""

    kind: str
    box: np.ndarray
    probability: float


class ProtectiveEquipmentDetector:
    def __init__(self, session: Session, side: int) -> None:
        self._session = session
        self.side = side
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Fitted]) -> list[list[Item]]:
        """The items of pictures, likeliest first."""
        inputs = np.stack([one.pixels for one in batch]).astype(np.float32)
        outputs = self._session.run([inputs])
        return [postprocess(rows, one.scale) for rows, one in zip(outputs["detections"], batch, strict=True)]


def load(path: Path, device: str, threads: int) -> ProtectiveEquipmentDetector:
    """Raises EngineUnavailable for a graph whose input is no square of a stated size."""
    session = Session(path, device, threads)
    shape = session.input_shapes[0]
    if len(shape) != 4 or shape[1] != shape[2] or not isinstance(shape[1], int):
        raise EngineUnavailable(f"{path.name}: its input is {shape}, not [N, S, S, 3]")
    return ProtectiveEquipmentDetector(session, shape[1])


def fit(image: Pixels, side: int) -> Fitted:
    """A picture of any shape as the network's square of `side` pixels."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    inner = (max(1, round(width * scale)), max(1, round(height * scale)))
    pixels = np.zeros((side, side, 3), np.uint8)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    pixels[: inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=way)
    return Fitted(pixels, scale)


def postprocess(rows: np.ndarray, scale: float) -> list[Item]:
    """From float32 [K, 6]; rows of unknown classes and empty boxes are left out."""
    items = []
    for left, top, right, bottom, probability, number in rows.astype(np.float64).tolist():
        if probability >= LEAST_PROBABILITY and number in range(len(KINDS)) and right > left and bottom > top:
            box = np.array([left, top, right - left, bottom - top]) / scale
            items.append(Item(KINDS[int(number)], box, min(probability, 1.0)))
    return sorted(items, key=lambda item: -item.probability)
