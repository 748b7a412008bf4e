"""PP-OCR's line orientation: is a text line upright or upside down (PaddleOCR, ch_ppocr_mobile_v2.0_cls).

Input float32 [N, 3, 48, 192], BGR -1..1.
"""

from pathlib import Path

import cv2
import numpy as np

from inference.engine import Session
from inference.planes import planes
from inference.types import Pixels

HEIGHT, WIDTH = 48, 192
MAX_BATCH = {"cpu": 4, "cuda": 64, "tensorrt": 64}


class TextOrientation:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.max_batch = MAX_BATCH[session.device]

    def predict(self, batch: list[Pixels]) -> list[float]:
        """The probabilities that lines, uint8 [48, 192, 3] RGB, are upside down."""
        answers = self._session.run([preprocess(batch)])["save_infer_model/scale_0.tmp_1"]
        return [float(answer[1]) for answer in answers]


def load(path: Path, device: str) -> TextOrientation:
    return TextOrientation(Session(path, device))


def glimpse(line: Pixels) -> Pixels:
    """The beginning of a line of any size, scaled for the network, grey behind it."""
    height, width = line.shape[:2]
    length = min(max(1, round(width * HEIGHT / height)), WIDTH)
    seen = line[:, : max(1, round(length * height / HEIGHT))]
    pixels = np.full((HEIGHT, WIDTH, 3), 127, np.uint8)
    pixels[:, :length] = cv2.resize(seen, (length, HEIGHT), interpolation=cv2.INTER_AREA)
    return pixels


def preprocess(lines: list[Pixels]) -> np.ndarray:
    """Lines to float32 [N, 3, 48, 192] BGR, -1..1."""
    return planes(lines, mean=127.5, scale=1 / 127.5)
