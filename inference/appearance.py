"""What a person looks like from afar: the colours of head, trunk and legs.

An appearance is a histogram of hue, saturation and value (8 x 4 x 4) for each of three stripes of a box, the square
roots of the shares (so that the scalar product is the Bhattacharyya coefficient), as bytes 0..255. On the boxes of six
people in a labelled clip it tells the same person from others better than features of the image classifier, and
together they are no better (docs/accuracy.md, "People over time").
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.types import Pixels

STRIPES = ((0.08, 0.25), (0.25, 0.5), (0.5, 0.8))
"""From, to: ratios of a box's height."""
SIDE_MARGIN = 0.25
"""Of a box's width, on either side, that is mostly background."""
SIDE = 16
BINS = (8, 4, 4)
RANGES = (180, 256, 256)
"""Of OpenCV's hue, saturation and value."""

Vector = NDArray[np.float32]
"""float32 [384], unit length."""


def of_boxes(image: Pixels, boxes: np.ndarray) -> list[bytes]:
    """The appearance in each of the boxes [N, 4]: left, top, width, height in pixels, in part inside the picture."""
    return [_of_stripes(image, _stripes(*box.tolist())) for box in boxes]


def of_picture(image: Pixels) -> bytes:
    """The appearance of a whole picture, in three stripes of equal height."""
    height, width = image.shape[:2]
    return _of_stripes(image, ((0, height * n / 3, width, height * (n + 1) / 3) for n in range(3)))


def vector(appearance: bytes) -> Vector:
    """The scalar product of two is their likeness, 0..1."""
    values = np.frombuffer(appearance, np.uint8).astype(np.float32)
    return values / max(float(np.linalg.norm(values)), 1e-6)


def _stripes(left: float, top: float, width: float, height: float) -> Iterable[tuple[float, float, float, float]]:
    inner = left + width * SIDE_MARGIN, left + width * (1 - SIDE_MARGIN)
    return ((inner[0], top + start * height, inner[1], top + end * height) for start, end in STRIPES)


def _of_stripes(image: Pixels, stripes: Iterable[tuple[float, float, float, float]]) -> bytes:
    """`stripes`: left, top, right, bottom in pixels."""
    return b"".join(_histogram(image, *map(round, stripe)) for stripe in stripes)


def _histogram(image: Pixels, left: int, top: int, right: int, bottom: int) -> bytes:
    height, width = image.shape[:2]
    left, top = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    colours = cv2.cvtColor(cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2HSV)
    ranges = [bound for end in RANGES for bound in (0, end)]
    counts = cv2.calcHist([colours], [0, 1, 2], None, BINS, ranges)
    return bytes(np.rint(np.sqrt(counts / SIDE**2) * 255).astype(np.uint8).tobytes())
