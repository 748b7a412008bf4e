"""Colour bars: the six colours of SMPTE, EBU and RP 219 bars, in their order, as upright stripes of equal width."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from inference.video.runs import runs

LOOKED_AT = (24, 128)
"""Rows and columns that a frame is reduced to."""
ROWS = slice(2, 12)
"""Where all kinds of bars have their stripes: further down SMPTE and RP 219 bars have other fields."""
COLORS = np.array([(1, 1, 0), (0, 1, 1), (0, 1, 0), (1, 0, 1), (1, 0, 0), (0, 0, 1)], np.float32)
"""Yellow, cyan, green, magenta, red, blue: from bright to dark, as all bars have them."""
WEIGHTS = ((0.299, 0.587, 0.114), (0.2126, 0.7152, 0.0722))
"""Of red, green and blue in the luma of BT.601 and BT.709."""
LEAST_SATURATION = 25
"""Half of what the palest of bars with 75 % amplitude has."""
NARROWEST = 6
"""Columns; a stripe of full-width bars has 16, of bars in the middle of a wide frame 12."""
HUE_ERROR, WIDTH_ERROR, ROW_ERROR = 24.0, 0.6, 24.0
"""Degrees, share of the width, and luma: an error with which nothing is left of the fit."""


def fit(luma: NDArray[np.uint8], chroma: tuple[NDArray[np.uint8], NDArray[np.uint8]]) -> float:
    """How well a frame fits colour bars, 0..100; under 50 it shows none.

    luma: uint8 [H, W]; chroma: Cb and Cr, uint8 [h, w]. The fit is that of the worst of hues, widths and evenness.
    """
    red, blue = (cv2.resize(plane, LOOKED_AT[::-1], interpolation=cv2.INTER_AREA) for plane in (chroma[1], chroma[0]))
    differences = np.stack([np.median(plane[ROWS], 0) for plane in (blue, red)]).astype(np.float32) - 128
    colored = np.hypot(*differences) > LEAST_SATURATION
    if colored.mean() < NARROWEST * len(COLORS) / LOOKED_AT[1]:
        return 0.0
    light = cv2.resize(luma, LOOKED_AT[::-1], interpolation=cv2.INTER_AREA)[ROWS].astype(np.float32)
    return max(_fit(light, differences, colored, hues) for hues in _HUES)


def _fit(
    light: NDArray[np.float32], differences: NDArray[np.float32], colored: NDArray[np.bool_], hues: NDArray[np.float32]
) -> float:
    angles = np.degrees(np.arctan2(differences[1], differences[0]))
    errors = np.abs((angles[:, None] - hues + 180) % 360 - 180)
    nearest = np.where(colored & (errors.min(1) < HUE_ERROR), errors.argmin(1), -1)
    stripes = [(kind, first, end) for kind, first, end in runs(nearest) if kind >= 0 and end - first >= NARROWEST]
    if [kind for kind, _, _ in stripes] != list(range(len(COLORS))):
        return 0.0
    inner = [np.arange(first + 1, end - 1) for _, first, end in stripes]
    brightness = [float(np.median(light[:, columns])) for columns in inner]
    if any(after >= before for before, after in pairwise(brightness)):
        return 0.0
    centers = np.array([(first + end) / 2 for _, first, end in stripes])
    steps = np.diff(centers)
    hue = float(np.mean([errors[columns, kind].mean() for kind, columns in enumerate(inner)]))
    width = float(np.abs(steps / np.median(steps) - 1).max())
    uneven = float(
        np.mean([np.median(np.abs(light[:, columns] - np.median(light[:, columns], 0))) for columns in inner])
    )
    return 100 * max(0.0, 1 - max(hue / HUE_ERROR, width / WIDTH_ERROR, uneven / ROW_ERROR))


def _hues(weights: tuple[float, float, float]) -> NDArray[np.float32]:
    """The angles of COLORS in the plane of Cb and Cr, degrees."""
    light = COLORS @ np.array(weights, np.float32)
    blue = (COLORS[:, 2] - light) / (2 - 2 * weights[2])
    red = (COLORS[:, 0] - light) / (2 - 2 * weights[0])
    return np.asarray(np.degrees(np.arctan2(red, blue)), np.float32)


_HUES = tuple(_hues(weights) for weights in WEIGHTS)
