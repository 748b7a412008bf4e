"""From a map of text probability to rotated boxes around text lines, and the upright lines they hold.

The boxes are those of Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (2020): connected
regions above a threshold, grown back by what the network's training shrank them.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from inference.crops import onto
from inference.types import Pixels

LEAST_PROBABILITY = 0.25
"""Of a pixel in a region."""
LEAST_SCORE = 0.45
"""Of a region: the mean probability of its pixels."""
GROWTH, TIGHT_GROWTH = 1.7, 1.0
"""Regions grow by their area times this, divided by half their circumference: to be read, and to fit the text as
closely as people draw boxes."""
LEAST_SIDE = 3.0
"""Of a region before it grows, in pixels of the map."""
MOST_BOXES = 300
ELONGATED = 1.5
"""A box so many times as long as it is wide is read along its length, whatever its angle."""
MOST_HEIGHT = 96
"""Of a line that is cut out, in pixels; twice what the recogniser sees."""


@dataclass(frozen=True)
class TextBox:
    """`corners`: float32 [4, 2] in picture pixels: the text's own top left, top right, bottom right, bottom left;
    `margin`: pixels by which they lie outside the text, on each side."""

    corners: np.ndarray
    margin: float


def find(probabilities: np.ndarray, to_picture: np.ndarray) -> list[TextBox]:
    """The likeliest boxes of one map (float32 [H, W]). `to_picture`: float64 [2, 3], from map to picture pixels."""
    regions = (probabilities > LEAST_PROBABILITY).astype(np.uint8)
    contours, _ = cv2.findContours(regions, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    scored = [(_mean_inside(contour, probabilities), contour) for contour in contours if len(contour) > 2]
    likely = sorted((one for one in scored if one[0] >= LEAST_SCORE), key=lambda one: -one[0])[:MOST_BOXES]
    boxes = (_box(contour, to_picture) for _, contour in likely)
    return [box for box in boxes if box is not None]


def size(corners: np.ndarray) -> tuple[float, float]:
    """A box's length along the text, and its height: means of opposite sides."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    return float(sides[0] + sides[2]) / 2, float(sides[1] + sides[3]) / 2


def is_on_end(box: TextBox) -> bool:
    """Whether its text runs more up or down than across."""
    along = np.abs(box.corners[1] - box.corners[0])
    return bool(along[1] > along[0])


def upside_down(box: TextBox) -> TextBox:
    """The same box for text that runs the other way."""
    return TextBox(np.roll(box.corners, 2, axis=0), box.margin)


def part(box: TextBox, begin: float, end: float) -> np.ndarray:
    """The corners, without the margin, of what lies from `begin` to `end` (0..1 of the box's length)."""
    length, height = size(box.corners)
    along, down = (box.margin / max(side, 1e-6) for side in (length, height))
    begin, end = max(begin, along), min(end, 1 - along)
    places = np.array([[begin, down], [end, down], [end, 1 - down], [begin, 1 - down]])
    origin, right, _, below = box.corners
    return np.asarray(origin + places[:, :1] * (right - origin) + places[:, 1:] * (below - origin))


def cut(image: Pixels, box: TextBox) -> Pixels:
    """What a box holds, upright; at most MOST_HEIGHT pixels high."""
    length, height = size(box.corners)
    high = max(1, min(round(height), MOST_HEIGHT))
    wide = max(1, round(length * high / max(height, 1.0)))
    target = np.array([[0, 0], [wide, 0], [wide, high]], np.float32) - 0.5
    to_line = cv2.getAffineTransform(box.corners[:3].astype(np.float32), target)
    pixels = cv2.warpAffine(image, to_line, (wide, high), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(pixels, np.uint8)


def _box(contour: np.ndarray, to_picture: np.ndarray) -> TextBox | None:
    """None for what is too small."""
    centre, sides, degrees = cv2.minAreaRect(contour)
    # from the outermost pixels' centres to their borders
    wide, high = sides[0] + 1, sides[1] + 1
    if min(wide, high) < LEAST_SIDE:
        return None
    unit = wide * high / (wide + high)
    corners = cv2.boxPoints((centre, (wide + GROWTH * unit, high + GROWTH * unit), degrees))
    margin = (GROWTH - TIGHT_GROWTH) * unit / 2 * float(np.hypot(*to_picture[:, 0]))
    return TextBox(_read_along(onto(corners, to_picture)).astype(np.float32), margin)


def _mean_inside(contour: np.ndarray, probabilities: np.ndarray) -> float:
    left, top, wide, high = cv2.boundingRect(contour)
    inside = np.zeros((high, wide), np.uint8)
    cv2.drawContours(inside, [contour - [left, top]], -1, 1, cv2.FILLED)
    return float(probabilities[top : top + high, left : left + wide][inside > 0].mean())


def _read_along(corners: np.ndarray) -> np.ndarray:
    """The corners from the text's top left on. Text is taken to run along the longer sides, or in boxes near square
    nearest the horizontal, to the right or, on end, downwards."""
    beginnings = [np.roll(corners, -turn, axis=0) for turn in range(4)]
    along = [one for one in beginnings if np.divide(*size(one)) >= 1 / ELONGATED]
    return min(along, key=lambda one: abs(np.arctan2(one[1, 1] - one[0, 1], one[1, 0] - one[0, 0]) - 1e-3))
