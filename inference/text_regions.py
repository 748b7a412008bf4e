"""Where and how closely to look for text.

The detector is the dearest network of all, so it sees a picture coarsely first, and again closely only where anything
might be text. It expects level lines; a picture whose lines are tilted is looked at turned.
"""

import math

import cv2
import numpy as np

from inference.crops import Crop, cut, onto
from inference.models.text_detector import GRID
from inference.text_boxes import LEAST_PROBABILITY
from inference.types import Pixels

COARSE_SIDE = 640
"""Long side of the first look, in pixels."""
LEAST_SIDE, MOST_SIDE = 960, 1600
"""Long side of a whole picture at the scale of a close look: its own between these."""
MOST_ENLARGED = 2.0
"""Of small pictures for a close look; large letters are lost to the detector."""
COARSE_IS_CLOSE = 1.7
"""Pictures whose close look has at most so many times the pixels of the first are looked at once."""
LEAST_HINT = 0.01
"""Text probability of a pixel, in the first look, that is worth a second."""
ROOM = (48, 32)
"""Around such pixels, right and left together, above and below together, in pixels of the first look."""
LEAST_TILT, TILTED_ALIKE = 28.0, 0.6
"""Degrees from which lines count as tilted; how much the lines of a picture must agree (0..1)."""
LINE_RATIO = 2.0
"""Regions so many times as long as wide show which way lines run."""


def whole(image: Pixels, degrees: float = 0.0) -> Crop:
    """The first look at a picture whose lines are tilted clockwise by `degrees`: level there."""
    height, width = image.shape[:2]
    wide, high = _turned_size(width, height, degrees)
    close = close_scale(width, height)
    coarse = min(COARSE_SIDE / max(wide, high), close)
    scale = close if (close / coarse) ** 2 <= COARSE_IS_CLOSE else coarse
    return _look(image, ((width - 1) / 2, (height - 1) / 2), (wide, high), degrees, scale)


def close_scale(width: int, height: int) -> float:
    """The scale of a close look at a picture of so many pixels."""
    side = max(width, height)
    return min(min(max(side, LEAST_SIDE), MOST_SIDE) / side, MOST_ENLARGED)


def scale_of(crop: Crop) -> float:
    """Crop pixels per picture pixel."""
    return 1 / float(np.hypot(*crop.to_picture[:, 0]))


def close_looks(image: Pixels, first: Crop, probabilities: np.ndarray, degrees: float) -> list[Crop]:
    """The parts of a picture that may hold text, closely; `probabilities` are those of the first look.

    None when that was as close already.
    """
    height, width = image.shape[:2]
    scale = close_scale(width, height)
    if scale_of(first) > scale * 0.99:
        return []
    parts = _hinted(probabilities)
    centres = onto(
        np.array([[x + (w - 1) / 2, y + (h - 1) / 2] for x, y, w, h in parts]).reshape(-1, 2), first.to_picture
    )
    spread = 1 / scale_of(first)
    return [
        _look(image, tuple(centre), (w * spread, h * spread), degrees, scale)
        for centre, (_, _, w, h) in zip(centres, parts, strict=True)
    ]


def tilt(probabilities: np.ndarray) -> float:
    """How far the lines of a map (float32 [H, W]) are turned clockwise, in degrees, -90..90; 0 where they disagree.

    The mean of doubled angles, by which directions half a turn apart are the same.
    """
    contours, _ = cv2.findContours(
        (probabilities > LEAST_PROBABILITY).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    towards, total = 0j, 0.0
    for contour in contours:
        _, (wide, high), degrees = cv2.minAreaRect(contour)
        if wide < high:
            wide, high, degrees = high, wide, degrees + 90
        if wide + 1 >= LINE_RATIO * (high + 1):
            towards += (wide - high) * np.exp(2j * np.radians(degrees))
            total += wide - high
    if abs(towards) < TILTED_ALIKE * total or not total:
        return 0.0
    degrees = float(np.degrees(np.angle(towards))) / 2
    return degrees if abs(degrees) >= LEAST_TILT else 0.0


def _hinted(probabilities: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Rectangles x, y, width, height of the first look that may hold text and do not overlap."""
    wide, high = ROOM
    covered = cv2.dilate((probabilities > LEAST_HINT).astype(np.uint8), np.ones((high + 1, wide + 1), np.uint8))
    while True:
        _, _, parts, _ = cv2.connectedComponentsWithStats(covered)
        boxes = [(int(x), int(y), int(w), int(h)) for x, y, w, h, _ in parts[1:]]
        filled = np.zeros_like(covered)
        for x, y, w, h in boxes:
            filled[y : y + h, x : x + w] = 1
        if (filled == covered).all():
            return boxes
        covered = filled


def _look(
    image: Pixels, centre: tuple[float, float], extent: tuple[float, float], degrees: float, scale: float
) -> Crop:
    """A rectangle of a picture at a scale, grown to sides that the detector's grid divides."""
    wide, high = (max(1, math.ceil(length * scale / GRID - 1e-6)) * GRID for length in extent)
    return cut(image, np.array(centre), (wide / scale, high / scale), degrees, (wide, high))


def _turned_size(width: int, height: int, degrees: float) -> tuple[float, float]:
    """Of the upright rectangle around a turned picture."""
    cosine, sine = abs(np.cos(np.radians(degrees))), abs(np.sin(np.radians(degrees)))
    return width * cosine + height * sine, width * sine + height * cosine
